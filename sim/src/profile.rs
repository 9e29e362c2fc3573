//! Profiles: what seeds stand for where some part of the cluster is to be pushed hard.
//!
//! A mixed run gives each part little time and rarely two rare things at once. A profile keeps the seed's sizes and speeds
//! and narrows the rest: few faults, small bounds, short pauses, busy keys. It is drawn from the seed like all else.

use std::collections::BTreeSet;
use std::fmt::{Display, Formatter, Result as FmtResult};
use std::time::Duration;

use coterie_ring::Level;

use crate::fault::Fault;
use crate::options::{Options, Sync};
use crate::random::Random;
use crate::workload::{Mix, Sort};

/// A way to expand a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Profile {
    /// Everything mixed.
    Mixed,
    /// Linearizable operations of many clients on very few keys.
    Hot,
    /// One node is cut off again and again for long, and takes writes meanwhile; room for hints is scarce.
    Island,
    /// Keys are deleted, forgotten and written again while slices go from node to node and back.
    Forgetting,
    /// Machines lose power for a moment, again and again, while disks sync slowly.
    Power,
    /// One large set is written, and owners have to receive all of it.
    Large,
    /// Many keys, in pairs that have the same and lie in one leaf, of which a node that was cut off lacks some.
    Twins,
}

impl Profile {
    /// All of them.
    pub const ALL: [Profile; 7] = [
        Profile::Mixed,
        Profile::Hot,
        Profile::Island,
        Profile::Forgetting,
        Profile::Power,
        Profile::Large,
        Profile::Twins,
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Profile::Mixed => "mixed",
            Profile::Hot => "hot",
            Profile::Island => "island",
            Profile::Forgetting => "forgetting",
            Profile::Power => "power",
            Profile::Large => "large",
            Profile::Twins => "twins",
        }
    }

    /// What `seed` stands for under it.
    #[must_use]
    pub fn options(self, seed: u64) -> Options {
        let mut options = Options::of(seed);
        if self == Profile::Mixed {
            return options;
        }
        let random = &mut Random::new(seed, self.name());
        options.profile = self;
        options.sync = Sync::Always;
        options.replicas = 3;
        options.mix.late_permille = 30;
        options.not_resident_permille = 0;
        match self {
            Profile::Mixed => {}
            Profile::Hot => hot(&mut options, random),
            Profile::Island => island(&mut options, random),
            Profile::Forgetting => forgetting(&mut options, random),
            Profile::Power => power(&mut options, random),
            Profile::Large => large(&mut options, random),
            Profile::Twins => twins(&mut options, random),
        }
        options
    }
}

impl Display for Profile {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        f.write_str(self.name())
    }
}

fn millis(of: u64) -> Duration {
    Duration::from_millis(of)
}

/// `always`, and each of `often` by the toss of a coin.
fn faults(random: &mut Random, always: &[Fault], often: &[Fault]) -> BTreeSet<Fault> {
    let tossed = often.iter().filter(|_| random.chance(500)).copied();
    let tossed: Vec<Fault> = tossed.collect();
    always.iter().copied().chain(tossed).collect()
}

fn hot(options: &mut Options, random: &mut Random) {
    options.nodes = 3 + random.index(3);
    options.faults =
        faults(random, &[], &[Fault::LostConnection, Fault::SlowLink, Fault::Pause, Fault::Crash]);
    options.weather.latency = *random.pick(&[millis(1), millis(5), millis(20)]);
    options.disk_latency = *random.pick(&[millis(1), millis(5)]);
    options.keys = 1;
    options.clients = 8;
    options.think = *random.pick(&[millis(2), millis(10), millis(30)]);
    options.patience = millis(2_000);
    let sorts = [
        vec![Sort::LinearAdds],
        vec![Sort::LinearAdds, Sort::LinearSet],
        vec![Sort::LinearSet, Sort::LinearRegister, Sort::LinearFlag],
        vec![Sort::LinearAdds, Sort::Strong],
    ];
    options.mix.sorts = random.pick(&sorts).clone();
    options.mix.others_permille = 0;
    options.mix.sloppy_permille = 0;
}

fn island(options: &mut Options, random: &mut Random) {
    options.nodes = 5 + random.index(3);
    options.island = Some(options.nodes - 1);
    options.faults = faults(random, &[Fault::Partition], &[Fault::Crash, Fault::LostConnection]);
    options.fault_interval = *random.pick(&[millis(6_000), millis(12_000)]);
    options.outage = millis(5_000);
    options.keys = 1 + random.index(2);
    options.clients = 6 + random.index(3);
    options.think = *random.pick(&[millis(500), millis(1_000)]);
    options.patience = millis(500);
    options.mix = Mix {
        sorts: vec![Sort::Set, Sort::Counter, Sort::Register, Sort::Flag],
        others_permille: 60,
        sloppy_permille: 700,
        reads_permille: 200,
        writes: vec![Level::Any, Level::One, Level::One, Level::Two, Level::Quorum],
        ..options.mix.clone()
    };
    options.sloppy_replicas = *random.pick(&[1, 1, 3]);
    options.settings.hint_bytes_max = *random.pick(&[1_000, 1_500, 2_500, 4 << 30]);
    options.settings.purge_pause = *random.pick(&[millis(2_000), millis(60_000)]);
}

fn forgetting(options: &mut Options, random: &mut Random) {
    options.nodes = 4 + random.index(2);
    options.partitions = 8;
    options.faults = faults(
        random,
        &[Fault::Weight, Fault::Join, Fault::Leave],
        &[Fault::Crash, Fault::Pause, Fault::Partition, Fault::LostConnection],
    );
    options.fault_interval = *random.pick(&[millis(1_000), millis(2_000)]);
    options.keys = 4;
    options.think = *random.pick(&[millis(150), millis(300)]);
    options.mix = Mix {
        sorts: vec![Sort::Set, Sort::Set, Sort::Counter, Sort::Register, Sort::Flag],
        others_permille: 150,
        reads_permille: 200,
        deletes_permille: 300,
        ..options.mix.clone()
    };
    options.settings.purge_pause = *random.pick(&[millis(300), millis(1_000), millis(3_000)]);
    options.settings.sync_every = *random.pick(&[millis(500), millis(4_000)]);
}

fn power(options: &mut Options, random: &mut Random) {
    options.nodes = 3 + random.index(3);
    options.faults = faults(
        random,
        &[Fault::PowerLoss],
        &[Fault::PowerLossOfAll, Fault::Weight, Fault::Join, Fault::LostConnection],
    );
    options.fault_interval = *random.pick(&[millis(400), millis(1_500)]);
    options.outage = *random.pick(&[millis(200), millis(1_000)]);
    options.disk_latency = *random.pick(&[millis(20), millis(80), millis(200)]);
    options.weather.latency = *random.pick(&[millis(1), millis(2), millis(5)]);
    options.keys = 1;
    options.clients = 8;
    options.think = *random.pick(&[millis(20), millis(60)]);
    options.patience = millis(2_000);
    options.mix = Mix {
        sorts: vec![Sort::Set, Sort::Counter, Sort::Register, Sort::LinearSet],
        others_permille: 60,
        reads_permille: 100,
        writes: vec![Level::One, Level::Two, Level::Quorum, Level::Quorum, Level::All],
        ..options.mix.clone()
    };
}

fn large(options: &mut Options, random: &mut Random) {
    options.nodes = 4 + random.index(2);
    options.partitions = 8;
    options.faults = faults(
        random,
        &[Fault::Join],
        &[Fault::Wipe, Fault::Weight, Fault::Crash, Fault::Pause, Fault::LostConnection],
    );
    options.fault_interval = *random.pick(&[millis(1_000), millis(3_000)]);
    options.keys = 1;
    options.think = *random.pick(&[millis(100), millis(250)]);
    options.patience = millis(2_000);
    options.mix.others_permille = 120;
    options.mix.large_permille = 400;
}

fn twins(options: &mut Options, random: &mut Random) {
    options.nodes = 3 + random.index(2);
    options.partitions = 8;
    options.island = Some(options.nodes - 1);
    options.faults = faults(random, &[Fault::Partition], &[Fault::LostConnection]);
    options.fault_interval = *random.pick(&[millis(4_000), millis(8_000)]);
    options.outage = millis(2_500);
    options.keys = 200;
    options.clients = 4 + random.index(3);
    options.think = *random.pick(&[millis(250), millis(500)]);
    options.patience = millis(500);
    options.mix = Mix {
        sorts: vec![Sort::Set],
        others_permille: 0,
        sloppy_permille: 0,
        reads_permille: 100,
        writes: vec![Level::One, Level::Two, Level::Quorum],
        twins: true,
        ..options.mix.clone()
    };
    // What a hint brings, nobody has to find out by comparing.
    options.settings.hint_bytes_max = 1;
}
