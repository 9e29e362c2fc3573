//! The generator: threads that put a target under load, and measure it.

mod connection;
mod measures;
mod phase;
pub(crate) mod socket;
mod thread;

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Barrier};
use std::thread::JoinHandle;

use crate::report::{Point, rounded};
use crate::schedule::{Nanos, SECOND};
use crate::tally::{Moment, Tally};

pub use phase::Pace;
pub(crate) use phase::{Phase, Task};

use measures::Piece;
use thread::{Report, Thread};

/// What a phase came to.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) tally: Tally,
    pub(crate) points: Vec<Point>,
    /// How long was measured, in seconds: until the last answer.
    pub(crate) seconds: f64,
    pub(crate) connections_lost: u64,
    /// The share of the time that the busiest thread was not waiting.
    pub(crate) busy: f64,
}

/// Runs a phase. What is seen in each stretch of it is shown as soon as all threads have told of it.
///
/// # Errors
/// If a thread could not do its work at all.
pub(crate) fn run(
    phase: &Arc<Phase>,
    threads: u64,
    begun: impl FnOnce(),
    mut show: impl FnMut(&Point),
) -> io::Result<Measured> {
    let threads = threads.clamp(1, phase.connections);
    let (sender, pieces) = channel();
    let count = usize::try_from(threads).unwrap_or(usize::MAX).saturating_add(1);
    let (ready, go) = (Arc::new(Barrier::new(count)), Arc::new(Barrier::new(count)));
    let made: io::Result<Vec<Thread>> = (0..threads)
        .map(|number| Thread::new(Arc::clone(phase), number, threads, sender.clone()))
        .collect();
    drop(sender);
    let handles: Vec<JoinHandle<io::Result<Report>>> = made?
        .into_iter()
        .map(|thread| {
            let (ready, go) = (Arc::clone(&ready), Arc::clone(&go));
            std::thread::spawn(move || thread.run(&ready, &go))
        })
        .collect();
    ready.wait();
    phase.begin.get_or_init(|| phase.now());
    begun();
    go.wait();
    let points = points(&pieces, threads, phase.interval, &mut show);
    let mut measured =
        Measured { tally: Tally::default(), points, seconds: 0.0, connections_lost: 0, busy: 0.0 };
    let mut last: Nanos = 0;
    for handle in handles {
        let report =
            handle.join().map_err(|_panic| io::Error::other("a thread has panicked"))??;
        measured.tally.add(&report.tally);
        measured.connections_lost += report.connections_lost;
        measured.busy = measured.busy.max(report.busy);
        last = last.max(report.last);
    }
    measured.seconds = last.saturating_sub(phase.measured()) as f64 / SECOND as f64;
    end_at(&mut measured.points, measured.seconds);
    Ok(measured)
}

/// Puts together what threads tell of the same stretch, until all are over.
fn points(
    pieces: &Receiver<Piece>,
    threads: u64,
    interval: Nanos,
    show: &mut impl FnMut(&Point),
) -> Vec<Point> {
    let mut told: BTreeMap<u64, u64> = (0..threads).map(|thread| (thread, 0)).collect();
    let mut open: BTreeMap<u64, Moment> = BTreeMap::new();
    let mut points = Vec::new();
    let mut close = |open: &mut BTreeMap<u64, Moment>, until: u64, show: &mut dyn FnMut(&Point)| {
        while let Some(first) = open.first_entry()
            && *first.key() < until
        {
            let (index, moment) = first.remove_entry();
            // Stretches in which nobody had anything to tell are stretches, too.
            while points.len() as u64 <= index {
                let empty = Moment::default();
                let at = points.len() as u64;
                let point = Point::of(at, interval, if at == index { &moment } else { &empty });
                show(&point);
                points.push(point);
            }
        }
    };
    while let Ok(piece) = pieces.recv() {
        open.entry(piece.index).or_default().add(&piece.moment);
        if piece.whole {
            told.insert(piece.thread, piece.index + 1);
            let until = told.values().min().copied().unwrap_or_default();
            close(&mut open, until, show);
        }
    }
    close(&mut open, u64::MAX, &mut |_rest| {});
    points
}

/// The last stretch ends where the run does; a small rest is part of the stretch before.
fn end_at(points: &mut Vec<Point>, seconds: f64) {
    let Some(last) = points.pop() else { return };
    let length = rounded((seconds - last.at).clamp(0.0, last.seconds));
    match points.last_mut() {
        Some(before) if length < last.seconds / 4.0 => {
            before.outcomes.add(&last.outcomes);
            before.max_us = before.max_us.max(last.max_us);
            before.seconds = rounded(before.seconds + length);
        }
        _ => points.push(Point { seconds: length.max(1e-6), ..last }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Outcomes;

    fn point(at: f64, done: u64) -> Point {
        let outcomes = Outcomes { done, ..Outcomes::default() };
        Point { at, seconds: 1.0, outcomes, p50_us: 5.0, p99_us: 9.0, max_us: done as f64 }
    }

    #[test]
    fn the_last_stretch_ends_where_the_run_does() {
        let mut points = vec![point(0.0, 10), point(1.0, 20), point(2.0, 30)];
        end_at(&mut points, 2.5);
        assert_eq!(points[2].rate(), 60.0);
        end_at(&mut points, 2.0625);
        assert_eq!(points.len(), 2, "{points:?}");
        assert_eq!(
            (points[1].outcomes.done, points[1].seconds, points[1].max_us),
            (50, 1.0625, 30.0)
        );
        let mut only = vec![point(0.0, 10)];
        end_at(&mut only, 0.1);
        assert_eq!(only[0].rate().round(), 100.0);
    }
}
