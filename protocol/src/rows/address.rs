//! Where each row lies: the bytes of row keys (docs/formats.md, "Rows").

use std::ops::Bound;

use bytes::{BufMut, Bytes, BytesMut};
use coterie_crdt::{Address, AddressRange, Kind, Score};
use coterie_ring::{KeyHash, NodeId, Partition};
use coterie_wire::{Key, Slice};

use super::KeyRange;

/// Follows a key's prefix in the address of its root; below every kind of cell.
const ROOT: u8 = 0;

/// What a derived row is for: follows the partition in its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Derived {
    /// The expiry of a key or of a field: deadline, then the key, and the field's cell.
    Deadline = b'e',
    /// Cells of a large key by the hash of their addresses.
    CellOrder = b'o',
    /// Sums of the cells of a large key by sub-range.
    CellSums = b'u',
    /// Members of a sorted set by score.
    Score = b's',
    /// Cells with standing tallies.
    Tallied = b't',
    /// Keys with a job under way: a pending delete to sweep, an index to build, a transfer.
    Unfinished = b'j',
}

impl Derived {
    /// Those that lie by bucket and key: all of a key are one range. In the order of deadlines time comes first.
    pub const BY_KEY: [Derived; 5] = [
        Derived::CellOrder,
        Derived::CellSums,
        Derived::Score,
        Derived::Tallied,
        Derived::Unfinished,
    ];
}

/// What a control row of a slice holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SliceRow {
    /// The unspent actors.
    Actors = b'a',
    /// The purge epoch, and how far the next one is.
    Epoch = b'e',
    /// The replica's state of moving.
    Replica = b'r',
    /// How much of the slice has been received.
    Reception = b'v',
    /// Owners that are to be synchronised because something sent to them was given up.
    Dirty = b'y',
}

/// The bytes that all rows of a key begin with: partition ‖ bucket ‖ hash ‖ key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyPrefix(Bytes);

impl KeyPrefix {
    /// The prefix of `key`, which falls into `partition`.
    ///
    /// # Panics
    /// If the bucket's name is longer than 255 bytes or the key than 65,535: neither is let in.
    #[must_use]
    pub fn new(partition: Partition, key: &Key) -> Self {
        let (bucket, name) = (key.bucket(), key.name());
        let mut bytes = BytesMut::with_capacity(2 + 1 + bucket.len() + 8 + 2 + name.len());
        put_bucket(&mut bytes, partition, bucket);
        bytes.put_u64(key.hash().0);
        bytes.put_u16(u16::try_from(name.len()).expect("keys are shorter than 64 KiB"));
        bytes.put_slice(name);
        KeyPrefix(bytes.freeze())
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// The prefix of these bytes, which were one's.
    #[must_use]
    pub(crate) fn of(bytes: &Bytes) -> Self {
        KeyPrefix(bytes.clone())
    }

    /// The address of the key's root.
    #[must_use]
    pub fn root(&self) -> Bytes {
        self.with(&[&[ROOT]])
    }

    /// The address of one cell outside the root.
    #[must_use]
    pub fn cell(&self, address: &Address) -> Bytes {
        self.with(&[&[address.kind as u8], &address.path])
    }

    /// All rows of the key.
    #[must_use]
    pub fn rows(&self) -> KeyRange {
        KeyRange::prefix(self.0.clone())
    }

    /// The rows of the key outside the root.
    #[must_use]
    pub fn cells(&self) -> KeyRange {
        let rows = self.rows();
        KeyRange { from: self.with(&[&[ROOT + 1]]), to: rows.to }
    }

    /// The rows of a range of cells.
    #[must_use]
    pub fn range(&self, range: &AddressRange) -> KeyRange {
        let cell = |path: &Bytes| self.with(&[&[range.kind as u8], path]);
        let to = match &range.to {
            Some(to) => Some(cell(to)),
            None => KeyRange::prefix(cell(&Bytes::new())).to,
        };
        KeyRange { from: cell(&range.from), to }
    }

    /// Which cell of this key the address of a row names; `None` for its root, and for what no version
    /// wrote.
    #[must_use]
    pub fn parse_cell(&self, address: &Bytes) -> Option<Address> {
        let rest = address.strip_prefix(&self.0[..])?;
        let kind = Kind::from_byte(*rest.first()?).filter(|kind| !kind.lives_in_root())?;
        Some(Address::new(kind, address.slice(self.0.len() + 1..)))
    }

    /// The address of a row that is derived from the key.
    #[must_use]
    pub fn derived(&self, what: Derived, rest: &[u8]) -> Bytes {
        let mut bytes = BytesMut::with_capacity(self.0.len() + 1 + rest.len());
        let (partition, key) = self.0.split_at(2);
        bytes.put_slice(partition);
        bytes.put_u8(what as u8);
        bytes.put_slice(key);
        bytes.put_slice(rest);
        bytes.freeze()
    }

    /// The address of a sorted set's member under a score.
    #[must_use]
    pub fn score(&self, score: Score, member: &[u8]) -> Bytes {
        let mut rest = BytesMut::with_capacity(8 + member.len());
        rest.put_u64(score.order_bits());
        rest.put_slice(member);
        self.derived(Derived::Score, &rest)
    }

    /// The rows of a sorted set's members with scores within bounds.
    #[must_use]
    pub fn scores(&self, scores: (Bound<Score>, Bound<Score>)) -> KeyRange {
        let at = |bits: u64| self.derived(Derived::Score, &bits.to_be_bytes());
        let all = KeyRange::prefix(self.derived(Derived::Score, &[]));
        // The bits of every score have a successor.
        let from = match scores.0 {
            Bound::Included(score) => at(score.order_bits()),
            Bound::Excluded(score) => at(score.order_bits() + 1),
            Bound::Unbounded => all.from,
        };
        let to = match scores.1 {
            Bound::Included(score) => Some(at(score.order_bits() + 1)),
            Bound::Excluded(score) => Some(at(score.order_bits())),
            Bound::Unbounded => all.to,
        };
        KeyRange { from, to }
    }

    /// The score and member of a row in the order of scores; `None` for what no version wrote.
    #[must_use]
    pub fn parse_score(&self, address: &Bytes) -> Option<(Score, Bytes)> {
        let start = self.derived(Derived::Score, &[]);
        let bits = address.strip_prefix(&start[..])?.first_chunk()?;
        let bits = u64::from_be_bytes(*bits);
        let number = f64::from_bits(if bits >> 63 == 1 { bits & !(1 << 63) } else { !bits });
        let score = Score::new(number).filter(|score| score.order_bits() == bits)?;
        Some((score, address.slice(start.len() + 8..)))
    }

    /// The cell that a mark of standing tallies names; `None` for what no version wrote.
    #[must_use]
    pub fn parse_tallied(&self, address: &Bytes) -> Option<Address> {
        let start = self.derived(Derived::Tallied, &[]);
        let rest = address.strip_prefix(&start[..])?;
        let kind = Kind::from_byte(*rest.first()?).filter(|kind| kind.has_tallies())?;
        Some(Address::new(kind, address.slice(start.len() + 1..)))
    }

    /// The address of the mark of a cell with standing tallies.
    #[must_use]
    pub fn tallied(&self, address: &Address) -> Bytes {
        let mut rest = BytesMut::with_capacity(1 + address.path.len());
        rest.put_u8(address.kind as u8);
        rest.put_slice(&address.path);
        self.derived(Derived::Tallied, &rest)
    }

    /// The address of a cell in the order of hashes.
    #[must_use]
    pub fn cell_order(&self, address: &Address) -> Bytes {
        let mut rest = BytesMut::with_capacity(9 + address.path.len());
        rest.put_u64(address.hash());
        rest.put_u8(address.kind as u8);
        rest.put_slice(&address.path);
        self.derived(Derived::CellOrder, &rest)
    }

    /// The address of the mark that a job on the key is under way.
    #[must_use]
    pub fn unfinished(&self) -> Bytes {
        self.derived(Derived::Unfinished, &[])
    }

    /// The address of the key's mark in the order of deadlines.
    #[must_use]
    pub fn deadline(&self, millis: u64) -> Bytes {
        let (partition, key) = self.0.split_at(2);
        let mut bytes = BytesMut::with_capacity(self.0.len() + 9);
        bytes.put_slice(partition);
        bytes.put_u8(Derived::Deadline as u8);
        bytes.put_u64(millis);
        bytes.put_slice(key);
        bytes.freeze()
    }

    /// The address of the mark of one of the key's fields in the order of deadlines.
    #[must_use]
    pub fn field_deadline(&self, millis: u64, field: &[u8]) -> Bytes {
        let key = self.deadline(millis);
        let mut bytes = BytesMut::with_capacity(key.len() + 1 + field.len());
        bytes.put_slice(&key);
        bytes.put_u8(Kind::Field as u8);
        bytes.put_slice(field);
        bytes.freeze()
    }

    fn with(&self, parts: &[&[u8]]) -> Bytes {
        let length = self.0.len() + parts.iter().map(|part| part.len()).sum::<usize>();
        let mut bytes = BytesMut::with_capacity(length);
        bytes.put_slice(&self.0);
        parts.iter().for_each(|part| bytes.put_slice(part));
        bytes.freeze()
    }
}

fn put_bucket(bytes: &mut BytesMut, partition: Partition, bucket: &[u8]) {
    bytes.put_u16(partition.0);
    bytes.put_u8(u8::try_from(bucket.len()).expect("buckets have names of at most 64 bytes"));
    bytes.put_slice(bucket);
}

/// Which row of a key an address names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRow {
    /// Its root.
    Root,
    /// A cell.
    Cell(Address),
}

/// Takes the address of a row in [`Space::Rows`](super::Space::Rows) apart: partition, key, row. `None` for
/// bytes that no version wrote.
#[must_use]
pub fn parse(address: &Bytes) -> Option<(Partition, Key, KeyRow)> {
    let partition = Partition(u16::from_be_bytes(address.get(..2)?.try_into().ok()?));
    let (key, end) = parse_key(address, 2)?;
    let row = match *address.get(end)? {
        ROOT if address.len() == end + 1 => KeyRow::Root,
        ROOT => return None,
        kind => KeyRow::Cell(Address::new(Kind::from_byte(kind)?, address.slice(end + 1..))),
    };
    Some((partition, key, row))
}

/// The key written at `start` as bucket ‖ hash ‖ key, and where it ends.
#[must_use]
pub fn parse_key(address: &Bytes, start: usize) -> Option<(Key, usize)> {
    let bucket_from = start + 1;
    let bucket_to = bucket_from + usize::from(*address.get(start)?);
    let hash = u64::from_be_bytes(address.get(bucket_to..bucket_to + 8)?.try_into().ok()?);
    let length = address.get(bucket_to + 8..bucket_to + 10)?.try_into().ok()?;
    let (from, length) = (bucket_to + 10, usize::from(u16::from_be_bytes(length)));
    if address.len() < from + length {
        return None;
    }
    let key = Key::new(address.slice(bucket_from..bucket_to), address.slice(from..from + length));
    (key.hash() == KeyHash(hash)).then_some((key, from + length))
}

/// The rows of a bucket in a partition whose keys' hashes lie from `from` to `to`, both inside.
#[must_use]
pub fn hash_range(partition: Partition, bucket: &[u8], from: u64, to: u64) -> KeyRange {
    let mut start = BytesMut::with_capacity(11 + bucket.len());
    put_bucket(&mut start, partition, bucket);
    let mut end = start.clone();
    start.put_u64(from);
    end.put_u64(to);
    KeyRange { from: start.freeze(), to: KeyRange::prefix(end).to }
}

/// The rows of a bucket in a partition from a hash on; of the keys with just this hash, those after the one of this name.
#[must_use]
pub fn list_range(
    partition: Partition,
    bucket: &[u8],
    from: u64,
    after: Option<&[u8]>,
) -> KeyRange {
    let mut start = BytesMut::with_capacity(13 + bucket.len() + after.map_or(0, <[u8]>::len));
    put_bucket(&mut start, partition, bucket);
    let to = KeyRange::prefix(start.clone().freeze()).to;
    start.put_u64(from);
    let Some(name) = after else { return KeyRange { from: start.freeze(), to } };
    start.put_u16(u16::try_from(name.len()).unwrap_or(u16::MAX));
    start.put_slice(name);
    match KeyRange::prefix(start.freeze()).to {
        Some(from) => KeyRange { from, to },
        None => KeyRange { from: Bytes::new(), to: Some(Bytes::new()) },
    }
}

/// All rows of a partition in [`Space::Rows`](super::Space::Rows) or
/// [`Space::Derived`](super::Space::Derived).
#[must_use]
pub fn partition_range(partition: Partition) -> KeyRange {
    KeyRange::prefix(partition.0.to_be_bytes().to_vec())
}

/// All derived rows of one use in a partition.
#[must_use]
pub fn derived_range(partition: Partition, what: Derived) -> KeyRange {
    let [high, low] = partition.0.to_be_bytes();
    KeyRange::prefix(vec![high, low, what as u8])
}

/// The address of a leaf's sum, in [`Space::Leaves`](super::Space::Leaves).
#[must_use]
pub fn leaf(slice: Slice, leaf: u8) -> Bytes {
    let [high, low] = slice.partition.0.to_be_bytes();
    Bytes::copy_from_slice(&[high, low, slice.replicas, leaf])
}

/// The sums of all leaves of a slice.
#[must_use]
pub fn leaves(slice: Slice) -> KeyRange {
    KeyRange::prefix(leaf(slice, 0).slice(..3))
}

/// Whose sum lies at an address: how many replicas the slice has, and which leaf; `None` for bytes that no version wrote.
#[must_use]
pub fn parse_leaf(address: &[u8]) -> Option<(u8, u8)> {
    match address {
        [_, _, replicas, leaf] => Some((*replicas, *leaf)),
        _ => None,
    }
}

/// The rows of a bucket in a partition.
#[must_use]
pub fn bucket_range(partition: Partition, bucket: &[u8]) -> KeyRange {
    let mut prefix = BytesMut::with_capacity(3 + bucket.len());
    put_bucket(&mut prefix, partition, bucket);
    KeyRange::prefix(prefix.freeze())
}

/// The derived rows of one use of a bucket in a partition. Not of [`Derived::Deadline`], where time comes before the
/// bucket.
#[must_use]
pub fn derived_bucket_range(partition: Partition, what: Derived, bucket: &[u8]) -> KeyRange {
    let mut prefix = BytesMut::with_capacity(4 + bucket.len());
    put_bucket(&mut prefix, partition, bucket);
    let rest = prefix.split_off(2);
    prefix.put_u8(what as u8);
    prefix.put_slice(&rest);
    KeyRange::prefix(prefix.freeze())
}

/// The bucket of a mark in the order of deadlines; `None` for bytes that no version wrote.
#[must_use]
pub fn deadline_bucket(address: &Bytes) -> Option<Bytes> {
    parse_key(address, 11).map(|(key, _)| key.bucket().clone())
}

/// Takes a mark in the order of deadlines apart: milliseconds since 1970, the key, and the field where it is not the key
/// that expires. `None` for bytes that no version wrote.
#[must_use]
pub fn parse_deadline(address: &Bytes) -> Option<(u64, Key, Option<Bytes>)> {
    let millis = u64::from_be_bytes(address.get(3..11)?.try_into().ok()?);
    let (key, end) = parse_key(address, 11)?;
    match address.get(end) {
        None => Some((millis, key, None)),
        Some(&kind) if kind == Kind::Field as u8 => {
            Some((millis, key, Some(address.slice(end + 1..))))
        }
        Some(_) => None,
    }
}

/// The address of a control row of a slice.
#[must_use]
pub fn slice_row(slice: Slice, what: SliceRow) -> Bytes {
    let [high, low] = slice.partition.0.to_be_bytes();
    vec![b's', high, low, slice.replicas, what as u8].into()
}

/// All control rows of slices.
#[must_use]
pub fn slice_rows() -> KeyRange {
    KeyRange::prefix(vec![b's'])
}

/// The address of a lane's commit number.
#[must_use]
pub fn commits(lane: u16) -> Bytes {
    let [high, low] = lane.to_be_bytes();
    vec![b'c', high, low].into()
}

/// The address of a control row of the node itself.
#[must_use]
pub fn node_row(name: &'static str) -> Bytes {
    let mut bytes = vec![b'n'];
    bytes.extend_from_slice(name.as_bytes());
    bytes.into()
}

/// The prefix of the notes of slices of which an owner is still to be told that another lacks something.
#[must_use]
pub fn untold_row(slice: Slice) -> Bytes {
    let [high, low] = slice.partition.0.to_be_bytes();
    vec![b'u', high, low, slice.replicas].into()
}

/// All such notes.
#[must_use]
pub fn untold_rows() -> KeyRange {
    KeyRange::prefix(vec![b'u'])
}

/// The address of the actor that this node mints under for a slice that it does not own.
#[must_use]
pub fn fallback_actor(slice: Slice) -> Bytes {
    let [high, low] = slice.partition.0.to_be_bytes();
    vec![b'f', high, low, slice.replicas].into()
}

/// All such actors.
#[must_use]
pub fn fallback_actors() -> KeyRange {
    KeyRange::prefix(vec![b'f'])
}

/// The least address after another.
#[must_use]
pub fn after(address: &Bytes) -> Bytes {
    let mut next = address.to_vec();
    next.push(0);
    next.into()
}

/// The hints kept for an owner.
#[must_use]
pub fn hints_of(owner: NodeId) -> KeyRange {
    KeyRange::prefix(owner.0.to_be_bytes().to_vec())
}

/// The hints kept for an owner in one partition.
#[must_use]
pub fn hints_in(owner: NodeId, partition: Partition) -> KeyRange {
    let mut prefix = owner.0.to_be_bytes().to_vec();
    prefix.put_u16(partition.0);
    KeyRange::prefix(prefix)
}

impl KeyPrefix {
    /// The address of a hint of this key.
    #[must_use]
    pub fn hint(&self, owner: NodeId, sequence: u64) -> Bytes {
        let mut bytes = BytesMut::with_capacity(24 + self.0.len());
        bytes.put_u128(owner.0);
        bytes.put_slice(&self.0);
        bytes.put_u64(sequence);
        bytes.freeze()
    }

    /// The hints of this key kept for an owner, in the order in which they were made.
    #[must_use]
    pub fn hints(&self, owner: NodeId) -> KeyRange {
        let mut bytes = BytesMut::with_capacity(16 + self.0.len());
        bytes.put_u128(owner.0);
        bytes.put_slice(&self.0);
        KeyRange::prefix(bytes)
    }
}

/// Takes the address of a hint apart: owner, partition, key, sequence. `None` for bytes that no version
/// wrote.
#[must_use]
pub fn parse_hint(address: &Bytes) -> Option<(NodeId, Partition, Key, u64)> {
    let owner = NodeId(u128::from_be_bytes(address.get(..16)?.try_into().ok()?));
    let partition = Partition(u16::from_be_bytes(address.get(16..18)?.try_into().ok()?));
    let (key, end) = parse_key(address, 18)?;
    let sequence = u64::from_be_bytes(address.get(end..)?.try_into().ok()?);
    Some((owner, partition, key, sequence))
}
