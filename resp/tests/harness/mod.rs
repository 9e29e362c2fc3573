//! A door with one node behind it that keeps everything in memory: whole conversations, bytes in and bytes out.
//!
//! Requests are evaluated by `coterie-crdt` as the only owner would; no network, no quorum, no disk. Time stands still
//! unless the test lets it go on.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use coterie_crdt::operation::{KeyOperation, Operation, Reply, evaluate_all};
use coterie_crdt::{Actor, Actors, Cells, Clock, Context, Dot, Mint, Shown, State};
use coterie_protocol::View;
use coterie_protocol::repair::barrier;
use coterie_resp::ask::{Answer, Ask, AskId};
use coterie_resp::connection::Connection;
use coterie_resp::door::{Door, DoorSettings, Surroundings};
use coterie_resp::facts::{ClientFacts, NodeFacts, Query, Told};
use coterie_resp::memory::Memory;
use coterie_resp::parse::ParseLimits;
use coterie_resp::users::Users;
use coterie_ring::decision;
use coterie_ring::{
    BucketName, BucketPolicy, Intent, KeyHash, NodeId, NodeIntent, NodeState, Partitioner, Place,
};
use coterie_wire::{
    Answered, ChangedDots, Explanation, Incarnation, Key, List, ListFrom, Listed, ListedKey,
    Outcome, Page, Refused, Request,
};

/// The wall clock when a server begins, in milliseconds since 1970.
pub(crate) const WALL_MILLIS: u64 = 1_800_000_000_000;

/// Its only node.
const ME: NodeId = NodeId(1);

/// A door with a store behind it.
pub(crate) struct Server {
    pub(crate) door: Door,
    connections: Vec<Connection>,
    keys: BTreeMap<Key, State>,
    actors: Actors,
    clock: Clock,
    view: Arc<View>,
    now: Duration,
    wall_millis: u64,
    /// Orders answers at random, where it is not 0.
    shuffle: u64,
    /// Answers every request with this, where it is set.
    pub(crate) outcome: Option<Outcome>,
    /// Requests that were carried out.
    pub(crate) requests: usize,
    /// What its connections hold and may hold.
    pub(crate) memory: Memory,
}

impl Server {
    /// A server that answers in order.
    pub(crate) fn new() -> Server {
        Server::shuffled(0)
    }

    /// One that answers what is under way in an order drawn from a seed; 0 is in order.
    pub(crate) fn shuffled(seed: u64) -> Server {
        let mut intent = Intent::new();
        let place = Place::new("r", "z").unwrap();
        let node = NodeIntent { state: NodeState::Active, weight: 1, place };
        intent.set_node(ME, node).unwrap();
        for database in 0..16 {
            let name = BucketName::new(&format!("db{database}")).unwrap();
            intent.set_bucket(name, BucketPolicy::default()).unwrap();
        }
        intent.set_bucket(BucketName::new("other").unwrap(), BucketPolicy::default()).unwrap();
        let decision = decision::bootstrap(7, Partitioner::new(8).unwrap(), &intent).unwrap();
        let view = View::new(ME, Incarnation(1), Arc::new(decision));
        let settings = DoorSettings {
            limits: ParseLimits::default(),
            deadline: Duration::from_secs(5),
            authentication: Duration::from_secs(5),
            debug: false,
            address: address(7379),
            version: "0.1.0".to_owned(),
            seed: 7,
        };
        Server {
            door: Door::new(settings, Arc::new(Users::default())),
            connections: Vec::new(),
            keys: BTreeMap::new(),
            actors: Actors::new(Actor(11)),
            clock: Clock::new(),
            view: Arc::new(view),
            now: Duration::from_secs(1),
            wall_millis: WALL_MILLIS,
            shuffle: seed,
            outcome: None,
            requests: 0,
            memory: Memory { held: 0, most: 128 << 20 },
        }
    }

    /// A client connects; its place.
    pub(crate) fn connect(&mut self) -> usize {
        let client = self.connections.len();
        let port = u16::try_from(50_000 + client).unwrap();
        let id = client as u64 + 1;
        let connection = Connection::new(id, address(port), address(7379), self.now, &self.door);
        self.connections.push(connection);
        client
    }

    /// A client sends a line of words; all that it is answered, as text.
    pub(crate) fn say(&mut self, client: usize, line: &str) -> String {
        self.send(client, format!("{line}\r\n").as_bytes())
    }

    /// A client sends a command; all that it is answered.
    pub(crate) fn command(&mut self, client: usize, words: &[&[u8]]) -> Vec<u8> {
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            bytes.extend_from_slice(word);
            bytes.extend_from_slice(b"\r\n");
        }
        self.send_bytes(client, &bytes)
    }

    /// A client sends bytes; all that it is answered, as text.
    pub(crate) fn send(&mut self, client: usize, bytes: &[u8]) -> String {
        String::from_utf8_lossy(&self.send_bytes(client, bytes)).into_owned()
    }

    /// A client sends bytes; all that it is answered.
    pub(crate) fn send_bytes(&mut self, client: usize, bytes: &[u8]) -> Vec<u8> {
        let (mut rest, mut answered) = (bytes, Vec::new());
        loop {
            let piece = rest.len().min(self.connections[client].wants_input());
            self.connections[client].input().extend_from_slice(&rest[..piece]);
            rest = &rest[piece..];
            self.go_on(client);
            self.answer_all(client);
            let before = answered.len();
            answered.extend_from_slice(&self.read(client));
            if rest.is_empty() && answered.len() == before {
                return answered;
            }
            if piece == 0 && answered.len() == before {
                assert!(self.has_ended(client), "a connection that takes nothing has ended");
                return answered;
            }
        }
    }

    /// Reads what a client is answered so far.
    pub(crate) fn read(&mut self, client: usize) -> Vec<u8> {
        let output = self.connections[client].output().to_vec();
        let around = around(&self.view, self.now, self.wall_millis, self.memory);
        self.connections[client].wrote(output.len(), &mut self.door, &around);
        self.settle(client);
        output
    }

    fn settle(&mut self, client: usize) {
        let change = self.connections[client].settle();
        self.memory.held = self.memory.held.checked_add_signed(change).unwrap();
    }

    /// Whether a connection is over.
    pub(crate) fn has_ended(&self, client: usize) -> bool {
        self.connections[client].has_ended()
    }

    /// A connection.
    pub(crate) fn connection(&mut self, client: usize) -> &mut Connection {
        &mut self.connections[client]
    }

    /// A connection goes on with what is there.
    pub(crate) fn go_on(&mut self, client: usize) {
        let around = around(&self.view, self.now, self.wall_millis, self.memory);
        self.connections[client].go_on(&mut self.door, &around);
        self.settle(client);
    }

    /// Time passes.
    pub(crate) fn advance(&mut self, by: Duration) {
        self.now += by;
        self.wall_millis += u64::try_from(by.as_millis()).unwrap();
    }

    /// Sets the wall clock, in milliseconds since 1970.
    pub(crate) fn set_wall_millis(&mut self, wall_millis: u64) {
        self.wall_millis = wall_millis;
    }

    /// Changes a user.
    pub(crate) fn set_user(&mut self, name: &str, rules: &[&str]) {
        let rules: Vec<&[u8]> = rules.iter().map(|rule| rule.as_bytes()).collect();
        Arc::make_mut(&mut self.door.users).set(name, &rules).unwrap();
    }

    /// Carries out all that a connection asks, until it asks nothing more.
    pub(crate) fn answer_all(&mut self, client: usize) {
        loop {
            let mut asks = Vec::new();
            while let Some(ask) = self.connections[client].next_ask() {
                asks.push(ask);
            }
            if asks.is_empty() {
                return;
            }
            while !asks.is_empty() {
                let (id, ask) = asks.remove(self.pick(asks.len()));
                let answer = self.carry_out(ask);
                self.answer(client, id, answer);
            }
        }
    }

    /// Gives a connection an answer.
    pub(crate) fn answer(&mut self, client: usize, id: AskId, answer: Answer) {
        let around = around(&self.view, self.now, self.wall_millis, self.memory);
        self.connections[client].answered(id, answer, &mut self.door, &around);
        self.settle(client);
    }

    fn pick(&mut self, of: usize) -> usize {
        if self.shuffle == 0 {
            return 0;
        }
        // xorshift64 (Marsaglia 2003)
        self.shuffle ^= self.shuffle << 13;
        self.shuffle ^= self.shuffle >> 7;
        self.shuffle ^= self.shuffle << 17;
        usize::try_from(self.shuffle % of as u64).unwrap()
    }

    /// Carries out a question.
    pub(crate) fn carry_out(&mut self, ask: Ask) -> Answer {
        match ask {
            Ask::Request(request) => {
                self.requests += 1;
                match self.outcome.clone() {
                    Some(outcome) => Answer::Outcome(outcome),
                    None => Answer::Outcome(self.evaluate(&request)),
                }
            }
            Ask::List(list) => Answer::Listed(self.list(&list)),
            Ask::Barrier(_) => Answer::Barrier(barrier::Outcome::Done),
            Ask::Query(query) => Answer::Told(self.tell(query)),
        }
    }

    fn evaluate(&mut self, request: &Request) -> Outcome {
        if self.view.policy(request.key.bucket()).is_none() {
            return Outcome::Refused(Refused::NoSuchBucket);
        }
        let limits = coterie_crdt::operation::Limits::default();
        if let Err(error) = limits.key(request.key.name()) {
            return Outcome::Refused(Refused::Key(error));
        }
        let state = self.keys.entry(request.key.clone()).or_default();
        let known = state.root().map_or_else(Context::new, |root| root.minted().into_owned());
        let first = self.actors.next_dot(&known).unwrap();
        let random = self.requests as u64;
        let mut mint = Mint::new(first, &mut self.clock, self.wall_millis, random);
        let (replies, delta) = evaluate_all(&request.operations, state, &mut mint);
        let last = delta.context.greatest(first.actor);
        let minted = (first.sequence..=last).map(|sequence| Dot::new(first.actor, sequence));
        let minted = minted.collect();
        if !delta.is_empty() {
            state.join_delta(&delta);
            state.sweep();
        }
        let explanation = Explanation {
            coordinator: Some(ME),
            owners: vec![ME],
            digest: state.digest(),
            ..Explanation::default()
        };
        Outcome::Done(Box::new(Answered {
            replies,
            changed: ChangedDots { minted, observed: Context::new(), epoch: 0 },
            seen: (known, 0),
            owners: vec![ME],
            fallbacks: Vec::new(),
            everywhere: true,
            explanation: request.explain.then(|| Box::new(explanation)),
        }))
    }

    /// What a key is.
    pub(crate) fn shown(&mut self, key: &Key) -> Shown {
        let Some(state) = self.keys.get(key) else { return Shown::Nothing };
        let dot = Dot::new(Actor(12), 1);
        let mut mint = Mint::new(dot, &mut self.clock, self.wall_millis, 0);
        match Operation::Key(KeyOperation::Type).evaluate(state, &mut mint) {
            Ok((Reply::Type(shown), _)) => shown,
            other => panic!("a type is answered, not {other:?}"),
        }
    }

    fn list(&mut self, list: &List) -> Listed {
        if self.view.policy(&list.bucket).is_none() {
            return Listed::Refused(Refused::NoSuchBucket);
        }
        let partitioner = self.view.decision.layout().partitioner();
        let partition = partitioner.partition(KeyHash(list.from.hash));
        let mut there: Vec<Key> = self
            .keys
            .keys()
            .filter(|key| *key.bucket() == list.bucket)
            .filter(|key| key.partition(partitioner) == partition)
            .filter(|key| key.hash().0 >= list.from.hash)
            .cloned()
            .collect();
        there.sort_by_key(Key::hash);
        let mut page = Page { next: None, owners: vec![ME], keys: Vec::new() };
        for key in there {
            let shown = self.shown(&key);
            if shown == Shown::Nothing {
                continue;
            }
            if page.keys.len() == list.keys_max as usize {
                page.next = Some(ListFrom { hash: key.hash().0, after: None });
                return Listed::Page(page);
            }
            page.keys.push(ListedKey { name: key.name().clone(), shown });
        }
        page.next = ListFrom::next_partition(partition, partitioner);
        Listed::Page(page)
    }

    fn clients(&self) -> Vec<ClientFacts> {
        let open = self.connections.iter().filter(|connection| !connection.has_ended());
        open.map(|connection| connection.facts(self.now)).collect()
    }

    fn tell(&mut self, query: Query) -> Told {
        match query {
            Query::Node => {
                let calls = self.door.calls.clone();
                Told::Node(Box::new(NodeFacts { calls, lanes: 1, ..NodeFacts::default() }))
            }
            Query::Clients => Told::Clients(self.clients()),
            Query::Kill(filters) => {
                let mut killed = 0;
                for index in 0..self.connections.len() {
                    let facts = self.connections[index].facts(self.now);
                    let ended = self.connections[index].has_ended();
                    if !ended && filters.iter().all(|filter| filter.names(&facts)) {
                        self.connections[index].kill();
                        killed += 1;
                    }
                }
                Told::Count(killed)
            }
            Query::Pause(until) => {
                self.door.paused_until = until;
                Told::Done
            }
            Query::SetUser { name, rules } => {
                let rules: Vec<&[u8]> = rules.iter().map(|rule| &rule[..]).collect();
                match Arc::make_mut(&mut self.door.users).set(&name, &rules) {
                    Ok(()) => Told::Done,
                    Err(error) => Told::Error(error.to_string()),
                }
            }
            Query::DeleteUsers(names) => {
                let users = Arc::make_mut(&mut self.door.users);
                Told::Count(names.iter().filter(|name| users.remove(name)).count() as u64)
            }
            Query::Configure(pairs) => {
                for (name, value) in pairs {
                    if let Err(error) = self.door.parameters.set(&name, &value) {
                        return Told::Error(error.to_string());
                    }
                }
                Told::Done
            }
            Query::ResetStatistics => {
                self.door.calls.fill(coterie_resp::facts::Calls::default());
                Told::Done
            }
            Query::Slow(count) => Told::Slow(self.door.slow.iter().take(count).cloned().collect()),
            Query::ForgetSlow => {
                self.door.slow.clear();
                Told::Done
            }
        }
    }
}

fn around(view: &Arc<View>, now: Duration, wall_millis: u64, memory: Memory) -> Surroundings<'_> {
    Surroundings { view, now, wall_millis, memory }
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}
