//! What cannot be planned is refused; what surprises is explained.

use coterie_ring::{
    Intent, Layout, LayoutParts, NodeId, NodeState, PlanError, Spread, VerifyError, Warning,
    bootstrap, plan, verify,
};

use crate::fleet::{active, edit, fleet, judge, node, partitioner, placement, seeded};

#[test]
fn impossible_requests_are_refused() {
    let mut rng = seeded(3);
    assert_eq!(bootstrap(7, partitioner(8), &Intent::new()), Err(PlanError::NoNodes));
    let mut intent = fleet(&mut rng, 3, 1, 1, 1);
    for id in active(&intent) {
        edit(&mut intent, id, |node| node.weight = 0);
    }
    assert_eq!(bootstrap(7, partitioner(8), &intent), Err(PlanError::NoWeight));

    let mut intent = fleet(&mut rng, 4, 1, 1, 1);
    let first = bootstrap(7, partitioner(64), &intent).unwrap();
    for id in active(&intent).into_iter().take(3) {
        edit(&mut intent, id, |node| node.state = NodeState::Removed);
    }
    let error = plan(first.layout(), &intent).unwrap_err();
    assert!(matches!(error, PlanError::LastCopies { count: 16, .. }), "{error}");
}

#[test]
fn more_replicas_than_nodes_or_zones_are_explained() {
    let mut rng = seeded(4);
    let mut intent = fleet(&mut rng, 2, 1, 1, 1);
    let plan = bootstrap(7, partitioner(64), &intent).unwrap();
    assert_eq!(plan.layout().replicas(), 2);
    assert_eq!(
        plan.warnings(),
        [
            Warning::FewerNodesThanReplicas { nodes: 2, replicas: 3 },
            Warning::FewerZonesThanReplicas { zones: 1, replicas: 2 },
        ]
    );
    let ids = active(&intent);
    edit(&mut intent, ids[0], |node| node.weight = 1_000);
    placement(&mut intent, 1, Spread::Regions);
    let plan = bootstrap(7, partitioner(64), &intent).unwrap();
    judge(None, &plan);
    let text = plan.to_string();
    assert!(text.starts_with("layout 1: 0 copies"), "{text}");
}

#[test]
fn unbalanced_zones_are_explained() {
    let mut intent = Intent::new();
    for index in 0..9_u128 {
        let zone = [0, 0, 0, 0, 1, 1, 1, 1, 2][usize::try_from(index).unwrap()];
        intent.set_node(NodeId(index), node(1, zone, 1)).unwrap();
    }
    let plan = bootstrap(7, partitioner(256), &intent).unwrap();
    judge(None, &plan);
    let bound = plan.warnings().iter().filter(|it| matches!(it, Warning::ZoneBound { .. })).count();
    assert_eq!(bound, 3, "{plan}");
}

#[test]
fn draining_the_only_owner_is_explained() {
    let mut intent = Intent::new();
    intent.set_node(NodeId(1), node(1, 0, 1)).unwrap();
    let first = bootstrap(7, partitioner(8), &intent).unwrap();
    edit(&mut intent, NodeId(1), |node| node.state = NodeState::Draining);
    assert_eq!(plan(first.layout(), &intent), Err(PlanError::NoNodes));
    intent.set_node(NodeId(2), node(1, 0, 1)).unwrap();
    let next = plan(first.layout(), &intent).unwrap();
    assert!(next.warnings().contains(&Warning::OnlyDrainingCopies { partitions: 8 }));
    assert_eq!(next.transfers(|_| 10)[0].bytes, 80);
    let text = next.explain(|_| 10 << 20).to_string();
    assert!(text.contains("copy 8 partitions (80.0 MiB) from"), "{text}");
    assert!(text.ends_with("80.0 MiB to copy in all\n"), "{text}");
}

#[test]
fn verify_tells_what_is_wrong() {
    let mut rng = seeded(5);
    let mut intent = fleet(&mut rng, 9, 3, 1, 4);
    let first = bootstrap(7, partitioner(64), &intent).unwrap().layout().clone();
    let ids = active(&intent);
    edit(&mut intent, ids[0], |node| node.state = NodeState::Removed);
    let second = plan(&first, &intent).unwrap().layout().clone();
    assert_eq!(verify(&first, &second), Ok(()));
    assert_eq!(verify(&second, &second), Err(VerifyError::NotASuccessor));

    let altered = |alter: &dyn Fn(&mut LayoutParts)| {
        let mut parts = second.parts().clone();
        alter(&mut parts);
        verify(&first, &Layout::new(parts).unwrap())
    };
    assert_eq!(altered(&|parts| parts.version += 1), Err(VerifyError::NotASuccessor));
    assert_eq!(altered(&|parts| parts.parent.0 ^= 1), Err(VerifyError::NotASuccessor));
    assert_eq!(altered(&|parts| parts.table.swap(0, 1)), Err(VerifyError::Different));
    assert_eq!(altered(&|parts| parts.voters.truncate(1)), Err(VerifyError::Different));
    assert_eq!(altered(&|parts| parts.epoch += 1), Ok(()));

    // A snapshot older than what is in force.
    let third = plan(&second, &Intent::new()).unwrap().layout().clone();
    let mut parts = third.parts().clone();
    parts.snapshot = first.snapshot().clone();
    parts.table = first.parts().table.clone();
    parts.voters = first.voters().to_vec();
    let forgetful = Layout::new(parts).unwrap();
    assert_eq!(verify(&second, &forgetful), Err(VerifyError::Forgets));
}
