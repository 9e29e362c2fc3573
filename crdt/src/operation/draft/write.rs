//! What a draft changes, and the delta that comes of it.

use crate::address::Address;
use crate::cell::Cell;
use crate::cells::Cells;
use crate::context::Context;
use crate::decimal::Decimal;
use crate::delta::Delta;
use crate::dot::Dot;
use crate::kind::Kind;
use crate::mutants::{Mutant, mutant};
use crate::operation::OpError;
use crate::operation::draft::{Draft, Written};
use crate::payload::Payload;
use crate::stamp::HybridTime;
use crate::tally::{Share, Tally, Unit};

/// A whole-key delete takes back the tallies of so many cells at most; more are removed in ranges first.
pub const DELETED_TALLIES_MAX: u64 = 512;

impl<C: Cells> Draft<'_, '_, C> {
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
        let Written { seen, observed, .. } = &self.written[at];
        let payload = payload(self.mint.time_above(seen.time().max(*observed)));
        let replaces_content = !payload.is_deadline();
        self.drop_dots(at, replaces);
        let dot = self.mint.dot();
        self.dots.push(dot);
        let Written { seen, delta, changed, .. } = &mut self.written[at];
        seen.insert(dot, payload.clone());
        delta.insert(dot, payload);
        *changed = true;
        // The dots dropped vouched for increments that a removal of the new dot has to take back too,
        // wherever it is evaluated: so a cell without a live dot never has a standing tally. A field's
        // deadline replaces deadlines, which vouch for none.
        if replaces_content && !mutant(Mutant::DropWithoutTallies) {
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

    /// As [`Draft::assign`], leaving the deadline of a field.
    pub(crate) fn assign_until(
        &mut self,
        field: Address,
        payload: impl FnOnce(HybridTime) -> Payload,
    ) -> Result<(), OpError> {
        let at = self.touch_to_write(field)?;
        self.reset_tallies(at);
        self.write(at, |_, payload| !payload.is_deadline(), payload);
        Ok(())
    }

    /// Says when a field expires, in milliseconds since 1970, and leaves its value.
    pub(crate) fn put_deadline(&mut self, field: Address, millis: u64) -> Result<(), OpError> {
        let until = |time| Payload::Deadline(time, Some(millis));
        self.put_over(field, |_, payload| payload.is_deadline(), until)
    }

    /// Drops the deadline of a field, and leaves its value.
    pub(crate) fn drop_deadline(&mut self, field: Address) -> Result<(), OpError> {
        let at = self.touch(field)?;
        self.drop_dots(at, |_, payload| payload.is_deadline());
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
        let actor = self.mint.actor();
        let cell = self.cell(&address);
        let live = cell.is_live(address.kind);
        let own = cell.tallies().iter().rev().find(|(share, _)| share.actor == actor);
        let last = own.copied().unwrap_or((Share { actor, ordinal: 0 }, Tally::default()));
        // What was added to a cell that is there no more does not belong to the next one.
        let base = if live { last.1 } else { last.1.reset() };
        let raised = base.is_open(unit).then(|| raise(&base)).flatten();
        let (share, tally) = match raised {
            Some(tally) => (last.0, tally),
            None => {
                let Some(ordinal) = last.0.ordinal.checked_add(1) else { return Ok(None) };
                let Some(tally) = raise(&Tally::default()) else { return Ok(None) };
                (Share { actor, ordinal }, tally)
            }
        };
        let at = self.touch_to_write(address)?;
        if !live {
            // A field that is there no more does not hand its deadline to the next one.
            self.drop_dots(at, |_, _| true);
            self.reset_tallies(at);
        }
        self.write(at, |_, payload| *payload == Payload::Present, |_| Payload::Present);
        self.written[at].seen.join_tally(share, &tally);
        self.written[at].delta.join_tally(share, &tally);
        Ok(Some(()))
    }

    /// Deletes all that was observed of the key, in constant size but for the tallies to take back.
    ///
    /// # Errors
    /// [`OpError::TooManyTallies`], [`OpError::NeedsTallies`], [`OpError::NeedsWholeKey`]; nothing is changed then.
    pub(crate) fn delete_whole(&mut self) -> Result<(), OpError> {
        let tallied = self.root.counts.tallied;
        if tallied > DELETED_TALLIES_MAX {
            return Err(OpError::TooManyTallies { tallied });
        }
        if tallied > 0 && !self.base.shows_tallies() {
            return Err(OpError::NeedsTallies);
        }
        if self.root.counts.rows > 0 && self.base.is_transferring() {
            return Err(OpError::NeedsWholeKey);
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

    /// Where something was put into a key of which no write has said when it expires, says so.
    fn expire_by_default(&mut self) {
        let Some(deadline) = self.mint.default_deadline() else { return };
        let put = |written: &Written| {
            let kind = written.address.kind;
            kind != Kind::Expiry && written.changed && written.seen.is_live(kind)
        };
        if self.written.iter().any(put) && self.cell(&Address::EXPIRY).dots().is_empty() {
            let at = self.touch_seen(Address::EXPIRY);
            self.write(at, |_, _| true, |time| Payload::Deadline(time, Some(deadline)));
        }
    }

    /// The delta, empty where nothing was changed.
    pub(crate) fn finish(mut self) -> Delta {
        self.expire_by_default();
        let minted = self.mint.peek() != self.first_dot;
        let changed = !self.claims_nothing() || self.written.iter().any(|w| w.changed);
        if changed && !minted && !mutant(Mutant::NoEventDot) {
            self.dots.push(self.mint.dot());
        }
        let mut context = self.whole.clone().unwrap_or_default();
        context.extend(self.dots.iter().copied());
        let mut delta = Delta::claiming(context, self.whole);
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

    /// Whether no dot was added or dropped so far.
    pub(crate) fn claims_nothing(&self) -> bool {
        self.dots.is_empty() && self.whole.as_ref().is_none_or(Context::is_empty)
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
    /// it, one to a field that has expired what is left of that.
    fn touch(&mut self, address: Address) -> Result<usize, OpError> {
        if self.gone && self.whole.is_none() && self.dots.is_empty() {
            self.delete_whole()?;
        }
        let expired = self.has_expired(&address);
        let at = self.touch_seen(address);
        if expired {
            self.drop_dots(at, |_, _| true);
            self.reset_tallies(at);
        }
        Ok(at)
    }

    fn touch_seen(&mut self, address: Address) -> usize {
        match self.written.binary_search_by(|written| written.address.cmp(&address)) {
            Ok(at) => at,
            Err(at) => {
                let seen = self.base_cell(&address).into_owned();
                // What is gone was seen all the same, and is not to win over what is written now.
                let stored = if self.gone { self.stored_cell(&address) } else { None };
                let observed = stored.and_then(Cell::time);
                let delta = Cell::new();
                self.written.insert(at, Written { address, seen, delta, observed, changed: false });
                at
            }
        }
    }

    fn drop_dots(&mut self, at: usize, which: impl Fn(Dot, &Payload) -> bool) {
        let Written { seen, delta, observed, changed, .. } = &mut self.written[at];
        *observed = (*observed).max(seen.time());
        let dots = &mut self.dots;
        seen.retain(|dot, payload| {
            let dropped = which(dot, payload);
            if dropped {
                dots.push(dot);
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
