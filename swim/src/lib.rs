//! Who is alive: SWIM with suspicion and Lifeguard, as a state machine without IO.
//!
//! [`Swim`] takes events and the time and gives effects: packets and stream messages to send, changes to pass
//! on. It detects a crash in seconds, keeps quiet when the fault may be its own, and heals splits by itself.
//! Sources: Das, Gupta and Motivala 2002 (SWIM); Dadgar, Phillips and Currey 2018 (Lifeguard). Deviations are
//! recorded in `docs/decisions/03xx`, bytes in `docs/formats.md`, figures in `docs/performance.md`.

#![warn(clippy::wildcard_enum_match_arm)]

mod attributes;
mod broadcast;
mod counters;
mod digest;
mod event;
mod health;
mod identity;
mod members;
mod node;
mod parameters;
mod probe;
mod record;
#[cfg(feature = "simulation")]
pub mod simulation;
pub mod snapshot;
mod suspicion;
mod wire;

pub use attributes::{Address, Attributes, Label, LabelError};
pub use counters::Counters;
pub use digest::BucketSums;
pub use event::{Change, DownReason, Effects, Event, Now, Start, StreamSend, Transmit};
pub use identity::{Generation, Incarnation, Instance, Layout, NodeId};
pub use members::Status;
pub use node::Swim;
pub use parameters::{Parameters, ProbeOrder, SuspicionScale};
pub use record::{Accusers, Evidence, Rank, Record};
pub use wire::{
    Buckets, DecodeError, Header, ITEMS_MAX, Item, Message, PACKET_BYTES_MAX, Packet,
    STREAM_BYTES_MAX, StreamMessage, VERSION, decode_packet, decode_stream, encode_packet,
    encode_stream,
};
