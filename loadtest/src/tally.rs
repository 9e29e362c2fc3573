//! What has been measured: times in histograms, outcomes in counts.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::kind::Kind;
use crate::outcome::Outcome;
use crate::schedule::{Nanos, SECOND};

/// The longest time that is told apart from longer ones.
const LONGEST: Nanos = 600 * SECOND;

/// Different error texts that are remembered.
const TEXTS_MAX: usize = 20;

/// Times in nanoseconds, to three digits from a microsecond on.
#[derive(Clone, Debug)]
pub struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Times {
        let bounds = Histogram::new_with_bounds(1_000, LONGEST, 3);
        Times(bounds.expect("these bounds are in order"))
    }
}

impl Times {
    /// Takes one in; what is beyond the longest counts as it.
    pub fn record(&mut self, time: Nanos) {
        self.0.saturating_record(time);
    }

    /// Takes in so many of one time.
    pub fn record_many(&mut self, time: Nanos, count: u64) {
        self.0.saturating_record_n(time, count);
    }

    /// Takes in all of another's.
    pub fn add(&mut self, other: &Times) {
        self.0.add(&other.0).expect("all have the same bounds");
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The time that this share of all, in percent, does not exceed; 0 of none.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> Nanos {
        if self.0.is_empty() { 0 } else { self.0.value_at_percentile(percent).min(self.max()) }
    }

    /// The least; 0 of none.
    #[must_use]
    pub fn min(&self) -> Nanos {
        if self.0.is_empty() { 0 } else { self.0.min() }
    }

    /// The greatest, to three digits.
    #[must_use]
    pub fn max(&self) -> Nanos {
        if self.0.is_empty() { 0 } else { self.0.max() }
    }

    /// The mean, in nanoseconds.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.0.mean()
    }

    /// How many are above a time.
    #[must_use]
    pub fn above(&self, time: Nanos) -> u64 {
        self.0.len() - self.0.count_between(0, time)
    }
}

/// Counts by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([u64; Outcome::ALL.len()]);

impl Counts {
    /// One more.
    pub fn count(&mut self, outcome: Outcome) {
        self.0[outcome as usize] += 1;
    }

    /// Those of another, too.
    pub fn add(&mut self, other: &Counts) {
        self.0.iter_mut().zip(other.0).for_each(|(mine, theirs)| *mine += theirs);
    }

    /// How many had this outcome.
    #[must_use]
    pub fn of(&self, outcome: Outcome) -> u64 {
        self.0[outcome as usize]
    }

    /// How many there were.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// Of one kind of operation.
#[derive(Clone, Debug, Default)]
pub struct OfKind {
    /// From the intended start to the answer, of what was done.
    pub latency: Times,
    /// By outcome.
    pub counts: Counts,
    /// Done, and nothing was there.
    pub missing: u64,
}

/// When an operation was meant to begin, was sent, and was over.
#[derive(Clone, Copy, Debug)]
pub struct Course {
    /// When it was meant to begin.
    pub intended: Nanos,
    /// When it could have been sent at the earliest: when its connection had room for it.
    pub possible: Nanos,
    /// When it was sent.
    pub sent: Nanos,
    /// When its answer had come, or none was waited for any more.
    pub over: Nanos,
}

/// All that was measured.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// By kind, of those that came.
    pub kinds: BTreeMap<Kind, OfKind>,
    /// From sending to the answer, of what was done: what a generator shows that waits for answers.
    pub service: Times,
    /// From the intended start to sending, of all: for want of room on the connection.
    pub queue: Times,
    /// The part of it that the generator is to blame for: there was room, and it was late.
    pub lag: Times,
    /// From the intended start to the end, of what was not done.
    pub failed: Times,
    /// Never sent: the run was over before there was room.
    pub unsent: u64,
    /// What servers said of what was not done, with how often each text came.
    pub texts: BTreeMap<String, u64>,
}

impl Tally {
    /// Takes in an operation that is over.
    pub fn record(&mut self, kind: Kind, outcome: Outcome, nothing: bool, course: Course) {
        let of_kind = self.kinds.entry(kind).or_default();
        of_kind.counts.count(outcome);
        let latency = course.over.saturating_sub(course.intended);
        if outcome == Outcome::Done {
            of_kind.latency.record(latency);
            of_kind.missing += u64::from(nothing);
            self.service.record(course.over.saturating_sub(course.sent));
        } else {
            self.failed.record(latency);
        }
        self.queue.record(course.sent.saturating_sub(course.intended));
        self.lag.record(course.sent.saturating_sub(course.possible.max(course.intended)));
    }

    /// Remembers such a text, if there is room for it.
    pub fn note(&mut self, text: &str) {
        let text: String = text.chars().take(200).collect();
        if let Some(count) = self.texts.get_mut(&text) {
            *count += 1;
        } else if self.texts.len() < TEXTS_MAX {
            self.texts.insert(text, 1);
        }
    }

    /// An operation that was meant to begin and was never sent: at the end it had waited this long.
    pub fn unsent(&mut self, waited: Nanos) {
        self.unsent += 1;
        self.failed.record(waited);
        self.queue.record(waited);
    }

    /// Takes in all of another's.
    pub fn add(&mut self, other: &Tally) {
        for (kind, theirs) in &other.kinds {
            let mine = self.kinds.entry(*kind).or_default();
            mine.latency.add(&theirs.latency);
            mine.counts.add(&theirs.counts);
            mine.missing += theirs.missing;
        }
        self.service.add(&other.service);
        self.queue.add(&other.queue);
        self.lag.add(&other.lag);
        self.failed.add(&other.failed);
        self.unsent += other.unsent;
        for (text, count) in &other.texts {
            if self.texts.len() < TEXTS_MAX || self.texts.contains_key(text) {
                *self.texts.entry(text.clone()).or_default() += count;
            }
        }
    }

    /// By outcome, of all kinds.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut all = Counts::default();
        self.kinds.values().for_each(|of_kind| all.add(&of_kind.counts));
        all
    }

    /// From the intended start to the answer, of all that was done.
    #[must_use]
    pub fn latency(&self) -> Times {
        let mut all = Times::default();
        self.kinds.values().for_each(|of_kind| all.add(&of_kind.latency));
        all
    }
}

/// What was over within one stretch of a run.
#[derive(Clone, Debug, Default)]
pub struct Moment {
    /// By outcome.
    pub counts: Counts,
    /// From the intended start to the answer, of what was done.
    pub latency: Times,
}

impl Moment {
    /// Takes in an operation that is over.
    pub fn record(&mut self, outcome: Outcome, latency: Nanos) {
        self.counts.count(outcome);
        if outcome == Outcome::Done {
            self.latency.record(latency);
        }
    }

    /// Takes in all of another's.
    pub fn add(&mut self, other: &Moment) {
        self.counts.add(&other.counts);
        self.latency.add(&other.latency);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn course() -> impl Strategy<Value = Course> {
        (0..SECOND, 0..SECOND, 0..SECOND, 0..SECOND).prop_map(|(intended, wait, queue, service)| {
            let possible = intended + wait;
            let sent = possible + queue;
            Course { intended, possible, sent, over: sent + service }
        })
    }

    proptest! {
        #[test]
        fn parts_add_up_to_the_whole(courses in proptest::collection::vec(course(), 1..40), at: u8) {
            let record = |tally: &mut Tally, courses: &[Course]| {
                for course in courses {
                    tally.record(Kind::Get, Outcome::Done, false, *course);
                }
            };
            let at = usize::from(at) % courses.len();
            let (mut whole, mut parts, mut other) =
                (Tally::default(), Tally::default(), Tally::default());
            record(&mut whole, &courses);
            record(&mut parts, &courses[..at]);
            record(&mut other, &courses[at..]);
            parts.add(&other);
            for percent in [0.0, 50.0, 99.0, 99.9, 100.0] {
                let of = |tally: &Tally| {
                    let lag = tally.lag.percentile(percent);
                    (tally.latency().percentile(percent), tally.service.percentile(percent), lag)
                };
                prop_assert_eq!(of(&whole), of(&parts));
            }
            prop_assert_eq!(whole.counts(), parts.counts());
            // Three digits of the true greatest.
            let greatest = courses.iter().map(|course| course.over - course.intended).max().unwrap();
            let shown = whole.latency().max();
            prop_assert!(shown.abs_diff(greatest) <= 1_000 + greatest / 500, "{} {}", shown, greatest);
        }
    }

    #[test]
    fn what_waits_for_room_is_no_lag_of_the_generator() {
        let mut tally = Tally::default();
        let course =
            Course { intended: 0, possible: SECOND, sent: SECOND + 2_000_000, over: 2 * SECOND };
        tally.record(Kind::Get, Outcome::Done, false, course);
        assert!(tally.queue.max() > SECOND);
        assert!(tally.lag.max() < 3_000_000);
        assert!(tally.lag.above(1_000_000) == 1 && tally.lag.above(5_000_000) == 0);
    }

    #[test]
    fn memory_for_error_texts_is_bounded() {
        let mut tally = Tally::default();
        for number in 0..1_000 {
            tally.note(&format!("{number} {}", "x".repeat(1_000)));
        }
        assert_eq!(tally.texts.len(), TEXTS_MAX);
        assert!(tally.texts.keys().all(|text| text.len() <= 200));
    }
}
