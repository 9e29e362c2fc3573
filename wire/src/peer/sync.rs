//! Comparing slices with a co-owner, and joining what differs.
//!
//! Roots are exchanged in rounds. What differs is synchronised in a session, named by the request id of its
//! messages: who begins it asks step by step, and the other answers each step once, or again where the
//! answer was lost.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use coterie_crdt::{Address, Context, Partial};
use coterie_ring::Partition;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::strong::Vote;
use crate::grows::grows;
use crate::{Key, Slice};

/// What nodes that share slices say to each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Sync {
    /// The digests of slices that both have.
    Roots {
        /// How many lanes the sender has: which of its slices each of them has follows.
        lanes: u16,
        /// The digests.
        roots: Roots,
    },
    /// The answer: those that are not mentioned are equal.
    Compared {
        /// How many lanes the sender has. Slices of other lanes than the one that answers were not compared.
        lanes: u16,
        /// Which lane answers.
        lane: u16,
        /// Slices whose digests differ, or whose epochs do.
        differing: Vec<Slice>,
    },
    /// A step of a session.
    Step {
        /// Steps are numbered from 0.
        number: u32,
        /// What is asked.
        step: Box<Step>,
    },
    /// The answer to a step.
    Answer {
        /// Which step.
        number: u32,
        /// How long to wait before more rows are sent: the receiver's credit.
        pause: Duration,
        /// What is answered.
        answer: Box<Answer>,
    },
}

/// What the one who began a session asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Step {
    /// Compare the leaves of the slice's tree.
    Slice {
        /// Seeds the short sums of this session: where two collide, they do not in the next.
        salt: u64,
        /// The sums of all leaves, 16 bytes each.
        leaves: Bytes,
    },
    /// Compare one key; join it where it is small.
    Key {
        /// The key as the sender has it.
        key: KeyState,
    },
    /// Compare the cells of one key.
    Cells {
        /// Which key.
        key: Key,
        /// As in [`Step::Slice`].
        salt: u64,
        /// What the sender had seen of the key before it read the first of its cells.
        context: Context,
        /// How many rows it has.
        rows: u64,
        /// The sums of all sub-ranges, 16 bytes each.
        leaves: Bytes,
    },
    /// Open the differing leaves between two hashes, both inside: the 32-bit sums of the quarters of each, in order.
    Open {
        /// The first hash.
        from: u64,
        /// The last.
        to: u64,
        /// 4 bytes each.
        sums: Bytes,
    },
    /// A bit for each open range, set where it is halved; then of each, in order: the 32-bit sum of its lower half;
    /// or how many rows there are, and 4 bytes of each; or 0xfe for more than that.
    Halve {
        /// All open ranges.
        ranges: Bytes,
    },
    /// Send rows that were found to differ, of those between the hashes opened last.
    Pull {
        /// The sum of the sender's rows that were found equal, so that short sums decide nothing.
        equal: u128,
    },
    /// Join these.
    Push {
        /// Rows that were found to differ.
        parcel: Parcel,
    },
    /// Everything was joined.
    Close {
        /// The digest of the slice, of a session on a slice.
        root: u128,
    },
    /// Send the cells of the key that come next: the sender receives all of them, in order.
    Fetch {
        /// The last one that it has received; none before the first.
        after: Option<Address>,
    },
    /// Join these cells of the key: the receiver is sent all of them, in order.
    Chunk {
        /// The cells.
        chunk: Chunk,
    },
}

/// What the other answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// Which leaves differ, one bit each, the first lowest.
    Leaves {
        /// 32 bytes.
        differing: Bytes,
    },
    /// The key is joined, and the receiver has the same now.
    Same,
    /// The key is joined, and this is what the receiver has now; the sender lacks some of it.
    Key {
        /// All of it.
        key: KeyState,
    },
    /// How the cells of the key compare.
    Cells {
        /// What the receiver had seen of the key before it read the first of its cells.
        context: Context,
        /// How many rows it has.
        rows: u64,
        /// As in [`Answer::Leaves`].
        differing: Bytes,
        /// How far the receiver has come in receiving all cells of a replica whose context the step's
        /// covers, where it is in the middle of that: the sender can go on.
        transfer: Option<Cursor>,
    },
    /// Of each range that was opened: [`Verdict`]s. Of each range that was listed: a bit per row, set where
    /// the row differs.
    Verdicts {
        /// The last hash that the receiver has listed: where it is below what was asked for, nothing was
        /// compared, and the sender opens anew up to there.
        to: u64,
        /// Two bits per verdict and one per row, the first lowest.
        bits: Bytes,
    },
    /// Rows that were found to differ.
    Rows {
        /// The rows.
        parcel: Parcel,
        /// Whether there are more.
        more: bool,
        /// Whether something could not be compared or joined so far: a delete of it is being swept, or it is
        /// damaged.
        incomplete: bool,
        /// Whether votes on strong keys that came before could not be taken in, because more was promised.
        #[serde(default)]
        undecided: bool,
    },
    /// Everything was joined. Whether the digests of the slice are equal now, of a session on a slice.
    Closed {
        /// Whether they are.
        equal: bool,
    },
    /// The cells that were asked for by [`Step::Fetch`].
    Chunk {
        /// The cells.
        chunk: Chunk,
    },
    /// What came by [`Step::Chunk`] is joined.
    Received {
        /// How far the receiver has come; `None` once it has all.
        transfer: Option<Cursor>,
    },
    /// The session ends here: nothing more was joined.
    Ended(End),
}

/// Why the receiver of a step ends a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum End {
    /// It knows no such session, or a step is missing: it was restarted, or has given it up.
    #[error("the session is not known")]
    Unknown,
    /// It has as many under way as it may have.
    #[error("too many sessions are under way")]
    Busy,
    /// A key waits for the sweep of a delete, for its index, or for all cells of another replica that has seen
    /// more: ask again later.
    #[error("a key waits for a job")]
    Counting,
    /// Its rows of the key are damaged.
    #[error("rows are damaged")]
    Damaged,
    /// What was found equal by short sums is not: another session, of another salt, will tell.
    #[error("short sums collided")]
    Collided,
    /// It is no owner, or at another purge epoch.
    #[error("the receiver is no owner, or at another epoch")]
    Refused,
    /// The step contradicts what was said before.
    #[error("the step makes no sense")]
    Malformed,
}

/// How a range compares, as the one who answers finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Verdict {
    /// Equal; or only the one who answers has rows there, and is to be asked for them.
    Equal = 0,
    /// Different: halve it.
    Halve = 1,
    /// Different, with few rows: list yours.
    List = 2,
    /// Only the one who asks has rows there.
    Absent = 3,
}

/// Rows on their way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Parcel {
    /// Keys of the slice.
    Keys(Vec<KeyState>),
    /// Cells of the key.
    Cells(Box<Partial>),
}

/// All cells of a key after one address, up to another and with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// The last address before it; none in the first chunk.
    pub after: Option<Address>,
    /// The last address; that of the expiry, which is behind all others, in the last chunk.
    pub upto: Address,
    /// The cells, with the root.
    pub cells: Box<Partial>,
}

/// How far a replica has come in receiving all cells of another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The last address received; `None` before the first.
    pub after: Option<Address>,
}

/// A key as its sender has it.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyState {
    /// Which.
    pub key: Key,
    /// Its digest there.
    pub digest: u128,
    /// All of it.
    pub contents: Contents,
}

/// What a key is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Contents {
    /// All its cells, and all its sender had seen of it.
    Whole(Box<Partial>),
    /// A vote, of a key in a strong bucket.
    Vote(Vote),
    /// More than one message carries: its cells are compared.
    Large,
}

impl Contents {
    /// How many rows it carries.
    #[must_use]
    pub fn rows(&self) -> usize {
        match self {
            Contents::Whole(partial) => 1 + partial.cells().len(),
            Contents::Vote(_) => 1,
            Contents::Large => 0,
        }
    }
}

impl Parcel {
    /// How many rows it carries.
    #[must_use]
    pub fn rows(&self) -> usize {
        match self {
            Parcel::Keys(keys) => keys.iter().map(|key| key.contents.rows()).sum(),
            Parcel::Cells(partial) => partial.cells().len(),
        }
    }
}

impl Step {
    /// How many rows it carries.
    #[must_use]
    pub fn rows(&self) -> usize {
        match self {
            Step::Key { key } => key.contents.rows(),
            Step::Push { parcel } => parcel.rows(),
            Step::Chunk { chunk } => chunk.cells.cells().len(),
            Step::Slice { .. }
            | Step::Cells { .. }
            | Step::Open { .. }
            | Step::Halve { .. }
            | Step::Pull { .. }
            | Step::Close { .. }
            | Step::Fetch { .. } => 0,
        }
    }

    /// Whether it brings rows or asks for some.
    #[must_use]
    pub fn moves_rows(&self) -> bool {
        self.rows() > 0 || matches!(self, Step::Pull { .. } | Step::Fetch { .. })
    }
}

impl Sync {
    /// How many rows it carries, for people: what is compared is not counted.
    #[must_use]
    pub fn rows(&self) -> usize {
        match self {
            Sync::Roots { .. } | Sync::Compared { .. } => 0,
            Sync::Step { step, .. } => step.rows(),
            Sync::Answer { answer, .. } => match &**answer {
                Answer::Key { key } => key.contents.rows(),
                Answer::Rows { parcel, .. } => parcel.rows(),
                Answer::Chunk { chunk } => chunk.cells.cells().len(),
                Answer::Leaves { .. }
                | Answer::Same
                | Answer::Cells { .. }
                | Answer::Verdicts { .. }
                | Answer::Closed { .. }
                | Answer::Received { .. }
                | Answer::Ended(_) => 0,
            },
        }
    }
}

/// Digests of slices: of each the partition, the replica count, the epoch as a varint, and the digest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roots(pub Bytes);

/// The digest of one slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root {
    /// Which slice.
    pub slice: Slice,
    /// The purge epoch that the sender is in.
    pub epoch: u64,
    /// The sum of all keys.
    pub digest: u128,
}

/// What should have been a list of digests is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("digests of slices do not decode")]
pub struct MalformedRoots;

impl Roots {
    /// Packs digests.
    #[must_use]
    pub fn pack(roots: impl IntoIterator<Item = Root>) -> Self {
        let mut bytes = BytesMut::new();
        for root in roots {
            bytes.put_u16(root.slice.partition.0);
            bytes.put_u8(root.slice.replicas);
            let mut epoch = root.epoch;
            while epoch >= 0x80 {
                bytes.put_u8(epoch.to_le_bytes()[0] | 0x80);
                epoch >>= 7;
            }
            bytes.put_u8(epoch.to_le_bytes()[0]);
            bytes.put_u128(root.digest);
        }
        Roots(bytes.freeze())
    }

    /// The digests.
    ///
    /// # Errors
    /// [`MalformedRoots`]
    pub fn unpack(&self) -> Result<Vec<Root>, MalformedRoots> {
        let mut bytes = self.0.clone();
        let mut roots = Vec::new();
        while bytes.has_remaining() {
            let partition = Partition(bytes.try_get_u16().map_err(|_short| MalformedRoots)?);
            let replicas = bytes.try_get_u8().map_err(|_short| MalformedRoots)?;
            let mut epoch = 0;
            for shift in (0..64).step_by(7) {
                let byte = bytes.try_get_u8().map_err(|_short| MalformedRoots)?;
                epoch |= u64::from(byte & 0x7f) << shift;
                if byte < 0x80 {
                    break;
                }
            }
            let digest = bytes.try_get_u128().map_err(|_short| MalformedRoots)?;
            roots.push(Root { slice: Slice { partition, replicas }, epoch, digest });
        }
        Ok(roots)
    }
}

grows! {
    Chunk { after, upto, cells }
    Cursor { after }
    KeyState { key, digest, contents }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_come_back_and_take_twenty_bytes() {
        let root = |partition, epoch| Root {
            slice: Slice { partition: Partition(partition), replicas: 3 },
            epoch,
            digest: u128::from(partition) << 77,
        };
        let roots = [root(0, 0), root(1_023, 127), root(65_535, 128), root(7, u64::MAX)];
        let packed = Roots::pack(roots);
        assert_eq!(packed.unpack(), Ok(roots.to_vec()));
        assert_eq!(Roots::pack([root(9, 3)]).0.len(), 20);
        for cut in 1..20 {
            assert_eq!(Roots(packed.0.slice(..cut)).unpack(), Err(MalformedRoots));
        }
    }
}
