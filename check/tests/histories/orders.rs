//! Linearizability against brute force: every order of up to seven operations, and longer histories of
//! sets that only grow by both ways of judging them.

use std::collections::BTreeSet;

use coterie_check::{
    Action, Answer, Before, BucketKind, Check, Condition, Level, Operation, Part, SessionId,
    Strong, Verdict, View,
};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::script::{Script, add, assign, name, remove};
use crate::size;

/// A key as a child would write it down.
#[derive(Clone, Default)]
struct Model {
    elements: BTreeSet<String>,
    counter: i64,
    register: Option<String>,
    flag: bool,
}

impl Model {
    fn apply(&mut self, action: &Action) -> Answer {
        match action {
            Action::Add { element } => {
                self.elements.insert(element.to_string());
            }
            Action::Remove { element } => {
                self.elements.remove(&element.to_string());
            }
            Action::Increment { by } => self.counter += by,
            Action::Assign { value } => self.register = Some(value.to_string()),
            Action::Enable => self.flag = true,
            Action::Disable => self.flag = false,
            Action::Delete => *self = Model::default(),
            Action::Read(part) => return Answer::Shown(self.view(*part)),
            Action::Strong(strong) => return self.apply_strong(strong),
        }
        Answer::Stored
    }

    fn view(&self, part: Part) -> View {
        let whole = part == Part::Whole;
        let mut view = View::default();
        if whole || part == Part::Set {
            view.elements = self.elements.iter().map(|element| name(element)).collect();
        }
        if whole || part == Part::Counter {
            view.counter = self.counter;
        }
        if whole || part == Part::Register {
            view.register = self.register.iter().map(|value| name(value)).collect();
        }
        view.flag = (whole || part == Part::Flag) && self.flag;
        view
    }

    fn apply_strong(&mut self, strong: &Strong) -> Answer {
        let held = self.register.as_deref().map(name);
        match strong {
            Strong::Get => Answer::Held(held),
            Strong::GetDelete => {
                self.register = None;
                Answer::Held(held)
            }
            Strong::Delete => Answer::Deleted(self.register.take().is_some()),
            Strong::Set { value, condition } => {
                let applied = match condition {
                    Condition::Always => true,
                    Condition::IfAbsent => held.is_none(),
                    Condition::IfPresent => held.is_some(),
                    Condition::IfEqual(expected) => held.as_ref() == Some(expected),
                };
                if applied {
                    self.register = Some(value.to_string());
                }
                Answer::Set { applied, before: held.map_or(Before::Nothing, Before::Value) }
            }
            Strong::Increment { by } => {
                let number = self.register.as_ref().map_or(Ok(0), |held| held.parse::<i64>());
                match number {
                    Ok(number) => {
                        self.register = Some((number + by).to_string());
                        Answer::Number(number + by)
                    }
                    Err(_) => Answer::NotANumber,
                }
            }
        }
    }
}

/// Whether some order explains the answers: tries them all.
fn some_order(operations: &[Operation], taken: &mut Vec<usize>, model: &Model) -> bool {
    let waiting = |index: &usize| !taken.contains(index);
    let rest: Vec<usize> = (0..operations.len()).filter(waiting).collect();
    if rest.iter().all(|&index| !operations[index].is_done()) {
        return true;
    }
    for &index in &rest {
        if rest.iter().any(|&other| operations[other].precedes(&operations[index])) {
            continue;
        }
        let mut next = model.clone();
        let answer = next.apply(&operations[index].action);
        if operations[index].answer().is_some_and(|given| *given != answer) {
            continue;
        }
        taken.push(index);
        if some_order(operations, taken, &next) {
            return true;
        }
        taken.pop();
    }
    false
}

fn mergeable(random: &mut Xoshiro256PlusPlus, index: usize) -> Action {
    let element = ["a", "b"][random.random_range(0..2)];
    match random.random_range(0..12) {
        0 | 1 => add(element),
        2 => remove(element),
        3 => Action::Increment { by: random.random_range(-1..3) },
        4 => assign(&format!("v{index}")),
        5 => Action::Enable,
        6 => Action::Disable,
        7 => Action::Read(Part::Counter),
        8 => Action::Read(Part::Register),
        9 => Action::Read(Part::Flag),
        10 => Action::Read(Part::Set),
        _ => Action::Read(Part::Whole),
    }
}

fn strong(random: &mut Xoshiro256PlusPlus) -> Action {
    let value = name(["1", "2", "x"][random.random_range(0..3)]);
    Action::Strong(match random.random_range(0..9) {
        0 | 1 => Strong::Get,
        2 => Strong::GetDelete,
        3 => Strong::Delete,
        4 => Strong::Increment { by: 1 },
        5 => Strong::Set { value, condition: Condition::Always },
        6 => Strong::Set { value, condition: Condition::IfPresent },
        7 => Strong::Set { value, condition: Condition::IfEqual(name("1")) },
        _ => Strong::Set { value, condition: Condition::IfAbsent },
    })
}

/// What a store that takes each operation in one moment answers.
fn atomic(
    random: &mut Xoshiro256PlusPlus,
    kind: BucketKind,
    actions: Vec<Action>,
    concurrency: u64,
) -> Script {
    let mut script = Script::new(kind);
    let mut model = Model::default();
    for (moment, action) in actions.into_iter().enumerate() {
        let moment = 4 * moment as u64 + 4 * concurrency;
        let lost = random.random_bool(0.2);
        let answer =
            if lost && random.random_bool(0.5) { Answer::Stored } else { model.apply(&action) };
        let from = moment - random.random_range(0..4 * concurrency);
        let to = moment + random.random_range(0..4 * concurrency);
        let operation = match lost {
            true => script.unknown(from, action),
            false => script.done(from..to, action, answer),
        };
        operation.level = Level::Linearizable;
        operation.session = SessionId(random.random_range(0..crate::script::SESSIONS));
    }
    script
}

/// Changes one answer, or when one was given.
fn mutate(random: &mut Xoshiro256PlusPlus, script: &mut Script) {
    let index = random.random_range(0..script.operations.len());
    let operation = &mut script.operations[index];
    let coterie_check::Outcome::Done { returned, answer, .. } = &mut operation.outcome else {
        return;
    };
    if random.random_bool(0.3) {
        returned.0 = operation.invoked.0 + random.random_range(0..3);
        return;
    }
    match answer {
        Answer::Shown(view) => {
            let Action::Read(part) = operation.action else { return };
            match part {
                Part::Counter => view.counter += 1,
                Part::Flag => view.flag = !view.flag,
                Part::Register if view.register.pop().is_none() => view.register.push(name("v0")),
                Part::Register => {}
                Part::Set | Part::Whole if random.random_bool(0.7) => {
                    view.elements.pop();
                }
                Part::Set | Part::Whole if !view.elements.contains(&name("b")) => {
                    view.elements.push(name("b"));
                }
                Part::Set | Part::Whole => {}
            }
        }
        Answer::Held(held) => *held = Some(name("2")),
        Answer::Set { applied, before } => {
            *applied = !*applied;
            *before = Before::NotAsked;
        }
        Answer::Number(number) => *number += 1,
        Answer::Deleted(found) => *found = !*found,
        Answer::Stored | Answer::NotANumber => {}
    }
}

/// Brute force knows what strong sets held before; a client that did not ask does not compare it.
fn agrees(script: &Script) -> bool {
    let mut operations = script.operations.clone();
    operations.retain(|o| o.is_done() || !matches!(o.action, Action::Read(_)));
    let asked =
        |o: &Operation| !matches!(o.answer(), Some(Answer::Set { before: Before::NotAsked, .. }));
    if operations.iter().all(asked) {
        return some_order(&operations, &mut Vec::new(), &Model::default());
    }
    // Every value that may have been held.
    let values = [None, Some(name("1")), Some(name("2")), Some(name("3")), Some(name("x"))];
    let index = operations.iter().position(|o| !asked(o)).unwrap();
    values.iter().any(|value| {
        let mut script = Script::new(script.kind);
        script.operations.clone_from(&operations);
        if let coterie_check::Outcome::Done { answer: Answer::Set { before, .. }, .. } =
            &mut script.operations[index].outcome
        {
            *before = value.clone().map_or(Before::Nothing, Before::Value);
        }
        agrees(&script)
    })
}

#[test]
fn searches_agree_with_every_order() {
    let (mut right, mut wrong) = (0, 0);
    for seed in 0..size(6_000, 300_000) {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let kind = [BucketKind::Strict, BucketKind::Strong][random.random_range(0..2)];
        let count = random.random_range(2..8);
        let actions = (0..count).map(|index| match kind {
            BucketKind::Strong => strong(&mut random),
            BucketKind::Strict | BucketKind::Sloppy => mergeable(&mut random, index),
        });
        let actions: Vec<Action> = actions.collect();
        let mut script = atomic(&mut random, kind, actions, 3);
        for _ in 0..random.random_range(0..3) {
            mutate(&mut random, &mut script);
        }
        let verdict = script.judge(Check::Linearizable);
        let expected = agrees(&script);
        match &verdict {
            Verdict::Kept(_) => assert!(expected, "seed {seed}: {:#?}", script.operations),
            Verdict::Broken(violation) => {
                assert!(!expected, "seed {seed}: {violation}\n{:#?}", script.operations);
            }
            Verdict::Undecided(undecided) => panic!("seed {seed}: {undecided}"),
        }
        *if expected { &mut right } else { &mut wrong } += 1;
    }
    println!("{right} histories have an order, {wrong} have none");
    assert!(right > 1000 && wrong > 1000);
}

#[test]
fn chains_agree_with_searches() {
    let (mut right, mut wrong) = (0, 0);
    for seed in 0..size(2_000, 50_000) {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let actions = (0..random.random_range(5..30)).map(|index| {
            if random.random_bool(0.5) {
                add(&format!("e{index}"))
            } else {
                Action::Read(Part::Set)
            }
        });
        let actions: Vec<Action> = actions.collect();
        let mut script = atomic(&mut random, BucketKind::Strict, actions, 3);
        for _ in 0..random.random_range(0..6) {
            mutate(&mut random, &mut script);
        }
        let by_chain = script.judge(Check::Linearizable);
        // A flag lowered to begin with changes nothing, but is no add.
        let mut level = Level::Linearizable;
        std::mem::swap(&mut script.done(0..1, Action::Disable, Answer::Stored).level, &mut level);
        let by_search = script.judge(Check::Linearizable);
        let kept = |verdict: &Verdict| match verdict {
            Verdict::Kept(_) => true,
            Verdict::Broken(_) => false,
            Verdict::Undecided(undecided) => panic!("seed {seed}: {undecided}"),
        };
        assert_eq!(kept(&by_chain), kept(&by_search), "seed {seed}: {by_chain:?} {by_search:?}");
        if let Verdict::Broken(violation) = &by_search {
            assert!(violation.operations.len() <= 12, "seed {seed}: {violation}");
        }
        *if kept(&by_chain) { &mut right } else { &mut wrong } += 1;
    }
    println!("{right} histories have an order, {wrong} have none");
    assert!(right > 400 && wrong > 300);
}
