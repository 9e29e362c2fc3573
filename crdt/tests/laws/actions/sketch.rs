//! Actions on HyperLogLogs.

use coterie_crdt::Kind;
use coterie_crdt::operation::{HyperLogLogOperation, Reply};
use coterie_crdt::sketch::register_of;

use crate::actions::{Action, Meaning, name};
use crate::model::{Content, Effect, Model, Place, View};

/// The register of an element: its index.
fn index(n: u8) -> u16 {
    register_of(&name(n)).0
}

/// Which element's register an index is.
pub(crate) fn element(path: &[u8]) -> u8 {
    (0..6).find(|&n| index(n).to_be_bytes() == *path).expect("the register of an element")
}

pub(super) fn operation(action: Action) -> HyperLogLogOperation {
    match action {
        Action::SketchAdd(n) => HyperLogLogOperation::Add(vec![name(n)]),
        Action::SketchMerge(n, rank) => HyperLogLogOperation::Merge(vec![(index(n), rank)]),
        Action::Registers => HyperLogLogOperation::Registers,
        other => unreachable!("{other:?} is not on HyperLogLogs"),
    }
}

pub(super) fn meaning(action: Action, model: &Model, view: &View) -> Meaning {
    let place = |n| Place(Kind::Sketch, n);
    let rank = |n| {
        let ranks = model.at(view, place(n)).map(|write| match write.content {
            Content::Rank(rank) => rank,
            other => unreachable!("registers have ranks, not {other:?}"),
        });
        ranks.max().unwrap_or(0)
    };
    let raise = |n, to| {
        let put = Effect::Put(place(n), Content::Rank(to));
        if rank(n) < to { vec![put] } else { vec![] }
    };
    let (reply, effects) = match action {
        Action::SketchAdd(n) => {
            let effects = raise(n, register_of(&name(n)).1);
            (Reply::flag(!effects.is_empty()), effects)
        }
        Action::SketchMerge(n, to) => (Reply::Done, raise(n, to)),
        Action::Registers => {
            let mut registers: Vec<(u16, u8)> =
                (0..6).map(|n| (index(n), rank(n))).filter(|(_, rank)| *rank > 0).collect();
            registers.sort_unstable();
            (Reply::Registers(registers), vec![])
        }
        other => unreachable!("{other:?} is not on HyperLogLogs"),
    };
    (Ok(reply), effects)
}
