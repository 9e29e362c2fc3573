//! What clients ask on connecting and afterwards about the node, themselves and the table: whole conversations.

mod harness;

use harness::Server;

/// Bulk strings of a reply, in order.
fn bulks(reply: &str) -> Vec<String> {
    let mut lines = reply.split("\r\n");
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        if line.starts_with('$') && line != "$-1" {
            found.extend(lines.next().map(str::to_owned));
        }
    }
    found
}

#[test]
fn what_redis_py_and_ioredis_and_go_redis_send_first_is_answered_without_errors() {
    let mut server = Server::new();
    let client = server.connect();
    assert!(server.say(client, "HELLO 3").contains("$5\r\nproto\r\n:3\r\n"));
    let unknown = "-ERR unknown subcommand 'MAINT_NOTIFICATIONS'. Try CLIENT HELP.\r\n";
    assert_eq!(server.say(client, "CLIENT MAINT_NOTIFICATIONS ON"), unknown);
    assert_eq!(server.say(client, "CLIENT SETNAME me"), "+OK\r\n");
    assert_eq!(server.say(client, "CLIENT SETINFO LIB-NAME redis-py"), "+OK\r\n");
    assert_eq!(server.say(client, "CLIENT SETINFO LIB-VER 7.0"), "+OK\r\n");
    assert_eq!(server.say(client, "SELECT 0"), "+OK\r\n");
    assert_eq!(server.say(client, "READONLY"), "+OK\r\n");
    assert_eq!(server.say(client, "CLIENT GETNAME"), "$2\r\nme\r\n");
    let info = server.say(client, "INFO");
    for line in ["redis_version:7.", "loading:0\r\n", "role:master\r\n", "# Coterie\r\n"] {
        assert!(info.contains(line), "{line} is missing in {info}");
    }
    assert!(!info.contains("# Commandstats"));
    let list = server.say(client, "CLIENT LIST");
    assert!(list.contains(" name=me ") && list.contains(" lib-name=redis-py "), "{list}");
    assert!(list.contains(" resp=3 ") && list.contains(" user=default "), "{list}");
}

#[test]
fn redis_benchmark_and_redis_cli_find_what_they_ask_for() {
    let mut server = Server::new();
    let client = server.connect();
    assert_eq!(server.say(client, "CONFIG GET save"), "*2\r\n$4\r\nsave\r\n$0\r\n\r\n");
    assert_eq!(
        server.say(client, "CONFIG GET appendonly"),
        "*2\r\n$10\r\nappendonly\r\n$3\r\nyes\r\n"
    );
    assert_eq!(bulks(&server.say(client, "CONFIG GET databases")), ["databases", "16"]);
    assert_eq!(server.say(client, "CONFIG SET timeout 100"), "+OK\r\n");
    assert_eq!(bulks(&server.say(client, "CONFIG GET timeout")), ["timeout", "100"]);
    let refused = server.say(client, "CONFIG SET port 1");
    assert!(refused.starts_with("-ERR CONFIG SET failed"), "{refused}");
    let docs = server.say(client, "COMMAND DOCS get client");
    let docs = bulks(&docs);
    assert_eq!(docs[..2], ["get", "summary"]);
    assert!(docs.contains(&"client|list".to_owned()));
    let all = server.say(client, "COMMAND");
    assert!(
        all.starts_with('*')
            && all.contains("$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n")
    );
    let count = server.say(client, "COMMAND COUNT");
    assert_eq!(
        count.trim_start_matches(':'),
        all[1..].split_once("\r\n").unwrap().0.to_owned() + "\r\n"
    );
    assert_eq!(bulks(&server.say(client, "COMMAND GETKEYS SET k v")), ["k"]);
    let none = "-ERR The command has no key arguments\r\n";
    assert_eq!(server.say(client, "COMMAND GETKEYS PING"), none);
    let flags = server.say(client, "COMMAND GETKEYSANDFLAGS SET k v");
    assert_eq!(flags, "*1\r\n*2\r\n$1\r\nk\r\n*2\r\n+OW\r\n+update\r\n");
    let list = server.say(client, "COMMAND LIST FILTERBY PATTERN se*");
    assert!(bulks(&list).contains(&"select".to_owned()), "{list}");
}

#[test]
fn the_cluster_is_shown_as_slots_of_which_any_node_may_be_asked() {
    let mut server = Server::new();
    let client = server.connect();
    assert_eq!(server.say(client, "CLUSTER KEYSLOT foo"), ":12182\r\n");
    let slots = server.say(client, "CLUSTER SLOTS");
    assert!(
        slots.starts_with("*1\r\n*3\r\n:0\r\n:16383\r\n*4\r\n$9\r\n127.0.0.1\r\n:7379\r\n$40\r\n"),
        "{slots}"
    );
    assert!(server.say(client, "CLUSTER INFO").contains("cluster_state:ok\r\n"));
    assert!(
        server.say(client, "CLUSTER NODES").contains("myself,master - 0 0 1 connected 0-16383")
    );
    assert!(bulks(&server.say(client, "CLUSTER SHARDS")).contains(&"online".to_owned()));
}

#[test]
fn a_client_that_wants_no_replies_gets_none() {
    let mut server = Server::new();
    let client = server.connect();
    assert_eq!(server.say(client, "CLIENT REPLY OFF"), "");
    assert_eq!(server.say(client, "SET k v"), "");
    assert_eq!(server.say(client, "PING"), "");
    assert_eq!(server.say(client, "CLIENT REPLY ON"), "+OK\r\n");
    assert_eq!(server.send(client, b"CLIENT REPLY SKIP\r\nGET k\r\nGET k\r\n"), "$1\r\nv\r\n");
}

#[test]
fn clients_are_listed_killed_and_paused() {
    let mut server = Server::new();
    let (a, b) = (server.connect(), server.connect());
    assert_eq!(server.say(a, "CLIENT ID"), ":1\r\n");
    assert_eq!(server.say(a, "CLIENT KILL ID 2"), ":1\r\n");
    assert!(server.has_ended(b) && !server.has_ended(a));
    let none = "-ERR No such client\r\n";
    assert_eq!(server.say(a, "CLIENT KILL 127.0.0.1:1"), none);
    let c = server.connect();
    assert_eq!(server.say(a, "CLIENT PAUSE 1000"), "+OK\r\n");
    assert_eq!(server.say(c, "PING"), "");
    server.advance(std::time::Duration::from_secs(2));
    server.go_on(c);
    assert_eq!(server.read(c), b"+PONG\r\n");
    assert_eq!(server.say(a, "QUIT"), "+OK\r\n");
    assert!(server.has_ended(a));
}

#[test]
fn users_are_made_checked_and_removed() {
    let mut server = Server::new();
    let (root, ann) = (server.connect(), server.connect());
    let made = server.say(root, "ACL SETUSER ann on >pw ~cart:* +get +set +client|id -@dangerous");
    assert_eq!(made, "+OK\r\n");
    assert_eq!(server.say(ann, "AUTH ann pw"), "+OK\r\n");
    assert_eq!(server.say(ann, "SET cart:1 v"), "+OK\r\n");
    assert_eq!(server.say(ann, "GET other"), "-NOPERM No permissions to access a key\r\n");
    let denied = "-NOPERM User ann has no permissions to run the 'dbsize' command\r\n";
    assert_eq!(server.say(ann, "DBSIZE"), denied);
    assert_eq!(server.say(ann, "CLIENT ID"), ":2\r\n");
    let denied = "-NOPERM User ann has no permissions to run the 'client|list' command\r\n";
    assert_eq!(server.say(ann, "CLIENT LIST"), denied);
    assert_eq!(server.say(root, "ACL WHOAMI"), "$7\r\ndefault\r\n");
    assert_eq!(bulks(&server.say(root, "ACL USERS")), ["ann", "default"]);
    let error = server.say(root, "ACL SETUSER bob +nosuch");
    assert!(error.starts_with("-ERR Error in ACL SETUSER modifier '+nosuch': Unknown command"));
    assert_eq!(server.say(root, "ACL DRYRUN ann GET cart:9"), "+OK\r\n");
    assert!(
        server.say(root, "ACL DRYRUN ann GET x").contains("no permissions to access the 'x' key")
    );
    assert_eq!(server.say(root, "ACL DELUSER ann"), ":1\r\n");
    assert_eq!(server.say(ann, "GET cart:1"), "");
    assert!(server.has_ended(ann), "its user is gone");
}

#[test]
fn a_command_that_a_client_may_not_give_is_not_kept() {
    let mut server = Server::new();
    server.set_user("default", &["-set"]);
    let client = server.connect();
    let mut bytes = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000000\r\n".to_vec();
    assert_eq!(server.send(client, &bytes), "");
    for _ in 0..10 {
        bytes = vec![b'v'; 100_000];
        assert_eq!(server.send(client, &bytes), "");
        assert!(server.connection(client).input().is_empty());
    }
    let denied = "-NOPERM User default has no permissions to run the 'set' command\r\n+PONG\r\n";
    assert_eq!(server.send(client, b"\r\nPING\r\n"), denied);
}

#[test]
fn slow_commands_and_objects_and_time_are_told() {
    let mut server = Server::new();
    let client = server.connect();
    assert_eq!(server.say(client, "SLOWLOG LEN"), ":0\r\n");
    assert_eq!(server.say(client, "SET n 12"), "+OK\r\n");
    assert_eq!(server.say(client, "OBJECT ENCODING n"), "$3\r\nint\r\n");
    assert_eq!(server.say(client, "OBJECT REFCOUNT n"), ":1\r\n");
    assert_eq!(server.say(client, "OBJECT ENCODING none"), "$-1\r\n");
    assert!(server.say(client, "MEMORY USAGE n").starts_with(':'));
    assert_eq!(server.say(client, "MEMORY USAGE none"), "$-1\r\n");
    assert_eq!(server.say(client, "TIME"), "*2\r\n$10\r\n1800000000\r\n$1\r\n0\r\n");
    assert!(server.say(client, "DEBUG SLEEP 0").starts_with("-ERR DEBUG command not allowed"));
    assert!(server.say(client, "SHUTDOWN").starts_with("-ERR "));
    assert!(server.say(client, "CLIENT NO-EVICT on").starts_with("+OK"));
    assert_eq!(server.say(client, "RESET"), "+RESET\r\n");
}
