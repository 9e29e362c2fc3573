//! A load test from beginning to end: each phase against each target, in one report.

use std::fmt::{Debug, Formatter, Result as FmtResult};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::park_timeout;
use std::time::{Duration, Instant, SystemTime};

use thiserror::Error;

use crate::client::{Client, ClientError};
use crate::command::Shape;
use crate::fault::{Act, Fault};
use crate::judged::{self, AtAll, JudgeError, Owners};
use crate::level::Levels;
use crate::load::{self, Measured, Pace, Phase, Task};
use crate::plan::{Phases, Plan};
use crate::report::{
    Asked, Mark, Outcomes, PhaseName, Point, Report, Run, Summary, VERSION, rounded,
};
use crate::schedule::Nanos;
use crate::target::Target;
use crate::timeline::{mending, timeline};
use crate::void::void;
use crate::workload::{Records, Workload};

/// How long the load phase may take at the most.
const LOAD_MAX: Duration = Duration::from_secs(6 * 3_600);

/// How often a schedule of faults looks whether the run is over.
const LOOK: Duration = Duration::from_millis(20);

/// Why a load test could not be carried out.
#[derive(Debug, Error)]
pub enum BenchError {
    /// A target is not there, or refuses what the plan asks for.
    #[error("{target} cannot be put under load at {levels}")]
    Target {
        /// Which.
        target: String,
        /// At which levels.
        levels: Levels,
        /// Why not.
        #[source]
        why: ClientError,
    },
    /// Records could not be written.
    #[error("{target}: {missing} records could not be written; {text}")]
    NotLoaded {
        /// Where.
        target: String,
        /// How many.
        missing: u64,
        /// What was answered.
        text: String,
    },
    /// The generator itself failed.
    #[error("the generator failed")]
    Generator(#[source] io::Error),
    /// It was ended before anything was measured.
    #[error("interrupted; nothing was measured, and some of the records are written")]
    Interrupted,
    /// A cluster could not be made whole again after faults.
    #[error("the cluster could not be mended: {0}")]
    NotMended(String),
    /// What was recorded could not be judged.
    #[error(transparent)]
    Judge(#[from] JudgeError),
}

/// A hold on one of the targets: it can be broken, and its owners can be asked each by itself.
#[derive(Clone, Copy)]
pub struct Grip<'a> {
    /// The target's name.
    pub target: &'a str,
    /// Does something to it.
    pub act: &'a (dyn Fn(&Act) -> Result<(), String> + Sync),
    /// Reads what owners hold in the end.
    pub owners: &'a dyn Owners,
}

impl Debug for Grip<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        f.debug_struct("Grip").field("target", &self.target).finish_non_exhaustive()
    }
}

/// What is told while a load test is under way.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "their fields have the names of what they are")]
pub enum Event<'a> {
    /// A phase begins.
    Begins { run: &'a Run },
    /// A stretch of it is over.
    Passed { run: &'a Run, point: &'a Point },
    /// Something was broken or mended.
    Broken { mark: &'a Mark },
    /// It is over; with faults mended, and judged.
    Ended { run: &'a Run },
    /// Judged operations are over, and owners are waited for.
    Judging,
}

/// Carries out a plan.
///
/// Faults are carried out on the target that there is a grip on, while it is under load. What happens is told as it happens. If it
/// is ended early, what was measured until then is in the report, and later runs are not.
///
/// # Errors
/// If a target refuses what is asked for, records cannot be written, it is ended before anything was measured, or the generator fails.
pub fn run(
    plan: &Plan,
    grip: Option<Grip<'_>>,
    tell: &mut (dyn FnMut(Event<'_>) + Send),
) -> Result<Report, BenchError> {
    let mut report = empty(plan);
    for target in &plan.targets {
        // What is wrong shows before anything is written.
        for levels in &plan.levels {
            greet(plan, target, *levels)?;
        }
    }
    for target in &plan.targets {
        match put_under_load(plan, target, grip, &mut report.runs, tell) {
            Ok(()) => {}
            // What was measured until then is told.
            Err(BenchError::Interrupted) if !report.runs.is_empty() => break,
            Err(why) => return Err(why),
        }
    }
    Ok(report)
}

/// All phases of one target.
fn put_under_load(
    plan: &Plan,
    target: &Target,
    grip: Option<Grip<'_>>,
    runs: &mut Vec<Run>,
    tell: &mut (dyn FnMut(Event<'_>) + Send),
) -> Result<(), BenchError> {
    if plan.phases != Phases::Run {
        runs.push(fill(plan, target, tell)?);
    }
    let grip = grip.filter(|grip| grip.target == target.name);
    for levels in plan.levels.iter().filter(|_| plan.phases != Phases::Load) {
        go_on(plan)?;
        runs.push(operate(plan, target, *levels, grip, tell)?);
    }
    go_on(plan)
}

fn go_on(plan: &Plan) -> Result<(), BenchError> {
    if plan.over.load(Ordering::Relaxed) { Err(BenchError::Interrupted) } else { Ok(()) }
}

fn empty(plan: &Plan) -> Report {
    let started = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Report {
        coterie_loadtest: VERSION,
        arguments: plan.arguments.clone(),
        started_unix_ms: u64::try_from(started.as_millis()).unwrap_or_default(),
        processors: std::thread::available_parallelism().map_or(0, usize::from),
        workload: Asked {
            mix: plan.mix.name().to_owned(),
            weights: plan.mix.weights().to_vec(),
            distribution: plan.distribution,
            records: plan.records,
            elements: plan.elements,
            value_bytes: plan.value_bytes,
            connections: plan.connections,
            threads: plan.threads,
            pipeline: plan.pipeline,
            seed: plan.seed,
        },
        runs: Vec::new(),
    }
}

/// Whether every endpoint is there and takes what connections say first.
fn greet(plan: &Plan, target: &Target, levels: Levels) -> Result<(), BenchError> {
    for endpoint in &target.endpoints {
        Client::open(endpoint, &plan.access, levels, plan.patience)
            .map_err(|why| BenchError::Target { target: target.name.clone(), levels, why })?;
    }
    Ok(())
}

fn nanos(time: Duration) -> Nanos {
    Nanos::try_from(time.as_nanos()).unwrap_or(Nanos::MAX)
}

fn phase(plan: &Plan, target: &Target, levels: Levels, task: Task, pace: Pace) -> Phase {
    let fills = matches!(task, Task::Fill { .. });
    let counted = matches!(task, Task::Operate { operations: Some(_), .. });
    Phase {
        target: target.clone(),
        access: plan.access.clone(),
        levels,
        shape: Arc::new(Shape::new(&plan.prefix, plan.form, plan.elements, plan.value_bytes)),
        task,
        pace,
        connections: plan.connections,
        pipeline: plan.pipeline,
        warm_up: if fills || counted { 0 } else { nanos(plan.warm_up) },
        length: if fills || counted {
            nanos(LOAD_MAX)
        } else {
            nanos(plan.warm_up.saturating_add(plan.duration))
        },
        patience: nanos(plan.patience),
        interval: nanos(plan.interval).max(1_000_000),
        seed: plan.seed,
        base: Instant::now(),
        begin: OnceLock::new(),
        over: Arc::clone(&plan.over),
        over_at: OnceLock::new(),
    }
}

fn empty_run(phase: &Phase, name: PhaseName) -> Run {
    Run {
        target: phase.target.name.clone(),
        endpoints: phase.target.endpoints.iter().map(|endpoint| endpoint.text.clone()).collect(),
        levels: phase.levels,
        phase: name,
        pace: phase.pace,
        seconds: 0.0,
        rate: 0.0,
        outcomes: Outcomes::default(),
        unsent: 0,
        connections_lost: 0,
        latency: Summary::default(),
        service: Summary::default(),
        queue: Summary::default(),
        lag: Summary::default(),
        failed: Summary::default(),
        generator_busy: 0.0,
        ended_early: false,
        void: None,
        kinds: Vec::new(),
        series: Vec::new(),
        faults: Vec::new(),
        errors: Vec::new(),
        check: None,
    }
}

fn complete(run: &mut Run, plan: &Plan, measured: Measured) {
    run.measure(&measured.tally, measured.seconds);
    run.series = measured.points;
    run.connections_lost = measured.connections_lost;
    run.generator_busy = rounded(measured.busy);
    run.ended_early = plan.over.load(Ordering::Relaxed);
    run.void = void(run.pace, &measured.tally.lag, plan.lag_max, measured.busy);
}

/// The load phase: in a closed loop, at the bucket's own levels.
fn fill(
    plan: &Plan,
    target: &Target,
    tell: &mut (dyn FnMut(Event<'_>) + Send),
) -> Result<Run, BenchError> {
    let families = plan.mix.families();
    let expected = plan.records * families.len() as u64;
    let task = Task::Fill { families, records: plan.records };
    let phase = Arc::new(phase(plan, target, Levels::Default, task, Pace::Closed));
    let mut run = empty_run(&phase, PhaseName::Load);
    tell(Event::Begins { run: &run });
    let measured = load::run(
        &phase,
        plan.threads,
        || (),
        |point| {
            tell(Event::Passed { run: &run, point });
        },
    )
    .map_err(BenchError::Generator)?;
    complete(&mut run, plan, measured);
    tell(Event::Ended { run: &run });
    if run.outcomes.done < expected {
        go_on(plan)?;
        let text = run.errors.first().map_or("no server answered", |(text, _)| text).to_owned();
        let missing = expected - run.outcomes.done;
        return Err(BenchError::NotLoaded { target: target.name.clone(), missing, text });
    }
    Ok(run)
}

/// A run at some levels, with faults and judged clients beside it if there are to be any.
fn operate(
    plan: &Plan,
    target: &Target,
    levels: Levels,
    grip: Option<Grip<'_>>,
    tell: &mut (dyn FnMut(Event<'_>) + Send),
) -> Result<Run, BenchError> {
    let workload = Workload::new(plan.mix.clone(), plan.distribution, plan.records, plan.elements);
    let records = Arc::new(Records::new(plan.records));
    let operations = plan.operations.filter(|_| plan.pace == Pace::Closed);
    let task = Task::Operate { workload: Arc::new(workload), records, operations };
    let phase = Arc::new(phase(plan, target, levels, task, plan.pace));
    let mut run = empty_run(&phase, PhaseName::Run);
    tell(Event::Begins { run: &run });
    let clients = plan
        .judging
        .as_ref()
        .map(|judging| judged::Clients::start(judging, target, &plan.access, levels, plan.seed));
    let tell = Mutex::new(tell);
    let say = |event: Event<'_>| (tell.lock().unwrap_or_else(PoisonError::into_inner))(event);
    let (over, begun) = (AtomicBool::new(false), OnceLock::new());
    let (measured, faults) = std::thread::scope(|scope| {
        let act = grip.map(|grip| grip.act);
        let breaking = act.map(|act| {
            let schedule = timeline(&plan.faults);
            let (over, begun, say) = (&over, &begun, &say);
            scope.spawn(move || {
                inflict(&schedule, act, begun, over, &mut |mark| say(Event::Broken { mark }))
            })
        });
        let start = || {
            begun.get_or_init(|| Instant::now() + plan.warm_up);
        };
        let measured = load::run(&phase, plan.threads, start, |point| {
            say(Event::Passed { run: &run, point });
        });
        over.store(true, Ordering::Relaxed);
        let faults = breaking.map(|thread| thread.join());
        (measured, faults)
    });
    let mended = Instant::now();
    let measured = measured.map_err(BenchError::Generator)?;
    complete(&mut run, plan, measured);
    match faults {
        None => {}
        Some(Ok(Ok(marks))) => run.faults = marks,
        Some(Ok(Err(why))) => return Err(BenchError::NotMended(why)),
        Some(Err(_panic)) => return Err(BenchError::NotMended("the schedule panicked".to_owned())),
    }
    if let Some(clients) = clients {
        let recorded = clients.stop()?;
        say(Event::Judging);
        let owners = grip.map_or(&AtAll as &dyn Owners, |grip| grip.owners);
        run.check = Some(judged::judge(recorded, owners, target, &plan.access, mended)?);
    }
    say(Event::Ended { run: &run });
    Ok(run)
}

/// Carries out a schedule of faults, and undoes at the end what is left of them.
fn inflict(
    schedule: &[Fault],
    break_it: &(dyn Fn(&Act) -> Result<(), String> + Sync),
    begun: &OnceLock<Instant>,
    over: &AtomicBool,
    tell: &mut dyn FnMut(&Mark),
) -> Result<Vec<Mark>, String> {
    let mut marks = Vec::new();
    let mut done = Vec::new();
    for fault in schedule {
        let due = loop {
            if over.load(Ordering::Relaxed) {
                break None;
            }
            let due = begun.get().map(|begun| *begun + fault.at);
            match due.map(|due| due.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => break due,
                Some(left) => park_timeout(left.min(LOOK)),
                None => park_timeout(LOOK),
            }
        };
        if due.is_none() {
            break;
        }
        let at = begun.get().map_or(0.0, |begun| rounded(begun.elapsed().as_secs_f64()));
        let failed = break_it(&fault.act).err();
        if failed.is_none() {
            done.push(fault.act.clone());
        }
        let mark = Mark { at, what: fault.act.to_string(), failed };
        tell(&mark);
        marks.push(mark);
    }
    for act in mending(&done) {
        let at = begun.get().map_or(0.0, |begun| rounded(begun.elapsed().as_secs_f64()));
        break_it(&act).map_err(|why| format!("{act}: {why}"))?;
        let mark = Mark { at, what: format!("{act} (afterwards)"), failed: None };
        tell(&mark);
        marks.push(mark);
    }
    Ok(marks)
}
