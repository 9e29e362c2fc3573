//! A second load, by several clients of two nodes, while a third is killed: what was acknowledged, and what not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use redis::{Connection, RedisResult};

use crate::harness::until;
use crate::packages::{Contents, Package, Words};
use crate::{stock, tell};

/// Clients of each node.
const CLIENTS: usize = 2;

/// Packages of one pipeline.
const AT_ONCE: usize = 20;

/// How long the load may take up to the kill.
const BEFORE: Duration = Duration::from_secs(600);

/// What clients were told.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Packages whose hash was told to bear the mark.
    marked: BTreeSet<String>,
    /// Members that were told to be in a set.
    members: BTreeSet<(String, String)>,
    /// Increments that were acknowledged, and those that may have been done, by counter.
    counters: BTreeMap<String, (u64, u64)>,
    acknowledged: usize,
    /// Errors by their first word.
    errors: BTreeMap<String, usize>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "second load: {} acknowledged, others by error: {:?}",
            self.acknowledged, self.errors
        )
    }
}

/// Whether a write was done; `None` where that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    Yes,
    No,
    Perhaps,
}

impl Outcome {
    /// What a reply says; every error has to say it.
    fn note(&mut self, reply: &RedisResult<redis::Value>) -> Done {
        let Err(error) = reply else {
            self.acknowledged += 1;
            return Done::Yes;
        };
        let code = error.code().unwrap_or_default().to_owned();
        let done = match &code[..] {
            "UNAVAILABLE" | "BUSY" => Done::No,
            "UNKNOWN" => Done::Perhaps,
            _ => panic!("no outcome: {error}"),
        };
        *self.errors.entry(code).or_default() += 1;
        done
    }

    fn take(&mut self, package: &Package, replies: &[RedisResult<redis::Value>]) {
        let [hash, set, counter] = replies else { panic!("{} replies", replies.len()) };
        if self.note(hash) == Done::Yes {
            self.marked.insert(package.name.clone());
        }
        if self.note(set) == Done::Yes {
            self.members.insert((set_of(package), package.name.clone()));
        }
        let done = self.note(counter);
        let counts = self.counters.entry(counter_of(package)).or_default();
        counts.0 += u64::from(done == Done::Yes);
        counts.1 += u64::from(done == Done::Perhaps);
    }

    fn join(&mut self, other: Outcome) {
        self.marked.extend(other.marked);
        self.members.extend(other.members);
        for (counter, (done, perhaps)) in other.counters {
            let counts = self.counters.entry(counter).or_default();
            *counts = (counts.0 + done, counts.1 + perhaps);
        }
        self.acknowledged += other.acknowledged;
        for (code, count) in other.errors {
            *self.errors.entry(code).or_default() += count;
        }
    }

    /// That all that was acknowledged is there, and of counters no more than may be.
    pub(crate) fn assert_held(&self, connection: &mut Connection) {
        let keys: Vec<String> = self.marked.iter().map(|name| format!("package:{name}")).collect();
        let hashes: Vec<BTreeMap<String, String>> = stock::ask(connection, "HGETALL", keys.iter());
        for (key, hash) in keys.iter().zip(&hashes) {
            assert_eq!(hash.get(MARK).map(String::as_str), Some("yes"), "{key}");
        }
        let keys: BTreeSet<String> = self.members.iter().map(|(key, _)| key.clone()).collect();
        let sets: Vec<BTreeSet<String>> = stock::ask(connection, "SMEMBERS", keys.iter());
        let sets: BTreeMap<&String, BTreeSet<String>> = keys.iter().zip(sets).collect();
        for (key, member) in &self.members {
            assert!(sets[key].contains(member), "{member} in {key}");
        }
        let counts: Vec<Option<u64>> = stock::ask(connection, "GET", self.counters.keys());
        for ((key, (done, perhaps)), count) in self.counters.iter().zip(counts) {
            let count = count.unwrap_or(0);
            assert!(
                (*done..=done + perhaps).contains(&count),
                "{key}: {count} of {done} + {perhaps}"
            );
        }
        tell(format_args!("second load: all that was acknowledged is there"));
    }

    /// What the first load left, as it is if hashes bear marks only where that was acknowledged.
    ///
    /// Marks that may be there or not are none of it: those hashes are left out.
    pub(crate) fn merged(&self, mut first: Contents) -> Contents {
        first.hashes.retain(|key, hash| {
            let name = key.strip_prefix("package:").unwrap_or_default();
            hash.insert(MARK.to_owned(), "yes".to_owned());
            self.marked.contains(name)
        });
        first
    }
}

/// The field that the second load adds.
const MARK: &str = "Marked";

fn set_of(package: &Package) -> String {
    format!("second-names:{}", package.section())
}

fn counter_of(package: &Package) -> String {
    format!("second-count:{}", package.section())
}

fn commands(package: &Package) -> [Words; 3] {
    let hash = format!("package:{}", package.name);
    [
        Words::new(["HSET", &hash, MARK, "yes"]),
        Words::new(["SADD", &set_of(package), &package.name]),
        Words::new(["INCR", &counter_of(package)]),
    ]
}

/// Loads again, and kills once a third is done.
pub(crate) fn load(packages: &[Package], doors: &[SocketAddr], kill: impl FnOnce()) -> Outcome {
    let (batches, done) = (packages.len().div_ceil(AT_ONCE), AtomicUsize::new(0));
    let next = AtomicUsize::new(0);
    let outcome = Mutex::new(Outcome::default());
    let failed = AtomicBool::new(false);
    let (next, done, outcome_of_all, failed) = (&next, &done, &outcome, &failed);
    thread::scope(|scope| {
        for door in doors.iter().flat_map(|door| [*door; CLIENTS]) {
            scope.spawn(move || {
                let guard = Failed(failed);
                let mut connection = stock::connect(door);
                let mut own = Outcome::default();
                while let Some(batch) =
                    packages.chunks(AT_ONCE).nth(next.fetch_add(1, Ordering::Relaxed))
                {
                    let words: Vec<Words> = batch.iter().flat_map(commands).collect();
                    let replies = stock::run(&mut connection, &words);
                    for (package, replies) in batch.iter().zip(replies.chunks(3)) {
                        own.take(package, replies);
                    }
                    let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                    if done % batches.div_ceil(10) == 0 {
                        tell(format_args!("second load: {done} of {batches} pipelines"));
                    }
                }
                outcome_of_all.lock().expect("no client has failed").join(own);
                std::mem::forget(guard);
            });
        }
        until("a third of the second load is done", BEFORE, || {
            assert!(!failed.load(Ordering::Relaxed), "a client has failed");
            let done = done.load(Ordering::Relaxed);
            if done * 3 >= batches { Ok(()) } else { Err(format!("{done} of {batches} pipelines")) }
        });
        kill();
    });
    let outcome = outcome.into_inner().expect("no client has failed");
    assert!(outcome.acknowledged > packages.len(), "{outcome}");
    outcome
}

/// Tells that a client has failed, so that nobody waits for it.
struct Failed<'f>(&'f AtomicBool);

impl Drop for Failed<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
