//! What all connections of one phase of a run have in common.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crate::command::Shape;
use crate::kind::{Family, Kind};
use crate::level::Levels;
use crate::schedule::{Arrivals, Nanos, Starts};
use crate::target::{Access, Target};
use crate::workload::{Operation, Records, Stream, Workload};

/// When operations begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", tag = "loop")]
pub enum Pace {
    /// When the one before is over: a connection waits for answers before it asks again.
    Closed,
    /// At times that were set before, whatever becomes of the ones before.
    Open {
        /// Operations a second, of all connections.
        rate: u64,
        /// How they lie in time.
        arrivals: Arrivals,
    },
}

/// What is to be done.
#[derive(Clone, Debug)]
pub(crate) enum Task {
    /// Write the records of each family.
    Fill { families: Vec<Family>, records: u64 },
    /// Operations of a workload; so many, or until the end.
    Operate { workload: Arc<Workload>, records: Arc<Records>, operations: Option<u64> },
}

/// One phase of a run.
#[derive(Debug)]
pub(crate) struct Phase {
    pub(crate) target: Target,
    pub(crate) access: Access,
    pub(crate) levels: Levels,
    pub(crate) shape: Arc<Shape>,
    pub(crate) task: Task,
    pub(crate) pace: Pace,
    pub(crate) connections: u64,
    pub(crate) pipeline: usize,
    /// What begins before is not measured; from the beginning.
    pub(crate) warm_up: Nanos,
    /// What would begin later does not; from the beginning.
    pub(crate) length: Nanos,
    /// How long an answer is waited for.
    pub(crate) patience: Nanos,
    pub(crate) interval: Nanos,
    pub(crate) seed: u64,
    /// What times are counted from.
    pub(crate) base: Instant,
    /// When operations began.
    pub(crate) begin: OnceLock<Nanos>,
    /// Whether nothing more is to begin.
    pub(crate) over: Arc<AtomicBool>,
    /// When that was seen.
    pub(crate) over_at: OnceLock<Nanos>,
}

impl Phase {
    /// The time now.
    pub(crate) fn now(&self) -> Nanos {
        Nanos::try_from(self.base.elapsed().as_nanos()).unwrap_or(Nanos::MAX)
    }

    /// When it began; never, if it has not.
    pub(crate) fn begun(&self) -> Nanos {
        self.begin.get().copied().unwrap_or(Nanos::MAX)
    }

    /// From when on operations are measured.
    pub(crate) fn measured(&self) -> Nanos {
        self.begun().saturating_add(self.warm_up)
    }

    /// From when on none begins.
    pub(crate) fn ends(&self) -> Nanos {
        let planned = self.begun().saturating_add(self.length);
        match self.over.load(Ordering::Relaxed) {
            true => planned.min(*self.over_at.get_or_init(|| self.now())),
            false => planned,
        }
    }

    /// The work of one connection.
    pub(crate) fn work(&self, connection: u64) -> Work {
        match &self.task {
            Task::Fill { families, records } => Work::Fill {
                families: families.clone(),
                next: connection,
                step: self.connections,
                records: *records,
                again: Vec::new(),
            },
            Task::Operate { workload, records, operations } => {
                let stream =
                    Stream::new(Arc::clone(workload), Arc::clone(records), self.seed, connection);
                let left = operations.map(|all| {
                    all / self.connections + u64::from(connection < all % self.connections)
                });
                Work::Operate { stream, left }
            }
        }
    }

    /// When a connection's operations are meant to begin, if that is set.
    pub(crate) fn starts(&self, connection: u64) -> Option<Starts> {
        match self.pace {
            Pace::Closed => None,
            Pace::Open { rate, arrivals } => {
                Some(Starts::new(arrivals, rate, connection, self.connections, self.seed))
            }
        }
    }

    /// An operation is over: what it was to insert is there, or will not be.
    pub(crate) fn ended(&self, job: &Job) {
        if let (Task::Operate { records, .. }, Job::Operate(operation)) = (&self.task, job)
            && matches!(operation.kind, Kind::Insert | Kind::PageInsert)
        {
            records.end(operation.record);
        }
    }
}

/// Something to ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Job {
    Fill { family: Family, record: u64, attempts: u32 },
    Operate(Operation),
}

impl Job {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Job::Fill { .. } => Kind::Load,
            Job::Operate(operation) => operation.kind,
        }
    }

    pub(crate) fn encode(&self, shape: &Shape, out: &mut Vec<u8>) {
        match self {
            Job::Fill { family, record, .. } => {
                let salt = record.wrapping_mul(0xD6E8_FEB8_6659_FD93);
                shape.fill(*family, *record, salt, out);
            }
            Job::Operate(operation) => shape.encode(operation, out),
        }
    }
}

/// What is left to do for a connection.
#[derive(Debug)]
pub(crate) enum Work {
    Fill { families: Vec<Family>, next: u64, step: u64, records: u64, again: Vec<Job> },
    Operate { stream: Stream, left: Option<u64> },
}

impl Work {
    pub(crate) fn take(&mut self) -> Option<Job> {
        match self {
            Work::Fill { families, next, step, records, again } => {
                if let Some(job) = again.pop() {
                    return Some(job);
                }
                let index = usize::try_from(*next / *records).ok()?;
                let family = *families.get(index)?;
                let record = *next % *records;
                *next += *step;
                Some(Job::Fill { family, record, attempts: 0 })
            }
            Work::Operate { stream, left } => {
                if let Some(left) = left {
                    *left = left.checked_sub(1)?;
                }
                Some(Job::Operate(stream.draw()))
            }
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        match self {
            Work::Fill { families, next, records, again, .. } => {
                again.is_empty() && *next / *records >= families.len() as u64
            }
            Work::Operate { left, .. } => *left == Some(0),
        }
    }

    /// To be tried once more.
    pub(crate) fn put_back(&mut self, job: Job) {
        if let Work::Fill { again, .. } = self {
            again.push(job);
        }
    }
}
