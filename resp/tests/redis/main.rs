//! Commands answer as stock Redis does: the same random sequences are sent to both, and the replies compared byte for
//! byte. `compare` lists what may differ, and why.
//!
//! Needs Debian's `redis-server` (`scripts/prepare` installs it). COTERIE_PROOF=1 tries more sequences.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod compare;
mod dumps;
mod grammar;
#[path = "../harness/mod.rs"]
mod harness;
mod reply;
mod server;
mod templates;

use std::cell::RefCell;

use bytes::Bytes;
use coterie_resp::Protocol;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use harness::Server;
use reply::Reply;
use server::Redis;

/// How many sequences of commands are tried for each version of the protocol.
fn sequences() -> u32 {
    if std::env::var_os("COTERIE_PROOF").is_some() { 10_000 } else { 600 }
}

/// Our side: a connection, with a store in memory behind it.
struct Coterie {
    server: Server,
    client: usize,
}

impl Coterie {
    fn start(protocol: Protocol) -> Coterie {
        let mut server = Server::new();
        let client = server.connect();
        if protocol == Protocol::Resp3 {
            server.say(client, "HELLO 3");
        }
        Coterie { server, client }
    }

    /// The reply to a command, as it came.
    fn ask(&mut self, words: &[Bytes]) -> Vec<u8> {
        self.server.set_wall_millis(now());
        let words: Vec<&[u8]> = words.iter().map(|word| &**word).collect();
        self.server.command(self.client, &words)
    }
}

#[expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "what is tested is compared with a process that reads the clock"
)]
fn now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

/// Sends a sequence to both, from nothing on.
fn run(redis: &mut Redis, protocol: Protocol, seeds: &[u64]) -> Result<(), TestCaseError> {
    redis.forget();
    let mut coterie = Coterie::start(protocol);
    let mut said = Vec::new();
    for seed in seeds {
        let words = grammar::command(*seed);
        said.push(grammar::text(&words));
        if words[0].eq_ignore_ascii_case(b"SORT") || words[0].eq_ignore_ascii_case(b"SORT_RO") {
            redis.forget_overflow();
        }
        let theirs = redis.ask(&words);
        let ours = coterie.ask(&words);
        let equal = compare::equal(&words, &ours, &theirs);
        prop_assert!(
            equal,
            "{}\nours:   {}\ntheirs: {}",
            said.join("\n"),
            ours.escape_ascii(),
            theirs.escape_ascii(),
        );
        if ours != theirs {
            follow(redis, &words, &ours, &theirs);
        }
    }
    Ok(())
}

/// Brings Redis to where we are after a command that may do another thing there.
fn follow(redis: &mut Redis, words: &[Bytes], ours: &[u8], theirs: &[u8]) {
    let (name, key) = (words[0].as_ref(), &words[1]);
    let mut tell = |name: &'static str, more: &[Bytes]| {
        let mut told = vec![Bytes::from(name), key.clone()];
        told.extend_from_slice(more);
        redis.ask(&told);
    };
    match (name, &*Reply::parse(ours).strings()) {
        (b"SPOP", ours) => {
            let theirs = Reply::parse(theirs).strings();
            if !theirs.is_empty() {
                tell("SADD", &theirs);
                tell("SREM", ours);
            }
        }
        (b"INCRBYFLOAT", [sum]) => tell("SET", &[sum.clone(), Bytes::from("KEEPTTL")]),
        (b"HINCRBYFLOAT", [sum]) => tell("HSET", &[words[2].clone(), sum.clone()]),
        _ => {}
    }
}

fn replies_are_those_of_redis(protocol: Protocol) {
    let redis = RefCell::new(Redis::start(protocol));
    let config = Config {
        cases: sequences(),
        failure_persistence: None,
        max_shrink_iters: 4_000,
        ..Config::default()
    };
    let seeds = prop::collection::vec(any::<u64>().no_shrink(), 1..120);
    let result =
        TestRunner::new(config).run(&seeds, |seeds| run(&mut redis.borrow_mut(), protocol, &seeds));
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn replies_in_resp2_are_those_of_redis() {
    replies_are_those_of_redis(Protocol::Resp2);
}

#[test]
fn replies_in_resp3_are_those_of_redis() {
    replies_are_those_of_redis(Protocol::Resp3);
}

#[test]
fn every_data_command_is_compared_or_is_said_not_to_be() {
    let compared = templates::names();
    for command in coterie_resp::table::all() {
        let data = matches!(command.run, coterie_resp::table::Run::Data(_));
        let not = compare::NOT_COMPARED.iter().any(|(name, _)| *name == command.name);
        assert!(!data || not != compared.contains(command.name), "{}", command.name);
    }
}
