//! One value, whatever the network and the crashes do; and which rule each of that rests on.

use super::model::{Explored, Id, Operation, Scope, Script, Task};
use coterie_ring::register::{Electorate, NextPrepare, Rule};

const THREE: [Id; 3] = [Id(0), Id(1), Id(2)];

fn script(members: &[Id], tasks: &[Task], attempts: u8) -> Script {
    let electorate = Electorate::single(members).unwrap();
    Script { electorate, tasks: tasks.to_vec(), attempts, after: None }
}

fn scope(name: &'static str, scripts: Vec<Script>) -> Scope {
    let next_prepare = NextPrepare::Separate;
    Scope { name, acceptors: 3, scripts, next_prepare, crashes: 0, without: None }
}

fn if_absent(bit: u8) -> Task {
    Task::Change(Operation::IfAbsent(bit))
}

fn add(bit: u8) -> Task {
    Task::Change(Operation::Add(bit))
}

fn states_max(quick: usize, proof: usize) -> usize {
    if std::env::var_os("COTERIE_PROOF").is_some() { proof } else { quick }
}

fn explore(scope: &Scope, states_max: usize) -> Explored {
    let explored = scope.explore(states_max);
    println!(
        "{}: {} states, {}",
        scope.name,
        explored.states,
        if explored.complete { "all there are" } else { "then stopped" }
    );
    explored
}

#[track_caller]
fn holds(scope: &Scope, quick: usize, proof: usize) {
    let explored = explore(scope, states_max(quick, proof));
    assert_eq!(explored.violation, None);
}

/// The scope that is searched to its end: two acceptors, or three at full size.
#[test]
fn two_single_attempts_in_every_interleaving() {
    let members = &THREE[..states_max(2, 3)];
    let scripts = vec![script(members, &[if_absent(1)], 1), script(members, &[if_absent(2)], 1)];
    let explored = explore(&scope("two single attempts", scripts), 3_000_000);
    assert_eq!(explored.violation, None);
    assert!(explored.complete);
}

#[test]
fn of_two_conditional_writes_one_lands() {
    let scripts = vec![script(&THREE, &[if_absent(1)], 2), script(&THREE, &[if_absent(2)], 1)];
    holds(&Scope { crashes: 1, ..scope("two if-absent writes", scripts) }, 50_000, 1_000_000);
}

#[test]
fn a_dead_proposers_write_is_either_gone_or_kept_by_all() {
    // The first may stop anywhere: nothing makes it go on.
    let reader = [add(4), Task::Read];
    let scripts = vec![script(&THREE, &[add(1)], 1), script(&THREE, &reader, 2)];
    holds(&scope("a write, a write and a read", scripts), 50_000, 1_000_000);
}

#[test]
fn three_proposers_agree() {
    let scripts = (0..3).map(|bit| script(&THREE, &[if_absent(1 << bit)], 1)).collect();
    holds(&scope("three if-absent writes", scripts), 50_000, 1_000_000);
}

#[test]
fn a_read_in_one_round_trip_is_never_older_than_the_last() {
    let scripts = vec![script(&THREE, &[add(1)], 1), script(&THREE, &[Task::Read, Task::Read], 3)];
    holds(&scope("a write and two reads", scripts), 50_000, 1_000_000);
}

#[test]
fn a_prepare_on_the_way_keeps_order() {
    let scripts = vec![script(&THREE, &[add(1), add(2)], 2), script(&THREE, &[add(4)], 1)];
    let scope = scope("two piggybacked writes and another", scripts);
    holds(&Scope { next_prepare: NextPrepare::Piggyback, ..scope }, 50_000, 1_000_000);
}

#[test]
fn joint_and_plain_electorates_agree_while_ownership_moves() {
    let (old, new) = ([Id(0), Id(1)], [Id(1), Id(2)]);
    let joint = Electorate::joint(&[&old, &new]).unwrap();
    let writer = Script { electorate: joint, tasks: vec![add(1)], attempts: 2, after: None };
    let scripts = vec![writer, script(&old, &[if_absent(2)], 2)];
    holds(&scope("old owners and both", scripts), 50_000, 1_000_000);
}

/// Walks of a rule's scope in which its absence has to show.
const WALKS_MAX: usize = 50_000;

/// Two proposers of the first version, whose value says who votes on the second, and one more for each
/// that proposes the second as soon as it knows.
fn two_versions(voters: &[Id], attempts: u8) -> Scope {
    let first = |bit, attempts| script(voters, &[if_absent(bit)], attempts);
    let second = |bit, after| Script { after: Some(after), ..first(bit, 1) };
    let scripts = vec![first(1, attempts), first(2, 1), second(4, 0), second(8, 1)];
    Scope { acceptors: 5, ..scope("voters that change between versions", scripts) }
}

#[test]
fn each_version_has_one_value_though_the_first_chooses_the_seconds_voters() {
    holds(&two_versions(&THREE[..2], 1), 100_000, 1_000_000);
    holds(&two_versions(&THREE, 1), 20_000, 1_000_000);
}

#[test]
fn two_voter_sets_for_one_version_are_caught() {
    is_caught(Rule::Majority, two_versions(&THREE, 1));
}

#[track_caller]
fn is_caught(without: Rule, scope: Scope) {
    let intact = scope.walk(1, 2_000);
    assert_eq!(intact.violation, None);
    let walked = Scope { without: Some(without), ..scope }.walk(1, WALKS_MAX);
    let violation = walked.violation.expect("switching the rule off is noticed");
    println!("without {without:?}, seed 1, after {} states: {violation}", walked.states);
}

#[test]
fn joining_across_ballots_is_caught() {
    let scripts = vec![
        script(&THREE, &[if_absent(1)], 1),
        script(&THREE, &[if_absent(2)], 1),
        script(&THREE, &[if_absent(4)], 1),
    ];
    is_caught(Rule::HighestBallot, scope("joined", scripts));
}

#[test]
fn accepting_below_a_promise_is_caught() {
    let scripts = vec![script(&THREE, &[if_absent(1)], 1), script(&THREE, &[if_absent(2)], 1)];
    is_caught(Rule::PromiseBinds, scope("below a promise", scripts));
}

#[test]
fn a_promise_that_a_crash_forgets_is_caught() {
    let scripts = vec![script(&THREE, &[if_absent(1)], 1), script(&THREE, &[if_absent(2)], 1)];
    is_caught(Rule::DurablePromise, Scope { crashes: 1, ..scope("forgotten", scripts) });
}

#[test]
fn less_than_a_majority_is_caught() {
    let scripts = vec![script(&THREE, &[if_absent(1)], 1), script(&THREE, &[if_absent(2)], 1)];
    is_caught(Rule::Majority, scope("a minority", scripts));
}

#[test]
fn a_read_of_several_ballots_is_caught() {
    let scripts = vec![script(&THREE, &[add(1)], 1), script(&THREE, &[Task::Read, Task::Read], 2)];
    is_caught(Rule::OneBallotRead, scope("a hasty read", scripts));
}

#[test]
fn keeping_what_was_not_chosen_is_caught() {
    let scripts = vec![script(&THREE, &[add(1)], 1), script(&THREE, &[Task::Read, Task::Read], 4)];
    is_caught(Rule::KeepIsChosen, scope("kept too early", scripts));
}
