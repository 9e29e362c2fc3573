//! Digests: equal for equal states, different for different ones, whatever the encoding.
//!
//! A digest covers values, never encoded bytes, which change between versions of the row format: a
//! cluster of mixed versions must not repair forever. A key's digest is the sum mod 2^128 of its cells'
//! digests and its context's, so it can be kept up to date from the rows that an operation touches.
//! The bytes fed to the hash are in docs/formats.md.

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::address::Address;
use crate::cell::Cell;
use crate::cells::{Cells, Direction, logical};
use crate::context::Context;
use crate::dot::Dot;
use crate::footprint::Footprint;
use crate::kind::COUNTED_KINDS;
use crate::mutants::{Mutant, mutant};
use crate::payload::Payload;
use crate::root::Root;

/// The version of what is fed to the hash. Changing it makes every replica look different once.
const DOMAIN: u8 = 1;

/// The digest of a cell's dots at its address; 0 where there are none.
pub fn dots_digest(address: &Address, cell: &Cell) -> u128 {
    if cell.dots().is_empty() || mutant(Mutant::DigestOfContextOnly) {
        return 0;
    }
    let mut feed = Feed::of_cell(b'd', address);
    feed.count(cell.dots().len());
    for (dot, payload) in cell.dots() {
        feed.dot(*dot);
        feed.payload(payload);
    }
    feed.digest()
}

/// The digest of a cell's tallies at its address; 0 where there are none.
pub fn tallies_digest(address: &Address, cell: &Cell) -> u128 {
    if cell.tallies().is_empty() || mutant(Mutant::DigestOfContextOnly) {
        return 0;
    }
    let mut feed = Feed::of_cell(b't', address);
    feed.count(cell.tallies().len());
    for (share, tally) in cell.tallies() {
        feed.put(share.actor.0.to_le_bytes());
        feed.put(share.ordinal.to_le_bytes());
        let amounts = [tally.p, tally.n, tally.p0, tally.n0];
        let present = |flags: u8, bit: usize| flags | u8::from(amounts[bit] != 0) << bit;
        feed.put([(0..amounts.len()).fold(0, present)]);
        for amount in amounts.into_iter().filter(|&amount| amount != 0) {
            feed.put(amount.to_le_bytes());
        }
    }
    feed.digest()
}

/// The digest of one row outside the root: the sum of those of its dots and of its tallies. Two parts,
/// so that deleting all dots of a key needs no look at the rows to know what is left.
pub fn cell_digest(address: &Address, cell: &Cell) -> u128 {
    dots_digest(address, cell).wrapping_add(tallies_digest(address, cell))
}

/// The digest of a context; 0 for an empty one.
pub fn context_digest(context: &Context) -> u128 {
    if context.is_empty() || mutant(Mutant::DigestWithoutContext) {
        return 0;
    }
    let mut feed = Feed::new(b'x');
    feed.count(context.vector().len());
    for &(actor, upto) in context.vector() {
        feed.dot(Dot::new(actor, upto));
    }
    feed.count(context.cloud().len());
    for &dot in context.cloud() {
        feed.dot(dot);
    }
    feed.digest()
}

/// The digest of the root row: its context and the cells that live in it.
pub fn root_digest(root: &Root) -> u128 {
    context_digest(&root.context)
        .wrapping_add(cell_digest(&Address::REGISTER, &root.register))
        .wrapping_add(cell_digest(&Address::EXPIRY, &root.expiry))
}

/// The digest of the whole key. What it says of a [counting](Root::is_counting) key is not yet true.
pub fn key_digest(root: &Root) -> u128 {
    root.dots_sum.wrapping_add(root.tallies_sum).wrapping_add(root_digest(root))
}

/// The sum of the digests of some cells outside the root.
pub fn cells_digest<'a>(cells: impl Iterator<Item = (&'a Address, &'a Cell)>) -> u128 {
    cells.fold(0, |sum, (address, cell)| sum.wrapping_add(cell_digest(address, cell)))
}

/// The digest of what an operation with this footprint sees: register and expiry, the cells named and those
/// in ranges named, and of which kinds any cell is live; pending deletes applied.
///
/// Replicas with equal ones answer equally, though they may differ in cells that the operation does not
/// see, and in what they have seen. Needs the rows of the footprint. Where that names something derived,
/// all cells decide, and the digest is of the whole key's too; tallies that a delete has to take back are
/// those of the whole key.
pub fn footprint_digest(cells: &impl Cells, footprint: &Footprint) -> u128 {
    let nothing = Root::default();
    let root = cells.root().unwrap_or(&nothing);
    let digest = |address: &Address, cell| cell_digest(address, &logical(root, cell));
    let mut sum = cell_digest(&Address::REGISTER, &root.register)
        .wrapping_add(cell_digest(&Address::EXPIRY, &root.expiry))
        .wrapping_add(kinds_digest(root));
    for address in footprint.cells.iter().filter(|address| !address.kind.lives_in_root()) {
        let cell = cells.cell(address).map_or(0, |cell| digest(address, cell));
        sum = sum.wrapping_add(cell);
    }
    for range in &footprint.ranges {
        let inside = cells.scan(range, Direction::Forward);
        sum = inside.fold(sum, |sum, (address, cell)| sum.wrapping_add(digest(address, cell)));
    }
    if footprint.tallied {
        sum = sum.wrapping_add(root.tallies_sum);
    }
    if !footprint.derived.is_empty() {
        sum = sum.wrapping_add(key_digest(root));
    }
    sum
}

/// The digest of which kinds are live. While a deletion is being counted nobody can tell, and it is not
/// that of any replica of which one can.
fn kinds_digest(root: &Root) -> u128 {
    let mut feed = Feed::new(b'k');
    feed.put([u8::from(root.is_counting())]);
    for kind in COUNTED_KINDS {
        feed.put([u8::from(root.counts.live(kind) > 0)]);
    }
    feed.digest()
}

/// Where a cell is in the order in which replicas compare the cells of a large key.
pub(crate) fn address_hash(address: &Address) -> u64 {
    let feed = Feed::of_cell(b'a', address);
    xxh3_64(feed.bytes_fed())
}

/// The bytes to be hashed. Most are short, so they are gathered without allocating.
struct Feed {
    inline: [u8; 384],
    length: usize,
    /// All of it, once it no longer fits inline.
    spilled: Vec<u8>,
}

impl Feed {
    fn new(part: u8) -> Self {
        let mut feed = Feed { inline: [0; 384], length: 0, spilled: Vec::new() };
        feed.put([DOMAIN, part]);
        feed
    }

    fn of_cell(part: u8, address: &Address) -> Self {
        let mut feed = Feed::new(part);
        feed.put([address.kind as u8]);
        feed.bytes(&address.path);
        feed
    }

    fn digest(&self) -> u128 {
        xxh3_128(self.bytes_fed())
    }

    fn bytes_fed(&self) -> &[u8] {
        if self.spilled.is_empty() { &self.inline[..self.length] } else { &self.spilled }
    }

    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        self.slice(&bytes);
    }

    #[inline]
    fn slice(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        match self.inline.get_mut(self.length..end) {
            Some(free) if self.spilled.is_empty() => {
                free.copy_from_slice(bytes);
                self.length = end;
            }
            Some(_) | None => self.spill(bytes),
        }
    }

    #[cold]
    fn spill(&mut self, bytes: &[u8]) {
        if self.spilled.is_empty() {
            self.spilled.extend_from_slice(&self.inline[..self.length]);
        }
        self.spilled.extend_from_slice(bytes);
    }

    fn count(&mut self, count: usize) {
        self.put((count as u64).to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.slice(bytes);
    }

    fn dot(&mut self, dot: Dot) {
        self.put(dot.actor.0.to_le_bytes());
        self.put(dot.sequence.to_le_bytes());
    }

    fn payload(&mut self, payload: &Payload) {
        match payload {
            Payload::Present => self.put([0]),
            Payload::Removed => self.put([1]),
            Payload::Value(time, value) => {
                self.put([2]);
                self.put(time.0.to_le_bytes());
                self.bytes(value);
            }
            Payload::Score(time, score) => {
                self.put([3]);
                self.put(time.0.to_le_bytes());
                self.put(score.get().to_bits().to_le_bytes());
            }
            Payload::Rank(rank) => self.put([4, *rank]),
            Payload::Deadline(time, deadline) => {
                self.put([5, u8::from(deadline.is_some())]);
                self.put(time.0.to_le_bytes());
                self.put(deadline.unwrap_or(0).to_le_bytes());
            }
        }
    }
}
