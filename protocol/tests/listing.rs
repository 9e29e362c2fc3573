//! Listing the keys of a bucket: whatever stays is on a page, whatever was gone is on none.

mod harness;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use coterie_crdt::Shown;
use coterie_crdt::operation::{
    Expire, HashOperation, KeyOperation, Operation, SetCondition, SetOperation, SetVerb,
    StringOperation,
};
use coterie_protocol::{ControlEvent, Liveness};
use coterie_ring::decision::successor;
use coterie_ring::{BucketKind, BucketPolicy, Level, NodeId, NodeState};
use coterie_wire::peer::listing::Listing;
use coterie_wire::{
    Body, LIST_KEYS_MAX, LevelRefused, List, ListFrom, Listed, Outcome, Page, QuorumCount, Refused,
    RequestId, Unavailable,
};
use proptest::prelude::*;

use harness::{BUCKET, Cluster, id, key};

fn set(value: &'static str) -> Operation {
    Operation::String(StringOperation::Set {
        value: value.into(),
        condition: SetCondition::Always,
        get: false,
        expire: Expire::Never,
    })
}

fn add(members: impl IntoIterator<Item = String>) -> Operation {
    let members = members.into_iter().map(Into::into).collect();
    Operation::Set(SetOperation::new(SetVerb::Add(members)))
}

fn delete() -> Operation {
    Operation::Key(KeyOperation::Delete)
}

fn list(from: ListFrom, keys_max: u32) -> List {
    let (bucket, time_left) = (BUCKET.into(), Duration::from_secs(2));
    List { id: RequestId(1), bucket, from, keys_max, read: None, time_left }
}

fn write(cluster: &mut Cluster, node: NodeId, name: &str, operation: Operation) -> Outcome {
    let request = cluster.request(&key(name), operation);
    cluster.ask(node, request)
}

fn page(listed: Listed) -> Page {
    match listed {
        Listed::Page(page) => page,
        listed => panic!("no page: {listed:?}"),
    }
}

/// All keys of the bucket, in pages of so many; `between` is done before each page.
fn all(
    cluster: &mut Cluster,
    node: NodeId,
    keys_max: u32,
    mut between: impl FnMut(&mut Cluster),
) -> BTreeMap<String, Shown> {
    let (mut from, mut keys) = (ListFrom::default(), BTreeMap::new());
    for _ in 0..10_000 {
        between(cluster);
        let page = page(cluster.list(node, list(from.clone(), keys_max)));
        assert!(page.keys.len() <= keys_max as usize, "{} keys", page.keys.len());
        for listed in page.keys {
            assert_ne!(listed.shown, Shown::Nothing);
            keys.insert(String::from_utf8(listed.name.to_vec()).expect("all are"), listed.shown);
        }
        let Some(next) = page.next else { return keys };
        assert!(next.hash > from.hash || next.after.is_some(), "{next:?} is not past {from:?}");
        from = next;
    }
    panic!("pages never end");
}

fn names<'n>(names: impl IntoIterator<Item = &'n str>) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

fn listed(cluster: &mut Cluster, node: NodeId) -> BTreeSet<String> {
    all(cluster, node, 3, |_| {}).into_keys().collect()
}

/// How a run of the property goes.
#[derive(Clone, Debug)]
struct Run {
    nodes: u64,
    lanes: u16,
    keys_max: u32,
    /// Of each key: what becomes of it.
    keys: Vec<Fate>,
    /// Whether an owner is down while pages are asked for, and how many messages of a hundred are lost before.
    down: bool,
    lost: u64,
    kind: BucketKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is there all the time, as a string, a set of so many members, or a hash.
    String,
    Set(u8),
    Hash,
    /// It was deleted before the first page.
    Deleted,
    /// It comes, and perhaps goes, while pages are asked for.
    Churns,
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let fate = prop_oneof![
        3 => Just(Fate::String),
        2 => (1_u8..40).prop_map(Fate::Set),
        1 => Just(Fate::Hash),
        2 => Just(Fate::Deleted),
        2 => Just(Fate::Churns),
    ];
    prop::collection::vec(fate, 1..60)
}

fn runs() -> impl Strategy<Value = Run> {
    let kinds = prop_oneof![4 => Just(BucketKind::Strict), 1 => Just(BucketKind::Strong)];
    let cluster = (3_u64..6, 1_u16..4, kinds);
    (cluster, 1_u32..20, fates(), any::<bool>(), 0_u64..30).prop_map(
        |((nodes, lanes, kind), keys_max, keys, down, lost)| Run {
            nodes,
            lanes,
            keys_max,
            keys,
            down,
            lost,
            kind,
        },
    )
}

fn create(fate: Fate, strong: bool) -> Operation {
    match fate {
        Fate::Set(members) if !strong => add((0..members).map(|member| member.to_string())),
        Fate::Hash if !strong => {
            Operation::Hash(HashOperation::Set(vec![("field".into(), "value".into())]))
        }
        _ => set("value"),
    }
}

fn check(run: &Run) {
    let strong = run.kind == BucketKind::Strong;
    let policy = BucketPolicy { kind: run.kind, ..BucketPolicy::default() };
    let mut cluster = Cluster::of_lanes(run.nodes, run.lanes, policy);
    let name = |number: usize| format!("key {number}");
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let lost = run.lost;
    cluster.lose(move |_, _, message| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        matches!(message.body, Body::Write(_) | Body::Wrote(_)) && (random >> 33) % 100 < lost
    });
    let (mut stay, mut gone) = (BTreeMap::new(), BTreeSet::new());
    for (number, fate) in run.keys.iter().enumerate().filter(|(_, fate)| **fate != Fate::Churns) {
        let (node, name) = (id(number as u64 % run.nodes + 1), name(number));
        let created = write(&mut cluster, node, &name, create(*fate, strong));
        if !matches!(created, Outcome::Done(_)) {
            // It may be there or not.
            continue;
        }
        if *fate != Fate::Deleted {
            let shown = match fate {
                Fate::Set(_) if !strong => Shown::Set,
                Fate::Hash if !strong => Shown::Hash,
                _ => Shown::String,
            };
            stay.insert(name, shown);
        } else if matches!(write(&mut cluster, node, &name, delete()), Outcome::Done(_)) {
            gone.insert(name);
        }
    }
    cluster.heal();
    if run.down {
        cluster.take_down(id(1));
    }
    let churning: Vec<usize> =
        (0..run.keys.len()).filter(|number| run.keys[*number] == Fate::Churns).collect();
    let mut turn = 0;
    let found = all(&mut cluster, id(run.nodes), run.keys_max, |cluster| {
        // Written under way while the page is made, and deleted a few pages later.
        for number in churning.iter().skip(turn % 3).step_by(3) {
            let operation = if turn % 4 < 2 { set("churn") } else { delete() };
            let request = cluster.request(&key(&name(*number)), operation);
            cluster.submit(id(2), request);
        }
        turn += 1;
    });
    for (name, shown) in &stay {
        assert_eq!(found.get(name), Some(shown), "{name} stays");
    }
    for name in found.keys() {
        assert!(!gone.contains(name), "{name} was deleted before");
        let number: usize = name["key ".len()..].parse().expect("such names only");
        assert!(number < run.keys.len(), "{name} was never written");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_stays_is_listed_and_what_was_deleted_is_not(run in runs()) {
        check(&run);
    }
}

#[test]
fn a_page_has_as_many_keys_as_asked_for_and_the_next_goes_on_after_them() {
    let mut cluster = Cluster::new(3, BucketPolicy::default());
    for number in 0..200 {
        write(&mut cluster, id(1), &format!("key {number}"), set("value"));
    }
    let first = page(cluster.list(id(2), list(ListFrom::default(), 7)));
    assert_eq!(first.keys.len(), 7);
    assert_eq!(first.owners.len(), 2);
    let next = first.next.expect("there are more");
    let second = page(cluster.list(id(3), list(next, 7)));
    assert!(second.keys.iter().all(|key| !first.keys.contains(key)));
    let found = all(&mut cluster, id(2), LIST_KEYS_MAX, |_| {});
    assert_eq!(found.len(), 200);
}

#[test]
fn a_key_of_many_cells_costs_a_page_few_rows() {
    let mut cluster = Cluster::new(3, BucketPolicy::default());
    for chunk in 0..40 {
        let members = (0..400).map(|member| (chunk * 400 + member).to_string());
        let outcome = write(&mut cluster, id(1), "large", add(members));
        assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    }
    for name in ["a", "b", "c"] {
        write(&mut cluster, id(1), name, set("value"));
    }
    cluster.advance(Duration::from_secs(1));
    let before = cluster.rows_read;
    let found = all(&mut cluster, id(1), 10, |_| {});
    let keys: BTreeSet<String> = found.keys().cloned().collect();
    assert_eq!(keys, names(["a", "b", "c", "large"]));
    let read = cluster.rows_read - before;
    assert!(read < 200, "{read} rows were read");
}

#[test]
fn nodes_that_own_nothing_of_a_partition_hand_a_listing_to_one_that_does() {
    let mut cluster = Cluster::new(6, BucketPolicy::default());
    let all = ["a", "b", "c", "d", "e", "f", "g", "h"];
    for name in all {
        write(&mut cluster, id(1), name, set("value"));
    }
    for node in 1..=6 {
        assert_eq!(listed(&mut cluster, id(node)), names(all), "by node {node}");
    }
    // The first that is told does not answer; nobody knows that it is down.
    let deaf = cluster.owners(&key("a"))[0];
    for node in (1..=6).map(id).filter(|node| *node != deaf) {
        cluster.cut(node, deaf);
    }
    let asker = cluster.others(&key("a"))[0];
    assert_eq!(listed(&mut cluster, asker), names(all));
}

#[test]
fn a_key_that_one_owner_lacks_is_read_and_repaired() {
    let mut cluster = Cluster::new(3, BucketPolicy::default());
    cluster.lose(|_, to, message| to == id(1) && matches!(message.body, Body::Write(_)));
    write(&mut cluster, id(2), "a", set("value"));
    cluster.heal();
    assert!(cluster.root(id(1), &key("a")).is_empty());
    assert_eq!(listed(&mut cluster, id(1)), names(["a"]));
    cluster.advance(Duration::from_secs(1));
    assert!(cluster.is_equal(&key("a")), "who reads repairs");
}

#[test]
fn too_few_owners_are_told_and_level_one_needs_no_other() {
    let mut cluster = Cluster::new(3, BucketPolicy::default());
    write(&mut cluster, id(1), "a", set("value"));
    cluster.take_down(id(2));
    cluster.take_down(id(3));
    let from = ListFrom::default();
    let count = QuorumCount { have: 1, need: 2 };
    let few = Listed::Unavailable(Unavailable::Owners(count));
    assert_eq!(cluster.list(id(1), list(from.clone(), 10)), few);
    let mut keys = Vec::new();
    let mut next = Some(from.clone());
    while let Some(from) = next {
        let one = List { read: Some(Level::One), ..list(from, 10) };
        let page = page(cluster.list(id(1), one));
        assert_eq!(page.owners, [id(1)]);
        keys.extend(page.keys);
        next = page.next;
    }
    assert_eq!(keys.len(), 1);
    // Who is thought to be up and does not answer is waited for.
    cluster.mark(id(2), Liveness::Up);
    let few = Listed::Unavailable(Unavailable::Answers(count));
    assert_eq!(cluster.list(id(1), list(from.clone(), 10)), few);
    let level = Listed::Refused(Refused::Level(LevelRefused::AnyRead));
    let any = List { read: Some(Level::Any), ..list(from.clone(), 10) };
    assert_eq!(cluster.list(id(1), any), level);
    let other = List { bucket: "other".into(), ..list(from.clone(), 10) };
    assert_eq!(cluster.list(id(1), other), Listed::Refused(Refused::NoSuchBucket));
    let late = List { time_left: Duration::ZERO, ..list(from, 10) };
    assert_eq!(cluster.list(id(1), late), Listed::Refused(Refused::Expired));
}

#[test]
fn a_sloppy_bucket_lists_what_the_owners_that_can_be_reached_have() {
    let policy = BucketPolicy { kind: BucketKind::Sloppy, ..BucketPolicy::default() };
    let mut cluster = Cluster::new(3, policy);
    write(&mut cluster, id(1), "a", set("value"));
    cluster.take_down(id(2));
    cluster.take_down(id(3));
    assert_eq!(listed(&mut cluster, id(1)), names(["a"]));
}

#[test]
fn an_expired_key_is_not_listed() {
    let mut cluster = Cluster::new(3, BucketPolicy::default());
    let at = cluster.now.wall_millis + 1_000;
    let expiring = Operation::String(StringOperation::Set {
        value: "value".into(),
        condition: SetCondition::Always,
        get: false,
        expire: Expire::At(at),
    });
    write(&mut cluster, id(1), "a", expiring);
    write(&mut cluster, id(1), "b", set("value"));
    assert_eq!(listed(&mut cluster, id(1)), names(["a", "b"]));
    cluster.advance(Duration::from_millis(1_050));
    // Lanes have heard of the time only with an event.
    assert_eq!(listed(&mut cluster, id(1)), names(["b"]));
}

#[test]
fn what_a_node_that_lost_something_has_is_not_counted() {
    let mut cluster = Cluster::new(4, BucketPolicy::default());
    write(&mut cluster, id(1), "a", set("value"));
    let owners = cluster.owners(&key("a"));
    for owner in &owners[..2] {
        cluster.change_view(*owner, |view| view.amnesiac = true);
    }
    // The third finds nobody to ask.
    let hash = key("a").hash().0;
    let from = ListFrom { hash, after: None };
    let asked = List { time_left: Duration::from_millis(400), ..list(from.clone(), 10) };
    let few = Listed::Unavailable(Unavailable::Answers(QuorumCount { have: 1, need: 2 }));
    assert_eq!(cluster.list(owners[2], asked), few);
    let one = List { read: Some(Level::One), ..list(from, 10) };
    assert_eq!(page(cluster.list(owners[0], one)).owners, [owners[2]]);
}

#[test]
fn keys_stay_listed_while_their_partitions_move() {
    let mut cluster = Cluster::new(4, BucketPolicy::default());
    let keys: Vec<String> = (0..40).map(|number| format!("key {number}")).collect();
    for name in &keys {
        write(&mut cluster, id(1), name, set("value"));
    }
    let expected: BTreeSet<String> = keys.iter().cloned().collect();
    let parent = cluster.decision();
    let mut intent = parent.layout().snapshot().clone();
    let mut node = intent.node(id(4)).expect("there are four").clone();
    node.state = NodeState::Draining;
    intent.set_node(id(4), node).expect("it may be drained");
    let next = successor(parent, &intent, parent.layout().epoch(), |_, _| true);
    let next = Arc::new(next.expect("three can own all"));
    let moving = next.moving().count();
    assert!(moving > 0);
    // One after another hears of it.
    for node in 1..=4 {
        let next = Arc::clone(&next);
        cluster.change_view(id(node), |view| view.decision = next);
        for asker in 1..=4 {
            assert_eq!(listed(&mut cluster, id(asker)), expected, "by {asker}, {node} know");
        }
    }
    for _ in 0..60 {
        cluster.advance(Duration::from_secs(1));
        assert_eq!(listed(&mut cluster, id(4)), expected);
        assert_eq!(listed(&mut cluster, id(2)), expected);
    }
    let done =
        |(_, event): &&(NodeId, ControlEvent)| matches!(event, ControlEvent::MoveDone { .. });
    assert!(cluster.control.iter().filter(done).count() >= moving);
}

#[test]
fn an_owner_that_is_slow_is_passed_over_for_another() {
    let mut cluster = Cluster::new(3, BucketPolicy::default());
    write(&mut cluster, id(1), "a", set("value"));
    cluster.lose(|_, to, message| {
        let show = |said: &Listing| matches!(said, Listing::Show(_));
        to == id(2) && matches!(&message.body, Body::Listing(said) if show(said))
    });
    assert_eq!(listed(&mut cluster, id(1)), names(["a"]));
}
