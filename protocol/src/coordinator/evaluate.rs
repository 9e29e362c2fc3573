//! Evaluating, minting and committing, in one event (DESIGN §4, "Minting").

use coterie_crdt::operation::{OpError, Reply, evaluate_all};
use coterie_crdt::{Cells, Context, Delta, Dot, Mint};
use coterie_ring::NodeId;
use coterie_wire::{Answered, ChangedDots, Request, Slice};

use super::found;
use super::request::About;
use crate::effects::Effects;
use crate::lane::Shared;

/// What the operations of a request came to.
#[derive(Debug)]
pub(super) struct Evaluated {
    pub(super) replies: Vec<Result<Reply, OpError>>,
    pub(super) delta: Delta,
    pub(super) changed: ChangedDots,
    pub(super) seen: (Context, u64),
}

impl Evaluated {
    /// The answer that this makes, so far seen by `owners`.
    pub(super) fn answered(self, owners: Vec<NodeId>) -> Answered {
        Answered {
            replies: self.replies,
            changed: self.changed,
            seen: self.seen,
            owners,
            fallbacks: Vec::new(),
            everywhere: false,
            explanation: None,
        }
    }
}

/// Evaluates a request on `cells`: this node's own rows, or those joined with other owners'.
///
/// Dots follow those in `own`, this node's context of the key: it holds every dot that was minted here under an
/// actor that is not spent (invariant 1).
pub(super) fn evaluate(
    shared: &mut Shared,
    about: &About,
    own: &Context,
    cells: &impl Cells,
    effects: &mut Effects,
) -> Evaluated {
    let epoch = shared.epoch(about.slice);
    let (first, mint) = mint(shared, about, own, effects);
    on(&about.request, cells, mint, first, epoch)
}

/// A mint for a request, and its first dot.
pub(super) fn mint<'s>(
    shared: &'s mut Shared,
    about: &About,
    own: &Context,
    effects: &mut Effects,
) -> (Dot, Mint<'s>) {
    let first = next_dot(shared, about.slice, own, effects);
    let random = found::random(about.request.id);
    let lifetime = shared.view.lifetime_millis(&about.request.key);
    let mint = Mint::new(first, &mut shared.clock, shared.now.wall_millis, random)
        .with_limits(shared.settings.limits)
        .with_lifetime(lifetime);
    (first, mint)
}

/// Evaluates a request with a mint whose first dot is `first`.
pub(super) fn on(
    request: &Request,
    cells: &impl Cells,
    mut mint: Mint<'_>,
    first: Dot,
    epoch: u64,
) -> Evaluated {
    let (replies, delta) = evaluate_all(&request.operations, cells, &mut mint);
    let changed = changed(&delta, first, epoch);
    let seen = cells.root().map_or_else(Context::new, |root| root.context.clone());
    Evaluated { replies, delta, changed, seen: (seen, epoch) }
}

fn next_dot(shared: &mut Shared, slice: Slice, own: &Context, effects: &mut Effects) -> Dot {
    let drawn = shared.draw_actor();
    let state = shared.slices.get_mut(&slice).expect("coordinated slices are owned");
    state.actors.next_dot(own).unwrap_or_else(|| {
        state.actors.draw(drawn);
        state.store(&mut effects.batch);
        Dot::new(drawn, 1)
    })
}

/// The dots of a delta, apart: minted from `first` on, and observed.
fn changed(delta: &Delta, first: Dot, epoch: u64) -> ChangedDots {
    let is_minted = |dot: &Dot| dot.actor == first.actor && dot.sequence >= first.sequence;
    let last = delta.context.greatest(first.actor);
    let minted = (first.sequence..=last).map(|sequence| Dot::new(first.actor, sequence));
    let minted = minted.filter(|dot| delta.context.contains(*dot)).collect();
    let vector = delta.context.vector().iter().map(|&(actor, upto)| {
        let below = first.sequence - 1;
        (actor, if actor == first.actor { upto.min(below) } else { upto })
    });
    let vector = vector.filter(|entry| entry.1 > 0);
    let cloud = delta.context.cloud().iter().copied().filter(|dot| !is_minted(dot));
    let observed = Context::from_parts(vector, cloud).expect("a folded context, cut off");
    ChangedDots { minted, observed, epoch }
}
