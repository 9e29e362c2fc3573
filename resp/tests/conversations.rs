//! Whole conversations, bytes in and bytes out, over a store in memory.

mod harness;

use harness::Server;

#[test]
fn a_value_is_set_and_read_in_both_versions_of_the_protocol() {
    let mut server = Server::new();
    let client = server.connect();
    assert_eq!(server.say(client, "SET k v"), "+OK\r\n");
    assert_eq!(server.say(client, "GET k"), "$1\r\nv\r\n");
    assert_eq!(server.say(client, "GET nothing"), "$-1\r\n");
    let hello = server.say(client, "HELLO 3");
    assert!(hello.starts_with("%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n"), "{hello}");
    assert!(hello.contains("$5\r\nproto\r\n:3\r\n"), "{hello}");
    assert_eq!(server.say(client, "GET nothing"), "_\r\n");
}

#[test]
fn replies_go_out_in_the_order_of_commands_whatever_the_order_of_answers() {
    for seed in 0..20 {
        let mut server = Server::shuffled(seed);
        let client = server.connect();
        let mut said = String::new();
        let mut expected = String::new();
        for n in 0..60 {
            said.push_str(&format!("SET k{} v{n}\r\nGET k{}\r\nPING {n}\r\n", n % 7, n % 7));
            let value = format!("v{n}");
            let ping = n.to_string();
            expected.push_str(&format!("+OK\r\n${}\r\n{value}\r\n", value.len()));
            expected.push_str(&format!("${}\r\n{ping}\r\n", ping.len()));
        }
        assert_eq!(server.send(client, said.as_bytes()), expected, "seed {seed}");
    }
}

#[test]
fn what_is_unknown_or_misused_is_answered_as_in_redis() {
    let mut server = Server::new();
    let client = server.connect();
    let unknown = "-ERR unknown command 'nosuch', with args beginning with: 'a' 'b' \r\n";
    assert_eq!(server.say(client, "nosuch a b"), unknown);
    let arity = "-ERR wrong number of arguments for 'get' command\r\n";
    assert_eq!(server.say(client, "GET"), arity);
    assert_eq!(server.say(client, "PING"), "+PONG\r\n");
    assert_eq!(server.say(client, "SELECT 16"), "-ERR DB index is out of range\r\n");
    let line = "-ERR Protocol error: invalid multibulk length\r\n";
    assert_eq!(server.say(client, "*x"), line);
    assert!(server.has_ended(client));
}

#[test]
fn a_bucket_that_is_selected_has_keys_of_its_own() {
    let mut server = Server::new();
    let client = server.connect();
    let said = b"SET k 0\r\nSELECT 1\r\nGET k\r\nSET k 1\r\nSELECT 0\r\nGET k\r\n";
    assert_eq!(server.send(client, said), "+OK\r\n+OK\r\n$-1\r\n+OK\r\n+OK\r\n$1\r\n0\r\n");
}

#[test]
fn who_has_not_said_who_it_is_may_do_nothing_but_that() {
    let mut server = Server::new();
    server.set_user("default", &[">s3cret"]);
    let client = server.connect();
    assert_eq!(server.say(client, "GET k"), "-NOAUTH Authentication required.\r\n");
    assert!(server.say(client, "HELLO 3").starts_with("-NOAUTH HELLO must be called"));
    let wrong = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    assert_eq!(server.say(client, "AUTH wrong"), wrong);
    assert_eq!(server.say(client, "AUTH default s3cret"), "+OK\r\n");
    assert_eq!(server.say(client, "GET k"), "$-1\r\n");
    let other = server.connect();
    assert!(server.say(other, "HELLO 3 AUTH default s3cret SETNAME me").starts_with("%7\r\n"));
}
