//! What this node has of a bucket from some hash on: the roots of its keys, without a walk over their cells.

use bytes::Bytes;
use coterie_crdt::digest::key_digest;
use coterie_crdt::encoding::decode_root;
use coterie_crdt::operation::{KeyOperation, Operation, Reply};
use coterie_crdt::{Actor, Clock, Dot, Mint, Root, Shown, State};
use coterie_ring::{KeyHash, Partition, Partitioner};
use coterie_wire::peer::listing::{KeyShown, ShownKeys};
use coterie_wire::{Key, LIST_KEYS_MAX, ListFrom};

use super::Found;
use crate::rows::address::{self, KeyRow};
use crate::rows::{Direction, KeyRange, NotResident, Row, Rows, Space};
use crate::strong::{self, StrongValue};

/// Rows read for one event.
const ROWS_MAX: usize = 768;

/// Rows read at once, at first and at most: few where keys have many cells, which are skipped, or much in their roots.
const PAGE_FIRST: usize = 16;
const PAGE_MAX: usize = 256;

/// Ranges looked at for one event.
const SCANS_MAX: usize = 96;

/// Bytes of rows after which no more are read for one event.
const BYTES_MAX: usize = 4 << 20;

/// Bytes of rows for which the next are read one by one.
const PAGE_BYTES: usize = 256 << 10;

/// The most bytes of names in one chunk.
const NAMES_BYTES_MAX: usize = 256 << 10;

/// One key that an owner has rows of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) hash: u64,
    pub(super) name: Bytes,
    /// `None` where it cannot be told now.
    pub(super) digest: Option<u128>,
    /// Whether what is left makes nothing live, whatever it is joined with.
    pub(super) remains: bool,
    /// What the key is to a client where all have the same; `None` where these rows alone do not say.
    pub(super) shown: Option<Shown>,
}

/// Keys in the order of rows: all that an owner has up to the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    pub(super) keys: Vec<Seen>,
    /// What comes next is not in it; `None` for the end of the partition.
    pub(super) end: Option<ListFrom>,
}

/// Where a key lies among those of its bucket: by hash, shorter names first.
pub(super) type Place<'n> = (u64, usize, &'n [u8]);

impl Seen {
    pub(super) fn place(&self) -> Place<'_> {
        (self.hash, self.name.len(), &self.name)
    }
}

/// Whether a key lies before this.
pub(super) fn is_before(place: Place<'_>, end: &ListFrom) -> bool {
    let (hash, length, name) = place;
    let upto = |after: &Bytes| (length, name) <= (after.len(), &after[..]);
    hash < end.hash || hash == end.hash && end.after.as_ref().is_some_and(upto)
}

/// Where a listing goes on that stopped before a key of hash `next`, after `last`.
pub(super) fn stop(last: Option<Place<'_>>, next: u64) -> ListFrom {
    let same = last.filter(|(hash, ..)| *hash == next);
    ListFrom { hash: next, after: same.map(|(_, _, name)| Bytes::copy_from_slice(name)) }
}

/// Reads the next keys of a bucket.
///
/// # Errors
/// [`NotResident`]
pub(super) fn read(
    partition: Partition,
    bucket: &[u8],
    (from, keys_max): (&ListFrom, u32),
    wall_millis: u64,
    rows: &impl Rows,
) -> Result<Found, NotResident> {
    let keys_max = keys_max.clamp(1, LIST_KEYS_MAX) as usize;
    let after = from.after.as_deref();
    let mut range = address::list_range(partition, bucket, from.hash, after);
    let (mut keys, mut names_bytes): (Vec<Seen>, usize) = (Vec::new(), 0);
    let (mut rows_left, mut scans_left, mut bytes_left) = (ROWS_MAX, SCANS_MAX, BYTES_MAX);
    let mut page = PAGE_FIRST;
    let mut ended = false;
    // One key more than asked for says where the next chunk begins.
    while keys.len() <= keys_max
        && names_bytes < NAMES_BYTES_MAX
        && rows_left > 0
        && scans_left > 0
        && (bytes_left > 0 || keys.len() < 2)
    {
        if range.is_empty() {
            ended = true;
            break;
        }
        let limit = page.min(rows_left).min(keys_max + 1 - keys.len());
        let found = rows.scan(Space::Rows, &range, Direction::Forward, limit)?;
        rows_left -= found.len();
        scans_left -= 1;
        let bytes: usize = found.iter().map(|(row, value)| row.len() + value.len()).sum();
        bytes_left = bytes_left.saturating_sub(bytes);
        let before = keys.len();
        let next = take(&found, wall_millis, &mut keys);
        names_bytes += keys[before..].iter().map(|seen| seen.name.len()).sum::<usize>();
        if found.len() < limit {
            ended = true;
            break;
        }
        page = match keys.len() - before {
            _ if bytes > PAGE_BYTES => 1,
            roots if roots == found.len() => (page * 2).min(PAGE_MAX),
            roots => roots.clamp(1, PAGE_MAX),
        };
        match next {
            Some(next) => range.from = next,
            None => {
                ended = true;
                break;
            }
        }
    }
    if ended && keys.len() <= keys_max {
        return Ok(Found::Keys(Chunk { keys, end: None }));
    }
    if keys.len() < 2 {
        return Ok(Found::Damaged);
    }
    keys.truncate(keys_max + 1);
    let next = keys.pop().map_or(0, |next| next.hash);
    let end = Some(stop(keys.last().map(Seen::place), next));
    Ok(Found::Keys(Chunk { keys, end }))
}

/// Takes in a page of rows: roots are judged, cells skipped. Gives where the next page begins: after the cells of the
/// last key.
fn take(found: &[Row], wall_millis: u64, keys: &mut Vec<Seen>) -> Option<Bytes> {
    let mut last: Option<Bytes> = None;
    for (row, value) in found {
        match address::parse(row) {
            Some((_, key, KeyRow::Root)) => {
                last = Some(row.slice(..row.len() - 1));
                keys.push(judge(&key, value, wall_millis));
            }
            Some((_, _, KeyRow::Cell(address))) => {
                last = Some(row.slice(..row.len() - 1 - address.path.len()));
            }
            None => {}
        }
    }
    match last {
        Some(prefix) => KeyRange::prefix(prefix).to,
        None => found.last().and_then(|(row, _)| KeyRange::prefix(row.clone()).to),
    }
}

/// What a key's root, or its register, says.
fn judge(key: &Key, row: &Bytes, wall_millis: u64) -> Seen {
    let (hash, name) = (key.hash().0, key.name().clone());
    let unsure = Seen { hash, name, digest: None, remains: false, shown: None };
    if strong::is_register(row) {
        return judge_register(row).map_or(unsure.clone(), |(digest, remains, shown)| Seen {
            digest: Some(digest),
            remains,
            shown: Some(shown),
            ..unsure
        });
    }
    let Some(root) = decode_root(row).ok().filter(|root| !root.is_counting()) else {
        return unsure;
    };
    let digest = Some(key_digest(&root));
    if root.has_nothing_live() {
        return Seen { digest, remains: true, shown: Some(Shown::Nothing), ..unsure };
    }
    Seen { digest, shown: shown(root, wall_millis), ..unsure }
}

/// The digest of a strong key, whether nothing was ever accepted, and what it is to a client; `None` where the row is
/// damaged.
///
/// A deleted value is more than remains: where a majority has not voted for it, another may be chosen.
fn judge_register(row: &Bytes) -> Option<(u128, bool, Shown)> {
    let acceptor = strong::decode(Some(row)).ok()?;
    let Some(vote) = acceptor.accepted() else { return Some((0, true, Shown::Nothing)) };
    let value = StrongValue::decode(&vote.value).ok()?.value;
    let shown = value.map_or(Shown::Nothing, |_| Shown::String);
    Some((strong::digest(&acceptor), false, shown))
}

/// What `TYPE` answers, which looks at the root alone.
fn shown(root: Root, wall_millis: u64) -> Option<Shown> {
    let cells = State::from_rows(root, [].into());
    let mut clock = Clock::new();
    let mut mint = Mint::new(Dot::new(Actor(0), 1), &mut clock, wall_millis, 0);
    match Operation::Key(KeyOperation::Type).evaluate(&cells, &mut mint) {
        Ok((Reply::Type(shown), _)) => Some(shown),
        Ok(_) | Err(_) => None,
    }
}

impl Chunk {
    /// As it is shown to another owner.
    pub(super) fn show(self) -> ShownKeys {
        let shown = |seen: Seen| {
            let Seen { name, digest, remains, .. } = seen;
            KeyShown { name, digest, remains }
        };
        ShownKeys { keys: self.keys.into_iter().map(shown).collect(), end: self.end }
    }

    /// As another owner has shown it, as far as it is of what was asked for: keys of the partition from `from` on.
    pub(super) fn shown_by(
        shown: ShownKeys,
        (bucket, from): (&[u8], &ListFrom),
        partitioner: Partitioner,
    ) -> Chunk {
        let partition = partitioner.partition(KeyHash(from.hash));
        let seen = |shown: KeyShown| {
            let KeyShown { name, digest, remains } = shown;
            let hash = KeyHash::of(bucket, &name);
            let seen = Seen { hash: hash.0, name, digest, remains, shown: None };
            let inside = partitioner.partition(hash) == partition && !is_before(seen.place(), from);
            inside.then_some(seen)
        };
        Chunk { keys: shown.keys.into_iter().filter_map(seen).collect(), end: shown.end }
    }
}
