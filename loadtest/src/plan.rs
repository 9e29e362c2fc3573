//! What a load test is to do, whole: targets, workload, levels, faults.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::command::RecordForm;
use crate::distribution::Distribution;
use crate::fault::Fault;
use crate::judged::Judging;
use crate::level::Levels;
use crate::load::Pace;
use crate::mix::Mix;
use crate::target::{Access, Target};

/// A load test. Every target is loaded once and then put under load once for each level.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Servers, one after the other.
    pub targets: Vec<Target>,
    /// How to get at them.
    pub access: Access,
    /// Levels, one after the other.
    pub levels: Vec<Levels>,
    /// What is done.
    pub mix: Mix,
    /// To which records.
    pub distribution: Distribution,
    /// How many of each family there are at the beginning.
    pub records: u64,
    /// How YCSB's records are kept.
    pub form: RecordForm,
    /// Elements of each key that has some.
    pub elements: u64,
    /// Bytes of a value, at least and at most.
    pub value_bytes: (usize, usize),
    /// What all keys' names begin with.
    pub prefix: String,
    /// Connections of all threads.
    pub connections: u64,
    /// Threads.
    pub threads: u64,
    /// Requests under way on a connection at most.
    pub pipeline: usize,
    /// When operations begin.
    pub pace: Pace,
    /// Which phases.
    pub phases: Phases,
    /// What begins that long after the beginning is measured.
    pub warm_up: Duration,
    /// How long operations begin after that.
    pub duration: Duration,
    /// Or, in a closed loop, how many do.
    pub operations: Option<u64>,
    /// How long an answer is waited for.
    pub patience: Duration,
    /// The stretches in which the course of a run is told.
    pub interval: Duration,
    /// How late the generator may be.
    pub lag_max: Duration,
    /// What everything is drawn from.
    pub seed: u64,
    /// What is broken in each run, by whom it is given.
    pub faults: Vec<Fault>,
    /// Clients whose operations are recorded and judged, beside the load.
    pub judging: Option<Judging>,
    /// Once it is set, nothing more begins: the run under way ends, and the report tells of what was.
    pub over: Arc<AtomicBool>,
    /// The arguments that all this was given by, for the report.
    pub arguments: Vec<String>,
}

/// Which phases there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Phases {
    /// Records are written, and then operated on.
    Both,
    /// Records are only written.
    Load,
    /// They are there already.
    Run,
}

impl Default for Plan {
    /// A short run of YCSB B against nobody.
    fn default() -> Plan {
        Plan {
            targets: Vec::new(),
            access: Access::default(),
            levels: vec![Levels::Default],
            mix: "b".parse().expect("it is among those with names"),
            distribution: Distribution::Zipfian,
            records: 10_000,
            form: RecordForm::Hash,
            elements: 10,
            value_bytes: (100, 100),
            prefix: String::new(),
            connections: 32,
            threads: 1,
            pipeline: 1,
            pace: Pace::Closed,
            phases: Phases::Both,
            warm_up: Duration::from_secs(2),
            duration: Duration::from_secs(10),
            operations: None,
            patience: Duration::from_secs(5),
            interval: Duration::from_secs(1),
            lag_max: Duration::from_millis(10),
            seed: 1,
            faults: Vec::new(),
            judging: None,
            over: Arc::default(),
            arguments: Vec::new(),
        }
    }
}
