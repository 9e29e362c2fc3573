//! `coterie-sim`: runs seeds, and says what they came to.
#![expect(clippy::print_stdout, reason = "it is a program")]

use std::process::ExitCode;

use clap::Parser;
use coterie_sim::fleet::Fleet;
use coterie_sim::{Options, Profile, run};

/// Runs whole clusters under injected faults, seed by seed.
#[derive(Debug, Parser)]
#[command(name = "coterie-sim")]
struct Arguments {
    /// How many seeds to run.
    #[arg(long, default_value_t = 2_000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    /// Run this one only, and print its options and trace.
    #[arg(long)]
    seed: Option<u64>,
    /// How seeds are expanded: mixed, hot, island, forgetting, power, large or twins.
    #[arg(long, default_value = "mixed", value_parser = profile)]
    profile: Profile,
    /// Of the faults that a seed has, let only these happen: names with commas between them, or `none`.
    #[arg(long)]
    only: Option<String>,
    /// How many of the last lines of the trace to print with `--seed`.
    #[arg(long, default_value_t = 10_000)]
    lines: usize,
    /// Threads; seeds are independent of each other.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let clean = match arguments.seed {
        Some(seed) => replay(&arguments.options(seed), arguments.lines),
        None => run_all(&arguments),
    };
    if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn profile(name: &str) -> Result<Profile, String> {
    let named = Profile::ALL.into_iter().find(|profile| profile.name() == name);
    named.ok_or_else(|| {
        let names: Vec<&str> = Profile::ALL.iter().map(|profile| profile.name()).collect();
        format!("it is one of {}", names.join(", "))
    })
}

impl Arguments {
    fn options(&self, seed: u64) -> Options {
        let mut options = self.profile.options(seed);
        if let Some(only) = &self.only {
            options.faults.retain(|fault| only.split(',').any(|name| name == fault.name()));
        }
        options
    }
}

fn replay(options: &Options, lines: usize) -> bool {
    println!("{options}");
    let report = run(options, lines);
    for line in &report.lines {
        println!("{line}");
    }
    println!("{:?}", report.counts);
    println!("trace hash {:016x}", report.trace);
    for violation in &report.violations {
        println!("VIOLATION {violation}");
    }
    report.violations.is_empty()
}

fn run_all(arguments: &Arguments) -> bool {
    let seeds = arguments.first_seed..arguments.first_seed + arguments.seeds;
    let quiet = arguments.json;
    let fleet = Fleet { seeds, threads: arguments.threads };
    let summary = fleet.run(
        |seed| arguments.options(seed),
        |summary, report| {
            if quiet {
                return;
            }
            for violation in &report.violations {
                println!("seed {}: {violation}", report.seed);
            }
            if summary.seeds % 100 == 0 {
                println!("{summary}");
            }
        },
    );
    if arguments.json {
        println!("{}", summary.json());
    } else {
        println!("{summary}");
    }
    summary.violations == 0
}
