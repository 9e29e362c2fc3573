//! What a seed stands for: sizes, speeds, and a random subset of the faults there are.
//!
//! Source: swarm testing (Groce et al. 2012): runs that leave some faults out reach states that runs with all of
//! them do not.

use std::collections::BTreeSet;
use std::fmt::{Display, Formatter, Result as FmtResult};
use std::time::Duration;

use coterie_protocol::Settings;

use crate::fault::Fault;
use crate::network::{NodeIndex, Weather};
use crate::profile::Profile;
use crate::random::Random;
use crate::workload::Mix;

/// How long faults last on average that are not said to last otherwise.
const OUTAGE: Duration = Duration::from_secs(3);
/// Runs are shorter than the time in which a node looks over all its rows.
const SCRUB_REST: Duration = Duration::from_secs(10);
const SCRUB_PAUSE: Duration = Duration::from_millis(50);

/// When a node's commits are durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// Before they are acknowledged.
    Always,
    /// Every 50 ms, whatever was acknowledged.
    Periodic,
}

/// All that distinguishes one run from another.
#[derive(Clone, Debug)]
pub struct Options {
    /// From which they were drawn, and from which all else is.
    pub seed: u64,
    /// By which way to expand it.
    pub profile: Profile,
    /// Nodes at the start.
    pub nodes: usize,
    /// Lanes of each of them.
    pub lanes: Vec<u16>,
    /// Zones that they stand in, and regions that those belong to.
    pub zones: usize,
    /// Partitions of the hash space.
    pub partitions: usize,
    /// Owners of the keys of the strict bucket; those of the strong one have three.
    pub replicas: u8,
    /// Owners of the keys of the sloppy bucket.
    pub sloppy_replicas: u8,
    /// When commits are durable.
    pub sync: Sync,
    /// How the network behaves.
    pub weather: Weather,
    /// Whether messages are made into bytes and back on their way.
    pub frames: bool,
    /// How long a sync of a disk takes.
    pub disk_latency: Duration,
    /// Of 1,000 reads of rows, how many have to be fetched first.
    pub not_resident_permille: u32,
    /// How far wall clocks are off at most.
    pub skew: Duration,
    /// Faults that may happen.
    pub faults: BTreeSet<Fault>,
    /// How long it is between two faults, on average.
    pub fault_interval: Duration,
    /// How long a fault lasts, on average.
    pub outage: Duration,
    /// The node that partitions cut off from all others; without one, each partition splits the nodes anew.
    pub island: Option<NodeIndex>,
    /// Operations that clients do.
    pub operations: usize,
    /// Clients that do them, each one at a time.
    pub clients: usize,
    /// Keys of each type and bucket.
    pub keys: usize,
    /// How long clients wait between two operations, on average.
    pub think: Duration,
    /// How long clients wait for an answer.
    pub patience: Duration,
    /// What they ask for.
    pub mix: Mix,
    /// How lanes behave.
    pub settings: Settings,
}

impl Options {
    /// What `seed` stands for.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut random = Random::new(seed, "options");
        let nodes = 3 + random.index(5);
        let lanes = (0..nodes + 3).map(|_| *random.pick(&[1, 1, 2, 3])).collect();
        let mut faults = BTreeSet::new();
        for fault in Fault::ALL {
            // The faults that lose data exclude levels at which one copy is enough, so they are rarer.
            let share = if fault.loses() { 100 } else { 350 };
            if random.chance(share) {
                faults.insert(fault);
            }
        }
        let replicas = *random.pick(&[3, 3, 3, 3, 2, 1]);
        if replicas < 3 {
            // What only one or two have to hold, one may not lose.
            faults.retain(|fault| !fault.loses());
        }
        let not_resident = faults.contains(&Fault::NotResident);
        let millis = Duration::from_millis;
        let mut options = Options {
            seed,
            profile: Profile::Mixed,
            nodes,
            lanes,
            zones: *random.pick(&[1, 2, 3]),
            partitions: *random.pick(&[8, 8, 16]),
            replicas,
            sloppy_replicas: 3,
            sync: if replicas == 3 && random.chance(250) { Sync::Periodic } else { Sync::Always },
            weather: Weather {
                latency: Duration::from_micros(*random.pick(&[200, 500, 2_000, 10_000, 40_000])),
                datagram_loss_permille: *random.pick(&[0, 0, 10, 50]),
                datagram_repeat_permille: *random.pick(&[0, 20]),
                told_permille: *random.pick(&[1_000, 800, 300, 0]),
                lingering_permille: *random.pick(&[0, 300, 700]),
                idle: millis(*random.pick(&[3_000, 10_000])),
            },
            frames: random.chance(300),
            disk_latency: Duration::from_micros(*random.pick(&[100, 1_000, 5_000, 20_000])),
            not_resident_permille: if not_resident { *random.pick(&[20, 200]) } else { 0 },
            skew: millis(*random.pick(&[0, 50, 200])),
            faults,
            fault_interval: millis(*random.pick(&[700, 1_500, 4_000])),
            outage: OUTAGE,
            island: None,
            operations: 520,
            clients: 3 + random.index(6),
            keys: *random.pick(&[1, 2, 4]),
            think: millis(*random.pick(&[20, 100, 250])),
            patience: millis(*random.pick(&[500, 2_000])),
            mix: Mix::default(),
            settings: settings(),
        };
        if options.loses() {
            // What has one owner is lost with it.
            options.replicas = options.replicas.max(2);
        }
        options
    }

    /// A cluster of so many nodes with two lanes each, a fast and honest network, quick disks, and no faults by chance:
    /// what goes wrong is what a test does to it.
    #[must_use]
    pub fn calm(nodes: usize, seed: u64) -> Self {
        let millis = Duration::from_millis;
        Options {
            seed,
            profile: Profile::Mixed,
            nodes,
            lanes: vec![2; nodes + 3],
            zones: nodes,
            partitions: 16,
            replicas: 3,
            sloppy_replicas: 3,
            sync: Sync::Always,
            weather: Weather {
                latency: Duration::from_micros(500),
                datagram_loss_permille: 0,
                datagram_repeat_permille: 0,
                told_permille: 1_000,
                lingering_permille: 0,
                idle: millis(10_000),
            },
            frames: false,
            disk_latency: millis(1),
            not_resident_permille: 0,
            skew: millis(50),
            faults: BTreeSet::new(),
            fault_interval: millis(1_000),
            outage: OUTAGE,
            island: None,
            operations: 0,
            clients: 4,
            keys: 4,
            think: millis(100),
            patience: millis(2_000),
            mix: Mix::default(),
            settings: settings(),
        }
    }

    /// Whether a fault may take acknowledged data from a node: then writes have to wait for two.
    #[must_use]
    pub fn loses(&self) -> bool {
        let power = self.sync == Sync::Periodic && self.faults.contains(&Fault::PowerLoss);
        power || self.faults.iter().any(|fault| fault.loses())
    }
}

fn settings() -> Settings {
    Settings { scrub_pause: SCRUB_PAUSE, scrub_rest: SCRUB_REST, ..Settings::default() }
}

impl Display for Options {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        writeln!(f, "seed {}, {}", self.seed, self.profile)?;
        writeln!(
            f,
            "  {} nodes with lanes {:?} in {} zones, {} partitions, {} and {} replicas, sync {:?}",
            self.nodes,
            self.lanes,
            self.zones,
            self.partitions,
            self.replicas,
            self.sloppy_replicas,
            self.sync
        )?;
        writeln!(f, "  network {:?}", self.weather)?;
        writeln!(
            f,
            "  disks sync in {:?}, {} of 1,000 reads have to be fetched; clocks are off by {:?}",
            self.disk_latency, self.not_resident_permille, self.skew
        )?;
        let faults: Vec<&str> = self.faults.iter().map(|fault| fault.name()).collect();
        writeln!(
            f,
            "  a fault every {:?}, of {:?}, of: {}",
            self.fault_interval,
            self.outage,
            faults.join(", ")
        )?;
        if self.profile != Profile::Mixed {
            writeln!(f, "  {:?}, island {:?}, {:?}", self.mix, self.island, self.settings)?;
        }
        write!(
            f,
            "  {} operations by {} clients on {} keys of each kind, thinking {:?}, waiting {:?}",
            self.operations, self.clients, self.keys, self.think, self.patience
        )
    }
}
