//! What clients ask and are told, whatever protocol they speak.

mod outcome;
mod request;

pub use outcome::{
    Answered, ChangedDots, Explanation, LevelRefused, Outcome, QuorumCount, Refused, Response,
    Unavailable,
};
pub use request::{Levels, Request, RequestId, SessionDots};
