//! What Ctrl-C does: it asks for an end the first time, and is one the second time.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// What shells say of a program that Ctrl-C has ended.
pub(crate) const CODE: u8 = 130;

/// Is set once this program is told to end.
pub(crate) fn flag() -> anyhow::Result<Arc<AtomicBool>> {
    let over = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        // In this order: what comes first is looked at by what comes second.
        flag::register_conditional_shutdown(signal, i32::from(CODE), Arc::clone(&over))
            .and_then(|_id| flag::register(signal, Arc::clone(&over)))
            .context("signals cannot be waited for")?;
    }
    Ok(over)
}
