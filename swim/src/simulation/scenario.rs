//! Scenarios that the example and the gates share.

use std::time::Duration;

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::cluster::{Cluster, ProcessState};
use super::observer::Seen;
use super::report::Report;
use crate::event::Event;
use crate::members::Status;
use crate::parameters::Parameters;

/// What befalls a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Ten nodes crash, one after another within ten seconds.
    Crash,
    /// Nothing, for a minute.
    Idle,
    /// A minute in which 5 % of all datagrams are lost.
    Loss,
    /// A minute in which every eighth node's messages are blocked for 8–24 s at a time, with 2–6 s between.
    Blocked,
    /// The cluster falls in halves for a minute.
    HalfSplit,
    /// The cluster falls in halves for an hour.
    LongSplit,
    /// All nodes restart within five seconds.
    RestartAll,
    /// Nodes join, leave and crash, ten a second for a minute.
    Churn,
}

impl Scenario {
    /// Every scenario.
    pub const ALL: [Self; 8] = [
        Self::Crash,
        Self::Idle,
        Self::Loss,
        Self::Blocked,
        Self::HalfSplit,
        Self::LongSplit,
        Self::RestartAll,
        Self::Churn,
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Idle => "idle",
            Self::Loss => "loss",
            Self::Blocked => "blocked",
            Self::HalfSplit => "half-split",
            Self::LongSplit => "long-split",
            Self::RestartAll => "restart-all",
            Self::Churn => "churn",
        }
    }

    /// Runs it. The cluster is given back for a closer look.
    ///
    /// # Panics
    /// With fewer than two nodes.
    #[must_use]
    pub fn run(self, nodes: usize, seed: u64, parameters: Parameters) -> (Report, Cluster) {
        assert!(nodes >= 2, "one node is no cluster");
        let mut run = Run {
            cluster: Cluster::converged(nodes, seed, parameters),
            rng: Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x5eed),
            healthy: vec![true; nodes],
            report: Report::default(),
        };
        let (start, sent) = (run.cluster.now(), run.cluster.messages_sent());
        match self {
            Self::Crash => run.crash(),
            Self::Idle => run.cluster.run_for(Duration::from_secs(60)),
            Self::Loss => run.loss(),
            Self::Blocked => run.blocked(),
            Self::HalfSplit => run.split(Duration::from_secs(60), |index| u8::from(index % 2 == 0)),
            Self::LongSplit => {
                run.split(Duration::from_secs(3_600), |index| u8::from(index % 2 == 0))
            }
            Self::RestartAll => run.restart_all(),
            Self::Churn => run.churn(),
        }
        run.finish(start, sent)
    }
}

struct Run {
    cluster: Cluster,
    rng: Xoshiro256PlusPlus,
    /// Nodes that nothing was done to: nobody has a reason to call them down.
    healthy: Vec<bool>,
    report: Report,
}

impl Run {
    fn crash(&mut self) {
        let nodes = self.cluster.nodes();
        let mut victims: Vec<usize> = (0..nodes).collect();
        victims.shuffle(&mut self.rng);
        victims.truncate(10.min(nodes / 2).max(1));
        let start = self.cluster.now();
        let mut times: Vec<Duration> = (0..victims.len())
            .map(|_| start + Duration::from_micros(self.rng.random_range(0..10_000_000)))
            .collect();
        times.sort_unstable();
        for (victim, at) in victims.iter().zip(&times) {
            self.cluster.run_for(*at - self.cluster.now());
            self.cluster.crash(*victim);
            self.healthy[*victim] = false;
        }
        self.cluster.run_for(Duration::from_secs(30));
        for (victim, at) in victims.into_iter().zip(times) {
            let observers = |observer: u32| self.cluster.swim(observer as usize).is_some();
            let told: Vec<Duration> = self
                .cluster
                .observer
                .observations
                .iter()
                .filter(|o| o.seen == Seen::Down && o.subject as usize == victim)
                .filter(|o| observers(o.observer))
                .map(|o| o.at - at)
                .collect();
            self.report.first_down.extend(told.iter().min());
            self.report.all_know.extend(told.iter().max());
            let ignorant = self
                .cluster
                .alive()
                .filter(|observer| self.cluster.status(*observer, victim) != Some(Status::Down));
            self.report.missed += ignorant.count();
        }
    }

    fn loss(&mut self) {
        self.cluster.network.loss = 0.05;
        self.cluster.run_for(Duration::from_secs(60));
    }

    fn blocked(&mut self) {
        let nodes = self.cluster.nodes();
        let mut victims: Vec<usize> = (0..nodes).collect();
        victims.shuffle(&mut self.rng);
        victims.truncate((nodes / 8).max(1));
        let start = self.cluster.now();
        let end = start + Duration::from_secs(60);
        let mut blocks = Vec::new();
        for victim in victims {
            self.healthy[victim] = false;
            let mut at = start + self.pause(0..4_000);
            while at < end {
                let pause = self.pause(8_000..24_000).min(end - at);
                blocks.push((at, victim, pause));
                at += pause + self.pause(2_000..6_000);
            }
        }
        blocks.sort_unstable();
        for (at, victim, pause) in blocks {
            self.cluster.run_for(at - self.cluster.now());
            self.cluster.suspend(victim, ProcessState::Blocked, pause);
        }
        self.cluster.run_for(end - self.cluster.now());
    }

    fn split(&mut self, duration: Duration, side: impl Fn(usize) -> u8) {
        let nodes = self.cluster.nodes();
        self.cluster.network.split(nodes, side);
        self.healthy.fill(false);
        self.cluster.run_for(duration);
        self.cluster.network.heal();
        let step = Duration::from_millis(100);
        self.report.heal =
            self.cluster.run_until(Duration::from_secs(120), step, Cluster::full_view);
    }

    fn restart_all(&mut self) {
        let nodes = self.cluster.nodes();
        self.healthy.fill(false);
        let start = self.cluster.now();
        let mut order: Vec<usize> = (0..nodes).collect();
        order.shuffle(&mut self.rng);
        let mut times: Vec<Duration> = (0..nodes).map(|_| start + self.pause(0..5_000)).collect();
        times.sort_unstable();
        let seeds = [0, nodes / 3, 2 * nodes / 3];
        for (index, at) in order.into_iter().zip(times) {
            self.cluster.run_for(at - self.cluster.now());
            self.cluster.crash(index);
            let seeds = seeds.map(|seed| self.cluster.seed_address(seed)).to_vec();
            self.cluster.start_with(index, seeds, Vec::new());
        }
        let step = Duration::from_millis(100);
        let limit = Duration::from_secs(120);
        let full = self.cluster.run_until(limit, step, Cluster::full_view);
        self.report.full_view = full.map(|_| self.cluster.now() - start);
    }

    fn churn(&mut self) {
        let original = self.cluster.nodes();
        for step in 0..600 {
            self.cluster.run_for(Duration::from_millis(100));
            let alive: Vec<usize> = self.cluster.alive().collect();
            let drawn = alive[self.rng.random_range(0..alive.len())];
            match step % 4 {
                0 | 1 => {
                    let newcomer = self.cluster.add_process(0);
                    self.healthy.push(false);
                    self.cluster.start(newcomer, drawn);
                }
                2 if alive.len() > original / 2 => {
                    self.healthy[drawn] = false;
                    self.cluster.give(drawn, Event::Leave);
                }
                _ if alive.len() > original / 2 => {
                    self.healthy[drawn] = false;
                    self.cluster.crash(drawn);
                }
                _ => {}
            }
        }
    }

    fn pause(&mut self, millis: std::ops::Range<u64>) -> Duration {
        Duration::from_micros(self.rng.random_range(millis.start * 1_000..millis.end * 1_000))
    }

    fn finish(mut self, start: Duration, sent: u64) -> (Report, Cluster) {
        let cluster = &self.cluster;
        let elapsed = (cluster.now() - start).as_secs_f64();
        let messages = cluster.messages_sent() - sent;
        let healthy = |index: usize| self.healthy[index];
        let observer = &cluster.observer;
        self.report.false_down_healthy = observer.count(Seen::Down, start, healthy);
        self.report.unreachable_healthy = observer.count(Seen::Unreachable, start, healthy);
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let per_node_second = messages as f64 / cluster.alive().count() as f64 / elapsed;
        self.report.messages_per_node_per_second = per_node_second;

        // Whatever is still under way comes to its end, without faults.
        self.cluster.network.loss = 0.0;
        let step = Duration::from_millis(500);
        let settled = self.cluster.run_until(Duration::from_secs(60), step, Cluster::digests_equal);
        self.report.digests_equal = settled.is_some();
        self.report.packets_handled = self.cluster.packets_handled();
        let per_member = self.cluster.alive().filter_map(|index| self.cluster.swim(index));
        self.report.bytes_per_member =
            per_member.map(|swim| swim.member_bytes() / swim.members_held()).max().unwrap_or(0);
        (self.report, self.cluster)
    }
}
