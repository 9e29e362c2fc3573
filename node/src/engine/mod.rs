//! Threads that run the decisions of `protocol`.

mod clients;
pub mod clock;
mod control;
pub mod gateway;
mod ground;
pub mod inbox;
pub mod lane;
pub mod memory;
mod renewal;
mod run;
mod service;

pub use control::End;
pub use run::run;
