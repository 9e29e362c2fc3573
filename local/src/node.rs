//! A node as a process of this one.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::error::LocalError;
use crate::ports::Doors;
use crate::program::command;
use crate::ready::until;
use crate::status::{Condition, NodeStatus};

/// How long a node may take to stop in order.
const STOPS_WITHIN: Duration = Duration::from_secs(30);

/// How much of a log's end an error shows.
const TAIL_BYTES: u64 = 2_000;

/// A process, and the pipe whose end tells it to stop.
#[derive(Debug)]
struct Process {
    child: Child,
    _until_closed: Option<ChildStdin>,
}

/// A node, whether it runs or not.
#[derive(Debug)]
pub(crate) struct Node {
    number: usize,
    id: String,
    home: PathBuf,
    doors: Doors,
    advertised: [SocketAddr; 2],
    arguments: Vec<String>,
    condition: Condition,
    process: Option<Process>,
}

impl Node {
    pub(crate) fn new(
        number: usize,
        id: String,
        home: PathBuf,
        doors: Doors,
        advertised: [SocketAddr; 2],
        arguments: Vec<String>,
    ) -> Node {
        let condition = Condition::Stopped;
        Node { number, id, home, doors, advertised, arguments, condition, process: None }
    }

    pub(crate) fn advertised_gossip(&self) -> SocketAddr {
        self.advertised[0]
    }

    /// How it is now.
    pub(crate) fn status(&mut self) -> NodeStatus {
        self.look();
        NodeStatus {
            number: self.number,
            id: self.id.clone(),
            condition: self.condition,
            process: self.process.as_ref().map(|process| process.child.id()),
            resp: self.doors.resp,
            http: self.doors.http,
            gossip: self.doors.gossip,
            peers: self.doors.peers,
            advertised_gossip: self.advertised[0],
            advertised_peers: self.advertised[1],
            home: self.home.clone(),
        }
    }

    /// Sees whether it has ended by itself.
    fn look(&mut self) {
        let Some(process) = &mut self.process else { return };
        self.condition = match process.child.try_wait() {
            Ok(None) => return,
            Ok(Some(status)) if status.success() => Condition::Left,
            Ok(Some(_)) | Err(_) => Condition::Ended,
        };
        self.process = None;
    }

    /// Starts the process; its log goes on where it was.
    pub(crate) fn start(&mut self, program: &Path) -> Result<(), LocalError> {
        self.look();
        if self.process.is_some() {
            return Err(self.wrong("runs already"));
        }
        let what = || format!("node {} cannot be started", self.number);
        fs::create_dir_all(&self.home).map_err(LocalError::io(what()))?;
        let log = File::options().create(true).append(true).open(self.home.join("log"));
        let log = log.map_err(LocalError::io(what()))?;
        let mut command = command(program);
        command.current_dir(&self.home).args(["run", "--until-input-closes"]);
        command.arg("--data-dir").arg(self.home.join("data"));
        command.arg("--certificates").arg(self.home.join("certificates"));
        let doors = [
            ("--resp", self.doors.resp),
            ("--http", self.doors.http),
            ("--gossip", self.doors.gossip),
            ("--peers", self.doors.peers),
            ("--advertise-gossip", self.advertised[0]),
            ("--advertise-peers", self.advertised[1]),
        ];
        for (flag, address) in doors {
            command.arg(flag).arg(address.to_string());
        }
        command.args(&self.arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
        // What a terminal sends to this process is none of the node's business: it is told to stop.
        command.process_group(0);
        let mut child = command.spawn().map_err(LocalError::io(what()))?;
        let input = child.stdin.take();
        self.process = Some(Process { child, _until_closed: input });
        self.condition = Condition::Running;
        Ok(())
    }

    fn wrong(&self, is: &'static str) -> LocalError {
        LocalError::WrongState { number: self.number, is }
    }

    fn running(&mut self) -> Result<&mut Process, LocalError> {
        self.look();
        let number = self.number;
        let is = "does not run: `coterie cluster start` starts it";
        self.process.as_mut().ok_or(LocalError::WrongState { number, is })
    }

    fn signal(&mut self, signal: Signal) -> Result<(), LocalError> {
        let number = self.number;
        let process = self.running()?;
        kill_process(Pid::from_child(&process.child), signal)
            .map_err(|error| LocalError::io(format!("node {number}"))(error.into()))
    }

    /// `kill -9`: it gets no chance to do anything. One that stands still is killed too.
    pub(crate) fn kill(&mut self) -> Result<(), LocalError> {
        let number = self.number;
        let process = self.running()?;
        let killed = process.child.kill().and_then(|()| process.child.wait());
        killed.map_err(LocalError::io(format!("node {number} cannot be killed")))?;
        self.process = None;
        self.condition = Condition::Killed;
        Ok(())
    }

    /// It stands still.
    pub(crate) fn pause(&mut self) -> Result<(), LocalError> {
        self.signal(Signal::STOP)?;
        self.condition = Condition::Paused;
        Ok(())
    }

    /// It goes on.
    pub(crate) fn resume(&mut self) -> Result<(), LocalError> {
        self.look();
        if self.condition != Condition::Paused {
            return Err(self.wrong("is not paused"));
        }
        self.signal(Signal::CONT)?;
        self.condition = Condition::Running;
        Ok(())
    }

    /// Asks it to stop in order; [`Node::stopped`] waits until it has. Nothing where it does not run.
    pub(crate) fn ask_to_stop(&mut self) -> Result<(), LocalError> {
        self.look();
        if self.process.is_none() {
            return Ok(());
        }
        if self.condition == Condition::Paused {
            self.resume()?;
        }
        self.signal(Signal::TERM)
    }

    /// Waits until it has stopped. One that takes too long is killed, which is an error.
    pub(crate) fn stopped(&mut self) -> Result<(), LocalError> {
        let Some(process) = &mut self.process else { return Ok(()) };
        let ended = || !matches!(process.child.try_wait(), Ok(None));
        let stopped = until(STOPS_WITHIN, ended);
        if !stopped {
            self.kill()?;
            let waiting = format!("node {} did not stop in order, and was killed", self.number);
            return Err(LocalError::Late { within: STOPS_WITHIN, waiting });
        }
        self.process = None;
        self.condition = Condition::Stopped;
        Ok(())
    }
}

impl NodeStatus {
    /// That its process has not ended by itself.
    pub(crate) fn check(&self) -> Result<(), LocalError> {
        if self.condition != Condition::Ended {
            return Ok(());
        }
        let (number, log) = (self.number, self.log());
        let tail = tail(&log).unwrap_or_else(|error| error.to_string());
        Err(LocalError::Ended { number, log, tail })
    }
}

/// The end of a file, from the beginning of a line.
pub(crate) fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let skipped = length.saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(skipped))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let whole = if skipped == 0 { Some(&*text) } else { text.split_once('\n').map(|(_, it)| it) };
    Ok(whole.unwrap_or_default().to_owned())
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.process.is_some() {
            // Nobody is left to be told.
            drop(self.kill());
        }
    }
}
