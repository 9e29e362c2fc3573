//! What a run of the load test says in the end, as data; written as JSON, and as a page.

pub mod page;
pub mod plot;
pub(crate) mod style;

use serde::{Deserialize, Serialize};

use crate::distribution::Distribution;
use crate::kind::Kind;
use crate::level::Levels;
use crate::load::Pace;
use crate::outcome::Outcome;
use crate::schedule::{Nanos, SECOND};
use crate::tally::{Counts, Moment, Tally, Times};

/// The version of the JSON.
pub const VERSION: u32 = 1;

/// Percentiles that curves are drawn through.
const CURVE: [f64; 20] = [
    0.0, 10.0, 25.0, 50.0, 75.0, 80.0, 85.0, 90.0, 92.5, 95.0, 97.0, 98.0, 99.0, 99.5, 99.7, 99.9,
    99.95, 99.99, 99.999, 100.0,
];

/// The whole report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`VERSION`].
    pub coterie_loadtest: u32,
    /// The command's arguments, as given.
    pub arguments: Vec<String>,
    /// When it began, in milliseconds since 1970.
    pub started_unix_ms: u64,
    /// Processors of the generator's machine, which it may share with the servers.
    pub processors: usize,
    /// What was asked for.
    pub workload: Asked,
    /// Each phase against each target, in the order in which they ran.
    pub runs: Vec<Run>,
}

/// What was asked for, of every target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// The mix, as given.
    pub mix: String,
    /// Its kinds, with weights.
    pub weights: Vec<(Kind, u32)>,
    /// How records are chosen.
    pub distribution: Distribution,
    /// Records of each family at the beginning.
    pub records: u64,
    /// Elements of each key that has some.
    pub elements: u64,
    /// Bytes of a value, at least and at most.
    pub value_bytes: (usize, usize),
    /// Connections of all threads.
    pub connections: u64,
    /// Threads of the generator.
    pub threads: u64,
    /// Requests under way on a connection at most.
    pub pipeline: usize,
    /// What operations were drawn from.
    pub seed: u64,
}

/// Which phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseName {
    /// Records are written.
    Load,
    /// Operations of the mix.
    Run,
}

/// One phase against one target at one level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The target's name.
    pub target: String,
    /// Its addresses.
    pub endpoints: Vec<String>,
    /// Levels asked for.
    pub levels: Levels,
    /// Which phase.
    pub phase: PhaseName,
    /// When operations began.
    pub pace: Pace,
    /// How long was measured, in seconds, up to the last answer.
    pub seconds: f64,
    /// Done in a second, on average.
    pub rate: f64,
    /// How many had each outcome.
    pub outcomes: Outcomes,
    /// Operations of an open loop that were never sent: no room came up for them until the end.
    pub unsent: u64,
    /// Connections that were lost.
    pub connections_lost: u64,
    /// From the intended start to the answer, of what was done.
    pub latency: Summary,
    /// From sending to the answer, of what was done: what a generator shows that waits for answers.
    pub service: Summary,
    /// From the intended start to sending: waiting within the generator for room on a connection.
    pub queue: Summary,
    /// The part of it that is the generator's own fault: there was room, and it was late.
    pub lag: Summary,
    /// From the intended start to the end, of what was not done; what was never sent counts until the end.
    pub failed: Summary,
    /// The share of time that the generator's busiest thread was not waiting, from 0 to 1.
    pub generator_busy: f64,
    /// Whether somebody ended it before its time.
    #[serde(default)]
    pub ended_early: bool,
    /// Why this run says nothing, if so.
    pub void: Option<String>,
    /// By kind of operation.
    pub kinds: Vec<OfKind>,
    /// In time.
    pub series: Vec<Point>,
    /// What was broken meanwhile.
    pub faults: Vec<Mark>,
    /// What servers said of what was not done, by kind of operation, with how often each text came; a few of them.
    pub errors: Vec<(String, u64)>,
    /// What the checkers say, if they were asked.
    pub check: Option<Checked>,
}

/// Counts by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "they are the names of outcomes")]
pub struct Outcomes {
    pub done: u64,
    pub refused: u64,
    pub unavailable: u64,
    pub unknown: u64,
    pub error: u64,
}

impl Outcomes {
    /// Those that were counted.
    #[must_use]
    pub fn of(counts: &Counts) -> Outcomes {
        Outcomes {
            done: counts.of(Outcome::Done),
            refused: counts.of(Outcome::Refused),
            unavailable: counts.of(Outcome::Unavailable),
            unknown: counts.of(Outcome::Unknown),
            error: counts.of(Outcome::Error),
        }
    }

    /// Those of others, too.
    pub fn add(&mut self, other: &Outcomes) {
        self.done += other.done;
        self.refused += other.refused;
        self.unavailable += other.unavailable;
        self.unknown += other.unknown;
        self.error += other.error;
    }

    /// How many had one of them.
    #[must_use]
    pub fn get(&self, outcome: Outcome) -> u64 {
        match outcome {
            Outcome::Done => self.done,
            Outcome::Refused => self.refused,
            Outcome::Unavailable => self.unavailable,
            Outcome::Unknown => self.unknown,
            Outcome::Error => self.error,
        }
    }

    /// How many were not done.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.refused + self.unavailable + self.unknown + self.error
    }
}

/// Times, in microseconds, exact to three digits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Summary {
    pub count: u64,
    pub min_us: f64,
    pub mean_us: f64,
    pub p50_us: f64,
    pub p90_us: f64,
    pub p95_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub p9999_us: f64,
    pub max_us: f64,
    /// Pairs of percent and time.
    pub curve: Vec<(f64, f64)>,
}

impl Summary {
    /// Of some times.
    #[must_use]
    pub fn of(times: &Times) -> Summary {
        let at = |percent| micros(times.percentile(percent));
        let curve: Vec<(f64, f64)> = if times.count() == 0 {
            Vec::new()
        } else {
            CURVE.iter().map(|percent| (*percent, at(*percent))).collect()
        };
        Summary {
            count: times.count(),
            min_us: micros(times.min()),
            mean_us: rounded(times.mean() / 1_000.0),
            p50_us: at(50.0),
            p90_us: at(90.0),
            p95_us: at(95.0),
            p99_us: at(99.0),
            p999_us: at(99.9),
            p9999_us: at(99.99),
            max_us: micros(times.max()),
            curve,
        }
    }
}

/// To six decimal places: more are noise, and as text they come back as they were.
pub(crate) fn rounded(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

fn micros(nanos: Nanos) -> f64 {
    nanos as f64 / 1_000.0
}

/// Of one kind of operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfKind {
    /// Which.
    pub kind: Kind,
    /// How many had each outcome.
    pub outcomes: Outcomes,
    /// Done, and nothing was there.
    pub missing: u64,
    /// From the intended start to the answer, of what was done.
    pub latency: Summary,
}

/// What was over within one stretch of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The beginning of the stretch, in seconds after the beginning of what is measured.
    pub at: f64,
    /// Its length in seconds.
    pub seconds: f64,
    /// How many had each outcome.
    pub outcomes: Outcomes,
    /// Percentiles of latencies, in microseconds; 0 where nothing was done.
    pub p50_us: f64,
    /// Likewise.
    pub p99_us: f64,
    /// The greatest latency.
    pub max_us: f64,
}

impl Point {
    /// The stretch number `index`.
    #[must_use]
    pub fn of(index: u64, interval: Nanos, moment: &Moment) -> Point {
        let seconds = interval as f64 / SECOND as f64;
        Point {
            at: rounded(index as f64 * seconds),
            seconds: rounded(seconds),
            outcomes: Outcomes::of(&moment.counts),
            p50_us: micros(moment.latency.percentile(50.0)),
            p99_us: micros(moment.latency.percentile(99.0)),
            max_us: micros(moment.latency.max()),
        }
    }

    /// Done in a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.outcomes.done as f64 / self.seconds
    }
}

/// Something that was done to the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// When, in seconds after the beginning of what is measured.
    pub at: f64,
    /// What.
    pub what: String,
    /// How it failed, if so.
    pub failed: Option<String>,
}

/// What the checkers say of judged operations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Checked {
    /// Keys judged.
    pub keys: u64,
    /// Operations recorded, by outcome.
    pub operations: Outcomes,
    /// By checker: what it rests on.
    pub checkers: Vec<OfChecker>,
    /// How owners' final states were read.
    pub finals: String,
    /// From the end of the load until all owners were equal, in seconds, where that was awaited.
    pub equal_after: Option<f64>,
    /// Promises broken, each with what shows it.
    pub violations: Vec<String>,
    /// What could not be decided.
    pub undecided: Vec<String>,
}

/// What a checker's verdict rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfChecker {
    /// Its name.
    pub checker: String,
    /// What it looks for.
    pub promise: String,
    /// Acknowledged operations that were judged.
    pub operations: u64,
    /// Claims tested.
    pub claims: u64,
    /// Claims that could not be made, because something of unknown outcome may explain what is there.
    pub excused: u64,
}

/// What a report amounts to; the worst of its runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Measured, and every promise that was judged is kept.
    Good,
    /// The checkers could not decide.
    Undecided,
    /// The generator lagged: a run says nothing.
    Void,
    /// A promise is broken.
    Broken,
}

impl Report {
    /// The worst that is to be said of any of its runs.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.runs.iter().map(Run::verdict).max().unwrap_or(Verdict::Good)
    }

    /// As JSON.
    ///
    /// # Panics
    /// Never: everything in it has a place in JSON.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("there are only texts, numbers and lists")
    }
}

impl Run {
    /// What is to be said of it.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let checked = self.check.as_ref();
        if checked.is_some_and(|checked| !checked.violations.is_empty()) {
            Verdict::Broken
        } else if self.void.is_some() {
            Verdict::Void
        } else if checked.is_some_and(|checked| !checked.undecided.is_empty()) {
            Verdict::Undecided
        } else {
            Verdict::Good
        }
    }

    /// As it is called beside others.
    #[must_use]
    pub fn title(&self) -> String {
        match (self.phase, self.levels) {
            (PhaseName::Load, _) => format!("{}, load", self.target),
            (PhaseName::Run, Levels::Default) => self.target.clone(),
            (PhaseName::Run, levels) => format!("{}, {levels}", self.target),
        }
    }

    /// Fills in what was tallied.
    pub(crate) fn measure(&mut self, tally: &Tally, seconds: f64) {
        self.seconds = rounded(seconds);
        self.outcomes = Outcomes::of(&tally.counts());
        let rate = if seconds > 0.0 { self.outcomes.done as f64 / seconds } else { 0.0 };
        self.rate = rounded(rate);
        self.unsent = tally.unsent;
        self.latency = Summary::of(&tally.latency());
        self.service = Summary::of(&tally.service);
        self.queue = Summary::of(&tally.queue);
        self.lag = Summary::of(&tally.lag);
        self.failed = Summary::of(&tally.failed);
        let kinds = tally.kinds.iter().map(|(kind, of_kind)| OfKind {
            kind: *kind,
            outcomes: Outcomes::of(&of_kind.counts),
            missing: of_kind.missing,
            latency: Summary::of(&of_kind.latency),
        });
        self.kinds = kinds.collect();
        self.errors = tally.texts.iter().map(|(text, count)| (text.clone(), *count)).collect();
    }
}
