//! All that a key holds, as a reader sees it: what `COPY` and `RENAME` carry to another key.

use bytes::Bytes;

use crate::address::{Address, AddressRange};
use crate::cells::{Cells, Direction};
use crate::kind::{COUNTED_KINDS, Kind};
use crate::operation::draft::Draft;
use crate::operation::list::insert;
use crate::operation::number::value_of;
use crate::operation::string::{Expire, set_expiry};
use crate::operation::{Limits, OpError};
use crate::payload::{Payload, Score};

/// All that a key holds of its visible type, and when it expires. History is not in it: what it is
/// stored as starts afresh.
#[derive(Clone, Debug, PartialEq)]
pub struct Contents {
    /// Cells with what they read as. List elements are in order; where they were is not kept.
    pub cells: Vec<(Address, Item)>,
    /// When the key expires, in milliseconds since 1970.
    pub deadline: Option<u64>,
}

/// What one cell reads as.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// It is there: a member, an enabled flag, a HyperLogLog that has seen nothing.
    Present,
    /// A string, field or list element.
    Value(Bytes),
    /// A sorted set member's score.
    Score(Score),
    /// A HyperLogLog register's rank.
    Rank(u8),
    /// A field that expires, and when, in milliseconds since 1970.
    ValueUntil(Bytes, u64),
}

impl Item {
    /// Whether a cell of `kind` can read as this.
    pub(crate) fn fits(&self, kind: Kind) -> bool {
        match self {
            Item::Present => matches!(
                kind,
                Kind::Member
                    | Kind::GuardedMember
                    | Kind::GrowOnlyMember
                    | Kind::Sketch
                    | Kind::EnableFlag
                    | Kind::DisableFlag
            ),
            Item::Value(_) => {
                matches!(kind, Kind::Register | Kind::Field | Kind::Nested | Kind::Element)
            }
            Item::Score(_) => kind == Kind::Scored,
            Item::Rank(rank) => kind == Kind::Sketch && (1..=51).contains(rank),
            Item::ValueUntil(..) => kind == Kind::Field,
        }
    }
}

impl Contents {
    pub(super) fn addresses(&self) -> impl Iterator<Item = Address> {
        let addresses = self.cells.iter().map(|(address, _)| address);
        // List elements get new positions.
        let kept = |kind: Kind| !kind.lives_in_root() && kind != Kind::Element;
        addresses.filter(move |address| kept(address.kind)).cloned()
    }

    /// `None` where the key is not there.
    pub(super) fn read<C: Cells>(
        draft: &Draft<'_, '_, C>,
    ) -> Result<Option<Box<Contents>>, OpError> {
        let shown = draft.shown()?;
        let mut cells = Vec::new();
        if let Some(value) = value_of(&draft.cell(&Address::REGISTER)) {
            cells.push((Address::REGISTER, Item::Value(value)));
        } else {
            for kind in COUNTED_KINDS.into_iter().filter(|kind| kind.shown_as() == shown) {
                let range = AddressRange::all(kind);
                let live = draft.scan(&range, Direction::Forward);
                cells.extend(live.filter_map(|(address, cell)| {
                    let item = match kind {
                        Kind::Scored => Item::Score(cell.score()?),
                        Kind::Sketch if cell.rank() > 0 => Item::Rank(cell.rank()),
                        Kind::Field => match (value_of(&cell)?, cell.deadline()) {
                            (value, None) => Item::Value(value),
                            (value, Some(deadline)) => Item::ValueUntil(value, deadline),
                        },
                        Kind::Nested | Kind::Element => Item::Value(value_of(&cell)?),
                        Kind::Register
                        | Kind::Member
                        | Kind::GuardedMember
                        | Kind::GrowOnlyMember
                        | Kind::Sketch
                        | Kind::EnableFlag
                        | Kind::DisableFlag
                        | Kind::Expiry => Item::Present,
                    };
                    Some((address.clone(), item))
                }));
            }
        }
        let deadline = draft.deadline();
        Ok((!cells.is_empty()).then(|| Box::new(Contents { cells, deadline })))
    }

    /// Refuses what is larger than clients may write: contents may come from elsewhere.
    pub(super) fn check(&self, limits: &Limits) -> Result<(), OpError> {
        for (address, item) in &self.cells {
            if address.kind != Kind::Element {
                limits.element(&address.path)?;
            }
            match item {
                Item::Value(element) if address.kind == Kind::Element => limits.element(element)?,
                Item::Value(value) | Item::ValueUntil(value, _) => limits.value(value.len())?,
                Item::Present | Item::Score(_) | Item::Rank(_) => {}
            }
        }
        Ok(())
    }

    pub(super) fn write<C: Cells>(&self, draft: &mut Draft<'_, '_, C>) -> Result<(), OpError> {
        let mut last = None;
        for (address, item) in &self.cells {
            // A position contains a dot of the key that it was made for. Here that may be the dot of an
            // element that somebody else inserts concurrently, so the copy gets positions of its own.
            if let (Kind::Element, Item::Value(value)) = (address.kind, item) {
                last = Some(insert(draft, last.as_ref(), None, value)?);
                continue;
            }
            draft.assign(address.clone(), |time| match item {
                Item::Present => Payload::Present,
                Item::Value(value) | Item::ValueUntil(value, _) => {
                    Payload::Value(time, value.clone())
                }
                Item::Score(score) => Payload::Score(time, *score),
                Item::Rank(rank) => Payload::Rank(*rank),
            })?;
            if let Item::ValueUntil(_, deadline) = item {
                draft.put_deadline(address.clone(), *deadline)?;
            }
        }
        self.deadline.map_or(Ok(()), |deadline| set_expiry(draft, Expire::At(deadline)))
    }
}
