//! Real nodes, broken on purpose and healed, and what becomes of them when their supervisor ends.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use coterie_local::{
    Ask, Cluster, Condition, LocalError, Remote, Shape, Status, ask, program, wait_ready,
};

const WITHIN: Duration = Duration::from_secs(300);

#[track_caller]
fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < WITHIN, "waiting for {what}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

#[track_caller]
fn check_program() {
    if let Err(error) = program() {
        panic!("{error}");
    }
}

/// How many members a node believes to be so.
fn members(cluster: &mut Cluster, node: usize, liveness: &str) -> Option<u64> {
    let http = cluster.node(node).unwrap().http;
    ask(http, "GET /v1/status", None).ok()?["members"][liveness].as_u64()
}

#[test]
fn nodes_are_killed_paused_cut_off_and_added_and_it_heals() {
    check_program();
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("cluster");
    let mut cluster = Cluster::start(&directory, Shape::default()).unwrap();
    cluster.wait_ready(WITHIN).unwrap();
    assert!(matches!(Cluster::start(&directory, Shape::default()), Err(LocalError::Up { .. })));
    assert!(matches!(cluster.kill(3), Err(LocalError::NoSuchNode { number: 3, last: 2 })));

    cluster.kill(2).unwrap();
    assert!(matches!(cluster.kill(2), Err(LocalError::WrongState { number: 2, .. })));
    assert!(matches!(cluster.resume(0), Err(LocalError::WrongState { number: 0, .. })));
    cluster.pause(1).unwrap();
    let conditions: Vec<_> = cluster.status().nodes.iter().map(|node| node.condition).collect();
    assert_eq!(conditions, [Condition::Running, Condition::Paused, Condition::Killed]);
    until("node 0 to miss the others", || members(&mut cluster, 0, "down") == Some(2));
    cluster.heal().unwrap();
    cluster.wait_ready(WITHIN).unwrap();

    let before = cluster.network().traffic();
    assert!(before.passed > 0);
    cluster.partition(&[vec![0], vec![1, 2]]).unwrap();
    assert_eq!(cluster.status().cut, [(0, 1), (0, 2), (1, 0), (2, 0)]);
    until("both sides to miss each other", || {
        members(&mut cluster, 0, "down") == Some(2) && members(&mut cluster, 1, "down") == Some(1)
    });
    assert!(cluster.network().traffic().dropped > before.dropped);
    cluster.heal().unwrap();
    assert_eq!(cluster.status().cut, []);
    cluster.wait_ready(WITHIN).unwrap();

    assert_eq!(cluster.add_node().unwrap(), 3);
    cluster.wait_ready(WITHIN).unwrap();
    cluster.stop_node(3).unwrap();
    let ports: Vec<_> = cluster.status().nodes.iter().map(|node| node.resp).collect();
    let ids: Vec<_> = cluster.status().nodes.iter().map(|node| node.id.clone()).collect();
    cluster.stop().unwrap();

    let last = Remote::open(&directory).last().unwrap();
    assert_eq!((last.supervisor, last.shape.nodes), (None, 4));
    let mut cluster = Cluster::start(&directory, Shape::default()).unwrap();
    let status = cluster.status();
    assert_eq!(status.nodes.iter().map(|node| node.resp).collect::<Vec<_>>(), ports);
    assert_eq!(status.nodes.iter().map(|node| node.id.clone()).collect::<Vec<_>>(), ids);
    cluster.wait_ready(WITHIN).unwrap();
    cluster.stop().unwrap();
}

/// A supervisor in a process of its own.
struct Keeper(Child);

impl Keeper {
    fn start(directory: &Path, nodes: usize) -> Keeper {
        // Cargo builds examples beside the tests' folder.
        let own: PathBuf = std::env::current_exe().unwrap();
        let example = own.parent().unwrap().parent().unwrap().join("examples/keep");
        let mut command = Command::new(example);
        command.arg(directory).arg(nodes.to_string());
        Keeper(command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn runs(process: Option<u32>) -> bool {
    // One that has ended and was not waited for yet has no command line.
    let line = process.map(|process| std::fs::read(format!("/proc/{process}/cmdline")));
    line.is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
}

#[test]
fn nodes_end_with_their_supervisor_and_what_stands_still_is_reclaimed() {
    check_program();
    let home = tempfile::tempdir().unwrap();
    let remote = Remote::open(home.path());
    assert!(matches!(remote.ask(&Ask::Status), Err(LocalError::NotUp { .. })));
    let mut keeper = Keeper::start(home.path(), 2);
    until("the supervisor to listen", || remote.ask(&Ask::Status).is_ok());
    wait_ready(WITHIN, || remote.ask(&Ask::Status).map(Some), |_missing| {}).unwrap();
    let refused = remote.ask(&Ask::Kill { nodes: vec![0, 7] }).unwrap_err().to_string();
    assert_eq!(refused, "there is no node 7: this cluster has nodes 0 to 1");
    let paused = remote.ask(&Ask::Pause { nodes: vec![1] }).unwrap();
    assert_eq!(paused.nodes[0].condition, Condition::Running, "nothing was done of what is wrong");
    assert_eq!(paused.nodes[1].condition, Condition::Paused);
    assert!(matches!(remote.reclaim(), Err(LocalError::Up { .. })));

    keeper.0.kill().unwrap();
    keeper.0.wait().unwrap();
    until("the node to notice", || !runs(paused.nodes[0].process));
    // The other one cannot notice; whether the kernel hangs it up depends on the session.
    remote.reclaim().unwrap();
    until("the other to be gone", || !runs(paused.nodes[1].process));
    assert!(matches!(remote.ask(&Ask::Status), Err(LocalError::NotUp { .. })));

    // The next one goes on with what is there, and is told to stop.
    let mut keeper = Keeper::start(home.path(), 2);
    until("the supervisor to listen", || remote.ask(&Ask::Status).is_ok());
    let status: Status = remote.ask(&Ask::Down).unwrap();
    assert_eq!(status.supervisor, None);
    until("the supervisor to end", || keeper.0.try_wait().unwrap().is_some());
}
