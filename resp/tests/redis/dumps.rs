//! What Redis dumps is restored here, and what is dumped here is restored there: keys of every type, in every encoding that Redis has
//! for them.

use bytes::Bytes;
use coterie_resp::Protocol;

use crate::reply::Reply;
use crate::server::Redis;
use crate::{Coterie, now};

fn words<'a>(text: &'a str) -> impl Iterator<Item = Bytes> + 'a {
    text.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes()))
}

fn command(text: &str, more: impl IntoIterator<Item = Bytes>) -> Vec<Bytes> {
    words(text).chain(more).collect()
}

/// Numbers of every width that packed encodings tell apart, and some that are not numbers.
fn elements(count: usize) -> Vec<Bytes> {
    let edges = [7, 8, 12, 13, 15, 16, 23, 24, 31, 32, 62].map(|bits| 1_i64 << bits);
    let edges = edges.into_iter().flat_map(|edge| [edge - 1, edge, -edge, -edge - 1]);
    let numbers = edges.chain([0, 1, 12, 13, -1, i64::MAX, i64::MIN]).map(|it| it.to_string());
    let lengths = [0, 1, 63, 64, 200].into_iter().map(|length| "y".repeat(length));
    let others = (0..count).map(|number| format!("element {number}"));
    numbers.chain(lengths).chain(others).map(Bytes::from).collect()
}

fn integers(values: impl Iterator<Item = i64>) -> Vec<Bytes> {
    values.map(|value| value.to_string().into()).collect()
}

/// Commands that make keys, each named by what it is.
fn makes() -> Vec<Vec<Bytes>> {
    let (few, many) = (elements(20), elements(3_000));
    let long = |bytes: usize| Bytes::from("long ".repeat(bytes / 5));
    // What does not repeat is not compressed.
    let plain: String = (0..5_000).map(|number| number.to_string()).collect();
    let scored = |all: &[Bytes]| -> Vec<Bytes> {
        let scores = ["0", "-1.5", "0.1", "1e300", "inf", "-inf", "17", "3.141592653589793"];
        let pairs = all.iter().zip(scores.iter().cycle());
        pairs.flat_map(|(member, score)| [Bytes::from(*score), member.clone()]).collect()
    };
    let pairs = |all: &[Bytes]| -> Vec<Bytes> {
        all.iter().flat_map(|it| [it.clone(), it.clone()]).collect()
    };
    let mut makes = vec![
        command("SET string", ["short".into()]),
        command("SET string:empty", ["".into()]),
        command("SET string:compressed", [long(100_000)]),
        command("SET string:plain", [plain.into()]),
        command("RPUSH list:packed", few.clone()),
        command("RPUSH list:many", many.clone()),
        command("RPUSH list:long", [long(20_000), "short".into(), long(30_000)]),
        command("SADD set:16", integers(-5..5)),
        command("SADD set:32", integers([1, -70_000, 70_000].into_iter())),
        command("SADD set:64", integers([1, i64::MIN, i64::MAX].into_iter())),
        command("SADD set:packed", few.clone()),
        command("SADD set:many", many.clone()),
        command("HSET hash:packed", pairs(&few[..50])),
        command("HSET hash:many", pairs(&many)),
        command("ZADD sorted:packed", scored(&few[..50])),
        command("ZADD sorted:many", scored(&many)),
    ];
    for value in [0, 127, -128, 128, 32_767, 32_768, 2_147_483_647, -2_147_483_649, i64::MAX] {
        makes.push(command(&format!("SET number:{value} {value}"), []));
    }
    makes
}

/// What a key holds, in one order.
fn read(ask: &mut dyn FnMut(&[Bytes]) -> Vec<u8>, make: &[Bytes], key: &Bytes) -> Vec<Bytes> {
    let text = match &*make[0] {
        b"SET" => "GET {key}",
        b"RPUSH" => "LRANGE {key} 0 -1",
        b"SADD" => "SMEMBERS {key}",
        b"HSET" => "HGETALL {key}",
        _ => "ZRANGE {key} 0 -1 WITHSCORES",
    };
    let reply = ask(&command(&text.replace("{key}", str::from_utf8(key).unwrap()), []));
    let mut read = Reply::parse(&reply).strings();
    match &*make[0] {
        b"SADD" => read.sort_unstable(),
        b"HSET" => {
            let mut pairs: Vec<_> = read.chunks(2).map(<[Bytes]>::to_vec).collect();
            pairs.sort_unstable();
            read = pairs.concat();
        }
        b"ZADD" => {
            for score in read.iter_mut().skip(1).step_by(2) {
                // Before 7.2 Redis writes more digits than it takes.
                let number: f64 = str::from_utf8(score).unwrap().parse().unwrap();
                *score = number.to_string().into();
            }
        }
        _ => {}
    }
    assert!(!read.is_empty(), "{}", text.replace("{key}", "…"));
    read
}

fn payload(reply: &[u8]) -> Bytes {
    let Reply::Bulk(payload) = Reply::parse(reply) else { panic!("{}", reply.escape_ascii()) };
    payload
}

#[test]
fn keys_go_to_redis_and_back_as_payloads() {
    let (mut redis, mut coterie) = (Redis::start(Protocol::Resp2), Coterie::start(Protocol::Resp2));
    let mut encodings = String::new();
    for make in makes() {
        let key = &make[1];
        let asks = |text: &str| command(text, [key.clone()]);
        redis.ask(&make);
        encodings += &redis.ask(&asks("OBJECT ENCODING")).escape_ascii().to_string();
        let dumped = payload(&redis.ask(&asks("DUMP")));
        let restore = |key: &Bytes, payload: &Bytes| {
            vec!["RESTORE".into(), key.clone(), "0".into(), payload.clone()]
        };
        assert_eq!(coterie.ask(&restore(key, &dumped)), b"+OK\r\n", "{key:?}");
        let there = read(&mut |words| redis.ask(words), &make, key);
        assert_eq!(read(&mut |words| coterie.ask(words), &make, key), there, "{key:?}");

        let dumped = payload(&coterie.ask(&asks("DUMP")));
        let copy = Bytes::from("copy");
        redis.ask(&command("DEL copy", []));
        assert_eq!(redis.ask(&restore(&copy, &dumped)), b"+OK\r\n", "{key:?}");
        assert_eq!(read(&mut |words| redis.ask(words), &make, &copy), there, "{key:?}");
    }
    for encoding in
        ["int", "embstr", "raw", "quicklist", "intset", "hashtable", "listpack", "skiplist"]
    {
        assert!(encodings.contains(encoding), "{encoding} is not among {encodings}");
    }
}

#[test]
fn options_and_what_is_refused_are_those_of_redis() {
    let (mut redis, mut coterie) = (Redis::start(Protocol::Resp2), Coterie::start(Protocol::Resp2));
    redis.ask(&command("SADD cart apples", []));
    let cart = payload(&redis.ask(&command("DUMP cart", [])));
    let mut broken = cart.to_vec();
    broken[1] ^= 1;
    let (soon, later) = ((now() + 100_000).to_string(), (now() + 300_000).to_string());
    let restore = |text: &str, payload: &Bytes| {
        words(text).map(|word| if word == "{}" { payload.clone() } else { word }).collect()
    };
    let asked: Vec<Vec<Bytes>> = vec![
        command("DUMP missing", []),
        restore("RESTORE a 0 {}", &cart),
        restore("RESTORE a 0 {}", &cart),
        restore("RESTORE a 0 {} REPLACE", &cart),
        command("PTTL a", []),
        command("SMEMBERS a", []),
        command("SET s text", []),
        restore("RESTORE s 0 {}", &cart),
        restore("RESTORE s 0 {} replace idletime 5 freq 3", &cart),
        restore("RESTORE s 0 {} REPLACE IDLETIME 5", &cart),
        command("TYPE s", []),
        restore(&format!("RESTORE b {soon} {{}} ABSTTL"), &cart),
        restore(&format!("RESTORE b {later} {{}} ABSTTL REPLACE"), &cart),
        command("PEXPIRETIME b", []),
        restore("RESTORE c 5000000000 {}", &cart),
        restore("RESTORE d -1 {}", &cart),
        restore("RESTORE d x {}", &cart),
        restore("RESTORE d 0 {} JUNK", &cart),
        restore("RESTORE d 0 {} IDLETIME -1", &cart),
        restore("RESTORE d 0 {} FREQ 256", &cart),
        restore("RESTORE d 0 {} IDLETIME", &cart),
        restore("RESTORE d 0 {}", &broken.into()),
        restore("RESTORE d 0 {}", &cart.slice(..cart.len() - 1)),
        command("RESTORE d 0 x", []),
        command("EXISTS a b c d", []),
        restore("RESTORE d", &cart),
        command("DUMP", []),
    ];
    for words in asked {
        let (ours, theirs) = (coterie.ask(&words), redis.ask(&words));
        let shown =
            words.iter().map(|word| word.escape_ascii().to_string() + " ").collect::<String>();
        assert_eq!(ours.escape_ascii().to_string(), theirs.escape_ascii().to_string(), "{shown}");
    }
    assert_eq!(coterie.ask(&command("PFADD seen a", [])), b":1\r\n");
    let refused = coterie.ask(&command("DUMP seen", []));
    assert!(
        refused.starts_with(b"-ERR what the key holds has no form"),
        "{}",
        refused.escape_ascii()
    );
}
