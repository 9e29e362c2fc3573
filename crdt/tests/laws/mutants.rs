//! Every historical bug, switched on: the laws catch each, and without it the same search is clean.

use std::panic::{AssertUnwindSafe, catch_unwind};

use coterie_crdt::mutants::{Mutant, with_mutant};
use coterie_crdt::operation::SetKind;

use crate::search::{Search, Size};
use crate::subject::{self, Subject};
use crate::violation::Violation;

/// Long enough for every mutant.
const SIZE: Size = Size { complete: 3, histories: 3_000 };

/// Runs a search; where the crate itself noticed and panicked, that is a violation too.
fn search(subject: &Subject, checked: &mut u64) -> Result<(), Violation> {
    let mut search = Search::new(subject, SIZE);
    let result = catch_unwind(AssertUnwindSafe(|| search.run()));
    *checked = search.counts.histories;
    result.unwrap_or_else(|_panic| {
        Err(Violation { law: "the crate's own assertions", detail: String::new() })
    })
}

fn is_caught(mutant: Mutant, subject: &Subject) {
    let mut checked = 0;
    search(subject, &mut checked).unwrap_or_else(|v| panic!("without {mutant:?}: {v}"));
    let clean = checked;
    let violation = with_mutant(mutant, || search(subject, &mut checked)).expect_err("caught");
    eprintln!(
        "{mutant:?} in {}: caught after {checked} histories by \"{}\" ({clean} clean without it)",
        subject.name, violation.law
    );
}

/// Historical bug 1.
#[test]
fn dots_minted_twice() {
    is_caught(Mutant::DotReuse, &subject::set(SetKind::AddWins));
}

/// Historical bug 5.
#[test]
fn deltas_that_claim_a_whole_context() {
    is_caught(Mutant::DeltaClaimsContext, &subject::set(SetKind::AddWins));
}

/// Historical bug 5.
#[test]
fn partial_states_whose_context_is_claimed() {
    is_caught(Mutant::PartialClaimsContext, &subject::set(SetKind::AddWins));
}

/// Historical bug 6.
#[test]
fn merging_by_presence() {
    is_caught(Mutant::BothSidesKeep, &subject::set(SetKind::AddWins));
}

/// Historical bug 7.
#[test]
fn digests_of_contexts_only() {
    is_caught(Mutant::DigestOfContextOnly, &subject::set(SetKind::AddWins));
}

/// Historical bug 7, the other way round.
#[test]
fn digests_without_contexts() {
    is_caught(Mutant::DigestWithoutContext, &subject::set(SetKind::AddWins));
}

/// Historical bug 7, at its root.
#[test]
fn removals_without_a_dot() {
    is_caught(Mutant::NoEventDot, &subject::set(SetKind::AddWins));
}

/// Historical bug 8.
#[test]
fn resets_to_zero() {
    is_caught(Mutant::ResetToZero, &subject::counter());
}

#[test]
fn resets_without_their_amounts() {
    is_caught(Mutant::ResetWithoutAmounts, &subject::counter());
}

#[test]
fn writes_that_drop_what_vouched_for_tallies() {
    is_caught(Mutant::DropWithoutTallies, &subject::counter());
}

/// Historical bug 9.
#[test]
fn ties_that_no_one_breaks() {
    is_caught(Mutant::StampWithoutTieBreak, &subject::register());
}

#[test]
fn stamps_below_observed_ones() {
    is_caught(Mutant::StampBelowObserved, &subject::register());
}

#[test]
fn dots_that_span_cells() {
    is_caught(Mutant::DotSpansCells, &subject::set(SetKind::AddWins));
}

#[test]
fn deletes_that_settle_what_they_do_not_cover() {
    is_caught(Mutant::SettleUncovered, &subject::set(SetKind::AddWins));
}

#[test]
fn removals_that_should_win_and_are_forgotten() {
    is_caught(Mutant::RemovalForgotten, &subject::set(SetKind::RemoveWins));
}

/// A new mutant needs a test here, or with the [transfers](crate::transfers).
#[test]
fn every_mutant_has_a_test() {
    assert_eq!(Mutant::ALL.len(), 16);
}
