//! No operation touches rows that it has no business with, however large the key is.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as the tests do")]
#![expect(clippy::print_stdout, reason = "the rows that were counted")]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Bound;

use bytes::Bytes;
use coterie_crdt::encoding::encode_root;
use coterie_crdt::operation::{
    AddCondition, HashOperation, KeyOperation, ListEnd, ListOperation, MapOperation, MapPath,
    Operation, Reply, SetOperation, SetVerb, SortedSetOperation,
};
use coterie_crdt::{
    Actor, Actors, Address, AddressRange, Cell, Cells, Changes, Clock, Context, Direction,
    Footprint, Kind, Mint, Partial, Root, Score, State, begin_transfer, complete_transfer,
    join_delta, join_transferred, sweep,
};

/// How many elements the large keys have.
const ELEMENTS: u64 = 1_000_000;

/// Rows of a key, noting which of them were read. A look-up that finds nothing reads no row.
struct Counted<'s> {
    state: &'s State,
    root_read: RefCell<bool>,
    read: RefCell<BTreeSet<Address>>,
}

impl<'s> Counted<'s> {
    fn new(state: &'s State) -> Self {
        Counted { state, root_read: RefCell::new(false), read: RefCell::default() }
    }

    fn note(&self, address: &Address) {
        self.read.borrow_mut().insert(address.clone());
    }

    /// How many rows were read, derived ones aside.
    fn rows_read(&self) -> usize {
        usize::from(*self.root_read.borrow()) + self.read.borrow().len()
    }
}

impl Cells for Counted<'_> {
    fn root(&self) -> Option<&Root> {
        *self.root_read.borrow_mut() = true;
        self.state.root()
    }

    fn cell(&self, address: &Address) -> Option<&Cell> {
        let cell = self.state.cell(address)?;
        self.note(address);
        Some(cell)
    }

    fn scan(
        &self,
        range: &AddressRange,
        direction: Direction,
    ) -> impl Iterator<Item = (&Address, &Cell)> {
        self.state.scan(range, direction).inspect(|(address, _)| self.note(address))
    }

    fn by_score(
        &self,
        scores: (Bound<Score>, Bound<Score>),
        direction: Direction,
    ) -> impl Iterator<Item = (Score, &Bytes)> {
        self.state.by_score(scores, direction)
    }

    fn tallied(&self) -> impl Iterator<Item = &Address> {
        self.state.tallied()
    }
}

/// What an operation answers, and the rows that evaluating and joining it read and write.
struct Cost {
    reply: Reply,
    read: BTreeSet<Address>,
    rows_read: usize,
    changes: Changes,
}

fn run(state: &State, operation: &Operation) -> Cost {
    let counted = Counted::new(state);
    let context = state.root().map_or_else(Context::new, |root| root.context.clone());
    let next = Actors::new(Actor(1)).next_dot(&context).unwrap();
    let mut clock = Clock::new();
    let mut mint = Mint::new(next, &mut clock, 1_000_000, 7);
    let (reply, delta) = operation.evaluate(&counted, &mut mint).unwrap();
    let changes = join_delta(&counted, &delta);
    Cost { reply, rows_read: counted.rows_read(), read: counted.read.into_inner(), changes }
}

fn applied(mut state: State, operation: &Operation) -> State {
    let changes = run(&state, operation).changes;
    state.apply(changes);
    state
}

/// The names of all elements, in order.
fn names() -> impl Iterator<Item = Bytes> {
    (0..ELEMENTS).map(name)
}

fn name(index: u64) -> Bytes {
    // Every other number, so that there are new names everywhere between.
    format!("{:08}", 2 * index).into()
}

fn new_name() -> Bytes {
    "00500001".into()
}

fn set(verb: SetVerb) -> Operation {
    Operation::Set(SetOperation::new(verb))
}

fn large_set() -> State {
    applied(State::new(), &set(SetVerb::Add(names().collect())))
}

/// Asserts what is promised of an operation on one element.
fn assert_one_element(state: &State, name: &str, operation: Operation) {
    let cost = run(state, &operation);
    println!(
        "{name} on {ELEMENTS} elements: {} rows read, {} written",
        cost.rows_read,
        cost.changes.rows()
    );
    assert!(cost.rows_read <= 2, "{name} reads {} rows: {:?}", cost.rows_read, cost.read);
    assert!(cost.changes.rows() <= 2, "{name} writes {} rows", cost.changes.rows());
}

#[test]
fn one_member_of_a_large_set_is_one_row_beside_the_root() {
    let state = large_set();
    assert_one_element(&state, "SADD, new", set(SetVerb::Add(vec![new_name()])));
    assert_one_element(&state, "SADD, there", set(SetVerb::Add(vec![name(7)])));
    assert_one_element(&state, "SREM", set(SetVerb::Remove(vec![name(7)])));
    assert_one_element(&state, "SISMEMBER", set(SetVerb::Contains(vec![name(7)])));
    assert_one_element(&state, "SCARD", set(SetVerb::Count));
}

#[test]
fn one_field_of_a_large_hash_is_one_row_beside_the_root() {
    let value = || Bytes::from_static(b"1");
    let fields = names().map(|name| (name, value())).collect();
    let state = applied(State::new(), &Operation::Hash(HashOperation::Set(fields)));
    for (name, operation) in [
        ("HSET, new", HashOperation::Set(vec![(new_name(), value())])),
        ("HSET, there", HashOperation::Set(vec![(name(7), value())])),
        ("HGET", HashOperation::Get(vec![name(7)])),
        ("HINCRBY", HashOperation::IncrementBy { field: name(7), by: 1 }),
        ("HDEL", HashOperation::Remove(vec![name(7)])),
    ] {
        assert_one_element(&state, name, Operation::Hash(operation));
    }
}

#[test]
fn one_member_of_a_large_sorted_set_is_one_row_beside_the_root() {
    let one = Score::new(1.0).unwrap();
    let add = |members| SortedSetOperation::Add {
        members,
        condition: AddCondition::Always,
        count_changed: false,
    };
    let members = names().map(|name| (name, one)).collect();
    let state = applied(State::new(), &Operation::SortedSet(add(members)));
    let increment =
        |member| SortedSetOperation::Increment { member, by: one, condition: AddCondition::Always };
    for (name, operation) in [
        ("ZADD, new", add(vec![(new_name(), one)])),
        ("ZADD, there", add(vec![(name(7), one)])),
        ("ZINCRBY, new", increment(new_name())),
        ("ZINCRBY, there", increment(name(7))),
        ("ZSCORE", SortedSetOperation::Scores(vec![name(7)])),
        ("ZREM", SortedSetOperation::Remove(vec![name(7)])),
        ("ZPOPMIN", SortedSetOperation::Pop { direction: Direction::Forward, count: 1 }),
    ] {
        assert_one_element(&state, name, Operation::SortedSet(operation));
    }
}

#[test]
fn one_element_at_an_end_of_a_large_list_is_one_row_beside_the_root() {
    let push = |end, values| Operation::List(ListOperation::Push(end, values));
    let state = applied(State::new(), &push(ListEnd::Right, names().collect()));
    // The row read is the outermost element, before which the new one goes.
    assert_one_element(&state, "LPUSH", push(ListEnd::Left, vec![new_name()]));
    assert_one_element(&state, "RPUSH", push(ListEnd::Right, vec![new_name()]));
}

#[test]
fn removing_a_submap_touches_that_submap_only() {
    let path = |segments: &[&str]| {
        let segments = segments.iter().map(|s| Bytes::copy_from_slice(s.as_bytes()));
        MapPath::new(segments.collect()).unwrap()
    };
    let mut state = State::new();
    for field in ["a", "aa", "b"] {
        for inner in ["w", "x", "y", "z"] {
            for place in [path(&[field]), path(&[field, inner]), path(&[field, inner, "deep"])] {
                let value = Bytes::from_static(b"1");
                let operation = Operation::Map(MapOperation::Set { path: place, value });
                state = applied(state, &operation);
            }
        }
    }
    for (place, count) in [(path(&["a"]), 9), (path(&["aa", "x"]), 2)] {
        let remove = MapOperation::Remove { path: place.clone(), cells_max: usize::MAX };
        let cost = run(&state, &Operation::Map(remove));
        assert_eq!(cost.reply, Reply::Integer(count));
        let under = AddressRange::under(place.segments());
        let own = Address::map(place.segments());
        let inside = |address: &Address| *address == own || under.contains(address);
        assert!(cost.read.iter().all(inside), "read: {:?}", cost.read);
        assert!(cost.changes.cells.iter().all(|(address, _)| inside(address)));
        assert_eq!(Reply::count(cost.changes.cells.len()), cost.reply);
    }
}

#[test]
fn receiving_a_large_key_costs_each_chunk_and_builds_no_cloud() {
    const CHUNK: usize = 1_000;
    let from = large_set();
    let sender = from.root().unwrap().context.clone();
    let mut state = State::new();
    state.apply(begin_transfer(&state, &sender));
    let mut names = names().skip(CHUNK - 1).step_by(CHUNK);
    let (mut chunks, mut root_bytes_max, mut rows_max) = (0, 0, 0);
    let transfer = |state: &State| state.root().unwrap().transfer.clone().unwrap();
    while !transfer(&state).is_at_end() {
        let cursor = transfer(&state).cursor;
        let upto = names.next().map(|name| Address::new(Kind::Member, name));
        let upto = upto.unwrap_or(Address::EXPIRY);
        let sending = Counted::new(&from);
        let chunk = Partial::extract(&sending, &Footprint::between(cursor.as_ref(), &upto));
        let receiving = Counted::new(&state);
        let changes = join_transferred(&receiving, &chunk, &upto, CHUNK).unwrap();
        assert!(receiving.rows_read() == 1, "none was there");
        rows_max = rows_max.max(sending.rows_read()).max(changes.rows());
        state.apply(changes);
        let root = state.root().unwrap();
        assert!(root.context.is_empty(), "the transfer's context knows them");
        root_bytes_max = root_bytes_max.max(encode_root(root).len());
        chunks += 1;
    }
    println!(
        "{ELEMENTS} members in {chunks} chunks, {rows_max} rows and {root_bytes_max} bytes of root"
    );
    assert!(rows_max <= CHUNK + 1, "a chunk and the root");
    assert!(root_bytes_max <= 200);
    state.apply(complete_transfer(&state));
    assert_eq!(state.digest(), from.digest());
    assert!(state == from);
}

#[test]
fn deleting_a_large_key_writes_one_row_and_sweeps_the_others_in_chunks() {
    const CHUNK: usize = 1_000;
    let mut state = large_set();
    let delete = run(&state, &Operation::Key(KeyOperation::Delete));
    assert_eq!(delete.reply, Reply::Integer(1));
    assert_eq!((delete.rows_read, delete.changes.rows()), (1, 1));
    state.apply(delete.changes);

    let count = |state: &State| run(state, &set(SetVerb::Count)).reply;
    let has = |state: &State, name| run(state, &set(SetVerb::Contains(vec![name]))).reply;
    let mut added = 0;
    let mut chunks = 0;
    while state.root().unwrap().pending.is_some() {
        assert_eq!(count(&state), Reply::Integer(added));
        assert_eq!(has(&state, name(ELEMENTS - 1)), Reply::Integers(vec![0]));
        if chunks % 100 == 50 {
            // Behind the sweep, among what it still has to pass, and where one was deleted.
            for new in [name(0), new_name(), name(ELEMENTS - 2)] {
                state = applied(state, &set(SetVerb::Add(vec![new.clone()])));
                assert_eq!(has(&state, new.clone()), Reply::Integers(vec![1]));
                state = applied(state, &set(SetVerb::Remove(vec![new])));
            }
            let kept: Bytes = format!("kept {chunks}").into();
            state = applied(state, &set(SetVerb::Add(vec![kept])));
            added += 1;
        }
        let digest = state.digest();
        let changes = sweep(&state, CHUNK);
        assert!(changes.rows() <= CHUNK + 1, "a chunk and the root");
        assert_eq!(changes.digest, (digest, digest));
        state.apply(changes);
        chunks += 1;
    }
    println!("{ELEMENTS} members swept in {chunks} chunks of {CHUNK} rows");
    assert_eq!(count(&state), Reply::Integer(added));
    assert_eq!(Reply::count(state.cells().len()), Reply::Integer(added));
}
