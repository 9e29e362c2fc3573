//! Bytes from elsewhere: whatever they say, nothing panics.

use crate::cluster::{Cluster, SETTINGS, first, node_id, node_intent};
use bolero::check;
use coterie_ring::NodeState;
use coterie_ring::decision::{Decision, Event, Message, successor};
use coterie_ring::register::Wire;
use proptest::prelude::*;

fn moving() -> Decision {
    let parent = first(3);
    let mut intent = parent.layout().snapshot().clone();
    for index in 3..6 {
        intent.set_node(node_id(index), node_intent(index, NodeState::Active, 2)).unwrap();
    }
    successor(&parent, &intent, 0, |_, _| false).unwrap()
}

#[test]
fn arbitrary_bytes_decode_or_are_refused() {
    check!().with_iterations(20_000).for_each(|bytes: &[u8]| {
        let mut versioned = vec![1];
        versioned.extend_from_slice(bytes);
        for bytes in [bytes, &versioned] {
            if let Ok(message) = Message::decode(bytes) {
                assert_eq!(message.encode(), bytes);
            }
            if let Ok(decision) = Decision::decode(bytes) {
                assert_eq!(decision.encode(), bytes);
            }
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 5_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn mutated_decisions_never_panic(place in any::<prop::sample::Index>(), flip in 1_u8..) {
        let decision = moving();
        let mut bytes = decision.encode();
        prop_assert_eq!(Decision::decode(&bytes).unwrap(), decision);
        let place = place.index(bytes.len());
        prop_assert!(Decision::decode(&bytes[..place]).is_err());
        bytes[place] ^= flip;
        if let Ok(mutated) = Decision::decode(&bytes) {
            prop_assert_eq!(&mutated.encode(), &bytes);
            let message = Message::Decisions(vec![mutated]);
            let mut cluster = Cluster::new(1, 3, 3, SETTINGS);
            let event = Event::Message { from: node_id(1), message };
            // Learned, known or refused as a fork: no matter which.
            let _outcome = cluster.event(0, event);
        }
    }
}
