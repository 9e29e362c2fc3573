//! The convergence barrier: waits until all that the owners of a key, or of slices, had is at every one of them.
//!
//! Hints that are kept here come first. Then this node synchronises with every co-owner, and once it has what each
//! of them had, again with those that were asked before that: then each has what all had when the barrier began,
//! and without writes meanwhile they are equal. What is written later is not waited for, nor are hints that other
//! nodes keep: they have barriers of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use coterie_ring::NodeId;
use coterie_wire::{Key, Slice};

use crate::effects::{Action, After, Effects};
use crate::lane::Shared;
use crate::repair::sync::{self, Asker, SyncError, Told};

/// How often what is under way is looked at.
const TICK: Duration = Duration::from_millis(250);

/// How long a synchronisation that failed is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// The most barriers of one lane at one time.
const BARRIERS_MAX: usize = 8;

/// The most synchronisations that one barrier has under way.
const SESSIONS_MAX: usize = 16;

/// As many causes are named at most where the time has passed.
const LACKING_MAX: usize = 64;

/// Names a barrier at the front door that asked for it, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BarrierId(pub u64);

/// What is to become equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A key that this node owns.
    Key(Key),
    /// A slice that it owns.
    Slice(Slice),
    /// All slices of the lane that it owns, and all of which it keeps hints.
    All,
}

/// What happens to barriers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody waits; [`Action::Barrier`] follows, once.
    Begin {
        /// Who.
        barrier: BarrierId,
        /// For what.
        scope: Scope,
        /// How long at most, in time since the node's start.
        until: Duration,
    },
}

/// What a barrier has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What any owner had when it began is at all of them, synced.
    Done,
    /// The time has passed.
    Expired {
        /// What it waited for, at most 64.
        lacking: Vec<Lacking>,
        /// How much more there was.
        more: usize,
    },
    /// This node does not own the key or slice, or the bucket is not known.
    NotOwner,
    /// As many barriers are waited for as may be.
    Busy,
}

/// One thing that a barrier waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// Of which slice.
    pub slice: Slice,
    /// Which owner.
    pub owner: NodeId,
    /// Why it is not known to be equal.
    pub cause: Cause,
}

/// Why an owner is not known to have all. Those that only wait for what another one has are not named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Hints for it are kept here.
    Hints,
    /// It is down.
    Down,
    /// A synchronisation with it is under way, or has not begun.
    UnderWay,
    /// The last synchronisation with it failed.
    Failed(SyncError),
}

/// The barriers of a lane.
#[derive(Debug, Default)]
pub struct Barriers {
    waiting: BTreeMap<BarrierId, Waiting>,
    tick_at: Option<Duration>,
}

#[derive(Debug)]
struct Waiting {
    until: Duration,
    /// Whether what was asked for may cease to be this node's.
    all: bool,
    /// What is not known to be equal yet.
    targets: Vec<Target>,
}

#[derive(Debug)]
struct Target {
    slice: Slice,
    /// The key, where it is not all of the slice.
    key: Option<Key>,
    /// Whether a moment without hints has been since the barrier began.
    delivered: bool,
    owners: BTreeMap<NodeId, CoOwner>,
}

#[derive(Debug, Default)]
struct CoOwner {
    /// What it had when the barrier began is here.
    gathered: bool,
    /// It has what all others had then.
    spread: bool,
    attempt: Attempt,
}

#[derive(Debug, Default)]
enum Attempt {
    #[default]
    None,
    /// `spreads` where all that the others had was here when it began.
    Running {
        spreads: bool,
    },
    Failed {
        error: SyncError,
        again_at: Duration,
    },
}

impl Barriers {
    /// Takes an event of its own in.
    ///
    /// # Panics
    /// If the id names a barrier that is waited for.
    pub fn event(&mut self, shared: &Shared, event: Event, effects: &mut Effects) {
        let Event::Begin { barrier, scope, until } = event;
        assert!(!self.waiting.contains_key(&barrier), "a barrier's id is used once");
        if self.waiting.len() >= BARRIERS_MAX {
            return answer(barrier, Outcome::Busy, effects);
        }
        let all = scope == Scope::All;
        let targets = match scope {
            Scope::Key(key) => {
                shared.view.slice(&key).map(|slice| vec![Target::new(slice, Some(key))])
            }
            Scope::Slice(slice) => Some(vec![Target::new(slice, None)]),
            Scope::All => Some(all_slices(shared).map(|slice| Target::new(slice, None)).collect()),
        };
        let Some(targets) = targets else {
            return answer(barrier, Outcome::NotOwner, effects);
        };
        self.waiting.insert(barrier, Waiting { until, all, targets });
        self.go_on(shared, effects);
    }

    /// What a synchronisation has come to.
    pub fn told(&mut self, shared: &Shared, told: &Told, effects: &mut Effects) {
        let (Told::Slice { with, asker: Asker::Barrier(barrier, slice), outcome, .. }
        | Told::Key { with, asker: Asker::Barrier(barrier, slice), outcome, .. }) = told
        else {
            return;
        };
        let Some(waiting) = self.waiting.get_mut(barrier) else { return };
        let target = waiting.targets.iter_mut().find(|target| target.slice == *slice);
        let Some(owner) = target.and_then(|target| target.owners.get_mut(with)) else { return };
        owner.ended(*outcome, shared.now.monotonic);
        self.go_on(shared, effects);
    }

    /// Others are alive, or own, than before.
    pub fn view_changed(&mut self, shared: &Shared, effects: &mut Effects) {
        self.go_on(shared, effects);
    }

    /// Time has passed.
    pub fn tick(&mut self, shared: &Shared, effects: &mut Effects) {
        if self.next_deadline().is_some_and(|at| at <= shared.now.monotonic) {
            self.go_on(shared, effects);
        }
    }

    /// When it next wants to be told that time has passed.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.waiting.values().map(|waiting| waiting.until).chain(self.tick_at).min()
    }

    fn go_on(&mut self, shared: &Shared, effects: &mut Effects) {
        self.waiting.retain(|barrier, waiting| {
            let outcome = waiting.go_on(*barrier, shared, effects);
            outcome.is_none_or(|outcome| {
                answer(*barrier, outcome, effects);
                false
            })
        });
        self.tick_at = (!self.waiting.is_empty()).then_some(shared.now.monotonic + TICK);
    }
}

impl Waiting {
    /// Asks for what is to be synchronised next; its outcome, once it has one.
    fn go_on(
        &mut self,
        barrier: BarrierId,
        shared: &Shared,
        effects: &mut Effects,
    ) -> Option<Outcome> {
        let owned = |target: &Target| shared.slices.contains_key(&target.slice);
        if !self.all && !self.targets.iter().all(owned) {
            return Some(Outcome::NotOwner);
        }
        let mut free = SESSIONS_MAX.saturating_sub(self.targets.iter().map(Target::running).sum());
        for target in &mut self.targets {
            target.go_on(barrier, shared, &mut free, effects);
        }
        self.targets.retain(|target| !target.is_equal());
        if self.targets.is_empty() {
            return Some(Outcome::Done);
        }
        (shared.now.monotonic >= self.until).then(|| self.expired(shared))
    }

    fn expired(&self, shared: &Shared) -> Outcome {
        let mut lacking: Vec<Lacking> =
            self.targets.iter().flat_map(|target| target.lacking(shared)).collect();
        let more = lacking.len().saturating_sub(LACKING_MAX);
        lacking.truncate(LACKING_MAX);
        Outcome::Expired { lacking, more }
    }
}

impl Target {
    fn new(slice: Slice, key: Option<Key>) -> Self {
        Target { slice, key, delivered: false, owners: BTreeMap::new() }
    }

    fn running(&self) -> usize {
        self.owners.values().filter(|owner| owner.is_running()).count()
    }

    fn is_equal(&self) -> bool {
        self.delivered && self.owners.values().all(|owner| owner.spread)
    }

    /// Asks for synchronisations that are due, as long as some are free.
    fn go_on(
        &mut self,
        barrier: BarrierId,
        shared: &Shared,
        free: &mut usize,
        effects: &mut Effects,
    ) {
        self.delivered |= shared.hints.of_slice(self.slice).next().is_none();
        if !self.delivered {
            return;
        }
        let state = shared.slices.get(&self.slice);
        let others = state.into_iter().flat_map(|state| state.others(shared.me));
        self.keep(&others.collect());
        let missing = self.owners.values().filter(|owner| !owner.gathered).count();
        for (with, owner) in &mut self.owners {
            let spreads = missing == usize::from(!owner.gathered);
            let useful = !owner.spread && (spreads || !owner.gathered);
            let due = useful && owner.is_due(shared.now.monotonic) && shared.view.is_live(*with);
            if due && *free > 0 {
                *free -= 1;
                owner.attempt = Attempt::Running { spreads };
                let (with, asker) = (*with, Asker::Barrier(barrier, self.slice));
                let event = match self.key.clone() {
                    Some(key) => sync::Event::Key { key, with, asker },
                    None => sync::Event::Now { slice: self.slice, with, asker },
                };
                effects.lane(After::Written, crate::Event::Sync(event));
            }
        }
    }

    /// These are its other owners now. What a new one brings has to come to all others, too.
    fn keep(&mut self, others: &BTreeSet<NodeId>) {
        self.owners.retain(|owner, state| others.contains(owner) || state.is_running());
        if others.iter().all(|owner| self.owners.contains_key(owner)) {
            return;
        }
        for owner in self.owners.values_mut() {
            owner.spread = false;
            if let Attempt::Running { spreads } = &mut owner.attempt {
                *spreads = false;
            }
        }
        for owner in others {
            self.owners.entry(*owner).or_default();
        }
    }

    /// What it waits for.
    fn lacking(&self, shared: &Shared) -> Vec<Lacking> {
        let slice = self.slice;
        if !self.delivered {
            let kept = shared.hints.of_slice(slice);
            return kept.map(|(owner, _)| Lacking { slice, owner, cause: Cause::Hints }).collect();
        }
        let gathered = self.owners.values().all(|owner| owner.gathered);
        let lacks = |owner: &CoOwner| !owner.gathered || (gathered && !owner.spread);
        let lacking = self.owners.iter().filter(|(_, owner)| lacks(owner));
        let named = lacking.map(|(id, owner)| {
            let cause = if shared.view.is_live(*id) { owner.cause() } else { Cause::Down };
            Lacking { slice, owner: *id, cause }
        });
        named.collect()
    }
}

impl CoOwner {
    fn is_running(&self) -> bool {
        matches!(self.attempt, Attempt::Running { .. })
    }

    fn is_due(&self, now: Duration) -> bool {
        match self.attempt {
            Attempt::None => true,
            Attempt::Running { .. } => false,
            Attempt::Failed { again_at, .. } => now >= again_at,
        }
    }

    fn cause(&self) -> Cause {
        match self.attempt {
            Attempt::None | Attempt::Running { .. } => Cause::UnderWay,
            Attempt::Failed { error, .. } => Cause::Failed(error),
        }
    }

    /// The synchronisation that was asked for has ended.
    fn ended(&mut self, outcome: Result<(), SyncError>, now: Duration) {
        let Attempt::Running { spreads } = self.attempt else { return };
        self.attempt = match outcome {
            Ok(()) => {
                self.gathered = true;
                self.spread |= spreads;
                Attempt::None
            }
            Err(error) => Attempt::Failed { error, again_at: now + PAUSE },
        };
    }
}

/// The slices of a lane that are this node's business.
fn all_slices(shared: &Shared) -> impl Iterator<Item = Slice> {
    let kept = shared.hints.owners().flat_map(|(owner, _)| shared.hints.of_owner(owner));
    let slices: BTreeSet<Slice> =
        shared.slices.keys().copied().chain(kept.map(|(slice, _)| slice)).collect();
    slices.into_iter()
}

fn answer(barrier: BarrierId, outcome: Outcome, effects: &mut Effects) {
    effects.actions.push((After::Written, Action::Barrier { barrier, outcome }));
}
