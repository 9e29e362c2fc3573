//! Intents as bytes (docs/formats.md, ring, "Intent").

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;

use super::{
    BUCKETS_MAX, BucketKind, BucketName, BucketPolicy, Intent, Level, NODES_MAX, NodeIntent,
    NodeState, PlacementPolicy, REPLICAS_MAX, Revised, Spread,
};
use crate::encoding::{Malformed, Reader, write_count, write_text, write_varint};
use crate::node::{NodeId, Place};

/// Why bytes are no intent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("malformed intent")]
pub struct IntentError(#[from] pub Malformed);

const FORMAT: u8 = 1;
/// Id, revision, weight and place of a node.
const NODE_BYTES_MIN: usize = 16 + 3;
/// Name of one byte with its length, revision, packed kind, levels and replicas, expiry.
const BUCKET_BYTES_MIN: usize = 8;
/// Two lengths.
const PLACE_BYTES_MIN: usize = 2;

impl Intent {
    /// The intent as bytes; equal intents have equal bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        self.write(&mut out);
        out
    }

    /// The intent that `bytes` encode, checked.
    ///
    /// # Errors
    ///
    /// [`IntentError`] if they are no encoding of an intent.
    pub fn decode(bytes: &[u8]) -> Result<Self, IntentError> {
        let mut reader = Reader::new(bytes);
        let format = reader.u8()?;
        if format != FORMAT {
            return Err(Malformed::Version(format).into());
        }
        let intent = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(intent)
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        write_varint(out, self.placement.revision.into());
        out.push(self.placement.value.replicas);
        out.push(spread_code(self.placement.value.spread));

        let places: BTreeSet<_> = self.nodes.values().map(|node| &node.value.place).collect();
        write_count(out, places.len());
        for place in &places {
            write_text(out, place.region());
            write_text(out, place.zone());
        }
        let place_index: BTreeMap<_, _> = places.iter().zip(0_u64..).collect();
        write_count(out, self.nodes.len());
        for (id, node) in &self.nodes {
            out.extend_from_slice(&id.0.to_le_bytes());
            write_varint(out, node.revision.into());
            write_varint(out, node.value.weight.into());
            let place = place_index[&&node.value.place];
            write_varint(out, place << 2 | u64::from(state_code(node.value.state)));
        }

        write_count(out, self.buckets.len());
        for (name, bucket) in &self.buckets {
            write_text(out, name.as_str());
            write_varint(out, bucket.revision.into());
            let policy = &bucket.value;
            out.push(policy.replicas);
            out.push(kind_code(policy.kind));
            out.push(level_code(policy.write));
            out.push(level_code(policy.read));
            write_varint(out, policy.expiry_millis.map_or(0, NonZeroU64::get));
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let placement = Revised {
            revision: reader.varint_u32()?,
            value: PlacementPolicy {
                replicas: read_replicas(reader)?,
                spread: find_code("spread", &SPREADS, spread_code, reader.u8()?)?,
            },
        };
        let places = read_places(reader)?;
        let nodes = read_nodes(reader, &places)?;
        let buckets = read_buckets(reader)?;
        Ok(Self { placement, nodes, buckets })
    }
}

fn read_places(reader: &mut Reader<'_>) -> Result<Vec<Place>, Malformed> {
    let count = reader.count("places", NODES_MAX, PLACE_BYTES_MIN)?;
    let mut places: Vec<Place> = Vec::with_capacity(count);
    for _ in 0..count {
        let region = reader.text("region", Place::NAME_BYTES_MAX)?;
        let zone = reader.text("zone", Place::NAME_BYTES_MAX)?;
        let place =
            Place::new(region, zone).map_err(|_refused| Malformed::Name { what: "place" })?;
        if places.last().is_some_and(|last| *last >= place) {
            return Err(Malformed::Unordered { what: "places" });
        }
        places.push(place);
    }
    Ok(places)
}

fn read_nodes(
    reader: &mut Reader<'_>,
    places: &[Place],
) -> Result<BTreeMap<NodeId, Revised<NodeIntent>>, Malformed> {
    let count = reader.count("nodes", NODES_MAX, NODE_BYTES_MIN)?;
    let mut nodes: BTreeMap<NodeId, Revised<NodeIntent>> = BTreeMap::new();
    let mut place_used = vec![false; places.len()];
    for _ in 0..count {
        let id = NodeId(reader.u128()?);
        if nodes.last_key_value().is_some_and(|(&last, _)| last >= id) {
            return Err(Malformed::Unordered { what: "nodes" });
        }
        let revision = reader.varint_u32()?;
        let weight = reader.varint_u32()?;
        let packed = reader.varint()?;
        let state_bits = u8::try_from(packed & 3).expect("two bits");
        let state = find_code("node state", &STATES, state_code, state_bits)?;
        let index = usize::try_from(packed >> 2)
            .ok()
            .filter(|&index| index < places.len())
            .ok_or(Malformed::OutOfBounds { what: "place" })?;
        place_used[index] = true;
        let place = places[index].clone();
        nodes.insert(id, Revised { revision, value: NodeIntent { state, weight, place } });
    }
    if place_used.contains(&false) {
        return Err(Malformed::OutOfBounds { what: "places" });
    }
    Ok(nodes)
}

fn read_buckets(
    reader: &mut Reader<'_>,
) -> Result<BTreeMap<BucketName, Revised<BucketPolicy>>, Malformed> {
    let count = reader.count("buckets", BUCKETS_MAX, BUCKET_BYTES_MIN)?;
    let mut buckets: BTreeMap<BucketName, Revised<BucketPolicy>> = BTreeMap::new();
    for _ in 0..count {
        let name = BucketName::new(reader.text("bucket", BucketName::BYTES_MAX)?)
            .map_err(|_refused| Malformed::Name { what: "bucket" })?;
        if buckets.last_key_value().is_some_and(|(last, _)| *last >= name) {
            return Err(Malformed::Unordered { what: "buckets" });
        }
        let revision = reader.varint_u32()?;
        let policy = BucketPolicy {
            replicas: read_replicas(reader)?,
            kind: find_code("bucket kind", &BucketKind::ALL, kind_code, reader.u8()?)?,
            write: find_code("write level", &Level::ALL, level_code, reader.u8()?)?,
            read: find_code("read level", &Level::ALL[1..], level_code, reader.u8()?)?,
            expiry_millis: NonZeroU64::new(reader.varint()?),
        };
        buckets.insert(name, Revised { revision, value: policy });
    }
    Ok(buckets)
}

fn read_replicas(reader: &mut Reader<'_>) -> Result<u8, Malformed> {
    let replicas = reader.u8()?;
    if (1..=REPLICAS_MAX).contains(&replicas) {
        Ok(replicas)
    } else {
        Err(Malformed::OutOfBounds { what: "replicas" })
    }
}

fn find_code<T: Copy>(
    what: &'static str,
    values: &[T],
    code_of: fn(T) -> u8,
    code: u8,
) -> Result<T, Malformed> {
    let found = values.iter().find(|&&value| code_of(value) == code);
    found.copied().ok_or(Malformed::OutOfBounds { what })
}

const SPREADS: [Spread; 3] = [Spread::Nodes, Spread::Zones, Spread::Regions];

fn spread_code(spread: Spread) -> u8 {
    match spread {
        Spread::Nodes => 0,
        Spread::Zones => 1,
        Spread::Regions => 2,
    }
}

const STATES: [NodeState; 4] =
    [NodeState::Joining, NodeState::Active, NodeState::Draining, NodeState::Removed];

fn state_code(state: NodeState) -> u8 {
    match state {
        NodeState::Joining => 0,
        NodeState::Active => 1,
        NodeState::Draining => 2,
        NodeState::Removed => 3,
    }
}

fn kind_code(kind: BucketKind) -> u8 {
    match kind {
        BucketKind::Sloppy => 0,
        BucketKind::Strict => 1,
        BucketKind::Strong => 2,
    }
}

fn level_code(level: Level) -> u8 {
    match level {
        Level::Any => 0,
        Level::One => 1,
        Level::Two => 2,
        Level::Three => 3,
        Level::Quorum => 4,
        Level::All => 5,
        Level::LocalOne => 6,
        Level::LocalQuorum => 7,
        Level::EachQuorum => 8,
        Level::Linearizable => 9,
    }
}
