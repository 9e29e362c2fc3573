//! `coterie cluster`: a cluster of real nodes on this machine, to try and to break.

use std::env;
use std::fs::{self, File};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clap::{Args, Subcommand};
use coterie_local::{
    Ask, Cluster, Durability, LocalError, NodeStatus, Readiness, Remote, Shape, Status, Until,
    Wiring, readiness, supervise, wait_ready,
};
use serde_json::{Value, json};

use crate::ask::confirm;
use crate::failure::Failure;
use crate::output::table;
use crate::setup::{Global, time};

/// How much of the supervisor's log is shown where it failed.
const TAIL_LINES: usize = 10;

/// A cluster of nodes on this machine.
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Start a cluster, with certificates, and wait until it serves. A directory that holds one goes on with its data.
    ///
    /// The nodes are kept by a process of their own, which `coterie cluster down` ends.
    Up(Up),
    /// Stop all nodes in order. Their data stays.
    Down {
        #[command(flatten)]
        place: Place,
        /// Remove the directory with all data afterwards.
        #[arg(long)]
        remove_data: bool,
    },
    /// Show the nodes: processes, addresses, what is cut, and whether the cluster is ready.
    Status(Place),
    /// Add a node. It joins by itself, and is taken into the layout after some seconds.
    Add(Place),
    /// Kill nodes as kill -9 does: they get no chance to do anything.
    Kill(Nodes),
    /// Stop nodes in order.
    Stop(Nodes),
    /// Start nodes that do not run.
    Start(Nodes),
    /// Have nodes stand still: connections stay, nothing is answered.
    Pause(Nodes),
    /// Have nodes go on that stand still.
    Resume(Nodes),
    /// Cut the network between nodes.
    ///
    /// `partition 0,1 2,3,4` has both groups hear nothing of each other; `partition --one-way 0 1,2` loses what node 0
    /// sends to 1 and 2, and nothing else.
    Partition {
        #[command(flatten)]
        place: Place,
        /// Only what the first group sends to the second is lost.
        #[arg(long)]
        one_way: bool,
        /// Groups of nodes, such as 0,1.
        #[arg(required = true, num_args = 2.., value_name = "GROUP", value_parser = group)]
        groups: Vec<Group>,
    },
    /// Lose and delay what nodes send to each other, until healed.
    Disturb {
        #[command(flatten)]
        place: Place,
        /// How many of a thousand datagrams are lost.
        #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=1000))]
        loss_permille: u16,
        /// How many milliseconds a datagram is held back at most.
        #[arg(long, default_value_t = 0)]
        delay_millis_max: u16,
    },
    /// Make the network whole, have paused nodes go on, and start those that do not run.
    Heal(Place),
}

/// A group of nodes.
#[derive(Clone, Debug)]
pub(crate) struct Group(Vec<usize>);

fn group(text: &str) -> Result<Group, String> {
    let numbers: Result<Vec<usize>, _> = text.split(',').map(str::parse).collect();
    numbers.map(Group).map_err(|_error| format!("{text:?} is no group: give numbers such as 0,1"))
}

/// Where a cluster is kept.
#[derive(Args, Clone, Debug)]
pub(crate) struct Place {
    /// The cluster's directory. Default: coterie/cluster in the folder of caches.
    #[arg(long, env = "COTERIE_CLUSTER_DIR", value_name = "DIRECTORY", hide_env_values = true)]
    dir: Option<PathBuf>,
}

impl Place {
    fn directory(&self) -> Result<PathBuf, Failure> {
        if let Some(dir) = &self.dir {
            return Ok(dir.clone());
        }
        let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
        let cache =
            cache.ok_or_else(|| Failure::usage("there is no HOME: give --dir DIRECTORY"))?;
        Ok(cache.join("coterie/cluster"))
    }
}

/// Which nodes of which cluster.
#[derive(Args, Clone, Debug)]
pub(crate) struct Nodes {
    #[command(flatten)]
    place: Place,
    /// The nodes' numbers, from 0.
    #[arg(required = true, value_name = "NODE")]
    nodes: Vec<usize>,
}

/// What to start.
#[derive(Args, Clone, Debug)]
pub(crate) struct Up {
    #[command(flatten)]
    place: Place,
    /// How many nodes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=64))]
    nodes: u16,
    /// The first port of node 0; each node takes a hundred: RESP on the first, HTTP on the next. 0 for free ones.
    #[arg(long, default_value_t = 7379, value_name = "PORT")]
    base_port: u16,
    /// Threads of each node that own partitions.
    #[arg(long, default_value_t = 1)]
    lanes: u16,
    /// Partitions of a new cluster: a power of two.
    #[arg(long, default_value_t = 64)]
    partitions: usize,
    /// Owners of each partition of a new cluster.
    #[arg(long, default_value_t = 3)]
    replicas: u8,
    /// What acknowledged means: always on disk, or periodic.
    #[arg(long, default_value = "always", value_parser = durability)]
    sync: Durability,
    /// Have nodes reach each other directly: it costs less, and the network cannot be cut.
    #[arg(long)]
    direct: bool,
    /// How long it may take until the cluster serves.
    #[arg(long, default_value = "90s", value_name = "TIME", value_parser = time)]
    ready_within: Duration,
    /// Keep the cluster in this process, until it is told to stop (Ctrl-C).
    #[arg(long)]
    foreground: bool,
    /// With --foreground: stop once standard input is closed, as it is when whoever started this has ended.
    #[arg(long, requires = "foreground")]
    until_input_closes: bool,
    /// Further arguments of each `coterie-node run`, after `--`.
    #[arg(last = true, value_name = "ARGUMENT")]
    further: Vec<String>,
}

fn durability(text: &str) -> Result<Durability, String> {
    match text {
        "always" => Ok(Durability::Always),
        "periodic" => Ok(Durability::Periodic),
        _ => Err("give always or periodic".to_owned()),
    }
}

impl ClusterCommand {
    pub(crate) fn carry_out(&self, global: &Global) -> Result<(), Failure> {
        let tell = |place: &Place, ask: &Ask| -> Result<(), Failure> {
            let remote = Remote::open(&place.directory()?);
            show(global, &remote.ask(ask)?)
        };
        match self {
            ClusterCommand::Up(up) => up.carry_out(global),
            ClusterCommand::Down { place, remove_data } => down(global, place, *remove_data),
            ClusterCommand::Status(place) => status(global, place),
            ClusterCommand::Add(place) => tell(place, &Ask::Add),
            ClusterCommand::Kill(it) => tell(&it.place, &Ask::Kill { nodes: it.nodes.clone() }),
            ClusterCommand::Stop(it) => tell(&it.place, &Ask::Stop { nodes: it.nodes.clone() }),
            ClusterCommand::Start(it) => tell(&it.place, &Ask::Start { nodes: it.nodes.clone() }),
            ClusterCommand::Pause(it) => tell(&it.place, &Ask::Pause { nodes: it.nodes.clone() }),
            ClusterCommand::Resume(it) => tell(&it.place, &Ask::Resume { nodes: it.nodes.clone() }),
            ClusterCommand::Partition { place, one_way: false, groups } => {
                let groups = groups.iter().map(|Group(nodes)| nodes.clone()).collect();
                tell(place, &Ask::Partition { groups })
            }
            ClusterCommand::Partition { place, one_way: true, groups } => match &groups[..] {
                [Group(from), Group(to)] => {
                    tell(place, &Ask::Cut { from: from.clone(), to: to.clone() })
                }
                _ => Err(Failure::usage(
                    "--one-way takes two groups: who sends, and who does not hear",
                )),
            },
            ClusterCommand::Disturb { place, loss_permille, delay_millis_max } => {
                let (loss_permille, delay_millis_max) = (*loss_permille, *delay_millis_max);
                tell(place, &Ask::Disturb { loss_permille, delay_millis_max })
            }
            ClusterCommand::Heal(place) => tell(place, &Ask::Heal),
        }
    }
}

impl Up {
    fn shape(&self) -> Shape {
        Shape {
            nodes: usize::from(self.nodes),
            base_port: self.base_port,
            lanes: self.lanes,
            partitions: self.partitions,
            replicas: self.replicas,
            durability: self.sync,
            wiring: if self.direct { Wiring::Direct } else { Wiring::Proxied },
            further: self.further.clone(),
        }
    }

    fn carry_out(&self, global: &Global) -> Result<(), Failure> {
        let directory = self.place.directory()?;
        if self.foreground {
            let cluster = Cluster::start(&directory, self.shape())?;
            let (global, within) = (global.clone(), self.ready_within);
            std::thread::spawn(move || {
                let remote = Remote::open(&directory);
                let look = || Ok(remote.ask(&Ask::Status).ok());
                let shown =
                    wait(within, look).and_then(|()| show(&global, &remote.ask(&Ask::Status)?));
                if let Err(failure) = shown {
                    eprintln!("coterie: {failure}");
                }
            });
            let until = if self.until_input_closes { Until::InputCloses } else { Until::Told };
            return Ok(supervise(cluster, until)?);
        }
        fs::create_dir_all(&directory).map_err(Failure::file(&directory))?;
        let remote = Remote::open(&directory);
        if remote.ask(&Ask::Status).is_ok() {
            return Err(LocalError::Up { directory }.into());
        }
        let mut supervisor = self.detach(&directory)?;
        let log = directory.join("supervisor.log");
        wait(self.ready_within, || {
            if let Ok(Some(_ended)) = supervisor.try_wait() {
                return Err(LocalError::Refused { said: said(&log) });
            }
            Ok(remote.ask(&Ask::Status).ok())
        })?;
        let status = remote.ask(&Ask::Status)?;
        show(global, &status)
    }

    /// Starts this program again, which keeps the cluster when this process has ended.
    fn detach(&self, directory: &Path) -> Result<Child, Failure> {
        use std::os::unix::process::CommandExt;
        let program = env::current_exe().map_err(|error| {
            Failure::failed(format!("this program does not find itself: {error}"))
        })?;
        let log = directory.join("supervisor.log");
        let log = File::create(&log).map_err(Failure::file(&log))?;
        let second = log.try_clone().map_err(Failure::file(directory))?;
        let mut command = Command::new(program);
        command.args(["cluster", "up", "--foreground", "--dir"]).arg(directory);
        let shape = self.shape();
        let sync = if shape.durability == Durability::Always { "always" } else { "periodic" };
        command.arg(format!("--nodes={}", shape.nodes));
        command.arg(format!("--base-port={}", shape.base_port));
        command.arg(format!("--lanes={}", shape.lanes));
        command.arg(format!("--partitions={}", shape.partitions));
        command.arg(format!("--replicas={}", shape.replicas));
        command.arg(format!("--sync={sync}"));
        command.arg(format!("--ready-within={}s", self.ready_within.as_secs().max(1)));
        if shape.wiring == Wiring::Direct {
            command.arg("--direct");
        }
        if !shape.further.is_empty() {
            command.arg("--").args(&shape.further);
        }
        // What a terminal sends to this process is none of its business.
        command.stdin(Stdio::null()).stdout(second).stderr(log).process_group(0);
        command
            .spawn()
            .map_err(|error| Failure::failed(format!("the supervisor cannot be started: {error}")))
    }
}

/// What a supervisor that has ended said of it.
fn said(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(TAIL_LINES).collect();
    let lines: Vec<&str> = lines.into_iter().rev().collect();
    lines.join("\n").trim_start_matches("coterie: ").to_owned()
}

/// Waits until a cluster is ready, and shows on a terminal what is missing.
fn wait(
    within: Duration,
    look: impl FnMut() -> Result<Option<Status>, LocalError>,
) -> Result<(), Failure> {
    let mut err = std::io::stderr();
    let terminal = err.is_terminal();
    let progress = |missing: &str| {
        if terminal {
            // Whether anybody sees it does not matter.
            drop(write!(err, "\r\x1b[Kwaiting: {missing}"));
        }
    };
    let ready = wait_ready(within, look, progress);
    if terminal {
        drop(write!(std::io::stderr(), "\r\x1b[K"));
    }
    Ok(ready?)
}

fn down(global: &Global, place: &Place, remove_data: bool) -> Result<(), Failure> {
    let directory = place.directory()?;
    let remote = Remote::open(&directory);
    let last = remote.last()?;
    if remove_data {
        let shown = directory.display();
        confirm(
            global.consent(),
            &format!("All data of the cluster in {shown} would be removed."),
        )?;
    }
    let status = match remote.ask(&Ask::Down) {
        Ok(status) => status,
        // Its supervisor was killed, and may have left nodes behind.
        Err(LocalError::NotUp { .. }) if remove_data || last.supervisor.is_some() => {
            remote.reclaim()?;
            Status { supervisor: None, ..last }
        }
        Err(error) => return Err(error.into()),
    };
    if remove_data {
        fs::remove_dir_all(&directory).map_err(Failure::file(&directory))?;
    }
    let result =
        json!({"directory": status.directory, "stopped": true, "data_removed": remove_data});
    global.output().show(&result, || {
        let kept = if remove_data { "removed" } else { "kept" };
        format!("The cluster has stopped; its data in {} is {kept}.", status.directory.display())
    })
}

fn status(global: &Global, place: &Place) -> Result<(), Failure> {
    let remote = Remote::open(&place.directory()?);
    let status = remote.ask(&Ask::Status)?;
    show(global, &status)
}

fn node_json(node: &NodeStatus) -> Value {
    json!({
        "number": node.number,
        "node": node.id,
        "condition": node.condition,
        "process": node.process,
        "resp": node.resp,
        "http": format!("http://{}", node.http),
        "gossip": node.gossip,
        "peers": node.peers,
        "advertised_gossip": node.advertised_gossip,
        "advertised_peers": node.advertised_peers,
        "log": node.log(),
    })
}

/// Shows a cluster.
fn show(global: &Global, status: &Status) -> Result<(), Failure> {
    let ready = readiness(status);
    let missing = match &ready {
        Ok(Readiness::Ready) => None,
        Ok(Readiness::Missing(missing)) => Some(missing.clone()),
        Err(error) => Some(error.to_string()),
    };
    let result = json!({
        "directory": status.directory,
        "supervisor": status.supervisor,
        "ready": missing.is_none(),
        "missing": missing,
        "cut": status.cut,
        "nodes": status.nodes.iter().map(node_json).collect::<Vec<_>>(),
    });
    global.output().show(&result, || human(status, missing.as_deref()))
}

fn human(status: &Status, missing: Option<&str>) -> String {
    let rows = status.nodes.iter().map(|node| {
        let condition = serde_json::to_value(node.condition).unwrap_or_default();
        [
            node.number.to_string(),
            crate::output::text(&condition),
            node.process.map(|process| process.to_string()).unwrap_or_default(),
            node.resp.to_string(),
            format!("http://{}", node.http),
            node.id.clone(),
        ]
    });
    let mut shown = table(["node", "condition", "process", "redis", "http", "id"], rows);
    for (from, to) in &status.cut {
        shown.push_str(&format!("cut: {from} -> {to}\n"));
    }
    match (missing, status.nodes.first()) {
        (Some(missing), _) => shown.push_str(&format!("not ready: {missing}\n")),
        (None, Some(node)) => {
            let port = node.resp.port();
            shown.push_str(&format!(
                "ready: redis-cli -p {port}, coterie --node http://{} status\n",
                node.http
            ));
        }
        (None, None) => {}
    }
    shown.push_str(&format!("kept in {}", status.directory.display()));
    shown
}
