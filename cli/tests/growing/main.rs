//! Three nodes become five and then four under load: nothing is refused or lost, little more is sent than new owners lack,
//! and `coterie moves` tells of it what is so.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../harness/mod.rs"]
mod harness;
mod watch;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use harness::{TestCluster, until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use watch::Watch;

/// Records at the beginning; what is written meanwhile is of the same keys.
const RECORDS: u64 = 20_000;
/// Operations that begin each second.
const RATE: &str = "200";
/// Longer than all moves take: it is told to end.
const LOADED: &str = "30m";
/// Whatever is not done by then will not be. A busy machine is no reason to give up, nor is it the generator's own lag, as this is no
/// measurement.
const PATIENCE: &str = "60s";
/// How long a command waits for moves.
const WAIT: &str = "300s";
const MIX: &str = "get=90,set=10";

/// The load generator, which is built beside the command line.
fn generator() -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_coterie")).with_file_name("coterie-loadtest");
    assert!(program.is_file(), "{program:?} is not built: test the whole workspace");
    let mut command = Command::new(program);
    let records = RECORDS.to_string();
    command.args(["run", "--mix", MIX, "--records", &records, "--levels", "quorum", "--quiet"]);
    command.stdout(Stdio::null());
    command
}

/// The load under way.
struct Load {
    process: Child,
    report: PathBuf,
}

impl Load {
    fn begin(cluster: &TestCluster) -> Load {
        let mut loading = generator();
        let status =
            loading.args(["--phases", "load", "--cluster"]).arg(&cluster.directory).status();
        assert!(status.unwrap().success(), "records are written");
        let report = cluster.directory.join("load.json");
        let mut running = generator();
        running.args(["--phases", "run", "--rate", RATE, "--duration", LOADED, "--check"]);
        running.args(["--timeout", PATIENCE, "--lag-max", PATIENCE]);
        // What is written while copies are compared is sent by each comparison, of a small key all its rows. The keys that are
        // judged are few and hot, and no part of the planner's minimum: they are written less often than is usual.
        running.args(["--check-clients", "1", "--check-pause", "50ms"]);
        running.args(["--connections", "8", "--cluster"]);
        let process = running.arg(&cluster.directory).arg("--json").arg(&report).spawn().unwrap();
        Load { process, report }
    }

    /// Ends it: what it says of its run.
    fn end(mut self) -> Value {
        assert!(
            self.process.try_wait().unwrap().is_none(),
            "the load lasts until it is told to end"
        );
        let process = i32::try_from(self.process.id()).unwrap();
        kill_process(Pid::from_raw(process).unwrap(), Signal::INT).unwrap();
        let status = self.process.wait().unwrap();
        let report: Value = serde_json::from_slice(&fs::read(&self.report).unwrap()).unwrap();
        let mut run = report["runs"][0].clone();
        run["series"] = Value::Null;
        assert!(status.success(), "{status}: {run}");
        run
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // Where the test has failed: nobody else would end it for half an hour.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Rows by partition: those of the load's records, and all.
struct Rows {
    records: BTreeMap<u64, u64>,
    all: BTreeMap<u64, u64>,
}

impl Rows {
    /// What is stored now, as a node tells it: a row for each key, and for each element of one that has some.
    fn count(cluster: &TestCluster) -> Rows {
        let file = cluster.directory.join("keys.jsonl");
        cluster.run(&["export", file.to_str().unwrap()]).done();
        let mut rows = Rows { records: BTreeMap::new(), all: BTreeMap::new() };
        for line in fs::read_to_string(file).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let key = line["key"].as_str().unwrap();
            let path = format!("GET /v1/ring/owners/db0/{key}");
            let node = cluster.nodes[0].trim_start_matches("http://").parse().unwrap();
            let owners = coterie_local::ask(node, &path, None).unwrap();
            let partition = owners["partition"].as_u64().unwrap();
            let elements = line["values"].as_array().map_or(0, Vec::len) as u64;
            *rows.all.entry(partition).or_default() += 1 + elements;
            if key.starts_with("string:") {
                *rows.records.entry(partition).or_default() += 1;
            }
        }
        assert_eq!(rows.records.values().sum::<u64>(), RECORDS);
        rows
    }
}

#[test]
fn three_nodes_become_five_and_four_under_load() {
    let mut cluster = TestCluster::start_with("growing", PATIENCE);
    let load = Load::begin(&cluster);

    let mut grown = Watch::begin(&cluster);
    let newcomers = [3, 4].map(|node| {
        cluster.cluster(&["add"]).done();
        cluster.id(node)
    });
    for node in &newcomers {
        grown.during(&cluster, &["node", "join", "--wait", node, "--wait-within", WAIT]);
    }
    grown.during(&cluster, &["moves", "--wait", "--wait-within", WAIT]);
    cluster.wait_ready();
    assert_eq!(cluster.json(&["ring", "show"])["nodes"].as_array().unwrap().len(), 5);

    let mut shrunk = Watch::begin(&cluster);
    let leaver = &newcomers[1];
    shrunk.during(&cluster, &["node", "leave", leaver, "--yes", "--wait", "--wait-within", WAIT]);
    until("it is no member", || {
        cluster.json(&["ring", "show"])["nodes"].as_array().unwrap().len() == 4
    });

    let run = load.end();
    let outcomes = &run["outcomes"];
    for nothing in ["refused", "unavailable", "unknown", "error"] {
        assert_eq!(outcomes[nothing], 0, "{outcomes}: {}", run["errors"]);
    }
    let check = &run["check"];
    assert_eq!(
        (&check["violations"], &check["undecided"]),
        (&Value::from(Vec::<u8>::new()), &Value::from(Vec::<u8>::new()))
    );
    eprintln!("load: {outcomes}, judged {}", check["operations"]);

    let rows = Rows::count(&cluster);
    for (what, watch) in [("3 to 5 nodes", grown), ("5 to 4 nodes", shrunk)] {
        let (least, most) = (watch.needed(&rows.records), watch.needed(&rows.all));
        let sent = watch.rows_sent();
        eprintln!("{what}: {sent} rows sent, {least} to {most} needed; {}", watch.told());
        // What is written while copies are compared is sent by each comparison, of which a busy machine needs more: exact bounds
        // are held where time is virtual (`growing_and_shrinking_sends_little_more_than_new_owners_lack`) and at full size.
        let percent = if std::env::var_os("COTERIE_PROOF").is_some() { 110 } else { 130 };
        assert!(sent * 100 <= most * percent, "{what}: {sent} rows sent, {most} needed");
    }
}
