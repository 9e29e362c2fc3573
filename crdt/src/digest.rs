//! Digests: equal for equal states, different for different ones, whatever the encoding.
//!
//! A digest covers values, never encoded bytes, which change between versions of the row format: a
//! cluster of mixed versions must not repair forever. A key's digest is the sum mod 2^128 of its cells'
//! digests and its context's, so it can be kept up to date from the rows that an operation touches.
//! The bytes fed to the hash are in docs/formats.md.

use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_128;

use crate::address::Address;
use crate::cell::Cell;
use crate::context::Context;
use crate::dot::Dot;
use crate::mutants::{Mutant, mutant};
use crate::payload::Payload;
use crate::root::Root;

type Feed = SmallVec<[u8; 256]>;

/// The version of what is fed to the hash. Changing it makes every replica look different once.
const DOMAIN: u8 = 1;

/// The digest of a cell's dots at its address; 0 where there are none.
pub fn dots_digest(address: &Address, cell: &Cell) -> u128 {
    if cell.dots().is_empty() || mutant(Mutant::DigestOfContextOnly) {
        return 0;
    }
    let mut feed = feed_address(b'd', address);
    feed_count(&mut feed, cell.dots().len());
    for (dot, payload) in cell.dots() {
        feed_dot(&mut feed, *dot);
        feed_payload(&mut feed, payload);
    }
    xxh3_128(&feed)
}

/// The digest of a cell's tallies at its address; 0 where there are none.
pub fn tallies_digest(address: &Address, cell: &Cell) -> u128 {
    if cell.tallies().is_empty() || mutant(Mutant::DigestOfContextOnly) {
        return 0;
    }
    let mut feed = feed_address(b't', address);
    feed_count(&mut feed, cell.tallies().len());
    for (share, tally) in cell.tallies() {
        feed.extend_from_slice(&share.actor.0.to_le_bytes());
        feed.extend_from_slice(&share.ordinal.to_le_bytes());
        for amount in [tally.p, tally.n, tally.p0, tally.n0] {
            feed.extend_from_slice(&amount.to_le_bytes());
        }
    }
    xxh3_128(&feed)
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
    let mut feed = Feed::new();
    feed.extend_from_slice(&[DOMAIN, b'x']);
    feed_count(&mut feed, context.vector().len());
    for &(actor, upto) in context.vector() {
        feed_dot(&mut feed, Dot::new(actor, upto));
    }
    feed_count(&mut feed, context.cloud().len());
    for &dot in context.cloud() {
        feed_dot(&mut feed, dot);
    }
    xxh3_128(&feed)
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

fn feed_address(part: u8, address: &Address) -> Feed {
    let mut feed = Feed::new();
    feed.extend_from_slice(&[DOMAIN, part, address.kind as u8]);
    feed_bytes(&mut feed, &address.path);
    feed
}

fn feed_count(feed: &mut Feed, count: usize) {
    feed.extend_from_slice(&(count as u64).to_le_bytes());
}

fn feed_bytes(feed: &mut Feed, bytes: &[u8]) {
    feed_count(feed, bytes.len());
    feed.extend_from_slice(bytes);
}

fn feed_dot(feed: &mut Feed, dot: Dot) {
    feed.extend_from_slice(&dot.actor.0.to_le_bytes());
    feed.extend_from_slice(&dot.sequence.to_le_bytes());
}

fn feed_payload(feed: &mut Feed, payload: &Payload) {
    match payload {
        Payload::Present => feed.push(0),
        Payload::Removed => feed.push(1),
        Payload::Value(time, value) => {
            feed.push(2);
            feed.extend_from_slice(&time.0.to_le_bytes());
            feed_bytes(feed, value);
        }
        Payload::Score(time, score) => {
            feed.push(3);
            feed.extend_from_slice(&time.0.to_le_bytes());
            feed.extend_from_slice(&score.get().to_bits().to_le_bytes());
        }
        Payload::Rank(rank) => feed.extend_from_slice(&[4, *rank]),
        Payload::Deadline(time, deadline) => {
            feed.extend_from_slice(&[5, u8::from(deadline.is_some())]);
            feed.extend_from_slice(&time.0.to_le_bytes());
            feed.extend_from_slice(&deadline.unwrap_or(0).to_le_bytes());
        }
    }
}
