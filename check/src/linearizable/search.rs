//! The search for an order that explains a history.
//!
//! Source: Wing and Gong 1993, with the memory of Lowe 2017: a set of calls that was tried, together with
//! the state it led to, is not tried again. Deviations: reads that fit are taken at once, as taking them
//! later would change nothing; calls of unknown outcome are tried only where they change the state;
//! sets are kept as bits from the first call that is not among them, so memory follows concurrency and
//! not length.

use std::hash::Hasher;

use hashbrown::HashTable;
use xxhash_rust::xxh3::Xxh3Default;

use super::{Specification, Timed};
use crate::Nanos;

/// What a search found.
pub(super) enum Found {
    /// An order that explains the answers.
    Order {
        /// States visited.
        states: u64,
    },
    /// That there is none.
    NoOrder {
        /// States visited.
        states: u64,
    },
    /// Nothing, within its budget.
    GaveUp {
        /// States visited.
        states: u64,
    },
}

/// Looks for an order of the calls, beginning in `state`, in which each follows those that returned before it was invoked,
/// and the specification answers as they do. Calls that did not return may be left out.
pub(super) fn search<S: Specification>(
    specification: &S,
    calls: &[Timed<S::Call>],
    state: S::State,
    states_max: u64,
) -> Found {
    // Calls that returned come first, by invocation, so that those taken are nearly a prefix.
    let mut sorted: Vec<&Timed<S::Call>> = calls.iter().collect();
    sorted.sort_by_key(|call| (call.returned.is_none(), call.invoked, call.at));
    let returned = sorted.partition_point(|call| call.returned.is_some());
    let mut search = Search {
        specification,
        returned,
        remaining: returned,
        timeline: Timeline::new(&sorted),
        taken: vec![0; sorted.len().div_ceil(64) + 1],
        calls: sorted,
        state,
        path: Vec::new(),
        tried: Tried::default(),
    };
    search.run(states_max)
}

struct Search<'a, S: Specification> {
    specification: &'a S,
    calls: Vec<&'a Timed<S::Call>>,
    /// How many of the calls returned; they come first.
    returned: usize,
    /// How many of those are not taken.
    remaining: usize,
    timeline: Timeline,
    /// A bit for each call.
    taken: Vec<u64>,
    state: S::State,
    path: Vec<Step<S::State>>,
    tried: Tried,
}

struct Step<S> {
    call: usize,
    before: S,
    /// Taken without a choice, so there is no other to go back to.
    forced: bool,
}

impl<S: Specification> Search<'_, S> {
    fn run(&mut self, states_max: u64) -> Found {
        let mut words = Vec::new();
        self.take_reads();
        let mut event = self.timeline.first();
        while self.remaining > 0 {
            let Some(call) = self.timeline.invocation(event) else {
                // Something returns here that has not been taken: an earlier choice was wrong.
                match self.undo() {
                    Some(after) => event = after,
                    None => return Found::NoOrder { states: self.tried.count() },
                }
                continue;
            };
            let Some(next) = self.useful(call) else {
                event = self.timeline.after(event);
                continue;
            };
            self.take(call, next, false);
            self.take_reads();
            self.encode(&mut words);
            if self.tried.insert(&words) {
                if self.tried.count() > states_max {
                    return Found::GaveUp { states: self.tried.count() };
                }
                event = self.timeline.first();
            } else {
                event = self.undo().expect("a choice was just made");
            }
        }
        Found::Order { states: self.tried.count() }
    }

    /// The state after a call, if it fits and there is a point in taking it.
    fn useful(&self, call: usize) -> Option<S::State> {
        let next = self.specification.step(&self.state, &self.calls[call].call)?;
        (call < self.returned || next != self.state).then_some(next)
    }

    fn take(&mut self, call: usize, next: S::State, forced: bool) {
        self.timeline.lift(call);
        self.taken[call / 64] |= 1 << (call % 64);
        self.remaining -= usize::from(call < self.returned);
        let before = std::mem::replace(&mut self.state, next);
        self.path.push(Step { call, before, forced });
    }

    /// Takes all reads that fit the state and may come next.
    fn take_reads(&mut self) {
        let mut event = self.timeline.first();
        while let Some(call) = self.timeline.invocation(event) {
            event = self.timeline.after(event);
            let read = self.specification.is_read(&self.calls[call].call);
            let fits = |search: &Self| {
                search.specification.step(&search.state, &search.calls[call].call).is_some()
            };
            if read && fits(self) {
                self.take(call, self.state.clone(), true);
                // What returned was in the way of others.
                event = self.timeline.first();
            }
        }
    }

    /// Takes back the last choice and what followed from it; the event after it, or none if no
    /// choice is left.
    fn undo(&mut self) -> Option<usize> {
        while let Some(step) = self.path.pop() {
            self.timeline.put_back(step.call);
            self.taken[step.call / 64] &= !(1 << (step.call % 64));
            self.remaining += usize::from(step.call < self.returned);
            self.state = step.before;
            if !step.forced {
                return Some(self.timeline.after_invocation(step.call));
            }
        }
        None
    }

    /// The calls taken and the state, as words.
    fn encode(&self, words: &mut Vec<u64>) {
        words.clear();
        let full = self.taken.iter().take_while(|&&word| word == u64::MAX).count();
        let end = self.taken.iter().rposition(|&word| word != 0).map_or(full, |last| last + 1);
        let between = &self.taken[full.min(end)..end];
        words.extend([full as u64, between.len() as u64]);
        words.extend(between);
        self.specification.encode(&self.state, words);
    }
}

/// Invocations and returns in order of time, as a list from which calls are lifted and to which they are
/// put back in reverse order. Event 0 is the head, the last is the end.
struct Timeline {
    next: Vec<usize>,
    previous: Vec<usize>,
    /// The call invoked at each event.
    invoked: Vec<Option<usize>>,
    /// Each call's events.
    events: Vec<(usize, Option<usize>)>,
}

impl Timeline {
    fn new<C>(calls: &[&Timed<C>]) -> Self {
        // In one nanosecond, invocations come before returns: such calls count as concurrent.
        let mut order: Vec<(Nanos, bool, usize)> = Vec::with_capacity(2 * calls.len());
        for (index, call) in calls.iter().enumerate() {
            order.push((call.invoked, false, index));
            order.extend(call.returned.map(|returned| (returned, true, index)));
        }
        order.sort_unstable();
        let count = order.len() + 2;
        let mut events = vec![(0, None); calls.len()];
        let mut invoked = vec![None; count];
        for (place, &(_, is_return, call)) in order.iter().enumerate() {
            let event = place + 1;
            if is_return {
                events[call].1 = Some(event);
            } else {
                events[call].0 = event;
                invoked[event] = Some(call);
            }
        }
        let next = (1..=count).collect();
        let previous = (0..count).map(|event: usize| event.saturating_sub(1)).collect();
        Timeline { next, previous, invoked, events }
    }

    fn first(&self) -> usize {
        self.next[0]
    }

    fn after(&self, event: usize) -> usize {
        self.next[event]
    }

    fn after_invocation(&self, call: usize) -> usize {
        self.next[self.events[call].0]
    }

    /// The call invoked at the event; none at a return and at the end.
    fn invocation(&self, event: usize) -> Option<usize> {
        self.invoked[event]
    }

    fn lift(&mut self, call: usize) {
        let (invoked, returned) = self.events[call];
        for event in [Some(invoked), returned].into_iter().flatten() {
            let (previous, next) = (self.previous[event], self.next[event]);
            self.next[previous] = next;
            self.previous[next] = previous;
        }
    }

    fn put_back(&mut self, call: usize) {
        let (invoked, returned) = self.events[call];
        for event in [returned, Some(invoked)].into_iter().flatten() {
            let (previous, next) = (self.previous[event], self.next[event]);
            self.next[previous] = event;
            self.previous[next] = event;
        }
    }
}

/// What was tried, exactly: a hash alone could call a history wrong that is right.
#[derive(Default)]
struct Tried(HashTable<Box<[u64]>>);

impl Tried {
    /// Whether it is new.
    fn insert(&mut self, words: &[u64]) -> bool {
        match self.0.entry(hash(words), |other| **other == *words, |other| hash(other)) {
            hashbrown::hash_table::Entry::Occupied(_) => false,
            hashbrown::hash_table::Entry::Vacant(vacant) => {
                vacant.insert(words.into());
                true
            }
        }
    }

    fn count(&self) -> u64 {
        self.0.len() as u64
    }
}

fn hash(words: &[u64]) -> u64 {
    let mut hasher = Xxh3Default::new();
    words.iter().for_each(|word| hasher.write_u64(*word));
    hasher.finish()
}
