//! What becomes of an assignment that was stored before all that it is to replace was seen.

use coterie_crdt::operation::{
    Assigned, Expire, KeyOperation, SetCondition, StringOperation, Upheld,
};
use coterie_crdt::{Cell, Cells, Context, State};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::support::{Client, Command, bytes, expire_at, get, integer, nothing, sadd, set, value};

fn set_until(text: &str, at: u64) -> StringOperation {
    let (value, condition, expire) = (bytes(text), SetCondition::Always, Expire::At(at));
    StringOperation::Set { value, condition, get: false, expire }
}

fn several<const N: usize>() -> [Client; N] {
    std::array::from_fn(|client| Client::acting(client as u64 + 1))
}

fn cells(state: &State) -> (Cell, Cell) {
    let root = state.root().unwrap();
    (root.register.clone(), root.expiry.clone())
}

/// Writes an assignment: what it assigned, and the dots that it was evaluated on, with its own.
fn assign(client: &mut Client, command: impl Command) -> (Assigned, Context) {
    let operation = command.operation();
    let (_, delta) = client.evaluate(&operation, &client.state.clone());
    client.run(operation).unwrap();
    (Assigned::of(&delta).unwrap(), client.state.root().unwrap().context.clone())
}

/// Upholds an assignment on what its replica has by now. Whoever takes in what that says has the same.
fn uphold(client: &mut Client, (assigned, seen): &(Assigned, Context)) -> Option<Upheld> {
    let state = client.state.clone();
    let upheld = assigned.uphold(seen, &state, &mut client.mint(&state))?;
    client.join(&upheld.delta);
    let mut other = State::new();
    other.join_delta(&upheld.delta);
    assert_eq!(cells(&other), cells(&client.state));
    Some(upheld)
}

#[test]
fn what_came_before_an_assignment_and_was_not_seen_is_removed() {
    let [mut a, mut b] = several();
    b.now -= 1;
    let theirs = assign(&mut b, set_until("theirs", 2_000_000));
    let mine = assign(&mut a, set("mine"));
    a.state.join(&b.state);
    let upheld = uphold(&mut a, &mine).unwrap();
    assert_eq!(upheld.removed, theirs.1, "the value and its deadline");
    assert_eq!(upheld.delta.context.vector(), [(mine.1.vector()[0].0, 2), theirs.1.vector()[0]]);
    assert_eq!(a.run(get()), value("mine"));
    assert_eq!(a.run(KeyOperation::ExpireTime), integer(-1));
}

#[test]
fn what_has_replaced_an_assignment_stands_and_what_came_before_both_goes() {
    let [mut a, mut b, mut c] = several();
    c.now -= 1;
    assign(&mut c, set("unseen"));
    let mine = assign(&mut a, set("mine"));
    b.state.join(&a.state);
    b.run(set_until("next", 2_000_000)).unwrap();
    a.state.join(&b.state);
    assert!(uphold(&mut a, &mine).unwrap().removed.is_empty());
    a.state.join(&c.state);
    assert!(!uphold(&mut a, &mine).unwrap().removed.is_empty());
    assert_eq!(a.run(get()), value("next"));
    assert_eq!(a.run(KeyOperation::ExpireTime), integer(2_000_000));
}

#[test]
fn what_was_deleted_stands_as_deleted_where_nothing_unseen_was_deleted_with_it() {
    for unseen in [false, true] {
        let [mut a, mut b] = several();
        if unseen {
            b.run(set_until("theirs", 2_000_000)).unwrap();
        }
        let mine = assign(&mut a, set("mine"));
        b.state.join(&a.state);
        b.run(KeyOperation::Delete).unwrap();
        a.state.join(&b.state);
        // That may have been what expired, and not what a client deleted.
        assert_eq!(uphold(&mut a, &mine).is_none(), unseen);
        assert_eq!(a.run(get()), nothing());
    }
}

#[test]
fn increments_that_an_assignment_took_back_stay_taken_back() {
    let [mut a, mut b, mut c] = several();
    a.run(StringOperation::IncrementBy(5)).unwrap();
    b.state.join(&a.state);
    c.state.join(&a.state);
    b.run(set("unseen")).unwrap();
    a.now += 1;
    let mine = assign(&mut a, set("10"));
    a.state.join(&b.state);
    // It has not heard of the assignment itself.
    c.state.join_delta(&uphold(&mut a, &mine).unwrap().delta);
    assert_eq!(c.run(get()), value("10"));
}

#[test]
fn what_was_left_over_elsewhere_is_told_to_be_gone() {
    let [mut a, mut b, mut c] = several();
    c.run(set("unseen")).unwrap();
    let mine = assign(&mut a, set("mine"));
    b.state.join(&a.state);
    b.state.join(&c.state);
    b.run(set("next")).unwrap();
    a.state.join(&b.state);
    let upheld = uphold(&mut a, &mine).unwrap();
    assert!(upheld.removed.is_empty(), "it was removed before");
    c.state.join_delta(&upheld.delta);
    assert_eq!(cells(&c.state), cells(&a.state));
}

#[test]
fn an_assignment_is_made_again_where_there_is_no_telling_what_came_after_it() {
    let increment = StringOperation::IncrementBy(1).operation();
    for (what, other, has_seen_it, later) in [
        ("a value that has not replaced it", set("later").operation(), false, 0),
        ("an increment", increment, true, 0),
        ("another type", sadd(&["member"]).operation(), false, 0),
        ("a deadline", expire_at(2_000_000).operation(), true, 0),
        ("a key that has expired", set_until("next", 2_000_000).operation(), true, 1_000_000),
    ] {
        let [mut a, mut b] = several();
        b.now += 1;
        let mine = assign(&mut a, set("1"));
        if has_seen_it {
            b.state.join(&a.state);
        }
        b.run(other).unwrap();
        a.state.join(&b.state);
        a.now += later;
        assert!(uphold(&mut a, &mine).is_none(), "{what}");
    }
    let [mut a, mut b, mut c] = several();
    let mine = assign(&mut a, set("mine"));
    for other in [&mut b, &mut c] {
        other.state.join(&a.state);
        other.run(set("next")).unwrap();
    }
    a.state.join(&b.state);
    assert!(uphold(&mut a, &mine).is_some());
    a.state.join(&c.state);
    assert!(uphold(&mut a, &mine).is_none(), "two have replaced it");
    a.state = State::new();
    a.run(set("mine")).unwrap();
    let elsewhere = Assigned::of(&c.evaluate(&set("x").operation(), &State::new()).1).unwrap();
    assert!(uphold(&mut a, &(elsewhere, Context::new())).is_none(), "it is not known any more");
}

/// Whatever each has seen by then, and whatever the clocks say: of all that several assign, what has the greatest stamp is there
/// in the end.
#[test]
fn assignments_that_are_upheld_do_not_remove_each_other() {
    let (mut upheld, mut again) = (0, 0);
    for seed in 0..20_000 {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut clients = several::<3>();
        let (mut assigned, mut greatest) = (Vec::new(), None);
        let winner = |client: &Client| cells(&client.state).0.winner().map(|(stamp, _)| stamp);
        for client in &mut clients {
            client.now += random.random_range(0..3);
            assigned.push(assign(client, set("v")));
            greatest = greatest.max(winner(client));
        }
        let mut open = [true; 3];
        while open.contains(&true) {
            let (to, from) = (random.random_range(0..3), random.random_range(0..3));
            let theirs = clients[from].state.clone();
            clients[to].state.join(&theirs);
            if !open[to] || random.random_bool(0.7) {
                continue;
            }
            open[to] = false;
            match uphold(&mut clients[to], &assigned[to]) {
                Some(_) => upheld += 1,
                None => {
                    clients[to].run(set("v")).unwrap();
                    greatest = greatest.max(winner(&clients[to]));
                    again += 1;
                }
            }
        }
        let [mut all, b, c] = clients;
        all.state.join(&b.state);
        all.state.join(&c.state);
        assert_eq!(winner(&all), greatest, "seed {seed}");
    }
    println!("{upheld} were upheld, {again} made again");
    assert!(upheld > 1_000 && again > 1_000);
}
