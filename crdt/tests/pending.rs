//! Whole-key deletions: what is read, counted and digested while their rows are still there.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as the tests do")]
#![expect(clippy::print_stdout, reason = "a run says how large it was")]

use std::collections::BTreeSet;
use std::ops::Bound;

use bytes::Bytes;
use coterie_crdt::digest::{dots_digest, tallies_digest};
use coterie_crdt::operation::{
    AddCondition, HashOperation, KeyOperation, OpError, Operation, RangeLimit, Reply, SetKind,
    SetOperation, SetVerb, SortedSetOperation, SortedSetRange,
};
use coterie_crdt::{
    Actor, Actors, COUNTED_KINDS, Cells, Clock, Context, Delta, Direction, Mint, Root, Score,
    State, recount, sweep,
};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

struct Replica {
    state: State,
    actors: Actors,
    clock: Clock,
    /// Adds one for every operation.
    wall_millis: u64,
}

impl Replica {
    fn new(actor: u64) -> Self {
        let actors = Actors::new(Actor(actor));
        Replica { state: State::new(), actors, clock: Clock::new(), wall_millis: 1_000 }
    }

    fn several<const COUNT: usize>() -> [Replica; COUNT] {
        std::array::from_fn(|index| Replica::new(index as u64 + 1))
    }

    /// What an operation answers, and the delta that it made and joined here.
    fn write(&mut self, operation: &Operation) -> (Result<Reply, OpError>, Delta) {
        self.wall_millis += 1;
        let context = self.state.root().map_or_else(Context::new, |root| root.context.clone());
        let next = self.actors.next_dot(&context).unwrap();
        let mut mint = Mint::new(next, &mut self.clock, self.wall_millis, 7);
        match operation.evaluate(&self.state, &mut mint) {
            Ok((reply, delta)) => {
                self.join(&delta);
                (Ok(reply), delta)
            }
            Err(error) => (Err(error), Delta::new()),
        }
    }

    fn run(&mut self, operation: &Operation) -> Result<Reply, OpError> {
        self.write(operation).0
    }

    fn join(&mut self, delta: &Delta) {
        self.state.join_delta(delta);
        assert_sound(&self.state);
    }

    /// Sweeps at most so many rows.
    fn sweep(&mut self, rows_max: usize) {
        let digest = self.state.digest();
        let counting = self.root().is_counting();
        let changes = sweep(&self.state, rows_max);
        assert!(changes.rows() <= rows_max + 1, "a chunk and the root");
        assert!(counting || changes.digest == (digest, digest), "sweeping changes no sum");
        self.state.apply(changes);
        assert_sound(&self.state);
    }

    /// Goes on with a recount for at most so many rows.
    fn recount(&mut self, rows_max: usize) {
        let digest = self.state.digest();
        let changes = recount(&self.state, rows_max);
        assert!(!changes.contradiction && changes.cells.is_empty(), "there is nothing to correct");
        assert_eq!(changes.digest, (digest, digest));
        self.state.apply(changes);
        assert_sound(&self.state);
    }

    fn sweep_all(&mut self) {
        while self.root().pending.is_some() {
            self.sweep(2);
        }
    }

    fn root(&self) -> Root {
        self.state.root().cloned().unwrap_or_default()
    }
}

/// Recomputes from the rows what the root says of them.
fn assert_sound(state: &State) {
    let root = state.root().cloned().unwrap_or_default();
    let settled = root.pending.as_ref().map(|pending| pending.settled.clone()).unwrap_or_default();
    let (mut dots_sum, mut tallies_sum) = (0u128, 0u128);
    let mut live = [0; COUNTED_KINDS.len()];
    let mut tallied = 0;
    for (address, cell) in state.cells() {
        assert!(!cell.is_empty(), "empty cells are not stored");
        assert!(cell.dots().iter().all(|(dot, _)| root.context.contains(*dot)));
        let counted = cell.without(&settled);
        dots_sum = dots_sum.wrapping_add(dots_digest(address, &counted));
        tallies_sum = tallies_sum.wrapping_add(tallies_digest(address, cell));
        let slot = COUNTED_KINDS.iter().position(|&kind| kind == address.kind).unwrap();
        live[slot] += u64::from(counted.is_live(address.kind));
        tallied += u64::from(cell.has_standing_tallies());
    }
    assert_eq!(root.dots_sum, dots_sum);
    assert_eq!(root.tallies_sum, tallies_sum);
    assert_eq!(COUNTED_KINDS.map(|kind| root.counts.live(kind)), live);
    assert_eq!(root.counts.tallied, tallied);
    assert_eq!(root.counts.rows, state.cells().len() as u64);
    assert_eq!(*state, State::from_rows(root, state.cells().clone()), "derived rows");
}

fn names(texts: &[&str]) -> Vec<Bytes> {
    texts.iter().map(|text| Bytes::copy_from_slice(text.as_bytes())).collect()
}

fn set(verb: SetVerb) -> Operation {
    Operation::Set(SetOperation::new(verb))
}

fn sadd(members: &[&str]) -> Operation {
    set(SetVerb::Add(names(members)))
}

fn srem(members: &[&str]) -> Operation {
    set(SetVerb::Remove(names(members)))
}

fn delete() -> Operation {
    Operation::Key(KeyOperation::Delete)
}

fn hincrby(field: &str, by: i64) -> Operation {
    let field = Bytes::copy_from_slice(field.as_bytes());
    Operation::Hash(HashOperation::IncrementBy { field, by })
}

fn zadd(member: &Bytes, score: f64) -> Operation {
    Operation::SortedSet(SortedSetOperation::Add {
        members: vec![(member.clone(), Score::new(score).unwrap())],
        condition: AddCondition::Always,
        count_changed: false,
    })
}

fn zrange() -> Operation {
    Operation::SortedSet(SortedSetOperation::Range {
        range: SortedSetRange::Scores { min: Bound::Unbounded, max: Bound::Unbounded },
        direction: Direction::Forward,
        limit: RangeLimit::NONE,
    })
}

fn count(replica: &mut Replica) -> Result<Reply, OpError> {
    replica.run(&set(SetVerb::Count))
}

fn has(replica: &mut Replica, members: &[&str]) -> Vec<i64> {
    let reply = replica.run(&set(SetVerb::Contains(names(members)))).unwrap();
    let Reply::Integers(answers) = reply else { panic!("answers: {reply:?}") };
    answers
}

fn members(replica: &mut Replica) -> BTreeSet<Bytes> {
    let reply = replica.run(&set(SetVerb::Members)).unwrap();
    let Reply::Values(members) = reply else { panic!("members: {reply:?}") };
    members.into_iter().flatten().collect()
}

/// Replicas 0 and 1 with `a` to `e`; then 0 adds `unseen` and 1, which does not see that, deletes the
/// key. The deltas of both last writes, the second already joined at 0.
fn counting() -> ([Replica; 2], Delta, Delta) {
    let mut replicas = Replica::several();
    let [first, second] = &mut replicas;
    let (_, added) = first.write(&sadd(&["a", "b", "c", "d", "e"]));
    second.join(&added);
    let (_, unseen) = first.write(&sadd(&["unseen"]));
    let (reply, deleted) = second.write(&delete());
    assert_eq!(reply, Ok(Reply::Integer(1)));
    first.join(&deleted);
    (replicas, unseen, deleted)
}

#[test]
fn a_delete_that_saw_everything_is_counted_at_once() {
    let [mut replica] = Replica::several();
    replica.run(&sadd(&["a", "b", "c"])).unwrap();
    replica.run(&delete()).unwrap();
    assert!(replica.root().pending.is_some());
    assert!(!replica.root().is_counting());
    assert_eq!(count(&mut replica), Ok(Reply::Integer(0)));
    replica.run(&sadd(&["b", "z"])).unwrap();
    assert_eq!(count(&mut replica), Ok(Reply::Integer(2)));
    assert_eq!(has(&mut replica, &["a", "b", "z"]), [0, 1, 1]);
    replica.sweep_all();
    assert_eq!(count(&mut replica), Ok(Reply::Integer(2)));
    assert_eq!(replica.state.cells().len(), 2);
}

#[test]
fn a_delete_that_missed_an_add_is_counted_once_it_is_swept() {
    let ([mut first, _], ..) = counting();
    assert!(first.root().is_counting());
    assert_eq!(count(&mut first), Err(OpError::Counting));
    assert_eq!(has(&mut first, &["a", "unseen"]), [0, 1]);
    assert_eq!(members(&mut first), names(&["unseen"]).into_iter().collect());
    first.sweep_all();
    assert_eq!(count(&mut first), Ok(Reply::Integer(1)));
    assert_eq!(has(&mut first, &["a", "unseen"]), [0, 1]);
}

#[test]
fn order_by_score_waits_for_the_count() {
    let [mut first, mut second] = Replica::several();
    let member = Bytes::from_static(b"m");
    let (_, added) = first.write(&zadd(&member, 5.0));
    second.join(&added);
    let (_, deleted) = second.write(&delete());
    // Concurrent with it, though of an older stamp: what is left once the delete is seen.
    second.wall_millis = 0;
    let mut third = Replica::new(3);
    third.wall_millis = 0;
    let (_, unseen) = third.write(&zadd(&member, 1.0));
    first.join(&unseen);
    first.join(&deleted);
    assert_eq!(first.run(&zrange()), Err(OpError::Counting));
    first.sweep_all();
    let one = Score::new(1.0).unwrap();
    assert_eq!(first.run(&zrange()), Ok(Reply::Scored(vec![(member, one)])));
}

#[test]
fn digests_are_equal_whichever_came_first() {
    let ([mut first, mut second], unseen, _) = counting();
    second.join(&unseen);
    assert!(!second.root().is_counting());
    first.sweep_all();
    assert_eq!(first.state.digest(), second.state.digest());
    second.sweep_all();
    assert_eq!(first.state, second.state);
}

#[test]
fn writes_during_the_sweep_are_read_and_counted() {
    let ([mut first, mut second], unseen, _) = counting();
    second.join(&unseen);
    let mut expected = members(&mut first);
    // Rows are swept in order, so these are behind, at and before the place that the sweep has reached.
    for kept in ["A", "aa", "bb", "dd", "e", "z"] {
        first.sweep(1);
        let (_, added) = first.write(&sadd(&["a", "c", "x", kept]));
        second.join(&added);
        let (_, removed) = first.write(&srem(&["a", "c", "x"]));
        second.join(&removed);
        expected.insert(Bytes::from_static(kept.as_bytes()));
        assert_eq!(members(&mut first), expected);
    }
    first.sweep_all();
    assert_eq!(count(&mut first), Ok(Reply::count(expected.len())));
    second.sweep_all();
    assert_eq!(first.state, second.state);
}

#[test]
fn a_second_delete_during_the_sweep_removes_what_came_after_the_first() {
    for swept in 0..7 {
        let ([mut first, mut second], unseen, _) = counting();
        second.join(&unseen);
        first.sweep(swept);
        let (_, added) = first.write(&sadd(&["a", "z"]));
        second.join(&added);
        let (reply, deleted) = first.write(&delete());
        // While counting, nobody can tell yet whether the key is there.
        if first.root().is_counting() && reply.is_err() {
            assert_eq!(reply, Err(OpError::Counting));
            first.sweep_all();
            let (_, deleted) = first.write(&delete());
            second.join(&deleted);
        } else {
            second.join(&deleted);
        }
        assert_eq!(count(&mut first), Ok(Reply::Integer(0)), "swept {swept}");
        first.sweep_all();
        second.sweep_all();
        assert!(first.state.cells().is_empty());
        assert_eq!(first.state, second.state);
    }
}

#[test]
fn two_deletes_on_one_replica_are_swept_together() {
    let [mut replica] = Replica::several();
    replica.run(&sadd(&["a", "b", "c", "d"])).unwrap();
    replica.run(&delete()).unwrap();
    replica.sweep(2);
    replica.run(&sadd(&["a", "d", "e"])).unwrap();
    assert_eq!(replica.run(&delete()), Ok(Reply::Integer(1)));
    replica.run(&sadd(&["e"])).unwrap();
    assert_eq!(count(&mut replica), Ok(Reply::Integer(1)));
    replica.sweep_all();
    assert_eq!(count(&mut replica), Ok(Reply::Integer(1)));
    assert_eq!(replica.state.cells().len(), 1);
}

#[test]
fn a_delete_takes_back_what_it_saw_of_a_sum_and_no_more() {
    let [mut first, mut second] = Replica::several();
    let (_, five) = first.write(&hincrby("n", 5));
    second.join(&five);
    let (_, two) = first.write(&hincrby("n", 2));
    let (_, deleted) = second.write(&delete());
    first.join(&deleted);
    second.join(&two);
    for replica in [&mut first, &mut second] {
        replica.sweep_all();
        let read = Operation::Hash(HashOperation::Get(names(&["n"])));
        assert_eq!(replica.run(&read), Ok(Reply::Values(vec![Some(Bytes::from_static(b"2"))])));
    }
    assert_eq!(first.state, second.state);
    assert_eq!(first.run(&hincrby("n", 1)), Ok(Reply::Integer(3)));
}

#[test]
fn increments_after_a_delete_start_from_zero() {
    let [mut replica] = Replica::several();
    replica.run(&hincrby("n", 5)).unwrap();
    replica.run(&delete()).unwrap();
    assert_eq!(replica.run(&hincrby("n", 1)), Ok(Reply::Integer(1)));
    replica.sweep_all();
    assert_eq!(replica.run(&hincrby("n", 1)), Ok(Reply::Integer(2)));
}

/// What happens to some replicas.
#[derive(Clone, Debug)]
enum Step {
    /// A write to one of three elements.
    Write { replica: usize, verb: Verb, element: u8 },
    /// One of the deltas so far arrives.
    Deliver { replica: usize, delta: usize },
    /// Part of a sweep.
    Sweep { replica: usize, rows: usize },
    /// Part of a recount, or all of it.
    Recount { replica: usize, rows: usize },
    /// A whole-key synchronisation, one way.
    Synchronise { from: usize, to: usize },
}

#[derive(Clone, Copy, Debug)]
enum Verb {
    Add,
    Remove,
    Increment,
    Delete,
}

/// What is written to.
#[derive(Clone, Copy, Debug)]
enum Subject {
    SortedSet,
    Hash,
    Set(SetKind),
}

impl Subject {
    fn operation(self, verb: Verb, element: u8) -> Operation {
        let name = Bytes::copy_from_slice(&[b'a' + element]);
        let number = f64::from(element) - 1.0;
        match (self, verb) {
            (_, Verb::Delete) => delete(),
            (Subject::SortedSet, Verb::Add) => zadd(&name, number),
            (Subject::SortedSet, Verb::Remove) => {
                Operation::SortedSet(SortedSetOperation::Remove(vec![name]))
            }
            (Subject::SortedSet, Verb::Increment) => {
                Operation::SortedSet(SortedSetOperation::Increment {
                    member: name,
                    by: Score::new(number * 0.5).unwrap(),
                    condition: AddCondition::Always,
                })
            }
            (Subject::Hash, Verb::Add) => {
                Operation::Hash(HashOperation::Set(vec![(name, Bytes::from_static(b"7"))]))
            }
            (Subject::Hash, Verb::Remove) => Operation::Hash(HashOperation::Remove(vec![name])),
            (Subject::Hash, Verb::Increment) => Operation::Hash(HashOperation::IncrementBy {
                field: name,
                by: i64::from(element) - 1,
            }),
            (Subject::Set(kind), Verb::Add | Verb::Increment) => {
                Operation::Set(SetOperation { kind, verb: SetVerb::Add(vec![name]) })
            }
            (Subject::Set(kind), Verb::Remove) => {
                Operation::Set(SetOperation { kind, verb: SetVerb::Remove(vec![name]) })
            }
        }
    }
}

fn subject() -> impl Strategy<Value = Subject> {
    prop_oneof![
        2 => Just(Subject::SortedSet),
        2 => Just(Subject::Hash),
        1 => Just(Subject::Set(SetKind::AddWins)),
        1 => Just(Subject::Set(SetKind::RemoveWins)),
    ]
}

fn verb() -> impl Strategy<Value = Verb> {
    prop_oneof![
        3 => Just(Verb::Add),
        1 => Just(Verb::Remove),
        2 => Just(Verb::Increment),
        2 => Just(Verb::Delete),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let replica = || 0usize..3;
    prop_oneof![
        4 => (replica(), verb(), 0u8..3)
            .prop_map(|(replica, verb, element)| Step::Write { replica, verb, element }),
        4 => (replica(), any::<usize>())
            .prop_map(|(replica, delta)| Step::Deliver { replica, delta }),
        2 => (replica(), 0usize..3).prop_map(|(replica, rows)| Step::Sweep { replica, rows }),
        1 => (replica(), 1usize..4).prop_map(|(replica, rows)| Step::Recount { replica, rows }),
        1 => (replica(), replica()).prop_map(|(from, to)| Step::Synchronise { from, to }),
    ]
}

fn config() -> ProptestConfig {
    let full = std::env::var_os("COTERIE_PROOF").is_some();
    let cases = if full { 200_000 } else { 2_000 };
    let rng_seed = RngSeed::Fixed(0x5eeb);
    println!("{cases} histories, seed {rng_seed:?}");
    ProptestConfig { cases, rng_seed, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    /// Sums, counts and derived rows are those of the rows after every step ([`assert_sound`]), and in
    /// the end, however deltas, synchronisations and sweeps were interleaved, all replicas are equal.
    #[test]
    fn replicas_that_delete_and_sweep_end_up_equal(
        subject in subject(),
        steps in prop::collection::vec(step(), 0..40),
    ) {
        let mut replicas: [Replica; 3] = Replica::several();
        let mut deltas: Vec<Delta> = Vec::new();
        for step in steps {
            match step {
                Step::Write { replica, verb, element } => {
                    let (reply, delta) = replicas[replica].write(&subject.operation(verb, element));
                    prop_assert!(matches!(reply, Ok(_) | Err(OpError::Counting)), "{:?}", reply);
                    deltas.push(delta);
                }
                Step::Deliver { .. } if deltas.is_empty() => {}
                Step::Deliver { replica, delta } => {
                    replicas[replica].join(&deltas[delta % deltas.len()]);
                }
                Step::Sweep { replica, rows } => replicas[replica].sweep(rows),
                Step::Recount { replica, rows } => replicas[replica].recount(rows),
                Step::Synchronise { from, to } => {
                    let state = replicas[from].state.clone();
                    replicas[to].state.join(&state);
                    assert_sound(&replicas[to].state);
                }
            }
        }
        let [first, second, third] = &mut replicas;
        deltas.iter().for_each(|delta| first.join(delta));
        deltas.iter().rev().for_each(|delta| second.join(delta));
        deltas.iter().chain(&deltas).for_each(|delta| third.join(delta));
        first.sweep_all();
        for replica in [&mut *first, &mut *second, &mut *third] {
            while replica.root().recount.is_some() {
                replica.recount(2);
            }
        }
        for other in [second, third] {
            if !other.root().is_counting() {
                prop_assert_eq!(first.state.digest(), other.state.digest());
            }
            other.sweep_all();
            prop_assert_eq!(&first.state, &other.state);
        }
        let mut afresh = State::new();
        afresh.join(&first.state);
        prop_assert_eq!(&afresh, &first.state);
    }
}
