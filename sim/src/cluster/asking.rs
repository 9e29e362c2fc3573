//! Between clients and nodes: what is asked, answered, and given up.

use std::time::Duration;

use coterie_protocol::{ClientId, Event};
use coterie_ring::Level;
use coterie_wire::{Outcome, Response, Slice};

use super::{Cluster, Happening};
use crate::network::NodeIndex;
use crate::options::Sync;
use crate::workload::{Asked, Bucket, Pending};

/// How long a client waits until it looks for a node again.
const RETRY: Duration = Duration::from_millis(100);

impl Cluster {
    /// Lets all clients begin.
    pub fn begin(&mut self) {
        for client in 0..self.workload.clients.len() {
            let wait = self.pacing.around(self.options.think);
            self.queue.after(wait, Happening::Ask(client));
        }
        let wait = self.troubles.around(self.options.fault_interval);
        self.queue.after(wait, Happening::Trouble);
    }

    pub(super) fn ask(&mut self, client: usize) {
        if self.workload.left == 0 {
            return;
        }
        if !self.connect(client) {
            return self.queue.after(RETRY, Happening::Ask(client));
        }
        self.workload.left -= 1;
        let now = self.now();
        let (number, request) = self.workload.ask(client, now);
        self.submit(client, number, request);
    }

    /// Asks a node for something that has to be done.
    pub(crate) fn demand(&mut self, node: NodeIndex, asked: Asked) {
        self.workload.connect(0, node);
        let now = self.now();
        let number = self.workload.number();
        let request = self.workload.request(0, now, number, asked);
        self.demanded.insert(number);
        self.submit(0, number, request);
    }

    fn submit(&mut self, client: usize, number: u64, request: coterie_wire::Request) {
        let now = self.now();
        let node = self.workload.clients[client].node.expect("it is connected");
        self.trace.hash(now, (node, number));
        self.trace.line(now, format_args!("client {client} asks {node} for {number}: {request:?}"));
        let Some(process) = &self.nodes[node].process else { return };
        let partition = self.partition(&request.key);
        let lane = usize::from(partition.0) % process.lanes.len();
        let wait = self.workload.patience() * 2;
        let event = Event::Request { client: ClientId(number), request: Box::new(request) };
        self.push(node, lane, event);
        self.queue.after(wait, Happening::GiveUp(number));
    }

    /// Whether the client has a node to ask.
    fn connect(&mut self, client: usize) -> bool {
        let connected = self.workload.clients[client].node;
        if connected.is_some_and(|node| self.serves(node)) {
            return true;
        }
        let running: Vec<NodeIndex> =
            (0..self.nodes.len()).filter(|node| self.serves(*node)).collect();
        if running.is_empty() {
            return false;
        }
        let node = *self.pacing.pick(&running);
        self.workload.connect(client, node);
        true
    }

    pub(super) fn answered(&mut self, node: NodeIndex, number: u64, response: Response) {
        let now = self.now();
        self.trace.hash(now, (node, number, std::mem::discriminant(&response.outcome)));
        self.trace.line(now, format_args!("{node} answers {number}: {response:?}"));
        if self.script.takes(number, now, &response) {
            return;
        }
        let Some(pending) = self.workload.pending.remove(&number) else { return };
        if self.demanded.remove(&number) && !matches!(response.outcome, Outcome::Done(_)) {
            let (asked, outcome) = (&pending.asked, &response.outcome);
            self.watch.violated(format!("{node} does not serve {asked:?}: {outcome:?}"));
        }
        self.look_at(&pending, &response);
        self.workload.answered(number, &pending, &response, now);
        let wait = self.pacing.around(self.options.think);
        self.queue.after(wait, Happening::Ask(pending.client));
    }

    fn look_at(&mut self, pending: &Pending, response: &Response) {
        let asked = &pending.asked;
        let executed = matches!(response.outcome, Outcome::Done(_) | Outcome::Unknown { .. });
        if pending.late && executed {
            let (request, outcome) = (pending.request, &response.outcome);
            self.watch.violated(format!("{request:?} was executed after its time: {outcome:?}"));
        }
        if asked.bucket == Bucket::Strong {
            return;
        }
        let promised = match (asked.bucket, asked.write) {
            // What is synced from time to time is not promised to be on disk.
            (Bucket::Strict, Some(level)) if self.options.sync == Sync::Always => {
                owners_promised(level, usize::from(self.options.replicas))
            }
            _ => 0,
        };
        // What a disk said it had synced it may have lost by now.
        let lied = self.nodes.iter().filter(|node| node.disk.has_lied()).count();
        let promised = promised.saturating_sub(lied);
        if let Outcome::Done(answered) = &response.outcome
            && answered.replies.iter().any(Result::is_err)
            && pending.asked.action.is_some()
        {
            let now = self.now();
            self.trace.line(now, format_args!("an operation failed: {:?}", answered.replies));
        }
        let owners = self.possible_owners(&asked.key);
        let replicas = self.options.replicas;
        let slice = Slice { partition: self.partition(&asked.key), replicas };
        let about = (pending.request, &asked.key, slice);
        self.watch.answered(about, response, promised, &owners, &self.nodes);
    }

    pub(super) fn give_up(&mut self, number: u64) {
        let Some(pending) = self.workload.pending.remove(&number) else { return };
        if self.demanded.remove(&number) {
            let asked = &pending.asked;
            self.watch.violated(format!("{} does not answer {asked:?}", pending.node));
        }
        let now = self.now();
        self.trace.line(now, format_args!("client {} gives {number} up", pending.client));
        self.workload.abandoned(number, &pending);
        self.queue.after(RETRY, Happening::Ask(pending.client));
    }

    pub(super) fn connections_to_clients_lost(&mut self, node: NodeIndex) {
        let pending = self.workload.pending.iter();
        let lost: Vec<u64> =
            pending.filter(|(_, it)| it.node == node).map(|(number, _)| *number).collect();
        for number in lost {
            self.give_up(number);
        }
        for client in &mut self.workload.clients {
            if client.node == Some(node) {
                client.node = None;
            }
        }
    }
}

/// How many owners' disks hold a write that was acknowledged at a level.
fn owners_promised(level: Level, replicas: usize) -> usize {
    let owners = match level {
        Level::Any => 0,
        Level::One | Level::LocalOne | Level::LocalQuorum => 1,
        Level::Two => 2,
        Level::Three => 3,
        Level::Quorum | Level::EachQuorum | Level::Linearizable => replicas / 2 + 1,
        Level::All => replicas,
    };
    owners.min(replicas)
}
