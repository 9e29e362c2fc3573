//! The table of operations.

use std::num::NonZeroI64;

use bytes::Bytes;
use coterie_crdt::ContextToken;
use coterie_crdt::Direction;
use coterie_crdt::operation::{
    AddCondition, Condition, Expire, FlagKind, FlagOperation, FlagVerb, HashOperation,
    HyperLogLogOperation, KeyOperation, ListOperation, MapOperation, MapPath, Operation,
    RangeLimit, SetCondition, SetKind, SetOperation, SetVerb, SortedSetOperation, SortedSetRange,
    StringOperation,
};
use coterie_wire::Key;
use serde::Deserialize;
use serde_json::Value as Json;

use super::super::problem::Problem;
use super::super::value::{Value, from_header};
use super::fields::{
    BoundGiven, DecimalGiven, Described, End, ExpiryCondition, ExpiryGiven, FlagKindGiven, Pair,
    ScoreCondition, ScoreGiven, Scored, SetKindGiven, Side, WriteCondition,
};

/// The first element that equals the value, from the left.
const FIRST: NonZeroI64 = NonZeroI64::new(1).expect("1 is not 0");

/// Values of a map that one removal takes at most.
const CELLS_MAX: usize = 1_000;

/// One operation, for the description.
pub(in super::super) struct OperationDescribed {
    /// Its name.
    pub(in super::super) name: &'static str,
    /// What it does and answers.
    pub(in super::super) about: &'static str,
    /// Its fields, each with its schema and whether it must be given.
    pub(in super::super) fields: fn() -> Vec<(&'static str, Json, bool)>,
}

macro_rules! operations {
    ($($name:literal $variant:ident($about:literal) { $($field:ident: $type:ty),* $(,)? } $key:ident => $make:expr;)+) => {
        /// An operation as a client gives it.
        #[derive(Clone, Debug, Deserialize)]
        #[serde(tag = "operation", deny_unknown_fields)]
        pub(in super::super) enum Given {
            $(#[serde(rename = $name)] $variant { $($field: $type),* },)+
        }

        impl Given {
            /// The operation on a key.
            pub(in super::super) fn on(self, key: &Key) -> Result<Operation, Problem> {
                match self {
                    $(Given::$variant { $($field),* } => { let $key = key; Ok($make) })+
                }
            }
        }

        /// All of them.
        pub(in super::super) const OPERATIONS: &[OperationDescribed] = &[$(OperationDescribed {
            name: $name,
            about: $about,
            fields: || vec![$((stringify!($field), <$type>::schema(), <$type>::required())),*],
        }),+];
    };
}

fn bytes(values: Vec<Value>) -> Vec<Bytes> {
    values.into_iter().map(|Value(bytes)| bytes).collect()
}

fn pairs(pairs: Vec<Pair>) -> Vec<(Bytes, Bytes)> {
    pairs.into_iter().map(|pair| (pair.field.0, pair.value.0)).collect()
}

fn scored(members: Vec<Scored>) -> Vec<(Bytes, coterie_crdt::Score)> {
    members.into_iter().map(|it| (it.member.0, it.score.0)).collect()
}

fn after(value: Option<Value>) -> Option<Bytes> {
    value.map(|Value(bytes)| bytes)
}

fn count(count: Option<u64>) -> usize {
    usize::try_from(count.unwrap_or(100)).unwrap_or(usize::MAX).clamp(1, 1_000)
}

fn set(kind: Option<SetKindGiven>, verb: SetVerb) -> Operation {
    let kind = kind.map_or(SetKind::AddWins, |SetKindGiven(kind)| kind);
    Operation::Set(SetOperation { kind, verb })
}

fn flag(kind: Option<FlagKindGiven>, verb: FlagVerb) -> Operation {
    let kind = kind.map_or(FlagKind::EnableWins, |FlagKindGiven(kind)| kind);
    Operation::Flag(FlagOperation { kind, verb })
}

fn path(path: Vec<Value>) -> Result<MapPath, Problem> {
    MapPath::new(bytes(path)).ok_or_else(|| Problem::bad("a path has at least one segment"))
}

fn under(given: Option<Vec<Value>>) -> Option<MapPath> {
    given.and_then(|given| MapPath::new(bytes(given)))
}

fn direction(reverse: Option<bool>) -> Direction {
    if reverse == Some(true) { Direction::Backward } else { Direction::Forward }
}

fn limit(offset: Option<i64>, count: Option<i64>) -> RangeLimit {
    RangeLimit { offset: offset.unwrap_or(0), count: count.unwrap_or(-1) }
}

fn condition(given: Option<ScoreCondition>) -> AddCondition {
    given.map_or(AddCondition::Always, |ScoreCondition(condition)| condition)
}

fn scores(
    min: Option<BoundGiven<ScoreGiven>>,
    max: Option<BoundGiven<ScoreGiven>>,
) -> SortedSetRange {
    let bound = |given| BoundGiven::bound(given, |ScoreGiven(score)| score);
    SortedSetRange::Scores { min: bound(min), max: bound(max) }
}

fn names(min: Option<BoundGiven<Value>>, max: Option<BoundGiven<Value>>) -> SortedSetRange {
    let bound = |given| BoundGiven::bound(given, |Value(bytes)| bytes);
    SortedSetRange::Names { min: bound(min), max: bound(max) }
}

/// The dots that a context token of this key names.
pub(in super::super) fn replaces(token: &str, key: &Key) -> Result<coterie_crdt::Context, Problem> {
    let token = from_header(token).ok_or_else(|| Problem::bad("the context token is damaged"))?;
    ContextToken::open_of_any_epoch(&token, key.name()).map_err(Problem::bad)
}

operations! {
    "key.delete" KeyDelete("Deletes the key, whatever its type: 1 if it was there.") {} _key => Operation::Key(KeyOperation::Delete);
    "key.exists" KeyExists("1 if the key is there.") {} _key => Operation::Key(KeyOperation::Exists);
    "key.type" KeyType("The key's type.") {} _key => Operation::Key(KeyOperation::Type);
    "key.kinds" KeyKinds("Kinds of cells that are live under the key, visible or not, with how many of each.") {} _key => Operation::Key(KeyOperation::Kinds);
    "key.expire" KeyExpire("Sets when the key expires: 1 if it was set.") { at_millis: u64, condition: Option<ExpiryCondition> } _key =>
        Operation::Key(KeyOperation::ExpireAt { at: at_millis, condition: condition.map_or(Condition::Always, |it| it.0) });
    "key.persist" KeyPersist("The key expires no more: 1 if it would have.") {} _key => Operation::Key(KeyOperation::Persist);
    "key.time_to_live" KeyTimeToLive("Milliseconds until the key expires; -1 never, -2 no such key.") {} _key => Operation::Key(KeyOperation::TimeToLive);
    "key.expire_time" KeyExpireTime("When the key expires, in milliseconds since 1970; -1 never, -2 no such key.") {} _key => Operation::Key(KeyOperation::ExpireTime);

    "string.get" StringGet("The value: of concurrent ones the latest.") {} _key => Operation::String(StringOperation::Get);
    "string.get_range" StringGetRange("Bytes from one index to another, both inclusive.") { start: i64, end: i64 } _key => Operation::String(StringOperation::GetRange { start, end });
    "string.length" StringLength("The value's length in bytes.") {} _key => Operation::String(StringOperation::Length);
    "string.set" StringSet("Assigns a value. Answers the one before where get is true.") { value: Value, condition: Option<WriteCondition>, get: Option<bool>, expire: Option<ExpiryGiven> } _key =>
        Operation::String(StringOperation::Set {
            value: value.0,
            condition: condition.map_or(SetCondition::Always, |it| it.0),
            get: get == Some(true),
            expire: expire.map_or(Expire::Never, |it| it.expire()),
        });
    "string.get_delete" StringGetDelete("The value, which is deleted.") {} _key => Operation::String(StringOperation::GetDelete);
    "string.append" StringAppend("Appends bytes: the length after it.") { value: Value } _key => Operation::String(StringOperation::Append(value.0));
    "string.set_range" StringSetRange("Writes bytes at an offset: the length after it.") { offset: i64, value: Value } _key => Operation::String(StringOperation::SetRange { offset, value: value.0 });
    "string.increment" StringIncrement("Adds to a number: the sum. Concurrent increments add up.") { by: i64 } _key => Operation::String(StringOperation::IncrementBy(by));
    "string.increment_float" StringIncrementFloat("Adds a decimal: the sum. Concurrent increments add up.") { by: DecimalGiven } _key => Operation::String(StringOperation::IncrementByFloat(by.0));
    "string.get_siblings" StringGetSiblings("All concurrent values with the context to replace them by.") {} _key => Operation::String(StringOperation::GetSiblings);
    "string.put_sibling" StringPutSibling("Replaces the values of a context; others stay as siblings.") { value: Value, context: String } key =>
        Operation::String(StringOperation::PutSibling { value: value.0, replaces: replaces(&context, key)? });

    "flag.enable" FlagEnable("Enables the flag.") { kind: Option<FlagKindGiven> } _key => flag(kind, FlagVerb::Enable);
    "flag.disable" FlagDisable("Disables the flag.") { kind: Option<FlagKindGiven> } _key => flag(kind, FlagVerb::Disable);
    "flag.read" FlagRead("1 where the flag is enabled, else 0.") { kind: Option<FlagKindGiven> } _key => flag(kind, FlagVerb::Read);

    "set.add" SetAdd("Adds members: how many are new. An add wins over a concurrent removal.") { members: Vec<Value>, kind: Option<SetKindGiven> } _key => set(kind, SetVerb::Add(bytes(members)));
    "set.remove" SetRemove("Removes members: how many were there.") { members: Vec<Value>, kind: Option<SetKindGiven> } _key => set(kind, SetVerb::Remove(bytes(members)));
    "set.contains" SetContains("1 or 0 for each member.") { members: Vec<Value>, kind: Option<SetKindGiven> } _key => set(kind, SetVerb::Contains(bytes(members)));
    "set.count" SetCount("How many members there are.") { kind: Option<SetKindGiven> } _key => set(kind, SetVerb::Count);
    "set.members" SetMembers("All members, in order of bytes.") { kind: Option<SetKindGiven> } _key => set(kind, SetVerb::Members);
    "set.scan" SetScan("Up to so many members after one.") { after: Option<Value>, count: Option<u64>, kind: Option<SetKindGiven> } _key =>
        set(kind, SetVerb::Scan { after: self::after(after), count: self::count(count) });
    "set.pop" SetPop("Removes members chosen at random and answers them.") { count: u64, kind: Option<SetKindGiven> } _key => set(kind, SetVerb::Pop(count));
    "set.random" SetRandom("Distinct members chosen at random.") { count: u64, kind: Option<SetKindGiven> } _key => set(kind, SetVerb::Random(count));

    "hash.get" HashGet("The value of each field.") { fields: Vec<Value> } _key => Operation::Hash(HashOperation::Get(bytes(fields)));
    "hash.all" HashAll("All fields with their values.") {} _key => Operation::Hash(HashOperation::All);
    "hash.fields" HashFields("All fields.") {} _key => Operation::Hash(HashOperation::Fields);
    "hash.count" HashCount("How many fields there are.") {} _key => Operation::Hash(HashOperation::Count);
    "hash.contains" HashContains("1 if the field is there.") { field: Value } _key => Operation::Hash(HashOperation::Contains(field.0));
    "hash.set" HashSet("Assigns fields: how many are new.") { fields: Vec<Pair> } _key => Operation::Hash(HashOperation::Set(pairs(fields)));
    "hash.set_if_absent" HashSetIfAbsent("Assigns a field that is not there: 1 if it was set.") { field: Value, value: Value } _key => Operation::Hash(HashOperation::SetIfAbsent { field: field.0, value: value.0 });
    "hash.remove" HashRemove("Removes fields: how many were there.") { fields: Vec<Value> } _key => Operation::Hash(HashOperation::Remove(bytes(fields)));
    "hash.increment" HashIncrement("Adds to a field: the sum. Concurrent increments add up.") { field: Value, by: i64 } _key => Operation::Hash(HashOperation::IncrementBy { field: field.0, by });
    "hash.increment_float" HashIncrementFloat("Adds a decimal to a field: the sum.") { field: Value, by: DecimalGiven } _key => Operation::Hash(HashOperation::IncrementByFloat { field: field.0, by: by.0 });
    "hash.scan" HashScan("Up to so many fields after one, with their values.") { after: Option<Value>, count: Option<u64> } _key =>
        Operation::Hash(HashOperation::Scan { after: self::after(after), count: self::count(count) });
    "hash.expire" HashExpire("Sets when fields expire. For each 1 if it was set, 0 if the condition did not hold, 2 if the field was removed as the time has passed, -2 no such field.") { fields: Vec<Value>, at_millis: u64, condition: Option<ExpiryCondition> } _key =>
        Operation::Hash(HashOperation::ExpireAt { fields: bytes(fields), at: at_millis, condition: condition.map_or(Condition::Always, |it| it.0) });
    "hash.persist" HashPersist("Fields expire no more: for each 1 if it would have, -1 if not, -2 no such field.") { fields: Vec<Value> } _key => Operation::Hash(HashOperation::Persist(bytes(fields)));
    "hash.time_to_live" HashTimeToLive("Milliseconds until each field expires; -1 never, -2 no such field.") { fields: Vec<Value> } _key => Operation::Hash(HashOperation::TimeToLive(bytes(fields)));
    "hash.expire_time" HashExpireTime("When each field expires, in milliseconds since 1970; -1 never, -2 no such field.") { fields: Vec<Value> } _key => Operation::Hash(HashOperation::ExpireTime(bytes(fields)));
    "hash.set_expiring" HashSetExpiring("Assigns fields that expire: 1 if the condition held, of none or all of them being there.") { fields: Vec<Pair>, condition: Option<WriteCondition>, expire: Option<ExpiryGiven> } _key =>
        Operation::Hash(HashOperation::SetExpire {
            pairs: pairs(fields),
            condition: condition.map_or(SetCondition::Always, |it| it.0),
            expire: expire.map_or(Expire::Never, |it| it.expire()),
        });

    "map.get" MapGet("The value at a path.") { path: Vec<Value> } _key => Operation::Map(MapOperation::Get(self::path(path)?));
    "map.set" MapSet("Assigns a value at a path: 1 if there was none.") { path: Vec<Value>, value: Value } _key => Operation::Map(MapOperation::Set { path: self::path(path)?, value: value.0 });
    "map.increment" MapIncrement("Adds to the value at a path: the sum. Concurrent increments add up.") { path: Vec<Value>, by: i64 } _key => Operation::Map(MapOperation::IncrementBy { path: self::path(path)?, by });
    "map.increment_float" MapIncrementFloat("Adds a decimal to the value at a path: the sum.") { path: Vec<Value>, by: DecimalGiven } _key => Operation::Map(MapOperation::IncrementByFloat { path: self::path(path)?, by: by.0 });
    "map.remove" MapRemove("Removes the value at a path and all under it, at most 1,000 at once: how many.") { path: Vec<Value> } _key => Operation::Map(MapOperation::Remove { path: self::path(path)?, cells_max: CELLS_MAX });
    "map.entries" MapEntries("The values under a path, or all, with their whole paths.") { under: Option<Vec<Value>> } _key => Operation::Map(MapOperation::Entries(self::under(under)));
    "map.count" MapCount("How many values are under a path, or in all.") { under: Option<Vec<Value>> } _key => Operation::Map(MapOperation::Count(self::under(under)));

    "sorted_set.add" SortedSetAdd("Assigns scores: how many members are new, or changed too where count_changed is true.") { members: Vec<Scored>, condition: Option<ScoreCondition>, count_changed: Option<bool> } _key =>
        Operation::SortedSet(SortedSetOperation::Add { members: scored(members), condition: self::condition(condition), count_changed: count_changed == Some(true) });
    "sorted_set.increment" SortedSetIncrement("Adds to a score: the sum. Concurrent increments add up.") { member: Value, by: ScoreGiven, condition: Option<ScoreCondition> } _key =>
        Operation::SortedSet(SortedSetOperation::Increment { member: member.0, by: by.0, condition: self::condition(condition) });
    "sorted_set.remove" SortedSetRemove("Removes members: how many were there.") { members: Vec<Value> } _key => Operation::SortedSet(SortedSetOperation::Remove(bytes(members)));
    "sorted_set.scores" SortedSetScores("The score of each member.") { members: Vec<Value> } _key => Operation::SortedSet(SortedSetOperation::Scores(bytes(members)));
    "sorted_set.count" SortedSetCount("How many members there are.") {} _key => Operation::SortedSet(SortedSetOperation::Count);
    "sorted_set.by_rank" SortedSetByRank("Members from one rank to another, both inclusive, with their scores.") { start: i64, stop: i64, reverse: Option<bool> } _key =>
        Operation::SortedSet(SortedSetOperation::Range { range: SortedSetRange::Ranks { start, stop }, direction: direction(reverse), limit: RangeLimit::NONE });
    "sorted_set.by_score" SortedSetByScore("Members with scores within bounds.") { min: Option<BoundGiven<ScoreGiven>>, max: Option<BoundGiven<ScoreGiven>>, reverse: Option<bool>, offset: Option<i64>, count: Option<i64> } _key =>
        Operation::SortedSet(SortedSetOperation::Range { range: scores(min, max), direction: direction(reverse), limit: limit(offset, count) });
    "sorted_set.by_name" SortedSetByName("Members with names within bounds.") { min: Option<BoundGiven<Value>>, max: Option<BoundGiven<Value>>, reverse: Option<bool>, offset: Option<i64>, count: Option<i64> } _key =>
        Operation::SortedSet(SortedSetOperation::Range { range: names(min, max), direction: direction(reverse), limit: limit(offset, count) });
    "sorted_set.count_by_score" SortedSetCountByScore("How many members have scores within bounds.") { min: Option<BoundGiven<ScoreGiven>>, max: Option<BoundGiven<ScoreGiven>> } _key => Operation::SortedSet(SortedSetOperation::CountRange(scores(min, max)));
    "sorted_set.remove_by_score" SortedSetRemoveByScore("Removes members with scores within bounds: how many.") { min: Option<BoundGiven<ScoreGiven>>, max: Option<BoundGiven<ScoreGiven>> } _key => Operation::SortedSet(SortedSetOperation::RemoveRange(scores(min, max)));
    "sorted_set.rank" SortedSetRank("A member's rank and score.") { member: Value, reverse: Option<bool> } _key => Operation::SortedSet(SortedSetOperation::Rank { member: member.0, direction: direction(reverse) });
    "sorted_set.pop" SortedSetPop("Removes members from the low end, or the high one, and answers them.") { count: u64, reverse: Option<bool> } _key => Operation::SortedSet(SortedSetOperation::Pop { direction: direction(reverse), count });
    "sorted_set.scan" SortedSetScan("Up to so many members after one, in order of names, with their scores.") { after: Option<Value>, count: Option<u64> } _key =>
        Operation::SortedSet(SortedSetOperation::Scan { after: self::after(after), count: self::count(count) });

    "list.push" ListPush("Pushes elements one after the other: the length after it.") { end: End, elements: Vec<Value> } _key => Operation::List(ListOperation::Push(end.0, bytes(elements)));
    "list.push_if_present" ListPushIfPresent("As list.push, but not on a key that is not there.") { end: End, elements: Vec<Value> } _key => Operation::List(ListOperation::PushIfPresent(end.0, bytes(elements)));
    "list.pop" ListPop("Removes elements from an end and answers them.") { end: End, count: Option<u64> } _key =>
        Operation::List(count.map_or(ListOperation::Pop(end.0), |count| ListOperation::PopMany(end.0, count)));
    "list.length" ListLength("How many elements there are.") {} _key => Operation::List(ListOperation::Length);
    "list.range" ListRange("Elements from one index to another, both inclusive.") { start: i64, stop: i64 } _key => Operation::List(ListOperation::Range { start, stop });
    "list.index" ListIndex("The element at an index.") { index: i64 } _key => Operation::List(ListOperation::Index(index));
    "list.set" ListSet("Assigns to the element at an index.") { index: i64, value: Value } _key => Operation::List(ListOperation::Set { index, value: value.0 });
    "list.insert" ListInsert("Inserts beside the first element that equals the pivot: the length after it.") { side: Side, pivot: Value, value: Value } _key => Operation::List(ListOperation::Insert { side: side.0, pivot: pivot.0, value: value.0 });
    "list.remove" ListRemove("Removes elements that equal a value: how many. From the left, or right if count is negative; all if 0.") { count: i64, value: Value } _key => Operation::List(ListOperation::Remove { count, value: value.0 });
    "list.trim" ListTrim("Keeps elements from one index to another only.") { start: i64, stop: i64 } _key => Operation::List(ListOperation::Trim { start, stop });
    "list.find" ListFind("Indexes of elements that equal a value: up to count, 0 for all.") { value: Value, count: Option<u64> } _key =>
        Operation::List(ListOperation::Find { value: value.0, rank: FIRST, count, compared_max: 0 });

    "hyperloglog.add" HyperLogLogAdd("Adds elements: 1 if the estimate may have risen.") { elements: Vec<Value> } _key => Operation::HyperLogLog(HyperLogLogOperation::Add(bytes(elements)));
    "hyperloglog.count" HyperLogLogCount("About how many distinct elements were added.") {} _key => Operation::HyperLogLog(HyperLogLogOperation::Count(Vec::new()));
}
