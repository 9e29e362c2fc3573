//! Clients beside the load whose operations are recorded and judged: what was acknowledged, and whether it was kept.
//!
//! They work on keys of their own, so that a history stays small however heavy the load is. Every element is added once
//! and every value assigned once, in the whole run: what is lost, or comes back, can be seen by its name.

mod answer;
mod client;
mod finals;
mod found;
mod removed;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use coterie_check::{
    Bucket, BucketId, BucketKind, History, HistoryError, Level, Limits, Name, Nanos, Outcome,
    Record,
};
use thiserror::Error;

use crate::level::Levels;
use crate::report::{Checked, Outcomes};
use crate::target::{Access, Target};

use client::{Role, Worker};
use found::SHOWN_MAX;

pub(crate) use answer::Held;
pub(crate) use finals::live;
pub use finals::{AtAll, Finals, Owners, Question};
pub(crate) use found::Found;

/// The one bucket that is used.
pub(crate) const BUCKET: BucketId = BucketId(0);

/// Operations that are recorded at most; then clients only wait.
const OPERATIONS_MAX: u64 = 400_000;

/// How judged clients work.
#[derive(Clone, Debug)]
pub struct Judging {
    /// How many.
    pub clients: u64,
    /// Keys of each type.
    pub keys: u64,
    /// A client asks no more often.
    pub pause: Duration,
    /// Likewise one of linearizable operations: the search for an order is exponential in what is concurrent.
    pub linearizable_pause: Duration,
    /// What the bucket promises.
    pub kind: BucketKind,
    /// How many owners a key has: the lesser of the bucket's replicas and the nodes.
    pub replicas: u32,
}

impl Default for Judging {
    fn default() -> Judging {
        Judging {
            clients: 6,
            keys: 3,
            pause: Duration::from_millis(10),
            linearizable_pause: Duration::from_millis(150),
            kind: BucketKind::Strict,
            replicas: 3,
        }
    }
}

/// Why what was recorded could not be judged.
#[derive(Debug, Error)]
pub enum JudgeError {
    /// A judged client could not work at all.
    #[error("judged clients could not work: {0}")]
    Client(String),
    /// Owners could not be read.
    #[error("the owners' final states could not be read: {0}")]
    Finals(String),
    /// The history does not hang together.
    #[error("the recorded history does not hang together")]
    History(#[from] HistoryError),
}

/// Numbers and records of a run.
#[derive(Debug)]
pub(crate) struct Book {
    /// In every key's name, so that no other run has used it.
    pub(crate) run: String,
    begun: Instant,
    numbers: AtomicU64,
    records: Mutex<Vec<Record>>,
    /// Answers that nobody should be given.
    strange: Mutex<BTreeSet<String>>,
}

impl Book {
    fn new() -> Arc<Book> {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Arc::new(Book {
            run: format!("{:x}", since.as_micros()),
            begun: Instant::now(),
            numbers: AtomicU64::new(1),
            records: Mutex::default(),
            strange: Mutex::default(),
        })
    }

    /// The time of the history.
    pub(crate) fn now(&self) -> Nanos {
        Nanos(u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    pub(crate) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.numbers.load(Ordering::Relaxed) > OPERATIONS_MAX
    }

    pub(crate) fn write(&self, record: Record) {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).push(record);
    }

    pub(crate) fn strange(&self, text: String) {
        let mut strange = self.strange.lock().unwrap_or_else(PoisonError::into_inner);
        if strange.len() < SHOWN_MAX {
            strange.insert(text);
        }
    }
}

/// What a target is, as far as judging goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Promises {
    /// Coterie, or a single server that knows no levels.
    pub(crate) coterie: bool,
    pub(crate) write: Level,
    pub(crate) read: Level,
    pub(crate) bucket: Bucket,
    /// Whether a connection sees what it wrote.
    pub(crate) own_writes: bool,
    /// Whether what it read once stays read.
    pub(crate) monotonic: bool,
}

/// Judged clients at work.
#[derive(Debug)]
pub struct Clients {
    book: Arc<Book>,
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    promises: Result<Promises, String>,
}

/// What they recorded.
#[derive(Debug)]
pub struct Recorded {
    book: Arc<Book>,
    promises: Promises,
}

impl Clients {
    /// Starts them.
    #[must_use]
    pub fn start(
        judging: &Judging,
        target: &Target,
        access: &Access,
        levels: Levels,
        seed: u64,
    ) -> Clients {
        let book = Book::new();
        let over = Arc::new(AtomicBool::new(false));
        let promises = client::promises(judging, target, access, levels);
        let mut threads = Vec::new();
        if let Ok(promises) = &promises {
            let elements = Arc::new(Mutex::default());
            for (number, role) in (0..).zip(roles(judging, promises)) {
                let linearizable = role != Role::Mixed;
                let mut worker = Worker::new(
                    client::Surroundings {
                        book: Arc::clone(&book),
                        over: Arc::clone(&over),
                        elements: Arc::clone(&elements),
                        target: target.clone(),
                        access: access.clone(),
                        levels,
                        promises: *promises,
                        keys: judging.keys.max(1),
                        pause: if linearizable {
                            judging.linearizable_pause
                        } else {
                            judging.pause
                        },
                    },
                    role,
                    number,
                    seed,
                );
                threads.push(std::thread::spawn(move || worker.run()));
            }
        }
        Clients { book, over, threads, promises }
    }

    /// Has them finish what they are at.
    ///
    /// # Errors
    /// If they could not work.
    pub fn stop(mut self) -> Result<Recorded, JudgeError> {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            let ended = thread.join();
            ended.map_err(|_panic| JudgeError::Client("one has panicked".to_owned()))?;
        }
        let promises = self.promises.clone().map_err(JudgeError::Client)?;
        Ok(Recorded { book: Arc::clone(&self.book), promises })
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// What each client does.
fn roles(judging: &Judging, promises: &Promises) -> Vec<Role> {
    let clients = judging.clients.max(1);
    let few = clients.min(3);
    let of = |role, count: u64| std::iter::repeat_n(role, usize::try_from(count).unwrap_or(1));
    match promises.bucket.kind {
        BucketKind::Strong => of(Role::Strong, few).collect(),
        _ if promises.coterie && promises.write == Level::Linearizable => {
            of(Role::Linearizable, few).collect()
        }
        _ if !promises.coterie => of(Role::Mixed, clients - few.min(2))
            .chain(of(Role::Linearizable, few.min(2)))
            .collect(),
        _ => of(Role::Mixed, clients).collect(),
    }
}

/// Judges what was recorded, by what each owner holds now. Owners that have been mended since may need time.
///
/// # Errors
/// If they cannot be read.
pub fn judge(
    recorded: Recorded,
    owners: &dyn Owners,
    target: &Target,
    access: &Access,
    mended: Instant,
) -> Result<Checked, JudgeError> {
    let Recorded { book, promises } = recorded;
    let records = std::mem::take(&mut *book.records.lock().unwrap_or_else(PoisonError::into_inner));
    let operations = outcomes_of(&records);
    let mut checked = Checked { operations, ..Checked::default() };
    let names: Vec<Name> = names_of(&records);
    let mut history = History::new(Limits::default());
    history.push(Record::Bucket(promises.bucket))?;
    let (sessions, operations): (Vec<_>, Vec<_>) =
        records.into_iter().partition(|record| matches!(record, Record::Session(_)));
    for record in sessions.into_iter().chain(operations) {
        history.push(record)?;
    }
    let asked = Question {
        keys: &names,
        bucket: promises.bucket,
        coterie: promises.coterie,
        target,
        access,
        now: &|| book.now(),
        mended,
    };
    let finals = owners.read(&asked).map_err(JudgeError::Finals)?;
    for state in finals.states {
        history.push(Record::Final(state))?;
    }
    checked.finals = finals.how;
    checked.equal_after = finals.equal_after;
    checked.keys = names.len() as u64;
    let mut found = Found::default();
    for name in &names {
        let Some(key) = history.take(BUCKET, name) else { continue };
        found.add(&key);
    }
    checked.checkers = found.checkers();
    checked.violations = found.violations();
    let strange = std::mem::take(&mut *book.strange.lock().unwrap_or_else(PoisonError::into_inner));
    let strange =
        strange.into_iter().map(|text| format!("an answer that nobody should get: {text}"));
    checked.violations.extend(strange);
    checked.violations.truncate(SHOWN_MAX);
    checked.undecided = found.undecided();
    if checked.operations.done == 0 {
        checked.undecided.push("no judged operation was done, so nothing was judged".to_owned());
    }
    Ok(checked)
}

fn outcomes_of(records: &[Record]) -> Outcomes {
    let mut outcomes = Outcomes::default();
    for record in records {
        let Record::Operation(operation) = record else { continue };
        match operation.outcome {
            Outcome::Done { .. } => outcomes.done += 1,
            Outcome::Refused { .. } => outcomes.refused += 1,
            Outcome::Unavailable { .. } => outcomes.unavailable += 1,
            Outcome::Unknown { .. } => outcomes.unknown += 1,
        }
    }
    outcomes
}

fn names_of(records: &[Record]) -> Vec<Name> {
    let name = |record: &Record| match record {
        Record::Operation(operation) => Some(operation.key.clone()),
        _ => None,
    };
    records.iter().filter_map(name).collect::<BTreeSet<_>>().into_iter().collect()
}
