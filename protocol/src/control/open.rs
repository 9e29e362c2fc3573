//! How control starts from what the storage holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coterie_ring::decision::{Agreement, Chain, Decision, Event, Learned};
use coterie_ring::moves::SetVersion;
use coterie_ring::register::Wire;
use coterie_ring::{Intent, Malformed, NodeId, NodeState, Place};
use coterie_swim::{Address, Attributes, Generation, Instance, Now, Swim, snapshot};
use coterie_wire::peer::control::GivenUp;
use coterie_wire::{Incarnation, Run};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::asking::Asking;
use super::effects::ControlEffects;
use super::identity::{Identity, Past, SyncPolicy};
use super::layouts::{Layouts, read_overruled};
use super::memory::Memory;
use super::report::{AmnesiaCause, Report};
use super::rows::{self, OpenError, Unusable};
use super::runs::Runs;
use super::{Control, Settings, membership};
use crate::rows::{Direction, KeyRange, Rows, Space, address};

/// What control starts with.
#[derive(Clone, Debug)]
pub struct Start {
    /// The cluster's id, as the certificate has it.
    pub cluster: u128,
    /// This node's id, as the certificate has it.
    pub node: NodeId,
    /// What it announces: addresses, lanes, weight, wire versions. Generation, version and instance are control's.
    pub attributes: Attributes,
    /// Where it stands.
    pub place: Place,
    /// QUIC addresses to find others by.
    pub seeds: Vec<Address>,
    /// Whether it asks to be taken into the cluster that it finds.
    pub joins: bool,
    /// The boot of the machine: another number after each.
    pub boot: u128,
    /// How durable what is acknowledged is.
    pub sync: SyncPolicy,
    /// What the storage has been through.
    pub past: Past,
    /// Random.
    pub seed: u64,
    /// How it behaves.
    pub settings: Settings,
    /// The time.
    pub now: Now,
}

impl Control {
    /// Control over what the storage holds. Its effects are carried out before it is handed its first event.
    ///
    /// # Errors
    /// [`OpenError`]; nothing is to be written then.
    pub fn open(
        start: Start,
        rows: &impl Rows,
        effects: &mut ControlEffects,
    ) -> Result<Control, OpenError> {
        let stored = Identity::load(rows)?;
        match &stored {
            Some(stored) => check(&start, stored)?,
            None => check_empty(rows)?,
        }
        let mut random = Xoshiro256PlusPlus::seed_from_u64(start.seed);
        let generation = generation(rows, stored.is_some())?;
        let members = members(rows, effects)?;
        let (mut memory, dropped) = Memory::load(rows)?;
        let knows = stored.as_ref().is_none_or(|stored| stored.clean && !stored.forgot);
        if !knows || start.past != Past::Continued || !dropped.is_empty() {
            memory.is_short();
        }
        for row in dropped {
            effects.batch.delete(Space::Control, row.clone());
            effects.report(Report::RowDropped { row });
        }
        let runs = Runs::load(rows, Run(random.random()), effects)?;
        let fresh = Incarnation(random.random());
        let life = stored.as_ref().map_or(fresh, |stored| stored.incarnation);
        let unclean = stored.as_ref().is_some_and(|stored| stored.stopped_uncleanly(start.boot));
        let spent = unclean || start.past != Past::Continued;
        let identity = Identity {
            cluster: start.cluster,
            node: start.node,
            incarnation: if spent { fresh } else { life },
            boot: start.boot,
            clean: false,
            sync: start.sync,
            amnesiac: stored.as_ref().is_some_and(|stored| stored.amnesiac),
            went_back: stored.as_ref().is_some_and(|stored| stored.went_back),
            abstains: stored.as_ref().is_some_and(|stored| stored.abstains),
            together: stored.as_ref().is_some_and(|stored| stored.together),
            forgot: false,
        };
        let attributes = Attributes {
            generation,
            version: 0,
            instance: Instance(random.random()),
            ..start.attributes
        };
        let swim = Swim::new(
            coterie_swim::Start {
                id: membership::swim_id(start.node),
                attributes,
                seeds: start.seeds,
                remembered: members,
                seed: random.random(),
            },
            start.settings.swim.clone(),
            start.now,
        );
        let now = start.now.monotonic;
        let mut control = Control {
            me: start.node,
            protocols: attributes.protocols,
            lanes: attributes.lanes,
            weight: attributes.weight,
            place: start.place,
            joins: start.joins,
            identity,
            actors_spent: spent,
            swim,
            muted: None,
            members_version: None,
            liveness: BTreeMap::new(),
            attributes: Arc::default(),
            isolated: false,
            members_save_at: None,
            unfit: BTreeMap::new(),
            layouts: None,
            next_compare: now
                + start.settings.compare_interval.mul_f64(random.random_range(0.0..1.0)),
            fetched_at: None,
            done_tell_at: None,
            fork_told_at: None,
            skipped: skipped(rows)?,
            overruled: Arc::new(overruled(rows)?),
            given_up: given_up(rows)?,
            memory,
            asking: Asking {
                life,
                is_first: stored.is_none(),
                runs,
                recovered: recovered(rows)?,
                unanswered: BTreeSet::new(),
                tips: BTreeMap::new(),
                until: now + start.settings.ask_max,
                next: now,
                over: false,
            },
            received: BTreeSet::new(),
            hints: BTreeMap::new(),
            progress: BTreeMap::new(),
            removed_told: false,
            misplaced: 0,
            view_version: 0,
            view_changed: true,
            settings: start.settings,
            random,
        };
        control.store_generation(generation, effects);
        control.resume(rows, start.now, effects)?;
        if let Some(stored) = stored {
            let periodic = stored.sync == SyncPolicy::Periodic;
            control.note_losses(periodic, unclean, start.past, effects);
        }
        control.abstain_or_not(effects);
        control.identity.store(&mut effects.batch);
        control.asking.runs.store(&mut effects.batch);
        control.announce_layout(start.now, effects);
        control.ask_to_join(start.now, effects);
        control.show(start.now, effects);
        Ok(control)
    }

    /// Goes on with the layouts that the storage knows.
    fn resume(
        &mut self,
        rows: &impl Rows,
        now: Now,
        effects: &mut ControlEffects,
    ) -> Result<(), OpenError> {
        let Some((chain, stored)) = chain(rows)? else { return Ok(()) };
        let settings = self.settings.decision;
        // A vote row is written with every decision: where there is none, it was lost.
        let vote = rows::get(rows, rows::VOTE);
        let agreement = match vote {
            Err(OpenError::NotResident(missing)) => return Err(missing.into()),
            Err(OpenError::Later { row, format }) => return Err(OpenError::Later { row, format }),
            Ok(Some(vote)) => {
                let seed = self.random.random();
                Agreement::new(self.me, settings, seed, chain.clone(), Some(&vote[..])).ok()
            }
            Ok(None) | Err(_) => None,
        };
        let agreement = agreement.unwrap_or_else(|| {
            effects.report(Report::VoteLost);
            Agreement::new(self.me, settings, self.random.random(), chain, None)
                .expect("there is no vote to be damaged")
                .abstaining()
        });
        let layouts = Layouts::new(with_intent(agreement, rows, effects)?, stored);
        if layouts.state_of(self.me) == Some(NodeState::Removed) {
            return Err(OpenError::Removed);
        }
        let is_member = layouts.decision.layout().member_index(self.me).is_some();
        self.layouts = Some(layouts);
        if is_member {
            self.ask_members(now);
        }
        Ok(())
    }

    fn note_losses(
        &mut self,
        periodic: bool,
        unclean: bool,
        past: Past,
        effects: &mut ControlEffects,
    ) {
        if let Past::Restored | Past::ClusterRestored = past {
            self.asking.runs.give_up(&[]);
        }
        match past {
            Past::Restored => self.lose(AmnesiaCause::Restored, effects),
            Past::DiskFailed if periodic => self.lose(AmnesiaCause::UncleanStop, effects),
            Past::Continued | Past::DiskFailed if periodic && unclean => {
                self.lose(AmnesiaCause::UncleanStop, effects);
            }
            // Nobody has seen more: there is nothing to be told but the last decisions.
            Past::ClusterRestored => {
                self.asking.over = true;
                (self.identity.abstains, self.identity.together) = (true, true);
                self.identity.went_back = true;
            }
            Past::Continued | Past::DiskFailed => {}
        }
    }
}

fn check(start: &Start, stored: &Identity) -> Result<(), OpenError> {
    if stored.cluster != start.cluster {
        let (stored, configured) = (stored.cluster, start.cluster);
        return Err(OpenError::OtherCluster { stored, configured });
    }
    if stored.node != start.node {
        let (stored, configured) = (stored.node, start.node);
        return Err(OpenError::OtherNode { stored, configured });
    }
    Ok(())
}

/// A storage without an identity has no control rows at all.
fn check_empty(rows: &impl Rows) -> Result<(), OpenError> {
    let any = rows.scan(Space::Control, &KeyRange::prefix(Bytes::new()), Direction::Forward, 1)?;
    if any.is_empty() {
        Ok(())
    } else {
        Err(OpenError::Damaged { row: address::node_row(rows::IDENTITY) })
    }
}

/// The generation of this start: above that of any before.
fn generation(rows: &impl Rows, expected: bool) -> Result<Generation, OpenError> {
    let damaged = || OpenError::Damaged { row: address::node_row(rows::GENERATION) };
    match rows::get(rows, rows::GENERATION)? {
        None if expected => Err(damaged()),
        None => Ok(Generation(1)),
        Some(body) => {
            let bytes = body[..].try_into().map_err(|_length| damaged())?;
            Ok(Generation(u64::from_be_bytes(bytes)).next())
        }
    }
}

/// Whom to ask: what cannot be read is found by seeds.
fn members(
    rows: &impl Rows,
    effects: &mut ControlEffects,
) -> Result<Vec<coterie_swim::Record>, OpenError> {
    let body = match rows::get(rows, rows::MEMBERS) {
        Err(OpenError::Damaged { .. }) => None,
        Err(error) => return Err(error),
        Ok(None) => return Ok(Vec::new()),
        Ok(Some(body)) => snapshot::decode(&body).ok(),
    };
    let row = address::node_row(rows::MEMBERS);
    Ok(body.unwrap_or_else(|| {
        effects.report(Report::RowDropped { row });
        Vec::new()
    }))
}

/// The decisions that are stored, and their versions.
fn chain(rows: &impl Rows) -> Result<Option<(Chain, BTreeSet<SetVersion>)>, OpenError> {
    let mut chain: Option<Chain> = None;
    let mut stored = BTreeSet::new();
    for (row, value) in rows::scan(rows, &rows::decisions())? {
        let body = rows::body(&row, &value).map_err(|unusable| unusable.of(row.clone()))?;
        let decision = Decision::decode(&body);
        let decision = decision.map_err(|_malformed| OpenError::Damaged { row: row.clone() })?;
        stored.insert(decision.version());
        match &mut chain {
            None => chain = Some(Chain::new(decision)),
            Some(chain) => {
                if chain.learn(decision) != Ok(Learned::Next) {
                    return Err(OpenError::Damaged { row });
                }
            }
        }
    }
    Ok(chain.map(|chain| (chain, stored)))
}

/// The agreement with what is asked for besides what is in force. What cannot be read the others gossip.
fn with_intent(
    mut agreement: Agreement,
    rows: &impl Rows,
    effects: &mut ControlEffects,
) -> Result<Agreement, OpenError> {
    let intent = match rows::get(rows, rows::INTENT) {
        Ok(None) => return Ok(agreement),
        Ok(Some(body)) => Intent::decode(&body).ok(),
        Err(OpenError::Damaged { .. }) => None,
        Err(error) => return Err(error),
    };
    let mut refused = Vec::new();
    if let Some(intent) = &intent {
        let event = Event::Intent(intent.clone());
        agreement.handle(event, Duration::ZERO, &mut refused);
    }
    if intent.is_none() || !refused.is_empty() {
        effects.report(Report::RowDropped { row: address::node_row(rows::INTENT) });
    }
    Ok(agreement)
}

fn skipped(rows: &impl Rows) -> Result<Option<SetVersion>, OpenError> {
    let Some(body) = rows::get(rows, rows::SKIPPED)? else { return Ok(None) };
    let read = || -> Result<SetVersion, Malformed> {
        let mut input = &body[..];
        SetVersion::read(&mut input)
    };
    read().map(Some).map_err(|_malformed| damaged(rows::SKIPPED))
}

fn overruled(rows: &impl Rows) -> Result<Vec<coterie_ring::decision::LostSet>, OpenError> {
    let Some(body) = rows::get(rows, rows::OVERRULED)? else { return Ok(Vec::new()) };
    read_overruled(&body).map_err(|unusable| unusable.of(address::node_row(rows::OVERRULED)))
}

fn given_up(rows: &impl Rows) -> Result<Option<GivenUp>, OpenError> {
    let Some(body) = rows::get(rows, rows::GIVEN_UP)? else { return Ok(None) };
    let (owners, mut rest) = body.split_first().ok_or_else(|| damaged(rows::GIVEN_UP))?;
    let version = SetVersion::read(&mut rest).map_err(|_malformed| damaged(rows::GIVEN_UP))?;
    Ok(Some(GivenUp { version, owners: *owners }))
}

/// The last commit of each lane.
fn recovered(rows: &impl Rows) -> Result<BTreeMap<u16, u64>, OpenError> {
    let mut recovered = BTreeMap::new();
    for (row, value) in rows::scan(rows, &KeyRange::prefix(vec![b'c']))? {
        let lane = row[1..].try_into().map(u16::from_be_bytes);
        let number = value[..].try_into().map(u64::from_be_bytes);
        match (lane, number) {
            (Ok(lane), Ok(number)) => recovered.insert(lane, number),
            (Err(_), _) | (_, Err(_)) => return Err(OpenError::Damaged { row }),
        };
    }
    Ok(recovered)
}

fn damaged(name: &'static str) -> OpenError {
    Unusable::Damaged.of(address::node_row(name))
}
