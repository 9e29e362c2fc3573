//! The chain, told by name.

use crate::cluster::{Cluster, SETTINGS, first, node_id, node_intent};
use coterie_ring::decision::{
    Agreement, Chain, ChainError, DECISIONS_KEPT, Decision, Effect, Event, Learned, Message,
    ProposalError, Settings, TakeIn, bootstrap, successor, verify,
};
use coterie_ring::register::{Ballot, Request, Wire};
use coterie_ring::{
    BucketKind, BucketName, BucketPolicy, Intent, Level, NodeState, Partition, Partitioner,
    PlacementPolicy, Spread,
};
use std::time::Duration;

fn with_node(decision: &Decision, node: usize, state: NodeState) -> Intent {
    let mut intent = decision.layout().snapshot().clone();
    intent.set_node(node_id(node), node_intent(node, state, 1)).unwrap();
    intent
}

fn nothing_done(_: Partition, _: u8) -> bool {
    false
}

fn all_done(_: Partition, _: u8) -> bool {
    true
}

#[test]
fn a_cluster_needs_an_active_node_to_begin() {
    let partitioner = Partitioner::new(8).unwrap();
    let refused = bootstrap(1, partitioner, &Intent::new());
    assert!(matches!(refused, Err(ProposalError::Plan(_))));
    let decision = first(1);
    assert_eq!(decision.layout().voters(), [node_id(0)]);
    assert_eq!(decision.moving().len(), 0);
    assert!(!decision.live_sets(Partition(0), 3).is_moving());
}

#[test]
fn a_joining_node_is_taken_in_after_the_settle_delay() {
    let mut cluster = Cluster::new(1, 4, 3, SETTINGS);
    cluster.edit(3, 3, node_intent(3, NodeState::Joining, 1));
    while cluster.now < Duration::from_secs(9) {
        cluster.settle(1).unwrap_or_default();
    }
    assert!(cluster.nodes[0].agreement.chain().last().layout().member_index(node_id(3)).is_none());
    for _ in 0..2_000 {
        cluster.settle(1).unwrap_or_default();
    }
    for node in &cluster.nodes {
        let last = node.agreement.chain().last();
        assert!(last.layout().member_index(node_id(3)).is_some());
        assert!(last.moving().len() > 0);
    }
}

#[test]
fn a_staged_change_waits_for_a_commit() {
    let settings = Settings { take_in: TakeIn::Staged, ..SETTINGS };
    let mut cluster = Cluster::new(2, 4, 3, settings);
    cluster.edit(0, 3, node_intent(3, NodeState::Joining, 1));
    for _ in 0..1_000 {
        cluster.settle(1).unwrap_or_default();
    }
    assert_eq!(cluster.decided.len(), 1);
    let planned = cluster.nodes[0].agreement.plan(cluster.now).unwrap();
    assert!(planned.layout().member_index(node_id(3)).is_some());

    cluster.event(0, Event::Commit).unwrap();
    cluster.settle(20_000).unwrap();
    let last = cluster.nodes[1].agreement.chain().last();
    assert_eq!(last.layout().parts().table, planned.layout().parts().table);

    // A commit to nothing is no commit to what is asked for afterwards.
    cluster.event(0, Event::Commit).unwrap();
    cluster.edit(0, 0, node_intent(0, NodeState::Active, 9));
    for _ in 0..1_000 {
        cluster.settle(1).unwrap_or_default();
    }
    assert_eq!(cluster.decided.len(), 2);
}

#[test]
fn a_commit_is_to_what_was_asked_for_then() {
    let settings = Settings { take_in: TakeIn::Staged, ..SETTINGS };
    let mut cluster = Cluster::new(5, 5, 3, settings);
    cluster.edit(0, 3, node_intent(3, NodeState::Joining, 1));
    cluster.event(0, Event::Commit).unwrap();
    cluster.edit(0, 4, node_intent(4, NodeState::Joining, 1));
    for _ in 0..3_000 {
        cluster.settle(1).unwrap_or_default();
    }
    let last = cluster.nodes[1].agreement.chain().last().layout();
    assert!(last.member_index(node_id(3)).is_some() && last.member_index(node_id(4)).is_none());
}

#[test]
fn an_unfinished_move_keeps_its_row_until_it_is_done() {
    let parent = first(3);
    let joined = with_node(&parent, 3, NodeState::Active);
    let second = successor(&parent, &joined, 0, nothing_done).unwrap();
    let moving: Vec<(Partition, u8)> = second.moving().collect();
    assert!(!moving.is_empty());
    assert_eq!(verify(&parent, &second), Ok(()));

    let more = with_node(&second, 4, NodeState::Active);
    let pinned = successor(&second, &more, 0, nothing_done).unwrap();
    for (partition, replicas) in &moving {
        let before = second.live_sets(*partition, *replicas);
        assert_eq!(pinned.live_sets(*partition, *replicas), before);
    }
    assert_eq!(verify(&second, &pinned), Ok(()));

    let finished = successor(&second, &more, 0, all_done).unwrap();
    let version = finished.version();
    let changed = finished.moving().map(|(p, replicas)| finished.live_sets(p, replicas));
    for sets in changed {
        assert_eq!((sets.all().len(), sets.tag()), (2, version));
    }
    assert_eq!(verify(&second, &finished), Ok(()));
}

#[test]
fn a_removed_owner_ends_the_pin_and_its_successor_moves_from_both() {
    let parent = first(3);
    let joined = with_node(&parent, 3, NodeState::Active);
    let second = successor(&parent, &joined, 0, nothing_done).unwrap();
    let gone = with_node(&second, 3, NodeState::Removed);
    let third = successor(&second, &gone, 0, nothing_done).unwrap();
    let gains = |(p, replicas): &(Partition, u8)| {
        second.live_sets(*p, *replicas).newest().contains(node_id(3))
    };
    let (partition, replicas) = second.moving().find(gains).unwrap();
    let sets = third.live_sets(partition, replicas);
    assert_eq!(sets.all().len(), 3);
    assert_eq!(sets.removed(), [node_id(3)]);
    assert!(!sets.newest().contains(node_id(3)));
    assert_eq!(verify(&second, &third), Ok(()));
}

#[test]
fn a_bucket_with_fewer_replicas_moves_only_if_its_prefix_changes() {
    let mut intent = first(3).layout().snapshot().clone();
    let policy = BucketPolicy {
        replicas: 1,
        kind: BucketKind::Strict,
        read: Level::One,
        write: Level::One,
        expiry_millis: None,
    };
    intent.set_bucket(BucketName::new("cache").unwrap(), policy).unwrap();
    let parent = bootstrap(7, Partitioner::new(8).unwrap(), &intent).unwrap();
    let joined = with_node(&parent, 3, NodeState::Active);
    let second = successor(&parent, &joined, 0, nothing_done).unwrap();
    for partition in second.layout().partitioner().partitions() {
        let same = parent.layout().owners(partition, 1).eq(second.layout().owners(partition, 1));
        assert_eq!(second.live_sets(partition, 1).is_moving(), !same);
    }
    let moves = |replicas| second.moving().filter(|(_, count)| *count == replicas).count();
    assert!(moves(1) < moves(3));
}

#[test]
fn a_made_up_proposal_gets_no_vote() {
    let parent = first(3);
    let joined = with_node(&parent, 3, NodeState::Active);
    let honest = successor(&parent, &joined, 0, nothing_done).unwrap();
    let other_parent = successor(&honest, &joined, 0, nothing_done).unwrap();
    assert!(verify(&parent, &other_parent).is_err());
    let forgets = successor(&first(1), &Intent::new(), 0, nothing_done).unwrap();
    assert_eq!(verify(&parent, &forgets), Err(ProposalError::Forgets));

    let mut cluster = Cluster::new(3, 4, 3, SETTINGS);
    let parent = cluster.nodes[0].agreement.tip();
    let ballot = Ballot { round: 1, proposer: node_id(1), session: 1 };
    for value in [b"nonsense".to_vec(), other_parent.encode()] {
        let request = Request::Accept { ballot, value, next: None };
        let message = Message::Request { parent, request };
        let before = cluster.nodes[0].agreement.encode_vote();
        cluster.event(0, Event::Message { from: node_id(1), message }).unwrap();
        assert_eq!(cluster.nodes[0].agreement.encode_vote(), before);
    }
}

#[test]
fn a_node_far_behind_gets_what_is_in_force() {
    let mut chain = Chain::new(first(1));
    let start = chain.tip();
    for round in 0..DECISIONS_KEPT + 5 {
        let mut intent = chain.last().layout().snapshot().clone();
        let weight = 2 + u32::try_from(round).unwrap();
        intent.set_node(node_id(0), node_intent(0, NodeState::Active, weight)).unwrap();
        let next = successor(chain.last(), &intent, 0, all_done).unwrap();
        assert_eq!(chain.learn(next), Ok(Learned::Next));
    }
    assert_eq!(chain.decisions().len(), DECISIONS_KEPT);
    let mut behind = Chain::new(first(1));
    let told = chain.after(start);
    assert_eq!(told.len(), 1);
    assert_eq!(behind.learn(told[0].clone()), Ok(Learned::Skipped));
    assert_eq!(behind.tip(), chain.tip());
    assert!(chain.after(chain.tip()).is_empty());
}

#[test]
fn another_clusters_decision_is_no_successor() {
    let mut chain = Chain::new(first(3));
    let intent = chain.last().layout().snapshot().clone();
    let other = bootstrap(8, Partitioner::new(8).unwrap(), &intent).unwrap();
    let foreign = successor(&other, &with_node(&other, 3, NodeState::Active), 0, nothing_done);
    assert_eq!(chain.learn(foreign.unwrap()), Err(ChainError::Forked { number: 2 }));
}

#[test]
fn a_decision_with_other_partitions_or_another_epoch_is_refused() {
    let parent = first(3);
    let mut chain = Chain::new(parent.clone());
    let intent = parent.layout().snapshot();
    let other = bootstrap(7, Partitioner::new(16).unwrap(), intent).unwrap();
    assert_eq!(chain.learn(other), Err(ChainError::OtherPartitions));

    let forced = successor(&parent, intent, 1, nothing_done).unwrap();
    assert_eq!(verify(&parent, &forced), Err(ProposalError::Epoch { epoch: 1 }));
    let lower = successor(&forced, intent, 0, nothing_done);
    assert!(lower.is_err() || verify(&forced, &lower.unwrap()).is_err());
}

/// What the overruled side may have decided meanwhile is fenced off, also where nothing changed.
#[test]
fn a_forced_epoch_names_every_set_anew() {
    let parent = first(3);
    let joined = with_node(&parent, 3, NodeState::Active);
    let second = successor(&parent, &joined, 0, nothing_done).unwrap();
    let forced = successor(&second, second.layout().snapshot(), 1, nothing_done).unwrap();
    for partition in forced.layout().partitioner().partitions() {
        for replicas in 1..=3 {
            let (was, is) =
                (second.live_sets(partition, replicas), forced.live_sets(partition, replicas));
            assert_eq!(is.tag(), forced.version());
            assert_eq!(is.newest().members, was.newest().members);
            assert_eq!(is.older(), was.older());
        }
    }
}

#[test]
fn the_last_copies_of_an_unfinished_move_are_given_up_by_force_only() {
    let single = |decision: &Decision, node, state| {
        let mut intent = with_node(decision, node, state);
        let placement = PlacementPolicy { replicas: 1, spread: Spread::Nodes };
        intent.set_placement(placement).unwrap();
        if intent.bucket("single").is_none() {
            let policy = BucketPolicy { replicas: 1, ..BucketPolicy::default() };
            intent.set_bucket(BucketName::new("single").unwrap(), policy).unwrap();
        }
        intent
    };
    let one = first(1);
    let parent = successor(&one, &single(&one, 0, NodeState::Active), 0, all_done).unwrap();
    let second =
        successor(&parent, &single(&parent, 1, NodeState::Active), 0, nothing_done).unwrap();
    let (partition, replicas) = second.moving().next().unwrap();
    assert!(second.is_owner(node_id(0)) && !second.is_owner(node_id(2)));

    let drained = single(&second, 0, NodeState::Draining);
    let third = successor(&second, &drained, 0, nothing_done).unwrap();
    let gone = single(&third, 0, NodeState::Removed);
    let refused = successor(&third, &gone, 0, nothing_done);
    assert!(matches!(refused, Err(ProposalError::LastCopies { .. } | ProposalError::Plan(_))));
    assert!(successor(&third, &gone, 0, all_done).is_ok());
    let forced = successor(&third, &gone, 1, nothing_done).unwrap();
    assert!(!forced.live_sets(partition, replicas).is_moving());
    assert!(!forced.is_owner(node_id(0)));
}

#[test]
fn owners_of_slices_that_no_bucket_has_keys_in_are_removed_at_any_time() {
    let one = first(1);
    let joined = with_node(&one, 1, NodeState::Active);
    let moves = successor(&one, &joined, 0, nothing_done).unwrap();
    assert!(moves.moving().len() > 0);
    // Of what moves already, and of what would begin to.
    for parent in [moves, first(3)] {
        let gone = with_node(&parent, 0, NodeState::Removed);
        let next = successor(&parent, &gone, 0, nothing_done).unwrap();
        assert_eq!(verify(&parent, &next), Ok(()));
        assert!(has_live_owners(&next));
        let joined = with_node(&next, 3, NodeState::Active);
        let after = successor(&next, &joined, 0, nothing_done).unwrap();
        assert_eq!(verify(&next, &after), Ok(()));
    }
}

#[test]
fn a_node_that_alone_has_keys_of_a_bucket_is_removed_by_force_only() {
    let three = first(3);
    let mut intent = three.layout().snapshot().clone();
    let policy = BucketPolicy { replicas: 1, ..BucketPolicy::default() };
    intent.set_bucket(BucketName::new("single").unwrap(), policy).unwrap();
    let parent = successor(&three, &intent, 0, nothing_done).unwrap();
    let gone = with_node(&parent, 0, NodeState::Removed);
    let refused = successor(&parent, &gone, 0, nothing_done);
    assert!(matches!(refused, Err(ProposalError::LastCopies { .. })), "{refused:?}");
    assert!(has_live_owners(&successor(&parent, &gone, 1, nothing_done).unwrap()));
}

/// Whether each set that is moved from has an owner that can push.
fn has_live_owners(decision: &Decision) -> bool {
    decision.moving().all(|(partition, replicas)| {
        let sets = decision.live_sets(partition, replicas);
        sets.all().iter().all(|set| set.members.iter().any(|node| !sets.is_removed(*node)))
    })
}

/// Both sides of a split make a bucket of one name; one of them is decided.
#[test]
fn a_decided_bucket_keeps_its_replicas_whatever_the_other_side_made() {
    let bucket = |replicas, writes: &[Level]| {
        let mut intent = first(3).layout().snapshot().clone();
        for &write in writes {
            let policy = BucketPolicy {
                replicas,
                kind: BucketKind::Strict,
                read: Level::One,
                write,
                expiry_millis: None,
            };
            intent.set_bucket(BucketName::new("cache").unwrap(), policy).unwrap();
        }
        intent
    };
    let parent = bootstrap(7, Partitioner::new(8).unwrap(), &bucket(2, &[Level::One])).unwrap();
    let other = bucket(1, &[Level::One, Level::Two, Level::All]);
    let next = successor(&parent, &other, 0, nothing_done).unwrap();
    let policy = next.layout().snapshot().bucket("cache").unwrap();
    assert_eq!((policy.replicas, policy.write), (2, Level::All));
    assert_eq!(verify(&parent, &next), Ok(()));
}

#[test]
fn a_voter_that_lost_its_vote_abstains_until_the_next_decision() {
    let parent = first(3);
    let start = || Agreement::new(node_id(0), SETTINGS, 1, Chain::new(parent.clone()), None);
    let ballot = Ballot { round: 1, proposer: node_id(1), session: 1 };
    let prepare = |agreement: &Agreement| Event::Message {
        from: node_id(1),
        message: Message::Request { parent: agreement.tip(), request: Request::Prepare { ballot } },
    };
    let votes = |agreement: &mut Agreement| {
        let mut effects = Vec::new();
        agreement.handle(prepare(agreement), Duration::ZERO, &mut effects);
        effects.iter().any(|effect| matches!(effect, Effect::Send { .. }))
    };
    assert!(votes(&mut start().unwrap()));
    let mut forgetful = start().unwrap().abstaining();
    assert!(!votes(&mut forgetful));
    let joined = with_node(&parent, 3, NodeState::Active);
    let next = successor(&parent, &joined, 0, nothing_done).unwrap();
    let message = Message::Decisions(vec![next.clone()]);
    let event = Event::Message { from: node_id(1), message };
    forgetful.handle(event, Duration::ZERO, &mut Vec::new());
    assert!(votes(&mut forgetful));

    // Its vote is of a later decision than those it has left.
    let later = forgetful.encode_vote();
    let chain = Chain::new(parent.clone());
    assert!(Agreement::new(node_id(0), SETTINGS, 1, chain, Some(&later)).is_err());
}

#[test]
fn decisions_told_at_once_fit_a_message() {
    let intent = first(3).layout().snapshot().clone();
    let mut chain = Chain::new(bootstrap(7, Partitioner::new(65_536).unwrap(), &intent).unwrap());
    let start = chain.tip();
    for round in 0..6 {
        let node = 3 + usize::from(round > 0);
        let mut intent = with_node(chain.last(), node, NodeState::Active);
        let weight = 1 + round;
        intent.set_node(node_id(0), node_intent(0, NodeState::Active, weight)).unwrap();
        let next = successor(chain.last(), &intent, 0, nothing_done).unwrap();
        assert_eq!(chain.learn(next), Ok(Learned::Next));
    }
    let told = chain.after(start);
    println!("{} decisions of {} bytes", told.len(), chain.last().encode().len());
    assert!((1..6).contains(&told.len()));
    let message = Message::Decisions(told);
    assert_eq!(Message::decode(&message.encode()), Ok(message));
}

/// The larger side of a split goes on; the smaller is forced by an operator; then it heals.
#[test]
fn a_forced_epoch_wins_and_reports_what_the_losers_owned() {
    let mut cluster = Cluster::new(4, 4, 3, SETTINGS);
    cluster.lossy = false;
    cluster.sides = vec![0, 0, 1, 0];
    cluster.edit(0, 3, node_intent(3, NodeState::Joining, 1));
    for _ in 0..500 {
        for (from, to) in [(0, 1), (1, 3), (3, 0)] {
            cluster.gossip(from, to).unwrap();
            cluster.deliver().unwrap();
        }
        cluster.pass_time().unwrap();
    }
    let loser = cluster.nodes[0].agreement.chain().last().clone();
    assert!(loser.layout().member_index(node_id(3)).is_some());
    assert_eq!(cluster.nodes[2].agreement.chain().last().layout().version(), 1);

    for lost in 0..2 {
        cluster.edit(2, lost, node_intent(lost, NodeState::Removed, 1));
    }
    cluster.event(2, Event::Force).unwrap();
    let winner = cluster.nodes[2].agreement.chain().last().clone();
    assert_eq!((winner.layout().epoch(), winner.layout().version()), (1, 2));
    assert_eq!(winner.layout().voters(), [node_id(2)]);

    let mut healed = cluster.nodes[0].agreement.chain().clone();
    let Ok(Learned::Replaced(lost)) = healed.learn(winner.clone()) else {
        panic!("the higher epoch wins");
    };
    assert_eq!(healed.last(), &winner);
    assert!(!lost.is_empty());
    for lost in &lost {
        assert_eq!(lost.set, *loser.live_sets(lost.partition, lost.replicas).newest());
    }
    let mut stays = Chain::new(winner);
    assert_eq!(stays.learn(loser), Ok(Learned::Known));
}
