//! Sessions read their own writes, and what they have read stays read.
//!
//! # What is checked
//! Of sessions that read their writes: what the [quorum checker](crate::quorums) says of intersecting
//! quorums, of the session's own operations, at every level.
//! Of sessions with monotonic reads, and a read that was over before another of them began:
//! - a cell that the first shows, the second shows too, unless every write of which the first can have
//!   seen it may have been removed before the second returned;
//! - a cell written but once does not come back after it was shown and then absent;
//! - a register does not go back to only values which, as told, one shown by the first had replaced;
//! - a counter that nothing lowers does not shrink.
//!
//! # Cost
//! O(reads × cells of the key); for registers O(values read² × length of chains).
//!
//! # What it does not see
//! Monotonic writes and writes-follow-reads: deltas claim only their own dots and may arrive in any
//! order, so nobody is promised them. Other keys: a session's promises are per key.

use std::collections::BTreeMap;

use crate::claims::{Claims, Misread, is_read, reads, shows, sorted_elements, test};
use crate::index::Index;
use crate::{
    Action, Cell, Fault, Judged, KeyHistory, Name, Nanos, Part, SessionId, Verdict, Violation,
};

/// Judges a key by what each session was promised.
#[must_use]
pub fn check(key: &KeyHistory) -> Verdict {
    let index = Index::new(key);
    let mut claims = Claims::default();
    let mut by_session: BTreeMap<SessionId, Vec<usize>> = BTreeMap::new();
    for (at, operation) in key.operations.iter().enumerate() {
        if is_read(&operation.action) && operation.is_done() {
            by_session.entry(operation.session).or_default().push(at);
        }
    }
    let mut operations = 0;
    for (session, reads) in &by_session {
        let promised = key.sessions[session];
        let mut checked = Ok(());
        if promised.read_your_writes {
            operations += reads.len() as u64;
            checked = own_writes(key, &index, *session, reads, &mut claims);
        }
        if promised.monotonic_reads && checked.is_ok() {
            operations += reads.len() as u64;
            checked = monotonic(key, &index, reads, &mut claims);
        }
        if let Err(violation) = checked {
            return Verdict::Broken(violation);
        }
    }
    let (claims, excused) = (claims.tested, claims.excused);
    Verdict::Kept(Judged { operations, claims, excused, states: 0 })
}

fn own_writes(
    key: &KeyHistory,
    index: &Index<'_>,
    session: SessionId,
    reads: &[usize],
    claims: &mut Claims,
) -> Result<(), Box<Violation>> {
    for &at in reads {
        let tested = test(index, at, |write| write.session == session, claims);
        let (fault, evidence) = match tested {
            Ok(()) => continue,
            Err(Misread::Missed(cell, evidence)) => (Fault::OwnWriteMissed(cell), evidence),
            Err(Misread::Shown(cell, evidence)) => (Fault::OwnRemovalMissed(cell), evidence),
            Err(Misread::Phantom(cell)) => (Fault::Phantom(cell), vec![at]),
        };
        return Err(Violation::new(key, fault, evidence, []));
    }
    Ok(())
}

/// The first reads of a session, by return, that showed a cell and then that missed it again.
#[derive(Default)]
struct Seen {
    shown: Option<usize>,
    missed_after: Option<usize>,
}

/// What a session has read so far. Reads are looked at by return; the earliest say the most, because
/// fewer writes can explain them.
struct Monotonic<'a> {
    key: &'a KeyHistory,
    index: &'a Index<'a>,
    seen: BTreeMap<&'a Cell, Seen>,
    values: BTreeMap<&'a Name, usize>,
    /// The counter's greatest values: each read that showed more than all that returned before it.
    counter: Vec<(Nanos, i64, usize)>,
}

fn monotonic(
    key: &KeyHistory,
    index: &Index<'_>,
    reads: &[usize],
    claims: &mut Claims,
) -> Result<(), Box<Violation>> {
    let mut by_return = reads.to_vec();
    by_return.sort_by_key(|&at| index.operation(at).effective_until());
    let (seen, values, counter) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    let mut session = Monotonic { key, index, seen, values, counter };
    let grows = key.operations.iter().filter(|o| o.is_possible()).all(|o| match o.action {
        Action::Increment { by } => by >= 0,
        Action::Delete => false,
        _ => true,
    });
    for at in by_return {
        session.cells(at, claims)?;
        session.register(at, claims)?;
        if grows {
            session.counter(at, claims)?;
        }
    }
    Ok(())
}

impl<'a> Monotonic<'a> {
    fn broken(&self, fault: Fault, evidence: &[usize]) -> Result<(), Box<Violation>> {
        Err(Violation::new(self.key, fault, evidence.iter().copied(), []))
    }

    fn precedes(&self, one: usize, other: usize) -> bool {
        self.index.operation(one).precedes(self.index.operation(other))
    }

    fn cells(&mut self, at: usize, claims: &mut Claims) -> Result<(), Box<Violation>> {
        let index: &'a Index<'a> = self.index;
        let read = index.operation(at);
        let Some((part, view)) = read.shown() else { return Ok(()) };
        let elements = sorted_elements(view);
        for (cell, writes) in index.cells().filter(|(cell, _)| reads(part, cell)) {
            let seen = self.seen.entry(cell).or_default();
            let shown_before = seen.shown.filter(|&shown| index.operation(shown).precedes(read));
            if shows(view, &elements, cell) {
                let missed = seen.missed_after.filter(|&m| index.operation(m).precedes(read));
                seen.shown.get_or_insert(at);
                let once = writes.writers.len() == 1;
                if let (Some(shown), Some(missed), true) = (seen.shown, missed, once) {
                    let evidence = [shown, missed, at, writes.writers[0]];
                    return self.broken(Fault::NotMonotonic(cell.clone()), &evidence);
                }
            } else if let Some(shown) = shown_before {
                seen.missed_after.get_or_insert(at);
                claims.tested += 1;
                let absent =
                    index.may_be_absent(writes, read.effective_until().unwrap_or(Nanos::MAX));
                let standing = |(&writer, &may_be_absent): (&usize, &bool)| {
                    may_be_absent && !self.precedes(shown, writer)
                };
                if writes.writers.iter().zip(&absent).any(standing) {
                    claims.excused += 1;
                } else {
                    return self.broken(Fault::NotMonotonic(cell.clone()), &[shown, at]);
                }
            }
        }
        Ok(())
    }

    fn register(&mut self, at: usize, claims: &mut Claims) -> Result<(), Box<Violation>> {
        let index: &'a Index<'a> = self.index;
        let Some((_, view)) = index.operation(at).shown() else { return Ok(()) };
        let sources: Vec<usize> =
            view.register.iter().flat_map(|v| index.sources(&Cell::Register, Some(v))).collect();
        for (value, &earlier) in &self.values {
            if sources.is_empty() || !self.precedes(earlier, at) {
                continue;
            }
            let [source] = index.sources(&Cell::Register, Some(value))[..] else { continue };
            claims.tested += 1;
            if sources.iter().all(|&now| now != source && index.replaced(now, source)) {
                let evidence = [earlier, at, source, sources[0]];
                return self.broken(Fault::NotMonotonic(Cell::Register), &evidence);
            }
        }
        for value in &view.register {
            self.values.entry(value).or_insert(at);
        }
        Ok(())
    }

    fn counter(&mut self, at: usize, claims: &mut Claims) -> Result<(), Box<Violation>> {
        let read = self.index.operation(at);
        let Some((Part::Counter | Part::Whole, view)) = read.shown() else { return Ok(()) };
        let before = self.counter.partition_point(|(returned, ..)| *returned < read.invoked);
        if let Some((_, greatest, earlier)) = before.checked_sub(1).map(|last| self.counter[last]) {
            claims.tested += 1;
            if view.counter < greatest {
                return self.broken(Fault::CounterNotMonotonic, &[earlier, at]);
            }
        }
        if self.counter.last().is_none_or(|(_, greatest, _)| *greatest < view.counter) {
            let returned = read.effective_until().unwrap_or(Nanos::MAX);
            self.counter.push((returned, view.counter, at));
        }
        Ok(())
    }
}
