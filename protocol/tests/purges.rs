//! Purges: what remains of deleted keys goes, and nothing else does.

mod harness;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use coterie_crdt::Kind;
use coterie_protocol::mutants::{Mutant, with_mutant};
use coterie_protocol::{ControlEvent, Liveness, View};
use coterie_ring::{BucketKind, BucketPolicy, Level, NodeId, NodeState};
use coterie_wire::peer::purge::{Purge, Said};
use coterie_wire::{Body, Incarnation, Key, Message, Outcome};

use harness::{Cluster, add, id, key, levels, remove};

/// Five nodes of which three own the key, with a set that had one member.
fn deleted() -> Cluster {
    let mut cluster = Cluster::new(5, BucketPolicy::default());
    let key = key("a");
    for operation in [add("x"), remove("x")] {
        let request = cluster.request(&key, operation);
        let first = cluster.owners(&key)[0];
        cluster.done(first, request);
    }
    cluster
}

fn epochs(cluster: &Cluster) -> Vec<u64> {
    let slice = cluster.nodes[0].view.slice(&key("a")).expect("the bucket is known");
    let lane = usize::from(slice.partition.0) % 2;
    cluster.nodes.iter().map(|node| node.lanes[lane].shared().epoch(slice)).collect()
}

#[test]
fn a_deleted_key_is_gone_everywhere_once_all_members_have_confirmed() {
    let mut cluster = deleted();
    let key = key("a");
    for owner in cluster.owners(&key) {
        assert!(!cluster.root(owner, &key).is_empty());
    }
    cluster.advance(Duration::from_secs(30));
    for owner in cluster.owners(&key) {
        assert!(cluster.root(owner, &key).is_empty(), "at {owner}");
    }
    assert_eq!(epochs(&cluster), [1; 5]);
}

#[test]
fn a_key_written_again_after_its_purge_is_read_everywhere() {
    let mut cluster = deleted();
    cluster.advance(Duration::from_secs(30));
    let key = key("a");
    let request = cluster.request(&key, add("y"));
    cluster.done(id(2), request);
    for owner in cluster.owners(&key) {
        assert_eq!(cluster.root(owner, &key).counts.live(Kind::Member), 1);
    }
}

#[test]
fn a_member_that_is_down_holds_purges_up() {
    let mut cluster = deleted();
    let key = key("a");
    let other = cluster.others(&key)[0];
    cluster.take_down(other);
    cluster.advance(Duration::from_secs(300));
    for owner in cluster.owners(&key) {
        assert!(!cluster.root(owner, &key).is_empty());
    }
    cluster.bring_up(other);
    cluster.advance(Duration::from_secs(90));
    for owner in cluster.owners(&key) {
        assert!(cluster.root(owner, &key).is_empty(), "at {owner}");
    }
}

#[test]
fn an_owner_that_stops_in_the_middle_of_a_round_does_not_stop_the_next() {
    for messages in 0..24 {
        let mut cluster = deleted();
        let key = key("a");
        let leader = cluster.owners(&key)[0];
        let mut left = messages;
        cluster.lose(move |_, _, message| {
            let purge = matches!(message.body, Body::Purge(_));
            left -= i32::from(purge && left >= 0);
            purge && left < 0
        });
        cluster.advance(Duration::from_secs(10));
        cluster.take_down(leader);
        cluster.heal();
        cluster.mark(leader, Liveness::Down);
        cluster.bring_up(leader);
        cluster.advance(Duration::from_secs(300));
        for owner in cluster.owners(&key) {
            assert!(cluster.root(owner, &key).is_empty(), "after {messages} messages, at {owner}");
        }
        let epochs = epochs(&cluster);
        assert!(epochs.iter().all(|epoch| *epoch == epochs[0]), "{epochs:?}");
    }
}

#[test]
fn what_a_removed_member_still_holds_does_not_come_back_after_a_purge() {
    let mut cluster = Cluster::new(5, BucketPolicy::default());
    let names = ["a", "b", "c", "d", "e", "f"].map(key);
    let leaver = id(5);
    let key = names.into_iter().find(|key| cluster.owners(key).contains(&leaver));
    let key = key.expect("the last node owns something");
    let request = cluster.request(&key, add("x"));
    cluster.done(id(1), request);
    cluster.decide(leaver, NodeState::Draining, |_| true);
    cluster.advance(Duration::from_secs(60));
    cluster.decide(leaver, NodeState::Draining, |_| true);
    assert!(!cluster.owners(&key).contains(&leaver), "moves are over");
    assert!(!cluster.root(leaver, &key).is_empty(), "the copy is held");
    // It hears of nothing any more: not that it is removed, nor that its member is.
    let others: Vec<NodeId> = (1..5).map(id).collect();
    cluster.split(&[leaver], &others);
    let request = cluster.request(&key, remove("x"));
    cluster.done(id(1), request);
    cluster.decide(leaver, NodeState::Removed, |node| node != leaver);
    cluster.advance(Duration::from_secs(90));
    for owner in cluster.owners(&key) {
        assert!(cluster.root(owner, &key).is_empty(), "at {owner}");
    }
    cluster.heal();
    cluster.advance(Duration::from_secs(90));
    for owner in cluster.owners(&key) {
        assert_eq!(cluster.root(owner, &key).counts.live(Kind::Member), 0, "at {owner}");
    }
}

/// Four members, one of which deletes a key that is purged, and a fifth that has joined since and does not own it.
fn joined_after_a_purge() -> (Cluster, Key) {
    let policy = BucketPolicy { kind: BucketKind::Sloppy, ..BucketPolicy::default() };
    let mut cluster = Cluster::joined_by_one(4, policy);
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"].map(key);
    for operation in [add("x"), remove("x")] {
        for key in &names {
            let request = cluster.request(key, operation.clone());
            cluster.done(id(1), request);
        }
    }
    cluster.advance(Duration::from_secs(60));
    cluster.decide(id(5), NodeState::Active, |_| true);
    cluster.advance(Duration::from_secs(60));
    cluster.decide(id(5), NodeState::Active, |_| true);
    let key = names.into_iter().find(|key| !cluster.owners(key).contains(&id(5)));
    (cluster, key.expect("four others own the rest"))
}

#[test]
fn a_member_that_joined_after_a_purge_stands_in_under_the_epoch_of_the_owners() {
    let (mut cluster, key) = joined_after_a_purge();
    let (owners, others) = (cluster.owners(&key), cluster.others(&key));
    cluster.split(&owners, &others);
    let mut request = cluster.request(&key, add("y"));
    request.levels = levels(Level::One, Level::One);
    cluster.done(id(5), request);
    cluster.heal();
    cluster.advance(Duration::from_secs(90));
    for owner in owners {
        assert_eq!(cluster.root(owner, &key).counts.live(Kind::Member), 1, "at {owner}");
    }
}

#[test]
fn a_member_that_cannot_know_the_epoch_of_the_owners_does_not_stand_in() {
    let (mut cluster, key) = joined_after_a_purge();
    let (owners, others) = (cluster.owners(&key), cluster.others(&key));
    cluster.split(&owners, &others);
    // It has lost what it knew, and has received again what it owns.
    cluster.change_view(id(5), |view| (view.amnesiac, view.incarnation) = (true, Incarnation(99)));
    cluster.change_view(id(5), |view| view.amnesiac = false);
    let mut request = cluster.request(&key, add("y"));
    request.levels = levels(Level::One, Level::One);
    let outcome = cluster.ask(id(5), request);
    assert!(matches!(outcome, Outcome::Unavailable(_)), "{outcome:?}");
}

/// A message that was lost on its way to the last owner: it may come later than anybody expects.
type Lingering = Rc<RefCell<Option<Message>>>;

/// As [`deleted`], but the last owner got neither write: it was brought up to date by sync, if `syncs`. The first write
/// lingers.
fn with_lingering_add(syncs: bool) -> (Cluster, Lingering) {
    let mut cluster = Cluster::new(5, BucketPolicy::default());
    let key = key("a");
    let owners = cluster.owners(&key);
    let lingering = Lingering::default();
    let (kept, last) = (Rc::clone(&lingering), owners[2]);
    cluster.lose(move |_, to, message| {
        let write = matches!(message.body, Body::Write(_)) && to == last;
        if write {
            kept.borrow_mut().get_or_insert_with(|| message.clone());
        }
        write || !syncs && to == last && matches!(message.body, Body::Sync(_))
    });
    for operation in [add("x"), remove("x")] {
        let request = cluster.request(&key, operation);
        cluster.done(owners[0], request);
    }
    (cluster, lingering)
}

fn live_members(cluster: &Cluster) -> Vec<u64> {
    let key = key("a");
    let owners = cluster.owners(&key);
    owners.iter().map(|owner| cluster.root(*owner, &key).counts.live(Kind::Member)).collect()
}

/// A write that was lost on its way comes after the purge, to an owner that restarted in between.
fn late_write_after_a_purge() -> Vec<u64> {
    let (mut cluster, lingering) = with_lingering_add(true);
    let key = key("a");
    let owners = cluster.owners(&key);
    cluster.advance(Duration::from_secs(60));
    for owner in &owners {
        assert!(cluster.root(*owner, &key).is_empty(), "at {owner}");
    }
    cluster.bring_up(owners[2]);
    let message = lingering.borrow_mut().take().expect("a write was lost");
    let index = cluster.nodes.iter().position(|node| node.id == owners[2]).expect("an owner");
    cluster.deliver(index, owners[0], message);
    cluster.heal();
    cluster.advance(Duration::from_secs(60));
    live_members(&cluster)
}

#[test]
fn a_write_from_before_a_purge_brings_nothing_back() {
    assert_eq!(late_write_after_a_purge(), [0; 3]);
}

/// An owner has missed an add, and then a removal that others saw; all of purge passes.
fn an_owner_that_is_behind() -> Vec<u64> {
    let mut cluster = Cluster::new(5, BucketPolicy::default());
    let key = key("a");
    let owners = cluster.owners(&key);
    let request = cluster.request(&key, add("x"));
    cluster.done(owners[0], request);
    let last = owners[2];
    cluster.lose(move |from, to, message| {
        let state = matches!(message.body, Body::Write(_) | Body::Sync(_));
        state && (to == last || from == last)
    });
    let request = cluster.request(&key, remove("x"));
    cluster.done(owners[0], request);
    cluster.advance(Duration::from_secs(90));
    cluster.heal();
    cluster.advance(Duration::from_secs(90));
    live_members(&cluster)
}

#[test]
fn an_owner_that_lacks_the_removal_holds_the_purge_up() {
    assert_eq!(an_owner_that_is_behind(), [0; 3]);
    let mutated = with_mutant(Mutant::PurgeBeforeAllReports, an_owner_that_is_behind);
    assert_ne!(mutated, [0; 3]);
}

/// The key is written again by its first owner, or its last, while the last has not heard that it may drop it.
fn written_while_dropped(by: usize) -> Vec<u64> {
    let mut cluster = deleted();
    let key = key("a");
    let owners = cluster.owners(&key);
    let last = owners[2];
    cluster.lose(move |_, to, message| {
        let drops = match &message.body {
            Body::Purge(said) => matches!(said.said, Said::Drop(_)),
            _ => false,
        };
        to == last && (drops || matches!(message.body, Body::Sync(_)))
    });
    cluster.advance(Duration::from_secs(20));
    assert!(cluster.root(owners[0], &key).is_empty());
    assert!(!cluster.root(last, &key).is_empty());
    let request = cluster.request(&key, add("y"));
    cluster.done(owners[by], request);
    cluster.heal();
    cluster.advance(Duration::from_secs(120));
    live_members(&cluster)
}

#[test]
fn a_key_written_while_it_is_dropped_stays() {
    for by in [0, 2] {
        assert_eq!(written_while_dropped(by), [1; 3], "by owner {by}");
    }
    let reused = with_mutant(Mutant::DotReuseAfterPurge, || written_while_dropped(0));
    assert_ne!(reused, [1; 3]);
    let compared = with_mutant(Mutant::DropWithoutCompare, || written_while_dropped(2));
    assert_ne!(compared, [1; 3]);
}

#[test]
fn a_backup_from_before_a_purge_brings_nothing_back() {
    let mut cluster = Cluster::new(5, BucketPolicy::default());
    let key = key("a");
    let owners = cluster.owners(&key);
    let request = cluster.request(&key, add("x"));
    cluster.done(owners[0], request);
    let index = cluster.nodes.iter().position(|node| node.id == owners[2]).expect("an owner");
    let backup = cluster.nodes[index].store.clone();
    let request = cluster.request(&key, remove("x"));
    cluster.done(owners[0], request);
    cluster.advance(Duration::from_secs(60));
    assert!(cluster.root(owners[2], &key).is_empty());
    cluster.take_down(owners[2]);
    cluster.nodes[index].store = backup;
    let view = &mut cluster.nodes[index].view;
    (view.incarnation, view.amnesiac, view.went_back) = (Incarnation(99), true, true);
    cluster.bring_up(owners[2]);
    cluster.advance(Duration::from_secs(60));
    assert_eq!(live_members(&cluster), [0; 3]);
    let told = |event: &(NodeId, ControlEvent)| {
        event.0 == owners[2]
            && matches!(event.1, ControlEvent::Received { incarnation: Incarnation(99), .. })
    };
    assert_eq!(cluster.control.iter().filter(|event| told(event)).count(), 2, "once by each lane");
}

/// Seed 6247: a round had begun without two owners that lacked something. Both dropped all that they had, and what the third
/// had was damaged before it was received again.
#[test]
fn an_owner_that_lacks_something_keeps_what_it_has_while_a_round_goes_on() {
    let mut cluster = Cluster::new(5, BucketPolicy::default());
    let slice = |key: &Key| cluster.nodes[0].view.slice(key).expect("the bucket is known");
    let (deleted, mut names) = (key("a"), (0..1_000).map(|name: u32| key(&name.to_string())));
    let kept = names.find(|kept| slice(kept) == slice(&deleted)).expect("one shares the slice");
    let slice = slice(&kept);
    let owners: [NodeId; 3] = cluster.owners(&deleted).try_into().expect("there are three");
    for (key, operation) in [(&deleted, add("x")), (&deleted, remove("x")), (&kept, add("y"))] {
        let request = cluster.request(key, operation);
        cluster.done(owners[0], request);
    }
    let last = owners[2];
    // It hears of no round.
    cluster.lose(move |_, to, message| to == last && message.epoch > 0);
    cluster.advance(Duration::from_secs(30));
    let epoch = |cluster: &Cluster, owner| {
        let lanes = &cluster.node(owner).lanes;
        lanes[usize::from(slice.partition.0) % lanes.len()].shared().epoch(slice)
    };
    let known = owners.each_ref().map(|owner| epoch(&cluster, *owner));
    assert_eq!(known, [1, 1, 0], "a round has begun");
    cluster.lose(move |_, to, message| to == last && matches!(message.body, Body::Sync(_)));
    for owner in &owners[1..] {
        let lost = |view: &mut View| (view.amnesiac, view.incarnation) = (true, Incarnation(99));
        cluster.change_view(*owner, lost);
    }
    cluster.advance(Duration::from_secs(30));
    assert_eq!(epoch(&cluster, last), 1);
    for owner in owners {
        assert_eq!(cluster.root(owner, &kept).counts.live(Kind::Member), 1, "at {owner}");
    }
}

/// Seed 20468. What was sent anew was a partial state, which names only dots that are live: where the write's was not any more, the
/// owner that acknowledged it knew nothing of it, and was taken for one that lacks what a session has written.
#[test]
fn an_owner_that_acknowledges_a_write_after_a_purge_knows_its_dots() {
    let mut cluster = Cluster::new(5, BucketPolicy::default());
    let key = key("a");
    let owners = cluster.owners(&key);
    let last = owners[2];
    let lingering = Lingering::default();
    let kept = Rc::clone(&lingering);
    // The first write to the last owner comes late; then it is sent that one again, and nothing else.
    cluster.lose(move |_, to, message| {
        let request = |message: &Message| message.request.0 & !0xffff;
        let mut kept = kept.borrow_mut();
        let is_kept = to == last && kept.is_none();
        if is_kept {
            *kept = Some(message.clone());
        }
        let of_first = kept.as_ref().is_some_and(|first| request(first) == request(message));
        is_kept || to == last && !of_first
    });
    let mut request = cluster.request(&key, add("x"));
    request.levels = levels(Level::All, Level::One);
    let client = cluster.submit(owners[0], request);
    cluster.run();
    let request = cluster.request(&key, add("x"));
    let second = cluster.done(owners[0], request);
    let decided = cluster.decision().version();
    let purged = |said| Body::Purge(Box::new(Purge { decided, said, settled: 1 }));
    cluster.forge((owners[1], owners[0]), &key, 1, purged(Said::Adopt));
    cluster.forge((owners[1], last), &key, 1, purged(Said::Propose(Vec::new())));
    let message = lingering.borrow().clone().expect("it was sent");
    let index = cluster.nodes.iter().position(|node| node.id == last).expect("an owner");
    cluster.deliver(index, owners[0], message);
    cluster.run();
    let Some(Outcome::Done(written)) = cluster.response(client) else {
        panic!("it is not done: {:?}", cluster.response(client));
    };
    let context = &cluster.root(last, &key).context;
    assert!(written.changed.minted.iter().all(|dot| context.contains(*dot)), "{context:?}");
    assert!(second.changed.minted.iter().all(|dot| context.contains(*dot)), "what replaced it");
}
