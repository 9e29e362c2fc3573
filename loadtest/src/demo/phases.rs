//! What happens to the cluster, and when: calm, cut, healed, crash, restarted.

use std::time::{Duration, Instant};

use coterie_check::Nanos;
use serde::{Deserialize, Serialize};

use super::book::Book;
use super::converge::Watch;
use super::live::Live;
use super::shop::Calendar;
use super::stage::Stage;
use super::{DemoError, Options, wait};

/// A part of the story.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// All is well.
    Calm,
    /// Two nodes are cut off from three.
    Cut,
    /// The network is whole again.
    Healed,
    /// A node has been killed.
    Crash,
    /// It has been started again.
    Restarted,
}

impl Phase {
    /// All of them, in order.
    pub const ALL: [Phase; 5] =
        [Phase::Calm, Phase::Cut, Phase::Healed, Phase::Crash, Phase::Restarted];

    /// As it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Phase::Calm => "calm",
            Phase::Cut => "cut",
            Phase::Healed => "healed",
            Phase::Crash => "crash",
            Phase::Restarted => "restart",
        }
    }

    /// What is so.
    #[must_use]
    pub fn about(self) -> &'static str {
        match self {
            Phase::Calm => "all five nodes reach each other",
            Phase::Cut => "nodes 0 and 1 are cut off from nodes 2, 3 and 4",
            Phase::Healed => "the network is whole again",
            Phase::Crash => "node 4 was killed with kill -9",
            Phase::Restarted => "node 4 was started again",
        }
    }
}

/// How long phases last at least.
#[derive(Clone, Debug)]
pub(crate) struct Lengths {
    pub(crate) calm: Duration,
    pub(crate) cut: Duration,
    pub(crate) healed: Duration,
    pub(crate) crash: Duration,
    pub(crate) restarted: Duration,
    /// How long a phase goes on after the nodes have noticed.
    pub(crate) after: Duration,
    /// How long their noticing is waited for.
    pub(crate) notice_max: Duration,
    pub(crate) round: Duration,
}

impl Lengths {
    pub(crate) fn of(quick: bool) -> Lengths {
        let second = Duration::from_secs;
        if quick {
            Lengths {
                calm: second(2),
                cut: second(6),
                healed: second(3),
                crash: second(4),
                restarted: second(2),
                after: second(1),
                notice_max: second(10),
                round: Duration::from_millis(1_500),
            }
        } else {
            Lengths {
                calm: second(12),
                cut: second(26),
                healed: second(16),
                crash: second(16),
                restarted: second(12),
                after: second(5),
                notice_max: second(8),
                round: second(3),
            }
        }
    }

    fn of_phase(&self, phase: Phase) -> Duration {
        match phase {
            Phase::Calm => self.calm,
            Phase::Cut => self.cut,
            Phase::Healed => self.healed,
            Phase::Crash => self.crash,
            Phase::Restarted => self.restarted,
        }
    }

    /// The longest that all can take.
    pub(crate) fn total_max(&self) -> Duration {
        let phases = Phase::ALL.into_iter().map(|phase| self.of_phase(phase)).sum::<Duration>();
        phases + (self.notice_max + self.after) * 4
    }
}

/// A phase as it took place, in times of the book.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) phase: Phase,
    /// When what begins it was asked for.
    pub(crate) asked: Nanos,
    /// When it was done.
    pub(crate) from: Nanos,
    /// When the nodes had noticed, if they had.
    pub(crate) noticed: Option<Nanos>,
    /// When the next one was about to begin.
    pub(crate) until: Nanos,
}

/// The phases that took place.
#[derive(Debug)]
pub(crate) struct Clock {
    pub(crate) begun: Nanos,
    pub(crate) spans: Vec<Span>,
}

impl Clock {
    pub(crate) fn new(book: &Book) -> Clock {
        Clock { begun: book.now(), spans: Vec::new() }
    }

    /// In seconds from the opening of the shop.
    pub(crate) fn seconds(&self, at: Nanos) -> f64 {
        at.0.saturating_sub(self.begun.0) as f64 / 1e9
    }

    /// The phase in which something began that was over by then, if it was all within one.
    pub(crate) fn within(&self, invoked: Nanos, returned: Nanos) -> Option<&Span> {
        self.spans.iter().find(|span| span.from <= invoked && returned <= span.until)
    }

    /// The phase in which something began.
    pub(crate) fn phase_of(&self, invoked: Nanos) -> Phase {
        let begun = self.spans.iter().rev().find(|span| span.asked <= invoked);
        begun.map_or(Phase::Calm, |span| span.phase)
    }
}

/// Owners that are watched: of what was written before the network was whole again, and before the node was started again.
#[derive(Debug)]
pub(crate) struct Watches {
    pub(crate) healed: Watch,
    pub(crate) restarted: Watch,
}

/// Has all phases take place.
pub(crate) fn perform(
    options: &Options,
    lengths: &Lengths,
    calendar: &Calendar,
    stage: &mut Stage,
    book: &Book,
    clock: &mut Clock,
    live: &mut Live,
) -> Result<Watches, DemoError> {
    let (mut healed, mut restarted, mut crashed_at) = (None, None, 0);
    for phase in Phase::ALL {
        let asked = book.now();
        match phase {
            Phase::Calm => {}
            Phase::Cut => stage.cut()?,
            Phase::Crash => stage.kill()?,
            Phase::Healed | Phase::Restarted => stage.heal()?,
        }
        let from = book.now();
        clock.spans.push(Span { phase, asked, from, noticed: None, until: Nanos::MAX });
        let round = calendar.round_at(clock.seconds(asked));
        match phase {
            Phase::Calm | Phase::Cut => {}
            Phase::Healed => healed = Some(Watch::start(stage.addresses(), 0..round)),
            Phase::Crash => crashed_at = round,
            Phase::Restarted => {
                restarted = Some(Watch::start(stage.addresses(), crashed_at..round));
            }
        }
        live.begins(phase);
        let began = Instant::now();
        let mut noticed = (phase == Phase::Calm).then_some(Duration::ZERO);
        loop {
            let passed = began.elapsed();
            let enough = match noticed {
                Some(at) => passed >= at + lengths.after,
                None => passed >= lengths.of_phase(phase) + lengths.notice_max,
            };
            if enough && passed >= lengths.of_phase(phase) {
                break;
            }
            if noticed.is_none() {
                let now = match phase {
                    Phase::Calm => true,
                    Phase::Cut => stage.knows_the_cut(),
                    Phase::Crash => stage.knows_the_crash(),
                    Phase::Healed | Phase::Restarted => stage.is_whole()?,
                };
                if now {
                    noticed = Some(began.elapsed());
                    if let Some(span) = clock.spans.last_mut() {
                        span.noticed = Some(book.now());
                    }
                }
            }
            live.tick(phase, clock, book);
            wait(&options.over)?;
        }
        if let Some(span) = clock.spans.last_mut() {
            span.noticed = span.noticed.or_else(|| (phase == Phase::Calm).then_some(span.from));
            span.until = book.now();
        }
    }
    let there = "every phase has taken place";
    Ok(Watches { healed: healed.expect(there), restarted: restarted.expect(there) })
}
