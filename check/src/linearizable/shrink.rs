//! The least of a history that no order explains.
//!
//! What is left out leaves a proof: the end of a history, where what was under way becomes unknown; all
//! that concerns one element, as what remains is the history of the others; a read.

use super::search::{Found, search};
use super::{Specification, Timed};
use crate::Nanos;

/// The most searches that shrinking makes.
const SEARCHES_MAX: u32 = 300;

/// A part of `calls`, which no order explains, that no order explains either.
pub(super) fn shrink<S: Specification>(
    specification: &S,
    calls: Vec<Timed<S::Call>>,
    states_max: u64,
) -> Vec<Timed<S::Call>> {
    let mut shrinking = Shrinking { specification, states_max, searches: 0, calls };
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
    shrinking.calls
}

struct Shrinking<'a, S: Specification> {
    specification: &'a S,
    states_max: u64,
    searches: u32,
    /// Explained by no order.
    calls: Vec<Timed<S::Call>>,
}

impl<S: Specification> Shrinking<'_, S> {
    fn is_wrong(&mut self, calls: &[Timed<S::Call>]) -> bool {
        self.searches += 1;
        matches!(search(self.specification, calls, self.states_max), Found::NoOrder)
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
