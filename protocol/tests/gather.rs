//! Commands on several keys: what is asked in which order, and what is told when something fails.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use coterie_crdt::operation::algebra::Aggregate;
use coterie_crdt::operation::{
    HyperLogLogOperation, KeyOperation, ListEnd, ListOperation, OpError, Operation, RangeLimit,
    Reply, SetOperation, SetVerb, SortedSetOperation, SortedSetRange, evaluate_all,
};
use coterie_crdt::{Actor, Actors, Cells, Clock, Context, Direction, Mint, Score, State};
use coterie_protocol::gather::{
    Algebra, Answer, Command, Done, Gather, GatherError, Original, Progress, Sort, SortBy, There,
};
use coterie_wire::{Answered, ChangedDots, Key, Outcome, QuorumCount, Unavailable};

/// Keys, each at one place that never fails but where it is told to.
#[derive(Default)]
struct Store {
    keys: BTreeMap<Key, State>,
    clock: Clock,
    /// What becomes of the next request on a key in place of being done.
    fails: BTreeMap<Key, Outcome>,
    /// The keys asked, in order, with whether the request may have changed them.
    asked: Vec<(Key, bool)>,
}

impl Store {
    fn ask(&mut self, key: &Key, operations: &[Operation]) -> Outcome {
        self.asked.push((key.clone(), operations.iter().any(Operation::writes)));
        if let Some(outcome) = self.fails.remove(key) {
            return outcome;
        }
        let state = self.keys.entry(key.clone()).or_default();
        let context = state.root().map(|root| root.context.clone()).unwrap_or_default();
        let dot = Actors::new(Actor(1)).next_dot(&context).unwrap();
        let mut mint = Mint::new(dot, &mut self.clock, 1_000, 7);
        let (replies, delta) = evaluate_all(operations, state, &mut mint);
        state.join_delta(&delta);
        Outcome::Done(Box::new(Answered {
            replies,
            changed: ChangedDots::default(),
            seen: (Context::new(), 0),
            owners: Vec::new(),
            fallbacks: Vec::new(),
            everywhere: false,
            explanation: None,
        }))
    }

    fn do_one(&mut self, key: &Key, operation: Operation) -> Result<Reply, OpError> {
        match self.ask(key, &[operation]) {
            Outcome::Done(answered) => answered.replies[0].clone(),
            outcome => panic!("{outcome:?}"),
        }
    }

    fn run(&mut self, command: Command) -> Done {
        self.asked.clear();
        let (mut gather, mut progress) = Gather::begin(command);
        let mut asks = VecDeque::new();
        loop {
            match progress {
                Progress::Done(done) => return *done,
                Progress::Asks(more) => asks.extend(more),
                Progress::Waits => {}
            }
            // Answers come in whatever order: here the last asked is the first to answer.
            let ask = asks.pop_back().expect("what waits has asked");
            let outcome = self.ask(&ask.key, &ask.operations);
            progress = gather.answered(ask.item, outcome.clone());
            if asks.is_empty() && progress == Progress::Waits {
                panic!("all has answered");
            }
        }
    }

    fn reply(&mut self, command: Command) -> Reply {
        match self.run(command).answer {
            Ok(Answer::Reply(reply)) => reply,
            answer => panic!("{answer:?}"),
        }
    }

    fn sadd(&mut self, key: &Key, members: &[&'static str]) {
        let members = members.iter().map(|member| Bytes::from(*member)).collect();
        self.do_one(key, Operation::Set(SetOperation::new(SetVerb::Add(members)))).unwrap();
    }

    fn members(&mut self, key: &Key) -> Vec<Bytes> {
        match self.do_one(key, Operation::Set(SetOperation::new(SetVerb::Members))) {
            Ok(Reply::Values(members)) => members.into_iter().flatten().collect(),
            reply => panic!("{reply:?}"),
        }
    }

    fn elements(&mut self, key: &Key) -> Vec<Bytes> {
        let all = Operation::List(ListOperation::Range { start: 0, stop: -1 });
        match self.do_one(key, all) {
            Ok(Reply::Values(elements)) => elements.into_iter().flatten().collect(),
            reply => panic!("{reply:?}"),
        }
    }
}

fn key(name: &str) -> Key {
    Key::new(&b"db0"[..], name.as_bytes().to_vec())
}

fn unknown() -> Outcome {
    let count = QuorumCount { have: 1, need: 2 };
    Outcome::Unknown { count, changed: ChangedDots::default() }
}

fn rename(from: &str, to: &str) -> Command {
    Command::Copy {
        from: key(from),
        to: key(to),
        there: There::Replaced,
        original: Original::Deleted,
    }
}

#[test]
fn each_request_of_a_command_is_told_for_itself() {
    let mut store = Store::default();
    let delete = || vec![Operation::Key(KeyOperation::Delete)];
    for name in ["a", "b", "c"] {
        store.sadd(&key(name), &["x"]);
    }
    store.fails.insert(key("b"), Outcome::Unavailable(Unavailable::Nobody));
    let command = Command::Each(["a", "b", "c"].map(|name| (key(name), delete())).to_vec());
    let done = store.run(command);
    assert_eq!(done.answer, Ok(Answer::Each));
    let outcomes: Vec<bool> =
        done.items.iter().map(|item| matches!(item.outcome, Outcome::Done(_))).collect();
    assert_eq!(outcomes, [true, false, true]);
    assert_eq!(done.items[1].key, key("b"));
    assert!(store.members(&key("a")).is_empty() && !store.members(&key("b")).is_empty());
}

#[test]
fn a_command_on_no_keys_is_done_at_once() {
    let (_, progress) = Gather::begin(Command::Each(Vec::new()));
    assert!(matches!(progress, Progress::Done(done) if done.items.is_empty()));
}

#[test]
fn sets_are_made_of_sets_and_stored() {
    let mut store = Store::default();
    store.sadd(&key("a"), &["1", "2", "3"]);
    store.sadd(&key("b"), &["2", "3", "4"]);
    let command = |verb, into| Command::Sets { keys: vec![key("a"), key("b")], verb, into };
    let values = |members: &[&'static str]| {
        Reply::Values(members.iter().map(|member| Some(Bytes::from(*member))).collect())
    };
    assert_eq!(store.reply(command(Algebra::Union, None)), values(&["1", "2", "3", "4"]));
    assert_eq!(store.reply(command(Algebra::Intersection, None)), values(&["2", "3"]));
    assert_eq!(store.reply(command(Algebra::Difference, None)), values(&["1"]));
    let limited = command(Algebra::IntersectionCount(1), None);
    assert_eq!(store.reply(limited), Reply::Integer(1));
    let into = command(Algebra::Intersection, Some(key("c")));
    assert_eq!(store.reply(into), Reply::Integer(2));
    assert_eq!(store.members(&key("c")), ["2", "3"]);
}

#[test]
fn sorted_sets_are_made_of_sorted_sets_and_plain_ones() {
    let mut store = Store::default();
    let score = |score: f64| Score::new(score).unwrap();
    let scored = vec![(Bytes::from("x"), score(5.0)), (Bytes::from("y"), score(1.0))];
    let add = Operation::SortedSet(SortedSetOperation::Store(scored));
    store.do_one(&key("z"), add).unwrap();
    store.sadd(&key("s"), &["x"]);
    let command = Command::SortedSets {
        keys: vec![(key("z"), score(2.0)), (key("s"), score(3.0))],
        verb: Algebra::Union,
        aggregate: Aggregate::Sum,
        into: None,
    };
    let expected = vec![("y".into(), score(2.0)), ("x".into(), score(13.0))];
    assert_eq!(store.reply(command), Reply::Scored(expected));
}

#[test]
fn an_input_that_is_not_read_or_is_no_set_changes_nothing() {
    let mut store = Store::default();
    store.sadd(&key("a"), &["1"]);
    store.sadd(&key("into"), &["old"]);
    let command = || Command::Sets {
        keys: vec![key("a"), key("b")],
        verb: Algebra::Union,
        into: Some(key("into")),
    };
    store.fails.insert(key("b"), Outcome::Unavailable(Unavailable::Nobody));
    assert_eq!(store.run(command()).answer, Err(GatherError::NotRead(1)));
    let push = ListOperation::Push(ListEnd::Left, vec!["e".into()]);
    store.do_one(&key("b"), Operation::List(push)).unwrap();
    assert_eq!(store.run(command()).answer, Err(GatherError::Failed(OpError::WrongType)));
    assert_eq!(store.members(&key("into")), ["old"]);
}

#[test]
fn what_is_renamed_is_stored_before_it_is_deleted() {
    let mut store = Store::default();
    store.sadd(&key("a"), &["1", "2"]);
    assert_eq!(store.reply(rename("a", "b")), Reply::Integer(1));
    assert_eq!(store.asked, [(key("a"), false), (key("b"), true), (key("a"), true)]);
    assert_eq!(store.members(&key("b")), ["1", "2"]);
    assert!(store.members(&key("a")).is_empty());
    let missing = store.run(rename("a", "b")).answer;
    assert_eq!(missing, Err(GatherError::Failed(OpError::NoSuchKey)));
    assert_eq!(store.reply(rename("b", "b")), Reply::Integer(1));
    assert_eq!(store.members(&key("b")), ["1", "2"]);
}

#[test]
fn nothing_is_removed_while_its_copy_is_not_known_to_be_stored() {
    for outcome in [unknown(), Outcome::Unavailable(Unavailable::Nobody)] {
        let mut store = Store::default();
        store.sadd(&key("a"), &["1"]);
        store.fails.insert(key("b"), outcome.clone());
        let done = store.run(rename("a", "b"));
        assert_eq!(done.answer, Err(GatherError::NotStored(1)));
        assert_eq!(done.items[1].outcome, outcome);
        assert_eq!(store.members(&key("a")), ["1"]);
        assert_eq!(store.asked.iter().filter(|(key, _)| *key == self::key("a")).count(), 2);
    }
}

#[test]
fn a_copy_that_must_not_replace_leaves_both_as_they_are() {
    let mut store = Store::default();
    store.sadd(&key("a"), &["1"]);
    store.sadd(&key("b"), &["2"]);
    let command =
        |original| Command::Copy { from: key("a"), to: key("b"), there: There::Kept, original };
    assert_eq!(store.reply(command(Original::Deleted)), Reply::Integer(0));
    assert_eq!(store.reply(command(Original::Stays)), Reply::Integer(0));
    assert_eq!(
        (store.members(&key("a")), store.members(&key("b"))),
        (vec!["1".into()], vec!["2".into()])
    );
}

#[test]
fn an_element_moves_from_end_to_end_also_within_its_list() {
    let mut store = Store::default();
    let push = |values: &[&'static str]| {
        let values = values.iter().map(|value| Bytes::from(*value)).collect();
        Operation::List(ListOperation::Push(ListEnd::Right, values))
    };
    store.do_one(&key("a"), push(&["1", "2", "1"])).unwrap();
    let command = |from: &str, to: &str| Command::MoveElement {
        from: (key(from), ListEnd::Right),
        to: (key(to), ListEnd::Left),
    };
    assert_eq!(store.reply(command("a", "b")), Reply::Value("1".into()));
    assert_eq!(
        (store.elements(&key("a")), store.elements(&key("b"))),
        (vec!["1".into(), "2".into()], vec!["1".into()])
    );
    assert_eq!(store.reply(command("a", "a")), Reply::Value("2".into()));
    assert_eq!(store.elements(&key("a")), ["2", "1"]);
    assert_eq!(store.reply(command("none", "b")), Reply::Nothing);
    store.fails.insert(key("a"), unknown());
    assert_eq!(store.run(command("a", "b")).answer, Err(GatherError::NotRead(0)));
    store.fails.insert(key("b"), unknown());
    assert_eq!(store.run(command("a", "b")).answer, Err(GatherError::NotStored(1)));
    assert_eq!(store.elements(&key("a")), ["2", "1"]);
}

#[test]
fn a_member_moves_if_it_is_there() {
    let mut store = Store::default();
    store.sadd(&key("a"), &["1"]);
    let command = || Command::MoveMember { from: key("a"), to: key("b"), member: Bytes::from("1") };
    assert_eq!(store.reply(command()), Reply::Integer(1));
    assert_eq!(store.reply(command()), Reply::Integer(0));
    assert_eq!(store.members(&key("b")), ["1"]);
}

#[test]
fn sketches_are_merged_into_one_which_is_made() {
    let mut store = Store::default();
    let add = |elements: &[&'static str]| {
        let elements = elements.iter().map(|element| Bytes::from(*element)).collect();
        Operation::HyperLogLog(HyperLogLogOperation::Add(elements))
    };
    let count = || Operation::HyperLogLog(HyperLogLogOperation::Count(Vec::new()));
    store.do_one(&key("a"), add(&["x", "y"])).unwrap();
    store.do_one(&key("b"), add(&["y", "z"])).unwrap();
    store.do_one(&key("c"), add(&["w"])).unwrap();
    let merge = |keys: &[&str], into| {
        let keys = keys.iter().map(|name| key(name)).collect();
        Command::Merge { keys, into: key(into) }
    };
    assert_eq!(store.reply(merge(&["a", "b", "missing"], "c")), Reply::Done);
    assert_eq!(store.do_one(&key("c"), count()), Ok(Reply::Integer(4)));
    assert_eq!(store.reply(merge(&[], "new")), Reply::Done);
    let exists = store.do_one(&key("new"), Operation::Key(KeyOperation::Exists));
    assert_eq!(exists, Ok(Reply::Integer(1)));
    store.sadd(&key("s"), &["x"]);
    let done = store.run(merge(&["s"], "c"));
    assert_eq!(done.answer, Err(GatherError::Failed(OpError::WrongType)));
    assert!(store.asked.iter().all(|(_, writes)| !writes));
}

#[test]
fn a_range_of_a_sorted_set_replaces_another() {
    let mut store = Store::default();
    let score = |score| Score::new(score).unwrap();
    let members = ["a", "b", "c"].into_iter().zip([1.0, 2.0, 3.0]);
    let members = members.map(|(member, s)| (Bytes::from(member), score(s))).collect();
    store.do_one(&key("from"), Operation::SortedSet(SortedSetOperation::Store(members))).unwrap();
    store.sadd(&key("into"), &["old"]);
    let range = SortedSetRange::Ranks { start: 1, stop: -1 };
    let (direction, limit) = (Direction::Forward, RangeLimit::NONE);
    let range = SortedSetOperation::Range { range, direction, limit };
    let stored = |from: &str| Command::StoreRange {
        from: key(from),
        range: range.clone(),
        into: key("into"),
    };
    assert_eq!(store.reply(stored("from")), Reply::Integer(2));
    let count = || Operation::SortedSet(SortedSetOperation::Count);
    assert_eq!(store.do_one(&key("into"), count()), Ok(Reply::Integer(2)));
    assert_eq!(store.reply(stored("missing")), Reply::Integer(0));
    let exists = store.do_one(&key("into"), Operation::Key(KeyOperation::Exists));
    assert_eq!(exists, Ok(Reply::Integer(0)));
}

#[test]
fn elements_are_sorted_and_the_part_asked_for_replaces_a_key() {
    let mut store = Store::default();
    store.sadd(&key("numbers"), &["10", "9", "-1", "9.5"]);
    store.sadd(&key("words"), &["b", "a"]);
    let sort = |name: &str, by| Sort {
        key: key(name),
        by,
        direction: Direction::Backward,
        limit: RangeLimit { offset: 1, count: 2 },
        repeated: 1,
        into: None,
    };
    let values = |words: &[&'static str]| {
        Reply::Values(words.iter().map(|word| Some(Bytes::from(*word))).collect())
    };
    let numbers = sort("numbers", SortBy::Number);
    assert_eq!(store.reply(Command::Sort(numbers.clone())), values(&["9.5", "9"]));
    assert_eq!(store.reply(Command::Sort(sort("numbers", SortBy::Bytes))), values(&["9", "10"]));
    assert_eq!(store.reply(Command::Sort(sort("missing", SortBy::Number))), values(&[]));
    let done = store.run(Command::Sort(sort("words", SortBy::Number)));
    assert_eq!(done.answer, Err(GatherError::NotSortable));
    store.sadd(&key("into"), &["old"]);
    let into = Some(key("into"));
    let stored = Command::Sort(Sort { into: into.clone(), repeated: 2, ..numbers.clone() });
    assert_eq!(store.reply(stored), Reply::Integer(4));
    assert_eq!(store.elements(&key("into")), ["9.5", "9.5", "9", "9"]);
    let limit = RangeLimit { offset: 9, count: -1 };
    assert_eq!(store.reply(Command::Sort(Sort { into, limit, ..numbers })), Reply::Integer(0));
    assert!(store.elements(&key("into")).is_empty());
}
