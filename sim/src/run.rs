//! One run from its seed to its report: faults while clients work, then none, and what must hold then.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::cluster::Cluster;
use crate::options::Options;
use crate::report::Report;
use crate::{finals, settle};

/// Longer than this no run with faults takes, however slow its clients are.
const WORK_MAX: Duration = Duration::from_secs(600);

/// Runs a seed, keeping the last `lines_max` lines of its trace.
#[must_use]
pub fn run(options: &Options, lines_max: usize) -> Report {
    let mut cluster = Cluster::new(options.clone(), lines_max);
    // What asserts is a bug that was found, like any other.
    let ended = catch_unwind(AssertUnwindSafe(|| {
        work(&mut cluster);
        settle::settle(&mut cluster);
        finals::judge(&mut cluster);
    }));
    if let Err(panic) = ended {
        let what = panic.downcast_ref::<String>().cloned();
        let what = what.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let what = what.unwrap_or_default();
        cluster.watch.violated(format!("panicked at {:?}: {what}", cluster.now()));
    }
    let mut counts = cluster.workload.recorder.counts.clone();
    counts.add(&cluster.counts);
    Report {
        seed: options.seed,
        counts,
        trace: cluster.trace.digest(),
        violations: std::mem::take(&mut cluster.watch.violations),
        lines: cluster.trace.lines().map(str::to_owned).collect(),
    }
}

/// Clients work while things go wrong.
fn work(cluster: &mut Cluster) {
    cluster.begin_cluster();
    cluster.begin();
    while (cluster.workload.left > 0 || !cluster.workload.pending.is_empty())
        && cluster.now() < WORK_MAX
    {
        cluster.step();
    }
}
