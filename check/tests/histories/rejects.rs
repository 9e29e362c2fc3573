//! Historical bugs, each as the history that it leaves behind, and the checker that must see it; beside
//! each a history like it that is right.

use crate::script::{Script, add, assign, live, name, remove, seen};
use coterie_check::{
    Action, Answer, Before, BucketKind, Cell, Check, Condition, Dot, Fault, Level, LiveCell,
    SessionId, Strong, Undecided, Verdict,
};

fn element(text: &str) -> Cell {
    Cell::Element(name(text))
}

fn strict() -> Script {
    Script::new(BucketKind::Strict)
}

#[test]
fn lost_acknowledged_add() {
    let mut script = strict();
    script.write(0..5, add("a"), 1, &[]);
    script.write(6..9, add("b"), 2, &[]);
    script.finals(vec![live("b", &[2])], 0);
    let violation = script.violation(Check::Lost);
    assert_eq!(violation.fault, Fault::Lost(element("a")));
    assert_eq!(violation.operations, script.operations[..1]);

    script.finals.clear();
    script.write(10..12, remove("a"), 3, &[1]);
    script.finals(vec![live("b", &[2])], 0);
    script.assert_kept();
}

#[test]
fn dot_dropped_by_a_delta_that_claimed_too_much() {
    let mut script = strict();
    script.write(0..5, add("a"), 1, &[]);
    script.write(1..5, add("a"), 2, &[]);
    script.finals(vec![live("a", &[2])], 0);
    assert_eq!(script.violation(Check::Lost).fault, Fault::Lost(element("a")));

    script.finals.clear();
    script.finals(vec![live("a", &[1, 2])], 0);
    script.assert_kept();
}

#[test]
fn removed_by_a_remove_that_had_not_seen_it() {
    let mut script = strict();
    script.write(0..5, add("a"), 1, &[]);
    script.write(3..9, remove("a"), 2, &[]);
    script.finals(vec![], 0);
    assert_eq!(script.violation(Check::Lost).fault, Fault::Lost(element("a")));

    // Whoever was not told what it observed may have seen it.
    script.operations.pop();
    script.done(3..9, remove("a"), Answer::Stored);
    script.assert_kept();
}

#[test]
fn resurrected_element() {
    let mut script = strict();
    script.write(0..5, add("a"), 1, &[]);
    script.write(6..9, remove("a"), 2, &[1]);
    script.finals(vec![live("a", &[1])], 0);
    let violation = script.violation(Check::Lost);
    assert_eq!(violation.fault, Fault::Resurrected(element("a")));
    assert_eq!(violation.operations.len(), 2);

    script.finals.clear();
    script.finals(vec![seen("a")], 0);
    assert_eq!(script.violation(Check::Lost).fault, Fault::Resurrected(element("a")));

    // A concurrent add wins.
    script.write(7..8, add("a"), 3, &[]);
    script.assert_kept();
}

#[test]
fn phantom_value() {
    let mut script = strict();
    script.write(0..5, add("a"), 1, &[]);
    script.finals(vec![live("a", &[1]), live("b", &[9])], 0);
    assert_eq!(script.violation(Check::Lost).fault, Fault::Phantom(element("b")));

    script.finals.clear();
    script.finals(vec![live("a", &[1, 9])], 0);
    assert_eq!(script.violation(Check::Lost).fault, Fault::Phantom(element("a")));

    script.unknown(3, add("a"));
    script.assert_kept();
}

#[test]
fn refused_write_that_was_stored() {
    let mut script = strict();
    script.refused(0..5, add("a"));
    script.finals(vec![seen("a")], 0);
    let violation = script.violation(Check::Lost);
    assert_eq!(violation.fault, Fault::Phantom(element("a")));
    assert_eq!(violation.operations, script.operations);

    script.finals.clear();
    script.finals(vec![], 0);
    script.assert_kept();
}

#[test]
fn dot_minted_twice() {
    let mut script = strict();
    script.write(0..5, add("a"), 1, &[]);
    script.write(6..9, add("b"), 1, &[]);
    script.finals(vec![live("a", &[1]), live("b", &[1])], 0);
    assert_eq!(script.violation(Check::Lost).fault, Fault::DotReused(Dot(1)));
}

#[test]
fn owners_that_never_converge() {
    let mut script = strict();
    script.unknown(0, add("a"));
    script.final_of(0, vec![live("a", &[1])], 0);
    script.final_of(1, vec![live("a", &[1])], 0);
    script.final_of(2, vec![], 0);
    assert_eq!(script.violation(Check::Lost).fault, Fault::OwnersDiffer);

    script.finals.pop();
    let verdict = script.judge(Check::Lost);
    let missing = Undecided::MissingFinals { have: 2, need: 3 };
    assert_eq!(verdict, Verdict::Undecided(missing));

    script.final_of(2, vec![live("a", &[1])], 0);
    script.assert_kept();
}

#[test]
fn lost_register() {
    let mut script = strict();
    script.write(0..5, assign("v1"), 1, &[]);
    script.write(6..9, assign("v2"), 2, &[1]);
    script.finals(vec![], 0);
    assert_eq!(script.violation(Check::Lost).fault, Fault::Lost(Cell::Register));
}

fn increment(by: i64) -> Action {
    Action::Increment { by }
}

#[test]
fn counter_below_the_sum() {
    let mut script = strict();
    script.done(0..5, increment(2), Answer::Stored);
    script.done(1..5, increment(3), Answer::Stored);
    script.unknown(2, increment(4));
    for (counter, kept) in [(4, false), (5, true), (9, true), (10, false)] {
        script.finals.clear();
        script.finals(vec![], counter);
        if kept {
            script.assert_kept();
        } else {
            let shown = i128::from(counter);
            let fault = Fault::CounterOutOfBounds { shown, least: 5, most: 9 };
            assert_eq!(script.violation(Check::Counters).fault, fault);
        }
    }
}

#[test]
fn increment_applied_twice() {
    let mut script = strict();
    script.done(0..5, increment(1), Answer::Stored);
    script.read_counter(6..7, 2);
    script.finals(vec![], 1);
    let fault = Fault::CounterOutOfBounds { shown: 2, least: 1, most: 1 };
    assert_eq!(script.violation(Check::Counters).fault, fault);
}

#[test]
fn increment_swallowed_by_an_earlier_reset() {
    let mut script = strict();
    script.done(0..5, increment(7), Answer::Stored);
    script.done(6..9, Action::Delete, Answer::Stored);
    script.done(10..12, increment(1), Answer::Stored);
    script.finals(vec![], 0);
    // Whether the delete observed the first increment cannot be known, but not the second.
    let fault = Fault::CounterOutOfBounds { shown: 0, least: 1, most: 8 };
    assert_eq!(script.violation(Check::Counters).fault, fault);
    script.finals.clear();
    script.finals(vec![], 1);
    script.assert_kept();
}

#[test]
fn stale_read_after_a_quorum_write() {
    let mut script = strict();
    script.write(0..5, add("a"), 1, &[]);
    script.read_set(6..8, &[]).session = SessionId(1);
    script.finals(vec![live("a", &[1])], 0);
    assert_eq!(script.violation(Check::Quorums).fault, Fault::StaleRead(element("a")));

    // At ONE the quorums need not meet, nor in a sloppy bucket.
    script.operations[1].level = Level::One;
    script.assert_kept();
    script.operations[1].level = Level::Quorum;
    script.kind = BucketKind::Sloppy;
    script.assert_kept();
}

#[test]
fn stale_register_after_a_quorum_write() {
    let mut script = strict();
    script.write(0..5, assign("v1"), 1, &[]);
    script.write(6..9, assign("v2"), 2, &[1]);
    script.write(10..15, assign("v3"), 3, &[2]);
    script.read_register(16..18, &["v1"]).session = SessionId(1);
    assert!(matches!(
        script.violation(Check::Quorums).fault,
        Fault::StaleRead(Cell::Register) | Fault::ShownAfterRemoval(Cell::Register)
    ));
    script.operations.pop();
    script.read_register(16..18, &["v3"]).session = SessionId(1);
    assert!(matches!(script.judge(Check::Quorums), Verdict::Kept(_)));
}

#[test]
fn register_that_a_later_assignment_did_not_replace() {
    let both = |script: &mut Script| {
        let values = vec![name("v1"), name("v2")];
        let dots = Some(vec![Dot(1), Dot(2)]);
        script.finals(vec![LiveCell { cell: Cell::Register, values, dots }], 0);
    };
    let mut script = strict();
    script.write(0..5, assign("v1"), 1, &[]);
    script.write(6..9, assign("v2"), 2, &[]).observes = Some(Level::Quorum);
    both(&mut script);
    let violation = script.violation(Check::Quorums);
    assert_eq!(violation.fault, Fault::Resurrected(Cell::Register));
    assert_eq!(violation.operations, script.operations);

    // Too few show what they have, or it is not known how many.
    for observes in [Some(Level::One), None] {
        script.operations[1].observes = observes;
        assert!(matches!(script.judge(Check::Quorums), Verdict::Kept(_)));
    }

    // Nor had the other to be seen.
    let mut script = strict();
    script.write(0..7, assign("v1"), 1, &[]);
    script.write(6..9, assign("v2"), 2, &[]).observes = Some(Level::Quorum);
    both(&mut script);
    assert!(matches!(script.judge(Check::Quorums), Verdict::Kept(_)));
}

#[test]
fn removed_element_read_after_a_quorum_remove() {
    let mut script = strict();
    script.write(0..5, add("a"), 1, &[]);
    script.write(6..9, remove("a"), 2, &[1]);
    script.read_set(10..12, &["a"]).session = SessionId(1);
    assert_eq!(script.violation(Check::Quorums).fault, Fault::ShownAfterRemoval(element("a")));
}

#[test]
fn session_that_misses_its_own_write() {
    let mut script = Script::new(BucketKind::Sloppy);
    script.write(0..5, add("a"), 1, &[]).level = Level::One;
    script.read_set(6..8, &[]).level = Level::One;
    script.finals(vec![live("a", &[1])], 0);
    assert_eq!(script.violation(Check::Sessions).fault, Fault::OwnWriteMissed(element("a")));
    script.operations[1].session = SessionId(1);
    script.assert_kept();
}

#[test]
fn session_that_misses_its_own_removal() {
    let mut script = Script::new(BucketKind::Sloppy);
    script.write(0..5, add("a"), 1, &[]).session = SessionId(1);
    script.write(6..9, remove("a"), 2, &[1]);
    script.read_set(10..12, &["a"]);
    assert_eq!(script.violation(Check::Sessions).fault, Fault::OwnRemovalMissed(element("a")));
}

#[test]
fn non_monotonic_read() {
    let mut script = Script::new(BucketKind::Sloppy);
    script.write(0..5, add("a"), 1, &[]).session = SessionId(1);
    script.read_set(6..8, &["a"]);
    script.read_set(9..10, &[]);
    script.finals(vec![live("a", &[1])], 0);
    assert_eq!(script.violation(Check::Sessions).fault, Fault::NotMonotonic(element("a")));
    script.operations[2].session = SessionId(2);
    script.assert_kept();
}

#[test]
fn element_that_flaps() {
    let mut script = Script::new(BucketKind::Sloppy);
    script.write(0..5, add("a"), 1, &[]).session = SessionId(1);
    script.write(0..50, remove("a"), 2, &[1]).session = SessionId(1);
    script.read_set(6..8, &["a"]);
    script.read_set(9..10, &[]);
    script.finals(vec![], 0);
    script.assert_kept();
    script.read_set(11..12, &["a"]);
    assert_eq!(script.violation(Check::Sessions).fault, Fault::NotMonotonic(element("a")));
}

#[test]
fn register_and_counter_that_go_back() {
    let mut script = Script::new(BucketKind::Sloppy);
    script.write(0..5, assign("v1"), 1, &[]).session = SessionId(1);
    script.write(6..9, assign("v2"), 2, &[1]).session = SessionId(1);
    script.read_register(10..12, &["v2"]);
    script.read_register(13..15, &["v1"]);
    assert_eq!(script.violation(Check::Sessions).fault, Fault::NotMonotonic(Cell::Register));

    let mut script = Script::new(BucketKind::Sloppy);
    script.done(0..5, increment(1), Answer::Stored).session = SessionId(1);
    script.read_counter(6..7, 1);
    script.read_counter(8..9, 0);
    assert_eq!(script.violation(Check::Sessions).fault, Fault::CounterNotMonotonic);
}

fn linearizable(mut script: Script) -> Script {
    for (index, operation) in script.operations.iter_mut().enumerate() {
        operation.level = Level::Linearizable;
        operation.session = SessionId(index as u64 % crate::script::SESSIONS);
    }
    script
}

#[test]
fn abd_read_that_misses_an_earlier_add() {
    let mut script = strict();
    script.write(0..5, add("b"), 1, &[]);
    script.write(6..20, add("a"), 2, &[]);
    script.read_set(4..15, &["a"]);
    let violation = linearizable(script).violation(Check::Linearizable);
    assert_eq!(violation.fault, Fault::AddMissed(element("b")));
    assert_eq!(violation.operations.len(), 3);

    let mut script = strict();
    script.write(0..7, add("b"), 1, &[]);
    script.write(6..20, add("a"), 2, &[]);
    script.read_set(4..15, &["a"]);
    script.read_set(16..17, &["b", "a"]);
    let kept = linearizable(script).judge(Check::Linearizable);
    assert!(matches!(kept, Verdict::Kept(_)), "{kept:?}");
}

#[test]
fn linearizable_reads_that_do_not_nest() {
    let mut script = strict();
    script.write(0..50, add("a"), 1, &[]);
    script.write(0..50, add("b"), 2, &[]);
    script.read_set(1..40, &["a"]);
    script.read_set(1..40, &["b"]);
    let fault = linearizable(script).violation(Check::Linearizable).fault;
    assert_eq!(fault, Fault::ReadsDoNotNest);
}

#[test]
fn linearizable_read_that_misses_or_foresees() {
    let mut script = strict();
    script.write(0..5, add("a"), 1, &[]);
    script.read_set(6..7, &[]);
    let fault = linearizable(script).violation(Check::Linearizable).fault;
    assert_eq!(fault, Fault::AddMissed(element("a")));

    let mut script = strict();
    script.read_set(0..2, &["a"]);
    script.write(3..5, add("a"), 1, &[]);
    let fault = linearizable(script).violation(Check::Linearizable).fault;
    assert_eq!(fault, Fault::ReadBeforeWritten(element("a")));
}

#[test]
fn linearizable_remove_undone_by_a_late_read() {
    let mut script = strict();
    script.write(0..5, add("a"), 1, &[]);
    script.write(6..9, remove("a"), 2, &[1]);
    for round in 0..50 {
        script.write(
            10 + round..11 + round,
            add(&format!("other{round}")),
            10 + u128::from(round),
            &[],
        );
    }
    let mut shown: Vec<String> = (0..50).map(|round| format!("other{round}")).collect();
    shown.push("a".to_owned());
    let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
    script.read_set(100..101, &shown);
    let violation = linearizable(script).violation(Check::Linearizable);
    assert_eq!(violation.fault, Fault::NotLinearizable);
    // The other elements are no part of the evidence, nor is the add: the remove was over.
    assert_eq!(violation.operations.len(), 2, "{violation}");
}

#[test]
fn linearizable_flag_and_register_that_go_back() {
    let mut script = strict();
    script.write(0..5, Action::Enable, 1, &[]);
    script.read_flag(6..7, true);
    script.read_flag(8..9, false);
    let fault = linearizable(script).violation(Check::Linearizable).fault;
    assert_eq!(fault, Fault::NotLinearizable);

    let mut script = strict();
    script.write(0..50, assign("v1"), 1, &[]);
    script.write(0..50, assign("v2"), 2, &[]);
    script.read_register(1..2, &["v1"]);
    script.read_register(3..4, &["v2"]);
    script.read_register(5..6, &["v1"]);
    let fault = linearizable(script).violation(Check::Linearizable).fault;
    assert_eq!(fault, Fault::NotLinearizable);
}

#[test]
fn deletes_of_whole_keys_are_undecided_not_passed() {
    let mut script = strict();
    script.write(0..5, add("a"), 1, &[]);
    script.done(6..9, Action::Delete, Answer::Stored);
    let verdict = linearizable(script).judge(Check::Linearizable);
    assert!(matches!(verdict, Verdict::Undecided(Undecided::NotSpecified(_))), "{verdict:?}");
}

fn set(value: &str, condition: Condition) -> Action {
    Action::Strong(Strong::Set { value: name(value), condition })
}

fn applied(applied: bool) -> Answer {
    Answer::Set { applied, before: Before::NotAsked }
}

fn strong() -> Script {
    Script::new(BucketKind::Strong)
}

#[test]
fn two_if_absent_that_both_land() {
    let mut script = strong();
    script.done(0..5, set("v1", Condition::IfAbsent), applied(true));
    script.done(1..6, set("v2", Condition::IfAbsent), applied(true));
    let violation = linearizable(script).violation(Check::Linearizable);
    assert_eq!(violation.operations.len(), 2);

    let mut script = strong();
    script.done(0..5, set("v1", Condition::IfAbsent), applied(true));
    script.done(1..6, set("v2", Condition::IfAbsent), applied(false));
    let kept = linearizable(script).judge(Check::Linearizable);
    assert!(matches!(kept, Verdict::Kept(_)), "{kept:?}");
}

#[test]
fn lost_incr() {
    let incr = || Action::Strong(Strong::Increment { by: 1 });
    let mut script = strong();
    script.done(0..5, incr(), Answer::Number(1));
    script.done(1..6, incr(), Answer::Number(1));
    linearizable(script).violation(Check::Linearizable);

    let mut script = strong();
    script.done(0..5, incr(), Answer::Number(2));
    script.done(1..6, incr(), Answer::Number(1));
    script.unknown(2, incr());
    script.done(7..8, Action::Strong(Strong::Get), Answer::Held(Some(name("3"))));
    let kept = linearizable(script).judge(Check::Linearizable);
    assert!(matches!(kept, Verdict::Kept(_)), "{kept:?}");
}

#[test]
fn strong_value_read_twice_out_of_order_and_deleted_twice() {
    let get = |value| (Action::Strong(Strong::Get), Answer::Held(value));
    let mut script = strong();
    script.unknown(0, set("v1", Condition::Always));
    let (action, answer) = get(Some(name("v1")));
    script.done(1..2, action, answer);
    let (action, answer) = get(None);
    script.done(3..4, action, answer);
    linearizable(script).violation(Check::Linearizable);

    let mut script = strong();
    script.done(0..1, set("v1", Condition::Always), applied(true));
    script.done(2..9, Action::Strong(Strong::Delete), Answer::Deleted(true));
    script.done(2..9, Action::Strong(Strong::GetDelete), Answer::Held(Some(name("v1"))));
    linearizable(script).violation(Check::Linearizable);
}

#[test]
fn a_search_that_gives_up_says_so() {
    let mut script = strong();
    for index in 0..12 {
        script.unknown(0, set(&format!("v{index}"), Condition::Always));
    }
    script.done(1..2, Action::Strong(Strong::Get), Answer::Held(Some(name("phantom"))));
    let key = linearizable(script).key();
    let budget = coterie_check::linearizable::Budget { states_max: 100 };
    let verdict = Check::Linearizable.check(&key, budget);
    assert_eq!(verdict, Verdict::Undecided(Undecided::Budget { states: 101 }));
}
