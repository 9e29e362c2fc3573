//! Bytes and events from elsewhere: whatever they say, nothing panics.

use crate::cluster::node_id;
use bolero::check;
use coterie_ring::moves::{Event, LiveSets, OwnerSet, Quorum, Replica, SetVersion, Status};
use coterie_ring::register::Wire;
use proptest::prelude::*;
use std::time::Duration;

fn versions() -> impl Strategy<Value = SetVersion> {
    let numbers = prop_oneof![0_u64..6, any::<u64>()];
    (0_u32..3, numbers).prop_map(|(epoch, number)| SetVersion { epoch, number })
}

fn owner_sets() -> impl Strategy<Value = OwnerSet> {
    let members = proptest::collection::vec(0_usize..6, 0..10);
    (versions(), members).prop_map(|(version, members)| OwnerSet {
        version,
        members: members.into_iter().map(node_id).collect(),
    })
}

fn live_sets() -> impl Strategy<Value = LiveSets> {
    let removed = proptest::collection::vec(0_usize..6, 0..3);
    (proptest::collection::vec(owner_sets(), 0..6), removed).prop_filter_map(
        "sets that cannot be live are refused",
        |(mut sets, removed)| {
            sets.sort_by_key(|set| set.version);
            LiveSets::new(sets, removed.into_iter().map(node_id)).ok()
        },
    )
}

fn events() -> impl Strategy<Value = Event> {
    let node = || (0_usize..7).prop_map(node_id);
    prop_oneof![
        live_sets().prop_map(Event::Layout),
        (node(), versions()).prop_map(|(from, fenced)| Event::Pushed { from, fenced }),
        (node(), versions(), any::<bool>(), any::<bool>()).prop_map(
            |(from, version, complete, retired)| Event::Status {
                from,
                status: Status { version, complete, retired },
            }
        ),
        node().prop_map(|with| Event::RootsEqual { with }),
        any::<u8>().prop_map(|count| Event::WriteQuorum(Quorum::Count(count))),
        Just(Event::Tick),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Any events, then what is durable reads back and answers as before.
    #[test]
    fn a_replica_survives_any_events_and_a_restart(
        sets in live_sets(),
        events in proptest::collection::vec(events(), 0..20),
        place in any::<prop::sample::Index>(),
        flip in 1_u8..,
    ) {
        let mut replica = Replica::new(node_id(0), sets, Quorum::Majority);
        let mut effects = Vec::new();
        for (second, event) in events.into_iter().enumerate() {
            replica.handle(event, Duration::from_secs(second as u64), &mut effects);
        }
        let bytes = replica.encode();
        let recovered = Replica::decode(&bytes).unwrap();
        prop_assert_eq!(recovered.encode(), bytes.clone());
        prop_assert_eq!(recovered.status(), replica.status());
        for set in replica.sets().all() {
            let version = set.version;
            prop_assert_eq!(recovered.admit_write(version), replica.admit_write(version));
            for quorum in [Quorum::Count(1), Quorum::Majority, Quorum::All] {
                let answers = recovered.may_answer_read(version, quorum);
                prop_assert_eq!(answers, replica.may_answer_read(version, quorum));
            }
        }
        let place = place.index(bytes.len());
        prop_assert!(Replica::decode(&bytes[..place]).is_err());
        let mut mutated = bytes;
        mutated[place] ^= flip;
        if let Ok(replica) = Replica::decode(&mutated) {
            prop_assert_eq!(replica.encode(), mutated);
        }
    }
}

#[test]
fn arbitrary_bytes_decode_or_are_refused() {
    check!().with_iterations(20_000).for_each(|bytes: &[u8]| {
        let mut versioned = vec![1];
        versioned.extend_from_slice(bytes);
        for bytes in [bytes, &versioned] {
            if let Ok(replica) = Replica::decode(bytes) {
                assert_eq!(replica.encode(), bytes);
            }
            if let Ok(sets) = LiveSets::decode(bytes) {
                assert_eq!(sets.encode(), bytes);
            }
            if let Ok(status) = Status::decode(bytes) {
                assert_eq!(status.encode(), bytes);
            }
        }
    });
}
