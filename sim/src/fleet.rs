//! Many seeds, a few at a time.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "seeds are independent: threads and a stopwatch change how long they take, and nothing else"
)]

use std::fmt::{Display, Formatter, Result as FmtResult};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use serde_json::json;

use crate::fault::Fault;
use crate::options::Options;
use crate::report::{Counts, Report};
use crate::run::run;

/// Seeds to be run.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// Which.
    pub seeds: Range<u64>,
    /// How many at a time.
    pub threads: usize,
}

/// What several runs came to.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// How many there were.
    pub seeds: u64,
    /// How much happened in them.
    pub counts: Counts,
    /// How many things were wrong.
    pub violations: u64,
    /// Seeds in which something was wrong.
    pub violated: Vec<u64>,
    /// How long it took.
    pub seconds: f64,
}

impl Fleet {
    /// Runs them all, each with the options that it is given, telling `heard` of each as it ends.
    pub fn run(
        &self,
        options: impl Fn(u64) -> Options + Sync,
        mut heard: impl FnMut(&Summary, &Report),
    ) -> Summary {
        let options = &options;
        let started = Instant::now();
        let next = AtomicU64::new(self.seeds.start);
        let (tell, told) = mpsc::channel();
        let mut summary = Summary::default();
        thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                let (tell, next, end) = (tell.clone(), &next, self.seeds.end);
                scope.spawn(move || {
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= end || tell.send(run(&options(seed), 0)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(tell);
            for report in told {
                summary.seeds += 1;
                summary.counts.add(&report.counts);
                summary.violations += report.violations.len() as u64;
                if !report.violations.is_empty() {
                    summary.violated.push(report.seed);
                }
                summary.seconds = started.elapsed().as_secs_f64();
                heard(&summary, &report);
            }
        });
        summary.violated.sort_unstable();
        summary
    }
}

impl Summary {
    /// As one JSON object.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let faults: serde_json::Map<String, serde_json::Value> = Fault::ALL
            .iter()
            .map(|fault| {
                let count = self.counts.faults.get(fault).copied().unwrap_or(0);
                (fault.name().to_owned(), json!(count))
            })
            .collect();
        json!({
            "seeds": self.seeds,
            "operations": self.counts.operations,
            "acknowledged": self.counts.acknowledged,
            "violations": self.violations,
            "faults": faults,
            "seconds": self.seconds,
        })
    }
}

impl Display for Summary {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        let Counts { operations, acknowledged, declined, unknown, .. } = self.counts;
        let faults: u64 = self.counts.faults.values().sum();
        write!(
            f,
            "{} seeds in {:.1} s: {operations} operations, {acknowledged} acknowledged, {declined} \
             declined, {unknown} unknown; {faults} faults; {} violations",
            self.seeds, self.seconds, self.violations
        )?;
        if !self.violated.is_empty() {
            write!(f, " in seeds {:?}", self.violated)?;
        }
        Ok(())
    }
}
