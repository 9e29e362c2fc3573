//! What a load test does with servers that fail, and what its page holds.
#![expect(clippy::unwrap_used, reason = "a test panics where something fails")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use coterie_loadtest::bench::{self, BenchError, Event};
use coterie_loadtest::load::Pace;
use coterie_loadtest::null::Null;
use coterie_loadtest::plan::{Phases, Plan};
use coterie_loadtest::report::page::page;
use coterie_loadtest::report::{PhaseName, Report, Verdict};
use coterie_loadtest::schedule::Arrivals;
use coterie_loadtest::target::{Endpoint, Target};

fn target(name: &str, addresses: &[SocketAddr]) -> Target {
    let endpoints = addresses.iter().copied().map(Endpoint::of).collect();
    Target { name: name.to_owned(), endpoints }
}

fn null() -> Null {
    Null::start((Ipv4Addr::LOCALHOST, 0).into(), None).unwrap()
}

fn short() -> Plan {
    Plan {
        records: 100,
        connections: 4,
        threads: 2,
        pipeline: 4,
        warm_up: Duration::ZERO,
        duration: Duration::from_millis(400),
        interval: Duration::from_millis(100),
        ..Plan::default()
    }
}

fn run(plan: &Plan) -> Result<Report, BenchError> {
    bench::run(plan, None, &mut |_event| {})
}

#[test]
fn every_mix_runs_against_two_servers_and_tells_of_both() {
    let (one, other) = (null(), null());
    for named in coterie_loadtest::mix::NAMED {
        let plan = Plan {
            targets: vec![target("one", &[one.address()]), target("other", &[other.address()])],
            mix: named.name.parse().unwrap(),
            operations: Some(2_000),
            ..short()
        };
        let report = run(&plan).unwrap();
        let titles: Vec<String> = report.runs.iter().map(|run| run.title()).collect();
        assert_eq!(titles, ["one, load", "one", "other, load", "other"]);
        for run in &report.runs {
            let families = plan.mix.families().len() as u64;
            let expected = if run.phase == PhaseName::Load { 100 * families } else { 2_000 };
            assert_eq!(run.outcomes.done, expected, "{}: {:?}", named.name, run.errors);
            assert_eq!(run.outcomes.failed(), 0);
            assert_eq!(run.latency.count, expected);
            let in_time: u64 = run.series.iter().map(|point| point.outcomes.done).sum();
            assert_eq!(in_time, expected, "the series tells of all");
        }
    }
}

#[test]
fn an_open_loop_begins_exactly_what_it_was_asked_to() {
    let server = null();
    for arrivals in [Arrivals::Even, Arrivals::Poisson] {
        let plan = Plan {
            targets: vec![target("null", &[server.address()])],
            pace: Pace::Open { rate: 5_000, arrivals },
            phases: Phases::Run,
            ..short()
        };
        let report = run(&plan).unwrap();
        let done = report.runs[0].outcomes.done;
        match arrivals {
            Arrivals::Even => assert_eq!(done, 2_000),
            // With a deviation of 45.
            Arrivals::Poisson => assert!((1_700..2_300).contains(&done), "{done}"),
        }
        assert_eq!(report.runs[0].unsent, 0);
    }
}

#[test]
fn a_run_that_is_ended_early_tells_of_what_was_until_then() {
    let server = null();
    for pace in [Pace::Closed, Pace::Open { rate: 5_000, arrivals: Arrivals::Even }] {
        let plan = Plan {
            targets: vec![target("null", &[server.address()]), target("late", &[server.address()])],
            pace,
            phases: Phases::Run,
            duration: Duration::from_secs(3_600),
            ..short()
        };
        let over = Arc::clone(&plan.over);
        let report = bench::run(&plan, None, &mut |event| {
            if matches!(event, Event::Passed { .. }) {
                over.store(true, Ordering::Relaxed);
            }
        });
        let report = report.unwrap();
        assert_eq!(report.runs.len(), 1, "later runs are left out");
        let cut = &report.runs[0];
        assert!(cut.ended_early && cut.seconds < 3_000.0);
        assert!(cut.outcomes.done > 0 && cut.outcomes.failed() == 0 && cut.unsent == 0);
        assert!(page(&report).contains("when somebody ended it"));
        let both = Plan { phases: Phases::Both, records: 1_000_000, ..plan };
        assert!(matches!(run(&both), Err(BenchError::Interrupted)));
    }
}

#[test]
fn what_was_measured_is_told_though_the_next_server_was_only_being_filled() {
    let server = null();
    let targets = vec![target("one", &[server.address()]), target("other", &[server.address()])];
    let plan = Plan { targets, operations: Some(1_000), ..short() };
    let over = Arc::clone(&plan.over);
    let report = bench::run(&plan, None, &mut |event| {
        if matches!(event, Event::Begins { run } if run.target == "other") {
            over.store(true, Ordering::Relaxed);
        }
    });
    let report = report.unwrap();
    let titles: Vec<String> = report.runs.iter().map(|run| run.title()).collect();
    assert_eq!(titles, ["one, load", "one"]);
    assert!(report.runs.iter().all(|run| !run.ended_early));
}

#[test]
fn a_server_that_is_not_there_or_refuses_is_told_of_before_anything_runs() {
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let plan = Plan { targets: vec![target("nobody", &[nobody])], ..short() };
    assert!(matches!(run(&plan), Err(BenchError::Target { .. })));
}

#[test]
fn connections_that_break_are_made_anew_and_what_was_under_way_is_unknown() {
    // Answers ten requests of a connection, and then closes it.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || {
                let (mut stream, mut room) = (stream.unwrap(), [0; 4_096]);
                for _ in 0..10 {
                    if stream.read(&mut room).unwrap_or(0) == 0
                        || stream.write_all(b"$-1\r\n").is_err()
                    {
                        break;
                    }
                }
                // What is sent now is lost.
                drop(stream.read(&mut room));
            });
        }
    });
    let plan = Plan {
        targets: vec![target("breaking", &[address])],
        mix: "get=1".parse().unwrap(),
        phases: Phases::Run,
        pipeline: 1,
        operations: Some(200),
        ..short()
    };
    let report = run(&plan).unwrap();
    let run = &report.runs[0];
    assert_eq!(run.outcomes.done + run.outcomes.unknown, 200, "{:?}", run.outcomes);
    assert!(run.outcomes.unknown >= 10 && run.outcomes.done >= 150, "{:?}", run.outcomes);
    assert!(run.connections_lost >= 10);
    assert!(run.errors.iter().any(|(text, _)| text.contains("connection to")), "{:?}", run.errors);
}

#[test]
fn the_page_is_well_formed_and_needs_nothing_else() {
    let server = null();
    let plan = Plan {
        targets: vec![target("<null> & 'co'", &[server.address()])],
        arguments: vec!["coterie-loadtest".to_owned(), "<script>".to_owned()],
        ..short()
    };
    let mut report = run(&plan).unwrap();
    report.runs[1].void = Some("the generator lagged \"badly\"".to_owned());
    assert_eq!(report.verdict(), Verdict::Void);
    let json = report.json();
    let again: Report = serde_json::from_str(&json).unwrap();
    assert!(again == report, "the JSON says all that the report does: {json}");
    let html = page(&report);
    well_formed(&html);
    for fetched in ["src=", "href=\"http", "@import", "url(", "<script", "<link", "<iframe"] {
        assert!(!html.contains(fetched), "{fetched} is in the page");
    }
    assert!(html.contains("Void: the generator lagged &quot;badly&quot;"));
    // Whoever does not see plots finds what they show in words and tables.
    assert_eq!(
        html.matches("<svg viewBox=\"0 0 1000 1000\"").count(),
        html.matches("role=\"img\" aria-label=").count()
    );
    assert!(html.matches("<caption>").count() >= 6);
}

/// Every element that is opened is closed, in order.
fn well_formed(html: &str) {
    let mut open = Vec::new();
    let body = html.strip_prefix("<!DOCTYPE html>").unwrap();
    for tag in body.split('<').skip(1) {
        let (tag, _text) = tag.split_once('>').expect("a tag ends");
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "closed");
        } else if !tag.ends_with('/') {
            let name = tag.split([' ', '\n']).next().unwrap();
            if name != "meta" {
                open.push(name);
            }
        }
    }
    assert!(open.is_empty(), "{open:?}");
}
