//! A cluster of controls over a network that loses and delays, with storages that lose what was not synced.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use coterie_protocol::control::{
    Answer, Command, CommandError, Control, ControlAction, ControlEffects, Event, OpenError,
    OperatorId, Past, Report, Settings, Start, StopCause, SyncPolicy,
};
use coterie_protocol::rows::{MemoryStore, Store};
use coterie_protocol::{After, ControlEvent, Liveness, View};
use coterie_ring::decision::{Decision, TakeIn};
use coterie_ring::moves::SetVersion;
use coterie_ring::{NodeId, Place, PlacementPolicy, Spread};
use coterie_swim::{Address, Attributes, Generation, Instance, Label, Now};
use coterie_wire::{Message, Slice};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

pub(crate) const CLUSTER: u128 = 0xc0;
pub(crate) const PARTITIONS: usize = 8;
const LANES: u16 = 2;
const PACKET_BYTES: usize = 1_150;
/// How long a move takes once its owners know of it.
const MOVE: Duration = Duration::from_millis(1_500);

/// One machine with its storage.
#[derive(Debug, Default)]
pub(crate) struct Machine {
    pub(crate) control: Option<Control>,
    pub(crate) store: MemoryStore,
    boot: u128,
    pub(crate) sync: Option<SyncPolicy>,
    /// Actions that wait for the next sync.
    held: Vec<ControlAction>,
    syncing: bool,
    starts: u64,
    pub(crate) view: Option<Arc<View>>,
    pub(crate) views: usize,
    pub(crate) reports: Vec<Report>,
    pub(crate) stopped: Option<StopCause>,
    answers: BTreeMap<u64, Result<Box<Answer>, CommandError>>,
    pub(crate) clock_off: i64,
    keeps_hints: bool,
    pub(crate) seeds: Option<usize>,
}

#[derive(Debug)]
enum Delivery {
    Event(usize, Box<Event>),
    Packet(usize, Address, Vec<u8>),
    Message(usize, usize, Box<Message>),
    Synced(usize),
}

pub(crate) struct Cluster {
    pub(crate) random: Xoshiro256PlusPlus,
    pub(crate) now: Duration,
    pub(crate) machines: Vec<Machine>,
    /// Numbers of the starts of machines: what was sent to an earlier one is lost.
    queue: BTreeMap<(Duration, u64), (u64, Delivery)>,
    sent: u64,
    pub(crate) sides: Vec<u8>,
    pub(crate) loss_percent: u32,
    pub(crate) take_in: TakeIn,
    commands: u64,
    /// Every decision that any node ever acted on.
    pub(crate) decided: BTreeMap<SetVersion, Decision>,
    /// Whether moves come to an end by themselves.
    pub(crate) moves_finish: bool,
}

pub(crate) fn id(index: usize) -> NodeId {
    NodeId(index as u128 + 1)
}

fn index_of(node: NodeId) -> usize {
    usize::try_from(node.0 - 1).unwrap()
}

fn address(index: usize, port: u16) -> Address {
    ([10, 0, 0, u8::try_from(index).unwrap()].into(), port).into()
}

fn machine_at(address: Address) -> usize {
    match std::net::SocketAddr::from(address).ip() {
        std::net::IpAddr::V4(ip) => usize::from(ip.octets()[3]),
        std::net::IpAddr::V6(_) => panic!("machines have IPv4"),
    }
}

pub(crate) fn place(index: usize) -> Place {
    Place::new("r", ["a", "b", "c"][index % 3]).unwrap()
}

impl Cluster {
    /// So many machines, none of which runs.
    pub(crate) fn new(seed: u64, machines: usize) -> Cluster {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let machine = |_| Machine { boot: random.random(), ..Machine::default() };
        let machines: Vec<Machine> = (0..machines).map(machine).collect();
        Cluster {
            random,
            now: Duration::ZERO,
            sides: vec![0; machines.len()],
            machines,
            queue: BTreeMap::new(),
            sent: 0,
            loss_percent: 0,
            take_in: TakeIn::Automatic { settle: Duration::from_secs(2) },
            commands: 0,
            decided: BTreeMap::new(),
            moves_finish: true,
        }
    }

    /// A cluster of so many nodes, all of them taken in and done with moving.
    pub(crate) fn grown(seed: u64, nodes: usize) -> Cluster {
        let mut cluster = Cluster::new(seed, nodes + 2);
        cluster.start(0).unwrap();
        cluster.bootstrap(0);
        for node in 1..nodes {
            cluster.start(node).unwrap();
        }
        cluster.until("all are members and nothing moves", Duration::from_secs(120), |cluster| {
            (0..nodes).all(|node| cluster.members(node).len() == nodes)
                && cluster.is_settled(0..nodes)
        });
        cluster
    }

    pub(crate) fn bootstrap(&mut self, node: usize) {
        let placement = PlacementPolicy { replicas: 3, spread: Spread::Zones };
        let command = Command::Bootstrap { partitions: PARTITIONS, placement };
        self.command(node, command).unwrap();
    }

    pub(crate) fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        settings.decision.take_in = self.take_in;
        settings
    }

    /// Starts a machine's process.
    pub(crate) fn start(&mut self, index: usize) -> Result<(), OpenError> {
        self.start_after(index, Past::Continued)
    }

    pub(crate) fn start_after(&mut self, index: usize, past: Past) -> Result<(), OpenError> {
        let label = |text| Label::new(text).unwrap();
        let attributes = Attributes {
            generation: Generation(0),
            version: 0,
            instance: Instance(0),
            gossip: address(index, 7_381),
            peer: address(index, 7_400),
            resp: address(index, 7_379),
            http: address(index, 7_380),
            lanes: LANES,
            weight: 1,
            protocols: (1, 1),
            region: label("r"),
            zone: label(place(index).zone()),
        };
        let seeds = self.machines[index].seeds.unwrap_or(0);
        let start = Start {
            cluster: CLUSTER,
            node: id(index),
            attributes,
            place: place(index),
            seeds: if index == seeds { Vec::new() } else { vec![address(seeds, 7_400)] },
            joins: index != 0,
            boot: self.machines[index].boot,
            sync: self.machines[index].sync.unwrap_or(SyncPolicy::Always),
            past,
            seed: self.random.random(),
            settings: self.settings(),
            now: self.clock(index),
        };
        let mut effects = ControlEffects::new();
        let control = Control::open(start, &self.machines[index].store, &mut effects)?;
        let machine = &mut self.machines[index];
        machine.control = Some(control);
        machine.starts += 1;
        self.carry_out(index, effects);
        self.tell_of_hints(index);
        Ok(())
    }

    /// A node's lanes keep hints from now on.
    pub(crate) fn keep_hints(&mut self, index: usize) {
        self.machines[index].keeps_hints = true;
        self.tell_of_hints(index);
    }

    fn tell_of_hints(&mut self, index: usize) {
        for lane in 0..LANES {
            let any = self.machines[index].keeps_hints;
            self.handle(index, Event::Lane(ControlEvent::HintsKept { lane, any, closed: !any }));
        }
    }

    /// The process dies; the operating system writes on.
    pub(crate) fn kill(&mut self, index: usize) {
        let machine = &mut self.machines[index];
        machine.store.sync().unwrap();
        machine.halt();
    }

    /// The machine dies: of what was not synced, a random part survives.
    pub(crate) fn crash(&mut self, index: usize) {
        let kept = self.random.random_range(0..=self.machines[index].store.unsynced());
        let boot = self.random.random();
        let machine = &mut self.machines[index];
        machine.store = std::mem::take(&mut machine.store).crash(kept);
        machine.boot = boot;
        machine.halt();
    }

    /// The machine is switched off in order, and on again.
    pub(crate) fn reboot(&mut self, index: usize) {
        self.handle(index, Event::Stopping);
        self.kill(index);
        self.machines[index].boot = self.random.random();
    }

    fn clock(&self, index: usize) -> Now {
        let wall = 1_700_000_000_000 + i64::try_from(self.now.as_millis()).unwrap();
        let wall = wall + self.machines[index].clock_off;
        Now { monotonic: self.now, wall_millis: u64::try_from(wall).unwrap() }
    }

    /// Hands an event to a node's control and does what it asks for.
    pub(crate) fn handle(&mut self, index: usize, event: Event) {
        let now = self.clock(index);
        let Some(control) = &mut self.machines[index].control else { return };
        let mut effects = ControlEffects::new();
        control.handle(event, now, &mut effects);
        self.carry_out(index, effects);
    }

    fn carry_out(&mut self, index: usize, effects: ControlEffects) {
        if !effects.batch.is_empty() {
            self.machines[index].store.commit(&effects.batch).unwrap();
        }
        for (after, action) in effects.actions {
            let synced = self.machines[index].store.unsynced() == 0;
            match after {
                After::Durable | After::Synced if !synced => self.machines[index].held.push(action),
                After::Written | After::Durable | After::Synced => self.act(index, action),
            }
        }
        if self.machines[index].store.unsynced() > 0 && !self.machines[index].syncing {
            self.machines[index].syncing = true;
            let delay = Duration::from_micros(self.random.random_range(100..5_000));
            self.post(index, delay, Delivery::Synced(index));
        }
    }

    fn act(&mut self, index: usize, action: ControlAction) {
        match action {
            ControlAction::Packet(transmit) => {
                let now = self.clock(index);
                let mut bytes = Vec::new();
                let control = self.machines[index].control.as_mut().unwrap();
                control.write_packet(&transmit, PACKET_BYTES, now, &mut bytes);
                let from = address(index, 7_381);
                let to = machine_at(transmit.address);
                self.send(index, to, Delivery::Packet(to, from, bytes));
            }
            ControlAction::Send { to, address, message } => {
                let machine = machine_at(address);
                if to.is_none_or(|to| to == id(machine)) {
                    self.send(index, machine, Delivery::Message(machine, index, message));
                }
            }
            ControlAction::View(view) => self.see(index, view),
            ControlAction::Respond { operator, answer } => {
                self.machines[index].answers.insert(operator.0, answer);
            }
            ControlAction::Report(report) => self.machines[index].reports.push(report),
            ControlAction::Control(event) => {
                self.post(index, Duration::ZERO, Delivery::Event(index, event));
            }
            ControlAction::Admit { .. } => {}
            ControlAction::Stop(cause) => {
                self.machines[index].stopped = Some(cause);
                self.kill(index);
            }
        }
    }

    /// What lanes would do with a view: moves come to an end, losses are made good.
    fn see(&mut self, index: usize, view: Arc<View>) {
        let machine = &mut self.machines[index];
        if let Some(before) = &machine.view {
            let later = view.version > before.version;
            assert!(later && view.decision.version() >= before.decision.version());
        }
        machine.views += 1;
        machine.view = Some(Arc::clone(&view));
        let decision = &view.decision;
        let known = self.decided.entry(decision.version()).or_insert_with(|| (**decision).clone());
        assert_eq!(*known, **decision, "two decisions of one version");
        let owner = id(index);
        let finishing = self.moves_finish;
        for (partition, replicas) in decision.moving().filter(|_| finishing) {
            let sets = decision.live_sets(partition, replicas);
            if sets.owners().contains(&owner) {
                let slice = Slice { partition, replicas };
                let done = ControlEvent::MoveDone { slice, version: sets.tag() };
                self.post(index, MOVE, Delivery::Event(index, Box::new(Event::Lane(done))));
            }
        }
        if view.amnesiac {
            for lane in 0..LANES {
                let received = ControlEvent::Received { lane, incarnation: view.incarnation };
                self.post(index, MOVE, Delivery::Event(index, Box::new(Event::Lane(received))));
            }
        }
    }

    /// Puts something into the queue that is lost if the machine is started again before.
    fn post(&mut self, index: usize, delay: Duration, delivery: Delivery) {
        self.sent += 1;
        let starts = self.machines[index].starts;
        self.queue.insert((self.now + delay, self.sent), (starts, delivery));
    }

    fn send(&mut self, from: usize, to: usize, delivery: Delivery) {
        let lost = self.random.random_range(0..100) < self.loss_percent;
        if lost || self.sides.get(to) != Some(&self.sides[from]) {
            return;
        }
        let delay = Duration::from_micros(self.random.random_range(200..3_000));
        self.post(to, delay, delivery);
    }

    /// Runs until then.
    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.step(end) {}
        self.now = end;
    }

    /// Runs until `holds`, which it must within `bound`.
    pub(crate) fn until(&mut self, what: &str, bound: Duration, holds: impl Fn(&Cluster) -> bool) {
        let end = self.now + bound;
        while !holds(self) {
            let step = self.now + Duration::from_millis(50);
            assert!(step <= end, "not within {bound:?}: {what}");
            self.run(step - self.now);
        }
    }

    /// One thing happens, no later than `end`.
    fn step(&mut self, end: Duration) -> bool {
        let controls = self.machines.iter().enumerate();
        let tick = controls
            .filter_map(|(index, machine)| {
                Some((machine.control.as_ref()?.next_deadline()?, index))
            })
            .min();
        let next = self.queue.first_key_value().map(|((at, _), _)| *at);
        match tick {
            Some((at, index)) if at <= end && next.is_none_or(|next| next > at) => {
                self.now = self.now.max(at);
                self.handle(index, Event::Tick);
                true
            }
            Some(_) | None if next.is_some_and(|next| next <= end) => {
                let ((at, _), (starts, delivery)) = self.queue.pop_first().unwrap();
                self.now = self.now.max(at);
                self.deliver(starts, delivery);
                true
            }
            Some(_) | None => false,
        }
    }

    fn deliver(&mut self, starts: u64, delivery: Delivery) {
        let (Delivery::Event(index, _)
        | Delivery::Packet(index, ..)
        | Delivery::Message(index, ..)
        | Delivery::Synced(index)) = &delivery;
        if self.machines[*index].starts != starts || self.machines[*index].control.is_none() {
            return;
        }
        match delivery {
            Delivery::Event(index, event) => self.handle(index, *event),
            Delivery::Packet(index, from, bytes) => {
                self.handle(index, Event::Packet { from, bytes: bytes.into() });
            }
            Delivery::Message(index, from, message) => {
                self.handle(index, Event::Message { from: id(from), message });
            }
            Delivery::Synced(index) => {
                let machine = &mut self.machines[index];
                machine.syncing = false;
                machine.store.sync().unwrap();
                for action in std::mem::take(&mut machine.held) {
                    self.act(index, action);
                }
            }
        }
    }

    /// An operator commands at a node, and waits for the answer.
    pub(crate) fn command(
        &mut self,
        index: usize,
        command: Command,
    ) -> Result<Box<Answer>, CommandError> {
        self.commands += 1;
        let operator = self.commands;
        let command = Box::new(command);
        self.handle(index, Event::Operator { operator: OperatorId(operator), command });
        let answered = |cluster: &Cluster| cluster.machines[index].answers.contains_key(&operator);
        self.until("an operator is answered", Duration::from_secs(1), answered);
        self.machines[index].answers.remove(&operator).unwrap()
    }

    pub(crate) fn control(&self, index: usize) -> &Control {
        self.machines[index].control.as_ref().unwrap()
    }

    pub(crate) fn view(&self, index: usize) -> &View {
        self.machines[index].view.as_ref().unwrap()
    }

    /// The members of the layout that a node's lanes work with.
    pub(crate) fn members(&self, index: usize) -> Vec<usize> {
        let Some(view) = &self.machines[index].view else { return Vec::new() };
        view.decision.layout().members().iter().map(|member| index_of(member.id)).collect()
    }

    /// Whether nodes have one layout, and nothing moves or is asked for.
    pub(crate) fn is_settled(&self, nodes: impl Iterator<Item = usize>) -> bool {
        let mut versions: Vec<_> = Vec::new();
        for node in nodes {
            let Some(control) = &self.machines[node].control else { return false };
            let status = control.status();
            if status.pending || status.moving > 0 || self.machines[node].view.is_none() {
                return false;
            }
            versions.push(status.tip);
        }
        versions.windows(2).all(|pair| pair[0] == pair[1])
    }

    /// Whether a node holds another for down.
    pub(crate) fn sees_down(&self, index: usize, other: usize) -> bool {
        self.view(index).liveness(id(other)) == Liveness::Down
    }

    pub(crate) fn has_reported(&self, index: usize, which: impl Fn(&Report) -> bool) -> bool {
        self.machines[index].reports.iter().any(which)
    }
}

impl Machine {
    fn halt(&mut self) {
        self.control = None;
        self.view = None;
        self.held.clear();
        self.syncing = false;
    }
}
