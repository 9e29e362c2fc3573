//! Intents merge as a semilattice.

#![expect(clippy::unwrap_used, reason = "what helps a test fails like a test")]

use coterie_ring::{
    BucketKind, BucketName, BucketPolicy, EditError, Intent, Level, NODES_MAX, NodeId, NodeIntent,
    NodeState, Place, PlacementPolicy, Spread,
};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Edit {
    Node(u128, NodeState, u32),
    Placement(u8),
    Bucket(u8, bool),
}

fn edit() -> impl Strategy<Value = Edit> {
    let state = prop::sample::select(vec![
        NodeState::Joining,
        NodeState::Active,
        NodeState::Draining,
        NodeState::Removed,
    ]);
    prop_oneof![
        (0..4_u128, state, 0..3_u32).prop_map(|(id, state, weight)| Edit::Node(id, state, weight)),
        (1..5_u8).prop_map(Edit::Placement),
        (0..3_u8, any::<bool>()).prop_map(|(name, sloppy)| Edit::Bucket(name, sloppy)),
    ]
}

fn node(state: NodeState, weight: u32) -> NodeIntent {
    NodeIntent { state, weight, place: Place::new("r", "z").unwrap() }
}

fn apply(intent: &mut Intent, edit: &Edit) {
    match *edit {
        Edit::Node(id, state, weight) => {
            intent.set_node(NodeId(id), node(state, weight)).unwrap();
        }
        Edit::Placement(replicas) => {
            intent.set_placement(PlacementPolicy { replicas, spread: Spread::Zones }).unwrap();
        }
        Edit::Bucket(name, sloppy) => {
            let kind = if sloppy { BucketKind::Sloppy } else { BucketKind::Strict };
            let policy = BucketPolicy { kind, ..BucketPolicy::default() };
            let name = BucketName::new(&format!("b{name}")).unwrap();
            match intent.set_bucket(name, policy) {
                Ok(()) | Err(EditError::BucketFixed { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

fn intent() -> impl Strategy<Value = Intent> {
    prop::collection::vec(edit(), 0..12).prop_map(|edits| {
        let mut intent = Intent::new();
        edits.iter().for_each(|edit| apply(&mut intent, edit));
        intent
    })
}

fn merged(a: &Intent, b: &Intent) -> Intent {
    let mut merged = a.clone();
    merged.merge(b).unwrap();
    merged
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn merging_is_a_join(a in intent(), b in intent(), c in intent()) {
        prop_assert_eq!(merged(&a, &a), a.clone());
        prop_assert_eq!(merged(&a, &b), merged(&b, &a));
        prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
        prop_assert!(merged(&a, &b).includes(&a));
        prop_assert_eq!(a.includes(&b), merged(&a, &b) == a);
        prop_assert_eq!(Intent::decode(&merged(&a, &b).encode()), Ok(merged(&a, &b)));
    }

    #[test]
    fn an_edit_that_knew_the_other_wins(a in intent(), b in intent(), weight in 0..9_u32) {
        let mut later = merged(&a, &b);
        let wanted = node(NodeState::Active, weight);
        later.set_node(NodeId(1), wanted.clone()).unwrap();
        let all = merged(&merged(&b, &later), &a);
        prop_assert_eq!(all.node(NodeId(1)), Some(&wanted));
    }
}

#[test]
fn of_edits_that_did_not_know_each_other_the_more_careful_wins() {
    let mut base = Intent::new();
    base.set_node(NodeId(1), node(NodeState::Active, 1)).unwrap();
    let (mut heavier, mut removed) = (base.clone(), base);
    heavier.set_node(NodeId(1), node(NodeState::Active, 9)).unwrap();
    removed.set_node(NodeId(1), node(NodeState::Removed, 1)).unwrap();
    let state = |intent: &Intent| intent.node(NodeId(1)).unwrap().state;
    assert_eq!(state(&merged(&heavier, &removed)), NodeState::Removed);
}

#[test]
fn what_does_not_fit_is_refused_whole() {
    let mut full = Intent::new();
    for id in 0..NODES_MAX {
        full.set_node(NodeId(id as u128), node(NodeState::Removed, 1)).unwrap();
    }
    let fresh = NodeId(u128::MAX);
    assert_eq!(full.set_node(fresh, node(NodeState::Active, 1)), Err(EditError::TooManyNodes));
    let mut other = Intent::new();
    other.set_node(fresh, node(NodeState::Active, 1)).unwrap();
    other.set_placement(PlacementPolicy { replicas: 5, spread: Spread::Nodes }).unwrap();
    let before = full.clone();
    assert_eq!(full.merge(&other), Err(EditError::TooManyNodes));
    assert_eq!(full, before);

    let placement = PlacementPolicy { replicas: 9, spread: Spread::Nodes };
    assert_eq!(other.set_placement(placement), Err(EditError::Replicas { replicas: 9 }));
    let policy = BucketPolicy { replicas: 0, ..BucketPolicy::default() };
    let name = BucketName::new("b").unwrap();
    assert_eq!(other.set_bucket(name, policy), Err(EditError::Replicas { replicas: 0 }));
}

#[test]
fn every_level_has_a_name_of_its_own_and_its_place() {
    for (place, level) in Level::ALL.into_iter().enumerate() {
        assert_eq!(level as usize, place);
        assert_eq!(Level::named(level.name()), Some(level));
        assert_eq!(Level::named(&level.name().to_uppercase()), Some(level));
    }
    assert_eq!(Level::named("most"), None);
}
