//! Nodes as real processes under kill -9, SIGSTOP, networks that are cut, and disks that fill up: what clients were
//! told is judged by the checkers that judge the simulator. And clients that do not behave.
//!
//! `COTERIE_CHAOS_SEED` repeats a schedule of faults (processes themselves never repeat); `COTERIE_PROOF=1` runs longer.
#![expect(clippy::print_stdout, reason = "a test says what it did")]
#![expect(clippy::unwrap_used, reason = "a test panics where something fails")]

mod disk;
mod faults;
#[path = "../harness/mod.rs"]
mod harness;
mod hostile;
mod judge;
mod load;
mod redis;
#[path = "../harness/small_disk.rs"]
mod small_disk;
mod testbed;

use std::sync::{Mutex, MutexGuard};

/// One cluster at a time: the machine may have few cores, and times are promised.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Whether to run at full size.
fn proof() -> bool {
    std::env::var_os("COTERIE_PROOF").is_some_and(|it| !it.is_empty())
}
