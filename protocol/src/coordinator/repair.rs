//! Read repair: those that showed less than all together is known are told the rest.

use coterie_crdt::Partial;
use coterie_wire::Body;
use coterie_wire::peer::write::{Change, Durability, Write};

use super::read::Gathering;
use super::request::About;
use crate::effects::{Class, Effects};
use crate::lane::Shared;
use crate::replica::{self, Stored};

/// Joins what was shown into this node's rows and sends it to the owners that showed less. Nobody waits for
/// them: what is lost on the way is found again by the next read, or by sync.
pub(super) fn repair(
    shared: &mut Shared,
    about: &About,
    gathering: &Gathering,
    joined: &Partial,
    own: &mut Stored,
    effects: &mut Effects,
) {
    let request = &about.request;
    // Derived needs are shown as whole keys.
    let change = match gathering.footprint.derived.is_empty() {
        true => Change::Partial(joined.clone()),
        false => Change::Whole(joined.clone()),
    };
    replica::apply(shared, about.slice, &request.key, own, &change, effects);
    for stale in gathering.stale(joined) {
        let write = Write {
            key: request.key.clone(),
            change: change.clone(),
            durability: Durability::AsSet,
            hint_for: None,
            expects: None,
        };
        let id = shared.draw_request();
        let mut message = shared.message(id, about.slice, Body::Write(Box::new(write)));
        message.epoch = gathering.epoch;
        message.trace = about.trace();
        effects.send(stale, Class::Bulk, message);
    }
}
