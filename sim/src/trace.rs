//! What happened, as one hash, and as lines where somebody wants to read it.

use std::collections::VecDeque;
use std::fmt::{Arguments, Debug, Formatter, Result as FmtResult};
use std::hash::{Hash, Hasher};
use std::time::Duration;

use xxhash_rust::xxh3::Xxh3;

/// The trace of a run.
pub struct Trace {
    hash: Box<Xxh3>,
    lines: VecDeque<String>,
    lines_max: usize,
}

impl Debug for Trace {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        write!(f, "Trace({:016x})", self.digest())
    }
}

impl Trace {
    /// A trace that keeps the last `lines_max` lines.
    #[must_use]
    pub fn new(lines_max: usize) -> Self {
        Trace { hash: Box::new(Xxh3::new()), lines: VecDeque::new(), lines_max }
    }

    /// Takes in what happened, by what tells it from other things.
    pub fn hash(&mut self, at: Duration, what: impl Hash) {
        at.hash(&mut *self.hash);
        what.hash(&mut *self.hash);
    }

    /// Notes a line for readers; those who write it need not ask whether anybody reads.
    pub fn line(&mut self, at: Duration, what: Arguments<'_>) {
        if self.lines_max == 0 {
            return;
        }
        if self.lines.len() == self.lines_max {
            self.lines.pop_front();
        }
        self.lines.push_back(format!("{:>12.6} {what}", at.as_secs_f64()));
    }

    /// The hash of all that happened so far: equal runs have equal ones.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.hash.finish()
    }

    /// The lines kept.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }
}
