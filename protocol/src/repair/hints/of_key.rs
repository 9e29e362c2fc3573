//! The hints of one key, as they are read: for sloppy reads, for a fallback that coordinates, and to join new ones to.

use bytes::Bytes;
use coterie_crdt::{State, adopt_context};
use coterie_ring::NodeId;
use coterie_wire::peer::write::Change;
use coterie_wire::{Key, Slice};

use super::row::{Header, Hint};
use super::store::HintStore;
use crate::rows::address::{self, KeyPrefix};
use crate::rows::{Direction, ReadError, Row, Rows, Space};

/// Rows of hints of one key that one event reads at most.
pub const KEY_ROWS_MAX: usize = 512;

/// Rows to look at before another is kept, of which those are joined with it that are not much larger.
const NEWEST_ROWS: usize = 8;

/// A hint as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptHint {
    /// For whom.
    pub owner: NodeId,
    /// Where its row lies.
    pub address: Bytes,
    /// How long its row's value is.
    pub bytes: usize,
    /// The hint.
    pub hint: Hint,
}

impl KeptHint {
    /// Reads a row of an owner's hints.
    ///
    /// # Errors
    /// Where it does not decode.
    pub fn read(owner: NodeId, (address, row): Row) -> Result<Self, ReadError> {
        Ok(KeptHint { owner, address, bytes: row.len(), hint: Hint::decode(&row)? })
    }

    /// Reads a row with the slice and key that it belongs to; `None` where not even that can be told.
    pub(super) fn placed(row: Row) -> Option<(Slice, Key, Result<Self, ReadError>)> {
        let (owner, partition, key, _) = address::parse_hint(&row.0)?;
        let replicas = Header::decode(&row.1).ok()?.replicas;
        Some((Slice { partition, replicas }, key, KeptHint::read(owner, row)))
    }

    /// How much room it takes.
    #[must_use]
    pub fn row_bytes(&self) -> u64 {
        (self.address.len() + self.bytes) as u64
    }
}

/// Hints of one key, by owner and then in the order in which they were made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeyHints {
    hints: Vec<KeptHint>,
}

impl KeyHints {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hints.is_empty()
    }

    /// Those of an owner, oldest first.
    pub fn of_owner(&self, owner: NodeId) -> impl DoubleEndedIterator<Item = &KeptHint> {
        self.hints.iter().filter(move |hint| hint.owner == owner)
    }

    /// The owners for whom they are kept, each once.
    #[must_use]
    pub fn owners(&self) -> Vec<NodeId> {
        let mut owners: Vec<NodeId> = self.hints.iter().map(|hint| hint.owner).collect();
        owners.dedup();
        owners
    }

    /// The lowest purge epoch that any was made under: what is derived from them bears it.
    #[must_use]
    pub fn epoch(&self) -> Option<u64> {
        self.hints.iter().map(|hint| hint.hint.header.epoch).min()
    }

    /// What a replica would have that has taken in these hints and nothing else. Its context is that of a replica:
    /// exactly what it has seen.
    #[must_use]
    pub fn state(&self) -> State {
        let mut state = State::new();
        for hint in &self.hints {
            match &hint.hint.change {
                Change::Delta(delta) => state.join_delta(delta),
                Change::Partial(partial) => state.join_partial(partial),
                Change::Whole(partial) => {
                    state.join_partial(partial);
                    let adopted = adopt_context(&state, partial.context());
                    state.apply(adopted);
                }
            }
        }
        state
    }
}

impl HintStore {
    /// All hints of a key, for whichever owner.
    ///
    /// # Errors
    /// [`ReadError`]; too many where there are more than [`KEY_ROWS_MAX`].
    pub fn of_key(&self, rows: &impl Rows, slice: Slice, key: &Key) -> Result<KeyHints, ReadError> {
        let prefix = KeyPrefix::new(slice.partition, key);
        let mut hints = Vec::new();
        for (owner, _) in self.of_slice(slice) {
            let left = KEY_ROWS_MAX - hints.len();
            let range = prefix.hints(owner);
            let page = rows.scan(Space::Hints, &range, Direction::Forward, left + 1)?;
            if page.len() > left {
                return Err(ReadError::TooMany);
            }
            for row in page {
                hints.push(KeptHint::read(owner, row)?);
            }
        }
        Ok(KeyHints { hints })
    }

    /// The newest hints of a key for an owner: what has to be seen before another is kept.
    ///
    /// # Errors
    /// [`ReadError`]
    pub fn newest(
        &self,
        rows: &impl Rows,
        (slice, key): (Slice, &Key),
        owner: NodeId,
    ) -> Result<KeyHints, ReadError> {
        if !self.of_slice(slice).any(|(kept, _)| kept == owner) {
            return Ok(KeyHints::default());
        }
        let range = KeyPrefix::new(slice.partition, key).hints(owner);
        let page = rows.scan(Space::Hints, &range, Direction::Backward, NEWEST_ROWS)?;
        let hints = page.into_iter().rev().map(|row| KeptHint::read(owner, row));
        Ok(KeyHints { hints: hints.collect::<Result<_, _>>()? })
    }
}
