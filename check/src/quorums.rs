//! In strict buckets, reads see what was acknowledged before they began wherever quorums intersect.
//!
//! # What is checked
//! Of every read in a strict bucket at R owners, and every operation acknowledged before it was sent at W
//! owners, with R + W > N:
//! - a cell written is shown, unless something sent before the read returned may have removed it;
//! - a register does not show only values that, as told, the write had replaced, directly or by way of
//!   others;
//! - nothing is shown of which every write it can come from was, as told, observed by such an
//!   operation.
//!
//! Of every read in any bucket: what it shows, somebody had begun to write.
//!
//! Of every acknowledged assignment in a strict bucket of which it is known how many owners were to show what they have: what was
//! assigned and acknowledged before it, at intersecting quorums, is in no owner's final state. So an assignment replaces what
//! came before it, also where reads show only the later of two values.
//!
//! Regional levels are counted for what they are at the least ([`crate::Level::owners_min`]).
//!
//! # Cost
//! O(reads × cells of the key), and for registers O(reads × assignments × length of chains of them); O(live values × assignments).
//!
//! # What it does not see
//! Stale registers and removals where clients are not told dots; stale counters, which have a checker
//! of their own.

use crate::claims::{Claims, Misread, is_read, test};
use crate::index::Index;
use crate::{BucketKind, Cell, Fault, Judged, KeyHistory, Level, Operation, Verdict, Violation};

/// Judges a key's reads by the quorums that they and earlier writes had.
#[must_use]
pub fn check(key: &KeyHistory) -> Verdict {
    let index = Index::new(key);
    let mut claims = Claims::default();
    let mut reads = 0;
    for (at, read) in key.operations.iter().enumerate().filter(|(_, o)| is_read(&o.action)) {
        let intersects = |write: &Operation| quorums_intersect(key, read.level, write);
        reads += u64::from(read.is_done());
        if let Err(misread) = test(&index, at, intersects, &mut claims) {
            let (fault, evidence) = match misread {
                Misread::Missed(cell, evidence) => (Fault::StaleRead(cell), evidence),
                Misread::Shown(cell, evidence) => (Fault::ShownAfterRemoval(cell), evidence),
                Misread::Phantom(cell) => (Fault::Phantom(cell), vec![at]),
            };
            return Verdict::Broken(Violation::new(key, fault, evidence, []));
        }
    }
    if let Err(violation) = test_replaced(key, &index, &mut claims) {
        return Verdict::Broken(violation);
    }
    let (claims, excused) = (claims.tested, claims.excused);
    Verdict::Kept(Judged { operations: reads, claims, excused, states: 0 })
}

/// What an assignment had to replace is live nowhere in the end.
fn test_replaced(
    key: &KeyHistory,
    index: &Index<'_>,
    claims: &mut Claims,
) -> Result<(), Box<Violation>> {
    let Some(assignments) = index.cell(&Cell::Register) else { return Ok(()) };
    let done = |at: &usize| index.operation(*at).is_done();
    for state in &key.finals {
        let registers = state.cells.iter().filter(|live| live.cell == Cell::Register);
        let dots = registers.filter_map(|live| live.dots.as_deref()).flatten();
        for live in dots.filter_map(|dot| index.minter(*dot)).filter(done) {
            claims.tested += 1;
            let replaces = |at: &usize| {
                let (earlier, later) = (index.operation(live), index.operation(*at));
                let shown = later.observes.is_some_and(|of| quorums_intersect(key, of, earlier));
                done(at) && earlier.precedes(later) && shown
            };
            if let Some(by) = assignments.writers.iter().copied().find(replaces) {
                let fault = Fault::Resurrected(Cell::Register);
                return Err(Violation::at_the_end(key, fault, [live, by], [state]));
            }
        }
    }
    Ok(())
}

/// Whether every set of owners that acknowledged the one meets every set that answered the other.
fn quorums_intersect(key: &KeyHistory, read: Level, write: &Operation) -> bool {
    let replicas = key.bucket.replicas;
    let owners = read.owners_min(replicas).saturating_add(write.level.owners_min(replicas));
    key.bucket.kind == BucketKind::Strict && owners > replicas
}
