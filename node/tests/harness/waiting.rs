//! Waiting for a condition, with a deadline.

use std::thread::park_timeout;
use std::time::{Duration, Instant};

/// How often conditions are looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Waits until there is what is waited for, and says how long that took.
///
/// # Panics
/// If it is not there in time, with the reason that was given last.
#[track_caller]
pub(crate) fn until<T>(
    what: &str,
    within: Duration,
    mut look: impl FnMut() -> Result<T, String>,
) -> (T, Duration) {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(found) => return (found, begun.elapsed()),
            Err(why) if begun.elapsed() >= within => {
                panic!("{what}: not within {} s: {why}", within.as_secs_f32())
            }
            Err(_not_yet) => park_timeout(LOOK),
        }
    }
}
