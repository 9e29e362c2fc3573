//! The parser: the same commands however the bytes are cut, Redis's texts for what is broken, and bounded memory.

use bytes::{Bytes, BytesMut};
use coterie_resp::parse::{ParseLimits, Parsed, Parser, ProtocolError};
use proptest::prelude::*;

type Commands = (Vec<Vec<Bytes>>, Option<ProtocolError>);

fn parser() -> Parser {
    let mut parser = Parser::new(ParseLimits::default());
    parser.set_authenticated(true);
    parser
}

/// What is read of bytes that come in these pieces.
fn read(parser: &mut Parser, pieces: &[&[u8]]) -> Commands {
    let (mut buffer, mut words, mut commands) = (BytesMut::new(), Vec::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match parser.next(&mut buffer, &mut words) {
                Ok(Some(Parsed::Command(_))) => commands.push(words.clone()),
                Ok(Some(other)) => commands.push(vec![Bytes::from(format!("{other:?}"))]),
                Ok(None) => break,
                Err(error) => return (commands, Some(error)),
            }
        }
    }
    (commands, None)
}

fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
    out
}

#[test]
fn empty_commands_are_passed_over() {
    let bytes = b"*0\r\n*-1\r\n\r\n   \r\n*1\r\n$4\r\nPING\r\nping\n";
    let (commands, error) = read(&mut parser(), &[bytes]);
    assert_eq!(commands, [[Bytes::from("PING")], [Bytes::from("ping")]]);
    assert_eq!(error, None);
}

#[test]
fn what_breaks_the_protocol_is_told_in_the_texts_of_redis() {
    let long = vec![b'a'; (64 << 10) + 1];
    let count = [&b"*"[..], &long].concat();
    let length = [&b"*1\r\n$"[..], &long].concat();
    let cases: [(&[u8], &str); 13] = [
        (b"*a\r\n", "invalid multibulk length"),
        (b"*3000000000\r\n", "invalid multibulk length"),
        (b"*99999999999999999999\r\n", "invalid multibulk length"),
        (b"*\r\n", "invalid multibulk length"),
        (b"*1\r\nPING\r\n", "expected '$', got 'P'"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$4294967296\r\n", "invalid bulk length"),
        (b"*1\r\n$x\r\n", "invalid bulk length"),
        (b"*1\r\n$\r\n", "invalid bulk length"),
        (b"get \"a\r\n", "unbalanced quotes in request"),
        (&long, "too big inline request"),
        (&count, "too big mbulk count string"),
        (&length, "too big bulk count string"),
    ];
    for (bytes, text) in cases {
        let (_, error) = read(&mut parser(), &[bytes]);
        assert_eq!(error.unwrap().to_string(), format!("ERR Protocol error: {text}"));
    }
}

#[test]
fn before_it_says_who_it_is_a_client_may_say_little() {
    let mut parser = Parser::new(ParseLimits::default());
    let text = |error: Option<ProtocolError>| error.unwrap().to_string();
    let (_, error) = read(&mut parser, &[b"*11\r\n"]);
    assert_eq!(text(error), "ERR Protocol error: unauthenticated multibulk length");
    let mut parser = Parser::new(ParseLimits::default());
    let (_, error) = read(&mut parser, &[b"*2\r\n$4\r\nAUTH\r\n$16385\r\n"]);
    assert_eq!(text(error), "ERR Protocol error: unauthenticated bulk length");
    let mut parser = Parser::new(ParseLimits::default());
    let words = vec![&b"a"[..]; 10];
    assert_eq!(read(&mut parser, &[&command(&words)]).0.len(), 1);
}

#[test]
fn what_is_too_large_is_let_go_by_and_the_connection_goes_on() {
    let mut parser = parser();
    let (mut buffer, mut words) = (BytesMut::new(), Vec::new());
    buffer.extend_from_slice(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$300000000\r\n");
    assert_eq!(parser.next(&mut buffer, &mut words), Ok(None));
    let piece = vec![b'v'; 100_000];
    let mut sent = 0;
    while sent < 300_000_000 {
        buffer.extend_from_slice(&piece);
        sent += piece.len();
        assert_eq!(parser.next(&mut buffer, &mut words), Ok(None));
        assert!(buffer.is_empty(), "nothing of it is kept");
    }
    buffer.extend_from_slice(b"\r\nPING\r\n");
    let too_large = Parsed::TooLarge { bytes: 300_000_000, bytes_max: 1 << 20 };
    assert_eq!(parser.next(&mut buffer, &mut words), Ok(Some(too_large)));
    assert_eq!(parser.next(&mut buffer, &mut words), Ok(Some(Parsed::Command(6))));
    assert_eq!(words, ["PING"]);
}

#[test]
fn many_words_that_are_too_much_together_are_let_go_by() {
    let limits = ParseLimits { word_bytes_max: 1_000, command_bytes_max: 10_000 };
    let mut parser = Parser::new(limits);
    parser.set_authenticated(true);
    let word = [b'w'; 900];
    let many = command(&[&word[..]; 100]);
    let (commands, error) = read(&mut parser, &[&many, b"*1\r\n$4\r\nPING\r\n"]);
    assert_eq!(error, None);
    assert_eq!(commands.len(), 2);
    assert!(commands[0][0].starts_with(b"TooLarge"));
    assert_eq!(commands[1], [Bytes::from("PING")]);
}

#[test]
fn a_command_whose_name_is_refused_is_let_go_by() {
    let mut parser = parser();
    let (mut buffer, mut words) = (BytesMut::new(), Vec::new());
    buffer.extend_from_slice(b"*3\r\n$4\r\nMSET\r\n$1\r\nk");
    assert_eq!(parser.next(&mut buffer, &mut words), Ok(None));
    assert_eq!(parser.name(&buffer), Some(&b"MSET"[..]));
    parser.let_go(&mut buffer);
    assert_eq!(parser.name(&buffer), None);
    buffer.extend_from_slice(b"\r\n$5\r\nv");
    assert_eq!(parser.next(&mut buffer, &mut words), Ok(None));
    assert!(buffer.is_empty());
    buffer.extend_from_slice(b"alue\r\n*1\r\n$4\r\nPING\r\n");
    assert_eq!(parser.next(&mut buffer, &mut words), Ok(Some(Parsed::LetGo)));
    assert_eq!(parser.next(&mut buffer, &mut words), Ok(Some(Parsed::Command(14))));
}

fn words() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..6)
}

/// Bytes that look like the protocol, and some that do not.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop_oneof![
        Just(b"*".to_vec()),
        Just(b"$".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\"".to_vec()),
        Just(b"'".to_vec()),
        Just(b"\\x".to_vec()),
        Just(b"-1".to_vec()),
        Just(b"3".to_vec()),
        Just(b"1048577".to_vec()),
        Just(b"$1048577\r\n".to_vec()),
        prop::collection::vec(any::<u8>(), 0..12),
    ];
    prop::collection::vec(pieces, 0..60).prop_map(|pieces| pieces.concat())
}

/// Cuts bytes at these places.
fn cut<'b>(bytes: &'b [u8], cuts: &[prop::sample::Index]) -> Vec<&'b [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

proptest! {
    #[test]
    fn commands_are_the_same_however_the_bytes_are_cut(
        commands in prop::collection::vec(words(), 1..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let mut bytes = Vec::new();
        for words in &commands {
            let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            bytes.extend(command(&words));
        }
        let expected: Vec<Vec<Bytes>> = commands
            .iter()
            .map(|words| words.iter().map(|word| Bytes::copy_from_slice(word)).collect())
            .collect();
        let whole = read(&mut parser(), &[&bytes]);
        prop_assert_eq!(&whole, &(expected, None));
        prop_assert_eq!(read(&mut parser(), &cut(&bytes, &cuts)), whole);
    }

    #[test]
    fn hostile_bytes_come_to_the_same_however_they_are_cut_and_never_panic(
        bytes in hostile(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        authenticated in any::<bool>(),
    ) {
        let parser = || {
            let limits = ParseLimits { word_bytes_max: 30, command_bytes_max: 100 };
            let mut parser = Parser::new(limits);
            parser.set_authenticated(authenticated);
            parser
        };
        let whole = read(&mut parser(), &[&bytes]);
        prop_assert_eq!(read(&mut parser(), &cut(&bytes, &cuts)), whole);
    }
}
