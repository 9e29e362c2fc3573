//! Joins of more than one event may touch: they go on in chunks.

use std::collections::{BTreeMap, VecDeque};

use coterie_crdt::{Address, AddressRange, Cells, Delta, Footprint, Partial, adopt_context};
use coterie_ring::NodeId;
use coterie_ring::moves::SetVersion;
use coterie_wire::peer::write::{Change, Durability, Write, WriteAnswer};
use coterie_wire::{Key, Message, RequestId, Slice};

use super::transfer::{self, PART};
use super::{Event, Stored, admit, apply, split, store, write};
use crate::effects::{After, Effects};
use crate::lane::Shared;
use crate::rows::address::KeyPrefix;
use crate::rows::{Direction, ReadError, Rows, Space};

/// Joins under way at once. What they hold in memory came in messages of bounded size.
const JOINS_MAX: usize = 16;

/// What a lane joins in chunks.
#[derive(Debug, Default)]
pub(super) struct Joins {
    next: u64,
    under_way: BTreeMap<u64, Join>,
}

/// One write that is joined in chunks. Nobody is answered before the last; what a crash leaves of it is sound.
#[derive(Debug)]
struct Join {
    from: NodeId,
    request: RequestId,
    slice: Slice,
    /// What the message bore: both are checked again before each chunk.
    tags: (SetVersion, u64),
    key: Key,
    durability: Durability,
    rest: Rest,
}

/// What is left to be joined.
#[derive(Debug)]
enum Rest {
    Deltas(VecDeque<Delta>),
    /// The cells after one; the context is taken in at the end where the state is a whole one.
    Partial {
        partial: Partial,
        after: Option<Address>,
        is_whole: bool,
    },
    /// How far is in the root.
    Whole(Partial),
}

/// One chunk, with the rows it joins.
#[derive(Debug)]
pub(super) struct Chunk {
    stored: Stored,
    change: ChunkChange,
}

#[derive(Debug)]
enum ChunkChange {
    Delta,
    /// Some cells, and the last of them; `None` at the end.
    Partial(Box<Change>, Option<Address>),
    Whole,
}

impl Joins {
    /// Begins to join what is too large for one event. Whether there is room for it.
    pub(super) fn begin(
        &mut self,
        from: NodeId,
        message: &Message,
        write: Write,
        effects: &mut Effects,
    ) -> bool {
        let Some(slice) = message.slice else { return false };
        let rest = match write.change {
            Change::Delta(delta) => {
                split(&delta, store::CELLS_MAX).map(|deltas| Rest::Deltas(deltas.into()))
            }
            Change::Partial(partial) => {
                Some(Rest::Partial { partial, after: None, is_whole: false })
            }
            Change::Whole(partial) => Some(Rest::Whole(partial)),
        };
        let Some(rest) = rest.filter(|_| self.under_way.len() < JOINS_MAX) else { return false };
        self.next += 1;
        let id = self.next;
        let (key, durability) = (write.key, write.durability);
        let tags = (message.layout, message.epoch);
        let request = message.request;
        self.under_way.insert(id, Join { from, request, slice, tags, key, durability, rest });
        effects.lane(After::Written, crate::Event::Replica(Event::Join { id }));
        true
    }

    /// Reads the rows of the next chunk.
    pub(super) fn read(&self, id: u64, rows: &impl Rows) -> Result<Option<Chunk>, ReadError> {
        let Some(join) = self.under_way.get(&id) else { return Ok(None) };
        let prefix = KeyPrefix::new(join.slice.partition, &join.key);
        let (stored, change) = match &join.rest {
            Rest::Deltas(deltas) => {
                let Some(delta) = deltas.front() else { return Ok(None) };
                let footprint = Footprint::cells(delta.cells().iter().map(|(at, _)| at.clone()));
                let stored = Stored::fetch(rows, &prefix, &footprint, store::CELLS_MAX)?;
                (stored, ChunkChange::Delta)
            }
            Rest::Partial { partial, after, .. } => {
                let (part, upto) = next_part(rows, &prefix, partial, after.as_ref())?;
                let change = Change::Partial(part);
                let stored = Stored::fetch_to_join(rows, &prefix, &change, 2 * store::CELLS_MAX)?;
                (stored, ChunkChange::Partial(Box::new(change), upto))
            }
            Rest::Whole(partial) => {
                let stored = transfer::fetch(rows, &prefix, partial, &Address::EXPIRY)?;
                (stored, ChunkChange::Whole)
            }
        };
        Ok(Some(Chunk { stored, change }))
    }

    /// Joins the next chunk, and answers after the last.
    pub(super) fn go_on(
        &mut self,
        shared: &mut Shared,
        id: u64,
        chunk: Option<Chunk>,
        effects: &mut Effects,
    ) {
        let Some(join) = self.under_way.get_mut(&id) else { return };
        let refused = admit::again(shared, join.slice, join.tags).err();
        let Some(chunk) = chunk.filter(|_| refused.is_none()) else {
            let join = self.under_way.remove(&id).expect("it is under way");
            let answer = match refused {
                Some(refusal) => {
                    admit::note(shared, join.from, refusal, effects);
                    refusal.to_write()
                }
                None => coterie_wire::Body::Wrote(WriteAnswer::Damaged),
            };
            let message = admit::answer(shared, join.request, join.slice, answer);
            return effects.send(join.from, crate::effects::Class::Requests, message);
        };
        if join.go_on(shared, chunk, effects) {
            effects.lane(After::Written, crate::Event::Replica(Event::Join { id }));
        } else {
            let join = self.under_way.remove(&id).expect("it is under way");
            let about = (join.request, join.slice);
            store::acknowledge(shared, join.from, about, (join.durability, false), effects);
        }
    }
}

impl Join {
    /// Joins a chunk. Whether there is another.
    fn go_on(&mut self, shared: &mut Shared, chunk: Chunk, effects: &mut Effects) -> bool {
        let Chunk { mut stored, change } = chunk;
        let (slice, key) = (self.slice, &self.key);
        match (&mut self.rest, change) {
            (Rest::Deltas(deltas), ChunkChange::Delta) => {
                if let Some(delta) = deltas.pop_front() {
                    apply(shared, slice, key, &mut stored, &Change::Delta(delta), effects);
                }
                !deltas.is_empty()
            }
            (Rest::Partial { partial, after, is_whole }, ChunkChange::Partial(part, upto)) => {
                apply(shared, slice, key, &mut stored, &part, effects);
                *after = upto;
                if after.is_none() && *is_whole {
                    let adopted = adopt_context(&stored.state, partial.context());
                    write(shared, slice, key, &mut stored, adopted, effects);
                }
                after.is_some()
            }
            (Rest::Whole(partial), ChunkChange::Whole) => {
                let root = stored.root();
                let other = root.transfer.filter(|other| other.context != *partial.context());
                let (sender, chunk) = ((partial.context(), true), (&*partial, &Address::EXPIRY));
                let joined = match other {
                    None => {
                        let at = (slice, key);
                        transfer::join(shared, at, &mut stored, sender, chunk, effects).ok()
                    }
                    Some(_) => None,
                };
                if let Some(left) = joined {
                    return left.is_some();
                }
                // The end of another transfer would not be that of this state: its cells are joined one by one.
                let partial = partial.clone();
                self.rest = Rest::Partial { partial, after: None, is_whole: true };
                true
            }
            (rest, change) => panic!("{change:?} was not read for {rest:?}"),
        }
    }
}

/// What a partial state says of the cells after one, as far as one event may touch, and the last cell that
/// it speaks for; `None` at its end.
fn next_part(
    rows: &impl Rows,
    prefix: &KeyPrefix,
    partial: &Partial,
    after: Option<&Address>,
) -> Result<(Partial, Option<Address>), ReadError> {
    let behind = |address: &&Address| after.is_none_or(|after| *address > after);
    let mut last = partial.cells().keys().filter(behind).nth(PART - 1).cloned();
    let mut left = PART;
    for range in intersect(partial.ranges(), after, &Address::EXPIRY) {
        if left == 0 {
            break;
        }
        let found = rows.scan(Space::Rows, &prefix.range(&range), Direction::Forward, left)?;
        left -= found.len();
        if left == 0
            && let Some((row, _)) = found.last()
        {
            let address = prefix.parse_cell(row).ok_or(ReadError::DamagedAddress)?;
            last = Some(last.map_or(address.clone(), |last| last.min(address)));
        }
    }
    let upto = last.clone().unwrap_or(Address::EXPIRY);
    let inside = partial.cells().iter().filter(|(address, _)| behind(address) && **address <= upto);
    let cells = inside.map(|(address, cell)| (address.clone(), cell.clone())).collect();
    let ranges = intersect(partial.ranges(), after, &upto);
    let root = partial.root().cloned().unwrap_or_default();
    let part = Partial::from_parts(root, cells, ranges, None, partial.is_transferring(), false);
    Ok((part.expect("a part of what is sound is sound"), last))
}

/// What of some ranges lies after one address, up to another and with it; in order.
fn intersect(
    ranges: &[AddressRange],
    after: Option<&Address>,
    upto: &Address,
) -> Vec<AddressRange> {
    let mut parts = Vec::new();
    for between in AddressRange::between(after, upto) {
        for range in ranges.iter().filter(|range| range.kind == between.kind) {
            let from = range.from.clone().max(between.from.clone());
            let to = match (&range.to, &between.to) {
                (Some(to), Some(upto)) => Some(to.min(upto).clone()),
                (to, upto) => to.clone().or_else(|| upto.clone()),
            };
            if to.as_ref().is_none_or(|to| from < *to) {
                parts.push(AddressRange { kind: range.kind, from, to });
            }
        }
    }
    parts.sort_by(|a, b| (a.kind, &a.from).cmp(&(b.kind, &b.from)));
    parts
}
