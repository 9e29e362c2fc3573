//! Historical bugs, switched on one by one, and the seeds that catch them.

use coterie_crdt::mutants::{Mutant as Value, with_mutant as with_value};
use coterie_protocol::mutants::{Mutant as Decision, with_mutant as with_decision};

use crate::options::Options;
use crate::profile::Profile;
use crate::report::Report;
use crate::run::run;

/// A bug in what values are, or in what nodes decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Of `crdt`.
    Value(Value),
    /// Of `protocol`.
    Decision(Decision),
}

/// A seed that catches a bug.
#[derive(Clone, Debug)]
pub struct Catch {
    /// Which, and it holds without the bug.
    pub seed: u64,
    /// The first thing that was wrong with it.
    pub violation: String,
}

impl Bug {
    /// All of them.
    #[must_use]
    pub fn all() -> Vec<Bug> {
        let decisions = Decision::ALL.into_iter().map(Bug::Decision);
        decisions.chain(Value::ALL.into_iter().map(Bug::Value)).collect()
    }

    /// Runs a seed with the bug.
    #[must_use]
    pub fn run(self, options: &Options) -> Report {
        match self {
            Bug::Value(mutant) => with_value(mutant, || run(options, 0)),
            Bug::Decision(mutant) => with_decision(mutant, || run(options, 0)),
        }
    }

    /// The first of `seeds` of a profile in which something is wrong with the bug, and nothing without.
    pub fn caught(self, profile: Profile, seeds: impl IntoIterator<Item = u64>) -> Option<Catch> {
        seeds.into_iter().find_map(|seed| {
            let options = profile.options(seed);
            let violation = self.run(&options).violations.into_iter().next()?;
            let holds = run(&options, 0).violations.is_empty();
            holds.then_some(Catch { seed, violation })
        })
    }

    /// The profile under which it is looked for.
    #[must_use]
    pub fn profile(self) -> Profile {
        match self {
            Bug::Decision(Decision::ReadWithWriteBack | Decision::ExpiredExecuted) => Profile::Hot,
            Bug::Decision(Decision::XorLeaf) => Profile::Twins,
            Bug::Decision(
                Decision::CountedHintDropped
                | Decision::FallbackActorKept
                | Decision::PurgeWithHints
                | Decision::StaleHintRenamed,
            ) => Profile::Island,
            Bug::Decision(Decision::DotReuseAfterReacquisition | Decision::PushToFormerCopy) => {
                Profile::Forgetting
            }
            Bug::Decision(Decision::ActorsSurviveLoss | Decision::PushBeforeFence) => {
                Profile::Power
            }
            Bug::Value(Value::ContextClaimedTooEarly | Value::DotSpansCells) => Profile::Large,
            Bug::Value(Value::SettleUncovered | Value::DropWithoutTallies) => Profile::Forgetting,
            Bug::Decision(_) | Bug::Value(_) => Profile::Mixed,
        }
    }
}
