//! Stock clients: `redis-cli`, redis-py, ioredis and the `redis` crate.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use redis::{Connection, RedisResult};
use serde_json::Value;

use crate::packages::{Contents, Words};
use crate::tell;

/// How long a client waits for a reply before it is an error.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Commands of one pipeline.
const AT_ONCE: usize = 200;

/// Loads commands by `redis-cli --pipe`; gives how many were answered, none by an error.
pub(crate) fn pipe(to: SocketAddr, commands: &[Words]) -> usize {
    let began = Instant::now();
    let port = to.port().to_string();
    let mut process = Command::new("redis-cli")
        .args(["-p", &port, "--pipe"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("redis-tools has redis-cli");
    let mut stdin = process.stdin.take().expect("it is a pipe");
    for (number, some) in commands.chunks(commands.len().div_ceil(10).max(1)).enumerate() {
        let mut bytes = Vec::new();
        some.iter().for_each(|command| command.encode(&mut bytes));
        stdin.write_all(&bytes).expect("redis-cli reads");
        let passed = began.elapsed().as_secs_f32();
        tell(format_args!(
            "redis-cli --pipe: {} % of {} commands, {passed:.1} s",
            (number + 1) * 10,
            commands.len()
        ));
    }
    drop(stdin);
    let output = process.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "{said}{complaints}");
    let last = said.lines().last().unwrap_or_default();
    tell(format_args!("redis-cli --pipe: {last}, after {:.1} s", began.elapsed().as_secs_f32()));
    let replies = last.strip_prefix("errors: 0, replies: ").and_then(|count| count.parse().ok());
    replies.unwrap_or_else(|| panic!("{said}"))
}

/// Has a script read, by a client with default settings, what is expected; it must not complain of anything.
pub(crate) fn read_by(client: &str, from: SocketAddr, expected: &Path) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let clients = clients(here);
    let scripts = here.join("tests/clients");
    let mut command = match client {
        "redis-py" => {
            let mut command = Command::new(clients.join("python/bin/python"));
            command.args(["-W", "error"]).arg(scripts.join("read.py"));
            command
        }
        "ioredis" => {
            let mut command = Command::new("node");
            command.env("NODE_PATH", clients.join("node_modules")).arg(scripts.join("read.js"));
            command
        }
        other => panic!("{other} is not known"),
    };
    let began = Instant::now();
    let output = command.arg(from.port().to_string()).arg(expected).output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    for line in complaints.lines() {
        tell(format_args!("{line}"));
        assert!(line.starts_with(client), "{complaints}");
    }
    assert!(output.status.success(), "{complaints}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let took = began.elapsed().as_secs_f32();
    tell(format_args!("{client}: {said}, after {took:.1} s"));
    assert_eq!(said["wrong"], serde_json::json!([]), "by {client}");
    assert!(said["checked"].as_u64().is_some_and(|checked| checked > 0));
}

/// Where the clients are installed; installs them where they are not.
fn clients(node: &Path) -> PathBuf {
    let output = Command::new(node.join("../scripts/clients")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "scripts/clients: {said}");
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}

/// Connects with the `redis` crate.
pub(crate) fn connect(to: SocketAddr) -> Connection {
    let client = redis::Client::open(format!("redis://{to}/")).unwrap();
    let connection = client.get_connection_with_timeout(TIMEOUT).unwrap();
    connection.set_read_timeout(Some(TIMEOUT)).unwrap();
    connection
}

/// Sends commands in one pipeline: the outcome of each.
pub(crate) fn run(
    connection: &mut Connection,
    commands: &[Words],
) -> Vec<RedisResult<redis::Value>> {
    let mut pipeline = redis::pipe();
    for Words(words) in commands {
        let mut words = words.iter();
        let name = words.next().expect("it has a name");
        let mut command = redis::cmd(std::str::from_utf8(name).unwrap());
        for word in words {
            command.arg(&word[..]);
        }
        pipeline.add_command(command);
    }
    pipeline.ignore_errors().query(connection).expect("the connection stays")
}

/// Asks for the same of many keys.
pub(crate) fn ask<'k, T: redis::FromRedisValue>(
    connection: &mut Connection,
    command: &str,
    keys: impl Iterator<Item = &'k String>,
) -> Vec<T> {
    let commands: Vec<Words> = keys.map(|key| Words::new([command, key.as_str()])).collect();
    let replies = commands.chunks(AT_ONCE).flat_map(|some| run(connection, some));
    let read = |reply: RedisResult<redis::Value>| redis::from_redis_value(reply.unwrap()).unwrap();
    replies.map(read).collect()
}

/// Reads with the `redis` crate what is expected.
pub(crate) fn read_by_crate(connection: &mut Connection, expected: &Contents) {
    use std::collections::{BTreeMap, BTreeSet};
    let hashes: Vec<BTreeMap<String, String>> = ask(connection, "HGETALL", expected.hashes.keys());
    assert!(hashes.iter().eq(expected.hashes.values()), "hashes differ");
    let sets: Vec<BTreeSet<String>> = ask(connection, "SMEMBERS", expected.sets.keys());
    assert!(sets.iter().eq(expected.sets.values()), "sets differ");
    let counters: Vec<u64> = ask(connection, "GET", expected.counters.keys());
    assert!(counters.iter().eq(expected.counters.values()), "counters differ");
    let counts: Vec<usize> = ask(connection, "ZCARD", expected.sorted.keys());
    assert!(counts.into_iter().eq(expected.sorted.values().map(BTreeMap::len)));
    tell(format_args!("redis crate: {} keys", expected.keys()));
}
