//! Longer histories of a small store that keeps its promises, which every checker must accept, and
//! the same with one thing broken, which some checker must not.

use std::collections::{BTreeMap, BTreeSet};

use coterie_check::{
    Action, Answer, BucketKind, Cell, Check, Dot, Level, LiveCell, Name, Nanos, Operation, Outcome,
    Part, SessionId, Verdict, View,
};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::script::{Script, add, assign, remove};
use crate::size;

const REPLICAS: usize = 3;

/// A replica's state, or a delta: what was written, and which of it was dropped. Joined by union.
#[derive(Clone, Default)]
struct State {
    written: BTreeMap<Dot, Write>,
    dropped: BTreeSet<Dot>,
}

#[derive(Clone)]
struct Write {
    part: Written,
    stamp: u64,
}

#[derive(Clone, PartialEq)]
enum Written {
    Element(Name),
    Value(Name),
    Flag,
    Amount(i64),
    Nothing,
}

impl State {
    fn join(&mut self, other: &State) {
        self.written.extend(other.written.iter().map(|(dot, write)| (*dot, write.clone())));
        self.dropped.extend(&other.dropped);
    }

    fn live(&self) -> impl Iterator<Item = (Dot, &Write)> {
        let live = self.written.iter().filter(|(dot, _)| !self.dropped.contains(dot));
        live.map(|(dot, write)| (*dot, write))
    }

    fn view(&self, part: Part) -> View {
        let mut view = View::default();
        let mut elements = BTreeSet::new();
        let mut winner = None;
        for (dot, write) in self.live() {
            match &write.part {
                Written::Element(element) => drop(elements.insert(element.clone())),
                Written::Value(value) => winner = winner.max(Some((write.stamp, dot, value))),
                Written::Flag => view.flag = true,
                Written::Amount(by) => view.counter += by,
                Written::Nothing => {}
            }
        }
        view.elements.extend(elements);
        view.register.extend(winner.map(|(_, _, value)| value.clone()));
        let whole = View::default();
        match part {
            Part::Set => View { elements: view.elements, ..whole },
            Part::Counter => View { counter: view.counter, ..whole },
            Part::Register => View { register: view.register, ..whole },
            Part::Flag => View { flag: view.flag, ..whole },
            Part::Whole => view,
        }
    }

    fn cells(&self) -> Vec<LiveCell> {
        let mut cells: BTreeMap<Cell, (Vec<Name>, Vec<Dot>)> = BTreeMap::new();
        for (dot, write) in self.live() {
            let (cell, value) = match &write.part {
                Written::Element(element) => (Cell::Element(element.clone()), None),
                Written::Value(value) => (Cell::Register, Some(value.clone())),
                Written::Flag => (Cell::Flag, None),
                Written::Amount(_) | Written::Nothing => continue,
            };
            let (values, dots) = cells.entry(cell).or_default();
            values.extend(value);
            dots.push(dot);
        }
        let cells = cells.into_iter();
        cells.map(|(cell, (values, dots))| LiveCell { cell, values, dots: Some(dots) }).collect()
    }
}

/// Whether an action drops what is live.
type Drops = Box<dyn Fn(&Written) -> bool>;

/// What an action writes, and what it drops.
fn effect(action: &Action) -> (Written, Drops) {
    match action {
        Action::Add { element } | Action::Remove { element } => {
            let cell = Written::Element(element.clone());
            let adds = matches!(action, Action::Add { .. });
            let written = if adds { cell.clone() } else { Written::Nothing };
            (written, Box::new(move |live| *live == cell))
        }
        Action::Assign { value } => {
            let register = |live: &Written| matches!(live, Written::Value(_));
            (Written::Value(value.clone()), Box::new(register))
        }
        Action::Enable => (Written::Flag, Box::new(|live| *live == Written::Flag)),
        Action::Disable => (Written::Nothing, Box::new(|live| *live == Written::Flag)),
        Action::Increment { by } => (Written::Amount(*by), Box::new(|_| false)),
        _ => (Written::Nothing, Box::new(|live| *live != Written::Nothing)),
    }
}

fn action(random: &mut Xoshiro256PlusPlus, index: u64, told: bool) -> Action {
    let element = format!("e{}", random.random_range(0..index / 4 + 2));
    match random.random_range(0..20) {
        0..=3 => add(&element),
        4 | 5 => remove(&element),
        6 | 7 => Action::Increment { by: random.random_range(-2..5) },
        8 | 9 => assign(&format!("v{index}")),
        10 => Action::Enable,
        11 => Action::Disable,
        12 if !told => Action::Delete,
        12 | 13 => Action::Read(Part::Whole),
        14 => Action::Read(Part::Counter),
        15 | 16 => Action::Read(Part::Register),
        17 => Action::Read(Part::Flag),
        _ => Action::Read(Part::Set),
    }
}

/// An operation under way.
struct Plan {
    invoked: u64,
    evaluated: u64,
    returned: u64,
    session: u64,
    level: Level,
    action: Action,
}

/// Sessions that keep to one coordinator, which keeps what it reads: so they read their writes, and what
/// they have read stays read. Where `told`, clients are told everything and nothing is unknown.
fn run(random: &mut Xoshiro256PlusPlus, sessions: u64, rounds: u64, told: bool) -> Script {
    let mut plans = Vec::new();
    for session in 0..sessions {
        let mut now = 0;
        for round in 0..rounds {
            let invoked = now + random.random_range(0..30);
            let evaluated = invoked + random.random_range(0..20);
            let returned = evaluated + random.random_range(0..20);
            now = returned + 1;
            let level = [Level::One, Level::Quorum, Level::All][random.random_range(0..3)];
            let action = action(random, round * sessions + session, told);
            plans.push(Plan { invoked, evaluated, returned, session, level, action });
        }
    }
    plans.sort_by_key(|plan| (plan.evaluated, plan.session));
    let mut script = Script::new(BucketKind::Strict);
    let mut replicas = vec![State::default(); REPLICAS];
    let mut deliveries: BTreeMap<(u64, usize), (usize, State)> = BTreeMap::new();
    for (number, plan) in plans.into_iter().enumerate() {
        while deliveries.first_key_value().is_some_and(|(key, _)| key.0 <= plan.evaluated) {
            let (_, (to, delta)) = deliveries.pop_first().unwrap();
            replicas[to].join(&delta);
        }
        let coordinator = usize::try_from(plan.session).unwrap() % REPLICAS;
        let owners = usize::try_from(plan.level.owners_min(3)).unwrap();
        let others: Vec<usize> = (1..REPLICAS).map(|o| (coordinator + o) % REPLICAS).collect();
        for &other in &others[..owners - 1] {
            let state = replicas[other].clone();
            replicas[coordinator].join(&state);
        }
        let dot = Dot(number as u128 + 1);
        let returned = Nanos(plan.returned);
        let fate = if told { 9 } else { random.random_range(0..10) };
        let outcome = if let Action::Read(part) = plan.action {
            let answer = Answer::Shown(replicas[coordinator].view(part));
            Outcome::Done { returned, answer, dot: None, observed: None }
        } else if fate == 0 {
            // Lost on the way, or refused: never evaluated.
            match random.random_bool(0.5) {
                true => Outcome::Unknown { dot: None, observed: None },
                false => Outcome::Unavailable { returned },
            }
        } else {
            let (part, drops) = effect(&plan.action);
            let observed: Vec<(Dot, u64)> = (replicas[coordinator].live())
                .filter(|(_, write)| drops(&write.part))
                .map(|(dot, write)| (dot, write.stamp))
                .collect();
            let clock = plan.evaluated + 20 * plan.session;
            let above = observed.iter().map(|(_, stamp)| stamp + 1).max();
            let stamp = above.unwrap_or(0).max(clock);
            let observed: Vec<Dot> = observed.into_iter().map(|(dot, _)| dot).collect();
            let delta = State {
                written: BTreeMap::from([(dot, Write { part, stamp })]),
                dropped: observed.iter().copied().collect(),
            };
            replicas[coordinator].join(&delta);
            let unknown = fate == 1;
            for (place, &to) in others.iter().enumerate() {
                let acknowledges = place < owners - 1 && !unknown;
                let latest = plan.returned + if acknowledges { 0 } else { 150 };
                let at = random.random_range(plan.evaluated..=latest);
                deliveries.insert((at, 2 * number + place), (to, delta.clone()));
            }
            let knows = told || random.random_bool(0.7);
            let (dot, observed) = (knows.then_some(dot), knows.then_some(observed));
            match unknown {
                true => Outcome::Unknown { dot, observed },
                false => Outcome::Done { returned, answer: Answer::Stored, dot, observed },
            }
        };
        let operation = script.unknown(plan.invoked, plan.action);
        (operation.level, operation.outcome) = (plan.level, outcome);
        operation.session = SessionId(plan.session);
    }
    for (to, delta) in deliveries.into_values() {
        replicas[to].join(&delta);
    }
    for (owner, state) in (0..).zip(&replicas) {
        script.final_of(owner, state.cells(), state.view(Part::Counter).counter);
    }
    script
}

const JUDGES: [Check; 4] = [Check::Lost, Check::Counters, Check::Quorums, Check::Sessions];

fn rejected(script: &Script) -> bool {
    JUDGES.iter().any(|check| matches!(script.judge(*check), Verdict::Broken(_)))
}

#[test]
fn what_keeps_its_promises_is_accepted() {
    let (mut claims, mut excused) = (0, 0);
    for seed in 0..size(300, 20_000) {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let told = random.random_bool(0.5);
        let script = run(&mut random, 5, 20, told);
        for check in JUDGES {
            match script.judge(check) {
                Verdict::Kept(judged) => {
                    claims += judged.claims;
                    excused += judged.excused;
                }
                Verdict::Broken(violation) => panic!("seed {seed}, {check:?}: {violation}"),
                Verdict::Undecided(undecided) => panic!("seed {seed}, {check:?}: {undecided}"),
            }
        }
    }
    println!("{claims} claims kept, {excused} excused");
    assert!(claims > 50_000);
}

/// Breaks one thing, if there is one to break.
type Bug = fn(&mut Script, &mut Xoshiro256PlusPlus) -> bool;

const BUGS: [(&str, Bug); 6] = [
    ("lost", |script, random| {
        let cells = script.finals[0].cells.len();
        if cells == 0 {
            return false;
        }
        let lost = random.random_range(0..cells);
        script.finals.iter_mut().for_each(|state| drop(state.cells.remove(lost)));
        true
    }),
    ("resurrected", |script, _| {
        let removed = script.operations.iter().find_map(|operation| match &operation.action {
            Action::Remove { element } => Some((element.clone(), *operation.observed()?.first()?)),
            _ => None,
        });
        let Some((element, dot)) = removed else { return false };
        for state in &mut script.finals {
            let cell = Cell::Element(element.clone());
            match state.cells.iter_mut().find(|live| live.cell == cell) {
                Some(live) => live.dots.as_mut().unwrap().push(dot),
                None => {
                    state.cells.push(LiveCell { cell, values: Vec::new(), dots: Some(vec![dot]) });
                }
            }
        }
        true
    }),
    ("phantom", |script, _| {
        for state in &mut script.finals {
            state.cells.push(crate::script::live("nobody's", &[1 << 100]));
        }
        true
    }),
    ("counted twice", |script, _| {
        script.finals.iter_mut().for_each(|state| state.counter += 1);
        true
    }),
    ("diverged", |script, _| script.finals[0].cells.pop().is_some()),
    ("stale", |script, random| {
        let stands = |element: &Name, operations: &[Operation], read: &Operation| {
            let finals = &script.finals[0].cells;
            let kept = finals.iter().any(|live| live.cell == Cell::Element(element.clone()));
            let removed = operations.iter().any(|o| match &o.action {
                Action::Remove { element: removed } => removed == element,
                _ => false,
            });
            let written = operations.iter().any(|o| {
                o.action == Action::Add { element: element.clone() }
                    && o.precedes(read)
                    && o.level != Level::One
            });
            kept && !removed && written
        };
        let mut candidates = Vec::new();
        for (at, read) in script.operations.iter().enumerate() {
            let Some((_, view)) = read.shown().filter(|_| read.level != Level::One) else {
                continue;
            };
            let elements = view.elements.iter().enumerate();
            let standing = elements.filter(|(_, e)| stands(e, &script.operations, read));
            candidates.extend(standing.map(|(element, _)| (at, element)));
        }
        if candidates.is_empty() {
            return false;
        }
        let (at, element) = candidates[random.random_range(0..candidates.len())];
        match &mut script.operations[at].outcome {
            Outcome::Done { answer: Answer::Shown(view), .. } => {
                drop(view.elements.remove(element))
            }
            _ => return false,
        }
        true
    }),
];

#[test]
fn what_breaks_one_promise_is_rejected() {
    let mut broken = [0_u64; BUGS.len()];
    for seed in 0..size(200, 10_000) {
        for (index, (bug, inject)) in BUGS.into_iter().enumerate() {
            let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
            let mut script = run(&mut random, 5, 20, true);
            if inject(&mut script, &mut random) {
                assert!(rejected(&script), "seed {seed}: {bug}");
                broken[index] += 1;
            }
        }
    }
    println!("rejected: {:?}", BUGS.map(|(bug, _)| bug).iter().zip(broken).collect::<Vec<_>>());
    assert!(broken.iter().all(|&count| count > 50));
}
