//! Lets anyone watch a simulated cluster detect, dispute and heal.
#![expect(clippy::print_stdout, reason = "a program that prints")]

use std::time::Duration;

use clap::{Parser, ValueEnum};
use coterie_swim::Parameters;
use coterie_swim::simulation::{Cluster, Percentiles, Report, Scenario, Seen, memberlist};
use serde_json::{Value, json};

/// Runs one scenario under virtual time and prints what the nodes' consumers were told.
#[derive(Parser)]
struct Arguments {
    /// Nodes at the start.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(2..=20_000))]
    nodes: u32,
    /// Decides everything else: equal arguments give equal output.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// What befalls the cluster.
    #[arg(long, value_parser = scenario, default_value = "crash")]
    scenario: Scenario,
    /// Whose parameter set to run.
    #[arg(long, value_enum, default_value_t = Set::Coterie)]
    parameters: Set,
    /// Print one JSON object instead of a timeline.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Set {
    Coterie,
    Memberlist,
}

fn scenario(name: &str) -> Result<Scenario, String> {
    let names = Scenario::ALL.map(Scenario::name).join("|");
    let found = Scenario::ALL.into_iter().find(|scenario| scenario.name() == name);
    found.ok_or_else(|| format!("one of {names}"))
}

fn main() {
    let arguments = Arguments::parse();
    let parameters = match arguments.parameters {
        Set::Coterie => Parameters::default(),
        Set::Memberlist => memberlist(),
    };
    let nodes = arguments.nodes as usize;
    let (report, cluster) = arguments.scenario.run(nodes, arguments.seed, parameters);
    if arguments.json {
        println!("{}", as_json(&report));
    } else {
        print_timeline(&cluster);
        print_figures(&report);
    }
}

fn as_json(report: &Report) -> Value {
    let percentiles = |times: &[Duration]| {
        Percentiles::of(times)
            .map(|p| json!({ "median": p.median, "p99": p.p99, "max": p.max }))
            .unwrap_or(Value::Null)
    };
    let millis = |time: Option<Duration>| time.map_or(Value::Null, |time| json!(time.as_millis()));
    json!({
        "first_down_ms": percentiles(&report.first_down),
        "all_know_ms": percentiles(&report.all_know),
        "missed": report.missed,
        "false_down_healthy": report.false_down_healthy,
        "unreachable_healthy": report.unreachable_healthy,
        "messages_per_node_per_second": report.messages_per_node_per_second,
        "heal_ms": millis(report.heal),
        "full_view_ms": millis(report.full_view),
        "digests_equal": report.digests_equal,
        "bytes_per_member": report.bytes_per_member,
        "packets_handled": report.packets_handled,
    })
}

/// One line per second in which anything was told: how many were told what, and of how many members.
fn print_timeline(cluster: &Cluster) {
    println!("    time  told (times × members)");
    let mut rest = cluster.observer.observations.as_slice();
    while let Some(first) = rest.first() {
        let second = first.at.as_secs();
        let (now, later) = rest.split_at(rest.partition_point(|o| o.at.as_secs() == second));
        rest = later;
        let kinds = [
            (Seen::Up, "up"),
            (Seen::Suspect, "suspect"),
            (Seen::Unreachable, "unreachable"),
            (Seen::Down, "down"),
            (Seen::Left, "left"),
            (Seen::Restarted, "restarted"),
            (Seen::Moved, "moved"),
        ];
        let told: Vec<String> = kinds
            .into_iter()
            .filter_map(|(seen, name)| {
                let mut subjects: Vec<u32> =
                    now.iter().filter(|o| o.seen == seen).map(|o| o.subject).collect();
                let times = subjects.len();
                subjects.sort_unstable();
                subjects.dedup();
                (times > 0).then(|| format!("{name} {times} × {}", subjects.len()))
            })
            .collect();
        println!("{second:>6} s  {}", told.join(", "));
    }
}

fn print_figures(report: &Report) {
    println!();
    for (name, times) in [("first down", &report.first_down), ("all know", &report.all_know)] {
        if let Some(percentiles) = Percentiles::of(times) {
            println!("{name:<28} {percentiles}");
        }
    }
    println!("{:<28} {}", "missed", report.missed);
    println!("{:<28} {}", "false down of healthy", report.false_down_healthy);
    println!("{:<28} {}", "unreachable though healthy", report.unreachable_healthy);
    println!("{:<28} {:.2}", "messages per node and second", report.messages_per_node_per_second);
    for (name, time) in [("healed after", report.heal), ("full view after", report.full_view)] {
        if let Some(time) = time {
            println!("{name:<28} {} ms", time.as_millis());
        }
    }
    println!("{:<28} {}", "digests equal", report.digests_equal);
    println!("{:<28} {}", "bytes per member", report.bytes_per_member);
    println!("{:<28} {}", "packets handled", report.packets_handled);
}
