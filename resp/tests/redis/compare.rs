//! When two replies are as good as equal: what may differ from Redis, and why.

use bytes::Bytes;

use crate::reply::Reply;

/// Data commands that are not compared, and why.
pub(crate) const NOT_COMPARED: &[(&str, &str)] = &[
    ("hgetdel", "the Redis of Debian 12 is older than the command"),
    ("hexpire", "as HGETDEL: tests/field_expiry"),
    ("hpexpire", "as HGETDEL: tests/field_expiry"),
    ("hexpireat", "as HGETDEL: tests/field_expiry"),
    ("hpexpireat", "as HGETDEL: tests/field_expiry"),
    ("httl", "as HGETDEL: tests/field_expiry"),
    ("hpttl", "as HGETDEL: tests/field_expiry"),
    ("hexpiretime", "as HGETDEL: tests/field_expiry"),
    ("hpexpiretime", "as HGETDEL: tests/field_expiry"),
    ("hpersist", "as HGETDEL: tests/field_expiry"),
    ("hgetex", "as HGETDEL: tests/field_expiry"),
    ("hsetex", "as HGETDEL: tests/field_expiry"),
    ("dump", "other encodings of the same: dumps"),
    ("restore", "what DUMP gives: dumps"),
    ("dbsize", "over all keys: tests/conversations and tests/introspection"),
    ("flushall", "over all keys"),
    ("flushdb", "over all keys"),
    ("keys", "over all keys"),
    ("randomkey", "over all keys"),
    ("scan", "over all keys"),
];

/// Elements come in no order; Redis's is that in which they were added, or of a hash.
const UNORDERED: &[&str] = &[
    "HKEYS", "HVALS", "SMEMBERS", "SUNION", "SINTER", "SDIFF", "HSCAN", "SSCAN", "ZSCAN", "SORT BY",
];

/// As above, of pairs.
const UNORDERED_PAIRS: &[&str] = &["HGETALL"];

/// Elements are chosen at random: only the shape can be equal.
const RANDOM: &[&str] = &["SPOP", "SRANDMEMBER", "HRANDFIELD", "ZRANDMEMBER"];

/// Times by clocks that are read one after the other.
const TIMES: &[(&str, i64)] =
    &[("TTL", 2), ("PTTL", 2_000), ("EXPIRETIME", 2), ("PEXPIRETIME", 2_000)];

/// Whether a reply may be given where Redis gives another.
pub(crate) fn equal(words: &[Bytes], ours: &[u8], theirs: &[u8]) -> bool {
    if ours == theirs {
        return true;
    }
    let mut name = String::from_utf8_lossy(&words[0]).to_uppercase();
    if name == "SORT" && words.contains(&Bytes::from("nosort")) {
        name.push_str(" BY");
    }
    let (ours, theirs) = (Reply::parse(ours), Reply::parse(theirs));
    if differs_by_intent(&name, words, &ours, &theirs) {
        return true;
    }
    if let Some((_, slack)) = TIMES.iter().find(|(time, _)| *time == name) {
        let (Some(ours), Some(theirs)) = (ours.integer(), theirs.integer()) else { return false };
        return ours > 0 && theirs > 0 && (ours - theirs).abs() <= *slack;
    }
    if RANDOM.contains(&&*name) {
        return shape(&ours) == shape(&theirs);
    }
    normal(&name, ours) == normal(&name, theirs)
}

/// What differs and is meant to.
fn differs_by_intent(name: &str, words: &[Bytes], ours: &Reply, theirs: &Reply) -> bool {
    let error = |reply: &Reply, text: &str| matches!(reply, Reply::Line(b'-', said) if said.starts_with(text.as_bytes()));
    match name {
        // Redis 7.2 and later take WITHSCORE here, and so do we.
        "ZRANK" | "ZREVRANK" => words.len() == 4,
        // Of a member that is not there we do not look at where it would go.
        "SMOVE" => *ours == Reply::Line(b':', Bytes::from("0")) && error(theirs, "WRONGTYPE"),
        // Redis 7.2 and later say what the range is; before, the number is negated, which does not fit.
        "LPOS" => error(ours, "ERR value is out of range, value must between"),
        // Redis looks at the keys before it looks at the options; ours is the text of all other commands.
        "LCS" => ours.is_error() && theirs.is_error(),
        // Exact decimals, where Redis rounds to what a long double holds.
        "INCRBYFLOAT" | "HINCRBYFLOAT" => {
            ours.float().is_some_and(|ours| theirs.float().is_some_and(|theirs| ours == theirs))
        }
        // A part of what is in no order.
        "SORT BY" => words.contains(&Bytes::from("LIMIT")),
        // A page may be as large as COUNT says, and what is on it depends on the hash.
        "HSCAN" | "SSCAN" | "ZSCAN" => is_unfinished(ours) || is_unfinished(theirs),
        // Redis looks at the keys before it looks at the options.
        "ZUNION" | "ZINTER" | "ZDIFF" | "ZINTERCARD" | "ZUNIONSTORE" | "ZINTERSTORE"
        | "ZDIFFSTORE" => ours.is_error() && error(theirs, "WRONGTYPE"),
        _ => false,
    }
}

/// Whether it is a page that is not the last.
fn is_unfinished(reply: &Reply) -> bool {
    matches!(reply, Reply::Several(_, page) if page.first() != Some(&Reply::Bulk(Bytes::from("0"))))
}

/// A reply without its order and with numbers in one form.
fn normal(name: &str, reply: Reply) -> Reply {
    let reply = numbers(name, reply);
    match reply {
        Reply::Several(kind, mut replies) if UNORDERED.contains(&name) => {
            if let [_, Reply::Several(_, elements)] = &mut *replies
                && name.ends_with("SCAN")
            {
                let pairs = if name == "SSCAN" { 1 } else { 2 };
                *elements = sorted(std::mem::take(elements), pairs);
                return Reply::Several(kind, replies);
            }
            Reply::Several(kind, sorted(replies, 1))
        }
        Reply::Several(kind, replies) if UNORDERED_PAIRS.contains(&name) => {
            Reply::Several(kind, sorted(replies, 2))
        }
        reply => reply,
    }
}

fn sorted(replies: Vec<Reply>, size: usize) -> Vec<Reply> {
    let mut groups: Vec<Vec<Reply>> = replies.chunks(size).map(<[Reply]>::to_vec).collect();
    groups.sort_by(|a, b| a.partial_cmp(b).unwrap());
    groups.concat()
}

/// Scores are written with the fewest digits that read back the same, as by Redis 7.2 and later; before, with 17.
fn numbers(name: &str, reply: Reply) -> Reply {
    if !name.starts_with('Z') {
        return reply;
    }
    let form = |text: &Bytes| {
        let number: Option<f64> = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        // There is no negative zero among scores (the sum of two zeros is not negative).
        number.map_or_else(|| text.clone(), |number| Bytes::from(format!("{:?}", number + 0.0)))
    };
    match reply {
        Reply::Bulk(text) => Reply::Bulk(form(&text)),
        Reply::Line(b',', text) => Reply::Line(b',', form(&text)),
        Reply::Line(kind, text) => Reply::Line(kind, text),
        Reply::Several(kind, replies) => {
            Reply::Several(kind, replies.into_iter().map(|reply| numbers(name, reply)).collect())
        }
    }
}

/// Kinds and counts only; errors say what they say.
fn shape(reply: &Reply) -> Reply {
    match reply {
        Reply::Line(b'-', text) => Reply::Line(b'-', text.clone()),
        Reply::Line(kind, _) => Reply::Line(*kind, Bytes::new()),
        Reply::Bulk(_) => Reply::Bulk(Bytes::new()),
        Reply::Several(kind, replies) => Reply::Several(*kind, replies.iter().map(shape).collect()),
    }
}
