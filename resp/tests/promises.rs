//! What a connection is promised: levels, sessions, typed outcomes, order, and bounded memory.

mod harness;

use std::collections::BTreeSet;
use std::time::Duration;

use coterie_resp::ask::{Answer, Ask};
use coterie_ring::Level;
use coterie_wire::{ChangedDots, Outcome, QuorumCount, Refused, Unavailable};
use harness::Server;

#[test]
fn what_is_known_of_a_request_that_was_not_done_is_said() {
    let mut server = Server::new();
    let client = server.connect();
    let count = QuorumCount { have: 1, need: 2 };
    let cases = [
        (
            Outcome::Unavailable(Unavailable::Owners(count)),
            "-UNAVAILABLE too few owners are alive: 1 of 2\r\n",
        ),
        (
            Outcome::Unknown { count, changed: ChangedDots::default() },
            "-UNKNOWN 1/2 owners are known to hold it: it may take effect, now or later\r\n",
        ),
        (Outcome::Refused(Refused::DiskFull), "-FULL the disk is almost full; reads go on\r\n"),
        (
            Outcome::Refused(Refused::NotServing),
            "-LOADING this node does not serve requests now\r\n",
        ),
        (Outcome::Refused(Refused::NoSuchBucket), "-ERR there is no such bucket\r\n"),
    ];
    for (outcome, text) in cases {
        server.outcome = Some(outcome);
        assert_eq!(server.say(client, "SET k v"), text);
    }
    server.outcome = Some(Outcome::Refused(Refused::Busy));
    assert!(server.say(client, "GET k").starts_with("-BUSY "));
    server.outcome = None;
    assert_eq!(server.say(client, "GET k"), "$-1\r\n");
}

#[test]
fn levels_are_asked_for_shown_and_sent() {
    let mut server = Server::new();
    let client = server.connect();
    let levels = |write: &str, read: &str| {
        let (w, r) = (write.len(), read.len());
        format!("*4\r\n$5\r\nwrite\r\n${w}\r\n{write}\r\n$4\r\nread\r\n${r}\r\n{read}\r\n")
    };
    assert_eq!(server.say(client, "COTERIE CONSISTENCY"), levels("quorum", "quorum"));
    assert_eq!(server.say(client, "COTERIE CONSISTENCY any"), "+OK\r\n");
    assert_eq!(server.say(client, "COTERIE CONSISTENCY"), levels("any", "one"));
    assert_eq!(server.say(client, "COTERIE CONSISTENCY all one"), "+OK\r\n");
    assert!(server.say(client, "COTERIE CONSISTENCY one any").starts_with("-ERR "));
    assert!(server.say(client, "COTERIE CONSISTENCY linearizable one").starts_with("-ERR "));
    assert!(server.say(client, "COTERIE CONSISTENCY some").starts_with("-ERR "));
    assert_eq!(server.say(client, "COTERIE DEADLINE 1234"), "+OK\r\n");
    server.connection(client).input().extend_from_slice(b"GET k\r\n");
    server.go_on(client);
    let Some((id, Ask::Request(request))) = server.connection(client).next_ask() else {
        panic!("a request is asked for")
    };
    assert_eq!(request.levels.write, Some(Level::All));
    assert_eq!(request.levels.read, Some(Level::One));
    assert_eq!(request.time_left, Duration::from_millis(1_234));
    let answer = server.carry_out(Ask::Request(request));
    server.answer(client, id, answer);
    assert_eq!(server.read(client), b"$-1\r\n");
}

#[test]
fn commands_that_wait_keep_the_levels_that_they_were_given_under() {
    let mut server = Server::new();
    let client = server.connect();
    assert_eq!(server.say(client, "COTERIE CONSISTENCY all all"), "+OK\r\n");
    let said = b"SET k v\r\nGET k\r\nCOTERIE CONSISTENCY one one\r\nCOTERIE DEADLINE 1\r\n";
    server.connection(client).input().extend_from_slice(said);
    server.go_on(client);
    for asked in ["SET", "GET"] {
        let Some((id, Ask::Request(request))) = server.connection(client).next_ask() else {
            panic!("{asked} is asked for")
        };
        assert_eq!(request.levels.write, Some(Level::All), "{asked}");
        assert_eq!(request.levels.read, Some(Level::All), "{asked}");
        assert!(request.time_left > Duration::from_millis(1), "{asked}");
        let answer = server.carry_out(Ask::Request(request));
        server.answer(client, id, answer);
    }
    assert_eq!(server.read(client), b"+OK\r\n$1\r\nv\r\n+OK\r\n+OK\r\n");
}

#[test]
fn concurrent_values_are_shown_with_a_token_that_replaces_them() {
    let mut server = Server::new();
    let client = server.connect();
    assert_eq!(server.say(client, "SET k v"), "+OK\r\n");
    let reply = server.command(client, &[b"COTERIE", b"CONTEXT", b"k"]);
    let head = b"*4\r\n$7\r\ncontext\r\n$";
    assert!(reply.starts_with(head));
    let rest = &reply[head.len()..];
    let line = rest.iter().position(|byte| *byte == b'\r').unwrap();
    let length: usize = std::str::from_utf8(&rest[..line]).unwrap().parse().unwrap();
    let token = rest[line + 2..line + 2 + length].to_vec();
    assert!(reply.ends_with(b"$6\r\nvalues\r\n*1\r\n$1\r\nv\r\n"));
    assert_eq!(server.command(client, &[b"COTERIE", b"RESOLVE", b"k", &token, b"w"]), b"+OK\r\n");
    assert_eq!(server.say(client, "GET k"), "$1\r\nw\r\n");
    let wrong = server.command(client, &[b"COTERIE", b"RESOLVE", b"j", &token, b"w"]);
    assert_eq!(wrong, b"-ERR the context token is for another key\r\n");
    let explained = server.say(client, "COTERIE EXPLAIN k");
    assert!(explained.contains("$4\r\ntype\r\n$6\r\nstring\r\n"), "{explained}");
    assert!(explained.contains("$6\r\ndigest\r\n$32\r\n"), "{explained}");
}

#[test]
fn buckets_and_sessions_are_chosen_by_name() {
    let mut server = Server::new();
    let client = server.connect();
    assert_eq!(server.say(client, "COTERIE BUCKET"), "$3\r\ndb0\r\n");
    assert_eq!(server.say(client, "COTERIE BUCKET other"), "+OK\r\n");
    assert_eq!(server.say(client, "SET k other"), "+OK\r\n");
    assert_eq!(server.say(client, "COTERIE BUCKET nosuch"), "-ERR there is no such bucket\r\n");
    assert_eq!(server.say(client, "SELECT 0"), "+OK\r\n");
    assert_eq!(server.say(client, "GET k"), "$-1\r\n");
    assert_eq!(server.say(client, "COTERIE SESSION"), "$7\r\ndefault\r\n");
    assert_eq!(server.say(client, "COTERIE SESSION monotonic"), "+OK\r\n");
    assert_eq!(server.say(client, "SET k v"), "+OK\r\n");
    assert_eq!(server.say(client, "GET k"), "$1\r\nv\r\n");
    assert_eq!(server.say(client, "WAIT 1 10"), ":0\r\n", "there is one owner");
}

#[test]
fn commands_on_other_keys_do_not_wait_and_those_on_one_key_do() {
    let mut server = Server::new();
    let client = server.connect();
    let said = b"SET a 1\r\nSET b 1\r\nGET a\r\nDBSIZE\r\nSET c 1\r\n";
    server.connection(client).input().extend_from_slice(said);
    server.go_on(client);
    let mut asks = Vec::new();
    while let Some(ask) = server.connection(client).next_ask() {
        asks.push(ask);
    }
    assert_eq!(asks.len(), 2, "a and b are set at once; what reads a waits, and what counts all");
    for (id, ask) in asks.into_iter().rev() {
        let answer = server.carry_out(ask);
        server.answer(client, id, answer);
    }
    server.answer_all(client);
    assert_eq!(server.read(client), b"+OK\r\n+OK\r\n$1\r\n1\r\n:2\r\n+OK\r\n");
}

#[test]
fn all_keys_are_scanned_counted_and_flushed() {
    for seed in [0, 5] {
        let mut server = Server::shuffled(seed);
        let client = server.connect();
        for n in 0..500 {
            assert_eq!(server.say(client, &format!("SET key:{n} v")), "+OK\r\n");
        }
        assert_eq!(server.say(client, "SELECT 1"), "+OK\r\n");
        assert_eq!(server.say(client, "SET other v"), "+OK\r\n");
        assert_eq!(server.say(client, "DBSIZE"), ":1\r\n");
        assert_eq!(server.say(client, "RANDOMKEY"), "$5\r\nother\r\n");
        assert_eq!(server.say(client, "SELECT 0"), "+OK\r\n");
        assert_eq!(server.say(client, "DBSIZE"), ":500\r\n");
        let (mut cursor, mut seen, mut calls) = ("0".to_owned(), BTreeSet::new(), 0);
        loop {
            let reply = server.say(client, &format!("SCAN {cursor} COUNT 20 TYPE string"));
            let mut lines = reply.split("\r\n").filter(|line| !line.starts_with(['*', '$']));
            cursor = lines.next().unwrap().to_owned();
            seen.extend(lines.filter(|line| !line.is_empty()).map(str::to_owned));
            calls += 1;
            if cursor == "0" {
                break;
            }
        }
        assert_eq!(seen.len(), 500);
        assert!(calls > 8, "a scan comes in pages");
        let keys = server.say(client, "KEYS key:1?");
        assert!(keys.starts_with("*10\r\n"), "{keys}");
        assert_eq!(server.say(client, "SCAN 0 TYPE list"), "*2\r\n$1\r\n0\r\n*0\r\n");
        assert!(server.say(client, "RANDOMKEY").contains("key:"));
        assert_eq!(server.say(client, "SCAN x"), "-ERR invalid cursor\r\n");
        assert_eq!(server.say(client, "FLUSHDB ASYNC"), "+OK\r\n");
        assert_eq!(server.say(client, "DBSIZE"), ":0\r\n");
        assert_eq!(server.say(client, "RANDOMKEY"), "$-1\r\n");
        assert_eq!(server.say(client, "FLUSHALL"), "+OK\r\n");
        assert_eq!(server.send(client, b"SELECT 1\r\nDBSIZE\r\n"), "+OK\r\n:0\r\n");
    }
}

#[test]
fn a_client_that_does_not_read_what_it_asked_is_not_asked_for_more() {
    let mut server = Server::new();
    let client = server.connect();
    let value = "v".repeat(500_000);
    let set = server.command(client, &[b"SET", b"k", value.as_bytes()]);
    assert_eq!(set, b"+OK\r\n");
    let mut taken = 0;
    for _ in 0..10_000 {
        let line = b"GET k\r\n";
        if server.connection(client).wants_input() < line.len() {
            break;
        }
        server.connection(client).input().extend_from_slice(line);
        server.go_on(client);
        server.answer_all(client);
        taken += 1;
    }
    assert!(taken < 10, "{taken} were taken though nothing was read");
    assert!(server.connection(client).output().len() < 4 << 20);
    let mut read = 0;
    loop {
        let bytes = server.read(client).len();
        server.answer_all(client);
        if bytes == 0 {
            break;
        }
        read += bytes;
    }
    assert_eq!(read, taken * (value.len() + "$500000\r\n\r\n".len()));
    assert!(server.connection(client).wants_input() > 0);
}

#[test]
fn what_waited_for_a_client_to_read_is_asked_once_it_has_read() {
    let mut server = Server::new();
    let client = server.connect();
    let value = "v".repeat(100_000);
    let mut said = Vec::new();
    for n in 0..100 {
        let key = format!("k{n}");
        server.command(client, &[b"SET", key.as_bytes(), value.as_bytes()]);
        said.extend_from_slice(format!("GET {key}\r\n").as_bytes());
    }
    // Of a connection that has not shown yet how small its answers are, only so many questions go out at first.
    let client = server.connect();
    server.connection(client).input().extend_from_slice(&said);
    server.go_on(client);
    server.answer_all(client);
    assert!(!server.connection(client).has_ask(), "much is unread");
    let mut read = server.read(client).len();
    assert!(server.connection(client).has_ask(), "whoever writes is told to ask again");
    while server.connection(client).has_ask() {
        server.answer_all(client);
        read += server.read(client).len();
    }
    assert_eq!(read, 100 * (value.len() + "$100000\r\n\r\n".len()));
}

#[test]
fn only_so_many_questions_are_handed_out_at_once() {
    let mut server = Server::new();
    let client = server.connect();
    let mut said = Vec::new();
    for n in 0..5_000 {
        said.extend_from_slice(format!("GET k{n}\r\n").as_bytes());
    }
    server.connection(client).input().extend_from_slice(&said);
    server.go_on(client);
    let mut asks = Vec::new();
    while let Some(ask) = server.connection(client).next_ask() {
        asks.push(ask);
    }
    assert_eq!(asks.len(), 8);
    assert_eq!(server.connection(client).wants_input(), 0, "1,024 commands are under way");
    for (id, ask) in asks {
        let answer = server.carry_out(ask);
        server.answer(client, id, answer);
    }
    server.answer_all(client);
    assert_eq!(server.read(client).len(), 5_000 * "$-1\r\n".len());
}

#[test]
fn who_does_not_say_who_it_is_in_time_is_closed() {
    let mut server = Server::new();
    server.set_user("default", &[">s"]);
    let client = server.connect();
    assert_eq!(server.say(client, "PING"), "-NOAUTH Authentication required.\r\n");
    server.advance(Duration::from_secs(6));
    server.go_on(client);
    assert!(server.has_ended(client));
    let other = server.connect();
    assert_eq!(server.say(other, "AUTH s"), "+OK\r\n");
    server.advance(Duration::from_secs(6));
    server.go_on(other);
    assert!(!server.has_ended(other));
}

#[test]
fn an_answer_that_comes_after_the_end_changes_nothing() {
    let mut server = Server::new();
    let client = server.connect();
    server.connection(client).input().extend_from_slice(b"GET k\r\n");
    server.go_on(client);
    let (id, ask) = server.connection(client).next_ask().unwrap();
    server.connection(client).kill();
    let answer = server.carry_out(ask);
    server.answer(client, id, answer.clone());
    assert!(matches!(answer, Answer::Outcome(Outcome::Done(_))));
    assert!(server.has_ended(client));
}

#[test]
fn commands_on_one_key_that_wait_for_each_other_go_as_one_request() {
    let mut server = Server::new();
    let client = server.connect();
    let mut said = Vec::new();
    for n in 0..16 {
        said.extend_from_slice(format!("SET k {n}\r\n").as_bytes());
    }
    assert_eq!(server.send(client, &said), "+OK\r\n".repeat(16));
    assert_eq!(server.requests, 1);
    assert_eq!(
        server.send(client, b"GET k\r\nGET k\r\nSET k x\r\nGET k\r\n").matches("15").count(),
        2
    );
    assert_eq!(server.requests, 4, "what reads does not go with what writes");
    server.outcome = Some(Outcome::Unavailable(Unavailable::Nobody));
    let refused = server.send(client, b"SET k 1\r\nSET k 2\r\nPING\r\n");
    assert_eq!(refused.matches("-UNAVAILABLE").count(), 2);
    assert!(refused.ends_with("+PONG\r\n"));
    server.outcome = None;
    assert_eq!(server.say(client, "COTERIE CONSISTENCY linearizable"), "+OK\r\n");
    let before = server.requests;
    assert_eq!(server.send(client, b"SET k 1\r\nSET k 2\r\n"), "+OK\r\n+OK\r\n");
    assert_eq!(server.requests, before + 2);
}

#[test]
fn what_was_sent_before_the_end_of_input_is_answered() {
    let mut server = Server::new();
    let client = server.connect();
    let said = b"SET k v\r\nDBSIZE\r\nGET k\r\nGE";
    server.connection(client).input().extend_from_slice(said);
    server.go_on(client);
    server.connection(client).input_ended();
    assert!(!server.has_ended(client));
    server.answer_all(client);
    assert_eq!(server.read(client), b"+OK\r\n:1\r\n$1\r\nv\r\n");
    assert!(server.has_ended(client));
}

#[test]
fn much_that_waits_for_one_answer_is_bounded() {
    let mut server = Server::new();
    let client = server.connect();
    let value = vec![b'v'; 900_000];
    assert_eq!(server.command(client, &[b"SET", b"large", &value]), b"+OK\r\n");
    server.connection(client).input().extend_from_slice(b"GET first\r\n");
    for n in 0..900 {
        let line =
            format!("GET large{}\r\n", if n == 0 { "" } else { "?" }).replace('?', &n.to_string());
        server.connection(client).input().extend_from_slice(line.as_bytes());
    }
    server.go_on(client);
    let (first, ask) = server.connection(client).next_ask().unwrap();
    let mut answered = 0;
    while let Some((id, other)) = server.connection(client).next_ask() {
        let Ask::Request(request) = other else { panic!("only requests") };
        let large = coterie_wire::Key::new(request.key.bucket().clone(), &b"large"[..]);
        let request = coterie_wire::Request { key: large, ..*request };
        let answer = server.carry_out(Ask::Request(Box::new(request)));
        server.answer(client, id, answer);
        answered += 1;
    }
    assert!(answered < 30, "{answered} large answers are kept, though the first command has none");
    let answer = server.carry_out(ask);
    server.answer(client, first, answer);
    assert!(server.connection(client).next_ask().is_none(), "first what is there is to be read");
    assert!(server.connection(client).output().len() > 1 << 20);
}
