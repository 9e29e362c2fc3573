//! What consumers are told, and what they may ask for, at one node that is fed by hand.

use std::time::Duration;

use coterie_swim::simulation::Cluster;
use coterie_swim::{
    Accusers, Address, Change, Effects, Event, Evidence, Generation, Header, Incarnation, Instance,
    Item, Layout, NodeId, Now, Parameters, Rank, Record, Start, Status, Swim, encode_packet,
};

const SECOND: Duration = Duration::from_secs(1);

/// A node that knows 50 others, which only say what a test makes them say.
struct Node {
    swim: Swim,
    others: Vec<Record>,
    effects: Effects,
    elapsed: Duration,
}

impl Node {
    fn new() -> Self {
        let cluster = Cluster::converged(50, 1, Parameters::default());
        let others: Vec<Record> =
            cluster.alive().filter_map(|index| cluster.swim(index)).map(Swim::own_record).collect();
        let mut attributes = others[0].attributes.expect("a node has attributes");
        attributes.instance = Instance(0);
        let id = NodeId(u128::MAX);
        let start = Start { id, attributes, seeds: Vec::new(), remembered: Vec::new(), seed: 1 };
        let now = Now { monotonic: Duration::ZERO, wall_millis: 0 };
        let swim = Swim::new(start, Parameters::default(), now);
        let mut node = Self { swim, others, effects: Effects::default(), elapsed: SECOND };
        for record in node.others.clone() {
            node.hear(1, Layout::default(), &[record]);
        }
        node
    }

    fn now(&self) -> Now {
        Now { monotonic: self.elapsed, wall_millis: 0 }
    }

    /// Handles a packet of another node's. What consumers are told because of it is returned.
    fn hear(&mut self, from: usize, layout: Layout, records: &[Record]) -> Vec<Change> {
        let sender = &self.others[from];
        let header = Header {
            sender: sender.id,
            generation: sender.evidence.generation,
            incarnation: sender.evidence.incarnation,
            digest: self.swim.digest(),
            layout,
            health: 0,
        };
        let from = sender.attributes.expect("a node has attributes").gossip;
        let items: Vec<Item> = records.iter().cloned().map(Item::Record).collect();
        let bytes = encode_packet(&header, &items);
        self.give(Event::Packet { from, bytes: &bytes })
    }

    fn learn(&mut self, record: Record) -> Vec<Change> {
        self.hear(1, Layout::default(), &[record])
    }

    fn give(&mut self, event: Event<'_>) -> Vec<Change> {
        self.effects = Effects::default();
        self.swim.handle(event, self.now(), &mut self.effects);
        let mut changes = std::mem::take(&mut self.effects.changes);
        // Senders echo this node's digest, which says nothing here.
        changes.retain(|change| !matches!(change, Change::Converged { .. }));
        changes
    }

    /// Lets timers run, everybody else being silent.
    fn run_for(&mut self, duration: Duration) -> Vec<Change> {
        let until = self.elapsed + duration;
        let mut changes = Vec::new();
        while let Some(deadline) = self.swim.next_deadline().filter(|at| *at <= until) {
            self.elapsed = self.elapsed.max(deadline);
            changes.append(&mut self.give(Event::Tick));
        }
        self.elapsed = until;
        changes
    }
}

#[test]
fn view_holds_all_others_and_says_when_it_changes() {
    let mut node = Node::new();
    let version = node.swim.view_version();
    assert!(node.swim.view().all(|(id, status, _)| id != node.swim.id() && status == Status::Up));
    assert_eq!(node.swim.view().count(), 50);
    let again = node.others[9].clone();
    assert_eq!(node.learn(again), []);
    assert_eq!(node.swim.view_version(), version);
}

#[test]
fn lost_connection_has_the_peer_probed_at_once_and_is_no_evidence() {
    for index in [9, 33] {
        let mut node = Node::new();
        let peer = node.others[index].id;
        assert_eq!(node.give(Event::ConnectionLost { peer }), []);
        assert_eq!(node.swim.counters().probes, 0);
        node.give(Event::Tick);
        assert_eq!(node.swim.counters().probes, 1);
        assert!(node.effects.transmits.iter().any(|transmit| transmit.to == Some(peer)));
        assert_eq!(node.swim.status(peer), Some(Status::Up));
    }
}

#[test]
fn changed_attributes_addresses_and_restarts_are_told_apart() {
    let mut node = Node::new();
    let mut record = node.others[9].clone();
    let id = record.id;
    let mut announce = |change: &dyn Fn(&mut Record)| {
        record.attributes.as_mut().expect("it has some").version += 1;
        change(&mut record);
        let version = node.swim.view_version();
        let changes = node.learn(record.clone());
        assert!(node.swim.view_version() > version);
        let held = node.swim.view().find(|(held, ..)| *held == id).expect("it is seen");
        assert_eq!(Some(*held.2), record.attributes);
        changes
    };
    let lanes = announce(&|record| record.attributes.as_mut().expect("some").lanes = 3);
    assert_eq!(lanes, [Change::AttributesChanged(id)]);
    let address = Address::from((std::net::Ipv4Addr::LOCALHOST, 1));
    let moved = announce(&|record| record.attributes.as_mut().expect("some").resp = address);
    assert_eq!(moved, [Change::AddressChanged(id)]);
    let generation = Generation(7);
    let restarted = announce(&|record| {
        record.evidence.generation = generation;
        record.attributes.as_mut().expect("some").generation = generation;
    });
    assert_eq!(restarted, [Change::Restarted { id, generation }]);
}

#[test]
fn suspicion_refutation_farewell_and_return_are_told() {
    let mut node = Node::new();
    let mut record = node.others[9].clone();
    let id = record.id;
    let mut claim = |node: &mut Node, rank, incarnation, generation| {
        record.evidence = Evidence {
            rank,
            incarnation: Incarnation(incarnation),
            generation: Generation(generation),
        };
        node.learn(record.clone())
    };
    assert_eq!(claim(&mut node, Rank::Suspect, 0, 1), [Change::Suspect(id)]);
    assert_eq!(claim(&mut node, Rank::Alive, 1, 1), [Change::Cleared(id)]);
    assert_eq!(claim(&mut node, Rank::Alive, 0, 1), []);
    assert_eq!(claim(&mut node, Rank::Left, 1, 1), [Change::Left(id)]);
    assert_eq!(claim(&mut node, Rank::Alive, 9, 1), []);
    // Hearsay of its return is not enough after a farewell: it speaks for itself.
    claim(&mut node, Rank::Alive, 0, 2);
    assert_eq!(node.swim.status(id), Some(Status::Hidden));
    node.others[9].evidence.generation = Generation(2);
    assert!(node.hear(9, Layout::default(), &[]).contains(&Change::Up(id)));
}

#[test]
fn other_layout_is_told_once_a_second_until_it_is_adopted() {
    let mut node = Node::new();
    let ours = Layout { version: 4, hash: 1 };
    node.give(Event::Layout(ours));
    let peer = node.others[2].id;
    for layout in [Layout { version: 5, hash: 2 }, Layout { version: 5, hash: 3 }] {
        let told = [Change::OtherLayout { peer, layout }];
        assert_eq!(node.hear(2, layout, &[]), told);
        assert_eq!(node.hear(2, layout, &[]), []);
        node.elapsed += SECOND;
        assert!(node.hear(2, layout, &[]).ends_with(&told));
        node.give(Event::Layout(layout));
        assert_eq!(node.hear(2, layout, &[]), []);
        assert_eq!(node.hear(2, ours, &[]), []);
    }
}

#[test]
fn name_that_nobody_has_an_address_of_is_forgotten() {
    let mut node = Node::new();
    let (digest, held) = (node.swim.digest(), node.swim.members_held());
    for number in 0..100 {
        let id = NodeId(number);
        node.learn(Record { id, attributes: None, ..node.others[9].clone() });
    }
    assert_eq!((node.swim.digest(), node.swim.members_held()), (digest, held + 100));
    node.run_for(61 * SECOND);
    assert_eq!(node.swim.members_held(), held);
}

#[test]
fn forgotten_dead_leave_the_view_after_their_death_was_told() {
    let mut node = Node::new();
    let mut record = node.others[9].clone();
    record.evidence.rank = Rank::Down;
    record.age_seconds = u32::MAX;
    assert_eq!(node.learn(record.clone()), [Change::Suspect(record.id)]);
    let version = node.swim.view_version();
    let told = node.run_for(130 * SECOND);
    assert!(told.iter().any(|c| matches!(c, Change::Down { id, .. } if *id == record.id)));
    assert_eq!(node.swim.status(record.id), None);
    assert!(node.swim.view_version() > version);
}

#[test]
fn claims_of_the_last_generation_are_counted_and_cause_no_flood() {
    let mut node = Node::new();
    let own = node.swim.own_record();
    let evidence = Evidence {
        generation: Generation::MAX,
        incarnation: Incarnation(u32::MAX),
        rank: Rank::Suspect,
    };
    let claim = Record { evidence, attributes: None, accusers: Accusers::default(), ..own };
    let first = node.learn(claim.clone());
    assert!(first.contains(&Change::GenerationRaised(Generation::MAX)));
    let raised = node.swim.own_record();
    for _ in 0..100 {
        assert_eq!(node.learn(claim.clone()), []);
    }
    assert_eq!(node.swim.counters().irrefutable, 100);
    assert_eq!(node.swim.own_record(), raised);
}

/// A node that was wiped again and again meets what is remembered of all its lives, of some in several generations.
#[test]
fn remains_of_earlier_lives_silence_nobody_and_a_living_double_does() {
    let mut node = Node::new();
    let claim = |node: &mut Node, instance: u64, generation: u64| {
        let mut record = node.swim.own_record();
        record.evidence.generation = Generation(generation);
        let attributes = record.attributes.as_mut().expect("a node has attributes");
        (attributes.instance, attributes.generation) = (Instance(instance), Generation(generation));
        node.learn(record)
    };
    for life in 1..7 {
        for generation in [10 * life, 10 * life + 2, 10 * life + 4] {
            claim(&mut node, life, generation);
            assert_eq!(node.swim.own_record().evidence.generation, Generation(generation + 1));
        }
    }
    assert!(node.swim.next_deadline().is_some());
    let mut changes = Vec::new();
    while node.swim.next_deadline().is_some() && changes.len() < 20 {
        let answer = node.swim.own_record().evidence.generation.0 + 1;
        changes.append(&mut claim(&mut node, 99, answer));
    }
    assert_eq!(changes.last(), Some(&Change::DuplicateIdentity { halted: true }));
}
