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
//! Regional levels are counted for what they are at the least ([`crate::Level::owners_min`]).
//!
//! # Cost
//! O(reads × cells of the key), and for registers O(reads × assignments × length of chains of them).
//!
//! # What it does not see
//! Stale registers and removals where clients are not told dots; stale counters, which have a checker
//! of their own.

use crate::claims::{Claims, Misread, is_read, test};
use crate::index::Index;
use crate::{BucketKind, Fault, Judged, KeyHistory, Operation, Verdict, Violation};

/// Judges a key's reads by the quorums that they and earlier writes had.
#[must_use]
pub fn check(key: &KeyHistory) -> Verdict {
    let index = Index::new(key);
    let mut claims = Claims::default();
    let mut reads = 0;
    for (at, read) in key.operations.iter().enumerate().filter(|(_, o)| is_read(&o.action)) {
        let intersects = |write: &Operation| quorums_intersect(key, read, write);
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
    let (claims, excused) = (claims.tested, claims.excused);
    Verdict::Kept(Judged { operations: reads, claims, excused, states: 0 })
}

/// Whether every set of owners that acknowledged the one meets every set that answered the other.
fn quorums_intersect(key: &KeyHistory, read: &Operation, write: &Operation) -> bool {
    let replicas = key.bucket.replicas;
    let owners = read.level.owners_min(replicas).saturating_add(write.level.owners_min(replicas));
    key.bucket.kind == BucketKind::Strict && owners > replicas
}
