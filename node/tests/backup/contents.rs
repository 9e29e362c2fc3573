//! Keys of every type, and how they are read back.

use std::net::SocketAddr;
use std::time::Duration;

use redis::{Connection, Value};

const TIMEOUT: Duration = Duration::from_secs(30);

/// Keys of each type.
const KEYS: usize = 400;

/// Connects to a node.
pub(crate) fn connect(to: SocketAddr) -> Connection {
    let client = redis::Client::open(format!("redis://{to}/")).unwrap();
    let connection = client.get_connection_with_timeout(TIMEOUT).unwrap();
    connection.set_read_timeout(Some(TIMEOUT)).unwrap();
    connection
}

/// Sends commands in pipelines: their replies, none an error.
#[track_caller]
pub(crate) fn run(connection: &mut Connection, commands: &[String]) -> Vec<Value> {
    let mut replies = Vec::new();
    for some in commands.chunks(200) {
        let mut pipeline = redis::pipe();
        for command in some {
            let mut words = command.split(' ');
            let mut built = redis::cmd(words.next().unwrap());
            words.for_each(|word| {
                built.arg(word);
            });
            pipeline.add_command(built);
        }
        let some: Vec<Value> = pipeline.query(connection).unwrap();
        replies.extend(some);
    }
    replies
}

/// What puts something of every type, in `round`.
pub(crate) fn written(round: usize) -> Vec<String> {
    let of_one = |number: usize| {
        [
            format!("SET string:{number} value-{round}"),
            format!("INCRBY counter:{number} {}", number + 1),
            format!("INCRBYFLOAT float:{number} 0.25"),
            format!("HSET hash:{number} a {round} b x{round}"),
            format!("HINCRBY hash:{number} hits 2"),
            format!("SADD set:{number} common gone member-{round}"),
            format!("SREM set:{number} gone"),
            format!("ZADD sorted:{number} {round} member-{round} 7 seven"),
            format!("RPUSH list:{number} one-{round} two-{round}"),
            format!("PFADD loglog:{number} a b member-{round}"),
            format!("SET mortal:{number} soon EX 100000"),
        ]
    };
    (0..KEYS).flat_map(of_one).collect()
}

/// What reads all that.
pub(crate) fn read() -> Vec<String> {
    let of_one = |number: usize| {
        [
            format!("GET string:{number}"),
            format!("GET counter:{number}"),
            format!("GET float:{number}"),
            format!("HGET hash:{number} a"),
            format!("HGET hash:{number} b"),
            format!("HGET hash:{number} hits"),
            format!("SCARD set:{number}"),
            format!("SISMEMBER set:{number} gone"),
            format!("ZRANGE sorted:{number} 0 -1 WITHSCORES"),
            format!("LRANGE list:{number} 0 -1"),
            format!("PFCOUNT loglog:{number}"),
            format!("GET mortal:{number}"),
        ]
    };
    (0..KEYS).flat_map(of_one).collect()
}

/// What sets strong registers, after `COTERIE BUCKET strong`.
pub(crate) fn strong(round: usize) -> Vec<String> {
    let of_one = |number: usize| format!("SET strong:{number} {}", number + round);
    let commands = (0..50).map(of_one);
    ["COTERIE BUCKET strong".to_owned()].into_iter().chain(commands).collect()
}

/// What reads them.
pub(crate) fn read_strong() -> Vec<String> {
    let commands = (0..50).map(|number| format!("GET strong:{number}"));
    ["COTERIE BUCKET strong".to_owned()].into_iter().chain(commands).collect()
}
