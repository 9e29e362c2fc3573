//! Lives of nodes: how processes start, and how they end.

use std::time::Duration;

use coterie_protocol::rows::StoreError;
use coterie_protocol::{Event, Lane, Settings, Start};
use coterie_wire::Incarnation;

use super::{Cluster, Happening, oracle};
use crate::clock::Clock;
use crate::disk::Disk;
use crate::network::NodeIndex;
use crate::node::{LaneDriver, Node, Process};

impl Cluster {
    /// A machine with an empty disk.
    pub(super) fn add_node(&mut self) -> NodeIndex {
        let index = self.nodes.len();
        let skew = i64::try_from(self.options.skew.as_millis()).expect("skews are short");
        let share = i64::try_from(self.seeds.below(0, 2_001)).expect("it is small") - 1_000;
        let drift = i64::try_from(self.seeds.below(0, 201)).expect("it is small") - 100;
        self.nodes.push(Node {
            id: oracle::node_id(index),
            life: 0,
            disk: Disk::default(),
            clock: Clock::new(skew * share / 1_000, drift),
            process: None,
            paused_until: Duration::ZERO,
            backup: None,
            unclean: false,
            gone: false,
        });
        index
    }

    /// A node's process starts.
    pub(super) fn start(&mut self, index: NodeIndex) {
        let at = self.now();
        let seed = self.seeds.number();
        let incarnation = Incarnation(self.seeds.number());
        let node = &mut self.nodes[index];
        if node.process.is_some() {
            return;
        }
        node.life += 1;
        node.paused_until = Duration::ZERO;
        node.clock.restart(at);
        // Opening a storage writes what it recovers to disk.
        let recovered = node.disk.committed();
        if node.disk.synced(recovered).is_err() {
            return;
        }
        let now = node.clock.read(at);
        let life = node.life;
        let actors_spent = std::mem::take(&mut node.unclean);
        let view = self.view_of(index, 1, incarnation);
        let node = &mut self.nodes[index];
        let count = self.options.lanes[index % self.options.lanes.len()];
        let open = |lane| {
            let start = Start {
                lane,
                lanes: count,
                settings: Settings::default(),
                view: view.clone(),
                seed: seed.wrapping_add(u64::from(lane)),
                actors_spent,
                now,
            };
            let lane = Lane::open(start, &node.disk).expect("what was synced can be read");
            LaneDriver::new(lane)
        };
        let lanes = (0..count).map(open).collect();
        node.process = Some(Process { lanes, incarnation, syncing: None, views: 1 });
        self.trace.hash(at, (index, life));
        self.trace.line(at, format_args!("{index} starts its life {life}"));
        self.push_to_all(index, &Event::View(view));
        self.queue.after(Duration::from_secs(1), Happening::Look(index, life));
        self.queue.after(Duration::from_millis(50), Happening::Sync(index, life));
        let plans = self.network.back(at, index, self.nodes.len());
        self.plan(plans);
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
        node.unclean = true;
        let lost = node.disk.lose_power(&mut self.disks);
        let now = self.now();
        self.trace.line(now, format_args!("{index} has no power, {lost} commits are gone"));
    }

    /// A node's storage has failed: nothing may be written any more, and it is opened anew.
    pub(super) fn storage_stops(&mut self, index: NodeIndex, error: StoreError) {
        let now = self.now();
        self.trace.line(now, format_args!("{index} stops: {error}"));
        self.kill(index);
        self.nodes[index].unclean = true;
    }

    /// A process stands still for a while.
    pub(super) fn pause(&mut self, index: NodeIndex, wait: Duration) {
        let now = self.now();
        self.nodes[index].paused_until = now + wait;
        self.trace.line(now, format_args!("{index} stands still for {wait:?}"));
    }
}
