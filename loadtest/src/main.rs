//! `coterie-loadtest`: load, what it came to, and what it cost.
#![expect(clippy::print_stdout, reason = "it tells people what it found")]

mod arguments;
mod interrupted;
mod play;
mod progress;

use std::fs;
use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use coterie_loadtest::bench::{self, BenchError, Grip};
use coterie_loadtest::fault::Act;
use coterie_loadtest::kind::Kind;
use coterie_loadtest::mix::NAMED;
use coterie_loadtest::null::{Null, Stall};
use coterie_loadtest::report::page::page;
use coterie_loadtest::report::{Report, Verdict};

use arguments::{Arguments, CLUSTER, Command, NullArguments, PageArguments, RunArguments};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Command::Run(run) => load(&run),
        Command::Null(null) => serve(&null),
        Command::Page(page) => render(&page),
        Command::Demo(demo) => play::play(&demo),
        Command::Mixes => {
            mixes();
            Ok(ExitCode::SUCCESS)
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("coterie-loadtest: {error:#}");
        ExitCode::from(1)
    })
}

fn load(arguments: &RunArguments) -> anyhow::Result<ExitCode> {
    let cluster = arguments.opened()?;
    let mut plan = arguments.plan(cluster.as_ref(), std::env::args().collect())?;
    plan.over = interrupted::flag()?;
    let mut progress = progress::Progress::new(arguments.quiet, std::io::stderr().is_terminal());
    let mut tell = |event: bench::Event<'_>| progress.tell(&event);
    let report = match &cluster {
        None => bench::run(&plan, None, &mut tell),
        Some(cluster) => {
            let act = |act: &Act| cluster.act(act);
            let grip = Grip { target: CLUSTER, act: &act, owners: cluster };
            bench::run(&plan, Some(grip), &mut tell)
        }
    };
    let report = match report {
        Err(error @ BenchError::Interrupted) => {
            eprintln!("coterie-loadtest: {error}");
            return Ok(ExitCode::from(interrupted::CODE));
        }
        report => report?,
    };
    if let Some(path) = &arguments.json {
        fs::write(path, report.json())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    if let Some(path) = &arguments.html {
        fs::write(path, page(&report))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    println!("{}", progress::summary(&report));
    Ok(exit_code(&report))
}

fn exit_code(report: &Report) -> ExitCode {
    ExitCode::from(match report.verdict() {
        Verdict::Good => 0,
        Verdict::Void => 3,
        Verdict::Broken => 4,
        Verdict::Undecided => 5,
    })
}

fn serve(arguments: &NullArguments) -> anyhow::Result<ExitCode> {
    let stall = arguments
        .stall_after
        .map(|after_requests| Stall { after_requests, length: arguments.stall_for });
    let server = Null::start((arguments.host, arguments.port).into(), stall)?;
    println!("listens on {}; ends with Ctrl-C", server.address());
    server.wait()?;
    Ok(ExitCode::SUCCESS)
}

fn render(arguments: &PageArguments) -> anyhow::Result<ExitCode> {
    let path = arguments.report.display();
    let json =
        fs::read_to_string(&arguments.report).with_context(|| format!("cannot read {path}"))?;
    let report: Report =
        serde_json::from_str(&json).with_context(|| format!("{path} is no report"))?;
    fs::write(&arguments.html, page(&report))
        .with_context(|| format!("cannot write {}", arguments.html.display()))?;
    Ok(exit_code(&report))
}

fn mixes() {
    println!("Mixes, with how often each kind comes in percent:\n");
    for named in NAMED {
        let weights: Vec<String> =
            named.weights.iter().map(|(kind, weight)| format!("{kind}={weight}")).collect();
        println!("  {:<13} {}\n  {:<13} {}", named.name, named.about, "", weights.join(","));
    }
    println!("\nKinds of operations, for mixes of your own (--mix get=80,set=20):\n");
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Load) {
        println!("  {:<13} {}", kind.name(), kind.help());
    }
}
