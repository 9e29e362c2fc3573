//! Every history of each type up to a size, counted.

use coterie_crdt::operation::{FlagKind, SetKind};

use crate::search::{Search, Size};
use crate::subject::{self, Subject};

/// Under `make proof`, at least 10^6 histories of each type.
fn size() -> Size {
    if std::env::var_os("COTERIE_PROOF").is_some() {
        Size { complete: 4, histories: 1_000_000 }
    } else {
        Size { complete: 3, histories: 10_000 }
    }
}

fn holds_for(subject: &Subject) {
    let size = size();
    let mut search = Search::new(subject, size);
    let result = search.run();
    let counts = search.counts;
    eprintln!(
        "{}: {} histories (complete to {} events; {} causal), {} readings, {} partial evaluations \
         ({} refused)",
        subject.name,
        counts.histories,
        counts.complete,
        counts.causal,
        counts.readings,
        counts.partials,
        counts.refused
    );
    if let Err(violation) = result {
        panic!("{}: {violation}", subject.name);
    }
    assert!(counts.histories >= size.histories, "{} histories are too few", counts.histories);
}

#[test]
fn registers() {
    holds_for(&subject::register());
}

#[test]
fn sibling_readings() {
    holds_for(&subject::siblings());
}

#[test]
fn counters() {
    holds_for(&subject::counter());
}

#[test]
fn numeric_registers() {
    holds_for(&subject::numeric_register());
}

#[test]
fn add_wins_sets() {
    holds_for(&subject::set(SetKind::AddWins));
}

#[test]
fn remove_wins_sets() {
    holds_for(&subject::set(SetKind::RemoveWins));
}

#[test]
fn grow_only_sets() {
    holds_for(&subject::set(SetKind::GrowOnly));
}

#[test]
fn expiries() {
    holds_for(&subject::expiry());
}

#[test]
fn expiring_hashes() {
    holds_for(&subject::expiring_hash());
}

#[test]
fn hashes_with_expiring_fields() {
    holds_for(&subject::hash_of_expiring_fields());
}

#[test]
fn several_kinds_under_one_key() {
    holds_for(&subject::kinds());
}

#[test]
fn hashes() {
    holds_for(&subject::hash());
}

#[test]
fn nested_maps() {
    holds_for(&subject::map());
}

#[test]
fn sorted_sets() {
    holds_for(&subject::sorted_set());
}

#[test]
fn enable_wins_flags() {
    holds_for(&subject::flag(FlagKind::EnableWins));
}

#[test]
fn disable_wins_flags() {
    holds_for(&subject::flag(FlagKind::DisableWins));
}

#[test]
fn lists() {
    holds_for(&subject::list());
}

#[test]
fn hyperloglogs() {
    holds_for(&subject::sketch());
}
