//! The least of a history that no order explains.
//!
//! What is left out leaves a proof: the end of a history, where what was under way becomes unknown; all
//! that concerns one element, as what remains is the history of the others; a read; the beginning, up to a
//! moment at which nothing was under way, if the rest is wrong whatever the object held then.

use super::search::{Found, search};
use super::{Specification, Timed};
use crate::Nanos;

/// The most searches that shrinking makes.
const SEARCHES_MAX: u32 = 300;

/// The most beginnings that are tried to be cut off.
const CUTS_MAX: usize = 100;

/// A part of `calls`, which no order explains, that no order explains either. All searches together
/// visit at most about `states_max` states; where that is too little the part is larger.
pub(super) fn shrink<S: Specification>(
    specification: &S,
    calls: Vec<Timed<S::Call>>,
    states_max: u64,
) -> Vec<Timed<S::Call>> {
    let mut shrinking = Shrinking { specification, states_left: states_max, searches: 0, calls };
    shrinking.cut_end();
    shrinking.leave_out(specification.parts(), |calls, left_out| {
        let part = |call: &Timed<S::Call>| {
            let projected = specification.project(&call.call, &|part| left_out.contains(&part))?;
            Some(Timed { call: projected, ..call.clone() })
        };
        calls.iter().filter_map(part).collect()
    });
    let reads: Vec<usize> =
        shrinking.calls.iter().filter(|c| specification.is_read(&c.call)).map(|c| c.at).collect();
    shrinking.leave_out(reads.len(), |calls, left_out| {
        let kept = |call: &&Timed<S::Call>| !left_out.clone().any(|read| reads[read] == call.at);
        calls.iter().filter(kept).cloned().collect()
    });
    shrinking.cut_beginning();
    shrinking.calls
}

struct Shrinking<'a, S: Specification> {
    specification: &'a S,
    states_left: u64,
    searches: u32,
    /// Explained by no order.
    calls: Vec<Timed<S::Call>>,
}

impl<S: Specification> Shrinking<'_, S> {
    fn is_wrong(&mut self, calls: &[Timed<S::Call>]) -> bool {
        self.searches += 1;
        let start = self.specification.initial();
        self.is_wrong_from(start, calls)
    }

    fn is_wrong_from(&mut self, start: S::State, calls: &[Timed<S::Call>]) -> bool {
        let (wrong, states) = match search(self.specification, calls, start, self.states_left) {
            Found::NoOrder { states } => (true, states),
            Found::Order { states } | Found::GaveUp { states } => (false, states),
        };
        self.states_left = self.states_left.saturating_sub(states);
        wrong
    }

    /// Cuts the history after the first return at which it is wrong.
    fn cut_end(&mut self) {
        let mut ends: Vec<Nanos> = self.calls.iter().filter_map(|call| call.returned).collect();
        ends.sort_unstable();
        let (mut right, mut wrong) = (0, ends.len());
        while right < wrong {
            let middle = right.midpoint(wrong);
            let cut = self.until(ends[middle]);
            if self.is_wrong(&cut) {
                wrong = middle;
            } else {
                right = middle + 1;
            }
        }
        if let Some(&end) = ends.get(wrong) {
            self.calls = self.until(end);
        }
    }

    /// Cuts the history before the last moment at which nothing was under way and from which on it is
    /// wrong, whatever the object held then.
    fn cut_beginning(&mut self) {
        let mut calls = self.calls.clone();
        calls.sort_by_key(|call| (call.invoked, call.at));
        let mut quiet = Vec::new();
        let mut busy_until = None;
        for call in calls.iter().filter(|call| call.returned.is_some()) {
            if busy_until.is_some_and(|until| until < call.invoked) {
                quiet.push(call.invoked);
            }
            busy_until = busy_until.max(call.returned);
        }
        for from in quiet.into_iter().rev().take(CUTS_MAX) {
            // What is unknown may take effect after the cut.
            let after = calls.iter().filter(|c| c.returned.is_none() || c.invoked >= from);
            let after: Vec<Timed<S::Call>> = after.cloned().collect();
            let starts = self.specification.starts(&after);
            let any = !starts.is_empty();
            if any && starts.into_iter().all(|start| self.is_wrong_from(start, &after)) {
                self.calls = after;
                return;
            }
        }
    }

    /// What is known of the calls at a time.
    fn until(&self, end: Nanos) -> Vec<Timed<S::Call>> {
        let begun = self.calls.iter().filter(|call| call.invoked <= end);
        let known = |call: &Timed<S::Call>| {
            if call.returned.is_some_and(|returned| returned <= end) {
                return Some(call.clone());
            }
            let unanswered = self.specification.unanswered(&call.call)?;
            Some(Timed { call: unanswered, returned: None, ..call.clone() })
        };
        begun.filter_map(known).collect()
    }

    /// Leaves out parts, in ever smaller groups, while the rest stays wrong.
    fn leave_out(
        &mut self,
        parts: usize,
        without: impl Fn(&[Timed<S::Call>], std::ops::Range<usize>) -> Vec<Timed<S::Call>>,
    ) {
        let mut group = parts;
        while group > 0 {
            let mut start = 0;
            while start < parts && self.searches < SEARCHES_MAX {
                let rest = without(&self.calls, start..(start + group).min(parts));
                if rest.len() < self.calls.len() && self.is_wrong(&rest) {
                    self.calls = rest;
                }
                start += group;
            }
            group /= 2;
        }
    }
}
