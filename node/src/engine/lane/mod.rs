//! A lane's thread: hands events to the lane, carries out what follows, and serves connections of clients.
//!
//! All of it runs in one thread, in turns: what waits is handled, committed as one batch, and only then carried out;
//! then the queues to peers and clients are written, each once.

mod cell;
mod core;
mod thread;

pub use self::cell::LaneCell;
pub use self::core::LaneSettings;
pub use self::thread::spawn;
