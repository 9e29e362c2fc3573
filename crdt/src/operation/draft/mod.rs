//! Drafts: a key as an evaluation sees and changes it.

mod write;

pub use write::DELETED_TALLIES_MAX;

use std::borrow::Cow;
use std::cmp::Ordering;

use smallvec::SmallVec;

use crate::address::{Address, AddressRange};
use crate::cell::Cell;
use crate::cells::{Cells, Direction, logical};
use crate::context::Context;
use crate::dot::Dot;
use crate::kind::{COUNTED_KINDS, Kind, Shown};
use crate::mint::Mint;
use crate::operation::{Limits, OpError};
use crate::payload::Score;
use crate::root::Root;
use crate::stamp::HybridTime;

/// A key as an evaluation sees and changes it: pending deletes applied, expired content absent, its own
/// writes visible to what comes after them.
///
/// A field that has expired by itself reads as absent, and is counted until somebody removes it.
pub(crate) struct Draft<'a, 'm, C> {
    base: &'a C,
    root: Cow<'a, Root>,
    mint: &'a mut Mint<'m>,
    first_dot: Dot,
    /// Nothing of the base is seen any more: expired, or deleted in this draft.
    gone: bool,
    /// The draft deletes the whole key: what had been seen of it.
    whole: Option<Context>,
    /// What it added or dropped one by one.
    dots: SmallVec<[Dot; 4]>,
    written: SmallVec<[Written; 2]>,
}

/// A cell that the draft has touched.
struct Written {
    address: Address,
    /// As the draft sees it now.
    seen: Cell,
    /// The dots it added and the tallies it raised.
    delta: Cell,
    /// The greatest time of an assignment that was seen in it, dead or alive.
    observed: Option<HybridTime>,
    /// Whether it added, raised or dropped anything.
    changed: bool,
}

impl<'a, 'm, C: Cells> Draft<'a, 'm, C> {
    pub(crate) fn new(base: &'a C, mint: &'a mut Mint<'m>) -> Self {
        let root = base.root().map_or_else(Cow::default, Cow::Borrowed);
        let gone = root.expiry.deadline().is_some_and(|deadline| deadline <= mint.wall_millis());
        let first_dot = mint.peek();
        Draft {
            base,
            root,
            mint,
            first_dot,
            gone,
            whole: None,
            dots: SmallVec::new(),
            written: SmallVec::new(),
        }
    }

    /// The wall clock, in milliseconds since 1970.
    pub(crate) fn wall_millis(&self) -> u64 {
        self.mint.wall_millis()
    }

    /// When a key that begins now expires, in milliseconds since 1970, unless a write says otherwise.
    pub(crate) fn default_deadline(&self) -> Option<u64> {
        self.mint.default_deadline()
    }

    /// The limits on what clients may write.
    pub(crate) fn limits(&self) -> Limits {
        self.mint.limits()
    }

    /// A random number below `bound`, which is not 0.
    pub(crate) fn random_below(&mut self, bound: u64) -> u64 {
        self.mint.below(bound)
    }

    /// The actor that mints, and the dot that the next write will have.
    pub(crate) fn next_dot(&self) -> Dot {
        self.mint.peek()
    }

    /// A cell as it is now: of a field that has expired, what is left where a cell is removed.
    pub(crate) fn cell(&self, address: &Address) -> Cow<'_, Cell> {
        let held = self.held(address);
        if self.is_past(address, &held) { without_dots(held) } else { held }
    }

    /// Whether a field has expired and nobody has removed it.
    pub(crate) fn has_expired(&self, field: &Address) -> bool {
        self.is_past(field, &self.held(field))
    }

    /// When a field expires, or has expired; where it is not there, when its last value would have.
    pub(crate) fn field_deadline(&self, field: &Address) -> Option<u64> {
        self.held(field).deadline()
    }

    fn is_past(&self, address: &Address, cell: &Cell) -> bool {
        address.kind == Kind::Field
            && cell.deadline().is_some_and(|deadline| deadline <= self.wall_millis())
    }

    /// A cell as it is now, expired or not.
    fn held(&self, address: &Address) -> Cow<'_, Cell> {
        match self.written.binary_search_by(|written| written.address.cmp(address)) {
            Ok(at) => Cow::Borrowed(&self.written[at].seen),
            Err(_) => self.base_cell(address),
        }
    }

    /// Whether the cell is live, and no field that has expired.
    pub(crate) fn has(&self, address: &Address) -> bool {
        self.cell(address).is_live(address.kind)
    }

    fn stored_cell(&self, address: &Address) -> Option<&Cell> {
        if address.kind.lives_in_root() {
            Some(self.root.resident(address.kind))
        } else {
            self.base.cell(address)
        }
    }

    fn base_cell(&self, address: &Address) -> Cow<'_, Cell> {
        let cell = self.stored_cell(address);
        let cell = cell.map_or_else(Cow::default, |cell| logical(&self.root, cell));
        if !self.gone || cell.is_empty() {
            return cell;
        }
        without_dots(cell)
    }

    /// The live cells of a range as they are now, fields that have expired aside, in order. Lazy.
    pub(crate) fn scan(
        &self,
        range: &AddressRange,
        direction: Direction,
    ) -> impl Iterator<Item = (&Address, Cow<'_, Cell>)> {
        let base = (!self.gone).then(|| self.base.scan(range, direction));
        let base = base.into_iter().flatten();
        let mut base = base.map(|(address, cell)| (address, logical(&self.root, cell))).peekable();
        let written = self.written.iter().filter(|written| range.contains(&written.address));
        let mut written: Vec<_> = written.collect();
        // Taken from the end.
        if direction == Direction::Forward {
            written.reverse();
        }
        let merged = std::iter::from_fn(move || {
            let order = match (base.peek(), written.last()) {
                (None, None) => return None,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((address, _)), Some(mine)) => match direction {
                    Direction::Forward => (*address).cmp(&mine.address),
                    Direction::Backward => mine.address.cmp(address),
                },
            };
            if order == Ordering::Less {
                return base.next();
            }
            if order == Ordering::Equal {
                base.next();
            }
            written.pop().map(|mine| (&mine.address, Cow::Borrowed(&mine.seen)))
        });
        merged.filter(|(address, cell)| cell.is_live(address.kind) && !self.is_past(address, cell))
    }

    /// Live members of the sorted set by score and then name, from an end of the bounds. Lazy.
    ///
    /// # Errors
    /// [`OpError::Counting`]: a member that a deletion left with an older score is then still listed by
    /// the score that it had.
    pub(crate) fn by_score(
        &self,
        scores: (std::ops::Bound<Score>, std::ops::Bound<Score>),
        direction: Direction,
    ) -> Result<impl Iterator<Item = (Score, bytes::Bytes)>, OpError> {
        use std::ops::RangeBounds;
        if !self.gone && self.root.is_counting() {
            return Err(OpError::Counting);
        }
        let base = (!self.gone).then(|| self.base.by_score(scores, direction));
        let base = base.into_iter().flatten().filter(|(score, member)| {
            let address = Address::new(Kind::Scored, (*member).clone());
            let touched = self.written.binary_search_by(|w| w.address.cmp(&address)).is_ok();
            // Rows under a pending delete are still listed by the score they had.
            !touched
                && (self.root.pending.is_none() || self.base_cell(&address).score() == Some(*score))
        });
        let mut base = base.map(|(score, member)| (score, member.clone())).peekable();
        let written = self.written.iter().filter(|w| w.address.kind == Kind::Scored);
        let mut written: Vec<_> = written
            .filter_map(|w| Some((w.seen.score()?, w.address.path.clone())))
            .filter(|(score, _)| scores.contains(score))
            .collect();
        written.sort();
        if direction == Direction::Forward {
            written.reverse();
        }
        Ok(std::iter::from_fn(move || {
            let base_first = match (base.peek(), written.last()) {
                (Some(theirs), Some(mine)) => match direction {
                    Direction::Forward => theirs < mine,
                    Direction::Backward => theirs > mine,
                },
                (theirs, _) => theirs.is_some(),
            };
            if base_first { base.next() } else { written.pop() }
        }))
    }

    /// How many cells of `kind` are live.
    ///
    /// # Errors
    /// Where only rows that are not at hand could tell.
    pub(crate) fn count(&self, kind: Kind) -> Result<u64, OpError> {
        let base = match self.live_at_most(kind) {
            0 => 0,
            _ if self.root.is_counting() => return Err(OpError::Counting),
            _ if !self.base.is_exact() => return Err(OpError::NeedsWholeKey),
            count => count,
        };
        let here = self.written.iter().filter(|written| written.address.kind == kind);
        let change: i64 = here
            .map(|written| {
                let was = self.base_cell(&written.address).is_live(kind);
                i64::from(written.seen.is_live(kind)) - i64::from(was)
            })
            .sum();
        // Of a peer's partial state the counts need not be those of its cells.
        Ok(base.saturating_add_signed(change))
    }

    /// Whether cells of `kind` may be live: false only if none is.
    pub(crate) fn may_be_live(&self, kind: Kind) -> bool {
        self.live_at_most(kind) > 0
            || self.written.iter().any(|w| w.address.kind == kind && w.seen.is_live(kind))
    }

    /// Whether any cell outside the root may be live: false only if none is.
    pub(crate) fn others_may_be_live(&self) -> bool {
        (!self.gone && COUNTED_KINDS.into_iter().any(|kind| self.live_at_most(kind) > 0))
            || self.written.iter().any(|w| !w.address.kind.lives_in_root() && !w.seen.is_empty())
    }

    /// An upper bound of the live cells of `kind` in the base.
    fn live_at_most(&self, kind: Kind) -> u64 {
        match &self.root.counts {
            _ if self.gone => 0,
            counts if self.base.is_exact() && !self.root.is_counting() => counts.live(kind),
            counts => counts.live_at_most(kind),
        }
    }

    /// What a client sees the key as.
    ///
    /// # Errors
    /// Where only rows that are not at hand could tell.
    pub(crate) fn shown(&self) -> Result<Shown, OpError> {
        if self.has(&Address::REGISTER) {
            return Ok(Shown::String);
        }
        for kind in COUNTED_KINDS {
            if self.written.iter().any(|w| w.address.kind == kind && w.seen.is_live(kind))
                || self.count(kind)? > 0
            {
                return Ok(kind.shown_as());
            }
        }
        Ok(Shown::Nothing)
    }

    /// Whether the key may be operated on as `shown`: it is that, or is not there.
    ///
    /// # Errors
    /// [`OpError::WrongType`], or where only rows that are not at hand could tell.
    pub(crate) fn expect(&self, shown: Shown) -> Result<(), OpError> {
        if self.has(&Address::REGISTER) {
            return if shown == Shown::String { Ok(()) } else { Err(OpError::WrongType) };
        }
        // The common case, which needs no counting: whatever is live is of this type.
        let others = COUNTED_KINDS
            .into_iter()
            .any(|kind| kind.shown_as() != shown && self.may_be_live(kind));
        if !others {
            return Ok(());
        }
        let found = self.shown()?;
        let fits = found == shown || found == Shown::Nothing;
        if fits { Ok(()) } else { Err(OpError::WrongType) }
    }

    /// Whether the key is there.
    ///
    /// # Errors
    /// Where only rows that are not at hand could tell.
    pub(crate) fn exists(&self) -> Result<bool, OpError> {
        Ok(self.shown()? != Shown::Nothing)
    }

    /// When the key expires, in milliseconds since 1970.
    pub(crate) fn deadline(&self) -> Option<u64> {
        self.cell(&Address::EXPIRY).deadline()
    }

    /// For how many milliseconds the key has been expired, if it has and nothing was done about it here.
    pub(crate) fn expired_since(&self) -> Option<u64> {
        let deadline = self.root.expiry.deadline().filter(|_| self.claims_nothing())?;
        self.wall_millis().checked_sub(deadline)
    }
}

/// What is left of a cell that is there no more: an actor's next increment goes on from what it has added
/// so far.
fn without_dots(cell: Cow<'_, Cell>) -> Cow<'_, Cell> {
    let mut tallies = cell.into_owned();
    tallies.retain(|_, _| false);
    Cow::Owned(tallies)
}
