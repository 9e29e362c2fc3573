//! What clients ask and are told, whatever protocol they speak.

mod list;
mod outcome;
mod request;

pub use list::{LIST_KEYS_MAX, List, ListFrom, Listed, ListedKey, Page};
pub use outcome::{
    Answered, ChangedDots, Explanation, LevelRefused, Outcome, QuorumCount, Refused, Response,
    Unavailable,
};
pub use request::{Levels, Request, RequestId, SessionDots};
