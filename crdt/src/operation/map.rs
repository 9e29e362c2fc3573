//! Maps: values at paths of one segment or more, each a cell of its own.

use bytes::Bytes;

use crate::address::{Address, AddressRange, nested_segments};
use crate::cells::{Cells, Direction};
use crate::footprint::Footprint;
use crate::kind::{Kind, Shown};
use crate::operation::draft::Draft;
use crate::operation::number::{NumberIn, increment, increment_float, value_of};
use crate::operation::{OpError, Reply};
use crate::payload::Payload;

/// A place in a map: one segment or more, from the outermost in. With one, it is a hash's field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapPath(Vec<Bytes>);

/// An operation on a map.
///
/// A value and a submap may be at the same path; removing that path removes both.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum MapOperation {
    /// The value at a path.
    Get(MapPath),
    /// Assigns a value: 1 if there was none.
    Set {
        /// Where.
        path: MapPath,
        /// What to assign.
        value: Bytes,
    },
    /// Adds an integer: the sum.
    IncrementBy {
        /// Where.
        path: MapPath,
        /// What to add.
        by: i64,
    },
    /// Adds a decimal, in text: the sum.
    IncrementByFloat {
        /// Where.
        path: MapPath,
        /// What to add.
        by: Bytes,
    },
    /// Removes the value at a path and everything under it, touching nothing else: how many values it
    /// removed. Where that is `cells_max` there may be more, and doing it again goes on.
    Remove {
        /// Where.
        path: MapPath,
        /// How many values at most.
        cells_max: usize,
    },
    /// The values strictly under a path, or all of the map, with their whole paths, in their order:
    /// those of one segment first.
    Entries(Option<MapPath>),
    /// How many values are strictly under a path, or in all of the map.
    Count(Option<MapPath>),
}

impl MapPath {
    /// The place at `segments`; `None` where there is no segment.
    pub fn new(segments: Vec<Bytes>) -> Option<Self> {
        (!segments.is_empty()).then_some(MapPath(segments))
    }

    /// Its segments, from the outermost in; at least one.
    pub fn segments(&self) -> &[Bytes] {
        &self.0
    }

    fn address(&self) -> Address {
        Address::map(&self.0)
    }

    /// All that is under it; its own cell too, where that is nested.
    fn under(&self) -> AddressRange {
        AddressRange::under(&self.0)
    }
}

impl MapOperation {
    pub(super) fn footprint(&self) -> Footprint {
        match self {
            MapOperation::Get(path)
            | MapOperation::Set { path, .. }
            | MapOperation::IncrementBy { path, .. }
            | MapOperation::IncrementByFloat { path, .. } => Footprint::cell(path.address()),
            MapOperation::Remove { path, .. } => {
                Footprint::cell(path.address()).and(Footprint::range(path.under()))
            }
            MapOperation::Entries(under) | MapOperation::Count(under) => {
                let ranges = ranges(under.as_ref()).into_iter().map(Footprint::range);
                ranges.fold(Footprint::root(), Footprint::and)
            }
        }
    }

    pub(super) fn writes(&self) -> bool {
        match self {
            MapOperation::Set { .. }
            | MapOperation::IncrementBy { .. }
            | MapOperation::IncrementByFloat { .. }
            | MapOperation::Remove { .. } => true,
            MapOperation::Get(_) | MapOperation::Entries(_) | MapOperation::Count(_) => false,
        }
    }

    pub(super) fn observes(&self) -> bool {
        !matches!(self, MapOperation::IncrementBy { .. } | MapOperation::IncrementByFloat { .. })
    }

    pub(super) fn apply<C: Cells>(&self, draft: &mut Draft<'_, '_, C>) -> Result<Reply, OpError> {
        draft.expect(Shown::Hash)?;
        match self {
            MapOperation::Get(path) => Ok(Reply::value(value_of(&draft.cell(&path.address())))),
            MapOperation::Set { path, value } => {
                let address = checked(draft, path)?;
                draft.limits().value(value.len())?;
                let new = !draft.has(&address);
                draft.assign(address, |time| Payload::Value(time, value.clone()))?;
                Ok(Reply::flag(new))
            }
            MapOperation::IncrementBy { path, by } => {
                let address = checked(draft, path)?;
                let sum = increment(draft, address, *by, NumberIn::Field)?;
                Ok(Reply::Integer(sum))
            }
            MapOperation::IncrementByFloat { path, by } => {
                let address = checked(draft, path)?;
                let sum = increment_float(draft, address, by, NumberIn::Field)?;
                Ok(Reply::Value(sum))
            }
            MapOperation::Remove { path, cells_max } => {
                let own = path.address();
                // The range holds a nested cell, but not a field.
                if draft.has_expired(&own) {
                    draft.remove(own.clone())?;
                }
                let field = (own.kind == Kind::Field && draft.has(&own)).then_some(own);
                let range = path.under();
                let under = draft.scan(&range, Direction::Forward);
                let under = under.map(|(address, _)| address.clone());
                let removed: Vec<_> = field.into_iter().chain(under).take(*cells_max).collect();
                let count = removed.len();
                for address in removed {
                    draft.remove(address)?;
                }
                Ok(Reply::count(count))
            }
            MapOperation::Entries(under) => Ok(Reply::Entries(entries(draft, under.as_ref()))),
            MapOperation::Count(under) => Ok(Reply::count(entries(draft, under.as_ref()).len())),
        }
    }
}

/// The address of a path that a client may write to.
fn checked<C: Cells>(draft: &Draft<'_, '_, C>, path: &MapPath) -> Result<Address, OpError> {
    let address = path.address();
    draft.limits().element(&address.path)?;
    Ok(address)
}

/// Where the values are that are under a path, or those of all the map.
fn ranges(under: Option<&MapPath>) -> Vec<AddressRange> {
    match under {
        Some(path) => vec![path.under()],
        None => vec![AddressRange::all(Kind::Field), AddressRange::all(Kind::Nested)],
    }
}

/// The values strictly under a path, or all, with their segments.
fn entries<C: Cells>(
    draft: &Draft<'_, '_, C>,
    under: Option<&MapPath>,
) -> Vec<(Vec<Bytes>, Bytes)> {
    let own = under.map(MapPath::address);
    let mut entries = Vec::new();
    for range in ranges(under) {
        let cells = draft.scan(&range, Direction::Forward);
        let strictly = cells.filter(|(address, _)| own.as_ref() != Some(*address));
        entries.extend(strictly.filter_map(|(address, cell)| {
            let segments = if range.kind == Kind::Field {
                vec![address.path.clone()]
            } else {
                // A peer's cells may be at paths that no client can name.
                nested_segments(&address.path)?
            };
            Some((segments, value_of(&cell)?))
        }));
    }
    entries
}
