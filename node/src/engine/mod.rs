//! Threads that run the decisions of `protocol`.

pub mod clock;
pub mod gateway;
mod clients;
mod control;
mod ground;
pub mod inbox;
pub mod lane;
mod run;

pub use control::End;
pub use run::run;
