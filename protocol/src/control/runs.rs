//! The runs that this storage has seen, and what shows that it lacks what one of them acknowledged (invariant 2).
//!
//! Peers remember acknowledgements by run. What the present one acknowledges a peer may have heard before it is asked, so
//! that is no loss. A loss is made good once: what is known of the earlier runs then counts no more.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes};
use coterie_ring::NodeId;
use coterie_wire::Run;
use coterie_wire::peer::control::Heard;

use super::effects::ControlEffects;
use super::report::{AmnesiaCause, Report};
use super::rows::{self, OpenError};
use crate::rows::{Batch, Rows, address};

/// Earlier runs kept of either kind. Peers remember fewer, but perhaps older ones: a node may start often without
/// being heard by all.
const RUNS_MAX: usize = 1_024;

/// This process, and those before it on this storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Runs {
    present: Run,
    /// Those of which all that they acknowledged should be here, the first one first.
    whole: Vec<Run>,
    /// Those that ended before a loss that this node knows of.
    given_up: Vec<Run>,
}

impl Runs {
    /// The runs that the storage has seen, and `present`, which begins.
    ///
    /// A row that cannot be read is as none: then what any peer has heard of shows a loss.
    pub(super) fn load(
        rows: &impl Rows,
        present: Run,
        effects: &mut ControlEffects,
    ) -> Result<Runs, OpenError> {
        let stored = match rows::get(rows, rows::RUNS) {
            Ok(None) => return Ok(Runs { present, whole: Vec::new(), given_up: Vec::new() }),
            Ok(Some(body)) => decode(body),
            Err(OpenError::Damaged { .. }) => None,
            Err(error) => return Err(error),
        };
        let (whole, given_up) = stored.unwrap_or_else(|| {
            effects.report(Report::RowDropped { row: address::node_row(rows::RUNS) });
            (Vec::new(), Vec::new())
        });
        Ok(Runs { present, whole, given_up })
    }

    /// Written before anything is acknowledged in the present run, and whenever something is given up.
    pub(super) fn store(&self, batch: &mut Batch) {
        let count = self.whole.len() + 1;
        let count = u16::try_from(count).expect("at most RUNS_MAX and the present one");
        let mut body = count.to_be_bytes().to_vec();
        let runs = self.whole.iter().chain([&self.present]).chain(&self.given_up);
        runs.for_each(|run| body.put_u64(run.0));
        rows::put(batch, address::node_row(rows::RUNS), &body);
    }

    /// This process.
    pub(super) fn present(&self) -> Run {
        self.present
    }

    /// What a peer has heard and this storage lacks, which had `recovered` of each lane when the present run began.
    ///
    /// A run that it has not seen shows that it went back in time: it came after one that it has seen, or all that the
    /// peer remembers did.
    pub(super) fn lost(
        &self,
        by: NodeId,
        heard: &[Heard],
        recovered: &BTreeMap<u16, u64>,
    ) -> Option<AmnesiaCause> {
        let earlier = || heard.iter().filter(|heard| heard.run != self.present);
        let is_known =
            |heard: &Heard| self.whole.contains(&heard.run) || self.given_up.contains(&heard.run);
        let first_known = earlier().position(is_known).unwrap_or(0);
        for heard in earlier().skip(first_known) {
            if !is_known(heard) {
                return Some(AmnesiaCause::Superseded { by });
            }
            for (lane, remembered) in &heard.commits {
                let (lane, remembered) = (*lane, *remembered);
                let recovered = recovered.get(&lane).copied().unwrap_or(0);
                if remembered > recovered && self.whole.contains(&heard.run) {
                    return Some(AmnesiaCause::Told { by, lane, remembered, recovered });
                }
            }
        }
        None
    }

    /// What the earlier runs acknowledged, and those that a peer has `heard` of, is lost as far as it is not here.
    pub(super) fn give_up(&mut self, heard: &[Heard]) {
        let heard = heard.iter().map(|heard| heard.run).filter(|run| *run != self.present);
        for run in std::mem::take(&mut self.whole).into_iter().chain(heard) {
            if !self.given_up.contains(&run) {
                self.given_up.push(run);
            }
        }
        let excess = self.given_up.len().saturating_sub(RUNS_MAX);
        self.given_up.drain(..excess);
    }
}

/// Whole runs, and given up ones.
fn decode(mut body: Bytes) -> Option<(Vec<Run>, Vec<Run>)> {
    let count = usize::from(body.try_get_u16().ok()?);
    if !body.len().is_multiple_of(8) {
        return None;
    }
    let mut whole: Vec<Run> = Vec::new();
    while let Ok(run) = body.try_get_u64() {
        whole.push(Run(run));
    }
    if count > whole.len() {
        return None;
    }
    let given_up = whole.split_off(count);
    let excess = whole.len().saturating_sub(RUNS_MAX);
    whole.drain(..excess);
    (given_up.len() <= RUNS_MAX).then_some((whole, given_up))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{MemoryStore, Store};

    const PEER: NodeId = NodeId(9);

    fn heard(commits: &[(u64, u64)]) -> Vec<Heard> {
        let heard =
            |(run, number): &(u64, u64)| Heard { run: Run(*run), commits: vec![(0, *number)] };
        commits.iter().map(heard).collect()
    }

    fn runs(whole: &[u64], given_up: &[u64], present: u64) -> Runs {
        let of = |runs: &[u64]| runs.iter().copied().map(Run).collect();
        Runs { present: Run(present), whole: of(whole), given_up: of(given_up) }
    }

    /// What is lost of a storage that has 5 commits.
    fn lost(runs: &Runs, commits: &[(u64, u64)]) -> Option<AmnesiaCause> {
        runs.lost(PEER, &heard(commits), &BTreeMap::from([(0, 5)]))
    }

    #[test]
    fn a_commit_of_an_earlier_run_that_is_not_here_is_lost() {
        let runs = runs(&[1, 2], &[], 3);
        assert_eq!(lost(&runs, &[]), None);
        assert_eq!(lost(&runs, &[(1, 4), (2, 5)]), None);
        let told = AmnesiaCause::Told { by: PEER, lane: 0, remembered: 6, recovered: 5 };
        assert_eq!(lost(&runs, &[(1, 6)]), Some(told));
        assert_eq!(lost(&runs, &[(1, 4), (2, 6)]), Some(told));
    }

    #[test]
    fn what_the_present_run_acknowledged_is_no_loss() {
        let runs = runs(&[1], &[], 3);
        assert_eq!(lost(&runs, &[(1, 5), (3, 900)]), None);
        assert_eq!(lost(&runs, &[(3, 900)]), None);
    }

    #[test]
    fn a_run_that_the_storage_has_not_seen_shows_that_it_went_back() {
        let superseded = Some(AmnesiaCause::Superseded { by: PEER });
        assert_eq!(lost(&runs(&[1], &[], 3), &[(1, 5), (2, 1)]), superseded);
        assert_eq!(lost(&runs(&[1], &[], 3), &[(2, 1), (3, 1)]), superseded);
        // One that came before what it has seen was on a storage that is gone, which it knew when it began.
        assert_eq!(lost(&runs(&[1], &[], 3), &[(2, 900), (1, 5)]), None);
    }

    #[test]
    fn a_loss_counts_once() {
        let mut runs = runs(&[1], &[], 3);
        let told = [(1, 6), (2, 9)];
        assert!(lost(&runs, &told).is_some());
        runs.give_up(&heard(&told));
        assert_eq!(lost(&runs, &told), None);
        assert!(lost(&runs, &[(1, 6), (4, 9)]).is_some());
    }

    #[test]
    fn runs_are_found_again_and_the_last_are_kept() {
        let mut store = MemoryStore::new();
        let mut effects = ControlEffects::new();
        let mut start = |run: u64, given_up: &[(u64, u64)]| {
            let mut runs = Runs::load(&store, Run(run), &mut effects).unwrap();
            if !given_up.is_empty() {
                runs.give_up(&heard(given_up));
            }
            let mut batch = Batch::new();
            runs.store(&mut batch);
            store.commit(&batch).unwrap();
            runs
        };
        for run in 0..50 {
            start(run, &[]);
        }
        start(50, &[(9_000, 1)]);
        let runs = start(51, &[]);
        assert_eq!(runs.whole, [Run(50)]);
        assert_eq!(runs.given_up, (0..50).chain([9_000]).map(Run).collect::<Vec<_>>());
        for run in 52..2_000 {
            start(run, &[]);
        }
        assert_eq!(start(2_000, &[]).whole, (976..2_000).map(Run).collect::<Vec<_>>());
    }
}
