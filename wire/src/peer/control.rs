//! What the controls of two nodes say to each other.

use bytes::Bytes;
use coterie_ring::Intent;
use coterie_ring::decision;

use crate::Incarnation;

/// From control to control.
#[derive(Clone, Debug, PartialEq)]
pub enum ControlMessage {
    /// A message of the failure detector that goes over a stream.
    Swim(Bytes),
    /// What is asked for, as far as it is known to the sender.
    Intent(Box<Intent>),
    /// Of the agreement on layouts.
    Decision(Box<decision::Message>),
    /// A new node, which has no layout yet, asks for one.
    Join,
    /// A node that has just started asks what is remembered of it.
    Remembered {
        /// Its life, as its storage has it.
        incarnation: Incarnation,
    },
    /// The answer: the highest commit that each of its lanes acknowledged to the sender in that life.
    Remember {
        /// The life that was asked about.
        incarnation: Incarnation,
        /// Lane and number.
        commits: Vec<(u16, u64)>,
    },
}
