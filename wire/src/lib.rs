//! What crosses a socket: messages between nodes, the requests and responses of clients, and how both
//! become bytes.
//!
//! Types here are what state machines take and give; [`Message`] is one frame between nodes.
//! Foreign bytes are parsed into them or refused; nothing here decides what to do with them.

#![warn(clippy::wildcard_enum_match_arm)]

mod api;
pub mod frame;
mod grows;
mod key;
pub mod peer;

pub use api::{
    Answered, ChangedDots, Explanation, LIST_KEYS_MAX, LevelRefused, Levels, List, ListFrom,
    Listed, ListedKey, Outcome, Page, QuorumCount, Refused, Request, RequestId, Response,
    SessionDots, Unavailable,
};
pub use key::{BUCKET_BYTES_MAX, KEY_BYTES_MAX, Key, Slice};
pub use peer::{Body, Committed, Incarnation, Message, Run};
