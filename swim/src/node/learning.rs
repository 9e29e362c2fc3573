//! Taking in records, whoever brings them.

use std::time::Duration;

use rand::RngExt;

use super::Swim;
use super::telling::accusers;
use crate::attributes::Attributes;
use crate::event::{Change, DownReason, Effects};
use crate::identity::{Generation, Incarnation, Instance, NodeId};
use crate::members::{Member, Status, Trust, millis};
use crate::record::{Accusers, Evidence, Rank, Record};
use crate::wire::RecordHead;

/// How long a claim of this node's identity is remembered, to tell a claimant that lives by its next claim.
const DISPUTE_WINDOW: Duration = Duration::from_secs(30);

/// How many ever higher claims of one process show that it lives: others may remember some of one that does not,
/// each from another time.
const CLAIMS_OF_THE_LIVING: u32 = 4;

/// Another process that claims this node's identity.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dispute {
    claimant: Instance,
    /// How often it was above this node.
    claims: u32,
    /// When it was last.
    at: Duration,
}

impl Swim {
    /// Whether a record says nothing that is not known, by its beginning: most do, gossip repeats itself.
    pub(super) fn knows(&self, head: &RecordHead) -> bool {
        self.members.get(head.id).is_some_and(|member| {
            !head.has_attributes
                && member.trust == Trust::Verified
                && (head.evidence < member.evidence
                    || (head.evidence == member.evidence && head.evidence.rank == Rank::Alive))
        })
    }

    /// Takes in a record, and does and tells what follows from it.
    pub(super) fn learn(&mut self, record: &Record, now: Duration, effects: &mut Effects) {
        if record.id == self.own {
            return self.learn_of_myself(record, now, effects);
        }
        let Some(member) = self.members.get(record.id) else {
            return self.learn_of_stranger(record, now, effects);
        };
        // Joining takes copies: first whether there is anything to join.
        let nothing_new = record.evidence < member.evidence
            || (record.evidence == member.evidence && record.evidence.rank == Rank::Alive);
        if nothing_new && record.attributes <= member.attributes && member.trust == Trust::Verified
        {
            return;
        }
        let held_accusers = accusers(&self.suspicions, record.id);
        let held = member.record(now, held_accusers.clone(), true);
        let mut joined = held.clone();
        joined.join(record);
        let trust = member.trust;
        let confirmed = trust == Trust::Remembered && record.evidence >= held.evidence;
        if joined == held && !confirmed {
            return;
        }

        let risen = joined.evidence > held.evidence;
        let reborn = joined.evidence.generation > held.evidence.generation;
        let renewed = joined.attributes != held.attributes;
        // Other accusers in the place of some are no news: only their number counts.
        let confirmations = joined.accusers.as_slice().len() > held_accusers.as_slice().len();
        // Hearsay that somebody is back who had said goodbye is believed once it is heard from directly.
        let back_from_farewell = risen && held.evidence.rank == Rank::Left;
        let refuted = risen
            && !reborn
            && joined.evidence.rank == Rank::Alive
            && held.evidence.rank >= Rank::Suspect;
        self.members.update(record.id, |member| {
            member.evidence = joined.evidence;
            member.attributes = joined.attributes;
            if joined.evidence.rank >= Rank::Down {
                let died_millis = millis(now) - 1_000 * i64::from(joined.age_seconds);
                let first_told = risen && held.evidence.rank < Rank::Down;
                member.died_millis =
                    if first_told { died_millis } else { member.died_millis.min(died_millis) };
            }
            if back_from_farewell {
                member.trust = Trust::BackFromFarewell;
            } else if confirmed {
                member.trust = Trust::Verified;
            }
            if refuted {
                member.count_refutation(now);
            }
        });

        if risen {
            self.settle(record.id, &held, &joined, now);
        } else if confirmations {
            self.confirm(record.id, &joined.accusers, now);
        }
        if risen || renewed || confirmations {
            self.tell_of(record.id, renewed || reborn, now);
        }
        self.tell_consumers(record.id, &held, &joined, effects);
        self.bound_left();
    }

    fn tell_consumers(
        &mut self,
        id: NodeId,
        held: &Record,
        joined: &Record,
        effects: &mut Effects,
    ) {
        let known = self.members.get(id).is_some_and(|member| member.shown != Status::Hidden);
        self.show(id, DownReason::Told, effects);
        if !known {
            return;
        }
        let generation = joined.evidence.generation;
        if generation > held.evidence.generation {
            effects.changes.push(Change::Restarted { id, generation });
        }
        if let (Some(old), Some(new)) = (held.attributes, joined.attributes)
            && old != new
        {
            self.view_version += 1;
            let addresses = |a: &Attributes| [a.gossip, a.peer, a.resp, a.http];
            let same = Attributes {
                generation: new.generation,
                version: new.version,
                instance: new.instance,
                ..old
            };
            if addresses(&old) != addresses(&new) {
                effects.changes.push(Change::AddressChanged(id));
            } else if same != new {
                effects.changes.push(Change::AttributesChanged(id));
            }
        }
    }

    /// Opens, replaces or closes the doubt about a member whose evidence has risen.
    fn settle(&mut self, id: NodeId, held: &Record, joined: &Record, now: Duration) {
        let doubt = self.suspicions.remove(id);
        match joined.evidence.rank {
            Rank::Alive | Rank::Left => {}
            Rank::Suspect => self.suspect(id, joined.accusers.clone(), now),
            Rank::Down => {
                let unsuspected = held.evidence.rank == Rank::Alive || doubt.is_none();
                let shown = self.members.get(id).map(|member| member.shown);
                if self.parameters.hold_hearsay && unsuspected && shown == Some(Status::Up) {
                    self.hold(id, now);
                }
            }
        }
        if joined.evidence.rank == Rank::Alive && held.evidence.rank != Rank::Alive {
            self.reschedule_few();
        }
    }

    fn learn_of_stranger(&mut self, record: &Record, now: Duration, effects: &mut Effects) {
        let age = Duration::from_secs(record.age_seconds.into());
        if record.evidence.rank >= Rank::Down && age >= self.parameters.tombstone_life {
            return;
        }
        if self.members.len() >= self.parameters.members_max {
            self.counters.table_full += 1;
            return;
        }
        let mut member = Member::new(record.id, record.evidence, record.attributes);
        member.died_millis = millis(now) - 1_000 * i64::from(record.age_seconds);
        self.members.insert(member);
        if record.evidence.rank == Rank::Suspect {
            self.suspect(record.id, record.accusers.clone(), now);
        }
        self.tell_of(record.id, true, now);
        self.show(record.id, DownReason::Told, effects);
        self.bound_left();
    }

    /// What an earlier life remembered is a list of whom to ask, not of who is alive.
    pub(super) fn remember(&mut self, records: Vec<Record>, now: Duration) {
        for record in records {
            let age = Duration::from_secs(record.age_seconds.into());
            let expired =
                record.evidence.rank >= Rank::Down && age >= self.parameters.tombstone_life;
            let full = self.members.len() >= self.parameters.members_max;
            if record.id == self.own || expired || full || self.members.get(record.id).is_some() {
                continue;
            }
            // A suspicion of long ago has no accusers left and would never end.
            let rank = match record.evidence.rank {
                Rank::Suspect => Rank::Alive,
                rank @ (Rank::Alive | Rank::Down | Rank::Left) => rank,
            };
            let evidence = record.evidence.ranked(rank);
            let mut member = Member::new(record.id, evidence, record.attributes);
            member.died_millis = millis(now) - 1_000 * i64::from(record.age_seconds);
            if rank <= Rank::Suspect {
                member.trust = Trust::Remembered;
            }
            member.shown = match rank {
                Rank::Left => Status::Left,
                Rank::Alive | Rank::Suspect | Rank::Down => Status::Hidden,
            };
            self.members.insert(member);
        }
    }

    fn bound_left(&mut self) {
        while let Some(id) = self.members.surplus_left() {
            self.forget(id);
        }
    }

    /// Refutes what is said of this node, unless it is true.
    fn learn_of_myself(&mut self, record: &Record, now: Duration, effects: &mut Effects) {
        let own = self.members.own();
        let mine = own.evidence;
        let announced = own.attributes.expect("this node has attributes");
        if let Some(theirs) = record.attributes
            && theirs.instance != announced.instance
            && theirs.generation >= announced.generation
        {
            return self.dispute_identity(&theirs, now, effects);
        }
        if record.evidence <= mine || !self.is_running() {
            return;
        }
        let theirs = record.evidence;
        let next = theirs.incarnation.0.checked_add(1).map(Incarnation);
        let refuted = match next
            .filter(|_| theirs.generation == mine.generation && theirs.rank != Rank::Left)
        {
            Some(incarnation) => {
                self.members.update(self.own, |own| own.evidence.incarnation = incarnation);
                self.tell_of(self.own, false, now);
                true
            }
            // The range is spent, or a later life is meant: only a new life outranks that.
            None => self.raise_generation(theirs.generation, now, effects),
        };
        if refuted && theirs.rank >= Rank::Suspect {
            self.counters.refutations += 1;
            self.change_health(1, effects);
            effects.changes.push(Change::SelfAccused);
        }
    }

    /// Another process has this identity, or had: perhaps it is only what is remembered of an earlier life.
    ///
    /// Raising the generation settles the latter. Only a living claimant raises its own in turn, again and again; of
    /// two living ones that of the lower instance falls silent.
    fn dispute_identity(&mut self, theirs: &Attributes, now: Duration, effects: &mut Effects) {
        let claimant = theirs.instance;
        let before =
            self.dispute.filter(|it| it.claimant == claimant && now < it.at + DISPUTE_WINDOW);
        let claims = before.map_or(0, |dispute| dispute.claims) + 1;
        self.dispute = Some(Dispute { claimant, claims, at: now });
        let mine = self.members.own().attributes.expect("this node has attributes");
        let halted = claims >= CLAIMS_OF_THE_LIVING && claimant > mine.instance;
        if claims == 1 || halted {
            effects.changes.push(Change::DuplicateIdentity { halted });
        }
        if halted {
            self.phase = super::Phase::Silent;
        } else {
            self.raise_generation(theirs.generation, now, effects);
        }
    }

    /// Begins a new life, above another. False, and counted, if none is left: claims of the last generation
    /// are forged, and nothing outranks them.
    fn raise_generation(
        &mut self,
        above: Generation,
        now: Duration,
        effects: &mut Effects,
    ) -> bool {
        let generation = above.next();
        if generation <= self.members.own().evidence.generation {
            self.counters.irrefutable += 1;
            return false;
        }
        self.members.update(self.own, |own| {
            own.evidence = Evidence { generation, incarnation: Incarnation(0), rank: Rank::Alive };
            if let Some(attributes) = &mut own.attributes {
                attributes.generation = generation;
            }
        });
        effects.changes.push(Change::GenerationRaised(generation));
        self.tell_of(self.own, true, now);
        true
    }

    /// A packet's header is first-hand evidence: its sender lives, in that life and incarnation.
    pub(super) fn learn_first_hand(
        &mut self,
        id: NodeId,
        evidence: Evidence,
        now: Duration,
        effects: &mut Effects,
    ) {
        let Some(member) = self.members.get(id) else {
            let record = Record {
                id,
                evidence,
                accusers: Accusers::default(),
                age_seconds: 0,
                attributes: None,
            };
            return self.learn(&record, now, effects);
        };
        let held = member.evidence;
        if evidence > held {
            let record = Record {
                id,
                evidence,
                accusers: Accusers::default(),
                age_seconds: 0,
                attributes: None,
            };
            self.learn(&record, now, effects);
        }
        let same_life = evidence.generation == held.generation && held.rank != Rank::Left;
        if evidence > held || same_life {
            self.verify(id, now, effects);
        }
    }

    fn verify(&mut self, id: NodeId, now: Duration, effects: &mut Effects) {
        if self.members.get(id).is_some_and(|member| member.trust != Trust::Verified) {
            self.members.update(id, |member| member.trust = Trust::Verified);
            self.tell_of(id, true, now);
            self.show(id, DownReason::Told, effects);
        }
    }

    /// Spreads a number of things that many nodes would otherwise do at the same moment.
    pub(super) fn jitter(&mut self, interval: Duration) -> Duration {
        interval.mul_f64(self.rng.random_range(0.9..1.1))
    }
}
