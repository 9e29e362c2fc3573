//! No stale read with all rules, and one soon without any of them.

use crate::cluster::{Counts, Setup, Violation};
use crate::explorer::run;
use coterie_ring::moves::{Quorum, Rule};

/// Runs for each (N, W, R) with R + W > N, N = 1…5: 35 of them.
const RUNS_EACH: u64 = 600;
const RUNS_EACH_PROOF: u64 = 3_000;

/// Runs in which the absence of a rule has to show.
const RUNS_TO_CATCH: u64 = 20_000;

fn setups() -> impl Iterator<Item = Setup> {
    (1..=5_u8).flat_map(|owners| {
        (1..=owners).flat_map(move |write| {
            (owners - write + 1..=owners).map(move |read| Setup {
                owners: owners.into(),
                read_quorum: Quorum::Count(read),
                write_quorum: Quorum::Count(write),
                linearizable: false,
                without: None,
            })
        })
    })
}

fn add(total: &mut Counts, counts: Counts) {
    total.runs += counts.runs;
    total.acknowledged += counts.acknowledged;
    total.reads += counts.reads;
    total.layouts += counts.layouts;
    total.done += counts.done;
    total.crashes += counts.crashes;
    total.removed += counts.removed;
    total.deleted += counts.deleted;
}

/// Runs each setup with seeds from 0, and expects nothing to go wrong.
fn is_safe(name: &str, setups: &[Setup], runs_each: u64) {
    let mut total = Counts::default();
    for (number, setup) in setups.iter().enumerate() {
        for run_number in 0..runs_each {
            let seed = (number as u64) << 32 | run_number;
            let (counts, violation) = run(*setup, seed);
            assert_eq!(violation, None, "{setup:?}, seed {seed}");
            add(&mut total, counts);
        }
    }
    println!("{name}, 0 violations: {total:?}");
    assert!(total.done > 0 && total.crashes > 0 && total.deleted > 0);
}

fn runs_each() -> u64 {
    if std::env::var_os("COTERIE_PROOF").is_some() { RUNS_EACH_PROOF } else { RUNS_EACH }
}

#[test]
fn no_read_is_stale_for_every_read_and_write_quorum() {
    let setups: Vec<Setup> = setups().collect();
    assert_eq!(setups.len(), 35);
    is_safe("reads of R", &setups, runs_each());
}

fn linearizable() -> Vec<Setup> {
    let setup = |owners| Setup {
        owners,
        read_quorum: Quorum::Majority,
        write_quorum: Quorum::Majority,
        linearizable: true,
        without: None,
    };
    (1..=5).map(setup).collect()
}

#[test]
fn no_linearizable_read_is_stale() {
    is_safe("linearizable reads", &linearizable(), runs_each());
}

#[track_caller]
fn is_caught(rule: Rule, mut setups: Vec<Setup>, expected: &[Violation]) {
    setups.retain(|setup| setup.owners > 1);
    for setup in &mut setups {
        setup.without = Some(rule);
    }
    for number in 0..RUNS_TO_CATCH {
        let setup = setups[usize::try_from(number).unwrap() % setups.len()];
        if let (_, Some(violation)) = run(setup, number)
            && expected.contains(&violation)
        {
            println!("without {rule:?}: {violation:?} in run {}, {setup:?}", number + 1);
            return;
        }
    }
    panic!("switching {rule:?} off is not noticed in {RUNS_TO_CATCH} runs");
}

macro_rules! caught {
    ($($name:ident: $rule:ident, $setups:expr, $violations:expr;)*) => {$(
        #[test]
        fn $name() {
            is_caught(Rule::$rule, $setups, &$violations);
        }
    )*};
}

caught! {
    a_missing_fence_is_caught: Fence, setups().collect(), [Violation::StaleRead];
    a_fence_that_a_crash_forgets_is_caught: DurableFence, setups().collect(), [Violation::StaleRead];
    a_write_without_old_owners_is_caught: OldQuorum, setups().collect(), [Violation::StaleRead];
    a_write_without_new_owners_is_caught: NewQuorum, setups().collect(), [Violation::StaleRead];
    a_new_owner_that_answers_at_once_is_caught: Ready, setups().collect(), [Violation::StaleRead];
    one_push_instead_of_r_is_caught: ReadQuorumOfPushes, setups().collect(), [Violation::StaleRead];
    a_push_from_before_the_fence_is_caught: PushAfterFence, setups().collect(), [Violation::StaleRead];
    a_retired_owner_that_answers_is_caught: RetiredRefuses, setups().collect(), [Violation::StaleRead];
    retiring_early_is_caught: RetireLast, setups().collect(), [Violation::RetiredTooEarly];
    excusing_too_many_is_caught: EnoughRealPushes, setups().collect(), [Violation::RetiredTooEarly, Violation::StaleRead];
    deleting_at_once_is_caught: Hold, setups().collect(), [Violation::DeletedTooEarly];
    counting_early_answers_after_retired_is_caught: ReadyAfterRetired, linearizable(), [Violation::StaleRead];
}
