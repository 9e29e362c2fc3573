//! Processes of `coterie-node`, with certificates, on loopback.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;
use tempfile::TempDir;

use crate::proxy::{Addresses, Network};
use crate::{wait, web};

/// How long a cluster may take to form.
const FORM_WITHIN: Duration = Duration::from_secs(90);

/// Lines of a log that a failed test shows.
const LOG_LINES: usize = 12;

/// An address with a port that nobody else listens on. Not out of the range that the kernel takes ports from for
/// sockets that do not care: somebody could come by it before the node does.
fn free(udp: bool) -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(10_000 + (std::process::id() % 1_000) * 20).unwrap();
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % 1_000;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let is_free = match udp {
            true => UdpSocket::bind(address).is_ok(),
            false => TcpListener::bind(address).is_ok(),
        };
        if is_free {
            return address;
        }
    }
}

/// The daemon's program.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coterie-node"));
    // What the tests are told by the environment is none of the node's business.
    command.env_clear().stdin(Stdio::null());
    command
}

/// A node: its directory, its addresses, and its process while there is one.
pub(crate) struct Node {
    pub(crate) resp: SocketAddr,
    pub(crate) http: SocketAddr,
    /// Its name in the cluster, once it has told.
    pub(crate) id: String,
    arguments: Vec<String>,
    log: PathBuf,
    process: Option<Child>,
}

impl Node {
    /// Starts the process; its log goes on where it was.
    pub(crate) fn start(&mut self) {
        assert!(self.process.is_none(), "it runs");
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let child = program()
            .args(&self.arguments)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(child);
    }

    /// Ends the process at once, as kill -9 does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.process.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Stops the process in its tracks, or has it go on.
    pub(crate) fn signal(&self, signal: Signal) {
        let child = self.process.as_ref().expect("it runs");
        kill_process(Pid::from_child(child), signal).unwrap();
    }

    /// Whether the process has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.process.as_mut().is_some_and(|child| child.try_wait().unwrap().is_some())
    }

    /// Whether the node serves, or why it does not.
    pub(crate) fn ready(&mut self) -> Result<(), String> {
        if self.has_ended() {
            return Err("the process has ended".to_owned());
        }
        web::body(web::get(self.http, "/readyz")).map(drop)
    }

    /// Gives it one more setting, from its next start on.
    pub(crate) fn give(&mut self, flag: &str, value: &str) {
        self.arguments.extend([format!("--{flag}"), value.to_owned()]);
    }

    /// Its directory.
    pub(crate) fn home(&self) -> &Path {
        self.log.parent().expect("the log is in it")
    }

    /// How much memory its process has.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let process = self.process.as_ref().expect("it runs").id();
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is told");
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
    }

    /// All that it logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let from = log.lines().count().saturating_sub(LOG_LINES);
            println!("--- {}", self.log.display());
            log.lines().skip(from).for_each(|line| println!("{line}"));
        }
    }
}

/// A cluster of processes, and the network between them.
pub(crate) struct Cluster {
    // Before the network and the directory: processes end first.
    pub(crate) nodes: Vec<Node>,
    pub(crate) network: Network,
    home: Option<TempDir>,
}

/// What a cluster is made of.
pub(crate) struct Plan<'a> {
    pub(crate) nodes: usize,
    pub(crate) partitions: usize,
    pub(crate) seed: u64,
    /// Where some nodes have their data, if not beside the others'.
    pub(crate) data: &'a [(usize, PathBuf)],
}

impl Cluster {
    /// Starts nodes and waits until all are members, and own and have received what they are to.
    pub(crate) fn form(plan: &Plan<'_>) -> Cluster {
        let home = tempfile::Builder::new().prefix("coterie-chaos-").tempdir().unwrap();
        let listen: Vec<Addresses> = (0..plan.nodes).map(|_| [free(true), free(true)]).collect();
        let network = Network::between(listen.clone(), plan.seed);
        let authority = home.path().join("authority");
        certify(&["cert", "init", "--dir", path(&authority)]);
        let mut nodes = Vec::new();
        for (number, listen) in listen.iter().enumerate() {
            let own = home.path().join(format!("node-{number}"));
            let certificates = own.join("certificates");
            certify(&["cert", "node", "--dir", path(&authority), "--out", path(&certificates)]);
            let elsewhere = plan.data.iter().find(|(node, _)| *node == number);
            let data = elsewhere.map_or_else(|| own.join("data"), |(_, data)| data.clone());
            let [gossip, peers] = network.fronts(number);
            let (resp, http) = (free(false), free(false));
            let mut arguments: Vec<String> =
                ["run", "--lanes", "1", "--request-timeout", "2s"].map(str::to_owned).to_vec();
            let mut give = |flag: &str, value: String| {
                arguments.extend([format!("--{flag}"), value]);
            };
            give("data-dir", path(&data).to_owned());
            give("certificates", path(&certificates).to_owned());
            give("resp", resp.to_string());
            give("http", http.to_string());
            give("gossip", listen[0].to_string());
            give("peers", listen[1].to_string());
            give("advertise-gossip", gossip.to_string());
            give("advertise-peers", peers.to_string());
            give("zone", format!("test/zone-{number}"));
            give("cache-bytes", "16MiB".to_owned());
            // Both kinds of durability outlive a killed process.
            give("sync", if number % 2 == 0 { "periodic" } else { "always" }.to_owned());
            if number == 0 {
                arguments.push("--bootstrap".to_owned());
                arguments.extend(["--partitions".to_owned(), plan.partitions.to_string()]);
            } else {
                give("join", network.fronts(0)[0].to_string());
            }
            let log = own.join("log");
            nodes.push(Node { resp, http, id: String::new(), arguments, log, process: None });
        }
        let mut cluster = Cluster { nodes, network, home: Some(home) };
        cluster.nodes.iter_mut().for_each(Node::start);
        let (_, took) = wait::until("the cluster forms", FORM_WITHIN, || cluster.formed());
        println!("{} nodes serve after {:.1} s", plan.nodes, took.as_secs_f32());
        for node in &mut cluster.nodes {
            let status = web::body(web::get(node.http, "/v1/status")).unwrap();
            node.id = status["node"].as_str().unwrap().to_owned();
        }
        cluster
    }

    fn formed(&mut self) -> Result<(), String> {
        let count = self.nodes.len();
        let ended = self.nodes.iter_mut().position(Node::has_ended);
        if let Some(node) = ended {
            panic!("node {node} has ended:\n{}", self.nodes[node].log());
        }
        for (number, node) in self.nodes.iter_mut().enumerate() {
            let why = |why| format!("node {number}: {why}");
            node.ready().map_err(why)?;
            let ring = web::body(web::get(node.http, "/v1/ring")).map_err(why)?;
            let members = ring["nodes"].as_array().map_or(0, Vec::len);
            if members != count || ring["moving"] != 0 {
                return Err(why(format!("{members} members, {} partitions move", ring["moving"])));
            }
        }
        Ok(())
    }

    /// Has every process run again, and the network whole.
    pub(crate) fn heal(&mut self) {
        self.network.heal();
        for node in &mut self.nodes {
            assert!(!node.has_ended(), "a node has ended by itself:\n{}", node.log());
            if node.process.is_none() {
                node.start();
            }
            node.signal(Signal::CONT);
        }
    }

    /// What a node says of itself.
    pub(crate) fn tell(&self, node: usize, path: &str) -> Result<Json, String> {
        let told = web::body(web::get(self.nodes[node].http, path));
        told.map_err(|why| format!("node {node}: {why}"))
    }

    /// No node has panicked.
    pub(crate) fn check_logs(&self) {
        for node in &self.nodes {
            let log = node.log();
            let panicked = log.lines().find(|line| line.contains("panicked at"));
            assert_eq!(panicked, None, "{}", node.log.display());
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(home) = self.home.take()
        {
            println!("data and logs are kept in {}", home.keep().display());
        }
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn certify(arguments: &[&str]) {
    let output = program().args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}
