//! Clients that send nonsense, do not read, do not finish, or do not say who they are: each is told why or is let go,
//! the node's memory stays bounded, and others are served meanwhile.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::alone;
use crate::harness::{Node, program, until};
use crate::redis::{Redis, Reply};
use crate::testbed::{Plan, Testbed};

/// How long an answer or the end of a connection may take: far more than the 5 s that a node waits for a name, for
/// machines that are busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// How much more memory a node may take for any number of clients that do not behave.
const MEMORY_MAX: u64 = 256 << 20;

/// Clients that do not read what they asked for, and how many large values each asks for: several times what one may
/// have under way. What so few hold is no burden, and each is given all of it in the end.
const SLOW: usize = 3;
const ASKED: usize = 200;

/// So many hold all that clients may hold together, and are told so.
const MANY: usize = 30;
const ASKED_BY_MANY: usize = 10;

/// Clients that never finish a command.
const HALF_OPEN: usize = 300;

#[test]
fn clients_that_do_not_behave_are_let_go_and_keep_nobody_from_being_served() {
    let _alone = alone();
    let mut testbed = Testbed::form(&Plan { nodes: 1, partitions: 16, seed: 1, data: &[] });
    let node = &testbed.cluster.nodes[0];
    let mut good = Redis::connect(node.resp(), PATIENCE).unwrap();
    let value = "v".repeat(1 << 20);
    assert_eq!(good.ask(&["SET", "large", &value]).unwrap(), ok());
    nonsense_is_answered_and_ends(node);
    let larger = "v".repeat((1 << 20) + 1);
    refused(&good.ask(&["SET", "larger", &larger]), "a value above the limit");
    assert_eq!(good.ask(&["GET", "larger"]).unwrap(), Reply::Bulk(None), "nothing was stored");

    let before = resident_bytes(node);
    let slow: Vec<TcpStream> = (0..SLOW).map(|_| asks_and_reads_not(node, ASKED)).collect();
    let half: Vec<TcpStream> = (0..HALF_OPEN).map(|_| begins_and_ends_not(node)).collect();
    let (mut most, begun) = (0, Instant::now());
    for number in 0..200 {
        let key = format!("key-{number}");
        assert_eq!(good.ask(&["SET", &key, "1"]).unwrap(), ok());
        most = resident_bytes(node).max(most);
    }
    println!(
        "200 writes took {:.1} s beside {SLOW} slow readers and {HALF_OPEN} half-open clients; memory rose by {} MiB",
        begun.elapsed().as_secs_f32(),
        most.saturating_sub(before) >> 20,
    );
    let rose = most.saturating_sub(before);
    assert!(rose < MEMORY_MAX, "{rose} bytes more, {} were asked for", (SLOW * ASKED) << 20);
    for mut late in slow.into_iter().take(1) {
        // Who reads at last is given all of it.
        late.set_read_timeout(Some(PATIENCE)).unwrap();
        let whole = (value.len() + b"$1048576\r\n\r\n".len()) * ASKED;
        let mut read = vec![0; 1 << 16];
        let mut count = 0;
        while count < whole {
            let bytes = late.read(&mut read).unwrap();
            assert!(bytes > 0, "it ended after {count} bytes of {whole}");
            count += bytes;
        }
        assert_eq!(count, whole);
    }
    drop(half);
    many_share_what_clients_may_hold(node, &mut good);
    assert_eq!(good.ask(&["GET", "large"]).unwrap(), Reply::Bulk(Some(value.into_bytes())));
    strangers_are_let_go(&mut testbed.cluster.nodes[0]);
    testbed.check_logs();
}

fn ok() -> Reply {
    Reply::Status("OK".to_owned())
}

fn refused(answer: &io::Result<Reply>, what: &str) {
    assert!(matches!(answer, Ok(Reply::Error(_))), "{what}: {answer:?}");
}

/// How much memory a node's process has.
fn resident_bytes(node: &Node) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is told");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}

fn connect(node: &Node) -> TcpStream {
    let stream = TcpStream::connect_timeout(&node.resp(), PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// All that is answered until the node ends the connection.
fn until_end(mut stream: TcpStream, what: &str) -> String {
    let mut answered = Vec::new();
    match stream.read_to_end(&mut answered) {
        Ok(_) => {}
        // What was sent and never read makes the end a reset.
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("{what}: the connection goes on: {error}"),
    }
    String::from_utf8_lossy(&answered).into_owned()
}

fn nonsense_is_answered_and_ends(node: &Node) {
    let cases: [(&[u8], &str); 5] = [
        (b"*x\r\n", "invalid multibulk length"),
        (b"*1\r\n$4294967296\r\n", "invalid bulk length"),
        (b"*2147483647\r\n", "invalid multibulk length"),
        (b"*1\r\n:1\r\n", "expected '$'"),
        (b"SET \"a\r\n", "unbalanced quotes"),
    ];
    for (sent, why) in cases {
        let mut stream = connect(node);
        stream.write_all(sent).unwrap();
        let what = String::from_utf8_lossy(sent).into_owned();
        let answered = until_end(stream, &what);
        assert!(answered.starts_with("-ERR Protocol error"), "{what:?}: {answered:?}");
        assert!(answered.contains(why), "{what:?}: {answered:?}");
    }
}

fn asks_and_reads_not(node: &Node, asked: usize) -> TcpStream {
    let mut stream = connect(node);
    stream.write_all(&b"*2\r\n$3\r\nGET\r\n$5\r\nlarge\r\n".repeat(asked)).unwrap();
    stream
}

/// Clients that together ask for far more than they may hold: others are served meanwhile, and each of theirs is answered
/// by a value or by why not.
fn many_share_what_clients_may_hold(node: &Node, good: &mut Redis) {
    let before = resident_bytes(node);
    let many: Vec<TcpStream> = (0..MANY).map(|_| asks_and_reads_not(node, ASKED_BY_MANY)).collect();
    let mut most = before;
    for number in 0..200 {
        let key = format!("beside-{number}");
        assert_eq!(good.ask(&["SET", &key, "1"]).unwrap(), ok());
        most = resident_bytes(node).max(most);
    }
    let rose = most.saturating_sub(before);
    println!("memory rose by {} MiB with {MANY} slow readers", rose >> 20);
    assert!(
        rose < MEMORY_MAX,
        "{rose} bytes more, {} were asked for",
        (MANY * ASKED_BY_MANY) << 20
    );
    let (mut values, mut refusals) = (0, 0);
    for late in many {
        let mut late = Redis::over(late);
        for _ in 0..ASKED_BY_MANY {
            match late.reply().unwrap() {
                Reply::Bulk(Some(value)) if value.len() == 1 << 20 => values += 1,
                Reply::Error(why) if why.starts_with("BUSY what clients have") => refusals += 1,
                other => panic!("{other:?} is neither the value nor why not"),
            }
        }
    }
    println!("{values} values were answered, {refusals} were refused for want of memory");
    assert!(refusals > 0, "all {values} were answered: the bound was not met");
}

fn begins_and_ends_not(node: &Node) -> TcpStream {
    let mut stream = connect(node);
    stream.write_all(b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$1000000\r\nabc").unwrap();
    stream
}

/// A node with users answers nobody before it knows them, and waits for no name for long.
fn strangers_are_let_go(node: &mut Node) {
    let drawn = program().args(["user", "token"]).output().unwrap();
    let said = String::from_utf8(drawn.stdout).unwrap();
    let hash = said.lines().find(|line| line.starts_with("token_sha256")).expect("a hash is told");
    let token = said.lines().find_map(|line| line.split_once("again): ")).expect("so is a token").1;
    let users = node.home.join("users.toml");
    let rights = r#"rights = [{ verbs = ["read", "update", "admin"] }]"#;
    fs::write(&users, format!("[[user]]\nname = \"me\"\n{hash}\n{rights}\n")).unwrap();
    node.kill();
    node.give("users", users.display());
    node.start();
    until("the node with users serves", PATIENCE, || node.ready());

    let silent = connect(node);
    let mut known = Redis::connect(node.resp(), PATIENCE).unwrap();
    let refusal = known.ask(&["GET", "large"]).unwrap();
    assert!(matches!(&refusal, Reply::Error(why) if why.starts_with("NOAUTH ")), "{refusal:?}");
    assert_eq!(known.ask(&["AUTH", "me", token]).unwrap(), ok());
    for (sent, why) in [
        (&b"*100000\r\n"[..], "unauthenticated multibulk length"),
        (b"*2\r\n$3\r\nGET\r\n$1000000\r\n", "unauthenticated bulk length"),
    ] {
        let mut stream = connect(node);
        stream.write_all(sent).unwrap();
        let answered = until_end(stream, why);
        assert!(answered.contains(why), "{answered:?}");
    }
    let (begun, answered) = (Instant::now(), until_end(silent, "a client that says nothing"));
    println!(
        "who says nothing is let go within {:.1} s: {answered:?}",
        begun.elapsed().as_secs_f32()
    );
    assert_eq!(known.ask(&["SET", "after", "1"]).unwrap(), ok(), "who is known stays");
}
