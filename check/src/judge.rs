//! All checkers over a history.

use std::collections::BTreeMap;

use crate::linearizable::Budget;
use crate::{BucketId, History, Judged, KeyHistory, Name, Undecided, Verdict, Violation};
use crate::{counters, linearizable, lost, quorums, sessions};

/// The checkers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// [`lost`].
    Lost,
    /// [`counters`].
    Counters,
    /// [`quorums`].
    Quorums,
    /// [`sessions`].
    Sessions,
    /// [`linearizable`].
    Linearizable,
}

impl Check {
    /// All of them.
    pub const ALL: [Check; 5] =
        [Check::Lost, Check::Counters, Check::Quorums, Check::Sessions, Check::Linearizable];

    /// Judges one key.
    #[must_use]
    pub fn check(self, key: &KeyHistory, budget: Budget) -> Verdict {
        match self {
            Check::Lost => lost::check(key),
            Check::Counters => counters::check(key),
            Check::Quorums => quorums::check(key),
            Check::Sessions => sessions::check(key),
            Check::Linearizable => linearizable::check(key, budget),
        }
    }
}

/// What all checkers say of a history.
#[derive(Debug, Default)]
pub struct Judgement {
    /// How much was judged, by checker.
    pub judged: BTreeMap<Check, Judged>,
    /// Promises broken.
    pub violations: Vec<(Check, Violation)>,
    /// What could not be decided.
    pub undecided: Vec<Open>,
}

/// A question left open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Whose question.
    pub check: Check,
    /// The key's bucket.
    pub bucket: BucketId,
    /// The key.
    pub key: Name,
    /// Why it is open.
    pub why: Undecided,
}

impl Judgement {
    /// Whether every checker could judge every key, and found nothing.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty() && self.undecided.is_empty()
    }

    /// Adds what all checkers say of a key.
    pub fn add(&mut self, key: &KeyHistory, budget: Budget) {
        for check in Check::ALL {
            match check.check(key, budget) {
                Verdict::Kept(judged) => *self.judged.entry(check).or_default() += judged,
                Verdict::Broken(violation) => self.violations.push((check, *violation)),
                Verdict::Undecided(why) => {
                    let (bucket, key) = (key.bucket.bucket, key.key.clone());
                    self.undecided.push(Open { check, bucket, key, why });
                }
            }
        }
    }
}

/// Judges all that a history keeps, key by key, and forgets it.
#[must_use]
pub fn judge(history: &mut History, budget: Budget) -> Judgement {
    let mut judgement = Judgement::default();
    let keys: Vec<_> = history.keys().map(|(bucket, key)| (bucket, key.clone())).collect();
    for (bucket, name) in keys {
        if let Some(key) = history.take(bucket, &name) {
            judgement.add(&key, budget);
        }
    }
    judgement
}
