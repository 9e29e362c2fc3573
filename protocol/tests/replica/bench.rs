//! One lane of one node of three, which owns every slice, on a storage in memory.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coterie_crdt::{Cells, Footprint, Partial, State};
use coterie_protocol::rows::address::{KeyPrefix, KeyRow, parse};
use coterie_protocol::rows::{Direction, MemoryStore, Rows, Space, Store, fetch};
use coterie_protocol::{
    Action, Effects, Event, Lane, Liveness, Settings, Start, View, digests::share_of,
};
use coterie_ring::decision::bootstrap;
use coterie_ring::{
    BucketName, BucketPolicy, Intent, NodeId, NodeIntent, NodeState, Partitioner, Place,
};
use coterie_swim::Now;
use coterie_wire::peer::write::{Change, Durability, Write};
use coterie_wire::{Body, Incarnation, Key, Message, RequestId, Run, Slice};

pub(crate) const ME: NodeId = NodeId(1);
pub(crate) const OTHER: NodeId = NodeId(2);
pub(crate) const BUCKET: &str = "db0";

/// A lane with what it stores and what it has sent.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) lane: Lane,
    pub(crate) store: MemoryStore,
    pub(crate) sent: Vec<(NodeId, Message)>,
    /// How many more events are handled before it stops, if it does.
    pub(crate) steps_left: Option<usize>,
    now: Now,
    requests: u128,
}

pub(crate) fn view() -> Arc<View> {
    let mut intent = Intent::new();
    for node in [1, 2, 3] {
        let place = Place::new("r", "abc".get(node - 1..node).unwrap()).unwrap();
        let wanted = NodeIntent { state: NodeState::Active, weight: 1, place };
        intent.set_node(NodeId(node as u128), wanted).unwrap();
    }
    intent.set_bucket(BucketName::new(BUCKET).unwrap(), BucketPolicy::default()).unwrap();
    let decision = bootstrap(7, Partitioner::new(8).unwrap(), &intent).unwrap();
    Arc::new(View {
        version: 1,
        me: ME,
        incarnation: Incarnation(1),
        run: Run(1),
        decision: Arc::new(decision),
        members: [(OTHER, Liveness::Up), (NodeId(3), Liveness::Up)].into(),
        attributes: Arc::default(),
        protocol: 1,
        amnesiac: false,
        went_back: false,
        skipped: None,
        overruled: Arc::default(),
        given_up: None,
    })
}

impl Bench {
    pub(crate) fn new(seed: u64) -> Self {
        Bench::on(MemoryStore::new(), seed)
    }

    /// A lane that starts on what is stored.
    pub(crate) fn on(store: MemoryStore, seed: u64) -> Self {
        let now = Now { monotonic: Duration::from_secs(1), wall_millis: 1_000_000 };
        let start = Start {
            lane: 0,
            lanes: 1,
            settings: Settings::default(),
            view: view(),
            seed,
            actors_spent: false,
            now,
        };
        let lane = Lane::open(start, &store).unwrap();
        let mut bench = Bench { lane, store, sent: Vec::new(), steps_left: None, now, requests: 0 };
        bench.run(Event::View(view()));
        bench
    }

    /// Handles an event and all that it hands back to the lane.
    pub(crate) fn run(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            if let Some(left) = &mut self.steps_left {
                let Some(fewer) = left.checked_sub(1) else { return };
                *left = fewer;
            }
            let found = self.lane.read(&event, &self.store).unwrap();
            let mut effects = Effects::new();
            self.lane.handle(event, found, self.now, &mut effects);
            self.store.commit(&effects.batch).unwrap();
            for (_, action) in effects.actions {
                match action {
                    Action::Send { to, message, .. } => self.sent.push((to, *message)),
                    Action::Lane(event) => events.push_back(*event),
                    Action::Respond { .. }
                    | Action::Listed { .. }
                    | Action::Control(_)
                    | Action::Changed { .. }
                    | Action::Barrier { .. } => {}
                }
            }
        }
    }

    /// Lets time pass.
    pub(crate) fn run_tick_after(&mut self, time: Duration) {
        self.now.monotonic += time;
        self.run(Event::Tick);
    }

    /// Lets the scrub walk over all rows, once at least.
    pub(crate) fn scrub(&mut self) {
        self.run_tick_after(Duration::ZERO);
        self.run_tick_after(Duration::from_secs(7 * 60 * 60));
        for _ in 0..400 {
            self.run_tick_after(Duration::from_millis(250));
        }
    }

    pub(crate) fn key(name: impl Into<Bytes>) -> Key {
        Key::new(BUCKET, name)
    }

    pub(crate) fn slice(&self, key: &Key) -> Slice {
        self.lane.shared().view.slice(key).unwrap()
    }

    pub(crate) fn prefix(&self, key: &Key) -> KeyPrefix {
        KeyPrefix::new(self.slice(key).partition, key)
    }

    /// What another owner says about a key, tagged as this lane would.
    pub(crate) fn message(&mut self, key: &Key, body: Body) -> Message {
        self.requests += 1;
        self.lane.shared().message(RequestId(self.requests), self.slice(key), body)
    }

    /// Hands the lane a message and takes the answers to it.
    pub(crate) fn deliver(&mut self, message: Message) -> Vec<Body> {
        let id = message.request;
        self.run(Event::Message { from: OTHER, message: Box::new(message) });
        let sent = std::mem::take(&mut self.sent);
        sent.into_iter().filter(|(_, m)| m.request == id).map(|(_, m)| m.body).collect()
    }

    /// Another owner's message that has a change stored.
    pub(crate) fn written(&mut self, key: &Key, change: Change) -> Message {
        let write = Write {
            key: key.clone(),
            change,
            durability: Durability::AsSet,
            hint_for: None,
            expects: None,
        };
        self.message(key, Body::Write(Box::new(write)))
    }

    pub(crate) fn write(&mut self, key: &Key, change: Change) -> Vec<Body> {
        let message = self.written(key, change);
        self.deliver(message)
    }

    /// All rows of a key, as they are stored.
    pub(crate) fn state(&self, key: &Key) -> State {
        stored(&self.store, &self.prefix(key))
    }

    /// Puts all that `state` has under a key, whatever is there.
    pub(crate) fn put(&mut self, key: &Key, state: &State) {
        let whole = Partial::extract(state, &Footprint::whole());
        self.write(key, Change::Whole(whole));
    }

    /// Checks what is derived from the rows of all keys against the rows.
    pub(crate) fn check(&self, keys: &[Key]) {
        let mut expected = Vec::new();
        let mut sums = std::collections::BTreeMap::new();
        for key in keys {
            let (prefix, state) = (self.prefix(key), self.state(key));
            let slice = self.slice(key);
            let digest = share_of(key, state.digest());
            let sum: &mut u128 = sums.entry(slice).or_default();
            *sum = sum.wrapping_add(digest);
            expected.extend(crate::rows::derived(&prefix, &state));
        }
        for (slice, sum) in sums {
            assert_eq!(self.lane.shared().slices[&slice].tree.root(), sum, "of {slice:?}");
        }
        expected.sort();
        let found: Vec<Bytes> = self.store.space(Space::Derived).keys().cloned().collect();
        assert_eq!(found, expected);
    }
}

/// All rows of a key, as they are stored.
pub(crate) fn stored(rows: &impl Rows, prefix: &KeyPrefix) -> State {
    let root = fetch::root(rows, prefix).unwrap();
    let cells = rows.scan(Space::Rows, &prefix.cells(), Direction::Forward, usize::MAX).unwrap();
    let cells = cells.into_iter().map(|(row, value)| {
        let Some((_, _, KeyRow::Cell(address))) = parse(&row) else { panic!("{row:?}") };
        let cell = coterie_crdt::encoding::decode_cell(address.kind, &value).unwrap();
        (address, cell)
    });
    State::from_rows(root, cells.collect())
}

/// Whether two states hold the same, whatever else they were derived with, once deletions are swept.
pub(crate) fn same(left: &State, right: &State) -> bool {
    let [mut left, mut right] = [left.clone(), right.clone()];
    left.sweep();
    right.sweep();
    left.cells() == right.cells() && left.root() == right.root()
}
