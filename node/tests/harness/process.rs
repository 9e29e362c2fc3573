//! A node as a process.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::doors::Doors;
use super::{http, program, until};

/// How long a node may take to stop in order.
const STOPS: Duration = Duration::from_secs(30);

/// Lines of a log that are shown where a test fails.
const SHOWN: usize = 25;

/// A node, whether it runs or not.
pub(crate) struct Node {
    pub(crate) number: usize,
    pub(crate) doors: Doors,
    home: PathBuf,
    arguments: Vec<String>,
    process: Option<Child>,
    starts: usize,
}

impl Node {
    pub(super) fn new(number: usize, home: PathBuf, lanes: u16, arguments: Vec<String>) -> Node {
        let doors = Doors::free(lanes);
        Node { number, doors, home, arguments, process: None, starts: 0 }
    }

    /// Where Redis clients connect.
    pub(crate) fn resp(&self) -> SocketAddr {
        self.doors.resp
    }

    /// The directory of its data.
    pub(crate) fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// Starts the process.
    pub(crate) fn start(&mut self) {
        assert!(self.process.is_none(), "node {} runs", self.number);
        fs::create_dir_all(&self.home).unwrap();
        let log = File::create(self.log(self.starts)).unwrap();
        self.starts += 1;
        let Doors { resp, http, gossip, peers } = self.doors;
        let mut program = program();
        program.current_dir(&self.home).arg("run");
        program.arg("--data-dir").arg(self.data());
        program.arg("--certificates").arg(self.home.join("certificates"));
        for (door, address) in
            [("--resp", resp), ("--http", http), ("--gossip", gossip), ("--peers", peers)]
        {
            program.arg(door).arg(address.to_string());
        }
        program.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.process = Some(program.spawn().unwrap());
    }

    fn log(&self, start: usize) -> PathBuf {
        self.home.join(format!("log-{start}"))
    }

    fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("it runs");
        kill_process(Pid::from_child(process), signal).unwrap();
    }

    /// Whether it was started, and not killed since. One that stands still runs.
    pub(crate) fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// That it has not ended by itself.
    ///
    /// # Panics
    /// If it has.
    #[track_caller]
    pub(crate) fn assert_runs(&mut self) {
        let process = self.process.as_mut().expect("it was started");
        if let Some(status) = process.try_wait().unwrap() {
            panic!("node {} has ended by itself: {status}", self.number);
        }
    }

    /// `kill -9`: it gets no chance to do anything.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::TERM);
        let mut process = self.process.take().expect("it runs");
        let what = format!("node {} to stop", self.number);
        until(&what, STOPS, || process.try_wait().unwrap().is_some_and(|status| status.success()));
    }

    /// It stands still.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// It goes on.
    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// `GET path` of its HTTP door: status and body.
    pub(crate) fn get(&self, path: &str) -> Option<(u16, String)> {
        http::get(self.doors.http, path)
    }

    /// What it answers to `GET path`, where that is JSON and all is well.
    pub(crate) fn json(&self, path: &str) -> Option<Value> {
        let (status, body) = self.get(path)?;
        serde_json::from_str(&body).ok().filter(|_| status == 200)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // It may have ended by itself.
            drop(process.kill());
            drop(process.wait());
        }
        if std::thread::panicking() {
            for start in 0..self.starts {
                show(self.number, &self.log(start));
            }
        }
    }
}

fn show(number: usize, log: &Path) {
    let lines = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = lines.lines().collect();
    eprintln!("node {number}, the end of {}:", log.display());
    for line in &lines[lines.len().saturating_sub(SHOWN)..] {
        eprintln!("    {line}");
    }
}
