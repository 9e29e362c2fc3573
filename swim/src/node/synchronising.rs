//! Anti-entropy: two nodes whose digests differ find out in which records, over a stream.

use std::time::Duration;

use super::Swim;
use super::telling::accusers;
use crate::attributes::Address;
use crate::digest::{BUCKETS, BucketSums};
use crate::event::{Change, Effects, StreamSend};
use crate::identity::NodeId;
use crate::members::{Member, Trust};
use crate::record::{Rank, Record};
use crate::wire::{Buckets, Header, STREAM_BYTES_MAX, StreamMessage, decode_stream, encode_stream};

/// Records of one stream message: with the longest records it stays below its limit.
const RECORDS_MAX: usize = STREAM_BYTES_MAX / 300;

/// How this node's digest compares with those of the peers it hears.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// Since when no equal digest was seen.
    differing_since: Option<Duration>,
    synchronised_at: Option<Duration>,
}

impl Swim {
    /// Compares a peer's digest. While gossip is under way a difference means nothing; one that lasts, or one
    /// with a peer thought to be dead, is looked into.
    pub(super) fn compare(&mut self, header: &Header, now: Duration, effects: &mut Effects) {
        let digest = self.digest();
        if header.digest == digest {
            if self.comparison.differing_since.take().is_some() {
                effects.changes.push(Change::Converged { digest });
            }
            return;
        }
        let since = *self.comparison.differing_since.get_or_insert(now);
        let Some(member) = self.members.get(header.sender) else { return };
        let from_beyond = member.evidence.rank == Rank::Down;
        if from_beyond || now >= since + self.parameters.sync_settle {
            self.synchronise(header.sender, now, effects);
        }
    }

    fn synchronise(&mut self, peer: NodeId, now: Duration, effects: &mut Effects) {
        let interval = self.parameters.sync_interval;
        if self.comparison.synchronised_at.is_some_and(|at| now < at + interval) {
            return;
        }
        let Some(attributes) = self.members.get(peer).and_then(|member| member.attributes) else {
            return;
        };
        self.comparison.synchronised_at = Some(now);
        self.counters.syncs += 1;
        let sums = Box::new(*self.members.digest().sums());
        self.send_stream(Some(peer), attributes.peer, &StreamMessage::Digest { sums }, effects);
    }

    pub(super) fn send_stream(
        &mut self,
        to: Option<NodeId>,
        address: Address,
        message: &StreamMessage,
        effects: &mut Effects,
    ) {
        self.counters.streams_sent += 1;
        let bytes = encode_stream(&self.header(), message);
        assert!(bytes.len() <= STREAM_BYTES_MAX, "messages are split below their limit");
        effects.streams.push(StreamSend { to, address, bytes });
    }

    pub(super) fn join_message(&self) -> StreamMessage {
        let record = Box::new(self.own_record());
        StreamMessage::Join { record, sums: Box::new(*self.members.digest().sums()) }
    }

    pub(super) fn receive_stream(
        &mut self,
        peer: NodeId,
        bytes: &[u8],
        now: Duration,
        effects: &mut Effects,
    ) {
        let (header, message) = match decode_stream(bytes) {
            Ok(decoded) => decoded,
            Err(error) => return self.count_malformed(error),
        };
        if header.sender != peer {
            self.counters.impostors += 1;
            return;
        }
        if peer == self.own {
            self.counters.own_id_claimed += 1;
            return;
        }
        self.receive_header(None, &header, now, effects);
        match message {
            StreamMessage::Join { record, sums } => {
                self.learn(&record, now, effects);
                // Not to the address held: that may be another process of this identity.
                if let Some(attributes) = record.attributes {
                    self.answer_digest(peer, attributes.peer, &sums, now, effects);
                }
            }
            StreamMessage::Digest { sums } => {
                if let Some(attributes) = self.members.get(peer).and_then(|m| m.attributes) {
                    self.answer_digest(peer, attributes.peer, &sums, now, effects);
                }
            }
            StreamMessage::Records { buckets, answer, mut records } => {
                if answer {
                    records.sort_by_key(|record| record.id);
                    self.answer_records(peer, &buckets, &records, now, effects);
                }
                for record in &records {
                    self.learn(record, now, effects);
                }
            }
        }
    }

    /// Sends all records of the buckets that differ, and asks for the peer's newer ones.
    fn answer_digest(
        &mut self,
        peer: NodeId,
        address: Address,
        sums: &BucketSums,
        now: Duration,
        effects: &mut Effects,
    ) {
        let own = self.members.digest().sums();
        let differing = (0..BUCKETS).filter(|bucket| own[*bucket] != sums[*bucket]);
        let mut by_bucket: Vec<Vec<Record>> = Vec::new();
        by_bucket.resize_with(BUCKETS, Vec::new);
        let mut asked = Buckets::default();
        for bucket in differing {
            asked.insert(bucket);
        }
        for member in self.members.iter().filter(|member| asked.contains(member.bucket())) {
            if let Some(record) = self.shared_record(member, now) {
                by_bucket[member.bucket()].push(record);
            }
        }
        let mut buckets = Buckets::default();
        let mut records = Vec::new();
        for (bucket, mut held) in by_bucket.into_iter().enumerate() {
            if !asked.contains(bucket) {
                continue;
            }
            if records.len() + held.len() > RECORDS_MAX && !records.is_empty() {
                let complete = std::mem::take(&mut records);
                let message = StreamMessage::Records { buckets, answer: true, records: complete };
                self.send_stream(Some(peer), address, &message, effects);
                buckets = Buckets::default();
            }
            held.truncate(RECORDS_MAX);
            buckets.insert(bucket);
            records.append(&mut held);
        }
        if !buckets.is_empty() {
            let message = StreamMessage::Records { buckets, answer: true, records };
            self.send_stream(Some(peer), address, &message, effects);
        }
    }

    /// Sends what this node holds newer than the peer in some buckets, of which `theirs` is all it has.
    fn answer_records(
        &mut self,
        peer: NodeId,
        buckets: &Buckets,
        theirs: &[Record],
        now: Duration,
        effects: &mut Effects,
    ) {
        let Some(attributes) = self.members.get(peer).and_then(|member| member.attributes) else {
            return;
        };
        let held = self.members.iter().filter(|member| buckets.contains(member.bucket()));
        let newer = held.filter(|member| {
            let known = theirs.binary_search_by_key(&member.id, |record| record.id);
            known.map_or(true, |index| {
                let record = &theirs[index];
                member.evidence > record.evidence || member.attributes > record.attributes
            })
        });
        let records: Vec<Record> =
            newer.filter_map(|member| self.shared_record(member, now)).collect();
        for some in records.chunks(RECORDS_MAX) {
            let message =
                StreamMessage::Records { buckets: *buckets, answer: false, records: some.to_vec() };
            self.send_stream(Some(peer), attributes.peer, &message, effects);
        }
    }

    /// A member as it is shared: not on the word of an old snapshot alone, not when almost forgotten, and not
    /// if all that is known is that somebody said it lives.
    fn shared_record(&self, member: &Member, now: Duration) -> Option<Record> {
        let age = Duration::from_secs(member.age_seconds(now).into());
        let current = age < self.parameters.tombstone_life;
        let substantial = member.attributes.is_some() || member.evidence.rank > Rank::Alive;
        (member.trust != Trust::Remembered && current && substantial)
            .then(|| member.record(now, accusers(&self.suspicions, member.id), true))
    }
}
