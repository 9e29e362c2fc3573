//! Removing what has expired.
//!
//! An expired key or field reads as absent everywhere at once; the key's first owner removes it, by a request like any
//! other, once no clock within the bound can still say otherwise. Whether it has expired is judged again where the
//! request is evaluated, on a quorum's states.
//!
//! What is due is found by marks. One that its root or cell does not bear out, which damage to the storage leaves behind,
//! is deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use coterie_crdt::operation::{HashOperation, KeyOperation, Operation};
use coterie_crdt::{Address, Cell, DRIFT_MILLIS_MAX, Kind};
use coterie_ring::moves::Quorum;
use coterie_ring::{Level, Partition};
use coterie_wire::{Key, Levels, Request, SessionDots};

use super::Event;
use crate::coordinator;
use crate::effects::{After, Effects};
use crate::lane::Shared;
use crate::replica::admit;
use crate::rows::address::{self, Derived, KeyPrefix};
use crate::rows::{Direction, KeyRange, NotResident, Row, Rows, Space, fetch};

/// Marks that are looked at in one event, each with the root or cell that it is of.
const PAGE_ROWS: usize = 64;

/// How long after one event the next: at most 640 marks a second.
const PACE: Duration = Duration::from_millis(100);

/// How long after a partition was looked at in which expired keys are left, it is looked at again: requests to remove them
/// are under way, or it is for others to.
const RETRY_MILLIS: u64 = 5_000;

/// How often it is looked whether something has expired.
const IDLE: Duration = Duration::from_secs(1);

/// How long a request to remove a key may take.
const TIME_LEFT: Duration = Duration::from_secs(5);

/// The first deadline of the keys and fields of each partition, or one before it, in milliseconds since 1970.
#[derive(Clone, Debug, Default)]
pub struct Deadlines {
    first: BTreeMap<Partition, u64>,
}

impl Deadlines {
    /// A key of the partition, or a field of one, is to expire.
    pub fn expect(&mut self, partition: Partition, millis: u64) {
        let first = self.first.entry(partition).or_insert(millis);
        *first = (*first).min(millis);
    }

    /// The partition with the first deadline, if that is at or before `millis`.
    fn due(&self, millis: u64) -> Option<Partition> {
        let first = self.first.iter().min_by_key(|(_, first)| **first)?;
        (*first.1 <= millis).then_some(*first.0)
    }

    fn set(&mut self, partition: Partition, first: Option<u64>) {
        match first {
            Some(millis) => self.first.insert(partition, millis),
            None => self.first.remove(&partition),
        };
    }
}

/// Marks of a partition's keys and fields in the order of their deadlines.
#[derive(Debug)]
pub struct Found {
    marks: Vec<Row>,
    /// Those that nothing bears out.
    stale: BTreeSet<Bytes>,
}

/// What has expired of a key.
#[derive(Debug, Default)]
struct Due {
    whole: bool,
    fields: Vec<Bytes>,
}

/// The removal of expired keys in a lane.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    /// What is being looked at.
    pass: Option<Pass>,
    /// Partitions that have been looked at since the start.
    known: BTreeSet<Partition>,
    next_at: Duration,
    /// Whether an event is on its way.
    goes_on: bool,
}

/// A look at a partition.
#[derive(Debug)]
struct Pass {
    partition: Partition,
    range: KeyRange,
    /// Whether anything that has expired was seen.
    any: bool,
}

impl Expiry {
    /// Partitions that are new to this node may have keys that expire.
    pub(super) fn view_changed(&mut self, shared: &mut Shared) {
        for partition in shared.slices.keys().map(|slice| slice.partition) {
            if self.known.insert(partition) {
                shared.deadlines.expect(partition, 0);
            }
        }
    }

    /// Looks at the first partition in which something may have expired.
    pub(super) fn tick(&mut self, shared: &mut Shared, effects: &mut Effects) {
        if self.goes_on || self.next_at > shared.now.monotonic {
            return;
        }
        if self.pass.is_none()
            && let Some(partition) = shared.deadlines.due(expired_before(shared))
        {
            let range = address::derived_range(partition, Derived::Deadline);
            self.pass = Some(Pass { partition, range, any: false });
        }
        self.goes_on = self.pass.is_some();
        if self.goes_on {
            effects.lane(After::Written, Event::Expire.into());
        }
        self.next_at = shared.now.monotonic + IDLE;
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        (!self.goes_on).then_some(self.next_at)
    }

    pub(super) fn read(&self, shared: &Shared, rows: &impl Rows) -> Result<Found, NotResident> {
        let (mut marks, mut stale) = (Vec::new(), BTreeSet::new());
        if let Some(pass) = &self.pass {
            marks = rows.scan(Space::Derived, &pass.range, Direction::Forward, PAGE_ROWS)?;
            let before = expired_before(shared);
            for (mark, _) in &marks {
                if !is_borne_out(pass.partition, mark, before, rows)? {
                    stale.insert(mark.clone());
                }
            }
        }
        Ok(Found { marks, stale })
    }

    /// Has what has expired removed of keys of which this node is the first owner.
    pub(super) fn go_on(&mut self, shared: &mut Shared, found: Found, effects: &mut Effects) {
        self.goes_on = false;
        self.next_at = shared.now.monotonic + PACE;
        let Some(mut pass) = self.pass.take() else { return };
        let before = expired_before(shared);
        let mut next = None;
        let mut due: BTreeMap<Key, Due> = BTreeMap::new();
        for (mark, _) in &found.marks {
            if found.stale.contains(mark) {
                effects.batch.delete(Space::Derived, mark.clone());
                continue;
            }
            let Some((at, key, field)) = address::parse_deadline(mark) else { continue };
            if at > before {
                next = Some(at);
                break;
            }
            pass.any = true;
            if is_for_me(shared, &key) {
                let due = due.entry(key).or_default();
                due.whole |= field.is_none();
                due.fields.extend(field);
            }
        }
        for (key, due) in due {
            let request = Box::new(remove(shared, key, due));
            let event = crate::Event::Coordinator(coordinator::Event::Internal { request });
            effects.lane(After::Written, event);
        }
        if let Some(at) = next {
            let next = if pass.any { retry(before) } else { at };
            return shared.deadlines.set(pass.partition, Some(next));
        }
        match found.marks.last() {
            Some((last, _)) if found.marks.len() == PAGE_ROWS => {
                pass.range.from = address::after(last);
                self.pass = Some(pass);
            }
            _ => shared.deadlines.set(pass.partition, pass.any.then(|| retry(before))),
        }
    }
}

/// What has a deadline up to this one has expired by every clock within the bound.
fn expired_before(shared: &Shared) -> u64 {
    let slack = u64::try_from(2 * shared.settings.clock_bound.as_millis()).unwrap_or(u64::MAX);
    shared.now.wall_millis.saturating_sub(slack)
}

fn retry(before: u64) -> u64 {
    before.saturating_add(RETRY_MILLIS)
}

/// Whether this node is a key's first owner, and has received it.
fn is_for_me(shared: &Shared, key: &Key) -> bool {
    let state = shared.slice_of(key).filter(|state| admit::counts(shared, state));
    state.is_some_and(|state| {
        state.replica.sets().newest().members.first() == Some(&shared.me)
            && state.replica.may_coordinate(Quorum::Majority)
    })
}

/// Whether the root or the cell that a mark is of has that deadline. What does not expire yet is not looked at, and of
/// what is damaged nobody can tell.
fn is_borne_out(
    partition: Partition,
    mark: &Bytes,
    before: u64,
    rows: &impl Rows,
) -> Result<bool, NotResident> {
    let Some((at, key, field)) = address::parse_deadline(mark) else { return Ok(true) };
    if at > before {
        return Ok(true);
    }
    let prefix = KeyPrefix::new(partition, &key);
    let deadline = match field {
        None => fetch::root(rows, &prefix).map(|root| root.expiry.deadline()),
        Some(field) => fetch::cell(rows, &prefix, &Address::new(Kind::Field, field))
            .map(|cell| cell.as_ref().and_then(Cell::deadline)),
    };
    Ok(fetch::readable(deadline)?.is_none_or(|deadline| deadline == Some(at)))
}

fn remove(shared: &mut Shared, key: Key, due: Due) -> Request {
    let Due { whole, fields } = due;
    let whole = whole.then_some(KeyOperation::RemoveExpired { since_millis: 2 * DRIFT_MILLIS_MAX });
    let whole = whole.map(Operation::Key);
    let fields = (!fields.is_empty()).then_some(HashOperation::RemoveExpired(fields));
    let fields = fields.map(Operation::Hash);
    Request {
        id: shared.draw_request(),
        key,
        operations: whole.into_iter().chain(fields).collect(),
        levels: Levels { write: Some(Level::Quorum), read: Some(Level::Quorum) },
        time_left: TIME_LEFT,
        session: SessionDots::default(),
        explain: false,
    }
}
