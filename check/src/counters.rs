//! Counters show at least what was acknowledged, and at most that and what is unknown.
//!
//! # What is checked
//! By interval arithmetic, so with increments and decrements in any mix. Of a final state: increments
//! are *counted* if they were acknowledged and no delete of the key was under way or to come when they
//! were sent; they are *possible* if they are counted, unknown, or may have been deleted; those that
//! an acknowledged delete said it observed are neither. The sum shown is at least that of the counted
//! positive and all possible negative amounts, and at most that of the counted negative and all
//! possible positive ones.
//! Of a read: counted are increments acknowledged before it was sent, at levels whose owners intersect
//! with the read's in a strict bucket or by the same session if that reads its own writes, unless a
//! delete sent before the read returned may have observed them; possible are all that were sent before
//! it returned.
//!
//! # Cost
//! O(n log n) for each level at which the counter is read and each session that reads its own writes.
//!
//! # What it does not see
//! Errors within the interval: of two unknown increments by 5, a sum that is 3 above the acknowledged.
//! Lists of observed dots only exclude: a delete takes back increments that it does not list, too.

use std::collections::BTreeMap;

use crate::{
    Action, BucketKind, Fault, Judged, KeyHistory, Nanos, Operation, Part, Verdict, Violation,
    lost::missing_finals,
};

/// The most increments that a violation lists.
const EVIDENCE_MAX: usize = 16;

/// Judges a key's counter, by all its reads and by the owners' final states.
///
/// Undecided if final states of some owners are missing.
#[must_use]
pub fn check(key: &KeyHistory) -> Verdict {
    if key.bucket.kind == BucketKind::Strong {
        return Verdict::Kept(Judged::default());
    }
    let counter = Counter::new(key);
    let done = counter.increments.iter().filter(|i| i.operation.is_done());
    let mut judged = Judged { operations: done.count() as u64, ..Judged::default() };
    let checked = counter.finals(&mut judged).and_then(|()| counter.reads(&mut judged));
    match (checked, missing_finals(key)) {
        (Err(violation), _) => Verdict::Broken(violation),
        (Ok(()), Some(undecided)) => Verdict::Undecided(undecided),
        (Ok(()), None) => Verdict::Kept(judged),
    }
}

/// A possible increment.
struct Increment<'a> {
    at: usize,
    operation: &'a Operation,
    by: i128,
    /// When the first delete was sent that may have observed it.
    deletable_from: Option<Nanos>,
    /// An acknowledged delete said that it observed it.
    deleted: bool,
}

/// A read of the counter.
struct Read<'a> {
    at: usize,
    operation: &'a Operation,
    returned: Nanos,
    shown: i128,
}

struct Counter<'a> {
    key: &'a KeyHistory,
    increments: Vec<Increment<'a>>,
    /// By return.
    reads: Vec<Read<'a>>,
}

impl<'a> Counter<'a> {
    fn new(key: &'a KeyHistory) -> Self {
        let index = crate::index::Index::new(key);
        let deletable_from = deletable_from(key);
        let mut increments = Vec::new();
        let mut reads = Vec::new();
        for (at, operation) in key.operations.iter().enumerate() {
            match (&operation.action, operation.effective_until()) {
                (Action::Increment { by }, Some(_)) => increments.push(Increment {
                    at,
                    operation,
                    by: i128::from(*by),
                    deletable_from: deletable_from(operation.invoked),
                    deleted: index
                        .done_observers(at)
                        .any(|observer| matches!(index.operation(observer).action, Action::Delete)),
                }),
                (Action::Read(Part::Counter | Part::Whole), Some(returned)) => {
                    if let Some((_, view)) = operation.shown() {
                        let shown = i128::from(view.counter);
                        reads.push(Read { at, operation, returned, shown });
                    }
                }
                _ => {}
            }
        }
        reads.sort_by_key(|read| read.returned);
        Counter { key, increments, reads }
    }

    fn finals(&self, judged: &mut Judged) -> Result<(), Box<Violation>> {
        let standing = || self.increments.iter().filter(|increment| !increment.deleted);
        let counted = |i: &&Increment<'_>| i.operation.is_done() && i.deletable_from.is_none();
        let bounds = bounds(
            &sums(standing().filter(counted).map(|i| i.by)),
            &sums(standing().map(|increment| increment.by)),
        );
        for state in &self.key.finals {
            judged.claims += 1;
            let shown = i128::from(state.counter);
            if shown < bounds.0 || shown > bounds.1 {
                let fault = out_of(bounds, shown);
                let evidence = self.increments.iter().map(|i| i.at).take(EVIDENCE_MAX);
                return Err(Violation::at_the_end(self.key, fault, evidence, [state]));
            }
        }
        Ok(())
    }

    fn reads(&self, judged: &mut Judged) -> Result<(), Box<Violation>> {
        let replicas = self.key.bucket.replicas;
        let mut by_level: BTreeMap<u32, Vec<&Read<'_>>> = BTreeMap::new();
        let mut by_session = BTreeMap::new();
        for read in &self.reads {
            let asked = match self.key.bucket.kind {
                BucketKind::Strict => read.operation.level.owners_min(replicas),
                BucketKind::Sloppy | BucketKind::Strong => 0,
            };
            by_level.entry(asked).or_default().push(read);
            let session = read.operation.session;
            if self.key.sessions[&session].read_your_writes {
                by_session.entry(session).or_insert_with(Vec::new).push(read);
            }
        }
        for (asked, reads) in by_level {
            let intersects = |write: &Operation| {
                asked > 0 && asked.saturating_add(write.level.owners_min(replicas)) > replicas
            };
            self.reads_within(&reads, intersects, judged)?;
        }
        for (session, reads) in by_session {
            self.reads_within(&reads, |write| write.session == session, judged)?;
        }
        Ok(())
    }

    /// Judges reads, in order of return, that must see the increments which `binding` picks.
    fn reads_within(
        &self,
        reads: &[&Read<'_>],
        binding: impl Fn(&Operation) -> bool,
        judged: &mut Judged,
    ) -> Result<(), Box<Violation>> {
        // Counted increments by return, so that those before a read are a prefix.
        let mut counted: Vec<&Increment<'_>> = self
            .increments
            .iter()
            .filter(|i| i.operation.is_done() && binding(i.operation))
            .collect();
        counted.sort_by_key(|increment| increment.operation.effective_until());
        let mut tree = SumTree::new(counted.len());
        for (rank, increment) in counted.iter().enumerate() {
            tree.add(rank, sums([increment.by]));
        }
        let mut deletable: Vec<(Nanos, usize)> = (counted.iter().enumerate())
            .filter_map(|(rank, increment)| Some((increment.deletable_from?, rank)))
            .collect();
        deletable.sort_unstable();
        let mut deletable = deletable.into_iter().peekable();
        let mut sent = self.increments.iter().peekable();
        let mut possible = Sums::default();
        for read in reads {
            while let Some(increment) = sent.next_if(|i| i.operation.invoked <= read.returned) {
                possible.add(sums([increment.by]));
            }
            while let Some((_, rank)) = deletable.next_if(|(from, _)| *from <= read.returned) {
                tree.add(rank, sums([-counted[rank].by]).swapped());
            }
            let before = counted.partition_point(|i| i.operation.precedes(read.operation));
            let bounds = bounds(&tree.prefix(before), &possible);
            judged.claims += 1;
            if read.shown < bounds.0 || read.shown > bounds.1 {
                let increments = counted[..before].iter().rev().take(EVIDENCE_MAX).map(|i| i.at);
                let fault = out_of(bounds, read.shown);
                return Err(Violation::new(self.key, fault, increments.chain([read.at]), []));
            }
        }
        Ok(())
    }
}

/// When the first delete was sent that may have observed what was sent at a time: one that was not over
/// by then.
fn deletable_from(key: &KeyHistory) -> impl Fn(Nanos) -> Option<Nanos> {
    let deletes = key.operations.iter().filter(|o| matches!(o.action, Action::Delete));
    let mut deletes: Vec<(Nanos, Nanos)> =
        deletes.filter_map(|o| Some((o.effective_until()?, o.invoked))).collect();
    deletes.sort_unstable();
    // From the last backwards, so that each entry has the first delete of those not over before it.
    let mut first = Nanos::MAX;
    for (_, invoked) in deletes.iter_mut().rev() {
        first = first.min(*invoked);
        *invoked = first;
    }
    move |sent| {
        let not_over = deletes.partition_point(|(until, _)| *until < sent);
        deletes.get(not_over).map(|(_, first)| *first)
    }
}

/// The sums of positive and of negative amounts.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    positive: i128,
    negative: i128,
}

impl Sums {
    fn add(&mut self, other: Sums) {
        self.positive += other.positive;
        self.negative += other.negative;
    }

    /// Of amounts to be taken away, whose signs were turned.
    fn swapped(self) -> Sums {
        Sums { positive: self.negative, negative: self.positive }
    }
}

fn sums(amounts: impl IntoIterator<Item = i128>) -> Sums {
    let mut sums = Sums::default();
    for amount in amounts {
        sums.add(Sums { positive: amount.max(0), negative: amount.min(0) });
    }
    sums
}

fn bounds(counted: &Sums, possible: &Sums) -> (i128, i128) {
    (counted.positive + possible.negative, counted.negative + possible.positive)
}

fn out_of((least, most): (i128, i128), shown: i128) -> Fault {
    Fault::CounterOutOfBounds { shown, least, most }
}

/// Sums of prefixes that may change (Fenwick 1994).
struct SumTree(Vec<Sums>);

impl SumTree {
    fn new(len: usize) -> Self {
        SumTree(vec![Sums::default(); len + 1])
    }

    fn add(&mut self, rank: usize, sums: Sums) {
        let mut node = rank + 1;
        while let Some(sum) = self.0.get_mut(node) {
            sum.add(sums);
            node += node & node.wrapping_neg();
        }
    }

    /// Of the first `len`.
    fn prefix(&self, len: usize) -> Sums {
        let mut sums = Sums::default();
        let mut node = len;
        while node > 0 {
            sums.add(self.0[node]);
            node -= node & node.wrapping_neg();
        }
        sums
    }
}
