//! Layouts and intents from elsewhere are checked before use, and nothing panics.

#![expect(clippy::unwrap_used, reason = "what helps a test fails like a test")]

use std::num::NonZeroU64;

use coterie_ring::{
    BucketKind, BucketName, BucketPolicy, Intent, IntentError, Layout, LayoutError, LayoutHash,
    LayoutParts, Level, Malformed, NodeId, NodeIntent, NodeState, Partition, Partitioner, Place,
    bootstrap, plan, verify,
};

fn iterations() -> usize {
    if std::env::var_os("COTERIE_PROOF").is_some() { 5_000_000 } else { 100_000 }
}

fn intent(nodes: u128) -> Intent {
    let mut intent = Intent::new();
    for id in 0..nodes {
        let zone = ["a", "b", "c"][usize::try_from(id % 3).unwrap()];
        let state = if id == 4 { NodeState::Draining } else { NodeState::Active };
        let place = Place::new("eu", zone).unwrap();
        intent.set_node(NodeId(id * 1_000), NodeIntent { state, weight: 3, place }).unwrap();
    }
    let policy = BucketPolicy {
        replicas: 2,
        kind: BucketKind::Sloppy,
        write: Level::Any,
        read: Level::One,
        expiry_millis: NonZeroU64::new(1_000),
    };
    intent.set_bucket(BucketName::new("db0").unwrap(), BucketPolicy::default()).unwrap();
    intent.set_bucket(BucketName::new("sessions").unwrap(), policy).unwrap();
    intent
}

fn layout() -> Layout {
    let partitioner = Partitioner::new(16).unwrap();
    let first = bootstrap(7, partitioner, &intent(6)).unwrap();
    plan(first.layout(), &intent(7)).unwrap().layout().clone()
}

#[test]
fn encodings_round_trip() {
    assert_eq!(Intent::decode(&intent(7).encode()), Ok(intent(7)));
    assert_eq!(Intent::decode(&Intent::new().encode()), Ok(Intent::new()));
    let layout = layout();
    let again = Layout::decode(&layout.encode()).unwrap();
    assert_eq!(again, layout);
    assert_eq!(again.hash(), layout.hash());
    for nodes in [1, 2, 3, 255, 256, 257] {
        let plan = bootstrap(7, Partitioner::default(), &intent(nodes)).unwrap();
        assert_eq!(Layout::decode(&plan.layout().encode()).as_ref(), Ok(plan.layout()));
    }
}

/// What a decoder accepts it also writes: one value has one encoding.
fn decode_both(bytes: &[u8]) {
    if let Ok(intent) = Intent::decode(bytes) {
        assert_eq!(intent.encode(), bytes);
    }
    if let Ok(layout) = Layout::decode(bytes) {
        assert_eq!(layout.encode(), bytes);
        let last = layout.partitioner().partitions().last().unwrap();
        assert!(layout.fallbacks(last).count() < layout.members().len());
        // What was accepted can be planned from, unless that is refused.
        if let Ok(next) = plan(&layout, &Intent::new()) {
            assert_eq!(verify(&layout, next.layout()), Ok(()));
        }
    }
}

#[test]
fn arbitrary_bytes_are_refused_or_canonical() {
    bolero::check!().with_iterations(iterations()).for_each(|bytes: &[u8]| {
        decode_both(bytes);
        let mut versioned = vec![1];
        versioned.extend_from_slice(bytes);
        decode_both(&versioned);
    });
}

#[test]
fn mutated_encodings_are_refused_or_canonical() {
    let valid = [intent(7).encode(), layout().encode()];
    bolero::check!()
        .with_iterations(iterations())
        .with_type::<(bool, Vec<(u16, u8)>, Option<u16>)>()
        .for_each(|(which, changes, cut)| {
            let mut bytes = valid[usize::from(*which)].clone();
            for &(at, value) in changes.iter().take(4) {
                let at = usize::from(at) % bytes.len();
                bytes[at] = value;
            }
            if let Some(cut) = cut {
                bytes.truncate(usize::from(*cut) % bytes.len());
            }
            decode_both(&bytes);
        });
}

#[test]
fn every_prefix_and_every_single_byte_change_is_survived() {
    for valid in [intent(7).encode(), layout().encode()] {
        for end in 0..valid.len() {
            assert!(Intent::decode(&valid[..end]).is_err());
            assert!(Layout::decode(&valid[..end]).is_err());
        }
        for at in 0..valid.len() {
            for value in 0..=255 {
                let mut bytes = valid.clone();
                bytes[at] = value;
                decode_both(&bytes);
            }
        }
    }
}

#[test]
fn hostile_counts_are_refused() {
    // Placement, then 2^40 places.
    let bytes = [1, 0, 3, 2, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20];
    let error = IntentError(Malformed::OutOfBounds { what: "places" });
    assert_eq!(Intent::decode(&bytes), Err(error));
    // No places, then 16,384 nodes in no bytes.
    let bytes = [1, 0, 3, 2, 0, 0x80, 0x80, 0x01];
    assert_eq!(Intent::decode(&bytes), Err(IntentError(Malformed::Truncated)));
    assert_eq!(Intent::decode(&[2]), Err(IntentError(Malformed::Version(2))));
}

#[test]
fn inconsistent_parts_make_no_layout() {
    let altered = |alter: &dyn Fn(&mut LayoutParts)| {
        let mut parts = layout().parts().clone();
        alter(&mut parts);
        Layout::new(parts).unwrap_err()
    };
    assert_eq!(altered(&|parts| parts.version = 0), LayoutError::Version);
    let fewer = LayoutError::TableSize { owners: 48, expected: 32 };
    assert_eq!(altered(&|parts| parts.replicas = 2), fewer);
    let none = LayoutError::Replicas { replicas: 0, members: 7 };
    assert_eq!(altered(&|parts| parts.replicas = 0), none);
    let many = LayoutError::Replicas { replicas: 4, members: 7 };
    assert_eq!(altered(&|parts| parts.replicas = 4), many);
    let wrong = LayoutError::TableSize { owners: 48, expected: 24 };
    let eight = Partitioner::new(8).unwrap();
    assert_eq!(altered(&|parts| parts.partitioner = eight), wrong);
    let unknown = LayoutError::UnknownOwner { partition: Partition(1) };
    assert_eq!(altered(&|parts| parts.table[3] = 7), unknown);
    let repeated = LayoutError::RepeatedOwner { partition: Partition(1) };
    assert_eq!(altered(&|parts| parts.table[3] = parts.table[4]), repeated);
    assert_eq!(altered(&|parts| parts.voters.clear()), LayoutError::Voters);
    assert_eq!(altered(&|parts| parts.voters.truncate(2)), LayoutError::Voters);
    assert_eq!(altered(&|parts| parts.voters.reverse()), LayoutError::Voters);
    assert_eq!(altered(&|parts| parts.voters[0] = NodeId(1)), LayoutError::Voters);
}

#[test]
fn golden_bytes() {
    let mut intent = Intent::new();
    let place = Place::new("eu", "a").unwrap();
    let node = NodeIntent { state: NodeState::Active, weight: 5, place };
    intent.set_node(NodeId(0x0102), node).unwrap();
    intent.set_bucket(BucketName::new("db0").unwrap(), BucketPolicy::default()).unwrap();
    let mut expected = vec![1, 0, 3, 2, 1, 2, b'e', b'u', 1, b'a', 1, 2, 1];
    expected.extend([0; 14]);
    expected.extend([1, 5, 1, 1, 3, b'd', b'b', b'0', 1, 3, 1, 4, 4, 0]);
    assert_eq!(intent.encode(), expected);

    let plan = bootstrap(9, Partitioner::new(8).unwrap(), &intent).unwrap();
    let mut bytes = vec![1, 1, 0, 9];
    bytes.extend([0; 15]);
    bytes.extend([3, 1]);
    bytes.extend(&expected[1..]);
    bytes.extend([1, 0]);
    assert_eq!(plan.layout().encode(), bytes);
    assert_eq!(plan.layout().hash(), LayoutHash(xxhash_rust::xxh3::xxh3_128(&bytes)));
}
