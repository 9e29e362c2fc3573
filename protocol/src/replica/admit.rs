//! Admission: the one place where a message about a slice is let in, or answered with why not, and where it is decided what
//! this node may say or coordinate of one.

use std::cmp::Ordering;

use coterie_ring::moves::{Quorum, ReadRefusal, SetVersion, WriteRefusal};
use coterie_ring::{BucketKind, KeyHash, NodeId};
use coterie_wire::peer::PeerRefusal;
use coterie_wire::peer::listing::ShowKeys;
use coterie_wire::peer::read::{Read, ReadAnswer};
use coterie_wire::peer::write::WriteAnswer;
use coterie_wire::{Body, Key, Message, RequestId, Slice};

use crate::effects::{Class, Effects};
use crate::event::ControlEvent;
use crate::lane::Shared;
use crate::slice::SliceState;

/// Longer names have no address; no node sends them.
const BUCKET_BYTES_MAX: usize = u8::MAX as usize;
const KEY_BYTES_MAX: usize = u16::MAX as usize;

/// Why a message about a slice is not taken. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// This node does not own the slice.
    NotOwner,
    /// The sender knows too old owners.
    LayoutStale {
        /// The newest set known here.
        known: SetVersion,
    },
    /// The sender knows newer owners than this node, which fetches them.
    LayoutBehind {
        /// The newest set known here.
        known: SetVersion,
        /// The set that the sender named.
        named: SetVersion,
    },
    /// This node has retired from the slice; that counts in older sets.
    Retired {
        /// The newest set known here.
        known: SetVersion,
    },
    /// The sender is no member in the layout in force here: what it has of a slice may have been purged without it, or
    /// it may have joined unknown to this node (invariant 19).
    Stranger {
        /// The decision in force here.
        known: SetVersion,
    },
    /// The state carried is of an older purge epoch, and is never joined (invariant 19).
    EpochStale {
        /// The epoch here.
        epoch: u64,
    },
    /// It is of a newer purge epoch, which this node has yet to adopt.
    EpochAhead {
        /// The epoch here.
        epoch: u64,
    },
    /// This node has not received enough of the slice to answer, or may have lost some (invariant 2).
    NotReady {
        /// The newest set known here.
        known: SetVersion,
    },
    /// The message contradicts itself.
    Malformed,
}

impl Refusal {
    /// The sender named a version that is not the one known here.
    #[must_use]
    pub fn of_other(named: SetVersion, known: SetVersion) -> Self {
        if named > known {
            Refusal::LayoutBehind { known, named }
        } else {
            Refusal::LayoutStale { known }
        }
    }

    /// As the answer to a write.
    #[must_use]
    pub fn to_write(self) -> Body {
        Body::Wrote(match self {
            Refusal::NotOwner => WriteAnswer::NotOwner,
            Refusal::Stranger { known }
            | Refusal::LayoutStale { known }
            | Refusal::LayoutBehind { known, .. } => WriteAnswer::OtherLayout { known },
            Refusal::Retired { .. } => WriteAnswer::Retired,
            Refusal::EpochStale { epoch } => WriteAnswer::StaleEpoch { epoch },
            Refusal::EpochAhead { epoch } => WriteAnswer::EpochAhead { epoch },
            Refusal::NotReady { .. } => WriteAnswer::NotReceived,
            Refusal::Malformed => return Body::Refused(PeerRefusal::Malformed),
        })
    }

    /// As the answer to a read.
    #[must_use]
    pub fn to_read(self) -> Body {
        match self {
            Refusal::Stranger { known }
            | Refusal::LayoutStale { known }
            | Refusal::LayoutBehind { known, .. }
            | Refusal::Retired { known }
            | Refusal::NotReady { known } => Body::Shown(ReadAnswer::NotReady { known }),
            Refusal::NotOwner
            | Refusal::EpochStale { .. }
            | Refusal::EpochAhead { .. }
            | Refusal::Malformed => Body::Refused(self.to_peer()),
        }
    }

    /// As the answer to any message.
    #[must_use]
    pub fn to_peer(self) -> PeerRefusal {
        match self {
            Refusal::NotOwner | Refusal::Retired { .. } => PeerRefusal::NotOwner,
            Refusal::Stranger { known }
            | Refusal::LayoutStale { known }
            | Refusal::LayoutBehind { known, .. }
            | Refusal::NotReady { known } => PeerRefusal::OtherLayout { known },
            Refusal::EpochStale { epoch } => PeerRefusal::StaleEpoch { epoch },
            Refusal::EpochAhead { epoch } => PeerRefusal::EpochAhead { epoch },
            Refusal::Malformed => PeerRefusal::Malformed,
        }
    }
}

/// Admits a member's message about a slice that this node owns, under a purge epoch that is not over.
///
/// # Errors
/// [`Refusal`]
pub fn slice<'s>(
    shared: &'s Shared,
    from: NodeId,
    message: &Message,
) -> Result<&'s SliceState, Refusal> {
    let slice = known(shared, message)?;
    member(shared, from)?;
    let state = shared.slices.get(&slice);
    let state = state.ok_or_else(|| not_owned(shared, slice, message.layout))?;
    let epoch = state.epoch;
    if message.epoch > epoch {
        return Err(Refusal::EpochAhead { epoch });
    }
    if state.admits_epoch(message.epoch) { Ok(state) } else { Err(Refusal::EpochStale { epoch }) }
}

/// As [`slice()`], of a message about a key of it.
///
/// # Errors
/// [`Refusal`]
pub fn key<'s>(
    shared: &'s Shared,
    from: NodeId,
    message: &Message,
    key: &Key,
) -> Result<&'s SliceState, Refusal> {
    place(shared, message, key)?;
    slice(shared, from, message)
}

/// Whether a node is a member in the layout in force here.
///
/// # Errors
/// [`Refusal::Stranger`]
pub fn member(shared: &Shared, from: NodeId) -> Result<(), Refusal> {
    let decision = &shared.view.decision;
    let is_member = from == shared.me || decision.layout().member_index(from).is_some();
    if is_member { Ok(()) } else { Err(Refusal::Stranger { known: decision.version() }) }
}

/// The slice of a message about a key of it, whether or not this node owns it.
///
/// # Errors
/// [`Refusal::Malformed`]
pub fn place(shared: &Shared, message: &Message, key: &Key) -> Result<Slice, Refusal> {
    let short = key.bucket().len() <= BUCKET_BYTES_MAX && key.name().len() <= KEY_BYTES_MAX;
    let slice = known(shared, message)?;
    // A bucket that this node does not know yet has the replica count that the sender says.
    // Keys of strong buckets have a register in place of a root, and messages of their own.
    let policy = shared.view.policy(key.bucket());
    let fits = policy.is_none_or(|policy| {
        policy.replicas == slice.replicas && policy.kind != BucketKind::Strong
    });
    let here = fits && shared.view.partition(key) == slice.partition;
    if short && here { Ok(slice) } else { Err(Refusal::Malformed) }
}

/// The slice of a message, if there is such a one.
///
/// # Errors
/// [`Refusal::Malformed`]
pub fn known(shared: &Shared, message: &Message) -> Result<Slice, Refusal> {
    message.slice.filter(|slice| exists(shared, *slice)).ok_or(Refusal::Malformed)
}

/// As [`key`], of a message that changes it: fenced by the owners that its sender knows (invariant 17).
///
/// # Errors
/// [`Refusal`]
pub fn write<'s>(
    shared: &'s Shared,
    from: NodeId,
    message: &Message,
    written: &Key,
) -> Result<&'s SliceState, Refusal> {
    let state = key(shared, from, message, written)?;
    let known = state.replica.sets().tag();
    state.replica.admit_write(message.layout).map_err(|refusal| match refusal {
        WriteRefusal::Stale { .. } => Refusal::LayoutStale { known },
        WriteRefusal::Behind { .. } => Refusal::LayoutBehind { known, named: message.layout },
        WriteRefusal::Retired => Refusal::Retired { known },
        WriteRefusal::NotOwner => Refusal::NotOwner,
    })?;
    Ok(state)
}

/// Why a message is not taken that has to bear the very owners and purge epoch that this node knows.
///
/// # Errors
/// [`Refusal`]
pub fn exactly(state: &SliceState, layout: SetVersion, epoch: u64) -> Result<(), Refusal> {
    let known = state.replica.sets().tag();
    match (layout.cmp(&known), epoch.cmp(&state.epoch)) {
        (Ordering::Less, _) => Err(Refusal::LayoutStale { known }),
        (Ordering::Greater, _) => Err(Refusal::LayoutBehind { known, named: layout }),
        (_, Ordering::Less) => Err(Refusal::EpochStale { epoch: state.epoch }),
        (_, Ordering::Greater) => Err(Refusal::EpochAhead { epoch: state.epoch }),
        (Ordering::Equal, Ordering::Equal) => Ok(()),
    }
}

/// Whether a write that was admitted with these tags still is.
pub(super) fn again(
    shared: &Shared,
    slice: Slice,
    (layout, epoch): (SetVersion, u64),
) -> Result<(), Refusal> {
    let state = shared.slices.get(&slice).ok_or(Refusal::NotOwner)?;
    if !state.admits_epoch(epoch) {
        return Err(Refusal::EpochStale { epoch: state.epoch });
    }
    let known = state.replica.sets().tag();
    state.replica.admit_write(layout).map_err(|_refusal| Refusal::LayoutStale { known })
}

/// As [`key`], of a read that is to count in a set (invariant 17).
///
/// # Errors
/// [`Refusal`]
pub fn read<'s>(
    shared: &'s Shared,
    from: NodeId,
    message: &Message,
    read: &Read,
) -> Result<&'s SliceState, Refusal> {
    let state = key(shared, from, message, &read.key)?;
    answers(shared, state, read.set, read.quorum)?;
    Ok(state)
}

/// As [`slice()`], of a listing that is to count in a set, of a bucket that a lane may look for.
///
/// # Errors
/// [`Refusal`]
pub fn listing<'s>(
    shared: &'s Shared,
    from: NodeId,
    message: &Message,
    show: &ShowKeys,
) -> Result<&'s SliceState, Refusal> {
    let slice = known(shared, message)?;
    let hash = KeyHash(show.from.hash);
    let partitioner = shared.view.decision.layout().partitioner();
    let policy = shared.view.policy(&show.bucket);
    if show.bucket.len() > BUCKET_BYTES_MAX
        || partitioner.partition(hash) != slice.partition
        || policy.is_some_and(|policy| policy.replicas != slice.replicas)
    {
        return Err(Refusal::Malformed);
    }
    let state = self::slice(shared, from, message)?;
    answers(shared, state, show.set, show.quorum)?;
    Ok(state)
}

/// Whether what this node says of a slice counts in a set (invariants 2, 17).
pub(super) fn answers(
    shared: &Shared,
    state: &SliceState,
    set: SetVersion,
    quorum: Quorum,
) -> Result<(), Refusal> {
    let known = state.replica.sets().tag();
    state.replica.may_answer_read(set, quorum).map_err(|refusal| match refusal {
        ReadRefusal::Retired { .. } => Refusal::LayoutStale { known },
        ReadRefusal::Behind { .. } => Refusal::LayoutBehind { known, named: set },
        ReadRefusal::NotReady => Refusal::NotReady { known },
        ReadRefusal::NotOwner => Refusal::NotOwner,
    })?;
    if counts(shared, state) { Ok(()) } else { Err(Refusal::NotReady { known }) }
}

/// Whether what this node says of a slice counts, moves aside (invariant 2).
#[must_use]
pub fn counts(shared: &Shared, state: &SliceState) -> bool {
    state.is_received() && !shared.view.amnesiac
}

/// Whether this node may coordinate what reads `quorum`: it has received enough of a slice, and lost nothing of it (invariants 2,
/// 17).
#[must_use]
pub fn may_coordinate(shared: &Shared, slice: Slice, quorum: Quorum) -> bool {
    shared
        .slices
        .get(&slice)
        .is_some_and(|state| counts(shared, state) && state.replica.may_coordinate(quorum))
}

/// Notes that a message from `from` was refused, and has done what helps.
pub fn note(shared: &mut Shared, from: NodeId, refusal: Refusal, effects: &mut Effects) {
    let counters = &mut shared.counters;
    let counter = match refusal {
        Refusal::NotOwner => &mut counters.not_owner,
        Refusal::Stranger { .. } => &mut counters.strangers,
        Refusal::LayoutStale { .. } => &mut counters.layout_stale,
        Refusal::LayoutBehind { named, .. } => {
            effects.control(ControlEvent::LayoutBehind { peer: from, known: named });
            &mut counters.layout_behind
        }
        Refusal::Retired { .. } => &mut counters.retired,
        Refusal::EpochStale { .. } => &mut counters.epoch_stale,
        Refusal::EpochAhead { .. } => &mut counters.epoch_ahead,
        Refusal::NotReady { .. } => &mut counters.not_ready,
        Refusal::Malformed => &mut counters.malformed,
    };
    *counter += 1;
}

/// Refuses a message of which nothing more is looked at.
pub fn refuse(
    shared: &mut Shared,
    from: NodeId,
    message: &Message,
    refusal: Refusal,
    effects: &mut Effects,
) {
    note(shared, from, refusal, effects);
    if let Some(slice) = message.slice.filter(|_| !message.body.is_answer()) {
        let answer = answer(shared, message.request, slice, Body::Refused(refusal.to_peer()));
        effects.send(from, Class::Requests, answer);
    }
}

/// An answer about a slice, which need not be one that there is.
#[must_use]
pub fn answer(shared: &Shared, request: RequestId, slice: Slice, body: Body) -> Message {
    if exists(shared, slice) {
        return shared.message(request, slice, body);
    }
    Message {
        request,
        slice: Some(slice),
        layout: SetVersion::default(),
        epoch: 0,
        time_left: None,
        trace: 0,
        committed: None,
        body,
    }
}

/// Of a slice that this node does not own, as far as it knows.
fn not_owned(shared: &Shared, slice: Slice, named: SetVersion) -> Refusal {
    let known = shared.view.live_sets(slice).tag();
    match named.cmp(&known) {
        Ordering::Less => Refusal::LayoutStale { known },
        Ordering::Equal => Refusal::NotOwner,
        Ordering::Greater => Refusal::LayoutBehind { known, named },
    }
}

fn exists(shared: &Shared, slice: Slice) -> bool {
    let partitions = shared.view.decision.layout().partitioner().count();
    slice.replicas > 0 && usize::from(slice.partition.0) < partitions
}
