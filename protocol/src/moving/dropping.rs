//! Deleting a copy of a slice: a job of chunks, over the buckets of that replica count. Other buckets of the
//! partition stay.

use bytes::Bytes;
use coterie_ring::{BucketName, Partition};
use coterie_wire::Slice;

use super::adopt::fresh_actor;
use super::{Event, Moving};
use crate::digests::Tree;
use crate::effects::{After, Effects};
use crate::lane::Shared;
use crate::lane::slices::store_epoch;
use crate::rows::address::{self, Derived, SliceRow};
use crate::rows::{Direction, KeyRange, NotResident, Row, Rows, Space};
use crate::slice::{KnownEpoch, Reception, SliceState};
use crate::view::View;

/// The buckets whose rows one event deletes: six ranges each.
const BUCKETS_PER_EVENT: usize = 64;

/// The marks of deadlines that one event looks at.
const DEADLINES_PER_EVENT: usize = 512;

/// How far the deletion of a copy is. Volatile: after a restart it begins again, and finds less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Dropping {
    /// The rows of the buckets after this one are next.
    Buckets(Option<BucketName>),
    /// The marks of deadlines from this address on are next: there time comes before the bucket.
    Deadlines(KeyRange),
}

impl Dropping {
    /// The rows that the next chunk needs.
    pub(super) fn read(&self, rows: &impl Rows) -> Result<Vec<Row>, NotResident> {
        match self {
            Dropping::Buckets(_) => Ok(Vec::new()),
            Dropping::Deadlines(range) => {
                rows.scan(Space::Derived, range, Direction::Forward, DEADLINES_PER_EVENT)
            }
        }
    }
}

impl Moving {
    /// Begins to delete a copy: from now on it counts nowhere, also after a restart.
    pub(super) fn begin_dropping(
        &mut self,
        shared: &mut Shared,
        slice: Slice,
        effects: &mut Effects,
    ) {
        if self.dropping.contains_key(&slice) || !shared.slices.contains_key(&slice) {
            return;
        }
        shared.receive(slice, Reception::Dropping, &mut effects.batch);
        if let Some(state) = shared.slices.get_mut(&slice) {
            state.tree = Tree::default();
            state.verified.clear();
        }
        effects.batch.delete_range(Space::Leaves, address::leaves(slice));
        self.end_work(shared, slice);
        self.dropping.insert(slice, Dropping::Buckets(None));
        effects.lane(After::Written, Event::Dropping { slice }.into());
    }

    /// Deletes one more chunk.
    pub(super) fn go_on_dropping(
        &mut self,
        shared: &mut Shared,
        slice: Slice,
        deadlines: &[Row],
        effects: &mut Effects,
    ) {
        let Some(dropping) = self.dropping.get_mut(&slice) else { return };
        match dropping {
            Dropping::Buckets(after) => {
                let buckets = buckets_after(&shared.view, slice, after.as_ref());
                for bucket in &buckets {
                    delete_bucket(slice.partition, bucket, effects);
                }
                *dropping = match buckets.last() {
                    Some(last) if buckets.len() == BUCKETS_PER_EVENT => {
                        Dropping::Buckets(Some((*last).clone()))
                    }
                    Some(_) | None => Dropping::Deadlines(address::derived_range(
                        slice.partition,
                        Derived::Deadline,
                    )),
                };
            }
            Dropping::Deadlines(range) => {
                for (mark, _) in deadlines {
                    let bucket = address::deadline_bucket(mark);
                    if bucket.is_some_and(|bucket| is_of(&shared.view, slice, &bucket)) {
                        effects.batch.delete(Space::Derived, mark.clone());
                    }
                }
                match deadlines.last() {
                    Some((last, _)) if deadlines.len() == DEADLINES_PER_EVENT => {
                        range.from = address::after(last);
                    }
                    Some(_) | None => {
                        self.end_dropping(shared, slice, effects);
                        return;
                    }
                }
            }
        }
        effects.lane(After::Written, Event::Dropping { slice }.into());
    }

    /// Nothing of the copy is left. It is forgotten, or goes on empty where a live set has this node.
    fn end_dropping(&mut self, shared: &mut Shared, slice: Slice, effects: &mut Effects) {
        self.dropping.remove(&slice);
        let sets = shared.view.live_sets(slice);
        let Some(state) = shared.slices.get(&slice) else { return };
        if !sets.owners().contains(&shared.me) || slice.replicas > replicas(&shared.view) {
            self.forget(shared, slice, effects);
            return;
        }
        // What has retired goes on refusing; there is nothing that it should receive.
        let ended = !sets.newest().contains(shared.me) && state.replica.status().retired;
        let reception = match ended {
            true => Reception::Whole,
            false => Reception::Afresh { synchronised: Vec::new() },
        };
        shared.receive(slice, reception, &mut effects.batch);
        let (actor, of) = (fresh_actor(shared, slice), shared.view.incarnation);
        if let Some(state) = shared.slices.get_mut(&slice) {
            state.spend_actors(actor, of);
            state.store_actors(&mut effects.batch);
        }
        let sets = coterie_ring::moves::Event::Layout(sets);
        self.drive(shared, slice, sets, effects);
    }

    /// This node has nothing to do with the slice any more. It remembers the purge epoch, for hints, unless that may be
    /// one that it lost.
    pub(super) fn forget(&mut self, shared: &mut Shared, slice: Slice, effects: &mut Effects) {
        self.end_work(shared, slice);
        self.overruled.remove(&slice);
        shared.unreceived.remove(&slice);
        let Some(state) = shared.slices.remove(&slice) else { return };
        SliceState::forget(slice, &mut effects.batch);
        if shared.view.amnesiac {
            let row = address::slice_row(slice, SliceRow::Epoch);
            effects.batch.delete(Space::Control, row);
        } else {
            let known = KnownEpoch { epoch: state.epoch, settled: state.epoch_min };
            store_epoch(slice, (known.epoch, known.settled), &mut effects.batch);
            shared.epochs.insert(slice, known);
        }
    }
}

fn replicas(view: &View) -> u8 {
    view.decision.layout().snapshot().replicas()
}

/// Buckets are never taken away, and their replica counts are fixed: these are all that can have rows.
fn buckets_after<'v>(
    view: &'v View,
    slice: Slice,
    after: Option<&BucketName>,
) -> Vec<&'v BucketName> {
    let buckets = view.decision.layout().snapshot().buckets();
    buckets
        .filter(|(_, policy)| policy.replicas == slice.replicas)
        .map(|(name, _)| name)
        .skip_while(|name| after.is_some_and(|after| *name <= after))
        .take(BUCKETS_PER_EVENT)
        .collect()
}

fn is_of(view: &View, slice: Slice, bucket: &Bytes) -> bool {
    view.policy(bucket).is_some_and(|policy| policy.replicas == slice.replicas)
}

fn delete_bucket(partition: Partition, bucket: &BucketName, effects: &mut Effects) {
    let bucket = bucket.as_str().as_bytes();
    let batch = &mut effects.batch;
    batch.delete_range(Space::Rows, address::bucket_range(partition, bucket));
    for what in Derived::BY_KEY {
        let range = address::derived_bucket_range(partition, what, bucket);
        batch.delete_range(Space::Derived, range);
    }
}
