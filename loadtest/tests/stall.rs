//! A server that stands still for a second: the open loop shows it for what it is, and a closed loop would not.
#![expect(clippy::unwrap_used, reason = "a test panics where something fails")]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use coterie_loadtest::bench;
use coterie_loadtest::load::Pace;
use coterie_loadtest::null::{Null, Stall};
use coterie_loadtest::plan::{Phases, Plan};
use coterie_loadtest::report::Run;
use coterie_loadtest::schedule::Arrivals;
use coterie_loadtest::target::{Endpoint, Target};

const SECOND_US: f64 = 1_000_000.0;

/// The run of a plan against a server that stands still for a second after so many requests.
fn against_a_stall(after_requests: u64, plan: Plan) -> Run {
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let stall = Stall { after_requests, length: Duration::from_secs(1) };
    let server = Null::start(anywhere, Some(stall)).unwrap();
    let endpoints = vec![Endpoint::of(server.address())];
    let plan = Plan {
        targets: vec![Target { name: "null".to_owned(), endpoints }],
        mix: "get=50,set=50".parse().unwrap(),
        phases: Phases::Run,
        warm_up: Duration::ZERO,
        connections: 4,
        ..plan
    };
    let mut report = bench::run(&plan, None, &mut |_event| {}).unwrap();
    assert_eq!(server.stalls(), 1, "it stood still while it was under load");
    report.runs.pop().unwrap()
}

#[test]
fn an_open_loop_shows_a_stall_of_a_second_as_such() {
    let run = against_a_stall(
        1_000,
        Plan {
            pace: Pace::Open { rate: 2_000, arrivals: Arrivals::Even },
            duration: Duration::from_secs(3),
            ..Plan::default()
        },
    );
    assert_eq!(run.outcomes.done, 6_000, "{:?}", run.outcomes);
    // A third of all was to begin while it stood still.
    assert!(run.latency.p999_us >= 0.5 * SECOND_US, "{:?}", run.latency);
    // Four were under way, one in 1,500: counted from when they were sent, the others looked fine.
    let slow = |(percent, time): &&(f64, f64)| *percent < 99.9 && *time > 0.5 * SECOND_US;
    assert_eq!(run.service.curve.iter().find(slow), None, "{:?}", run.service);
    assert!(run.service.max_us >= 0.5 * SECOND_US, "{:?}", run.service);
    // Waiting for room is told apart.
    assert!(run.queue.max_us >= 0.5 * SECOND_US, "{:?}", run.queue);
}

#[test]
fn a_closed_loop_hides_it_from_its_percentiles() {
    let plan = Plan { operations: Some(20_000), ..Plan::default() };
    let run = against_a_stall(10_000, plan);
    assert_eq!(run.outcomes.done, 20_000, "{:?}", run.outcomes);
    // Four of 20,000 saw it, all that were under way.
    assert!(run.latency.max_us >= 0.9 * SECOND_US, "{:?}", run.latency);
    assert!(run.latency.p999_us < 0.5 * SECOND_US, "{:?}", run.latency);
}
