//! Expiry of single fields: replies and errors as those of Redis 8.0.

mod harness;

use harness::Server;

/// A server, a client, and the hash `h` with the fields `a` and `b`.
fn hash() -> (Server, usize) {
    let mut server = Server::new();
    let client = server.connect();
    assert_eq!(server.say(client, "HSET h a 1 b 2"), ":2\r\n");
    (server, client)
}

fn integers(numbers: &[i64]) -> String {
    let each: String = numbers.iter().map(|number| format!(":{number}\r\n")).collect();
    format!("*{}\r\n{each}", numbers.len())
}

/// Says each line, and compares what is answered.
fn holds(server: &mut Server, client: usize, said: &[(&str, String)]) {
    for (line, answer) in said {
        assert_eq!(server.say(client, line), *answer, "{line}");
    }
}

fn errors(lines: &[(&str, &str)]) {
    let (mut server, client) = hash();
    for (line, text) in lines {
        assert_eq!(server.say(client, line), format!("-ERR {text}\r\n"), "{line}");
    }
    assert_eq!(server.say(client, "HPTTL h FIELDS 2 a b"), integers(&[-1, -1]));
}

#[test]
fn fields_are_told_when_to_expire_and_tell_it() {
    let (mut server, client) = hash();
    server.set_wall_millis(1_000_000);
    holds(
        &mut server,
        client,
        &[
            ("HEXPIRE h 10 FIELDS 2 a z", integers(&[1, -2])),
            ("HTTL h FIELDS 3 a b z", integers(&[10, -1, -2])),
            ("HPTTL h FIELDS 1 a", integers(&[10_000])),
            ("HEXPIRETIME h FIELDS 1 a", integers(&[1_010])),
            ("HPEXPIRETIME h FIELDS 1 a", integers(&[1_010_000])),
            ("HPEXPIRE h 1 FIELDS 1 b", integers(&[1])),
            ("httl h fields 1 b", integers(&[1])),
            ("HEXPIRETIME h FIELDS 1 b", integers(&[1_001])),
            ("HEXPIREAT h 1500 FIELDS 1 b", integers(&[1])),
            ("HPEXPIRETIME h FIELDS 1 b", integers(&[1_500_000])),
            ("HPEXPIREAT h 1600001 FIELDS 1 b", integers(&[1])),
            ("HPEXPIRETIME h FIELDS 1 b", integers(&[1_600_001])),
            ("HPERSIST h FIELDS 3 a z b", integers(&[1, -2, 1])),
            ("HPERSIST h FIELDS 1 a", integers(&[-1])),
            ("HTTL none FIELDS 2 a b", integers(&[-2, -2])),
            ("HEXPIRE none 10 FIELDS 2 a b", integers(&[-2, -2])),
            ("HPERSIST none FIELDS 1 a", integers(&[-2])),
            ("HEXPIRE h 0 FIELDS 2 a b", integers(&[2, 2])),
            ("EXISTS h", ":0\r\n".to_owned()),
        ],
    );
}

#[test]
fn conditions_are_on_when_the_field_expires_so_far() {
    let (mut server, client) = hash();
    holds(
        &mut server,
        client,
        &[
            ("HEXPIRE h 10 XX FIELDS 1 a", integers(&[0])),
            ("HEXPIRE h 10 GT FIELDS 1 a", integers(&[0])),
            ("HEXPIRE h 10 NX FIELDS 1 a", integers(&[1])),
            ("HEXPIRE h 20 NX FIELDS 1 a", integers(&[0])),
            ("HEXPIRE h 5 gt FIELDS 1 a", integers(&[0])),
            ("HEXPIRE h 20 GT FIELDS 1 a", integers(&[1])),
            ("HEXPIRE h 30 LT FIELDS 2 a b", integers(&[0, 1])),
            ("HEXPIRE h 40 XX FIELDS 2 a b", integers(&[1, 1])),
            ("HTTL h FIELDS 2 a b", integers(&[40, 40])),
        ],
    );
}

#[test]
fn a_field_is_not_there_from_its_deadline_on() {
    let (mut server, client) = hash();
    server.set_wall_millis(1_000_000);
    server.say(client, "HPEXPIRE h 50 FIELDS 1 a");
    server.set_wall_millis(1_000_050);
    holds(
        &mut server,
        client,
        &[
            ("HGET h a", "$-1\r\n".to_owned()),
            ("HGETALL h", "*2\r\n$1\r\nb\r\n$1\r\n2\r\n".to_owned()),
            ("HLEN h", ":2\r\n".to_owned()),
            ("HEXISTS h a", ":0\r\n".to_owned()),
            ("HTTL h FIELDS 1 a", integers(&[-2])),
            ("HSET h a 3", ":1\r\n".to_owned()),
            ("HTTL h FIELDS 1 a", integers(&[-1])),
        ],
    );
}

#[test]
fn hgetex_answers_values_and_says_when_they_expire() {
    let (mut server, client) = hash();
    server.set_wall_millis(1_000_000);
    let (one, one_and_none) = ("*1\r\n$1\r\n1\r\n", "*2\r\n$1\r\n1\r\n$-1\r\n");
    holds(
        &mut server,
        client,
        &[
            ("HGETEX h FIELDS 2 a z", one_and_none.to_owned()),
            ("HGETEX none FIELDS 2 a b", "*2\r\n$-1\r\n$-1\r\n".to_owned()),
            ("HGETEX h EX 10 FIELDS 2 a z", one_and_none.to_owned()),
            ("HPTTL h FIELDS 1 a", integers(&[10_000])),
            ("HGETEX h PX 11 FIELDS 1 a", one.to_owned()),
            ("HPTTL h FIELDS 1 a", integers(&[11])),
            ("HGETEX h EXAT 2000 FIELDS 1 a", one.to_owned()),
            ("HPTTL h FIELDS 1 a", integers(&[1_000_000])),
            ("HGETEX h PXAT 1000007 FIELDS 1 a", one.to_owned()),
            ("HPTTL h FIELDS 1 a", integers(&[7])),
            ("HGETEX h FIELDS 1 a", one.to_owned()),
            ("HPTTL h FIELDS 1 a", integers(&[7])),
            ("HGETEX h persist FIELDS 1 a", one.to_owned()),
            ("HPTTL h FIELDS 1 a", integers(&[-1])),
            ("HGETEX h PX 0 FIELDS 1 a", one.to_owned()),
            ("HPTTL h FIELDS 1 a", integers(&[-2])),
        ],
    );
}

#[test]
fn hsetex_sets_fields_and_when_they_expire() {
    let (mut server, client) = hash();
    server.set_wall_millis(1_000_000);
    let [yes, no] = [":1\r\n", ":0\r\n"].map(str::to_owned);
    holds(
        &mut server,
        client,
        &[
            ("HSETEX h FNX EX 10 FIELDS 2 a x c x", no.clone()),
            ("HSETEX h FXX EX 10 FIELDS 2 a x c x", no.clone()),
            ("HSETEX none FXX FIELDS 1 a x", no),
            ("EXISTS none", ":0\r\n".to_owned()),
            ("HSETEX h FNX EX 10 FIELDS 2 c x d x", yes.clone()),
            ("HSETEX h PX 11 FXX FIELDS 1 a y", yes.clone()),
            ("HMGET h a b c d", "*4\r\n$1\r\ny\r\n$1\r\n2\r\n$1\r\nx\r\n$1\r\nx\r\n".to_owned()),
            ("HPTTL h FIELDS 4 a b c d", integers(&[11, -1, 10_000, 10_000])),
            ("HSETEX h KEEPTTL FIELDS 2 a z b z", yes.clone()),
            ("HPTTL h FIELDS 2 a b", integers(&[11, -1])),
            ("HSETEX h FIELDS 1 a z", yes.clone()),
            ("HPTTL h FIELDS 1 a", integers(&[-1])),
            ("HSETEX h EXAT 2000 FIELDS 1 a z", yes.clone()),
            ("HPTTL h FIELDS 1 a", integers(&[1_000_000])),
            ("HSETEX h PXAT 7 FIELDS 1 a z", yes),
            ("HPTTL h FIELDS 1 a", integers(&[-2])),
        ],
    );
}

#[test]
fn hexpire_complains_as_redis_does() {
    let position = "Mandatory argument FIELDS is missing or not at the right position";
    let positive = "Parameter `numFields` should be greater than 0";
    let matches = "The `numfields` parameter must match the number of arguments";
    let integer = "value is not an integer or out of range";
    errors(&[
        ("HEXPIRE h 10 FIELDS 1", "wrong number of arguments for 'hexpire' command"),
        ("HEXPIRE h x FIELDS 1 a", integer),
        ("HEXPIRE h -1 FIELDS 1 a", "invalid expire time, must be >= 0"),
        ("HEXPIRE h 70368744178 FIELDS 1 a", "invalid expire time in 'hexpire' command"),
        ("HPEXPIREAT h 70368744177664 FIELDS 1 a", "invalid expire time in 'hpexpireat' command"),
        ("HPEXPIRE h 70368744177663 FIELDS 1 a", "invalid expire time in 'hpexpire' command"),
        (
            "HEXPIREAT h 9223372036854775807 FIELDS 1 a",
            "invalid expire time in 'hexpireat' command",
        ),
        ("HEXPIRE h 10 YY FIELDS 1 a", position),
        ("HEXPIRE h 10 NX GT FIELDS 1 a", position),
        ("HEXPIRE h 10 FIELDS 0 a", positive),
        ("HEXPIRE h 10 FIELDS x a", positive),
        ("HEXPIRE h 10 FIELDS 2 a", matches),
        ("HEXPIRE h 10 NX FIELDS 1", matches),
        ("HEXPIRE h 10 FIELDS 1 a NX", matches),
    ]);
}

#[test]
fn what_reads_or_drops_deadlines_complains_as_redis_does() {
    for command in ["HTTL", "HPTTL", "HEXPIRETIME", "HPEXPIRETIME", "HPERSIST"] {
        let name = command.to_lowercase();
        errors(&[
            (
                &format!("{command} h FIELDS 1"),
                &format!("wrong number of arguments for '{name}' command"),
            ),
            (
                &format!("{command} h FELD 1 a"),
                "Mandatory argument FIELDS is missing or not at the right position",
            ),
            (&format!("{command} h FIELDS 0 a"), "Number of fields must be a positive integer"),
            (&format!("{command} h FIELDS x a"), "Number of fields must be a positive integer"),
            (
                &format!("{command} h FIELDS 2 a"),
                "The `numfields` parameter must match the number of arguments",
            ),
        ]);
    }
}

#[test]
fn hgetex_and_hsetex_complain_as_redis_does() {
    let arity = |name| format!("wrong number of arguments for '{name}' command");
    let (get, set) = (arity("hgetex"), arity("hsetex"));
    let get_one = "Only one of EX, PX, EXAT, PXAT or PERSIST arguments can be specified";
    let set_one = "Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified";
    let condition = "Only one of FXX or FNX arguments can be specified";
    let negative = "invalid expire time, must be >= 0";
    errors(&[
        ("HGETEX h FIELDS 1", &get),
        ("HGETEX h EX 10 FIELDS", &get),
        ("HGETEX h EX 10 FIELDS 1", &get),
        ("HGETEX h FIELDS 2 a", &get),
        ("HGETEX h FIELDS 1 a b", &get),
        ("HGETEX h FIELDS 0 a", "invalid number of fields"),
        ("HGETEX h FIELDS x a", "invalid number of fields"),
        ("HGETEX h KEEPTTL FIELDS 1 a", "unknown argument: KEEPTTL"),
        ("HGETEX h EX -1 FIELDS 1 a", negative),
        ("HGETEX h EX x FIELDS 1 a", "value is not an integer or out of range"),
        ("HGETEX h EX 99999999999 FIELDS 1 a", "invalid expire time in 'hgetex' command"),
        ("HGETEX h EX 1 EX 2 FIELDS 1 a", get_one),
        ("HGETEX h PERSIST PX 2 FIELDS 1 a", get_one),
        ("HGETEX h EX 1 PERSIST EXAT", get_one),
        ("HSETEX h FIELDS 1 a", &set),
        ("HSETEX h FNX EX 10 FIELDS 1 a", &set),
        ("HSETEX h FIELDS 2 a 1", &set),
        ("HSETEX h FIELDS 1 a 1 b", &set),
        ("HSETEX h FIELDS 1 a 1 b 2", &set),
        ("HSETEX h FIELDS 0 a 1", "invalid number of fields"),
        ("HSETEX h NX FIELDS 1 a 1", "unknown argument: NX"),
        ("HSETEX h PERSIST FIELDS 1 a 1", "unknown argument: PERSIST"),
        ("HSETEX h PX -1 FIELDS 1 a 1", negative),
        ("HSETEX h PXAT 70368744177664 FIELDS 1 a 1", "invalid expire time in 'hsetex' command"),
        ("HSETEX h EX 1 KEEPTTL FIELDS 1 a 1", set_one),
        ("HSETEX h KEEPTTL KEEPTTL FIELDS 1 a 1", set_one),
        ("HSETEX h FNX FXX FIELDS 1 a 1", condition),
        ("HSETEX h FXX FXX FIELDS 1 a 1", condition),
        ("HSETEX h FNX EX 10 PX", set_one),
        ("HSETEX h FNX KEEPTTL fnx a", condition),
    ]);
}

#[test]
fn on_another_type_all_answer_that_it_is_one() {
    let mut server = Server::new();
    let client = server.connect();
    server.say(client, "SET s x");
    let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
    for line in [
        "HEXPIRE s 10 FIELDS 1 a",
        "HPEXPIRE s 10 FIELDS 1 a",
        "HEXPIREAT s 10 FIELDS 1 a",
        "HPEXPIREAT s 10 FIELDS 1 a",
        "HTTL s FIELDS 1 a",
        "HPTTL s FIELDS 1 a",
        "HEXPIRETIME s FIELDS 1 a",
        "HPEXPIRETIME s FIELDS 1 a",
        "HPERSIST s FIELDS 1 a",
        "HGETEX s FIELDS 1 a",
        "HGETEX s EX 10 FIELDS 1 a",
        "HSETEX s FIELDS 1 a 1",
    ] {
        assert_eq!(server.say(client, line), wrong, "{line}");
    }
}

#[test]
fn copies_keep_deadlines_and_dump_says_that_it_cannot() {
    let (mut server, client) = hash();
    server.set_wall_millis(1_000_000);
    server.say(client, "HPEXPIREAT h 1500000 FIELDS 1 a");
    assert_eq!(server.say(client, "COPY h copy"), ":1\r\n");
    assert_eq!(server.say(client, "RENAME copy moved"), "+OK\r\n");
    assert_eq!(server.say(client, "HPEXPIRETIME moved FIELDS 2 a b"), integers(&[1_500_000, -1]));
    let refused = "-ERR the key has fields that expire, which have no form in the format of Redis 7.0: HPERSIST them first\r\n";
    assert_eq!(server.say(client, "DUMP h"), refused);
    server.say(client, "HPERSIST h FIELDS 1 a");
    assert!(server.say(client, "DUMP h").starts_with('$'));
}
