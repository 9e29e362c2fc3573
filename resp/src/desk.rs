//! The desk: where commands about the connection, the node or the cluster are dealt with.

use std::fmt;
use std::time::Duration;

use coterie_wire::Key;

use crate::client::Client;
use crate::door::{Door, Surroundings};
use crate::encoder::Encoder;
use crate::facts::{ClientFacts, Query, Told};
use crate::plan::Plan;

/// What such a command has at hand.
#[derive(Debug)]
pub struct Desk<'a> {
    /// Whose it is.
    pub client: &'a mut Client,
    /// What the lane's connections share.
    pub door: &'a mut Door,
    /// The time and the cluster.
    pub around: Surroundings<'a>,
    /// What the connection knows of its client, for `CLIENT INFO`.
    pub facts: ClientFacts,
}

/// Gives what the node tells its shape.
pub type TellShape = Box<dyn FnOnce(Told, &mut Encoder<'_>) + Send>;

/// How such a command goes on.
pub enum Step {
    /// Its reply is in the encoder.
    Done,
    /// It is, and the connection ends with it.
    Close,
    /// It is a plan.
    Plan(Plan),
    /// The node is asked.
    Ask(Query, TellShape),
    /// `WAIT`: until so many other owners hold what this client wrote, but no longer than this.
    Wait {
        /// How many.
        others: usize,
        /// How long.
        at_most: Duration,
    },
    /// `COTERIE EXPLAIN`: who says what of a key.
    Explain(Key),
}

impl Step {
    /// Asks the node.
    #[must_use]
    pub fn ask(query: Query, shape: impl FnOnce(Told, &mut Encoder<'_>) + Send + 'static) -> Step {
        Step::Ask(query, Box::new(shape))
    }

    /// Asks the node for something to be done, and answers `OK`.
    #[must_use]
    pub fn ask_to(query: Query) -> Step {
        Step::ask(query, |told, encoder| match told {
            Told::Error(text) => encoder.error(&format!("ERR {text}")),
            Told::Done | Told::Count(_) | Told::Node(_) | Told::Clients(_) | Told::Slow(_) => {
                encoder.ok();
            }
        })
    }

    /// Asks the node for something to be done, and answers to how many it was.
    #[must_use]
    pub fn ask_count(query: Query) -> Step {
        Step::ask(query, |told, encoder| match told {
            Told::Count(count) => encoder.count(count),
            Told::Error(text) => encoder.error(&format!("ERR {text}")),
            Told::Done | Told::Node(_) | Told::Clients(_) | Told::Slow(_) => encoder.integer(0),
        })
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Step")
    }
}
