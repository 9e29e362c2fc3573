//! What a thread of the generator measures, and hands over piece by piece.

use std::sync::mpsc::Sender;

use crate::kind::Kind;
use crate::outcome::Outcome;
use crate::schedule::Nanos;
use crate::tally::{Course, Moment, Tally};

use super::phase::Phase;

/// What one thread has seen in one stretch of time.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) thread: u64,
    /// The stretch, from the beginning of what is measured.
    pub(crate) index: u64,
    /// Whether the stretch is over; if not, the thread is.
    pub(crate) whole: bool,
    pub(crate) moment: Moment,
}

#[derive(Debug)]
pub(crate) struct Measures {
    pub(crate) tally: Tally,
    /// Connections that were lost while it was measured.
    pub(crate) connections_lost: u64,
    /// When the last operation that is measured was over.
    pub(crate) last: Nanos,
    thread: u64,
    index: u64,
    moment: Moment,
    pieces: Sender<Piece>,
}

impl Measures {
    pub(crate) fn new(thread: u64, pieces: Sender<Piece>) -> Measures {
        let (tally, moment) = (Tally::default(), Moment::default());
        Measures { tally, connections_lost: 0, last: 0, thread, index: 0, moment, pieces }
    }

    pub(crate) fn record(
        &mut self,
        phase: &Phase,
        kind: Kind,
        outcome: Outcome,
        nothing: bool,
        course: Course,
    ) {
        self.turn(phase, course.over);
        if course.intended < phase.measured() {
            return;
        }
        self.last = self.last.max(course.over);
        self.tally.record(kind, outcome, nothing, course);
        self.moment.record(outcome, course.over.saturating_sub(course.intended));
    }

    /// An operation that was meant to begin at `start` and never did.
    pub(crate) fn unsent(&mut self, phase: &Phase, start: Nanos, now: Nanos) {
        if start >= phase.measured() {
            self.tally.unsent(now.saturating_sub(start));
        }
    }

    pub(crate) fn lost(&mut self, phase: &Phase, endpoint: &str, why: &str, now: Nanos) {
        if now >= phase.measured() {
            self.connections_lost += 1;
        }
        self.tally.note(&format!("connection to {endpoint}: {why}"));
    }

    /// Hands over the stretches that are over by now.
    pub(crate) fn turn(&mut self, phase: &Phase, now: Nanos) {
        let index = now.saturating_sub(phase.measured()) / phase.interval;
        if index > self.index {
            self.hand_over(true);
            self.index = index;
        }
    }

    /// At the end of everything: what there is of the last stretch.
    pub(crate) fn finish(&mut self) {
        self.hand_over(false);
    }

    fn hand_over(&mut self, whole: bool) {
        let moment = std::mem::take(&mut self.moment);
        let piece = Piece { thread: self.thread, index: self.index, whole, moment };
        // Nobody takes it any more only if the run has failed elsewhere.
        drop(self.pieces.send(piece));
    }
}
