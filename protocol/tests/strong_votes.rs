//! What is decided on strong keys, and told of it, while owners change or lose what they promised.

mod harness;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use coterie_crdt::operation::{Expire, Operation, Reply, SetCondition, StringOperation};
use coterie_protocol::mutants::{Mutant, with_mutant};
use coterie_protocol::rows::MemoryStore;
use coterie_protocol::{Event, Liveness, View};
use coterie_ring::register::{Ballot, Reply as Voted, Request};
use coterie_ring::{BucketKind, BucketPolicy, NodeId, NodeState};
use coterie_wire::peer::purge::Said;
use coterie_wire::peer::strong::{RegisterReply, RegisterRequest};
use coterie_wire::{Body, Incarnation, Key, Message, Outcome};

use harness::{Cluster, id, key};

fn strong() -> Cluster {
    Cluster::new(3, BucketPolicy { kind: BucketKind::Strong, ..BucketPolicy::default() })
}

fn create(value: &'static str) -> Operation {
    Operation::String(StringOperation::Set {
        value: value.into(),
        condition: SetCondition::IfAbsent,
        get: false,
        expire: Expire::Never,
    })
}

fn get() -> Operation {
    Operation::String(StringOperation::Get)
}

/// The node comes back with nothing of what it had, and its peers have told it so.
fn wipe(cluster: &mut Cluster, node: NodeId, life: u64) {
    cluster.take_down(node);
    let index = cluster.nodes.iter().position(|it| it.id == node).expect("it is a node");
    cluster.nodes[index].store = MemoryStore::new();
    cluster.nodes[index].view.incarnation = Incarnation(life);
    cluster.nodes[index].view.amnesiac = true;
    cluster.bring_up(node);
}

/// Time passes, and only one node notices; the others do what messages ask of them.
fn tick_alone(cluster: &mut Cluster, node: NodeId, time: Duration) {
    cluster.run();
    cluster.now.monotonic += time;
    let index = cluster.nodes.iter().position(|it| it.id == node).expect("it is a node");
    for lane in 0..cluster.nodes[index].lanes.len() {
        let due = cluster.nodes[index].lanes[lane].next_deadline();
        if due.is_some_and(|due| due <= cluster.now.monotonic) {
            cluster.event(index, lane, Event::Tick);
        }
    }
    cluster.run();
}

/// An owner is asked to promise much.
fn prepare(cluster: &mut Cluster, key: &Key, proposer: NodeId, to: NodeId) {
    let ballot = Ballot { round: 100, proposer, session: 7 };
    let asked = RegisterRequest { key: key.clone(), request: Request::Prepare { ballot } };
    cluster.forge((proposer, to), key, 0, Body::Register(Box::new(asked)));
}

type Held = Rc<RefCell<Vec<(NodeId, NodeId, Message)>>>;

/// Two clients create one key through two owners. The third promises to both in turn, and loses that before its
/// promises arrive. How many clients are told that they created it.
fn creations() -> usize {
    let mut cluster = strong();
    let key = key("seat");
    let mut owners = cluster.owners(&key);
    // Of two ballots of one round that of the greater node is the higher.
    owners.sort_unstable();
    let [low, high, third] = owners[..] else { panic!("there are three owners") };
    let held = Held::default();
    let holds = Rc::clone(&held);
    cluster.disturb(move |messages| {
        let about = |body: &Body| matches!(body, Body::Register(_) | Body::Registered(_));
        let (late, rest) = messages.drain(..).partition(|(_, _, message)| about(&message.body));
        *messages = rest;
        let late: VecDeque<_> = late;
        holds.borrow_mut().extend(late);
    });
    // What one has said to another so far arrives; what that causes is held in turn.
    let arrives = |cluster: &mut Cluster, from: NodeId, to: NodeId| {
        let (now, later) =
            held.take().into_iter().partition(|(by, at, _)| (*by, *at) == (from, to));
        held.replace(later);
        let now: Vec<_> = now;
        for (from, to, message) in now {
            let index = cluster.nodes.iter().position(|node| node.id == to).expect("a node");
            cluster.deliver(index, from, message);
        }
        cluster.run();
    };
    // Nobody hears its first attempts, so that its ballot is above all that the other promises itself on the way.
    let request = cluster.request(&key, create("yours"));
    let second = cluster.submit(high, request);
    cluster.advance(Duration::from_millis(1_200));
    let request = cluster.request(&key, create("mine"));
    let first = cluster.submit(low, request);
    let clients = [first, second];
    cluster.run();
    arrives(&mut cluster, low, third);
    arrives(&mut cluster, high, third);
    wipe(&mut cluster, third, 90);
    // It is synchronised while the proposers are too busy to look at the time.
    for _ in 0..100 {
        tick_alone(&mut cluster, third, Duration::from_millis(50));
    }
    for proposer in [low, high] {
        arrives(&mut cluster, third, proposer);
        arrives(&mut cluster, proposer, third);
        arrives(&mut cluster, third, proposer);
    }
    cluster.disturb(|_| ());
    cluster.messages.extend(held.take());
    cluster.advance(Duration::from_secs(5));
    let created = |client: &&_| match cluster.response(**client) {
        Some(Outcome::Done(answered)) => answered.replies == [Ok(Reply::Done)],
        _ => false,
    };
    clients.iter().filter(created).count()
}

#[test]
fn of_two_creations_at_most_one_succeeds_although_an_owner_loses_what_it_promised() {
    assert!(creations() <= 1);
    assert_eq!(
        with_mutant(Mutant::LostVotesCount, creations),
        2,
        "votes that count at once are noticed"
    );
}

#[test]
fn an_owner_that_lost_its_votes_votes_again_in_a_later_epoch() {
    let mut cluster = strong();
    let key = key("seat");
    let owners = cluster.owners(&key);
    let request = cluster.request(&key, create("mine"));
    cluster.done(owners[0], request);
    wipe(&mut cluster, owners[2], 90);
    cluster.advance(Duration::from_secs(30));
    // Now it is needed: one of the others is down.
    cluster.take_down(owners[0]);
    let request = cluster.request(&key, get());
    let answered = cluster.done(owners[2], request);
    assert_eq!(answered.replies, [Ok(Reply::Value(Bytes::from_static(b"mine")))]);
}

/// The only owner of a strong key hands over to another, which has promised more than the first voted for, and then
/// may have lost something: only with its vote can be decided what the other may take in.
#[test]
fn a_promise_of_another_owner_keeps_none_from_voting_again_nor_moves_from_their_end() {
    let policy = BucketPolicy { replicas: 1, kind: BucketKind::Strong, ..BucketPolicy::default() };
    let mut cluster = Cluster::new(4, policy);
    let key = key("seat");
    let owner = cluster.owners(&key)[0];
    let request = cluster.request(&key, create("mine"));
    cluster.done(owner, request);
    cluster.lose(|_, _, message| matches!(message.body, Body::Sync(_)));
    cluster.decide(owner, NodeState::Draining, |_| true);
    let heir = cluster.owners(&key)[0];
    assert_ne!(heir, owner);
    prepare(&mut cluster, &key, owner, heir);
    cluster.change_view(owner, |view| (view.amnesiac, view.incarnation) = (true, Incarnation(90)));
    cluster.heal();
    cluster.advance(Duration::from_secs(60));
    cluster.decide(owner, NodeState::Draining, |_| true);
    assert_eq!(cluster.decision().moving().len(), 0, "moves are over");
    let request = cluster.request(&key, get());
    let answered = cluster.done(heir, request);
    assert_eq!(answered.replies, [Ok(Reply::Value(Bytes::from_static(b"mine")))]);
}

/// Seed 5259: a value was with acceptors when the owners changed and too few of them were left; its client was told that
/// nothing was done, and a later reader saw it.
#[test]
fn a_write_that_acceptors_have_is_unknown_where_its_proposer_cannot_go_on() {
    let policy = BucketPolicy { kind: BucketKind::Strong, ..BucketPolicy::default() };
    let mut cluster = Cluster::new(4, policy);
    let key = key("seat");
    let owners = cluster.owners(&key);
    let (proposer, drains) = (owners[0], owners[2]);
    cluster.lose(|_, _, message| {
        let is_accepted = |reply: &_| matches!(reply, RegisterReply::Reply(Voted::Accepted { .. }));
        matches!(&message.body, Body::Registered(reply) if is_accepted(reply))
    });
    let submitted = cluster.request(&key, create("mine"));
    let client = cluster.submit(proposer, submitted);
    cluster.run();
    let others = owners[1..].to_vec();
    cluster.change_view(proposer, |view| {
        view.members.extend(others.iter().map(|owner| (*owner, Liveness::Down)));
    });
    cluster.decide(drains, NodeState::Draining, |node| node == proposer);
    cluster.advance(Duration::from_millis(600));
    let told = cluster.response(client);
    assert!(matches!(told, Some(Outcome::Unknown { .. })), "{told:?}");
}

/// Seed 17339: two owners had promised more than the third had voted for, and then may have lost something. Nothing could
/// be decided without one of them, and neither could take the vote in.
#[test]
fn what_two_owners_had_promised_keeps_neither_from_voting_again() {
    let mut cluster = strong();
    let key = key("seat");
    let owners = cluster.owners(&key);
    // The value comes to one acceptor only.
    cluster.lose(|_, _, message| {
        let accepts = |asked: &RegisterRequest| matches!(asked.request, Request::Accept { .. });
        let is_accept = matches!(&message.body, Body::Register(asked) if accepts(asked));
        is_accept || matches!(message.body, Body::Sync(_))
    });
    let request = cluster.request(&key, create("mine"));
    let told = cluster.ask(owners[0], request);
    assert!(matches!(told, Outcome::Unknown { .. }), "{told:?}");
    for other in &owners[1..] {
        prepare(&mut cluster, &key, owners[0], *other);
        let lost = |view: &mut View| (view.amnesiac, view.incarnation) = (true, Incarnation(90));
        cluster.change_view(*other, lost);
    }
    cluster.heal();
    cluster.advance(Duration::from_secs(60));
    let request = cluster.request(&key, get());
    let answered = cluster.done(owners[1], request);
    assert_eq!(answered.replies, [Ok(Reply::Value(Bytes::from_static(b"mine")))]);
}

#[test]
fn owners_vote_again_although_a_member_confirms_no_epoch() {
    let policy = BucketPolicy { kind: BucketKind::Strong, ..BucketPolicy::default() };
    // Each node leads the purges of more slices in a lane than it has rounds of at a time.
    let mut cluster = Cluster::parted(4, 128, policy);
    let (silent, wiped) = (id(4), id(1));
    cluster.lose(move |from, _, message| {
        from == silent
            && matches!(&message.body, Body::Purge(purge) if purge.said == Said::Confirmed)
    });
    wipe(&mut cluster, wiped, 90);
    cluster.advance(Duration::from_secs(60));
    for lane in &cluster.node(wiped).lanes {
        let strong = lane.shared().voteless.iter().filter(|slice| slice.replicas == 3);
        assert_eq!(strong.count(), 0, "of {}", lane.shared().slices.len());
    }
}
