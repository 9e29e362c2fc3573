//! A cluster of this process.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use crate::control::reclaim;
use crate::error::LocalError;
use crate::network::Network;
use crate::node::Node;
use crate::ports::{Doors, free_base_port};
use crate::program::{make_authority, make_certificates, program};
use crate::ready;
use crate::shape::{LANES_MAX, Shape, Wiring};
use crate::status::{NodeStatus, Status};

/// Blocks of ports that a cluster on free ports finds free beyond its nodes, for those that are added.
const SPARE: usize = 3;

/// A cluster whose nodes end when this value or this process does. Methods name nodes by their numbers, from 0.
#[derive(Debug)]
pub struct Cluster {
    directory: PathBuf,
    program: PathBuf,
    shape: Shape,
    nodes: Vec<Node>,
    network: Network,
    /// Held while this process has the directory.
    _lock: File,
}

impl Cluster {
    /// Starts the cluster of a directory, which is made if it is not there; a directory that holds one goes on with its
    /// data. Returns once all processes are started; [`Cluster::wait_ready`] waits until they serve.
    ///
    /// # Errors
    /// [`LocalError`], which says what to do.
    pub fn start(directory: &Path, shape: Shape) -> Result<Cluster, LocalError> {
        let program = program()?;
        fs::create_dir_all(directory)
            .and_then(|()| fs::canonicalize(directory))
            .map_err(LocalError::io(directory.display().to_string()))
            .and_then(|directory| Cluster::start_in(directory, shape, program))
    }

    fn start_in(directory: PathBuf, shape: Shape, program: PathBuf) -> Result<Cluster, LocalError> {
        let lock = lock(&directory)?;
        let before = Status::read(&directory)?;
        if let Some(before) = &before {
            reclaim(before)?;
        }
        let shape = complete(shape, before.as_ref().map(|before| &before.shape))?;
        make_authority(&program, &directory.join("authority"))?;
        let (nodes, network) = (Vec::new(), Network::default());
        let count = shape.nodes;
        let mut cluster = Cluster { directory, program, shape, nodes, network, _lock: lock };
        for _number in 0..count {
            cluster.prepare_node()?;
        }
        for node in &mut cluster.nodes {
            node.start(&cluster.program)?;
        }
        cluster.keep()?;
        Ok(cluster)
    }

    /// Makes the next node, without starting it.
    fn prepare_node(&mut self) -> Result<usize, LocalError> {
        let number = self.nodes.len();
        let home = self.directory.join(format!("node-{number}"));
        fs::create_dir_all(&home).map_err(LocalError::io(home.display().to_string()))?;
        let authority = self.directory.join("authority");
        let certificates = home.join("certificates");
        let id = make_certificates(&self.program, &authority, &certificates)?;
        let doors = Doors::of(self.shape.base_port, number)?;
        let advertised = match self.shape.wiring {
            Wiring::Direct => [doors.gossip, doors.peers],
            Wiring::Proxied => {
                let all = |gossip: SocketAddr, peers: SocketAddr| {
                    let lane = |lane| SocketAddr::new(peers.ip(), peers.port() + lane);
                    std::iter::once(gossip).chain((0..self.shape.lanes).map(lane)).collect()
                };
                let fronts: Vec<_> = all(doors.gossip_front, doors.peers_front);
                self.network.add(all(doors.gossip, doors.peers), &fronts)?;
                [doors.gossip_front, doors.peers_front]
            }
        };
        let arguments = self.arguments(number);
        self.nodes.push(Node::new(number, id, home, doors, advertised, arguments));
        Ok(number)
    }

    fn arguments(&self, number: usize) -> Vec<String> {
        let shape = &self.shape;
        let mut arguments = vec![
            format!("--zone=local/zone-{number}"),
            format!("--lanes={}", shape.lanes),
            format!("--sync={}", shape.durability.name()),
        ];
        if number == 0 {
            arguments.push("--bootstrap".to_owned());
            arguments.push(format!("--partitions={}", shape.partitions));
            arguments.push(format!("--replicas={}", shape.replicas));
        }
        // Any of those before it will do: node 0 may have left.
        let known = self.nodes.iter().map(Node::advertised_gossip);
        arguments.extend(known.map(|gossip| format!("--join={gossip}")));
        arguments.extend(shape.further.iter().cloned());
        arguments
    }

    /// Adds a node and starts it; its number. It joins by itself, and is taken into the layout after a while.
    ///
    /// # Errors
    /// [`LocalError`].
    pub fn add_node(&mut self) -> Result<usize, LocalError> {
        let number = self.prepare_node()?;
        self.shape.nodes = self.nodes.len();
        self.start_node(number)?;
        Ok(number)
    }

    fn at(&mut self, number: usize) -> Result<&mut Node, LocalError> {
        let last = self.nodes.len().saturating_sub(1);
        self.nodes.get_mut(number).ok_or(LocalError::NoSuchNode { number, last })
    }

    /// Starts a node that was stopped or killed, or has ended.
    ///
    /// # Errors
    /// [`LocalError::WrongState`] if it runs, [`LocalError::NoSuchNode`], or what keeps it from starting.
    pub fn start_node(&mut self, number: usize) -> Result<(), LocalError> {
        let program = self.program.clone();
        self.at(number)?.start(&program)?;
        self.keep()
    }

    /// Kills a node as `kill -9` does: it gets no chance to do anything.
    ///
    /// # Errors
    /// [`LocalError::WrongState`] if it does not run, or [`LocalError::NoSuchNode`].
    pub fn kill(&mut self, number: usize) -> Result<(), LocalError> {
        self.at(number)?.kill()?;
        self.keep()
    }

    /// Stops a node in order, and waits until it has stopped.
    ///
    /// # Errors
    /// [`LocalError::Late`] if it had to be killed, or [`LocalError::NoSuchNode`].
    pub fn stop_node(&mut self, number: usize) -> Result<(), LocalError> {
        let node = self.at(number)?;
        node.ask_to_stop()?;
        let stopped = node.stopped();
        self.keep()?;
        stopped
    }

    /// Has a node stand still: nobody is told, connections stay, nothing is answered.
    ///
    /// # Errors
    /// [`LocalError::WrongState`] if it does not run, or [`LocalError::NoSuchNode`].
    pub fn pause(&mut self, number: usize) -> Result<(), LocalError> {
        self.at(number)?.pause()?;
        self.keep()
    }

    /// Has a node go on that stands still.
    ///
    /// # Errors
    /// [`LocalError::WrongState`] if it does not stand still, or [`LocalError::NoSuchNode`].
    pub fn resume(&mut self, number: usize) -> Result<(), LocalError> {
        self.at(number)?.resume()?;
        self.keep()
    }

    /// The network between the nodes.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Cuts: see [`Network::partition`].
    ///
    /// # Errors
    /// [`LocalError::Shape`] where nothing can be cut, or [`LocalError::NoSuchNode`].
    pub fn partition(&mut self, groups: &[Vec<usize>]) -> Result<(), LocalError> {
        self.can_cut(groups.iter().flatten())?;
        self.network.partition(groups);
        self.keep()
    }

    /// Cuts directions: see [`Network::cut`].
    ///
    /// # Errors
    /// [`LocalError::Shape`] where nothing can be cut, or [`LocalError::NoSuchNode`].
    pub fn cut(&mut self, from: &[usize], to: &[usize]) -> Result<(), LocalError> {
        self.can_cut(from.iter().chain(to))?;
        self.network.cut(from, to);
        self.keep()
    }

    /// Loses and delays: see [`Network::disturb`].
    ///
    /// # Errors
    /// [`LocalError::Shape`] where there are no proxies.
    pub fn disturb(&mut self, loss_permille: u16, delay_millis_max: u16) -> Result<(), LocalError> {
        self.can_cut(std::iter::empty())?;
        self.network.disturb(loss_permille, delay_millis_max);
        Ok(())
    }

    /// Makes the network whole, has what stands still go on, and starts what does not run, but for nodes that have
    /// left or ended by themselves.
    ///
    /// # Errors
    /// What keeps a node from starting.
    pub fn heal(&mut self) -> Result<(), LocalError> {
        use crate::status::Condition::{Ended, Killed, Left, Paused, Running, Stopped};
        self.network.heal();
        for node in &mut self.nodes {
            match node.status().condition {
                Paused => node.resume()?,
                Killed | Stopped => node.start(&self.program)?,
                Running | Left | Ended => {}
            }
        }
        self.keep()
    }

    fn can_cut<'a>(&self, mut named: impl Iterator<Item = &'a usize>) -> Result<(), LocalError> {
        if self.shape.wiring == Wiring::Direct {
            let what = "the nodes reach each other directly: start the cluster with proxies to cut and disturb";
            return Err(LocalError::Shape { what: what.to_owned() });
        }
        let last = self.nodes.len().saturating_sub(1);
        let stranger = named.find(|number| **number > last);
        stranger.map_or(Ok(()), |number| Err(LocalError::NoSuchNode { number: *number, last }))
    }

    /// How all is now.
    pub fn status(&mut self) -> Status {
        Status {
            directory: self.directory.clone(),
            supervisor: Some(process::id()),
            shape: self.shape.clone(),
            nodes: self.nodes.iter_mut().map(Node::status).collect(),
            cut: self.network.cuts(),
        }
    }

    /// How a node is now.
    ///
    /// # Errors
    /// [`LocalError::NoSuchNode`].
    pub fn node(&mut self, number: usize) -> Result<NodeStatus, LocalError> {
        self.at(number).map(Node::status)
    }

    /// Waits until all nodes that run serve, know each other, own their share, and nothing moves.
    ///
    /// # Errors
    /// [`LocalError::Late`], or [`LocalError::Ended`].
    pub fn wait_ready(&mut self, within: Duration) -> Result<(), LocalError> {
        ready::wait_ready(within, || Ok(Some(self.status())), |_missing| {})
    }

    /// Stops all nodes in order.
    ///
    /// # Errors
    /// The first that had to be killed; all have stopped.
    pub fn stop(mut self) -> Result<(), LocalError> {
        let asked = self.nodes.iter_mut().map(Node::ask_to_stop).fold(Ok(()), Result::and);
        let stopped = self.nodes.iter_mut().map(Node::stopped).fold(Ok(()), Result::and);
        let mut status = self.status();
        status.supervisor = None;
        status.write()?;
        asked.and(stopped)
    }

    fn keep(&mut self) -> Result<(), LocalError> {
        self.status().write()
    }
}

/// What one asks for, with what the directory has already.
fn complete(mut shape: Shape, before: Option<&Shape>) -> Result<Shape, LocalError> {
    if let Some(before) = before {
        shape.nodes = shape.nodes.max(before.nodes);
        shape.base_port = before.base_port;
        shape.lanes = before.lanes;
        shape.partitions = before.partitions;
        shape.replicas = before.replicas;
    }
    let refuse = |what: &str| Err(LocalError::Shape { what: what.to_owned() });
    if shape.nodes == 0 {
        return refuse("a cluster has at least one node");
    }
    if shape.lanes == 0 || shape.lanes > LANES_MAX {
        return refuse("a node has 1 to 28 lanes");
    }
    if shape.base_port == 0 {
        shape.base_port = free_base_port(shape.nodes + SPARE, shape.lanes)?;
    }
    Ok(shape)
}

/// The directory's lock. It goes with this process, however that ends.
fn lock(directory: &Path) -> Result<File, LocalError> {
    let path = directory.join("lock");
    let opened = File::options().create(true).append(true).open(&path);
    let lock = opened.map_err(LocalError::io(path.display().to_string()))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => {
            Err(LocalError::Up { directory: directory.to_path_buf() })
        }
        Err(fs::TryLockError::Error(error)) => {
            Err(LocalError::io(path.display().to_string())(error))
        }
    }
}
