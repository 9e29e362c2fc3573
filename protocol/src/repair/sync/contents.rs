//! Keys as they are compared, sent and joined: whole where they are small.

use std::collections::BTreeMap;

use bytes::Bytes;
use coterie_crdt::digest::key_digest;
use coterie_crdt::encoding::{decode_cell, decode_root, encode_partial};
use coterie_crdt::{Footprint, Partial, Root, State};
use coterie_wire::peer::sync::{Contents, KeyState};
use coterie_wire::peer::write::Change;
use coterie_wire::{Key, Slice};

use crate::effects::{After, Effects};
use crate::lane::Shared;
use crate::repair::scrub;
use crate::replica::{self, Stored};
use crate::rows::address::KeyPrefix;
use crate::rows::{Direction, NotResident, Rows, Space};
use crate::slice::SliceState;
use crate::strong::{self, Acceptor};

/// A key with so many rows beside its root is sent whole; the cells of a larger one are compared.
pub(super) const WHOLE_CELLS_MAX: usize = 16;

/// A key with more bytes is not sent whole.
const WHOLE_BYTES_MAX: usize = 64 << 10;

/// The most rows that reading one key reads.
pub(super) const KEY_ROWS_MAX: usize = WHOLE_CELLS_MAX + 2;

/// A key as it is stored here.
#[derive(Debug)]
pub(super) enum Held {
    /// All its rows; none where there is no such key.
    Small(Box<Stored>),
    /// One vote, of a key in a strong bucket.
    Vote(Box<Acceptor>),
    /// Its root; there is more than is sent whole, or will be once a transfer has ended.
    Large(Box<Root>),
    /// A delete of it is being swept, and its digest is not true until then.
    Counting,
    /// Its rows do not decode. Never taken for absence (invariant 16).
    Damaged,
}

impl Held {
    /// Reads a key.
    pub(super) fn read(rows: &impl Rows, prefix: &KeyPrefix) -> Result<Held, NotResident> {
        let Some(row) = rows.get(Space::Rows, &prefix.root())? else {
            return Ok(Held::Small(Box::new(Stored::from(State::new()))));
        };
        if strong::is_register(&row) {
            let acceptor = strong::decode(Some(&row));
            return Ok(acceptor.map_or(Held::Damaged, |vote| Held::Vote(Box::new(vote))));
        }
        let Ok(root) = decode_root(&row) else { return Ok(Held::Damaged) };
        if root.is_counting() {
            return Ok(Held::Counting);
        }
        // What a transfer is yet to bring is no part of the key as it is here.
        if root.counts.rows > WHOLE_CELLS_MAX as u64 || root.transfer.is_some() {
            return Ok(Held::Large(Box::new(root)));
        }
        let cells_max = WHOLE_CELLS_MAX + 1;
        let found = rows.scan(Space::Rows, &prefix.cells(), Direction::Forward, cells_max)?;
        let bytes: usize = found.iter().map(|(address, cell)| address.len() + cell.len()).sum();
        if found.len() == cells_max {
            // The root counts fewer rows than there are.
            return Ok(Held::Damaged);
        }
        if row.len() + bytes > WHOLE_BYTES_MAX {
            return Ok(Held::Large(Box::new(root)));
        }
        let mut cells = BTreeMap::new();
        for (row, cell) in found {
            let Some(address) = prefix.parse_cell(&row) else { return Ok(Held::Damaged) };
            let Ok(cell) = decode_cell(address.kind, &cell) else { return Ok(Held::Damaged) };
            cells.insert(address, cell);
        }
        Ok(Held::Small(Box::new(Stored::from(State::from_rows(root, cells)))))
    }

    /// The digest of the key, as far as that is known.
    pub(super) fn digest(&self) -> Option<u128> {
        match self {
            Held::Small(stored) => Some(stored.state.digest()),
            Held::Vote(acceptor) => Some(strong::digest(acceptor)),
            Held::Large(root) => Some(key_digest(root)),
            Held::Counting | Held::Damaged => None,
        }
    }

    /// The key as it is sent; `None` where it cannot be sent now, or there is none.
    pub(super) fn to_send(&self, key: &Key) -> Option<KeyState> {
        let digest = self.digest()?;
        let contents = match self {
            Held::Small(stored) => {
                let whole = Partial::extract(&stored.state, &Footprint::whole());
                Contents::Whole(Box::new(whole))
            }
            Held::Vote(acceptor) => Contents::Vote(acceptor.accepted()?.clone()),
            Held::Large(_) => Contents::Large,
            Held::Counting | Held::Damaged => return None,
        };
        Some(KeyState { key: key.clone(), digest, contents })
    }
}

/// What joining a key that a peer sent came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joined {
    /// This node now has what the peer has.
    Equal,
    /// The peer has a vote that this node may not take in, since it has promised more; and lacks none from here.
    Undecided,
    /// This node has more than the peer.
    More,
    /// The cells are to be compared.
    Large,
    /// Nothing was joined: a delete is being swept, rows are damaged, or what was sent makes no sense.
    Not,
}

/// Joins a key that a peer sent.
pub(super) fn join(
    shared: &mut Shared,
    slice: Slice,
    sent: KeyState,
    held: Held,
    effects: &mut Effects,
) -> Joined {
    let KeyState { key, digest, contents } = sent;
    match (contents, held) {
        (_, Held::Counting) => Joined::Not,
        (_, Held::Damaged) => {
            scrub::damaged(slice, &key, effects);
            Joined::Not
        }
        (Contents::Large, _) | (Contents::Whole(_), Held::Large(_)) => Joined::Large,
        (Contents::Whole(whole), Held::Small(mut stored)) => {
            if whole.cells().len() > WHOLE_CELLS_MAX {
                return Joined::Not;
            }
            let change = Change::Whole(*whole);
            let applied = replica::apply(shared, slice, &key, &mut stored, &change, effects);
            if applied.digest.1 == digest { Joined::Equal } else { Joined::More }
        }
        (Contents::Vote(vote), Held::Small(stored)) if stored.state.digest() == 0 => {
            learn(shared, slice, &key, vote, Acceptor::default(), digest, effects)
        }
        (Contents::Vote(vote), Held::Vote(acceptor)) => {
            learn(shared, slice, &key, vote, *acceptor, digest, effects)
        }
        (Contents::Whole(_), Held::Vote(_))
        | (Contents::Vote(_), Held::Small(_) | Held::Large(_)) => Joined::Not,
    }
}

/// Takes in the vote of a peer as an accept that comes late, by the rule of acceptors, or as one that is to be had again.
fn learn(
    shared: &mut Shared,
    slice: Slice,
    key: &Key,
    vote: coterie_wire::peer::strong::Vote,
    mut acceptor: Acceptor,
    digest: u128,
    effects: &mut Effects,
) -> Joined {
    let before = strong::digest(&acceptor);
    let ballot = vote.ballot;
    if strong::StrongValue::decode(&vote.value).is_err() {
        return Joined::Not;
    }
    let binds = shared.slices.get(&slice).is_none_or(SliceState::promises_bind);
    let learned = if binds { acceptor.learn(vote) } else { acceptor.relearn(vote) };
    if learned {
        strong::store(shared, slice, key, before, &acceptor, &mut effects.batch);
    } else if acceptor.accepted().is_none_or(|mine| mine.ballot < ballot) {
        // A promise stands in the way: what is chosen is written once more, under a later ballot.
        let settle = strong::Event::Settle { key: key.clone() };
        effects.lane(After::Written, crate::Event::Strong(settle));
        return Joined::Undecided;
    }
    if strong::digest(&acceptor) == digest { Joined::Equal } else { Joined::More }
}

/// About how many bytes a key takes in a message.
pub(super) fn weight(state: &KeyState) -> usize {
    let contents = match &state.contents {
        Contents::Whole(whole) => encode_partial(whole).len(),
        Contents::Vote(vote) => vote.value.len() + 24,
        Contents::Large => 0,
    };
    state.key.bucket().len() + state.key.name().len() + 24 + contents
}

/// The key whose rows begin with `prefix`.
pub(super) fn key_of(prefix: &Bytes) -> Option<Key> {
    let (key, end) = crate::rows::address::parse_key(prefix, 2)?;
    (end == prefix.len()).then_some(key)
}
