//! Where a listing goes, and who has to be asked for it.

use coterie_crdt::operation::{KeyOperation, Operation};
use coterie_ring::{BucketKind, KeyHash, Level};
use coterie_wire::{LevelRefused, Levels, List, Refused, Slice};

use crate::coordinator::Quota;
use crate::lane::Shared;
use crate::replica::admit::may_coordinate;

/// What a listing is to be worth in its bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) slice: Slice,
    /// Who has to show which keys it has.
    pub(super) quota: Quota,
    level: Level,
    strong: bool,
    /// Whether fewer owners have to do where no more can be reached.
    pub(super) sloppy: bool,
}

/// Where a listing goes.
pub(super) enum Route {
    /// This node coordinates it.
    Here(Plan),
    /// Another owner does.
    Away(Plan),
    /// It is answered at once.
    Refused(Refused),
}

/// Where a listing goes, as far as its bucket and this node's slices say.
pub(super) fn route(shared: &Shared, list: &List) -> Route {
    let Some(policy) = shared.view.policy(&list.bucket) else {
        return Route::Refused(Refused::NoSuchBucket);
    };
    let strong = policy.kind == BucketKind::Strong;
    if list.read == Some(Level::Any) {
        return Route::Refused(Refused::Level(LevelRefused::AnyRead));
    }
    let mut level = list.read.unwrap_or(policy.read);
    // Any two majorities of the owners of a register meet.
    if strong || level == Level::Linearizable {
        level = Level::Quorum;
    }
    let partitioner = shared.view.decision.layout().partitioner();
    let partition = partitioner.partition(KeyHash(list.from.hash));
    let slice = Slice { partition, replicas: policy.replicas };
    let quota = Quota::of(level);
    let sloppy = policy.kind == BucketKind::Sloppy;
    let plan = Plan { slice, quota, level, strong, sloppy };
    let here = may_coordinate(shared, slice, quota.readiness());
    if here { Route::Here(plan) } else { Route::Away(plan) }
}

impl Plan {
    /// How a single key is looked at.
    pub(super) fn read(&self) -> (Operation, Levels) {
        if self.strong {
            return (Operation::Key(KeyOperation::Exists), Levels::default());
        }
        let levels = Levels { write: None, read: Some(self.level) };
        (Operation::Key(KeyOperation::Type), levels)
    }
}
