//! Weak promises against brute force: every choice of which unknown operations took place and which
//! operations a read had reached, of up to six operations.

use std::collections::BTreeSet;

use coterie_check::{
    Action, BucketKind, Cell, Check, Dot, Level, LiveCell, Operation, Outcome, SessionId, Verdict,
};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::script::{Script, add, name, remove};
use crate::size;

const ELEMENTS: [&str; 2] = ["a", "b"];

fn is_add_of(operation: &Operation, element: &str) -> bool {
    operation.action == add(element)
}

/// Adds and removes in which every dot is told, each observing what it may: dots of its element that
/// had begun before it returned.
fn told(random: &mut Xoshiro256PlusPlus, script: &mut Script) {
    for index in 0..random.random_range(1..6_u64) {
        let element = ELEMENTS[random.random_range(0..2)];
        let action = if random.random_bool(0.6) { add(element) } else { remove(element) };
        let observed: Vec<u128> = (script.operations.iter())
            .filter(|o| is_add_of(o, element) && random.random_bool(0.6))
            .map(|o| o.dot().unwrap().0)
            .collect();
        let from = 3 * index + random.random_range(0..6);
        let time = from..from + random.random_range(1..8);
        let operation = script.write(time, action, u128::from(index) + 1, &observed);
        operation.level = [Level::One, Level::Quorum][random.random_range(0..2)];
        operation.session = SessionId(1);
        if random.random_bool(0.25) {
            let (dot, observed) = (operation.dot(), operation.observed().map(<[Dot]>::to_vec));
            operation.outcome = Outcome::Unknown { dot, observed };
        }
    }
}

/// Live dots of an element after the operations that `took_place` picks by bit.
fn live(operations: &[Operation], took_place: u32, element: &str) -> BTreeSet<Dot> {
    let chosen = || operations.iter().enumerate().filter(|(i, _)| took_place >> i & 1 == 1);
    let dropped: BTreeSet<Dot> =
        chosen().flat_map(|(_, o)| o.observed().unwrap_or_default()).copied().collect();
    let added = chosen().filter(|(_, o)| is_add_of(o, element)).filter_map(|(_, o)| o.dot());
    added.filter(|dot| !dropped.contains(dot)).collect()
}

/// Choices of operations that hold those of `must` and none but those of `may`.
fn choices(
    operations: &[Operation],
    must: impl Fn(&Operation) -> bool,
    may: impl Fn(&Operation) -> bool,
) -> Vec<u32> {
    let fits = |choice: &u32| {
        operations.iter().enumerate().all(|(index, operation)| {
            let taken = choice >> index & 1 == 1;
            (taken || !must(operation)) && (!taken || may(operation))
        })
    };
    (0..1 << operations.len()).filter(fits).collect()
}

#[test]
fn losses_agree_with_every_choice() {
    let (mut right, mut wrong) = (0, 0);
    for seed in 0..size(20_000, 500_000) {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut script = Script::new(BucketKind::Strict);
        told(&mut random, &mut script);
        let operations = script.operations.clone();
        let choices = choices(&operations, Operation::is_done, Operation::is_possible);
        let truth = choices[random.random_range(0..choices.len())];
        let mut states = ELEMENTS.map(|element| live(&operations, truth, element));
        match random.random_range(0..4) {
            // Drop a dot, bring one back, or make one up.
            0 => drop(states[0].pop_first()),
            1 => drop(states[1].insert(Dot(random.random_range(1..6)))),
            2 if random.random_bool(0.1) => drop(states[0].insert(Dot(99))),
            _ => {}
        }
        let cells = ELEMENTS.iter().zip(&states).filter(|(_, dots)| !dots.is_empty());
        let cells = cells.map(|(element, dots)| LiveCell {
            cell: Cell::Element(name(element)),
            values: Vec::new(),
            dots: Some(dots.iter().copied().collect()),
        });
        script.finals(cells.collect(), 0);
        let expected = choices.iter().any(|&choice| {
            ELEMENTS.iter().zip(&states).all(|(e, dots)| live(&operations, choice, e) == *dots)
        });
        let verdict = script.judge(Check::Lost);
        let kept = matches!(verdict, Verdict::Kept(_));
        // Dots are judged one by one: that an unknown operation dropped one of those that it observed
        // and not the other is not seen.
        if kept && !expected {
            let unknown = operations.iter().filter(|o| !o.is_done()).count();
            assert!(unknown > 0, "seed {seed}: {states:?} {operations:#?}");
        }
        assert!(kept || !expected, "seed {seed}: {verdict:?} {states:?} {operations:#?}");
        *if kept { &mut right } else { &mut wrong } += 1;
    }
    println!("{right} final states are explained, {wrong} are not");
    assert!(right > 1000 && wrong > 1000);
}

#[test]
fn quorum_and_session_reads_agree_with_every_choice() {
    let mut counts = [0_u64; 4];
    for seed in 0..size(20_000, 500_000) {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut script = Script::new(BucketKind::Strict);
        told(&mut random, &mut script);
        let operations = script.operations.clone();
        let shown: Vec<&str> = ELEMENTS.into_iter().filter(|_| random.random_bool(0.5)).collect();
        let from = random.random_range(0..20);
        let session = random.random_range(0..2);
        let read = script.read_set(from..from + random.random_range(1..6), &shown);
        read.level = [Level::One, Level::Quorum][random.random_range(0..2)];
        read.session = SessionId(session);
        let read = read.clone();
        let explained = |binding: &dyn Fn(&Operation) -> bool| {
            let must = |o: &Operation| o.is_done() && o.precedes(&read) && binding(o);
            let may = |o: &Operation| !read.precedes(o);
            // Elements are judged one by one: what a read had reached of one says nothing of another.
            ELEMENTS.iter().all(|element| {
                let mut choices = choices(&operations, must, may).into_iter();
                let present = shown.contains(element);
                choices.any(|choice| live(&operations, choice, element).is_empty() != present)
            })
        };
        let quorum = |o: &Operation| o.level == Level::Quorum && read.level == Level::Quorum;
        let own = |o: &Operation| o.session == read.session;
        let judged = [(Check::Quorums, explained(&quorum)), (Check::Sessions, explained(&own))];
        for (place, (check, expected)) in judged.into_iter().enumerate() {
            let verdict = script.judge(check);
            let kept = matches!(verdict, Verdict::Kept(_));
            assert_eq!(kept, expected, "seed {seed}: {verdict:?} {:#?}", script.operations);
            counts[2 * place + usize::from(kept)] += 1;
        }
    }
    println!(
        "quorums: {} wrong, {} right; sessions: {} wrong, {} right",
        counts[0], counts[1], counts[2], counts[3]
    );
    assert!(counts.iter().all(|&count| count > 500));
}

#[test]
fn counters_agree_with_every_choice() {
    let (mut right, mut wrong) = (0, 0);
    for seed in 0..size(10_000, 200_000) {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut script = Script::new(BucketKind::Strict);
        let count = random.random_range(1..7_u64);
        // In steps of one, so that every sum of a choice is one of the interval.
        let by = [1, -1][random.random_range(0..2)];
        for index in 0..count {
            let action = Action::Increment { by };
            let from = 3 * index;
            if random.random_bool(0.3) {
                script.unknown(from, action);
            } else {
                let time = from..from + random.random_range(1..9);
                script.done(time, action, coterie_check::Answer::Stored);
            }
        }
        let operations = script.operations.clone();
        let (shown, last) = (by * random.random_range(0..7), by * random.random_range(0..7));
        let from = random.random_range(0..20);
        let read = script.read_counter(from..from + random.random_range(1..6), shown).clone();
        script.finals(vec![], last);
        let sum = |choice: &u32| i64::from(choice.count_ones()) * by;
        let seen =
            choices(&operations, |o| o.is_done() && o.precedes(&read), |o| !read.precedes(o));
        let end = choices(&operations, Operation::is_done, |_| true);
        let expected = seen.iter().any(|c| sum(c) == shown) && end.iter().any(|c| sum(c) == last);
        let verdict = script.judge(Check::Counters);
        let kept = matches!(verdict, Verdict::Kept(_));
        assert_eq!(kept, expected, "seed {seed}: {verdict:?} {:#?}", script.operations);
        *if kept { &mut right } else { &mut wrong } += 1;
    }
    println!("{right} sums are explained, {wrong} are not");
    assert!(right > 500 && wrong > 500);
}
