//! Drafts: a key as an evaluation sees and changes it, and the delta that comes of it.

use std::borrow::Cow;
use std::cmp::Ordering;

use smallvec::SmallVec;

use crate::address::{Address, AddressRange};
use crate::cell::Cell;
use crate::cells::{Cells, Direction, logical};
use crate::context::Context;
use crate::decimal::Decimal;
use crate::delta::Delta;
use crate::dot::Dot;
use crate::kind::{COUNTED_KINDS, Kind, Shown};
use crate::mint::Mint;
use crate::mutants::{Mutant, mutant};
use crate::operation::{Limits, OpError};
use crate::payload::{Payload, Score};
use crate::root::Root;
use crate::stamp::HybridTime;
use crate::tally::{Share, Tally, Unit};

/// A whole-key delete takes back the tallies of so many cells at most; more are removed in ranges first.
pub const DELETED_TALLIES_MAX: u64 = 512;

/// A key as an evaluation sees and changes it: pending deletes applied, expired content absent, its own
/// writes visible to what comes after them.
pub(crate) struct Draft<'a, 'm, C> {
    base: &'a C,
    root: Cow<'a, Root>,
    mint: &'a mut Mint<'m>,
    first_dot: Dot,
    /// Nothing of the base is seen any more: expired, or deleted in this draft.
    gone: bool,
    /// The draft deletes the whole key: what had been seen of it.
    whole: Option<Context>,
    context: Context,
    written: SmallVec<[Written; 2]>,
}

/// A cell that the draft has touched.
struct Written {
    address: Address,
    /// As the draft sees it now.
    seen: Cell,
    /// The dots it added and the tallies it raised.
    delta: Cell,
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
            context: Context::new(),
            written: SmallVec::new(),
        }
    }

    /// The wall clock, in milliseconds since 1970.
    pub(crate) fn wall_millis(&self) -> u64 {
        self.mint.wall_millis()
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

    /// A cell as it is now.
    pub(crate) fn cell(&self, address: &Address) -> Cow<'_, Cell> {
        match self.written.binary_search_by(|written| written.address.cmp(address)) {
            Ok(at) => Cow::Borrowed(&self.written[at].seen),
            Err(_) => self.base_cell(address),
        }
    }

    /// Whether the cell is live.
    pub(crate) fn has(&self, address: &Address) -> bool {
        self.cell(address).is_live(address.kind)
    }

    fn base_cell(&self, address: &Address) -> Cow<'_, Cell> {
        let cell = if address.kind.lives_in_root() {
            Cow::Borrowed(self.root.resident(address.kind))
        } else {
            self.base.cell(address).map_or_else(Cow::default, |cell| logical(&self.root, cell))
        };
        if !self.gone || cell.is_empty() {
            return cell;
        }
        // Its tallies stay: an actor's next increment goes on from what it has added so far.
        let mut tallies = cell.into_owned();
        tallies.retain(|_, _| false);
        Cow::Owned(tallies)
    }

    /// The live cells of a range as they are now, in order. Lazy.
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
        merged.filter(|(address, cell)| cell.is_live(address.kind))
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
        Ok(base.checked_add_signed(change).expect("a cell that leaves was counted"))
    }

    /// Whether cells of `kind` may be live: false only if none is.
    pub(crate) fn may_be_live(&self, kind: Kind) -> bool {
        self.live_at_most(kind) > 0
            || self.written.iter().any(|w| w.address.kind == kind && w.seen.is_live(kind))
    }

    /// Whether any cell outside the root may be live: false only if none is.
    pub(crate) fn others_may_be_live(&self) -> bool {
        (!self.gone && !self.root.counts.none_live())
            || self.written.iter().any(|w| !w.address.kind.lives_in_root() && !w.seen.is_empty())
    }

    /// An upper bound of the live cells of `kind` in the base.
    fn live_at_most(&self, kind: Kind) -> u64 {
        if self.gone { 0 } else { self.root.counts.live(kind) }
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
        // The common case, which needs no counting: whatever is live is of this type.
        let string = self.has(&Address::REGISTER);
        let others = COUNTED_KINDS
            .into_iter()
            .any(|kind| kind.shown_as() != shown && self.may_be_live(kind));
        match (string, shown) {
            (true, Shown::String) => Ok(()),
            (true, _) => Err(OpError::WrongType),
            (false, _) if !others => Ok(()),
            (false, _) => {
                let found = self.shown()?;
                let fits = found == shown || found == Shown::Nothing;
                if fits { Ok(()) } else { Err(OpError::WrongType) }
            }
        }
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

    /// Assigns or adds: drops every dot observed in the cell and puts in a new one, whose payload may
    /// need a time above all that was observed. Tallies stay.
    pub(crate) fn put(
        &mut self,
        address: Address,
        payload: impl FnOnce(HybridTime) -> Payload,
    ) -> Result<(), OpError> {
        self.put_over(address, |_, _| true, payload)
    }

    /// As [`Draft::put`], dropping only the dots for which `replaces` holds.
    pub(crate) fn put_over(
        &mut self,
        address: Address,
        replaces: impl Fn(Dot, &Payload) -> bool,
        payload: impl FnOnce(HybridTime) -> Payload,
    ) -> Result<(), OpError> {
        let at = self.touch_to_write(address)?;
        self.write(at, replaces, payload);
        Ok(())
    }

    /// Renews a member: as [`Draft::put`] of its presence. Whether it was there already.
    pub(crate) fn renew(&mut self, address: Address) -> Result<bool, OpError> {
        let kind = address.kind;
        let at = self.touch_to_write(address)?;
        let was = self.written[at].seen.is_live(kind);
        self.write(at, |_, _| true, |_| Payload::Present);
        Ok(was)
    }

    fn write(
        &mut self,
        at: usize,
        replaces: impl Fn(Dot, &Payload) -> bool,
        payload: impl FnOnce(HybridTime) -> Payload,
    ) {
        let observed = self.written[at].seen.time();
        let payload = payload(self.mint.time_above(observed));
        self.drop_dots(at, replaces);
        let dot = self.mint.dot();
        self.context.insert(dot);
        let Written { seen, delta, changed, .. } = &mut self.written[at];
        seen.insert(dot, payload.clone());
        delta.insert(dot, payload);
        *changed = true;
        // The dots dropped vouched for increments that a removal of the new dot has to take back too,
        // wherever it is evaluated: so a cell without a live dot never has a standing tally.
        if !mutant(Mutant::DropWithoutTallies) {
            delta.carry_standing(seen);
        }
    }

    /// Assigns a value to which increments may be added: as [`Draft::put`], and takes back what was
    /// added so far.
    pub(crate) fn assign(
        &mut self,
        address: Address,
        payload: impl FnOnce(HybridTime) -> Payload,
    ) -> Result<(), OpError> {
        let at = self.touch_to_write(address)?;
        self.reset_tallies(at);
        self.write(at, |_, _| true, payload);
        Ok(())
    }

    /// Takes back what was added to the cell so far.
    pub(crate) fn reset(&mut self, address: Address) -> Result<(), OpError> {
        let at = self.touch(address)?;
        self.reset_tallies(at);
        Ok(())
    }

    /// Removes the cell: drops every dot observed and takes back its tallies.
    pub(crate) fn remove(&mut self, address: Address) -> Result<(), OpError> {
        let at = self.touch(address)?;
        self.drop_dots(at, |_, _| true);
        self.reset_tallies(at);
        Ok(())
    }

    /// Adds to the cell's sum, renewing its presence: the cell survives a concurrent removal with what
    /// was added. `None` where the sum cannot hold it; nothing is changed then.
    pub(crate) fn add_decimal(
        &mut self,
        address: Address,
        by: Decimal,
    ) -> Result<Option<()>, OpError> {
        self.add(address, Unit::Decimal, |tally| tally.add_decimal(by))
    }

    /// As [`Draft::add_decimal`], for scores.
    pub(crate) fn add_float(&mut self, address: Address, by: f64) -> Result<Option<()>, OpError> {
        self.add(address, Unit::Float, |tally| tally.add_float(by))
    }

    fn add(
        &mut self,
        address: Address,
        unit: Unit,
        raise: impl Fn(&Tally) -> Option<Tally>,
    ) -> Result<Option<()>, OpError> {
        let kind = address.kind;
        let at = self.touch_to_write(address.clone())?;
        let actor = self.mint.actor();
        if !self.written[at].seen.is_live(kind) {
            // What was added to a cell that is there no more does not belong to the next one.
            self.reset_tallies(at);
        }
        let own = self.written[at].seen.tallies().iter().rev().find(|(s, _)| s.actor == actor);
        let last = own.copied().unwrap_or((Share { actor, ordinal: 0 }, Tally::default()));
        let raised = last.1.is_open(unit).then(|| raise(&last.1)).flatten();
        let (share, tally) = match raised {
            Some(tally) => (last.0, tally),
            None => {
                let Some(ordinal) = last.0.ordinal.checked_add(1) else { return Ok(None) };
                let Some(tally) = raise(&Tally::default()) else { return Ok(None) };
                (Share { actor, ordinal }, tally)
            }
        };
        self.put_over(address, |_, payload| *payload == Payload::Present, |_| Payload::Present)?;
        self.written[at].seen.join_tally(share, &tally);
        self.written[at].delta.join_tally(share, &tally);
        Ok(Some(()))
    }

    /// Deletes all that was observed of the key, in constant size but for the tallies to take back.
    ///
    /// # Errors
    /// [`OpError::TooManyTallies`]; nothing is changed then.
    pub(crate) fn delete_whole(&mut self) -> Result<(), OpError> {
        let tallied = self.root.counts.tallied;
        if tallied > DELETED_TALLIES_MAX {
            return Err(OpError::TooManyTallies { tallied });
        }
        let mut addresses: Vec<Address> = vec![Address::REGISTER, Address::EXPIRY];
        addresses.extend(self.written.iter().map(|written| written.address.clone()));
        if self.whole.is_none() {
            if tallied > 0 {
                addresses.extend(self.base.tallied().cloned());
            }
            // Only what lives in the root: then there is nothing that a list of cells would miss.
            if self.root.counts.rows > 0 {
                self.whole = Some(self.root.context.clone());
                self.context.join(&self.root.context);
            }
        }
        // The cells have to be seen once more for what is in them to be dropped and taken back.
        self.gone = false;
        for address in addresses {
            let at = self.touch_seen(address);
            self.drop_dots(at, |_, _| true);
            self.reset_tallies(at);
        }
        self.gone = true;
        Ok(())
    }

    /// For how many milliseconds the key has been expired, if it has and nothing was done about it here.
    pub(crate) fn expired_since(&self) -> Option<u64> {
        let deadline = self.root.expiry.deadline().filter(|_| self.context.is_empty())?;
        self.wall_millis().checked_sub(deadline)
    }

    /// Removes up to `cells_max` cells that have tallies to take back, expired or not; how many.
    pub(crate) fn remove_tallied(&mut self, cells_max: usize) -> Result<usize, OpError> {
        let gone = std::mem::replace(&mut self.gone, false);
        let addresses: Vec<Address> = self.base.tallied().take(cells_max).cloned().collect();
        for address in &addresses {
            let at = self.touch_seen(address.clone());
            self.drop_dots(at, |_, _| true);
            self.reset_tallies(at);
        }
        self.gone = gone;
        Ok(addresses.len())
    }

    /// The delta, empty where nothing was changed.
    pub(crate) fn finish(mut self) -> Delta {
        let minted = self.mint.peek() != self.first_dot;
        let changed = !self.context.is_empty() || self.written.iter().any(|w| w.changed);
        if changed && !minted && !mutant(Mutant::NoEventDot) {
            let event = self.mint.dot();
            self.context.insert(event);
        }
        let mut delta = Delta::claiming(self.context, self.whole);
        if mutant(Mutant::DeltaClaimsContext) && !delta.context.is_empty() {
            delta.context.join(&self.root.context);
        }
        for written in self.written {
            if written.changed {
                delta.push(written.address, written.delta);
            }
        }
        if delta.context.is_empty() { Delta::new() } else { delta }
    }

    /// As [`Draft::touch`], for a write that puts something in. A key that was there no more must not
    /// hand its expiry to the next one of that name: the write that begins it drops what is left of it.
    ///
    /// # Errors
    /// Where only rows that are not at hand could tell whether the key is there; nothing is changed.
    fn touch_to_write(&mut self, address: Address) -> Result<usize, OpError> {
        let at = self.touch(address)?;
        if self.written[at].address.kind != Kind::Expiry
            && !self.cell(&Address::EXPIRY).dots().is_empty()
            && !self.exists()?
        {
            // The expiry's address is behind all others, so the place of the cell to write stays.
            let expiry = self.touch_seen(Address::EXPIRY);
            self.drop_dots(expiry, |_, _| true);
        }
        Ok(at)
    }

    /// Makes ready to write a cell. The first write to a key that has expired deletes what is left of
    /// it.
    fn touch(&mut self, address: Address) -> Result<usize, OpError> {
        if self.gone && self.whole.is_none() && self.context.is_empty() {
            self.delete_whole()?;
        }
        Ok(self.touch_seen(address))
    }

    fn touch_seen(&mut self, address: Address) -> usize {
        match self.written.binary_search_by(|written| written.address.cmp(&address)) {
            Ok(at) => at,
            Err(at) => {
                let seen = self.base_cell(&address).into_owned();
                self.written
                    .insert(at, Written { address, seen, delta: Cell::new(), changed: false });
                at
            }
        }
    }

    fn drop_dots(&mut self, at: usize, which: impl Fn(Dot, &Payload) -> bool) {
        let Written { seen, delta, changed, .. } = &mut self.written[at];
        let context = &mut self.context;
        seen.retain(|dot, payload| {
            let dropped = which(dot, payload);
            if dropped {
                context.insert(dot);
                *changed = true;
            }
            !dropped
        });
        delta.retain(|dot, payload| !which(dot, payload));
    }

    fn reset_tallies(&mut self, at: usize) {
        let Written { seen, delta, changed, .. } = &mut self.written[at];
        for (share, tally) in seen.tallies().to_vec() {
            if !tally.is_standing() {
                continue;
            }
            *changed = true;
            let reset = tally.reset();
            seen.join_tally(share, &reset);
            if mutant(Mutant::ResetToZero) {
                continue;
            }
            let carried = if mutant(Mutant::ResetWithoutAmounts) {
                Tally { p: 0, n: 0, ..reset }
            } else {
                reset
            };
            delta.join_tally(share, &carried);
        }
    }
}
