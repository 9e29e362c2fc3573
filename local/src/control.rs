//! A cluster that is kept for other processes: one supervises it, others tell it what to do by a socket in its directory.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::cluster::Cluster;
use crate::error::LocalError;
use crate::ready::until;
use crate::status::{NodeStatus, Status};

/// The socket of a supervisor.
const SOCKET: &str = "control";

/// How long somebody who connects may take to say what is wanted.
const HEAR_WITHIN: Duration = Duration::from_secs(5);

/// How long a supervisor may take to answer: stopping takes its time.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);

/// The longest line that is read.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// How long what was killed may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(10);

/// What a supervisor is asked to do. Nodes are named by their numbers. See the methods of [`Cluster`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Ask {
    /// Nothing but how all is.
    Status,
    /// Kill these.
    Kill {
        /// Which.
        nodes: Vec<usize>,
    },
    /// Stop these in order.
    Stop {
        /// Which.
        nodes: Vec<usize>,
    },
    /// Start these.
    Start {
        /// Which.
        nodes: Vec<usize>,
    },
    /// Have these stand still.
    Pause {
        /// Which.
        nodes: Vec<usize>,
    },
    /// Have these go on.
    Resume {
        /// Which.
        nodes: Vec<usize>,
    },
    /// Add one.
    Add,
    /// Nodes of different groups hear nothing of each other.
    Partition {
        /// The groups.
        groups: Vec<Vec<usize>>,
    },
    /// What the ones send to the others is lost.
    Cut {
        /// Who sends.
        from: Vec<usize>,
        /// Who does not hear.
        to: Vec<usize>,
    },
    /// Lose and delay datagrams between all.
    Disturb {
        /// How many of a thousand are lost.
        loss_permille: u16,
        /// How long the others are held back at most.
        delay_millis_max: u16,
    },
    /// Have all run, and the network whole.
    Heal,
    /// Stop all in order, and end.
    Down,
}

/// What a supervisor answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Status(Box<Status>),
    Refused(String),
}

/// Until when a supervisor keeps its cluster, beside being told `Down` and the signals HUP, INT and TERM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Nothing else.
    Told,
    /// Until its standard input is closed, as it is when whoever started it has ended.
    InputCloses,
}

enum Event {
    /// Something is asked for: where the answer goes, and what ends once it is on its way.
    Asked(Ask, Sender<Answer>, Receiver<()>),
    Stop,
}

/// Keeps a cluster for other processes until told otherwise, then stops it in order.
///
/// # Errors
/// If the socket cannot be made, or a node had to be killed at the end.
pub fn supervise(mut cluster: Cluster, until: Until) -> Result<(), LocalError> {
    let path = cluster.status().directory.join(SOCKET);
    // Whoever made it is gone: this process holds the directory's lock.
    drop(fs::remove_file(&path));
    let listener = UnixListener::bind(&path).map_err(LocalError::io(format!(
        "the socket {} cannot be made (its path may be too long)",
        path.display()
    )))?;
    let (events, hears) = mpsc::channel();
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])
        .map_err(LocalError::io("signals cannot be waited for"))?;
    let stops = events.clone();
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            drop(stops.send(Event::Stop));
        }
    });
    if until == Until::InputCloses {
        let stops = events.clone();
        std::thread::spawn(move || {
            // What is said is of no interest; that nobody can say anything any more is.
            drop(io::copy(&mut io::stdin().lock(), &mut io::sink()));
            drop(stops.send(Event::Stop));
        });
    }
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let events = events.clone();
            std::thread::spawn(move || drop(hear(stream, &events)));
        }
    });
    let ended = keep(cluster, &hears);
    drop(fs::remove_file(&path));
    ended
}

/// Reads what one connection asks for, and writes the answer.
fn hear(mut stream: UnixStream, events: &Sender<Event>) -> io::Result<()> {
    stream.set_read_timeout(Some(HEAR_WITHIN))?;
    stream.set_write_timeout(Some(HEAR_WITHIN))?;
    let mut line = String::new();
    BufReader::new(stream.try_clone()?.take(LINE_BYTES_MAX)).read_line(&mut line)?;
    // Told by its end.
    let (written, is_written) = mpsc::channel();
    let answer = match serde_json::from_str(&line) {
        Err(error) => Answer::Refused(format!("that is nothing to ask for: {error}")),
        Ok(ask) => {
            let (answers, answer) = mpsc::channel();
            drop(events.send(Event::Asked(ask, answers, is_written)));
            answer
                .recv()
                .unwrap_or_else(|_ended| Answer::Refused("the cluster has stopped".to_owned()))
        }
    };
    let text = serde_json::to_string(&answer).expect("an answer is text and numbers");
    let told = writeln!(stream, "{text}");
    drop::<Sender<()>>(written);
    told
}

fn keep(mut cluster: Cluster, events: &Receiver<Event>) -> Result<(), LocalError> {
    while let Ok(event) = events.recv() {
        let Event::Asked(ask, answer, is_written) = event else { break };
        if ask == Ask::Down {
            let mut status = cluster.status();
            let stopped = cluster.stop();
            status.supervisor = None;
            let said = match &stopped {
                Ok(()) => Answer::Status(Box::new(status)),
                Err(error) => Answer::Refused(error.to_string()),
            };
            drop(answer.send(said));
            // The process may end with this: not before it is told.
            let _told = is_written.recv_timeout(HEAR_WITHIN);
            return stopped;
        }
        let said = match carry_out(&mut cluster, &ask) {
            Ok(()) => Answer::Status(Box::new(cluster.status())),
            Err(error) => Answer::Refused(error.to_string()),
        };
        // Who asked may be gone.
        drop(answer.send(said));
    }
    cluster.stop()
}

fn carry_out(cluster: &mut Cluster, ask: &Ask) -> Result<(), LocalError> {
    let mut each = |nodes: &[usize], act: fn(&mut Cluster, usize) -> Result<(), LocalError>| {
        // All are named rightly, or nothing is done.
        nodes.iter().try_for_each(|node| cluster.node(*node).map(drop))?;
        nodes.iter().try_for_each(|node| act(cluster, *node))
    };
    match ask {
        Ask::Status | Ask::Down => Ok(()),
        Ask::Kill { nodes } => each(nodes, Cluster::kill),
        Ask::Stop { nodes } => each(nodes, Cluster::stop_node),
        Ask::Start { nodes } => each(nodes, Cluster::start_node),
        Ask::Pause { nodes } => each(nodes, Cluster::pause),
        Ask::Resume { nodes } => each(nodes, Cluster::resume),
        Ask::Add => cluster.add_node().map(drop),
        Ask::Partition { groups } => cluster.partition(groups),
        Ask::Cut { from, to } => cluster.cut(from, to),
        Ask::Disturb { loss_permille, delay_millis_max } => {
            cluster.disturb(*loss_permille, *delay_millis_max)
        }
        Ask::Heal => cluster.heal(),
    }
}

/// A cluster of another process, known by its directory.
#[derive(Clone, Debug)]
pub struct Remote {
    directory: PathBuf,
}

impl Remote {
    /// The cluster of a directory, whether it is up or not.
    #[must_use]
    pub fn open(directory: &Path) -> Remote {
        Remote { directory: directory.to_path_buf() }
    }

    /// Asks its supervisor; how all is after it was done.
    ///
    /// # Errors
    /// [`LocalError::NotUp`] if there is none, or [`LocalError::Refused`] with what it says.
    pub fn ask(&self, ask: &Ask) -> Result<Status, LocalError> {
        let not_up = |_error| LocalError::NotUp { directory: self.directory.clone() };
        let mut stream = UnixStream::connect(self.directory.join(SOCKET)).map_err(not_up)?;
        let answer =
            converse(&mut stream, ask).map_err(LocalError::io("the supervisor of the cluster"))?;
        match answer {
            Answer::Status(status) => Ok(*status),
            Answer::Refused(said) => Err(LocalError::Refused { said }),
        }
    }

    /// The last status that its supervisor kept, whether it is up or not.
    ///
    /// # Errors
    /// [`LocalError::NotUp`] if there never was one, or [`LocalError::File`].
    pub fn last(&self) -> Result<Status, LocalError> {
        let not_up = || LocalError::NotUp { directory: self.directory.clone() };
        Status::read(&self.directory)?.ok_or_else(not_up)
    }

    /// Kills the nodes that a supervisor has left behind which was killed itself: those that stand still, or are still about
    /// to stop.
    ///
    /// # Errors
    /// [`LocalError::Up`] if the supervisor runs, or as of [`Remote::last`].
    pub fn reclaim(&self) -> Result<(), LocalError> {
        if UnixStream::connect(self.directory.join(SOCKET)).is_ok() {
            return Err(LocalError::Up { directory: self.directory.clone() });
        }
        reclaim(&self.last()?)
    }
}

fn converse(stream: &mut UnixStream, ask: &Ask) -> io::Result<Answer> {
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    stream.set_write_timeout(Some(HEAR_WITHIN))?;
    let line = serde_json::to_string(ask)?;
    writeln!(stream, "{line}")?;
    let mut answer = String::new();
    stream.take(LINE_BYTES_MAX).read_to_string(&mut answer)?;
    Ok(serde_json::from_str(&answer)?)
}

/// Kills the processes of a last status that are still nodes of that cluster.
pub(crate) fn reclaim(last: &Status) -> Result<(), LocalError> {
    for node in &last.nodes {
        let Some(process) = node.process.filter(|process| is_node(*process, node)) else {
            continue;
        };
        let Some(pid) = i32::try_from(process).ok().and_then(Pid::from_raw) else { continue };
        // It may have ended just now: whether it is gone is looked at next.
        let _killed = kill_process(pid, Signal::KILL);
        if !until(GONE_WITHIN, || !is_node(process, node)) {
            let waiting = format!("process {process} of node {} does not end", node.number);
            return Err(LocalError::Late { within: GONE_WITHIN, waiting });
        }
    }
    Ok(())
}

/// Whether a process is that node's: numbers of processes are given again.
fn is_node(process: u32, node: &NodeStatus) -> bool {
    let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    let data = node.home.join("data");
    line.split(|byte| *byte == 0).any(|word| word == data.as_os_str().as_encoded_bytes())
}
