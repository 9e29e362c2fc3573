//! Real input through real clients: the machine's package index, loaded and read by stock Redis clients on real
//! processes, of which one is killed.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

mod equal;
#[path = "../harness/mod.rs"]
mod harness;
mod packages;
mod second;
mod service;
mod stock;

use std::fmt::Display;
use std::io::Write;
use std::process::Command;
use std::time::Duration;

use equal::wait_equal;
use harness::{Cluster, Shape, until};
use packages::{Words, available, load};
use rustix::process::Signal;

/// Records at the quick size; all there are at full size.
const QUICK: usize = 2_500;

fn about() -> Option<usize> {
    std::env::var_os("COTERIE_PROOF").is_none().then_some(QUICK)
}

/// A cluster that is ready.
fn started(shape: Shape) -> Cluster {
    let mut cluster = Cluster::new(shape);
    cluster.start();
    cluster
}

/// Tells people how far a test is: also where what tests print is kept back until they fail.
fn tell(progress: impl Display) {
    // Nobody need listen.
    drop(writeln!(std::io::stderr(), "{progress}"));
}

#[test]
fn the_package_index_is_loaded_read_and_kept_through_a_killed_node() {
    let packages = available(about());
    let (commands, expected) = load(&packages);
    tell(format_args!(
        "{} records: {} commands, {} keys",
        packages.len(),
        commands.len(),
        expected.keys()
    ));
    let mut cluster = started(Shape::default());
    let file = tempfile::NamedTempFile::new().unwrap();
    serde_json::to_writer(&file, &expected).unwrap();

    assert_eq!(stock::pipe(cluster.nodes[0].resp(), &commands), commands.len());
    stock::read_by("redis-py", cluster.nodes[1].resp(), file.path());
    stock::read_by("ioredis", cluster.nodes[2].resp(), file.path());
    stock::read_by_crate(&mut stock::connect(cluster.nodes[1].resp()), &expected);

    let doors = [cluster.nodes[0].resp(), cluster.nodes[1].resp()];
    let killed = &mut cluster.nodes[2];
    let outcome = second::load(&packages, &doors, || {
        tell(format_args!("node {} is killed", killed.number));
        killed.kill();
    });
    tell(format_args!("{outcome}"));
    cluster.nodes[2].start();
    cluster.wait_ready();
    let took = wait_equal(&cluster);
    tell(format_args!(
        "all owners are equal {:.1} s after the node serves again",
        took.as_secs_f32()
    ));
    // Its own rows alone.
    let mut connection = stock::connect(cluster.nodes[2].resp());
    let alone = Words::new(["COTERIE", "CONSISTENCY", "one", "one"]);
    assert!(stock::run(&mut connection, &[alone]).iter().all(Result::is_ok));
    outcome.assert_held(&mut connection);
    stock::read_by_crate(&mut stock::connect(cluster.nodes[0].resp()), &outcome.merged(expected));
}

#[test]
fn a_node_that_stands_still_is_done_without_and_catches_up() {
    let cluster = started(Shape::default());
    cluster.nodes[2].pause();
    let mut connection = stock::connect(cluster.nodes[0].resp());
    let mut number = 0;
    let mut in_a_row = 0;
    until("writes are acknowledged again and again", Duration::from_secs(60), || {
        let commands: Vec<Words> = (number..number + 50)
            .map(|number| {
                Words::new(["SADD".to_owned(), format!("set {}", number % 500), number.to_string()])
            })
            .collect();
        number += 50;
        let done = stock::run(&mut connection, &commands).iter().all(Result::is_ok);
        in_a_row = if done { in_a_row + 1 } else { 0 };
        if in_a_row >= 20 { Ok(()) } else { Err(format!("{in_a_row} pipelines in a row")) }
    });
    cluster.nodes[2].resume();
    let took = wait_equal(&cluster);
    tell(format_args!("all owners are equal {:.1} s after the node goes on", took.as_secs_f32()));
}

#[test]
fn redis_cli_connects_and_says_nothing_but_the_reply() {
    let cluster = started(Shape { nodes: 1, lanes: 2, ..Shape::default() });
    let said = |arguments: &[&str]| {
        let port = cluster.nodes[0].resp().port().to_string();
        let output =
            Command::new("redis-cli").args(["-p", &port]).args(arguments).output().unwrap();
        assert!(output.status.success());
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(said(&["PING"]), "PONG\n");
    assert_eq!(said(&["SET", "greeting", "hello"]), "OK\n");
    assert_eq!(said(&["-3", "GET", "greeting"]), "hello\n");
    assert_eq!(
        said(&["NOSUCH", "a"]),
        "ERR unknown command 'NOSUCH', with args beginning with: 'a' \n\n"
    );
}

#[test]
fn a_node_that_stops_in_order_and_starts_again_has_all_it_acknowledged() {
    let mut cluster = Cluster::new(Shape { nodes: 1, ..Shape::default() });
    cluster.nodes[0].give("sync", "periodic");
    cluster.start();
    let commands: Vec<Words> = (0..500)
        .map(|number| Words::new(["SET".to_owned(), format!("key {number}"), "value".to_owned()]))
        .collect();
    let mut connection = stock::connect(cluster.nodes[0].resp());
    assert!(stock::run(&mut connection, &commands).iter().all(Result::is_ok));
    assert!(cluster.nodes[0].end(Signal::TERM).success(), "it stops in order");
    cluster.nodes[0].start();
    cluster.wait_ready();
    let mut connection = stock::connect(cluster.nodes[0].resp());
    let keys: Vec<String> = (0..500).map(|number| format!("key {number}")).collect();
    let values: Vec<String> = stock::ask(&mut connection, "GET", keys.iter());
    assert!(values.iter().all(|value| value == "value"));
    let size: Vec<usize> = stock::run(&mut connection, &[Words::new(["DBSIZE"])])
        .into_iter()
        .map(|reply| redis::from_redis_value(reply.unwrap()).unwrap())
        .collect();
    assert_eq!(size, [500]);
}
