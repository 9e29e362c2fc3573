//! Actions on flags.

use coterie_crdt::Kind;
use coterie_crdt::operation::{FlagKind, FlagOperation, FlagVerb, Reply};

use crate::actions::{Action, Meaning};
use crate::model::{Content, Effect, Model, Place, View};

pub(super) fn operation(action: Action) -> FlagOperation {
    let (kind, verb) = match action {
        Action::Enable(kind) => (kind, FlagVerb::Enable),
        Action::Disable(kind) => (kind, FlagVerb::Disable),
        Action::ReadFlag(kind) => (kind, FlagVerb::Read),
        other => unreachable!("{other:?} is not on flags"),
    };
    FlagOperation { kind, verb }
}

pub(super) fn meaning(action: Action, model: &Model, view: &View) -> Meaning {
    let place = |kind| match kind {
        FlagKind::EnableWins => Place(Kind::EnableFlag, 0),
        FlagKind::DisableWins => Place(Kind::DisableFlag, 0),
    };
    let (reply, effects) = match action {
        Action::Enable(kind) => (Reply::Done, vec![Effect::Put(place(kind), Content::Present)]),
        Action::Disable(FlagKind::DisableWins) => {
            (Reply::Done, vec![Effect::Put(place(FlagKind::DisableWins), Content::Removed)])
        }
        Action::Disable(kind) if model.has(view, place(kind)) => {
            (Reply::Done, vec![Effect::Remove(place(kind))])
        }
        Action::Disable(_) => (Reply::Done, vec![]),
        Action::ReadFlag(kind) => (Reply::flag(model.has(view, place(kind))), vec![]),
        other => unreachable!("{other:?} is not on flags"),
    };
    (Ok(reply), effects)
}
