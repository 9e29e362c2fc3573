//! Clients: what they ask, whom, and what they remember of it.

mod asking;
mod mix;
mod others;
mod recorder;
mod twins;
mod written;

use std::collections::BTreeMap;
use std::time::Duration;

use coterie_check::{BucketId, Level, Name, Nanos, SessionId};
use coterie_crdt::Context;
use coterie_ring::Partitioner;
use coterie_wire::{Key, Levels, Outcome, Request, RequestId, Response, SessionDots};

use crate::network::NodeIndex;
use crate::options::Options;
use crate::random::Random;

pub use asking::{Asked, Bucket, Sort};
pub use mix::Mix;
pub use recorder::Recorder;
pub(crate) use recorder::dot;
pub use written::Written;

/// A client with one connection at a time.
#[derive(Clone, Debug)]
pub struct Client {
    /// The node that it is connected to.
    pub node: Option<NodeIndex>,
    /// Its session there.
    pub session: SessionId,
    /// Whether what it has read is to stay read.
    monotonic: bool,
    /// What its session must see, by key.
    memory: BTreeMap<Key, SessionDots>,
}

/// An operation that waits for its answer.
#[derive(Clone, Debug)]
pub struct Pending {
    /// Whose.
    pub client: usize,
    /// Which node it was sent to.
    pub node: NodeIndex,
    /// In which session.
    pub session: SessionId,
    /// When it was sent.
    pub invoked: Nanos,
    /// What was asked.
    pub asked: Asked,
    /// The name of the request.
    pub request: RequestId,
    /// Whether its time is over when it comes.
    pub late: bool,
}

/// All clients, and what they were told.
#[derive(Debug)]
pub struct Workload {
    random: Random,
    /// The clients.
    pub clients: Vec<Client>,
    /// What waits for an answer, by the number of the operation.
    pub pending: BTreeMap<u64, Pending>,
    /// What is to be judged in the end.
    pub recorder: Recorder,
    /// What was written to keys that the checkers know nothing of.
    pub written: Written,
    /// Operations that are still to be asked.
    pub left: usize,
    operations: u64,
    sessions: u64,
    mix: Mix,
    /// Names of keys, where they are not just numbered.
    names: Vec<String>,
    keys: u64,
    patience: Duration,
    loses: bool,
}

impl Workload {
    /// The clients of a run.
    #[must_use]
    pub fn new(options: &Options, random: Random) -> Self {
        let mut workload = Workload {
            random,
            clients: Vec::new(),
            pending: BTreeMap::new(),
            recorder: Recorder::new(options),
            written: Written::default(),
            left: options.operations,
            operations: 0,
            sessions: 0,
            mix: options.mix.clone(),
            names: names(options),
            keys: options.keys as u64,
            patience: options.patience,
            loses: options.loses(),
        };
        for _ in 0..options.clients {
            let monotonic = workload.random.chance(300);
            let session = SessionId(0);
            let memory = BTreeMap::new();
            workload.clients.push(Client { node: None, session, monotonic, memory });
        }
        workload
    }

    /// Clients wait at least so long from now on.
    pub fn wait_at_least(&mut self, patience: Duration) {
        self.patience = self.patience.max(patience);
    }

    /// A client connects to a node: a session begins.
    pub fn connect(&mut self, client: usize, node: NodeIndex) {
        self.sessions += 1;
        let client = &mut self.clients[client];
        client.node = Some(node);
        client.session = SessionId(self.sessions);
        client.memory.clear();
        self.recorder.session(client.session, client.monotonic);
    }

    /// What a client asks next, with the number of the operation.
    ///
    /// # Panics
    /// If the client is not connected.
    pub fn ask(&mut self, client: usize, now: Duration) -> (u64, Request) {
        self.operations += 1;
        let number = self.operations;
        let mix = (&self.mix, &self.names[..], self.keys);
        let asked = Asked::draw(&mut self.random, number, mix, self.loses);
        let late = self.random.chance(self.mix.late_permille);
        let mut request = self.request(client, now, number, asked);
        if late {
            request.time_left = Duration::ZERO;
            self.pending.get_mut(&number).expect("it was just asked").late = true;
        }
        (number, request)
    }

    /// How long clients wait.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// The request for what a client asks, which from now on is pending.
    ///
    /// # Panics
    /// If the client is not connected.
    pub fn request(&mut self, client: usize, now: Duration, number: u64, asked: Asked) -> Request {
        if asked.action.is_none() {
            self.written.asked(&asked);
        }
        let request = RequestId(u128::from(self.random.number()) << 64 | u128::from(number));
        let asking = &self.clients[client];
        let node = asking.node.expect("the client is connected");
        let session = asking.memory.get(&asked.key).cloned().unwrap_or_default();
        let wire = Request {
            id: request,
            key: asked.key.clone(),
            operations: vec![asked.operation.clone()],
            levels: Levels { write: asked.write, read: asked.read },
            time_left: self.patience,
            session,
            explain: false,
        };
        let invoked = nanos(now);
        let session = asking.session;
        let late = false;
        let pending = Pending { client, node, session, invoked, asked, request, late };
        self.pending.insert(number, pending);
        wire
    }

    /// The number of the next operation.
    pub fn number(&mut self) -> u64 {
        self.operations += 1;
        self.operations
    }

    /// An operation was answered: takes down what is known of it.
    ///
    /// # Panics
    /// If the answer does not fit into the history.
    pub fn answered(&mut self, number: u64, pending: &Pending, response: &Response, now: Duration) {
        self.remember(pending, response);
        if pending.asked.action.is_some() {
            self.recorder.answered(number, pending, response, nanos(now));
        } else {
            self.written.answered(pending, response);
        }
    }

    /// An operation was not answered, and its connection is gone.
    pub fn abandoned(&mut self, number: u64, pending: &Pending) {
        if pending.asked.action.is_some() {
            self.recorder.abandoned(number, pending);
        } else {
            self.written.abandoned(&pending.asked);
        }
        self.clients[pending.client].node = None;
    }

    fn remember(&mut self, pending: &Pending, response: &Response) {
        let client = &mut self.clients[pending.client];
        if client.session != pending.session {
            return;
        }
        let Outcome::Done(answered) = &response.outcome else { return };
        let memory = client.memory.entry(pending.asked.key.clone()).or_default();
        // Fallbacks may lack what every owner has.
        if !answered.everywhere || pending.asked.bucket == Bucket::Sloppy {
            let minted: Context = answered.changed.minted.iter().copied().collect();
            if !minted.is_empty() {
                let before = memory.is_empty() || memory.everywhere;
                memory.learn(&minted, answered.changed.epoch);
                memory.everywhere = before && answered.everywhere && !client.monotonic;
            }
        }
        if client.monotonic {
            memory.learn(&answered.seen.0, answered.seen.1);
        }
    }
}

fn names(options: &Options) -> Vec<String> {
    if !options.mix.twins {
        return Vec::new();
    }
    let partitioner = Partitioner::new(options.partitions).expect("a power of two");
    let pairs = options.keys as u64 / 2;
    twins::names(partitioner, Bucket::Strict.name(), Sort::Set.prefix(), pairs)
}

/// The time of a history.
pub(crate) fn nanos(at: Duration) -> Nanos {
    Nanos(u64::try_from(at.as_nanos()).expect("runs are short"))
}

/// A name of the checkers.
pub(crate) fn name(bytes: &[u8]) -> Name {
    Name::from(bytes)
}

/// A level in the words of the checkers.
fn level(level: coterie_ring::Level) -> Level {
    match level {
        coterie_ring::Level::Any => Level::Any,
        coterie_ring::Level::One => Level::One,
        coterie_ring::Level::Two => Level::Two,
        coterie_ring::Level::Three => Level::Three,
        coterie_ring::Level::Quorum => Level::Quorum,
        coterie_ring::Level::All => Level::All,
        coterie_ring::Level::LocalOne => Level::LocalOne,
        coterie_ring::Level::LocalQuorum => Level::LocalQuorum,
        coterie_ring::Level::EachQuorum => Level::EachQuorum,
        coterie_ring::Level::Linearizable => Level::Linearizable,
    }
}

/// The checkers' number of a bucket.
fn bucket(bucket: Bucket) -> BucketId {
    BucketId(bucket as u16)
}
