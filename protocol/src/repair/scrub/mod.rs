//! Scrub: a slow walk over all rows, which computes anew what is kept about them and repairs what differs.
//!
//! It goes partition by partition, in chunks of rows. Roots are recounted, derived rows compared, and the
//! leaves of digest trees summed again, in step with every write meanwhile, so that what is compared at the end of a
//! partition is exact. A key with a damaged row is quarantined (`quarantine`).

mod examine;
mod quarantine;

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use coterie_crdt::digest::key_digest;
use coterie_crdt::recount;
use coterie_ring::Partition;
use coterie_wire::{Key, Slice};

use crate::effects::{After, Effects};
use crate::lane::Shared;
use crate::replica::{self, large};
use crate::rows::address::KeyPrefix;
use crate::rows::{NotResident, Rows};
use examine::{Examined, LARGE_CHUNK, Page};

/// What happens to the scrub from within its lane.
#[derive(Clone, Debug)]
pub enum Event {
    /// It goes on with the next chunk.
    Step,
    /// A damaged row of a key was come upon.
    Damaged {
        /// In which slice.
        slice: Slice,
        /// Which key.
        key: Key,
    },
    /// What is kept about rows of a slice contradicts them, or some of them are damaged.
    Contradiction {
        /// Which slice.
        slice: Slice,
    },
}

/// The rows that an event of the scrub needs.
#[derive(Debug)]
pub struct Found(Finding);

#[derive(Debug)]
enum Finding {
    Page(Box<Page>),
    Damaged(quarantine::Damage),
    Nothing,
}

/// How far a lane's rows have been walked over.
#[derive(Debug, Default)]
pub struct Scrub {
    /// Where it is; `None` between two passes.
    place: Option<Place>,
    /// When it goes on; `None` before it has been told the time.
    next: Option<Duration>,
    /// Whether a step is waiting in the lane.
    stepping: bool,
    /// Partitions whose leaves are known to be wrong, to be walked over without a pause.
    urgent: BTreeSet<Partition>,
    /// Whether a pass over all partitions is under way, urgent ones aside.
    passing: bool,
    /// The partition that the pass was called away from.
    resume: Option<Partition>,
}

#[derive(Clone, Debug)]
struct Place {
    partition: Partition,
    /// The last row that was examined.
    after: Option<Bytes>,
    /// Whether all rows so far could be told apart: else leaves cannot be compared.
    sound: bool,
}

impl Scrub {
    /// Reads what an event of its own needs.
    ///
    /// # Errors
    /// [`NotResident`]
    pub fn read_event(
        &self,
        shared: &Shared,
        event: &Event,
        rows: &impl Rows,
    ) -> Result<Found, NotResident> {
        let finding = match event {
            Event::Step => match &self.place {
                Some(place) => {
                    let page = examine::page(shared, place.partition, place.after.as_ref(), rows)?;
                    Finding::Page(Box::new(page))
                }
                None => Finding::Nothing,
            },
            Event::Damaged { slice, key } => {
                examine::damage(*slice, key, rows)?.map_or(Finding::Nothing, Finding::Damaged)
            }
            Event::Contradiction { .. } => Finding::Nothing,
        };
        Ok(Found(finding))
    }

    /// Takes an event of its own in.
    pub fn event(
        &mut self,
        shared: &mut Shared,
        event: Event,
        found: Found,
        effects: &mut Effects,
    ) {
        match (event, found.0) {
            (Event::Step, Finding::Page(page)) => self.step(shared, *page, effects),
            (Event::Step, _) => self.stepping = false,
            (Event::Damaged { slice, key }, Finding::Damaged(damage)) => {
                self.quarantine(shared, slice, &key, &damage, effects);
            }
            // Where its own rows are sound, those derived from them may not be.
            (Event::Contradiction { slice } | Event::Damaged { slice, .. }, _) => {
                self.urgent.insert(slice.partition);
            }
        }
    }

    /// Time has passed: goes on where that is due.
    pub fn tick(&mut self, shared: &mut Shared, effects: &mut Effects) {
        let now = shared.now.monotonic;
        let next = *self.next.get_or_insert(now + shared.settings.scrub_rest);
        if self.stepping || (now < next && self.urgent.is_empty()) {
            return;
        }
        let at = self.place.as_ref().map(|place| place.partition);
        let first = shared.slices.keys().next().map(|slice| slice.partition);
        match (self.urgent.first().copied(), at) {
            (Some(_), Some(at)) if self.urgent.contains(&at) => {}
            (Some(urgent), at) => {
                self.resume = self.resume.or(at);
                self.begin(shared, urgent);
            }
            (None, Some(_)) => {}
            (None, None) => {
                let Some(first) = first else {
                    self.next = Some(now + shared.settings.scrub_rest);
                    return;
                };
                self.passing = true;
                self.begin(shared, first);
            }
        }
        self.stepping = true;
        effects.lane(After::Written, crate::Event::Scrub(Event::Step));
    }

    /// When it next wants to be told that time has passed.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        let due = if self.urgent.is_empty() { self.next } else { None };
        Some(due.unwrap_or_default()).filter(|_| !self.stepping)
    }

    fn begin(&mut self, shared: &mut Shared, partition: Partition) {
        for (_, state) in shared.slices.iter_mut().filter(|(it, _)| it.partition == partition) {
            state.tree.begin_recount();
        }
        self.place = Some(Place { partition, after: None, sound: true });
    }

    fn step(&mut self, shared: &mut Shared, page: Page, effects: &mut Effects) {
        self.stepping = false;
        let Some(mut place) = self.place.take() else { return };
        place.sound &= page.sound;
        place.after = page.upto.or(place.after);
        for (slice, key, examined) in page.keys {
            match examined {
                Examined::Register(digest) => pass(shared, slice, &key, digest),
                Examined::Damaged(damage) => {
                    self.quarantine(shared, slice, &key, &damage, effects);
                }
                Examined::Small(found) => {
                    pass(shared, slice, &key, key_digest(&found.stored.root()));
                    repair(shared, slice, &key, *found, effects);
                }
                Examined::Large(found) => {
                    if self.large(shared, (slice, &key), *found, &mut place, effects) {
                        break;
                    }
                }
            }
        }
        let now = shared.now.monotonic;
        self.next = Some(now + shared.settings.scrub_pause);
        if !page.ended {
            self.place = Some(place);
            return;
        }
        self.end(shared, &place, effects);
        let mut partitions = shared.slices.keys().map(|slice| slice.partition);
        let next = match self.resume.take() {
            Some(resume) => Some(resume),
            None if self.passing => partitions.find(|next| *next > place.partition),
            None => None,
        };
        match next {
            Some(next) => self.begin(shared, next),
            None => {
                self.passing = false;
                self.next = Some(now + shared.settings.scrub_rest);
            }
        }
    }

    /// Compares the leaves of a partition that was walked over with what they should be.
    fn end(&mut self, shared: &mut Shared, place: &Place, effects: &mut Effects) {
        self.urgent.remove(&place.partition);
        let slices = shared.slices.iter_mut().filter(|(it, _)| it.partition == place.partition);
        for (slice, state) in slices {
            let repaired = state.tree.end_recount(*slice, place.sound, &mut effects.batch);
            shared.counters.scrubbed_leaves += repaired;
        }
    }

    /// Recounts one chunk of a large key. Whether there is more of it.
    fn large(
        &mut self,
        shared: &mut Shared,
        (slice, key): (Slice, &Key),
        mut found: examine::Large,
        place: &mut Place,
        effects: &mut Effects,
    ) -> bool {
        let digest = key_digest(&found.stored.root());
        let changes = recount(&found.stored.state, LARGE_CHUNK);
        let ended = changes.root.recount.is_none();
        let prefix = KeyPrefix::new(slice.partition, key);
        if ended {
            pass(shared, slice, key, digest);
            place.after = prefix.rows().to.map(|next| examine::before(&next));
        }
        let (contradiction, root) = (changes.contradiction, changes.root.clone());
        replica::write(shared, slice, key, &mut found.stored, changes, effects);
        let derived = !found.derived.is_empty() || !found.marks.is_empty();
        for row in found.derived {
            effects.batch.put(crate::rows::Space::Derived, row, Bytes::new());
        }
        put_marks(shared, slice, found.marks, effects);
        let sums = found.sums.filter(|_| ended);
        let cells = root.dots_sum.wrapping_add(root.tallies_sum);
        let differs = sums.is_some_and(|sums| sums != cells);
        if differs {
            large::rebuild(&prefix, &mut effects.batch);
            let event = replica::Event::Index { slice, key: key.clone() };
            effects.lane(After::Written, crate::Event::Replica(event));
        }
        shared.counters.scrubbed_keys += u64::from(contradiction || derived || differs);
        !ended
    }

    fn quarantine(
        &mut self,
        shared: &mut Shared,
        slice: Slice,
        key: &Key,
        damage: &quarantine::Damage,
        effects: &mut Effects,
    ) {
        if !quarantine::quarantine(shared, slice, key, damage, effects) {
            return;
        }
        // What the key added to its leaf is not known: the leaf has to be summed anew.
        self.urgent.insert(slice.partition);
        if self.place.as_ref().is_some_and(|place| place.partition == slice.partition) {
            self.begin(shared, slice.partition);
        }
    }
}

/// Has a key with a damaged row quarantined: whoever comes upon one calls this.
pub(crate) fn damaged(slice: Slice, key: &Key, effects: &mut Effects) {
    let event = Event::Damaged { slice, key: key.clone() };
    effects.lane(After::Written, crate::Event::Scrub(event));
}

/// Has the partition of a slice walked over at once: something in it is damaged, or contradicts itself.
pub(crate) fn walk_over(slice: Slice, effects: &mut Effects) {
    effects.lane(After::Written, crate::Event::Scrub(Event::Contradiction { slice }));
}

/// Sums a key of which these are the stored rows into its leaf's recount.
fn pass(shared: &mut Shared, slice: Slice, key: &Key, digest: u128) {
    let partitioner = shared.view.decision.layout().partitioner();
    if let Some(state) = shared.slices.get_mut(&slice) {
        state.tree.recount(partitioner, slice, key, digest);
    }
}

/// Repairs what is kept about a key whose rows are all at hand.
fn repair(
    shared: &mut Shared,
    slice: Slice,
    key: &Key,
    mut found: examine::Small,
    effects: &mut Effects,
) {
    let changes = recount(&found.stored.state, usize::MAX);
    let differs = changes.contradiction || !found.derived.is_empty() || !found.marks.is_empty();
    replica::write(shared, slice, key, &mut found.stored, changes, effects);
    for (range, rows) in found.derived {
        effects.batch.delete_range(crate::rows::Space::Derived, range);
        for row in rows {
            effects.batch.put(crate::rows::Space::Derived, row, Bytes::new());
        }
    }
    put_marks(shared, slice, found.marks, effects);
    shared.counters.scrubbed_keys += u64::from(differs);
}

/// Puts marks that were missing in the order of deadlines.
fn put_marks(shared: &mut Shared, slice: Slice, marks: Vec<(u64, Bytes)>, effects: &mut Effects) {
    for (deadline, mark) in marks {
        effects.batch.put(crate::rows::Space::Derived, mark, Bytes::new());
        shared.deadlines.expect(slice.partition, deadline);
    }
}
