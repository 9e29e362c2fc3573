//! Waiting for a condition, up to a deadline, and telling how far a test is.

use std::io::Write;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const EVERY: Duration = Duration::from_millis(25);

/// Waits until something is so.
///
/// # Panics
/// If it is not within the time.
#[track_caller]
pub(crate) fn until(what: &str, within: Duration, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    let (_nobody, never) = mpsc::channel::<()>();
    while !condition() {
        assert!(began.elapsed() < within, "{within:?} have passed, waiting for {what}");
        assert!(never.recv_timeout(EVERY).is_err(), "nobody says anything");
    }
}

/// Tells people how far a test is: also where what tests print is kept back until they fail.
pub(crate) fn tell(progress: impl std::fmt::Display) {
    // Nobody need listen.
    drop(writeln!(std::io::stderr(), "{progress}"));
}
