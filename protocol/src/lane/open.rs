//! How a lane starts from what its storage holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use coterie_crdt::Clock;
use coterie_swim::Now;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use thiserror::Error;

use super::acknowledged::Acknowledged;
use super::{Counters, Lane, Settings, Shared};
use crate::coordinator::Coordinator;
use crate::jobs::{Deadlines, Jobs};
use crate::linearizable::Linearizable;
use crate::listing::Listings;
use crate::moving::Moving;
use crate::repair::amnesia::Amnesia;
use crate::repair::barrier::Barriers;
use crate::repair::hints::{HintStore, Hints};
use crate::repair::purge::Purges;
use crate::repair::scrub::Scrub;
use crate::repair::sync::Synchroniser;
use crate::replica::Replicas;
use crate::rows::{NotResident, Rows, Space, address};
use crate::strong::Strong;
use crate::view::View;

/// What a lane starts with.
#[derive(Clone, Debug)]
pub struct Start {
    /// Which lane it is.
    pub lane: u16,
    /// Of how many.
    pub lanes: u16,
    /// How it behaves.
    pub settings: Settings,
    /// The cluster as control sees it.
    pub view: Arc<View>,
    /// Random: actors, request ids and choices come from it.
    pub seed: u64,
    /// Whether dots minted before may have been lost: an unclean stop of the machine or of the storage, a
    /// restore, an IO error. All earlier actors are spent then (DESIGN §4, "Minting").
    pub actors_spent: bool,
    /// The time.
    pub now: Now,
}

/// Why a lane cannot start.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    /// A control row does not decode. The store is damaged: the node has to be replaced.
    #[error("control row {row:?} is damaged")]
    Damaged {
        /// Its address.
        row: bytes::Bytes,
    },
    /// Control rows are read before anything runs, so the driver has to have them.
    #[error(transparent)]
    NotResident(#[from] NotResident),
}

impl Lane {
    /// A lane over what its storage holds. The driver hands it the view it was started with as an
    /// [`Event::View`](crate::Event::View) next.
    ///
    /// # Errors
    /// [`OpenError`]
    pub fn open(start: Start, rows: &impl Rows) -> Result<Lane, OpenError> {
        let committed =
            match rows.get(Space::Control, &address::commits(start.lane))? {
                None => 0,
                Some(row) => {
                    let bytes = row[..].try_into();
                    u64::from_be_bytes(bytes.map_err(|_length| OpenError::Damaged {
                        row: address::commits(start.lane),
                    })?)
                }
            };
        let mut shared = Shared {
            me: start.view.me,
            lane: start.lane,
            lanes: start.lanes,
            settings: start.settings,
            now: start.now,
            view: start.view,
            slices: BTreeMap::new(),
            deadlines: Deadlines::default(),
            hints: HintStore::new(0),
            epochs: BTreeMap::new(),
            unreceived: BTreeSet::new(),
            voteless: BTreeSet::new(),
            clock: Clock::new(),
            committed,
            durable: 0,
            counters: Counters::default(),
            random: Xoshiro256PlusPlus::seed_from_u64(start.seed),
        };
        shared.hints = HintStore::open(rows, &shared)?;
        shared.load(rows)?;
        shared.recognise(start.actors_spent);
        let hints = Hints::open(rows, &shared)?;
        Ok(Lane {
            shared,
            coordinator: Coordinator::default(),
            replicas: Replicas::default(),
            strong: Strong::default(),
            linearizable: Linearizable::default(),
            listings: Listings::default(),
            sync: Synchroniser::default(),
            hints,
            moving: Moving::default(),
            amnesia: Amnesia::default(),
            barriers: Barriers::default(),
            acknowledged: Acknowledged::default(),
            purges: Purges::default(),
            jobs: Jobs::default(),
            scrub: Scrub::default(),
        })
    }
}
