//! The members a node knows of, in at most 400 bytes each.

use std::collections::VecDeque;
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;

use hashbrown::{HashMap, HashTable};

use crate::attributes::Attributes;
use crate::digest::{Digest, bucket, share};
use crate::identity::NodeId;
use crate::probe::RoundTrip;
use crate::record::{Accusers, Evidence, Rank, Record};

/// How often refutations of one member may lie apart to be counted together.
const REFUTATIONS_WINDOW_SECONDS: u32 = 300;

/// Hashes ids by mixing their halves: no iteration order rests on it.
#[derive(Debug, Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxhash_rust::xxh3::xxh3_64_with_seed(bytes, self.0);
    }

    fn write_u128(&mut self, id: u128) {
        let folded = (id ^ id.rotate_right(96)).to_le_bytes();
        let half = folded.first_chunk().expect("16 bytes have 8");
        let mixed = u64::from_le_bytes(*half).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 29);
    }
}

fn hash(id: NodeId) -> u64 {
    let mut hasher = IdHasher::default();
    hasher.write_u128(id.0);
    hasher.finish()
}

/// A map by id.
pub(crate) type IdMap<V> = HashMap<NodeId, V, BuildHasherDefault<IdHasher>>;

/// What consumers are told of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Known by hearsay or from an old snapshot only, or without addresses: not told of at all.
    Hidden,
    /// To be used.
    Up,
    /// To be used last.
    Suspect,
    /// Not heard of while this node hears too few others to judge: its fallbacks take over here, and nobody
    /// else is told.
    Unreachable,
    /// Its fallbacks take over.
    Down,
    /// Gone for good, by its own word.
    Left,
}

/// On whose word a member is believed to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Its own, or that of others.
    Verified,
    /// Only a snapshot of an earlier life's: any other word will do.
    Remembered,
    /// Only hearsay, though it had said goodbye: until it is heard from directly.
    BackFromFarewell,
}

/// One member. What every record about it is compared with stands first, in one cache line.
#[derive(Clone, Debug)]
#[repr(C)]
pub(crate) struct Member {
    pub(crate) id: NodeId,
    pub(crate) evidence: Evidence,
    pub(crate) trust: Trust,
    pub(crate) shown: Status,
    bucket: u8,
    refutations: u8,
    pub(crate) round_trip: RoundTrip,
    /// Last of the refutations counted above, in whole seconds since this node's start.
    refuted_at_seconds: u32,
    /// Last packet from it.
    pub(crate) heard_at: Option<Duration>,
    /// Last probe of it by this node.
    pub(crate) probed_at: Option<Duration>,
    /// Last time it was told what is said of it.
    pub(crate) told_at: Option<Duration>,
    /// Milliseconds, before this node's start if negative, when it went down or left.
    pub(crate) died_millis: i64,
    pub(crate) attributes: Option<Attributes>,
}

impl Member {
    pub(crate) fn new(id: NodeId, evidence: Evidence, attributes: Option<Attributes>) -> Self {
        Self {
            id,
            evidence,
            attributes,
            heard_at: None,
            probed_at: None,
            told_at: None,
            died_millis: 0,
            round_trip: RoundTrip::default(),
            refuted_at_seconds: 0,
            refutations: 0,
            trust: Trust::Verified,
            shown: Status::Hidden,
            bucket: u8::try_from(bucket(id)).expect("256 buckets"),
        }
    }

    pub(crate) fn bucket(&self) -> usize {
        usize::from(self.bucket)
    }

    /// Refutations none of which lies further back than the window allows.
    pub(crate) fn recent_refutations(&self, now: Duration) -> u32 {
        let recent =
            seconds(now).saturating_sub(self.refuted_at_seconds) < REFUTATIONS_WINDOW_SECONDS;
        if recent { self.refutations.into() } else { 0 }
    }

    pub(crate) fn count_refutation(&mut self, now: Duration) {
        let earlier = self.recent_refutations(now);
        self.refutations = u8::try_from(earlier + 1).unwrap_or(u8::MAX);
        self.refuted_at_seconds = seconds(now);
    }

    /// As it travels. Accusers are kept with the suspicion.
    pub(crate) fn record(
        &self,
        now: Duration,
        accusers: Accusers,
        with_attributes: bool,
    ) -> Record {
        Record {
            id: self.id,
            evidence: self.evidence,
            accusers,
            age_seconds: self.age_seconds(now),
            attributes: self.attributes.filter(|_| with_attributes),
        }
    }

    /// Seconds since it went down or left; 0 for the living.
    pub(crate) fn age_seconds(&self, now: Duration) -> u32 {
        if self.evidence.rank <= Rank::Suspect {
            return 0;
        }
        let age_millis = millis(now).saturating_sub(self.died_millis).max(0);
        u32::try_from(age_millis / 1_000).unwrap_or(u32::MAX)
    }

    fn share(&self) -> u64 {
        // Without attributes it is a name somebody dropped: nothing to agree on, and nothing to keep alive.
        match &self.attributes {
            Some(a) if self.trust == Trust::Verified => {
                share(self.id, &self.evidence, (a.generation.0, a.version, a.instance.0))
            }
            Some(_) | None => 0,
        }
    }

    fn group(&self) -> Group {
        match (self.evidence.rank, self.attributes, self.trust == Trust::Verified) {
            (Rank::Left, _, _) => Group::Left,
            (_, None, _) => Group::None,
            (Rank::Down, Some(_), _) => Group::Down,
            (Rank::Alive | Rank::Suspect, Some(_), false) => Group::Unverified,
            (Rank::Alive | Rank::Suspect, Some(_), true) => Group::Probed,
        }
    }
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

/// Milliseconds since the node's start.
pub(crate) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Which list a member stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    /// Cannot be contacted.
    None,
    Probed,
    Unverified,
    Down,
    Left,
}

/// All members, this node among them.
#[derive(Debug)]
pub(crate) struct Members {
    own: NodeId,
    /// Slots by the hash of the id in them: without the ids, a sixth of a map's memory.
    index: HashTable<u32>,
    slots: Vec<Member>,
    digest: Digest,
    /// Others believed alive or suspect that can be contacted, ascending.
    probed: Vec<NodeId>,
    /// Ascending.
    unverified: Vec<NodeId>,
    /// Ascending.
    down: Vec<NodeId>,
    /// In the order they left.
    left: VecDeque<NodeId>,
    suspects: usize,
}

impl Members {
    pub(crate) fn new(own: Member) -> Self {
        let mut members = Self {
            own: own.id,
            index: HashTable::new(),
            slots: Vec::new(),
            digest: Digest::default(),
            probed: Vec::new(),
            unverified: Vec::new(),
            down: Vec::new(),
            left: VecDeque::new(),
            suspects: 0,
        };
        members.insert(own);
        members
    }

    pub(crate) fn get(&self, id: NodeId) -> Option<&Member> {
        self.slot(id).map(|slot| &self.slots[slot])
    }

    /// For fields that no list and no digest rests on.
    pub(crate) fn note(&mut self, id: NodeId) -> Option<&mut Member> {
        self.slot(id).map(|slot| &mut self.slots[slot])
    }

    fn slot(&self, id: NodeId) -> Option<usize> {
        let same = |slot: &u32| self.slots[*slot as usize].id == id;
        self.index.find(hash(id), same).map(|slot| *slot as usize)
    }

    pub(crate) fn own(&self) -> &Member {
        self.get(self.own).expect("this node is a member from the start")
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.slots.iter()
    }

    /// Members held, in whatever state.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// This node and the others believed alive or suspect.
    pub(crate) fn nodes(&self) -> usize {
        self.probed.len() + 1
    }

    pub(crate) fn probed(&self) -> &[NodeId] {
        &self.probed
    }

    pub(crate) fn unverified(&self) -> &[NodeId] {
        &self.unverified
    }

    pub(crate) fn down(&self) -> &[NodeId] {
        &self.down
    }

    /// Others that nobody suspects.
    pub(crate) fn unsuspected(&self) -> usize {
        self.probed.len() - self.suspects
    }

    pub(crate) fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Adds a member that is not held yet.
    pub(crate) fn insert(&mut self, member: Member) {
        assert!(self.slot(member.id).is_none(), "a member is added once");
        // By eighths: doubling would leave a member with twice its memory.
        if self.slots.len() == self.slots.capacity() {
            self.slots.reserve_exact(self.slots.len() / 8 + 8);
        }
        let slot = u32::try_from(self.slots.len()).expect("members are limited far below 2^32");
        self.digest.replace(member.id, 0, member.share());
        self.enlist(&member);
        self.slots.push(member);
        let Self { index, slots, .. } = self;
        let id = slots[slot as usize].id;
        index.insert_unique(hash(id), slot, |slot| hash(slots[*slot as usize].id));
    }

    /// Changes a member, and with it the lists and the digest.
    pub(crate) fn update(&mut self, id: NodeId, change: impl FnOnce(&mut Member)) {
        let slot = self.slot(id).expect("only members that are held are changed");
        let old = (self.slots[slot].group(), self.slots[slot].evidence.rank);
        let old_share = self.slots[slot].share();
        change(&mut self.slots[slot]);
        let member = &self.slots[slot];
        let new = (member.group(), member.evidence.rank);
        self.digest.replace(id, old_share, member.share());
        if old != new {
            self.delist(id, old.0, old.1);
            let member = self.slots[slot].clone();
            self.enlist(&member);
        }
    }

    /// Forgets a member altogether.
    pub(crate) fn remove(&mut self, id: NodeId) {
        assert_ne!(id, self.own, "a node does not forget itself");
        let slot = self.slot(id).expect("only members that are held are forgotten");
        let last = self.slots.len() - 1;
        let Self { index, slots, .. } = self;
        let entry = index.find_entry(hash(id), |held| *held as usize == slot);
        entry.expect("it was just found").remove();
        if slot != last {
            let moved = index.find_mut(hash(slots[last].id), |held| *held as usize == last);
            *moved.expect("every slot is indexed") =
                u32::try_from(slot).expect("members are limited far below 2^32");
        }
        let member = self.slots.swap_remove(slot);
        self.digest.replace(id, member.share(), 0);
        self.delist(id, member.group(), member.evidence.rank);
    }

    /// The member that left first, if more that left are remembered than there are nodes.
    ///
    /// A farewell must outlive the claims of life still under way, not more: so it is kept by number.
    pub(crate) fn surplus_left(&self) -> Option<NodeId> {
        (self.left.len() > self.nodes().max(32)).then(|| self.left.front().copied()).flatten()
    }

    /// Bytes held for all members together: tables and lists at their capacity.
    pub(crate) fn heap_bytes(&self) -> usize {
        let ids = self.probed.capacity()
            + self.unverified.capacity()
            + self.down.capacity()
            + self.left.capacity();
        let members_bytes = self.slots.capacity() * size_of::<Member>();
        members_bytes + self.index.allocation_size() + ids * size_of::<NodeId>()
    }

    fn enlist(&mut self, member: &Member) {
        if member.id == self.own {
            return;
        }
        let list = match member.group() {
            Group::None => return,
            Group::Left => return self.left.push_back(member.id),
            Group::Probed => {
                self.suspects += usize::from(member.evidence.rank == Rank::Suspect);
                &mut self.probed
            }
            Group::Unverified => &mut self.unverified,
            Group::Down => &mut self.down,
        };
        if let Err(place) = list.binary_search(&member.id) {
            list.insert(place, member.id);
        }
    }

    fn delist(&mut self, id: NodeId, group: Group, rank: Rank) {
        if id == self.own {
            return;
        }
        let list = match group {
            Group::None => return,
            Group::Left => return self.left.retain(|left| *left != id),
            Group::Probed => {
                self.suspects -= usize::from(rank == Rank::Suspect);
                &mut self.probed
            }
            Group::Unverified => &mut self.unverified,
            Group::Down => &mut self.down,
        };
        if let Ok(place) = list.binary_search(&id) {
            list.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Generation, Incarnation};

    #[test]
    fn refutations_count_until_five_minutes_have_passed_without_one() {
        let evidence =
            Evidence { generation: Generation(1), incarnation: Incarnation(0), rank: Rank::Alive };
        let mut member = Member::new(NodeId(1), evidence, None);
        let at = Duration::from_secs;
        assert_eq!(member.recent_refutations(at(0)), 0);
        for seconds in [0, 100, 399] {
            member.count_refutation(at(seconds));
        }
        assert_eq!([400, 698, 699].map(|s| member.recent_refutations(at(s))), [3, 3, 0]);
        member.count_refutation(at(800));
        assert_eq!(member.recent_refutations(at(800)), 1);
    }
}
