//! Linearizability of a set that only grows, each element added by one operation, in O(n log n).
//!
//! Here every constraint on the order is known: an add comes before the reads that show its element and
//! after those that do not. So reads must form a chain under inclusion, and each operation has a
//! *position*: a read in the chain after as many distinct smaller reads, an add just before the first
//! read that shows it. The history is linearizable exactly if no operation returned before one of a
//! lower position was invoked: within a position, order by invocation does. The three rules that people
//! state follow: reads that are over before others begin are contained in them; adds that are over
//! before a read begins are shown by it; no read shows an add without those that were over before it
//! began.

use std::collections::BTreeMap;

use crate::{
    Action, Cell, Fault, Judged, KeyHistory, Level, Name, Nanos, Part, Verdict, Violation,
};

/// The linearizable history of a set that only grows.
pub(super) struct GrowOnly<'a> {
    adds: BTreeMap<&'a Name, Add>,
    /// By size, then by invocation.
    reads: Vec<Read<'a>>,
}

#[derive(Clone, Copy)]
struct Add {
    at: usize,
    invoked: Nanos,
    returned: Option<Nanos>,
}

struct Read<'a> {
    at: usize,
    invoked: Nanos,
    returned: Nanos,
    /// Sorted.
    elements: Vec<&'a Name>,
}

/// An operation in its place.
#[derive(Clone, Copy)]
struct Placed<'a> {
    at: usize,
    invoked: Nanos,
    returned: Option<Nanos>,
    added: Option<&'a Name>,
}

impl<'a> GrowOnly<'a> {
    /// The history, if it is one: nothing but adds of different elements, and reads of the set.
    pub(super) fn of(key: &'a KeyHistory) -> Option<Self> {
        let mut adds = BTreeMap::new();
        let mut reads = Vec::new();
        for (at, operation) in key.operations.iter().enumerate() {
            let Some(until) = operation.effective_until() else { continue };
            let binding = operation.level == Level::Linearizable && operation.is_done();
            let invoked = operation.invoked;
            match &operation.action {
                Action::Add { element } => {
                    let add = Add { at, invoked, returned: binding.then_some(until) };
                    if adds.insert(element, add).is_some() {
                        return None;
                    }
                }
                Action::Read(Part::Set) if binding => {
                    let (_, view) = operation.shown()?;
                    let mut elements: Vec<&Name> = view.elements.iter().collect();
                    elements.sort_unstable();
                    elements.dedup();
                    reads.push(Read { at, invoked, returned: until, elements });
                }
                Action::Read(_) if !binding => {}
                _ => return None,
            }
        }
        reads.sort_by_key(|read| (read.elements.len(), read.invoked, read.at));
        Some(GrowOnly { adds, reads })
    }

    pub(super) fn check(&self, key: &KeyHistory) -> Verdict {
        let broken = |fault, evidence: &[usize]| {
            Verdict::Broken(Violation::new(key, fault, evidence.iter().copied(), []))
        };
        // By position: first the adds that a read is the first to show, then all equal reads.
        let mut positions: Vec<Vec<Placed<'_>>> = Vec::new();
        let mut unseen = self.adds.clone();
        let mut smaller: Option<&Read<'_>> = None;
        let mut claims = 0;
        for read in &self.reads {
            claims += read.elements.len() as u64;
            let placed = Placed {
                at: read.at,
                invoked: read.invoked,
                returned: Some(read.returned),
                added: None,
            };
            match smaller {
                Some(smaller) if smaller.elements == read.elements => {}
                Some(smaller) if !contains(read, smaller) => {
                    return broken(Fault::ReadsDoNotNest, &[smaller.at, read.at]);
                }
                Some(_) | None => {
                    let mut first_shown = Vec::new();
                    for element in &read.elements {
                        if !self.adds.contains_key(element) {
                            let phantom = Fault::Phantom(Cell::Element((*element).clone()));
                            return broken(phantom, &[read.at]);
                        }
                        first_shown.extend(unseen.remove(element).map(|add| place(element, add)));
                    }
                    positions.push(first_shown);
                    positions.push(Vec::new());
                }
            }
            smaller = Some(read);
            positions.last_mut().expect("one was just pushed").push(placed);
        }
        // What is not acknowledged and nobody saw may as well not have happened.
        let acknowledged = unseen.iter().filter(|(_, add)| add.returned.is_some());
        positions.push(acknowledged.map(|(element, add)| place(element, *add)).collect());
        if let Some((lower, higher)) = out_of_order(&positions) {
            let (fault, evidence) = self.explain(lower, higher);
            return broken(fault, &evidence);
        }
        let operations = positions.iter().flatten().filter(|placed| placed.returned.is_some());
        let operations = operations.count() as u64;
        Verdict::Kept(Judged { operations, claims: claims + operations, excused: 0, states: 0 })
    }

    /// What it means that `higher` returned before `lower` was invoked, with a read that places them.
    fn explain(&self, lower: Placed<'_>, higher: Placed<'_>) -> (Fault, Vec<usize>) {
        let evidence = vec![lower.at, higher.at];
        match (lower.added, higher.added) {
            (None, None) => (Fault::ReadsDoNotNest, evidence),
            (None, Some(missed)) => (Fault::AddMissed(Cell::Element(missed.clone())), evidence),
            (Some(early), None) => {
                (Fault::ReadBeforeWritten(Cell::Element(early.clone())), evidence)
            }
            (Some(shown), Some(missed)) => {
                let between = self.reads.iter().find(|read| {
                    let shows = |element| read.elements.binary_search(&element).is_ok();
                    shows(shown) && !shows(missed)
                });
                let evidence = evidence.into_iter().chain(between.map(|read| read.at)).collect();
                (Fault::AddMissed(Cell::Element(missed.clone())), evidence)
            }
        }
    }
}

fn place(element: &Name, add: Add) -> Placed<'_> {
    Placed { at: add.at, invoked: add.invoked, returned: add.returned, added: Some(element) }
}

/// Whether all elements of `smaller` are in `read`; both are sorted.
fn contains(read: &Read<'_>, smaller: &Read<'_>) -> bool {
    let mut elements = read.elements.iter();
    smaller.elements.iter().all(|element| elements.any(|other| other == element))
}

/// An operation and one of a higher position that returned before it was invoked.
fn out_of_order<'a>(positions: &[Vec<Placed<'a>>]) -> Option<(Placed<'a>, Placed<'a>)> {
    let mut latest: Option<Placed<'a>> = None;
    for position in positions {
        for higher in position {
            let (Some(lower), Some(returned)) = (latest, higher.returned) else { continue };
            if returned < lower.invoked {
                return Some((lower, *higher));
            }
        }
        let last = position.iter().chain(&latest).max_by_key(|placed| placed.invoked);
        latest = last.copied();
    }
    None
}
