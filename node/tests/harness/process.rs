//! A node as a process.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use coterie_local::ask;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;

use super::doors::Doors;
use super::{program, until};

/// How long a node may take to end once it is told to.
const ENDS_WITHIN: Duration = Duration::from_secs(120);

/// Lines of a log that are shown where a test fails.
const LINES_SHOWN: usize = 25;

/// A node, whether it runs or not.
pub(crate) struct Node {
    pub(crate) number: usize,
    pub(crate) doors: Doors,
    /// The directory of its certificates and log and, if it is told nothing else, data.
    pub(crate) home: PathBuf,
    /// By flag.
    settings: BTreeMap<&'static str, String>,
    /// Variables that it is told, from its next start on.
    pub(crate) environment: BTreeMap<&'static str, PathBuf>,
    process: Option<Child>,
}

impl Node {
    pub(super) fn new(number: usize, home: PathBuf, lanes: u16) -> Node {
        let (doors, data) = (Doors::free(lanes), home.join("data"));
        let mut node = Node {
            number,
            doors,
            home,
            settings: BTreeMap::new(),
            environment: BTreeMap::new(),
            process: None,
        };
        node.give("data-dir", data.display());
        node.give("lanes", lanes);
        node.give("sync", "always");
        node.give("zone", format_args!("local/zone-{number}"));
        for (door, address) in [
            ("resp", doors.resp),
            ("http", doors.http),
            ("gossip", doors.gossip),
            ("peers", doors.peers),
        ] {
            node.give(door, address);
        }
        node
    }

    /// Gives it a setting, in place of what the flag said before, from its next start on.
    pub(crate) fn give(&mut self, flag: &'static str, value: impl Display) {
        self.settings.insert(flag, value.to_string());
    }

    /// Where Redis clients connect.
    pub(crate) fn resp(&self) -> SocketAddr {
        self.doors.resp
    }

    /// Starts the process; its log goes on where it was.
    pub(crate) fn start(&mut self) {
        assert!(self.process.is_none(), "node {} runs", self.number);
        let log = File::options().create(true).append(true).open(self.log_file()).unwrap();
        let mut program = program();
        program.current_dir(&self.home).arg("run");
        program.args(self.settings.iter().map(|(flag, value)| format!("--{flag}={value}")));
        program.envs(&self.environment);
        program.stdout(log.try_clone().unwrap()).stderr(log);
        self.process = Some(program.spawn().unwrap());
    }

    fn log_file(&self) -> PathBuf {
        self.home.join("log")
    }

    /// All that it logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Its process.
    ///
    /// # Panics
    /// If there is none.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(self.process.as_ref().expect("it runs"))
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Whether it was started, and nobody ended it since. One that stands still runs.
    pub(crate) fn runs(&self) -> bool {
        self.process.is_some()
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.process.as_mut()?.try_wait().unwrap()
    }

    /// That it has not ended by itself.
    ///
    /// # Panics
    /// If it has.
    #[track_caller]
    pub(crate) fn assert_not_ended(&mut self) {
        if let Some(status) = self.ended() {
            panic!("node {} has ended by itself: {status}", self.number);
        }
    }

    /// `kill -9`: it gets no chance to do anything.
    pub(crate) fn kill(&mut self) {
        self.end(Signal::KILL);
    }

    /// Sends it a signal that ends it, and waits until it has ended: how.
    pub(crate) fn end(&mut self, by: Signal) -> ExitStatus {
        // Where it has ended by itself, its number may be another's by now.
        if self.ended().is_none() {
            self.signal(by);
        }
        let what = format!("node {} ends", self.number);
        let look = || self.ended().ok_or_else(|| format!("it was sent {by:?}"));
        let (status, _) = until(&what, ENDS_WITHIN, look);
        self.process = None;
        status
    }

    /// It stands still.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// It goes on.
    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Whether it serves, or why it does not.
    ///
    /// # Panics
    /// If it has ended by itself.
    pub(crate) fn ready(&mut self) -> Result<(), String> {
        self.assert_not_ended();
        self.get("/readyz").map(drop)
    }

    /// What its HTTP door answers to `GET path`, or why that tells of no success.
    pub(crate) fn get(&self, path: &str) -> Result<Json, String> {
        let answer = ask(self.doors.http, &format!("GET {path}"), None);
        answer.map_err(|why| format!("node {}: {why}", self.number))
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
            let log = self.log();
            eprintln!("node {}, the end of its log:", self.number);
            for line in log.lines().skip(log.lines().count().saturating_sub(LINES_SHOWN)) {
                eprintln!("    {line}");
            }
        }
    }
}
