//! What is stored and shown while owners cannot be reached.

mod harness;

use std::time::Duration;

use coterie_crdt::operation::{Operation, Reply, SetOperation, SetVerb, StringOperation};
use coterie_protocol::rows::Space;
use coterie_protocol::session::Session;
use coterie_ring::{BucketKind, BucketPolicy, Level, NodeId, NodeState};
use coterie_wire::peer::purge::{Purge, Said};
use coterie_wire::{
    Answered, Body, Levels, Message, Outcome, QuorumCount, SessionDots, Unavailable,
};

use harness::{Cluster, add, id, key, levels, members};

fn increment(by: i64) -> Operation {
    Operation::String(StringOperation::IncrementBy(by))
}

fn get() -> Operation {
    Operation::String(StringOperation::Get)
}

/// What a session has to see that wrote this.
fn wrote(written: &Answered) -> SessionDots {
    SessionDots::new(written.changed.minted.iter().copied().collect(), written.changed.epoch)
}

fn strict(nodes: u64) -> Cluster {
    Cluster::new(nodes, BucketPolicy::default())
}

fn sloppy(nodes: u64) -> Cluster {
    Cluster::new(nodes, BucketPolicy { kind: BucketKind::Sloppy, ..BucketPolicy::default() })
}

fn hints(cluster: &Cluster) -> usize {
    cluster.nodes.iter().map(|node| node.store.space(Space::Hints).len()).sum()
}

/// Brings nodes back and waits until hints are delivered.
fn bring_back(cluster: &mut Cluster, nodes: &[NodeId]) {
    for node in nodes {
        cluster.bring_up(*node);
    }
    cluster.advance(Duration::from_secs(30));
    assert_eq!(hints(cluster), 0, "all hints are delivered");
}

#[test]
fn an_owner_that_is_down_gets_its_writes_when_it_is_back() {
    let mut cluster = strict(5);
    let key = key("a");
    let owners = cluster.owners(&key);
    cluster.take_down(owners[2]);
    let request = cluster.request(&key, increment(1));
    let answered = cluster.done(owners[0], request);
    assert_eq!(answered.owners, [owners[0], owners[1]]);
    assert!(!answered.everywhere);
    cluster.run();
    assert_eq!(hints(&cluster), 1);
    bring_back(&mut cluster, &[owners[2]]);
    assert!(cluster.is_equal(&key));
}

#[test]
fn a_node_that_has_handed_over_keeps_nothing_for_owners_that_are_down() {
    let mut cluster = sloppy(5);
    let leaver = id(5);
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"].map(key);
    let key = names.into_iter().find(|key| !cluster.owners(key).contains(&leaver));
    let key = key.expect("four others own the rest");
    cluster.decide(leaver, NodeState::Draining, |_| true);
    cluster.advance(Duration::from_secs(60));
    // Moves are over, but others may take it for a member that can stand in.
    cluster.decide(leaver, NodeState::Draining, |_| true);
    let owners = cluster.owners(&key);
    assert!(!owners.contains(&leaver));
    for owner in &owners {
        cluster.take_down(*owner);
    }
    let mut request = cluster.request(&key, add("x"));
    request.levels = levels(Level::One, Level::One);
    let outcome = cluster.ask(leaver, request.clone());
    assert!(matches!(outcome, Outcome::Unavailable(_)), "{outcome:?}");
    let other = cluster.others(&key)[0];
    request.id.0 += 1;
    cluster.done(other, request);
    cluster.run();
    assert_eq!(cluster.node(leaver).store.space(Space::Hints).len(), 0);
    bring_back(&mut cluster, &owners);
    assert!(cluster.is_equal(&key));
}

#[test]
fn a_hint_is_kept_by_the_coordinator_where_there_is_no_other_node() {
    let mut cluster = strict(3);
    let key = key("a");
    let owners = cluster.owners(&key);
    cluster.take_down(owners[2]);
    let request = cluster.request(&key, increment(1));
    cluster.done(owners[0], request);
    cluster.run();
    assert_eq!(cluster.node(owners[0]).store.space(Space::Hints).len(), 1);
    bring_back(&mut cluster, &[owners[2]]);
    assert!(cluster.is_equal(&key));
}

#[test]
fn an_owner_that_does_not_answer_is_given_a_hint_though_nobody_thinks_it_down() {
    let mut cluster = strict(5);
    let key = key("a");
    let owners = cluster.owners(&key);
    cluster.cut(owners[0], owners[2]);
    let request = cluster.request(&key, increment(1));
    cluster.done(owners[0], request);
    assert_eq!(hints(&cluster), 0);
    cluster.advance(Duration::from_secs(1));
    assert_eq!(hints(&cluster), 1);
    cluster.heal();
    cluster.advance(Duration::from_secs(30));
    assert_eq!(hints(&cluster), 0);
    assert!(cluster.is_equal(&key));
}

#[test]
fn in_a_sloppy_bucket_fallbacks_count_and_strict_ones_count_owners_only() {
    for kind in [BucketKind::Sloppy, BucketKind::Strict] {
        let mut cluster = Cluster::new(5, BucketPolicy { kind, ..BucketPolicy::default() });
        let key = key("a");
        let owners = cluster.owners(&key);
        cluster.take_down(owners[1]);
        cluster.take_down(owners[2]);
        let request = cluster.request(&key, increment(1));
        match (kind, cluster.ask(owners[0], request)) {
            (BucketKind::Sloppy, Outcome::Done(answered)) => {
                assert_eq!(answered.owners, [owners[0]]);
                assert!(!answered.fallbacks.is_empty());
            }
            (BucketKind::Strict, outcome) => {
                let count = QuorumCount { have: 1, need: 2 };
                assert_eq!(outcome, Outcome::Unavailable(Unavailable::Owners(count)));
            }
            (_, outcome) => panic!("{outcome:?}"),
        }
        bring_back(&mut cluster, &[owners[1], owners[2]]);
        assert!(cluster.is_equal(&key));
    }
}

#[test]
fn a_fallback_counts_once_for_however_many_owners_it_stands_in() {
    let mut cluster = sloppy(4);
    let key = key("a");
    let owners = cluster.owners(&key);
    cluster.take_down(owners[1]);
    cluster.take_down(owners[2]);
    let mut request = cluster.request(&key, increment(1));
    request.levels = levels(Level::All, Level::One);
    let outcome = cluster.ask(owners[0], request);
    let count = QuorumCount { have: 2, need: 3 };
    assert_eq!(outcome, Outcome::Unavailable(Unavailable::Owners(count)));
}

#[test]
fn a_read_in_a_sloppy_bucket_sees_what_only_a_fallback_holds() {
    let mut cluster = sloppy(5);
    let key = key("a");
    let owners = cluster.owners(&key);
    cluster.take_down(owners[1]);
    cluster.take_down(owners[2]);
    let request = cluster.request(&key, add("x"));
    let written = cluster.done(owners[0], request);
    let fallback = written.fallbacks[0];
    cluster.bring_up(owners[1]);
    cluster.lose(|_, _, message| matches!(message.body, Body::Write(_) | Body::Hint(_)));
    cluster.take_down(owners[0]);
    let read = cluster.request(&key, members());
    let answered = cluster.done(owners[1], read);
    assert_eq!(answered.replies, [Ok(Reply::Values(vec![Some("x".into())]))]);
    assert!(answered.fallbacks.contains(&fallback), "{answered:?}");
}

#[test]
fn at_level_any_a_node_that_reaches_no_owner_takes_the_write() {
    for kind in [BucketKind::Sloppy, BucketKind::Strict] {
        let mut cluster = Cluster::new(5, BucketPolicy { kind, ..BucketPolicy::default() });
        let key = key("a");
        let (owners, others) = (cluster.owners(&key), cluster.others(&key));
        owners.iter().for_each(|owner| cluster.take_down(*owner));
        for by in 1..=3 {
            let mut request = cluster.request(&key, increment(by));
            request.levels = Levels { write: Some(Level::Any), read: None };
            let answered = cluster.done(others[0], request);
            assert!(answered.owners.is_empty());
            assert!(answered.fallbacks.contains(&others[0]));
        }
        bring_back(&mut cluster, &owners);
        assert!(cluster.is_equal(&key));
        let read = cluster.request(&key, get());
        assert_eq!(cluster.done(owners[0], read).replies, [Ok(Reply::Value("6".into()))]);
    }
}

#[test]
fn both_sides_of_a_split_write_to_a_sloppy_bucket_and_meet_again() {
    let mut cluster = sloppy(6);
    let nodes: Vec<NodeId> = cluster.nodes.iter().map(|node| node.id).collect();
    let (left, right) = nodes.split_at(3);
    cluster.split(left, right);
    let keys: Vec<_> = (0..20).map(|number| key(&number.to_string())).collect();
    for key in &keys {
        for &node in &nodes {
            let mut request = cluster.request(key, increment(1));
            request.levels = Levels { write: Some(Level::One), read: None };
            cluster.done(node, request);
        }
    }
    cluster.heal();
    cluster.advance(Duration::from_secs(60));
    assert_eq!(hints(&cluster), 0);
    for key in &keys {
        assert!(cluster.is_equal(key));
        let mut read = cluster.request(key, get());
        read.levels.read = Some(Level::All);
        assert_eq!(cluster.done(nodes[0], read).replies, [Ok(Reply::Value("6".into()))]);
    }
}

#[test]
fn a_session_reads_what_it_wrote_at_any_level() {
    let mut cluster = strict(3);
    let key = key("a");
    let owners = cluster.owners(&key);
    cluster.lose({
        let (from, only) = (owners[0], owners[1]);
        move |sender, to, message| {
            matches!(message.body, Body::Write(_)) && sender == from && to != only
        }
    });
    let mut request = cluster.request(&key, add("x"));
    request.levels = levels(Level::One, Level::One);
    let written = cluster.done(owners[0], request);
    cluster.cut(owners[1], owners[2]);
    let mut read = cluster.request(&key, members());
    read.levels.read = Some(Level::One);
    assert_eq!(cluster.done(owners[2], read.clone()).replies, [Ok(Reply::Values(vec![]))]);
    read.session = wrote(&written);
    let seen = [Ok(Reply::Values(vec![Some("x".into())]))];
    assert_eq!(cluster.done(owners[2], read.clone()).replies, seen);
    assert_eq!(cluster.done(owners[0], read).replies, seen, "whoever has it asks nobody");
}

/// Seed 3597: a session had written at a level of one owner, and a majority of the others had not heard of it yet.
#[test]
fn a_linearizable_read_shows_what_its_session_wrote_at_a_lower_level() {
    let mut cluster = strict(3);
    let key = key("a");
    let owners = cluster.owners(&key);
    let is_write = |message: &Message| matches!(message.body, Body::Write(_));
    let first = owners[0];
    cluster.lose(move |from, _, message| from == first || is_write(message));
    let mut request = cluster.request(&key, add("x"));
    request.levels = levels(Level::One, Level::One);
    let written = cluster.done(first, request);
    let mut read = cluster.request(&key, members());
    read.levels = levels(Level::Linearizable, Level::Linearizable);
    read.session = wrote(&written);
    let outcome = cluster.ask(owners[1], read.clone());
    assert_eq!(outcome, Outcome::Unavailable(Unavailable::Session));
    cluster.lose(move |_, _, message| is_write(message));
    let seen = [Ok(Reply::Values(vec![Some("x".into())]))];
    assert_eq!(cluster.done(owners[1], read).replies, seen);
}

#[test]
fn what_a_session_wrote_and_cannot_be_reached_is_unavailable_not_absent() {
    let mut cluster = strict(3);
    let key = key("a");
    let owners = cluster.owners(&key);
    for other in &owners[1..] {
        cluster.cut(owners[0], *other);
    }
    let mut request = cluster.request(&key, add("x"));
    request.levels = levels(Level::One, Level::One);
    let written = cluster.done(owners[0], request);
    cluster.take_down(owners[0]);
    let mut read = cluster.request(&key, members());
    read.levels.read = Some(Level::One);
    read.session = wrote(&written);
    assert_eq!(cluster.ask(owners[2], read), Outcome::Unavailable(Unavailable::Session));
}

#[test]
fn a_session_is_not_shown_less_than_it_wrote_while_owners_go_on_to_a_later_epoch() {
    let mut cluster = sloppy(5);
    let key = key("a");
    let (owners, others) = (cluster.owners(&key), cluster.others(&key));
    let request = cluster.request(&key, add("w"));
    cluster.done(owners[0], request);
    cluster.split(&owners, &others);
    let mut request = cluster.request(&key, add("x"));
    request.levels = levels(Level::Any, Level::One);
    let written = cluster.done(others[0], request);
    // The owner has adopted the next epoch; that all members have confirmed it, nobody has said.
    let decided = cluster.decision().version();
    let adopt = Body::Purge(Box::new(Purge { decided, said: Said::Adopt, settled: 0 }));
    cluster.forge((owners[1], owners[0]), &key, 1, adopt);
    cluster.run();
    let mut read = cluster.request(&key, members());
    read.levels.read = Some(Level::One);
    read.session = wrote(&written);
    assert_eq!(cluster.ask(owners[0], read), Outcome::Unavailable(Unavailable::Session));
}

#[test]
fn what_a_session_wrote_after_a_purge_is_not_taken_for_purged() {
    let mut cluster = sloppy(5);
    let policy = BucketPolicy { kind: BucketKind::Sloppy, ..BucketPolicy::default() };
    let key = key("a");
    let (owners, others) = (cluster.owners(&key), cluster.others(&key));
    let mut session = Session::default();
    let mut request = cluster.request(&key, add("w"));
    request.levels = levels(Level::One, Level::One);
    let written = cluster.done(owners[0], request.clone());
    assert!(!written.everywhere);
    session.learn(&request, &policy, &Outcome::Done(written.into()));
    // Somebody else removes it, and what remains is purged.
    let remove = SetOperation::new(SetVerb::Remove(vec!["w".into()]));
    let request = cluster.request(&key, Operation::Set(remove));
    cluster.done(owners[1], request);
    cluster.advance(Duration::from_secs(60));
    let purged = owners.iter().all(|owner| cluster.root(*owner, &key).is_empty());
    assert!(purged, "remains are gone");
    // What is written now, only a fallback has.
    cluster.split(&owners, &others);
    let mut request = cluster.request(&key, add("x"));
    request.levels = levels(Level::One, Level::One);
    let written = cluster.done(others[0], request.clone());
    assert_eq!(written.changed.epoch, 1);
    session.learn(&request, &policy, &Outcome::Done(written.into()));
    let mut read = cluster.request(&key, members());
    read.levels.read = Some(Level::One);
    read.session = session.dots(&key);
    assert_eq!(cluster.ask(owners[0], read.clone()), Outcome::Unavailable(Unavailable::Session));
    // Once it is delivered nothing is missing, although nobody has the first any more.
    cluster.heal();
    bring_back(&mut cluster, &others);
    let seen = [Ok(Reply::Values(vec![Some("x".into())]))];
    assert_eq!(cluster.done(owners[0], read).replies, seen);
}

#[test]
fn a_fallback_does_not_show_a_session_less_than_every_owner_has() {
    let policy = BucketPolicy { kind: BucketKind::Sloppy, ..BucketPolicy::default() };
    let mut cluster = sloppy(5);
    let key = key("a");
    let (owners, others) = (cluster.owners(&key), cluster.others(&key));
    let mut session = Session::default();
    let mut request = cluster.request(&key, add("w"));
    request.levels = levels(Level::All, Level::One);
    let written = cluster.done(owners[0], request.clone());
    assert!(written.everywhere);
    session.learn(&request, &policy, &Outcome::Done(written.into()));
    cluster.split(&owners, &others);
    let mut read = cluster.request(&key, members());
    read.levels.read = Some(Level::One);
    assert_eq!(cluster.done(others[0], read.clone()).replies, [Ok(Reply::Values(vec![]))]);
    read.session = session.dots(&key);
    assert_eq!(cluster.ask(others[0], read), Outcome::Unavailable(Unavailable::Session));
    // A sloppy bucket stays writable, also to who has written before.
    let mut write = cluster.request(&key, add("x"));
    write.levels = levels(Level::Any, Level::One);
    write.session = session.dots(&key);
    cluster.done(others[0], write);
}

/// Seed 3354: what the fallback showed, no hint, counted as a sight of what the session had written.
#[test]
fn a_fallback_without_a_hint_does_not_show_what_the_session_wrote() {
    let mut cluster = sloppy(5);
    let key = key("a");
    let owners = cluster.owners(&key);
    cluster.lose(|_, _, message| matches!(message.body, Body::Write(_)));
    let mut request = cluster.request(&key, add("x"));
    request.levels = levels(Level::One, Level::One);
    let written = cluster.done(owners[0], request);
    cluster.take_down(owners[0]);
    let mut read = cluster.request(&key, members());
    read.levels.read = Some(Level::Two);
    assert_eq!(cluster.done(owners[2], read.clone()).replies, [Ok(Reply::Values(vec![]))]);
    read.session = wrote(&written);
    assert_eq!(cluster.ask(owners[2], read.clone()), Outcome::Unavailable(Unavailable::Session));
    cluster.bring_up(owners[0]);
    let seen = [Ok(Reply::Values(vec![Some("x".into())]))];
    assert_eq!(cluster.done(owners[2], read).replies, seen);
}
