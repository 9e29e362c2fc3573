//! Transfers: all of another replica's cells, joined in chunks.

use crate::address::{Address, AddressRange};
use crate::cell::Cell;
use crate::cells::{Cells, Direction};
use crate::context::Context;
use crate::dot::Dot;
use crate::join::{Changes, Join};
use crate::mutants::{Mutant, mutant};
use crate::partial::Partial;

/// How far another replica's cells have been joined, in order of their addresses.
///
/// Up to the cursor, what is known of a cell is the replica's own context and the sender's; behind it, its
/// own alone. So the dots that a transfer brings need not enter the own context one by one, in an order
/// in which nothing joins them up, and a whole context is claimed only once every cell that it covers is
/// here (invariant 5). Until then states that go out claim the own context and the dots they carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transfer {
    /// The sender's context, read before its first row.
    pub context: Context,
    /// The last address passed; `None` before the first chunk, [`Address::EXPIRY`] after the last.
    pub cursor: Option<Address>,
}

/// Why a chunk of a transfer is not joined. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// No transfer of the key is under way.
    #[error("no transfer of the key is under way")]
    NotUnderWay,
    /// It does not cover the cells that are next.
    #[error("the chunk does not cover the cells that are next")]
    NotNext,
    /// It was read before the transfer's context was.
    #[error("the chunk is older than the transfer")]
    TooOld,
}

impl Transfer {
    /// Whether the cell at `address` has been joined.
    pub fn has_passed(&self, address: &Address) -> bool {
        self.cursor.as_ref().is_some_and(|cursor| address <= cursor)
    }

    /// Whether every cell has been joined, those in the root too.
    pub fn is_at_end(&self) -> bool {
        self.has_passed(&Address::EXPIRY)
    }
}

/// Begins to take in all cells of a replica that has seen `sender`.
///
/// # Panics
/// If a transfer of the key is under way: complete, abandon or go on with it. Any replica that has seen
/// its context can send its next chunk.
pub fn begin_transfer(cells: &impl Cells, sender: &Context) -> Changes {
    let mut join = Join::new(cells);
    assert!(join.root.transfer.is_none(), "one transfer of a key at a time");
    join.root.transfer = Some(Box::new(Transfer { context: sender.clone(), cursor: None }));
    join.finish()
}

/// Joins the cells after the cursor up to `upto`, at most `rows_max` of them, and moves the cursor to the
/// last one joined: the next call may go on with the same chunk.
///
/// `chunk` is what the sender has under [`Footprint::between`](crate::Footprint::between) the cursor and
/// `upto`, which for the last chunk is [`Address::EXPIRY`]. Needs the receiver's rows there. Costs what
/// the chunk does, however large the key.
///
/// # Errors
/// [`TransferError`]
///
/// # Panics
/// If `rows_max` is 0.
pub fn join_transferred(
    cells: &impl Cells,
    chunk: &Partial,
    upto: &Address,
    rows_max: usize,
) -> Result<Changes, TransferError> {
    assert!(rows_max > 0, "a chunk has rows");
    let mut join = Join::new(cells);
    let Some(mut transfer) = join.root.transfer.clone() else {
        return Err(TransferError::NotUnderWay);
    };
    if !chunk.context().covers(&transfer.context) {
        return Err(TransferError::TooOld);
    }
    let ranges: Vec<_> = AddressRange::between(transfer.cursor.as_ref(), upto).collect();
    let carried = |range: &AddressRange| chunk.ranges().iter().any(|whole| whole.covers(range));
    if transfer.has_passed(upto) || !ranges.iter().all(carried) {
        return Err(TransferError::NotNext);
    }
    let mut addresses: Vec<Address> = Vec::new();
    for range in &ranges {
        let room = rows_max + 1 - addresses.len();
        addresses.extend(either(cells, chunk, range).take(room).cloned());
    }
    let all = addresses.len() <= rows_max;
    addresses.truncate(rows_max);
    transfer.cursor = if all { Some(upto.clone()) } else { addresses.last().cloned() };
    let nothing = Cell::new();
    for address in [Address::REGISTER, Address::EXPIRY].into_iter().chain(addresses) {
        let theirs = chunk.covered_cell(&address).unwrap_or(&nothing);
        join.cell(&address, theirs, chunk.context());
        let brought = transfer.has_passed(&address).then_some(&transfer.context);
        let seen = |dot: Dot| {
            join.root.context.contains(dot) || brought.is_some_and(|brought| brought.contains(dot))
        };
        let gained = theirs.dots().iter().map(|(dot, _)| *dot);
        join.gained.extend(gained.filter(|dot| !seen(*dot)));
    }
    join.root.context.extend(std::mem::take(&mut join.gained));
    if mutant(Mutant::ContextClaimedTooEarly) {
        join.root.context.join(&transfer.context);
    }
    join.root.transfer = Some(transfer);
    Ok(join.finish())
}

/// Takes in the context of a transfer whose every cell has been joined, and ends it.
///
/// # Panics
/// Unless the transfer [is at its end](Transfer::is_at_end).
pub fn complete_transfer(cells: &impl Cells) -> Changes {
    let mut join = Join::new(cells);
    let transfer = join.root.transfer.take().filter(|transfer| transfer.is_at_end());
    join.root.context.join(&transfer.expect("a transfer at its end").context);
    join.finish()
}

/// Goes on giving a transfer up, for at most `rows_max` rows; done when the root has none.
///
/// The cells joined stay. Their live dots enter the own context, from the cursor backward, so that the
/// transfer is sound at every step, and could be gone on with.
///
/// # Panics
/// If `rows_max` is 0.
pub fn abandon_transfer(cells: &impl Cells, rows_max: usize) -> Changes {
    assert!(rows_max > 0, "a chunk has rows");
    let mut join = Join::new(cells);
    let Some(mut transfer) = join.root.transfer.take() else {
        return join.finish();
    };
    let passed = transfer.cursor.take();
    let mut dots: Vec<Dot> = Vec::new();
    let mut live = |cell: &Cell| dots.extend(cell.dots().iter().map(|(dot, _)| *dot));
    if passed.is_some() {
        live(&join.root.register);
        live(&join.root.expiry);
    }
    let mut rows = 0;
    let ranges: Vec<_> = passed.iter().flat_map(|upto| AddressRange::between(None, upto)).collect();
    'ranges: for range in ranges.iter().rev() {
        for (address, cell) in cells.scan(range, Direction::Backward) {
            if rows == rows_max {
                transfer.cursor = Some(address.clone());
                break 'ranges;
            }
            rows += 1;
            live(cell);
        }
    }
    join.root.context.extend(dots);
    join.root.transfer = transfer.cursor.is_some().then_some(transfer);
    join.finish()
}

/// The addresses in a range that either side has, in order.
fn either<'a>(
    mine: &'a impl Cells,
    theirs: &'a impl Cells,
    range: &AddressRange,
) -> impl Iterator<Item = &'a Address> {
    let mut mine = mine.scan(range, Direction::Forward).map(|(address, _)| address).peekable();
    let mut theirs = theirs.scan(range, Direction::Forward).map(|(address, _)| address).peekable();
    std::iter::from_fn(move || {
        let next = [mine.peek(), theirs.peek()].into_iter().flatten().min().copied()?;
        mine.next_if_eq(&next);
        theirs.next_if_eq(&next);
        Some(next)
    })
}
