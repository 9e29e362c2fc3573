//! The table of commands on data: what each takes, and the operation that it is.

use serde_json::{Value, json};

use super::given::Given;
use super::given::Word::{self, Flag, Many, Maybe, One, Option};
use crate::failure::Failure;
use crate::setup::time;

/// A command on one key.
#[derive(Debug)]
pub(crate) struct DataCommand {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    /// What it takes after the key.
    pub(super) words: &'static [Word],
    pub(super) make: fn(&Given) -> Result<Value, Failure>,
}

macro_rules! commands {
    ($($name:literal [$($word:expr),*] $about:literal, $given:ident => $make:expr;)+) => {
        /// All of them.
        pub(super) const COMMANDS: &[DataCommand] = &[$(DataCommand {
            name: $name,
            about: $about,
            words: &[$($word),*],
            make: |$given| Ok($make),
        }),+];
    };
}

fn bare(operation: &str) -> Value {
    json!({"operation": operation})
}

/// An operation on a set, of the kind that was given.
fn set(given: &Given, operation: &str, mut fields: Value) -> Value {
    fields["operation"] = json!(operation);
    if let Some(kind) = given.text("kind") {
        fields["kind"] = json!(kind);
    }
    fields
}

fn flag(given: &Given, operation: &str) -> Value {
    let kind = if given.has("disable-wins") { "disable_wins" } else { "enable_wins" };
    json!({"operation": operation, "kind": kind})
}

fn count(given: &Given) -> Result<i64, Failure> {
    Ok(given.integer("COUNT")?.unwrap_or(1))
}

/// Milliseconds since 1970, so long from now.
fn from_now(text: &str) -> Result<u64, Failure> {
    let time = time(text).map_err(Failure::usage)?;
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.saturating_add(time).as_millis())
        .map_err(|_too_far| Failure::usage(format!("{text} is too long")))
}

fn assign(given: &Given) -> Result<Value, Failure> {
    let condition = match (given.has("nx"), given.has("xx")) {
        (true, true) => return Err(Failure::usage("give --nx or --xx, not both")),
        (true, false) => "if_absent",
        (false, true) => "if_present",
        (false, false) => "always",
    };
    let expire = match (given.text("ttl"), given.has("keep-ttl")) {
        (Some(_), true) => return Err(Failure::usage("give --ttl or --keep-ttl, not both")),
        (Some(ttl), false) => json!(from_now(&ttl)?),
        (None, true) => json!("keep"),
        (None, false) => json!("never"),
    };
    Ok(json!({
        "operation": "string.set",
        "value": given.value("VALUE")?,
        "condition": condition,
        "get": given.has("get"),
        "expire": expire,
    }))
}

fn score_condition(given: &Given) -> Result<&'static str, Failure> {
    let has = |name| given.has(name);
    match (has("nx"), has("xx"), has("gt"), has("lt")) {
        (false, false, false, false) => Ok("always"),
        (true, false, false, false) => Ok("if_absent"),
        (false, true, false, false) => Ok("if_present"),
        (false, false, true, false) => Ok("if_greater"),
        (false, true, true, false) => Ok("if_present_and_greater"),
        (false, false, false, true) => Ok("if_less"),
        (false, true, false, true) => Ok("if_present_and_less"),
        _ => Err(Failure::usage(
            "of --nx, --xx, --gt and --lt only --xx goes with another, --gt or --lt",
        )),
    }
}

fn range(given: &Given, operation: &str) -> Result<Value, Failure> {
    let mut made =
        json!({"operation": operation, "min": given.bound("MIN")?, "max": given.bound("MAX")?});
    if operation == "sorted_set.by_score" {
        made["reverse"] = json!(given.has("rev"));
        for name in ["offset", "count"] {
            if let Some(number) = given.integer(name)? {
                made[name] = json!(number);
            }
        }
    }
    Ok(made)
}

fn ends(given: &Given, operation: &str) -> Result<Value, Failure> {
    let (start, stop) = (given.the_integer("START")?, given.the_integer("STOP")?);
    Ok(json!({"operation": operation, "start": start, "stop": stop}))
}

fn pop(given: &Given, end: &str) -> Result<Value, Failure> {
    let mut made = json!({"operation": "list.pop", "end": end});
    if let Some(count) = given.integer("COUNT")? {
        made["count"] = json!(count);
    }
    Ok(made)
}

fn under(given: &Given, operation: &str) -> Result<Value, Failure> {
    let mut made = bare(operation);
    if given.has("PATH") {
        made["under"] = given.path("PATH")?;
    }
    Ok(made)
}

const KIND: Word = Option("kind", "KIND", "add_wins (default), remove_wins or grow_only");
const DISABLE_WINS: Word =
    Flag("disable-wins", "The flag of this key in which disabling wins over concurrent enabling");
const REV: Word = Flag("rev", "From the high end");

commands! {
    "exists" [] "Whether a key is there", _given => bare("key.exists");
    "type" [] "The type of a key", _given => bare("key.type");
    "kinds" [] "The kinds of cells that are live under a key, visible or not", _given => bare("key.kinds");
    "expire" [One("TIME")] "Have a key expire after a time such as 10m", given =>
        json!({"operation": "key.expire", "at_millis": from_now(&given.text("TIME").unwrap_or_default())?});
    "persist" [] "Have a key expire no more", _given => bare("key.persist");
    "ttl" [] "Milliseconds until a key expires; -1 never, -2 no such key", _given => bare("key.time_to_live");

    "get" [] "The value of a register: of concurrent ones the latest", _given => bare("string.get");
    "set" [One("VALUE"), Flag("nx", "Only if the key is not there"), Flag("xx", "Only if it is"), Flag("get", "Show the value before"), Option("ttl", "TIME", "How long the key lives"), Flag("keep-ttl", "Leave its expiry as it is")]
        "Assign a value to a register", given => assign(given)?;
    "getdel" [] "The value of a register, which is deleted", _given => bare("string.get_delete");
    "append" [One("VALUE")] "Append to a register: the length after it", given => json!({"operation": "string.append", "value": given.value("VALUE")?});
    "strlen" [] "The length of a value in bytes", _given => bare("string.length");
    "getrange" [One("START"), One("END")] "Bytes of a value, both ends included", given =>
        json!({"operation": "string.get_range", "start": given.the_integer("START")?, "end": given.the_integer("END")?});
    "setrange" [One("OFFSET"), One("VALUE")] "Write bytes at an offset: the length after it", given =>
        json!({"operation": "string.set_range", "offset": given.the_integer("OFFSET")?, "value": given.value("VALUE")?});
    "incr" [Maybe("BY")] "Add to a number, 1 unless told otherwise: the sum. Concurrent increments add up", given =>
        json!({"operation": "string.increment", "by": given.integer("BY")?.unwrap_or(1)});
    "incrbyfloat" [One("BY")] "Add a decimal: the sum. Concurrent increments add up", given =>
        json!({"operation": "string.increment_float", "by": given.text("BY")});
    "siblings" [] "All concurrent values of a register, with the context to replace them by", _given => bare("string.get_siblings");
    "resolve" [One("VALUE"), Option("context", "TOKEN", "What `siblings` has shown")] "Replace the values of a context; others stay as siblings", given => {
        let context = given.text("context").ok_or_else(|| Failure::usage("give --context, which `coterie siblings` shows"))?;
        json!({"operation": "string.put_sibling", "value": given.value("VALUE")?, "context": context})
    };

    "enable" [DISABLE_WINS] "Enable a flag", given => flag(given, "flag.enable");
    "disable" [DISABLE_WINS] "Disable a flag", given => flag(given, "flag.disable");
    "flag" [DISABLE_WINS] "1 where a flag is enabled, else 0", given => flag(given, "flag.read");

    "sadd" [Many("MEMBER"), KIND] "Add members to a set: how many are new. An add wins over a concurrent removal", given => set(given, "set.add", json!({"members": given.values("MEMBER")?}));
    "srem" [Many("MEMBER"), KIND] "Remove members of a set: how many were there", given => set(given, "set.remove", json!({"members": given.values("MEMBER")?}));
    "sismember" [Many("MEMBER"), KIND] "1 or 0 for each member", given => set(given, "set.contains", json!({"members": given.values("MEMBER")?}));
    "smembers" [KIND] "All members of a set", given => set(given, "set.members", json!({}));
    "scard" [KIND] "How many members a set has", given => set(given, "set.count", json!({}));
    "spop" [Maybe("COUNT"), KIND] "Remove members chosen at random", given => set(given, "set.pop", json!({"count": count(given)?}));
    "srandmember" [Maybe("COUNT"), KIND] "Members chosen at random", given => set(given, "set.random", json!({"count": count(given)?}));

    "hset" [Many("FIELD-VALUE")] "Assign fields of a hash, given as FIELD VALUE…: how many are new", given => json!({"operation": "hash.set", "fields": given.pairs("FIELD-VALUE", ["field", "value"])?});
    "hsetnx" [One("FIELD"), One("VALUE")] "Assign a field that is not there", given => json!({"operation": "hash.set_if_absent", "field": given.value("FIELD")?, "value": given.value("VALUE")?});
    "hget" [Many("FIELD")] "The values of fields", given => json!({"operation": "hash.get", "fields": given.values("FIELD")?});
    "hgetall" [] "All fields of a hash with their values", _given => bare("hash.all");
    "hkeys" [] "All fields of a hash", _given => bare("hash.fields");
    "hlen" [] "How many fields a hash has", _given => bare("hash.count");
    "hexists" [One("FIELD")] "Whether a field is there", given => json!({"operation": "hash.contains", "field": given.value("FIELD")?});
    "hdel" [Many("FIELD")] "Remove fields: how many were there", given => json!({"operation": "hash.remove", "fields": given.values("FIELD")?});
    "hincrby" [One("FIELD"), One("BY")] "Add to a field: the sum", given => json!({"operation": "hash.increment", "field": given.value("FIELD")?, "by": given.the_integer("BY")?});
    "hexpire" [One("TIME"), Many("FIELD")] "Have fields expire after a time such as 10m: for each 1, or -2 no such field", given =>
        json!({"operation": "hash.expire", "fields": given.values("FIELD")?, "at_millis": from_now(&given.text("TIME").unwrap_or_default())?});
    "hpersist" [Many("FIELD")] "Have fields expire no more: for each 1, -1 it would not have, or -2 no such field", given => json!({"operation": "hash.persist", "fields": given.values("FIELD")?});
    "httl" [Many("FIELD")] "Milliseconds until each field expires; -1 never, -2 no such field", given => json!({"operation": "hash.time_to_live", "fields": given.values("FIELD")?});
    "hincrbyfloat" [One("FIELD"), One("BY")] "Add a decimal to a field: the sum", given => json!({"operation": "hash.increment_float", "field": given.value("FIELD")?, "by": given.text("BY")});

    "map-set" [One("PATH"), One("VALUE")] "Assign the value at a path such as address/city of a nested map", given => json!({"operation": "map.set", "path": given.path("PATH")?, "value": given.value("VALUE")?});
    "map-get" [One("PATH")] "The value at a path", given => json!({"operation": "map.get", "path": given.path("PATH")?});
    "map-incr" [One("PATH"), Maybe("BY")] "Add to the value at a path: the sum", given => json!({"operation": "map.increment", "path": given.path("PATH")?, "by": given.integer("BY")?.unwrap_or(1)});
    "map-del" [One("PATH")] "Remove the value at a path and all under it: how many", given => json!({"operation": "map.remove", "path": given.path("PATH")?});
    "map-entries" [Maybe("PATH")] "The values under a path, or all", given => under(given, "map.entries")?;
    "map-len" [Maybe("PATH")] "How many values are under a path, or in all", given => under(given, "map.count")?;

    "zadd" [Many("SCORE-MEMBER"), Flag("nx", "Only new members"), Flag("xx", "Only members that are there"), Flag("gt", "Only greater scores"), Flag("lt", "Only lesser scores"), Flag("ch", "Count changed members too")]
        "Assign scores of a sorted set, given as SCORE MEMBER…: how many are new", given =>
        json!({"operation": "sorted_set.add", "members": given.pairs("SCORE-MEMBER", ["score", "member"])?, "condition": score_condition(given)?, "count_changed": given.has("ch")});
    "zincrby" [One("BY"), One("MEMBER")] "Add to a score: the sum", given => json!({"operation": "sorted_set.increment", "member": given.value("MEMBER")?, "by": given.number("BY")?});
    "zrem" [Many("MEMBER")] "Remove members: how many were there", given => json!({"operation": "sorted_set.remove", "members": given.values("MEMBER")?});
    "zscore" [Many("MEMBER")] "The scores of members", given => json!({"operation": "sorted_set.scores", "members": given.values("MEMBER")?});
    "zcard" [] "How many members a sorted set has", _given => bare("sorted_set.count");
    "zrange" [One("START"), One("STOP"), REV] "Members from one rank to another, with their scores", given => {
        let mut made = ends(given, "sorted_set.by_rank")?;
        made["reverse"] = json!(given.has("rev"));
        made
    };
    "zrangebyscore" [One("MIN"), One("MAX"), REV, Option("offset", "N", "So many are passed over"), Option("count", "N", "So many at most")]
        "Members with scores within bounds: 5 includes 5, (5 does not, -inf and +inf have no end", given => range(given, "sorted_set.by_score")?;
    "zcount" [One("MIN"), One("MAX")] "How many members have scores within bounds", given => range(given, "sorted_set.count_by_score")?;
    "zrank" [One("MEMBER"), REV] "The rank and score of a member", given => json!({"operation": "sorted_set.rank", "member": given.value("MEMBER")?, "reverse": given.has("rev")});
    "zpopmin" [Maybe("COUNT")] "Remove members with the lowest scores", given => json!({"operation": "sorted_set.pop", "count": count(given)?});
    "zpopmax" [Maybe("COUNT")] "Remove members with the highest scores", given => json!({"operation": "sorted_set.pop", "count": count(given)?, "reverse": true});

    "lpush" [Many("ELEMENT")] "Push elements at the left end of a list: the length after it", given => json!({"operation": "list.push", "end": "left", "elements": given.values("ELEMENT")?});
    "rpush" [Many("ELEMENT")] "Push elements at the right end of a list: the length after it", given => json!({"operation": "list.push", "end": "right", "elements": given.values("ELEMENT")?});
    "lpop" [Maybe("COUNT")] "Remove elements at the left end", given => pop(given, "left")?;
    "rpop" [Maybe("COUNT")] "Remove elements at the right end", given => pop(given, "right")?;
    "llen" [] "How many elements a list has", _given => bare("list.length");
    "lrange" [One("START"), One("STOP")] "Elements from one index to another, both included", given => ends(given, "list.range")?;
    "lindex" [One("INDEX")] "The element at an index", given => json!({"operation": "list.index", "index": given.the_integer("INDEX")?});
    "lset" [One("INDEX"), One("VALUE")] "Assign the element at an index", given => json!({"operation": "list.set", "index": given.the_integer("INDEX")?, "value": given.value("VALUE")?});
    "linsert" [One("SIDE"), One("PIVOT"), One("VALUE")] "Insert before or after the first element that equals the pivot", given => json!({"operation": "list.insert", "side": given.text("SIDE"), "pivot": given.value("PIVOT")?, "value": given.value("VALUE")?});
    "lrem" [One("COUNT"), One("VALUE")] "Remove elements that equal a value: from the right if the count is negative, all if it is 0", given => json!({"operation": "list.remove", "count": given.the_integer("COUNT")?, "value": given.value("VALUE")?});
    "ltrim" [One("START"), One("STOP")] "Keep elements from one index to another only", given => ends(given, "list.trim")?;
    "lpos" [One("VALUE")] "Indexes of the elements that equal a value", given => json!({"operation": "list.find", "value": given.value("VALUE")?, "count": 0});

    "pfadd" [Many("ELEMENT")] "Count elements in a HyperLogLog: 1 if the estimate may have risen", given => json!({"operation": "hyperloglog.add", "elements": given.values("ELEMENT")?});
    "pfcount" [] "About how many distinct elements were added", _given => bare("hyperloglog.count");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_used_once_and_optional_words_come_last() {
        let names: BTreeSet<_> = COMMANDS.iter().map(|command| command.name).collect();
        assert_eq!(names.len(), COMMANDS.len());
        for command in COMMANDS {
            let open = command.words.iter().position(|word| matches!(word, Maybe(_) | Many(_)));
            let after = open.map_or(0, |open| {
                let words = &command.words[open + 1..];
                words.iter().filter(|word| matches!(word, One(_) | Maybe(_) | Many(_))).count()
            });
            assert_eq!(after, 0, "{}", command.name);
            super::super::given::command(command.name, command.about, command.words).debug_assert();
        }
    }
}
