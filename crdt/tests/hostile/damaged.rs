//! Rows that damage to the storage left contradicting each other: they join without a panic, the
//! contradiction is told, and a recount puts it right.

use std::ops::Bound;

use bytes::Bytes;
use coterie_crdt::digest::cells_digest;
use coterie_crdt::operation::{OpError, Operation, SortedSetOperation};
use coterie_crdt::{
    Address, AddressRange, COUNTED_KINDS, Cell, Cells, Clock, Context, Delta, Direction, Dot,
    HybridTime, Kind, Mint, Payload, PendingDelete, Root, Score, State, Transfer, abandon_transfer,
    join_delta, recount, sweep,
};
use proptest::prelude::*;

use crate::operations::{evaluate_on, operations};
use crate::values::{cells, context, delta, partial, root, with_dots_of};
use crate::{OWN, WALL_MILLIS, config};

/// Rows as damage may leave them: a root, with jobs under way, that has nothing to do with its cells.
fn damaged() -> impl Strategy<Value = State> {
    let pending = prop::option::of((context(), context()));
    let cursor = cells(COUNTED_KINDS.to_vec()).prop_map(|cells| cells.into_keys().next());
    let transfer = prop::option::of((context(), cursor));
    (root(), cells(COUNTED_KINDS.to_vec()), pending, transfer).prop_map(
        |(mut root, mut cells, pending, transfer)| {
            cells.retain(|_, cell| !cell.is_empty());
            root.pending = pending.map(|(settled, counting)| {
                // A root that knew less than its deletion does not decode.
                root.context.join(&settled);
                root.context.join(&counting);
                Box::new(PendingDelete { settled, counting, cursor: None })
            });
            root.transfer =
                transfer.map(|(context, cursor)| Box::new(Transfer { context, cursor }));
            State::from_rows(root, cells)
        },
    )
}

/// Whether the root says of the rows what they are.
fn is_counted(state: &State) -> bool {
    let root = state.root().cloned().unwrap_or_default();
    let live = |kind| {
        state.cells().iter().filter(|(a, cell)| a.kind == kind && cell.is_live(kind)).count() as u64
    };
    let seen = |(address, cell): (&Address, &Cell)| {
        let transfer = root.transfer.as_ref().filter(|transfer| transfer.has_passed(address));
        let seen =
            |dot| root.context.contains(dot) || transfer.is_some_and(|t| t.context.contains(dot));
        cell.dots().iter().all(|(dot, _)| seen(*dot))
    };
    root.counts.rows == state.cells().len() as u64
        && COUNTED_KINDS.into_iter().all(|kind| root.counts.live(kind) == live(kind))
        && root.dots_sum.wrapping_add(root.tallies_sum) == cells_digest(state.cells().iter())
        && state.cells().iter().all(seen)
}

fn recount_all(state: &mut State, rows_max: usize) -> bool {
    let mut contradiction = false;
    loop {
        let changes = recount(state, rows_max);
        contradiction |= changes.contradiction;
        state.apply(changes);
        if state.root().is_none_or(|root| root.recount.is_none()) {
            return contradiction;
        }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_damaged_root_is_joined_and_made_anew_from_its_cells(
        mut state in damaged(),
        deltas in prop::collection::vec(delta(), 0..4),
        partial in partial(),
        rows_max in 1..4usize,
    ) {
        let operations = operations();
        evaluate_on(&state, &state, &operations);
        for delta in &deltas {
            state.join_delta(delta);
            state.apply(sweep(&state, 1));
            state.apply(recount(&state, rows_max));
            state.apply(abandon_transfer(&state, 1));
        }
        state.join_partial(&partial);
        evaluate_on(&state, &state, &operations);
        state.sweep();
        // One that was under way did not see what the root said once it was through.
        recount_all(&mut state, rows_max);
        prop_assert!(is_counted(&state), "{:?}", state);
        prop_assert!(!recount_all(&mut state, rows_max));
        prop_assert!(is_counted(&state), "{:?}", state);
    }

    #[test]
    fn a_contradiction_is_found_and_put_right(cells in cells(COUNTED_KINDS.to_vec()), root in root()) {
        let mut sound = State::new();
        let context = with_dots_of(Context::new(), cells.values());
        sound.join_delta(&Delta::from_parts(context, None, cells).expect("names its dots"));
        prop_assert!(!recount_all(&mut sound, 2), "there is none");
        if sound.root().is_none() {
            return Ok(());
        }
        let Root { counts, dots_sum, tallies_sum, .. } = root;
        let stored = sound.root().cloned().unwrap_or_default();
        let differs = (&counts, dots_sum, tallies_sum)
            != (&stored.counts, stored.dots_sum, stored.tallies_sum);
        let root = Root { counts, dots_sum, tallies_sum, ..stored };
        let mut damaged = State::from_rows(root, sound.cells().clone());
        prop_assert_eq!(recount_all(&mut damaged, 2), differs);
        prop_assert_eq!(damaged, sound);
    }
}

#[test]
fn a_row_that_was_not_counted_leaves_without_a_panic() {
    let address = Address::new(Kind::Member, "a");
    let dot = Dot::new(OWN, 1);
    let cell = Cell::from_parts([(dot, Payload::Present)], []).expect("sorted");
    let root = Root { context: [dot].into_iter().collect(), ..Root::default() };
    let state = State::from_rows(root, [(address.clone(), cell)].into_iter().collect());
    let context = [dot, Dot::new(OWN, 2)].into_iter().collect();
    let removal = Delta::from_parts(context, None, [(address, Cell::new())]).expect("names it");
    let changes = join_delta(&state, &removal);
    assert!(changes.contradiction);
    assert_eq!((changes.root.counts.rows, changes.cells.len()), (0, 1));
}

/// Rows of which the derived ones are lost.
struct Unlisted<'s>(&'s State);

impl Cells for Unlisted<'_> {
    fn root(&self) -> Option<&Root> {
        self.0.root()
    }

    fn cell(&self, address: &Address) -> Option<&Cell> {
        self.0.cell(address)
    }

    fn scan(
        &self,
        range: &AddressRange,
        direction: Direction,
    ) -> impl Iterator<Item = (&Address, &Cell)> {
        self.0.scan(range, direction)
    }

    fn by_score(
        &self,
        _: (Bound<Score>, Bound<Score>),
        _: Direction,
    ) -> impl Iterator<Item = (Score, &Bytes)> {
        std::iter::empty()
    }

    fn tallied(&self) -> impl Iterator<Item = &Address> {
        std::iter::empty()
    }
}

#[test]
fn a_member_that_is_not_listed_by_its_score_has_no_rank() {
    let member = Address::new(Kind::Scored, "a");
    let dot = Dot::new(OWN, 1);
    let score = Payload::Score(HybridTime(7), Score::new(1.0).expect("a number"));
    let cell = Cell::from_parts([(dot, score)], []).expect("sorted");
    let context: Context = [dot].into_iter().collect();
    let added = Delta::from_parts(context, None, [(member.clone(), cell)]).expect("names it");
    let mut state = State::new();
    state.join_delta(&added);
    let rank = SortedSetOperation::Rank { member: member.path, direction: Direction::Forward };
    let mut clock = Clock::new();
    let mut mint = Mint::new(Dot::new(OWN, 2), &mut clock, WALL_MILLIS, 7);
    let ranked = Operation::SortedSet(rank).evaluate(&Unlisted(&state), &mut mint);
    assert_eq!(ranked, Err(OpError::Damaged));
}
