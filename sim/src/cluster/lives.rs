//! Lives of nodes: how processes start, and how they end.

use std::sync::Arc;
use std::time::Duration;

use coterie_protocol::control::{self, Control, ControlEffects, Past, SyncPolicy};
use coterie_protocol::driver::{ControlDriver, ControlTurn, LaneDriver};
use coterie_protocol::rows::StoreError;
use coterie_protocol::{Event, Lane, Start, View};
use coterie_ring::decision::TakeIn;
use coterie_ring::{NodeId, Place};
use coterie_swim::{Attributes, Generation, Instance, Label, PACKET_BYTES_MAX};

use super::control::address;
use super::{Cluster, Happening};
use crate::clock::Clock;
use crate::disk::{Chancy, Disk};
use crate::network::NodeIndex;
use crate::node::{Node, Process, Seat};
use crate::options::Sync;

/// The id of the cluster of every run.
const CLUSTER: u128 = 0xc07e;
/// How long joining nodes wait for others.
const TAKE_IN: Duration = Duration::from_millis(500);

impl Cluster {
    /// A machine with an empty disk.
    pub(super) fn add_node(&mut self) -> NodeIndex {
        let index = self.nodes.len();
        let skew = i64::try_from(self.options.skew.as_millis()).expect("skews are short");
        let share = i64::try_from(self.seeds.below(0, 2_001)).expect("it is small") - 1_000;
        let drift = i64::try_from(self.seeds.below(0, 201)).expect("it is small") - 100;
        self.nodes.push(Node {
            id: NodeId(0x1000 + index as u128),
            life: 0,
            boot: 1,
            past: Past::Continued,
            disk: Disk::default(),
            clock: Clock::new(skew * share / 1_000, drift),
            process: None,
            paused_until: Duration::ZERO,
            backup: None,
            gone: false,
            untold: false,
        });
        index
    }

    /// A node's process starts.
    pub(super) fn start(&mut self, index: NodeIndex) {
        let at = self.now();
        let node = &mut self.nodes[index];
        if node.process.is_some() || node.gone {
            return;
        }
        // Opening a storage writes what it recovers to disk.
        let recovered = node.disk.committed();
        if node.disk.synced(recovered).is_err() {
            return;
        }
        node.life += 1;
        node.paused_until = Duration::ZERO;
        node.clock.restart(at);
        let life = node.life;
        let now = node.clock.read(at);
        self.trace.hash(at, (index, life));
        self.trace.line(at, format_args!("{index} starts its life {life}"));
        let plans = self.network.back(at, index, self.nodes.len());
        self.plan(plans);
        let start = self.control_start(index);
        let mut effects = ControlEffects::new();
        let node = &mut self.nodes[index];
        let control = match Control::open(start, &node.disk, &mut effects) {
            Ok(control) => control,
            Err(control::OpenError::Removed) => {
                node.gone = true;
                return;
            }
            Err(error) => {
                let what = format!("node {index} does not start: {error}");
                return self.watch.violated(what);
            }
        };
        let mut driver = ControlDriver::new(control, PACKET_BYTES_MAX);
        let mut turn = ControlTurn::default();
        let mut disk = Chancy::new(&mut node.disk, &mut self.disks, 0);
        let turn = driver.carry(effects, &mut disk, now, &mut turn).map(|()| turn);
        node.process =
            Some(Process { control: Seat::new(driver), lanes: Vec::new(), syncing: None });
        self.after_control_turn(index, turn);
        self.queue.after(Duration::from_millis(50), Happening::Sync(index, life));
    }

    fn control_start(&mut self, index: NodeIndex) -> control::Start {
        let seed = self.seeds.number();
        let zone = format!("z{}", index % self.options.zones);
        let here = address(index);
        let label = |text: &str| Label::new(text).expect("it is short");
        let mut settings = control::Settings::default();
        settings.decision.take_in = TakeIn::Automatic { settle: TAKE_IN };
        let node = &mut self.nodes[index];
        control::Start {
            cluster: CLUSTER,
            node: node.id,
            attributes: Attributes {
                generation: Generation(1),
                version: 0,
                instance: Instance(0),
                gossip: here,
                peer: here,
                resp: here,
                http: here,
                lanes: self.options.lanes[index % self.options.lanes.len()],
                weight: 100,
                protocols: (1, 1),
                region: label("r"),
                zone: label(&zone),
            },
            place: Place::new("r", &zone).expect("the names are short"),
            seeds: (0..2).filter(|other| *other != index).map(address).collect(),
            // The first begins the cluster, unless it comes back with nothing.
            joins: index != 0 || node.life > 1,
            boot: node.boot,
            sync: policy(self.options.sync),
            past: std::mem::replace(&mut node.past, Past::Continued),
            seed,
            settings,
            now: node.clock.read(self.queue.now()),
        }
    }

    /// A node's control has another picture of the cluster; with the first one its lanes start.
    pub(super) fn look_at_view(&mut self, index: NodeIndex, view: &Arc<View>) {
        self.decisions.insert(view.decision.version(), Arc::clone(&view.decision));
        let at = self.now();
        let seed = self.seeds.number();
        let count = self.options.lanes[index % self.options.lanes.len()];
        let sync = policy(self.options.sync);
        let node = &mut self.nodes[index];
        let Some(process) = &mut node.process else { return };
        if process.lanes.is_empty() {
            let open = |lane| {
                let start = Start {
                    lane,
                    lanes: count,
                    settings: self.options.settings.clone(),
                    view: Arc::clone(view),
                    seed: seed.wrapping_add(u64::from(lane)),
                    actors_spent: process.control.driver.control().actors_spent(),
                    now: node.clock.read(at),
                };
                let lane = Lane::open(start, &node.disk).expect("control rows are not damaged");
                Seat::new(LaneDriver::new(lane, sync))
            };
            process.lanes = (0..count).map(open).collect();
        }
        self.push_to_all(index, &Event::View(Arc::clone(view)));
    }

    /// A node's process ends; its machine goes on.
    pub(super) fn kill(&mut self, index: NodeIndex) {
        let now = self.now();
        let node = &mut self.nodes[index];
        if node.process.take().is_none() {
            return;
        }
        node.disk.kill();
        node.paused_until = Duration::ZERO;
        self.trace.hash(now, index);
        self.trace.line(now, format_args!("{index} is killed"));
        let plans = self.network.gone(now, index, self.nodes.len());
        self.plan(plans);
        self.connections_to_clients_lost(index);
    }

    /// A node's machine ends.
    pub(super) fn lose_power(&mut self, index: NodeIndex) {
        self.kill(index);
        let node = &mut self.nodes[index];
        node.boot += 1;
        let lies = node.disk.is_lying();
        let lost = node.disk.lose_power(&mut self.disks);
        node.untold |= lies && lost > 0;
        let now = self.now();
        self.trace.line(now, format_args!("{index} has no power, {lost} commits are gone"));
    }

    /// A node's storage has failed: nothing may be written any more, and it is opened anew.
    pub(super) fn storage_stops(&mut self, index: NodeIndex, error: StoreError) {
        let now = self.now();
        self.trace.line(now, format_args!("{index} stops: {error}"));
        self.kill(index);
        self.nodes[index].past = Past::DiskFailed;
    }

    /// A process stands still for a while; one that does already, for the longer of both: what it was to do has been put off until
    /// then.
    pub(super) fn pause(&mut self, index: NodeIndex, wait: Duration) {
        let now = self.now();
        let until = &mut self.nodes[index].paused_until;
        *until = (*until).max(now + wait);
        self.trace.line(now, format_args!("{index} stands still for {wait:?}"));
    }
}

fn policy(sync: Sync) -> SyncPolicy {
    match sync {
        Sync::Always => SyncPolicy::Always,
        Sync::Periodic => SyncPolicy::Periodic,
    }
}
