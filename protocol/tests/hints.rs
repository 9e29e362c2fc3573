//! Hints of one fallback, under random schedules: owners that come and go, messages that are lost, repeated and late,
//! crashes that lose what was not synced, a store that is full.
//!
//! A model knows what every owner has and what was promised. `COTERIE_PROOF` runs more seeds.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use coterie_crdt::{Actor, Address, Cell, Cells, Context, Delta, Dot, Kind, Payload};
use coterie_protocol::mutants::{Mutant, with_mutant};
use coterie_protocol::repair::hints::{Header, Hint, HintStore};
use coterie_protocol::rows::address::KeyPrefix;
use coterie_protocol::rows::{MemoryStore, Space, Store};
use coterie_protocol::{Action, After, Effects, Event, Lane, Liveness, Settings, Start, View};
use coterie_ring::decision::{self};
use coterie_ring::{
    BucketKind, BucketName, BucketPolicy, Intent, NodeId, NodeIntent, NodeState, Partition,
    Partitioner, Place,
};
use coterie_swim::Now;
use coterie_wire::peer::hint::{HintFor, HintMessage, Worth};
use coterie_wire::peer::write::{Change, Durability, Write, WriteAnswer};
use coterie_wire::{Body, Incarnation, Key, Message, RequestId, Slice};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Small enough that it is reached.
const BYTES_MAX: u64 = 2_000;

/// One that owned the slice once.
const LEAVER: NodeId = NodeId(99);

struct World {
    random: Xoshiro256PlusPlus,
    view: View,
    key: Key,
    slice: Slice,
    me: NodeId,
    owners: Vec<NodeId>,
    lane: Lane,
    store: MemoryStore,
    /// What waits for a sync.
    held: Vec<Action>,
    events: Vec<Event>,
    /// From, to.
    messages: Vec<(NodeId, NodeId, Message)>,
    now: Now,
    next_dot: u64,
    /// Hints that were asked for and not answered: for whom, what.
    asked: BTreeMap<RequestId, (HintFor, Dot)>,
    /// Hints that were acknowledged.
    kept: Vec<(HintFor, Dot)>,
    /// What each owner has.
    has: BTreeMap<NodeId, BTreeSet<Dot>>,
    /// Owners that are to be synchronised, as owners were told.
    dirty: BTreeSet<NodeId>,
    /// The purge epoch that owners are at.
    epoch: u64,
    loses: bool,
    full: usize,
    /// Hints of the node's other lane, as rows.
    others: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut intent = Intent::new();
        for node in 1..=5 {
            let place = Place::new("r", &node.to_string()).unwrap();
            let node_intent = NodeIntent { state: NodeState::Active, weight: 1, place };
            intent.set_node(NodeId(node), node_intent).unwrap();
        }
        let policy = BucketPolicy { kind: BucketKind::Sloppy, ..BucketPolicy::default() };
        intent.set_bucket(BucketName::new("db0").unwrap(), policy).unwrap();
        let decision = decision::bootstrap(7, Partitioner::new(8).unwrap(), &intent).unwrap();
        let key = Key::new(&b"db0"[..], &b"cart"[..]);
        let view = View::new(NodeId(1), Incarnation(1), Arc::new(decision));
        let slice = view.slice(&key).unwrap();
        let owners = view.live_sets(slice).newest().members.to_vec();
        let me = (1..=5).map(NodeId).find(|node| !owners.contains(node)).unwrap();
        let mut view = View::new(me, Incarnation(1), Arc::clone(&view.decision));
        view.members.extend((1..=5).map(|node| (NodeId(node), Liveness::Down)));
        let now = Now { monotonic: Duration::from_secs(1), wall_millis: 1_800_000_000_000 };
        let mut store = MemoryStore::new();
        let for_whom = [owners[0], owners[1], LEAVER];
        let others = keep_in_other_lanes(&mut store, slice, &for_whom);
        let lane = open(&view, &store, now, seed);
        let mut world = World {
            random: Xoshiro256PlusPlus::seed_from_u64(seed),
            has: owners.iter().map(|owner| (*owner, BTreeSet::new())).collect(),
            view,
            key,
            slice,
            me,
            owners,
            lane,
            store,
            held: Vec::new(),
            events: Vec::new(),
            messages: Vec::new(),
            now,
            next_dot: 0,
            asked: BTreeMap::new(),
            kept: Vec::new(),
            dirty: BTreeSet::new(),
            epoch: 0,
            loses: true,
            full: 0,
            others,
        };
        world.show_view();
        world
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    fn show_view(&mut self) {
        self.view.version += 1;
        self.event(Event::View(Arc::new(self.view.clone())));
    }

    fn event(&mut self, event: Event) {
        self.events.push(event);
        while !self.events.is_empty() {
            let event = self.events.remove(0);
            let found = self.lane.read(&event, &self.store).expect("all is in memory");
            let mut effects = Effects::new();
            self.lane.handle(event, found, self.now, &mut effects);
            self.store.commit(&effects.batch).unwrap();
            for (after, action) in effects.actions {
                if after == After::Written { self.act(action) } else { self.held.push(action) }
            }
            let hints = &self.lane.shared().hints;
            assert!(hints.owners().all(|(_, bytes)| bytes <= BYTES_MAX), "more than may be");
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Send { to, message, .. } => self.messages.push((self.me, to, *message)),
            Action::Lane(event) => self.events.push(*event),
            Action::Respond { .. }
            | Action::Listed { .. }
            | Action::Control(_)
            | Action::Changed { .. }
            | Action::Barrier { .. } => {}
        }
    }

    fn sync(&mut self) {
        self.store.sync().unwrap();
        for action in std::mem::take(&mut self.held) {
            self.act(action);
        }
        if !self.events.is_empty() {
            let event = self.events.remove(0);
            self.event(event);
        }
    }

    fn crash(&mut self) {
        let kept = self.random.random_range(0..=self.store.unsynced());
        self.store = std::mem::take(&mut self.store).crash(kept);
        self.held.clear();
        self.events.clear();
        let seed = self.random.random();
        self.lane = open(&self.view, &self.store, self.now, seed);
        self.show_view();
    }

    fn message(&self, request: RequestId, body: Body) -> Message {
        Message {
            request,
            slice: Some(self.slice),
            layout: self.view.live_sets(self.slice).tag(),
            epoch: 0,
            time_left: None,
            trace: 0,
            committed: None,
            body,
        }
    }

    /// An owner that coordinates asks for a hint for another.
    fn ask(&mut self) {
        self.next_dot += 1;
        let dot = Dot::new(Actor(7), self.next_dot);
        let mut cell = Cell::new();
        cell.insert(dot, Payload::Present);
        let name = [&self.next_dot.to_be_bytes()[..], &[b'x'; 30]].concat();
        let address = Address::new(Kind::Member, name);
        let context: Context = [dot].into_iter().collect();
        let delta = Delta::from_parts(context, None, [(address, cell)]).unwrap();
        let for_whom = [self.owners[0], self.owners[1], LEAVER];
        let owner = for_whom[self.random.random_range(0..for_whom.len())];
        let worths = [Worth::Counted, Worth::Held, Worth::Held, Worth::Uncounted];
        let hint_for = HintFor { owner, worth: worths[self.random.random_range(0..worths.len())] };
        let write = Write {
            key: self.key.clone(),
            change: Change::Delta(delta),
            durability: Durability::AsSet,
            hint_for: Some(hint_for),
            expects: None,
        };
        let request = RequestId(self.random.random());
        self.asked.insert(request, (hint_for, dot));
        let message = self.message(request, Body::Write(Box::new(write)));
        self.messages.push((self.owners[2], self.me, message));
    }

    /// Delivers one message, lost or repeated now and then.
    fn deliver(&mut self) {
        if self.messages.is_empty() {
            return;
        }
        let at = self.random.random_range(0..self.messages.len());
        let (from, to, message) = if self.loses && self.chance(10) {
            self.messages[at].clone()
        } else {
            self.messages.swap_remove(at)
        };
        if self.loses && self.chance(15) {
            return;
        }
        if to == self.me {
            self.event(Event::Message { from, message: Box::new(message) });
            return;
        }
        if let Body::Wrote(answer) = &message.body {
            let Some(kept) = self.asked.remove(&message.request) else { return };
            match answer {
                WriteAnswer::Hinted => self.kept.push(kept),
                WriteAnswer::Full => self.full += 1,
                other => panic!("{other:?} to a hint"),
            }
            return;
        }
        if !self.view.is_live(to) {
            return;
        }
        let body = match message.body {
            Body::Write(_) if message.epoch < self.epoch => {
                Body::Wrote(WriteAnswer::StaleEpoch { epoch: self.epoch })
            }
            Body::Write(write) => {
                assert!(self.has.contains_key(&to), "a hint is sent to {to}, which owns nothing");
                self.store_at(to, &write.change)
            }
            Body::Hint(HintMessage::Offer { bytes }) => Body::Hint(HintMessage::Grant { bytes }),
            Body::Hint(HintMessage::Dirty { owner }) => {
                self.dirty.insert(owner);
                Body::Hint(HintMessage::Marked { owner })
            }
            _ => return,
        };
        let answer = self.message(message.request, body);
        self.messages.push((to, self.me, answer));
    }

    fn store_at(&mut self, owner: NodeId, change: &Change) -> Body {
        if self.loses && self.chance(20) {
            let refusals = [
                WriteAnswer::OtherLayout { known: Default::default() },
                WriteAnswer::NotReceived,
                WriteAnswer::Full,
                WriteAnswer::EpochAhead { epoch: 0 },
            ];
            return Body::Wrote(refusals[self.random.random_range(0..refusals.len())]);
        }
        let Change::Delta(delta) = change else { panic!("deltas were kept") };
        let dots = delta.cells().iter().flat_map(|(_, cell)| cell.dots().iter().map(|(d, _)| *d));
        self.has.get_mut(&owner).unwrap().extend(dots);
        Body::Wrote(WriteAnswer::Stored)
    }

    fn pass(&mut self, time: Duration) {
        self.now.monotonic += time;
        if self.lane.next_deadline().is_some_and(|at| at <= self.now.monotonic) {
            self.event(Event::Tick);
        }
    }

    fn step(&mut self) {
        match self.random.random_range(0..100) {
            0..25 => self.ask(),
            25..70 => self.deliver(),
            70..80 => self.sync(),
            80..95 => {
                let millis = self.random.random_range(1..3_000);
                self.pass(Duration::from_millis(millis));
            }
            95..99 => {
                let node = self.owners[self.random.random_range(0..self.owners.len())];
                let up = if self.chance(40) { Liveness::Up } else { Liveness::Down };
                self.view.members.insert(node, up);
                self.show_view();
            }
            _ => self.crash(),
        }
    }

    /// Everything is up and connected: all that was promised has to come true.
    fn heal(&mut self) {
        self.loses = false;
        self.view.members.extend(self.owners.iter().map(|owner| (*owner, Liveness::Up)));
        self.show_view();
        for _ in 0..2_000 {
            self.sync();
            self.pass(Duration::from_millis(500));
            for _ in 0..50 {
                self.deliver();
            }
        }
        self.sync();
    }

    fn judge(&self) {
        let hints = &self.lane.shared().hints;
        assert!(hints.is_empty(), "hints are left: {:?}", hints.owners().collect::<Vec<_>>());
        let rows = self.store.space(Space::Hints).len();
        assert_eq!(
            rows, self.others,
            "rows are left that nobody counts, or another lane's are gone"
        );
        for (HintFor { owner, worth }, dot) in &self.kept {
            let targets = if *owner == LEAVER { self.owners.clone() } else { vec![*owner] };
            let arrived = targets.iter().all(|target| self.has[target].contains(dot));
            let marked = *worth == Worth::Held && self.dirty.contains(owner);
            assert!(arrived || marked, "{dot} for {owner}, {worth:?}, is lost");
        }
    }
}

/// Keeps hints for the same owners in the partitions beside that of `slice`, which belong to the node's other lane.
fn keep_in_other_lanes(store: &mut MemoryStore, slice: Slice, owners: &[NodeId]) -> usize {
    let mut effects = Effects::new();
    let header = Header { worth: Worth::Held, replicas: slice.replicas, epoch: 0 };
    let delta = Delta::from_parts(Context::default(), None, []).unwrap();
    let row = Hint { header, change: Change::Delta(delta) }.encode();
    let key = Key::new(&b"db0"[..], &b"elsewhere"[..]);
    for beside in [slice.partition.0.wrapping_sub(1), slice.partition.0 + 1] {
        let prefix = KeyPrefix::new(Partition(beside), &key);
        for owner in owners {
            effects.batch.put(Space::Hints, prefix.hint(*owner, 1), row.clone());
        }
    }
    store.commit(&effects.batch).unwrap();
    store.sync().unwrap();
    store.space(Space::Hints).len()
}

fn open(view: &View, store: &MemoryStore, now: Now, seed: u64) -> Lane {
    let settings = Settings { hint_bytes_max: 2 * BYTES_MAX, ..Settings::default() };
    let view = Arc::new(view.clone());
    let key = Key::new(&b"db0"[..], &b"cart"[..]);
    let lane = view.partition(&key).0 % 2;
    let start = Start { lane, lanes: 2, settings, view, seed, actors_spent: false, now };
    Lane::open(start, store).unwrap()
}

fn run(seed: u64) -> World {
    let mut world = World::new(seed);
    for _ in 0..400 {
        world.step();
    }
    world.heal();
    world.judge();
    world
}

#[test]
fn nothing_that_counts_is_lost_and_all_is_delivered_or_marked_under_any_schedule() {
    let seeds = if std::env::var_os("COTERIE_PROOF").is_some() { 5_000 } else { 200 };
    let (mut kept, mut full, mut marked) = (0, 0, 0);
    for seed in 0..seeds {
        eprintln!("seed {seed}");
        let world = run(seed);
        kept += world.kept.len();
        full += world.full;
        marked += world.dirty.len();
    }
    assert!(kept > 0 && full > 0 && marked > 0, "{kept} kept, {full} refused, {marked} marked");
}

#[test]
fn each_bug_of_hints_is_caught_within_a_hundred_seeds() {
    let bugs =
        [Mutant::HintToLeaver, Mutant::CountedHintDropped, Mutant::HintDeletedUnacknowledged];
    for mutant in bugs {
        let caught = (0..100).any(|seed| {
            let run = AssertUnwindSafe(|| with_mutant(mutant, || run(seed)));
            std::panic::catch_unwind(run).is_err()
        });
        assert!(caught, "{mutant:?} is not caught");
    }
}

/// Hints that are too old for their owner by the time it is back.
fn stale() -> World {
    let mut world = World::new(3);
    world.loses = false;
    for _ in 0..5 {
        world.ask();
    }
    while !world.messages.is_empty() {
        world.deliver();
    }
    world.sync();
    world.epoch = 1;
    world.heal();
    world
}

#[test]
fn what_may_have_been_purged_is_given_up_and_marked() {
    let world = stale();
    assert!(world.kept.len() == 5 && world.lane.shared().hints.is_empty());
    assert!(world.kept.iter().all(|(hint, _)| world.dirty.contains(&hint.owner)));
    let arrives = |world: &World| world.has.values().any(|dots| !dots.is_empty());
    assert!(!arrives(&world));
    assert!(arrives(&with_mutant(Mutant::StaleHintRenamed, stale)));
}

/// Mints under a fallback's actor and has hints delivered, at random. Whether a dot was minted twice.
fn mints_twice(seed: u64) -> bool {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let (mut store, mut hints) = (MemoryStore::new(), HintStore::new(1 << 20));
    let key = Key::new(&b"db0"[..], &b"cart"[..]);
    let slice = Slice { partition: key.partition(Partitioner::new(8).unwrap()), replicas: 3 };
    let mut minted = BTreeSet::new();
    for _ in 0..100 {
        let mut effects = Effects::new();
        let kept = hints.of_key(&store, slice, &key).unwrap();
        let owner = NodeId(random.random_range(1..4));
        if random.random_range(0..3) > 0 {
            let drawn = Actor(random.random());
            let actor = hints.actors.of_or(slice, drawn, &mut effects.batch);
            let seen = kept.state().root().map_or(0, |root| root.context.greatest(actor));
            let dot = Dot::new(actor, seen + 1);
            if !minted.insert(dot) {
                return true;
            }
            let delta = Delta::from_parts([dot].into_iter().collect(), None, []).unwrap();
            let header = Header { worth: Worth::Counted, replicas: 3, epoch: 0 };
            let hint = Hint { header, change: Change::Delta(delta) };
            hints.keep((slice, &key), owner, hint, &kept, &mut effects).unwrap();
        } else if let Some(delivered) = kept.of_owner(owner).next() {
            hints.delete(slice, delivered, &mut effects.batch);
        }
        store.commit(&effects.batch).unwrap();
    }
    false
}

#[test]
fn a_fallback_mints_no_dot_twice_though_its_hints_are_delivered() {
    assert!(!(0..100).any(mints_twice));
    assert!(with_mutant(Mutant::FallbackActorKept, || (0..100).any(mints_twice)));
}

#[test]
fn a_key_that_changes_often_has_few_rows_and_its_hints_are_read_as_one_state() {
    let mut world = World::new(1);
    world.loses = false;
    for _ in 0..20 {
        world.ask();
        while !world.messages.is_empty() {
            world.deliver();
        }
        world.sync();
        while !world.messages.is_empty() {
            world.deliver();
        }
    }
    let hints = &world.lane.shared().hints;
    let of_key = hints.of_key(&world.store, world.slice, &world.key).unwrap();
    let state = of_key.state();
    assert_eq!(state.cells().len(), world.kept.len());
    assert!(world.kept.iter().all(|(_, dot)| state.root().unwrap().context.contains(*dot)));
    let rows = world.store.space(Space::Hints).len() - world.others;
    assert!(rows <= 12, "{rows} rows of {} hints", world.kept.len());
    assert!(hints.has_any(world.slice, 0));
    let other = Slice { replicas: 2, ..world.slice };
    assert!(!hints.has_any(other, u64::MAX));
}
