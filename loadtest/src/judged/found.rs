//! What the checkers find, key by key, in the words of reports.

use coterie_check::linearizable::Budget;
use coterie_check::{Check, Judgement, KeyHistory};

use crate::report::OfChecker;

use super::removed::removed_stays_removed;

/// Violations and open questions that are shown.
pub(crate) const SHOWN_MAX: usize = 10;

/// What was found so far.
#[derive(Debug, Default)]
pub(crate) struct Found {
    judgement: Judgement,
    /// Acknowledged removals that stayed.
    removals: u64,
    /// What came back.
    back: Vec<String>,
}

impl Found {
    /// Has one more key judged by all checkers.
    pub(crate) fn add(&mut self, key: &KeyHistory) {
        match removed_stays_removed(key) {
            Ok(count) => self.removals += count,
            Err(violation) => self.back.push(violation),
        }
        self.judgement.add(key, Budget::default());
    }

    /// What each verdict rests on.
    pub(crate) fn checkers(&self) -> Vec<OfChecker> {
        let of = |check: Check| {
            let judged = self.judgement.judged.get(&check).copied().unwrap_or_default();
            OfChecker {
                checker: format!("{check:?}").to_lowercase(),
                promise: promise(check).to_owned(),
                operations: judged.operations,
                claims: judged.claims,
                excused: judged.excused,
            }
        };
        let removed = OfChecker {
            checker: "removed".to_owned(),
            promise: "what was removed at intersecting quorums stays removed".to_owned(),
            operations: self.removals,
            claims: self.removals,
            excused: 0,
        };
        Check::ALL.into_iter().map(of).chain([removed]).collect()
    }

    /// Promises broken; not too many of them.
    pub(crate) fn violations(&self) -> Vec<String> {
        let broken = self.judgement.violations.iter().map(|(check, it)| format!("{check:?}: {it}"));
        self.back.iter().cloned().chain(broken).take(SHOWN_MAX).collect()
    }

    /// What could not be decided; not too much of it.
    pub(crate) fn undecided(&self) -> Vec<String> {
        let open = self.judgement.undecided.iter();
        let told = open.map(|open| format!("{:?}, key {}: {}", open.check, open.key, open.why));
        told.take(SHOWN_MAX).collect()
    }
}

fn promise(check: Check) -> &'static str {
    match check {
        Check::Lost => "nothing acknowledged is lost, nothing comes from nowhere, owners agree",
        Check::Counters => "counters lie between what was acknowledged and what may have happened",
        Check::Quorums => "reads see what was acknowledged before, where quorums intersect",
        Check::Sessions => "a connection sees what it wrote itself",
        Check::Linearizable => "some order of the linearizable operations explains every answer",
    }
}
