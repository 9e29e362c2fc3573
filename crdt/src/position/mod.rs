//! Positions: where in a list an element is, as bytes whose order is the order of the list.
//!
//! A position is a path in a tree of elements that is never stored: a level for each step, then
//! an end. What follows a level says whether a left descendant of the element is meant, the element
//! itself, or a right descendant; bytewise these come in that order.
//!
//! ```text
//! position = level (marker level)* 0x01
//! marker   = 0x00, a left child follows | 0x02, a right child follows
//! level    = place, actor, start, offset
//! ```
//!
//! A level names an element of a *run*: what one actor inserted side by side. Actor and `start`, the
//! sequence of the dot of the run's first element, name the run. `offset` is 0 for that element, +n for
//! one that was appended under the dot with sequence n, −n for one prepended under it. Only its actor
//! adds to a run, so an offset is never used twice. `place` orders the runs at the top level and is 0
//! in all others.
//!
//! Source: Weidner and Kleppmann 2023, "The Art of the Fugue: Minimizing Interleaving in Collaborative
//! Text Editing": a run is a chain of right children of its first element and a chain of left ones.
//! Deviations, and what is given up for them: docs/decisions/0110-list-positions.md.

mod number;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::dot::{Actor, Dot};
use number::{read_signed, read_unsigned, write_signed, write_unsigned};

/// A left child follows.
const LEFT: u8 = 0;
/// The element itself.
const END: u8 = 1;
/// A right child follows.
const RIGHT: u8 = 2;

/// Positions of two levels fit without going to the heap.
type Buffer = SmallVec<[u8; 64]>;

/// Bytes that no version of this crate wrote as a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed list position")]
pub struct MalformedPosition;

/// Checks bytes that came from elsewhere.
///
/// # Errors
/// [`MalformedPosition`] unless they are a position in its one encoding.
pub fn check(position: &[u8]) -> Result<(), MalformedPosition> {
    Position::parse(position).map(|_parsed| ())
}

/// A new position strictly between two, or after or before one, or the first of a list.
///
/// It contains `dot`, which the new element has to be written under: no other position does, so this
/// one is new whatever others do concurrently. Elements that one actor inserts beside each other stay
/// together: nothing inserted concurrently comes between them. One allocation, but for positions deeper
/// than two levels.
///
/// # Errors
/// [`MalformedPosition`] if a neighbour is none of ours.
///
/// # Panics
/// If `left` is not before `right`, or the sequence does not fit 63 bits: none is minted past 2⁶⁰.
pub fn between(
    left: Option<&[u8]>,
    right: Option<&[u8]>,
    dot: Dot,
) -> Result<Bytes, MalformedPosition> {
    let left = left.map(Position::parse).transpose()?;
    let right = right.map(Position::parse).transpose()?;
    if let (Some(left), Some(right)) = (&left, &right) {
        assert!(left.bytes < right.bytes, "neighbours are in order");
    }
    let offset = i64::try_from(dot.sequence).expect("sequences stay far below 2^63");
    let fits = |candidate: &[u8]| {
        left.as_ref().is_none_or(|left| left.bytes < candidate)
            && right.as_ref().is_none_or(|right| candidate < right.bytes)
    };
    for (neighbour, offset) in [(&left, offset), (&right, -offset)] {
        let own = neighbour.as_ref().filter(|neighbour| neighbour.last.actor == dot.actor);
        let longer_run = own.map(|own| own.at_offset(offset)).filter(|candidate| fits(candidate));
        if let Some(candidate) = longer_run {
            return Ok(Bytes::copy_from_slice(&candidate));
        }
    }
    let run = |place| Level { place, actor: dot.actor, start: dot.sequence, offset: 0 };
    let place = match (&left, &right) {
        (None, None) => Some(0),
        (Some(left), None) => left.top_place.checked_add(1),
        (None, Some(right)) => right.top_place.checked_sub(1),
        (Some(_), Some(_)) => None,
    };
    let position = match (place, &left, &right) {
        (Some(place), _, _) => child(&[], run(place)),
        (None, Some(left), None) => left.child(RIGHT, run(0)),
        (None, Some(left), Some(right)) if !right.is_right_of(left) => left.child(RIGHT, run(0)),
        (None, _, Some(right)) => right.child(LEFT, run(0)),
        (None, None, None) => unreachable!("the first position of a list has a place"),
    };
    Ok(Bytes::copy_from_slice(&position))
}

/// One step of a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Level {
    place: i64,
    actor: Actor,
    start: u64,
    offset: i64,
}

impl Level {
    fn write(&self, to: &mut Buffer) {
        write_signed(self.place, to);
        to.extend_from_slice(&self.actor.0.to_be_bytes());
        write_unsigned(self.start, to);
        write_signed(self.offset, to);
    }

    /// The level that `bytes` start with, and what comes after it.
    fn read(bytes: &[u8]) -> Option<(Level, &[u8])> {
        let (place, rest) = read_signed(bytes)?;
        let (actor, rest) = rest.split_first_chunk()?;
        let (start, rest) = read_unsigned(rest)?;
        let (offset, rest) = read_signed(rest)?;
        let level = Level { place, actor: Actor(u64::from_be_bytes(*actor)), start, offset };
        (start > 0).then_some((level, rest))
    }
}

/// What there is to know of a position to find one beside it.
#[derive(Debug)]
struct Position<'p> {
    bytes: &'p [u8],
    top_place: i64,
    /// Where the last level starts.
    last_at: usize,
    last: Level,
}

impl<'p> Position<'p> {
    fn parse(bytes: &'p [u8]) -> Result<Self, MalformedPosition> {
        let (top, mut rest) = Level::read(bytes).ok_or(MalformedPosition)?;
        let mut position = Position { bytes, top_place: top.place, last_at: 0, last: top };
        loop {
            match rest {
                [END] => return Ok(position),
                [LEFT | RIGHT, below @ ..] => {
                    position.last_at = bytes.len() - below.len();
                    (position.last, rest) = Level::read(below).ok_or(MalformedPosition)?;
                    if position.last.place != 0 {
                        return Err(MalformedPosition);
                    }
                }
                _ => return Err(MalformedPosition),
            }
        }
    }

    /// The position without its end: what those of all descendants start with.
    fn stem(&self) -> &'p [u8] {
        &self.bytes[..self.bytes.len() - 1]
    }

    /// Another element of the last level's run.
    fn at_offset(&self, offset: i64) -> Buffer {
        child(&self.bytes[..self.last_at], Level { offset, ..self.last })
    }

    fn child(&self, side: u8, level: Level) -> Buffer {
        let mut above = Buffer::from_slice(self.stem());
        above.push(side);
        child(&above, level)
    }

    /// Whether this is a right descendant of `left`. One run counts as a chain: what was appended to it
    /// is a right descendant of all that was there before.
    fn is_right_of(&self, left: &Position<'_>) -> bool {
        let below = self.bytes.strip_prefix(left.stem());
        if below.is_some_and(|below| below.starts_with(&[RIGHT])) {
            return true;
        }
        let beside = self.bytes.strip_prefix(&left.bytes[..left.last_at]);
        beside.and_then(Level::read).is_some_and(|(level, _)| {
            let same_run = Level { offset: level.offset, ..left.last } == level;
            // Sequences grow, so the greater offset, whatever its sign, is the later one.
            same_run && level.offset.unsigned_abs() > left.last.offset.unsigned_abs()
        })
    }
}

/// The position of an element whose path down to its level is `above`.
fn child(above: &[u8], level: Level) -> Buffer {
    let mut position = Buffer::from_slice(above);
    level.write(&mut position);
    position.push(END);
    position
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::number::tests::signed;
    use super::*;

    fn level() -> impl Strategy<Value = Level> {
        let start = prop_oneof![1..4u64, 1..=u64::MAX];
        (signed(), 1..4u64, start, signed()).prop_map(|(place, actor, start, offset)| Level {
            place,
            actor: Actor(actor),
            start,
            offset,
        })
    }

    /// Any well-formed position, not only those that [`between`] makes.
    fn position() -> impl Strategy<Value = Vec<u8>> {
        let below = prop::collection::vec((prop::sample::select(vec![LEFT, RIGHT]), level()), 0..3);
        (level(), below).prop_map(|(top, below)| {
            let mut bytes = Buffer::new();
            top.write(&mut bytes);
            for (marker, level) in below {
                bytes.push(marker);
                Level { place: 0, ..level }.write(&mut bytes);
            }
            bytes.push(END);
            bytes.to_vec()
        })
    }

    /// Several actors that edit lists.
    #[derive(Default)]
    struct Typists {
        sequences: [u64; 4],
    }

    impl Typists {
        /// Inserts before the element at `index` of what the actor sees.
        fn insert(&mut self, actor: usize, list: &mut Vec<Bytes>, index: usize) -> Bytes {
            self.sequences[actor] += 1;
            let dot = Dot::new(Actor(actor as u64 * 7 + 1), self.sequences[actor]);
            let left = index.checked_sub(1).map(|left| &*list[left]);
            let right = list.get(index).map(|right| &**right);
            let new = between(left, right, dot).unwrap();
            assert!(left.is_none_or(|left| left < &*new), "after its left neighbour");
            assert!(right.is_none_or(|right| *new < *right), "before its right neighbour");
            check(&new).unwrap();
            list.insert(index, new.clone());
            new
        }
    }

    fn longest_after_pushes(actors: usize, at_left: bool) -> usize {
        let mut typists = Typists::default();
        let mut last: Option<Bytes> = None;
        let mut longest = 0;
        for push in 0..1_000_000 {
            let mut outermost: Vec<Bytes> = last.into_iter().collect();
            let index = if at_left { 0 } else { outermost.len() };
            let new = typists.insert(push % actors, &mut outermost, index);
            longest = longest.max(new.len());
            last = Some(new);
        }
        longest
    }

    #[test]
    fn positions_stay_short_after_a_million_pushes_at_one_end() {
        for (actors, at_left) in [(1, false), (1, true), (3, false), (3, true)] {
            let longest = longest_after_pushes(actors, at_left);
            let end = if at_left { "left" } else { "right" };
            eprintln!("10^6 pushes at the {end} by {actors} in turn: {longest} bytes at most");
            assert!(longest <= 32, "{longest} bytes");
        }
    }

    #[test]
    fn bytes_are_those_of_the_format() {
        let (a, b) = (Actor(0x0a), Actor(0x0b));
        let first = between(None, None, Dot::new(a, 1)).unwrap();
        assert_eq!(*first, *b"\x80\0\0\0\0\0\0\0\x0a\x01\x01\x80\x01");
        let appended = between(Some(&first), None, Dot::new(a, 2)).unwrap();
        assert_eq!(*appended, *b"\x80\0\0\0\0\0\0\0\x0a\x01\x01\x81\x02\x01");
        let prepended = between(None, Some(&first), Dot::new(a, 0x102)).unwrap();
        assert_eq!(*prepended, *b"\x80\0\0\0\0\0\0\0\x0a\x01\x01\x7e\xfe\xfd\x01");
        let other_before = between(None, Some(&first), Dot::new(b, 1)).unwrap();
        assert_eq!(*other_before, *b"\x7f\xfe\0\0\0\0\0\0\0\x0b\x01\x01\x80\x01");
        let other_after = between(Some(&appended), None, Dot::new(b, 1)).unwrap();
        assert_eq!(*other_after, *b"\x81\x01\0\0\0\0\0\0\0\x0b\x01\x01\x80\x01");
        let left_child = between(Some(&first), Some(&appended), Dot::new(b, 1)).unwrap();
        assert_eq!(
            *left_child,
            *b"\x80\0\0\0\0\0\0\0\x0a\x01\x01\x81\x02\0\x80\0\0\0\0\0\0\0\x0b\x01\x01\x80\x01"
        );
    }

    #[test]
    fn a_push_past_the_last_place_goes_below_instead() {
        let at = |place| child(&[], Level { place, actor: Actor(1), start: 1, offset: 0 });
        let dot = Dot::new(Actor(2), 1);
        let (first, last) = (at(i64::MIN), at(i64::MAX));
        let before = between(None, Some(&first), dot).unwrap();
        assert!(*before < *first && check(&before).is_ok());
        let after = between(Some(&last), None, dot).unwrap();
        assert!(*after > *last && check(&after).is_ok());
    }

    pub(super) fn config() -> ProptestConfig {
        let cases = if std::env::var_os("COTERIE_PROOF").is_some() { 100_000 } else { 1_000 };
        let rng_seed = RngSeed::Fixed(0x905);
        ProptestConfig { cases, rng_seed, failure_persistence: None, ..ProptestConfig::default() }
    }

    proptest! {
        #![proptest_config(config())]

        #[test]
        fn an_insert_lands_in_its_gap_and_is_new(edits in prop::collection::vec((0..4usize, any::<prop::sample::Index>(), any::<bool>()), 1..80)) {
            let mut typists = Typists::default();
            let mut list = Vec::new();
            let mut ever = std::collections::BTreeSet::new();
            for (actor, index, removes) in edits {
                if removes && !list.is_empty() {
                    list.remove(index.index(list.len()));
                }
                let index = index.index(list.len() + 1);
                prop_assert!(ever.insert(typists.insert(actor, &mut list, index)));
            }
        }

        /// Every actor sees some of what is there, and then inserts a block: each element beside those
        /// of the block that it has inserted before, forwards, backwards or anyhow.
        #[test]
        fn concurrent_blocks_do_not_interleave(
            base in prop::collection::vec((0..4usize, any::<prop::sample::Index>()), 0..20),
            blocks in prop::collection::vec(
                (
                    prop::collection::vec(any::<bool>(), 20),
                    any::<prop::sample::Index>(),
                    prop::collection::vec(prop_oneof![Just(0.0), Just(1.0), 0.0..1.0], 1..12),
                ),
                2..=4,
            ),
            same_gap in any::<bool>(),
        ) {
            let mut typists = Typists::default();
            let mut list = Vec::new();
            for (actor, index) in base {
                let index = index.index(list.len() + 1);
                typists.insert(actor, &mut list, index);
            }
            let mut merged: Vec<(Bytes, Option<usize>)> =
                list.iter().map(|position| (position.clone(), None)).collect();
            let (first_sees, first_gap) = (blocks[0].0.clone(), blocks[0].1);
            for (actor, (sees, gap, spots)) in blocks.iter().enumerate() {
                let (sees, gap) = if same_gap { (&first_sees, &first_gap) } else { (sees, gap) };
                let seen = list.iter().zip(sees).filter(|(_, sees)| **sees);
                let mut seen: Vec<Bytes> = seen.map(|(position, _)| position.clone()).collect();
                let start = gap.index(seen.len() + 1);
                for (length, spot) in spots.iter().enumerate() {
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "a share of a dozen"
                    )]
                    let index = start + (spot * length as f64).round() as usize;
                    merged.push((typists.insert(actor, &mut seen, index), Some(actor)));
                }
            }
            merged.sort();
            prop_assert!(merged.windows(2).all(|pair| pair[0].0 != pair[1].0));
            let mut runs: Vec<Option<usize>> = merged.into_iter().map(|(_, actor)| actor).collect();
            runs.dedup();
            let mut typed: Vec<usize> = runs.into_iter().flatten().collect();
            typed.sort_unstable();
            prop_assert!(typed.windows(2).all(|pair| pair[0] < pair[1]), "a block was split");
        }

        #[test]
        fn any_neighbours_have_a_position_between(a in position(), b in position(), actor in 1..4u64, sequence in 1..1u64 << 60) {
            let (left, right) = if a <= b { (&a, &b) } else { (&b, &a) };
            let dot = Dot::new(Actor(actor), sequence);
            prop_assert!(check(left).is_ok());
            if left < right {
                let new = between(Some(left), Some(right), dot).unwrap();
                prop_assert!(**left < *new && *new < **right && check(&new).is_ok());
            }
            let after = between(Some(right), None, dot).unwrap();
            prop_assert!(**right < *after && check(&after).is_ok());
            let before = between(None, Some(left), dot).unwrap();
            prop_assert!(*before < **left && check(&before).is_ok());
        }

        #[test]
        fn bytes_from_elsewhere_are_positions_or_refused(
            mut bytes in prop_oneof![position(), prop::collection::vec(any::<u8>(), 0..40)],
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
            cut in any::<prop::sample::Index>(),
        ) {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes.truncate(cut.index(bytes.len() * 2 + 1));
            let made = between(Some(&bytes), None, Dot::new(Actor(1), 1));
            prop_assert_eq!(made.is_ok(), check(&bytes).is_ok());
            prop_assert!(made.is_ok_and(|made| *made > *bytes) || check(&bytes).is_err());
        }
    }
}
