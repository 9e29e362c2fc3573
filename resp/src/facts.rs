//! What commands ask the node, and what it tells: plain data, to which this crate gives its shape.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use coterie_ring::Level;

/// Something that only the node knows, or can do for all its connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// [`NodeFacts`]: `INFO` and its like. Told by [`Told::Node`].
    Node,
    /// Every connection of the node. Told by [`Told::Clients`].
    Clients,
    /// Close connections, this one after its answer. Told by [`Told::Count`].
    Kill(Vec<KillFilter>),
    /// No connection goes on before this time since the node's start; `None` ends a pause. Told by [`Told::Done`].
    Pause(Option<Duration>),
    /// Change a user, or make it, by [`Users::set`](crate::users::Users::set) on the one copy that the node keeps, and
    /// hand that to every lane's door. Told by [`Told::Done`] or [`Told::Error`].
    SetUser {
        /// Its name.
        name: String,
        /// The rules.
        rules: Vec<Bytes>,
    },
    /// Remove users, likewise. Told by [`Told::Count`].
    DeleteUsers(Vec<String>),
    /// Set parameters in every lane's door. Told by [`Told::Done`] or [`Told::Error`].
    Configure(Vec<(String, String)>),
    /// Counts begin at 0 again. Told by [`Told::Done`].
    ResetStatistics,
    /// The latest slow commands of all lanes, at most so many. Told by [`Told::Slow`].
    Slow(usize),
    /// Forget them. Told by [`Told::Done`].
    ForgetSlow,
}

/// What the node tells.
#[derive(Clone, Debug)]
pub enum Told {
    /// About itself.
    Node(Box<NodeFacts>),
    /// About connections.
    Clients(Vec<ClientFacts>),
    /// How many.
    Count(u64),
    /// It is done.
    Done,
    /// It is not, and why: without a code.
    Error(String),
    /// Slow commands, latest first.
    Slow(Vec<SlowCommand>),
}

/// What the node knows of itself. What it does not know is 0.
#[derive(Clone, Debug, Default)]
pub struct NodeFacts {
    /// How long it has been up.
    pub uptime: Duration,
    /// The process.
    pub process_id: u32,
    /// How many lanes it has.
    pub lanes: u16,
    /// Connections now.
    pub clients: u64,
    /// And at most.
    pub clients_max: u64,
    /// Connections ever.
    pub clients_ever: u64,
    /// Connections that were not let in, ever.
    pub clients_refused: u64,
    /// Bytes that the process has in memory.
    pub memory_bytes: u64,
    /// And had at most.
    pub memory_peak_bytes: u64,
    /// Memory of the machine.
    pub machine_memory_bytes: u64,
    /// Bytes that came from clients.
    pub input_bytes: u64,
    /// Bytes that went to clients.
    pub output_bytes: u64,
    /// Commands in the last second.
    pub commands_per_second: u64,
    /// What all lanes counted: by place in the table.
    pub calls: Vec<Calls>,
    /// Keys by bucket, where they are counted or estimated.
    pub keys: Vec<(String, u64)>,
    /// How the log is synced: `always` or `periodic`.
    pub sync: String,
    /// Free space of the disk, in parts of 1,000.
    pub free_permille: u16,
    /// Lines of the section `coterie`, beside those that follow from the view.
    pub coterie: Vec<(String, String)>,
}

/// How often a command was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// How often it was carried out.
    pub calls: u64,
    /// Microseconds until it was answered, in all.
    pub micros: u64,
    /// How often it was refused before it was begun.
    pub rejected: u64,
    /// How often it failed.
    pub failed: u64,
}

impl Calls {
    /// Adds another lane's.
    pub fn add(&mut self, other: &Calls) {
        self.calls += other.calls;
        self.micros += other.micros;
        self.rejected += other.rejected;
        self.failed += other.failed;
    }
}

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was done.
    Done,
    /// It was answered with an error: nothing was changed.
    Failed,
    /// Too few owners could be reached.
    Unavailable,
    /// It may yet take effect.
    Unknown,
}

impl Ended {
    /// What a reply says.
    pub(crate) fn of(reply: &[u8]) -> Ended {
        match reply {
            [b'-', error @ ..] if error.starts_with(b"UNAVAILABLE") => Ended::Unavailable,
            [b'-', error @ ..] if error.starts_with(b"UNKNOWN ") => Ended::Unknown,
            [b'-', ..] => Ended::Failed,
            _ => Ended::Done,
        }
    }
}

/// A command that was answered, for whoever counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Its place in the table.
    pub place: usize,
    /// What its connection has writes wait for; `None` for what the bucket says.
    pub level: Option<Level>,
    /// What became of it.
    pub ended: Ended,
    /// How long it took.
    pub micros: u64,
}

/// What a connection knows of its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFacts {
    /// Its number.
    pub id: u64,
    /// Where it comes from.
    pub address: SocketAddr,
    /// Where it came to.
    pub local_address: SocketAddr,
    /// The name that it gave itself.
    pub name: Bytes,
    /// How long it has been there.
    pub age: Duration,
    /// How long it has said nothing.
    pub idle: Duration,
    /// The user that it is, if any.
    pub user: String,
    /// The bucket that it has selected.
    pub bucket: Bytes,
    /// Its last command.
    pub command: String,
    /// 2 or 3.
    pub protocol: u8,
    /// Bytes that it has sent and that wait.
    pub input_bytes: usize,
    /// Bytes for it that wait.
    pub output_bytes: usize,
    /// Commands under way.
    pub under_way: usize,
    /// Its library's name.
    pub library_name: Bytes,
    /// And version.
    pub library_version: Bytes,
}

/// Which connections are to be closed: those that all filters name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KillFilter {
    /// The one of this number.
    Id(u64),
    /// That from this address.
    Address(String),
    /// Those to this address.
    LocalAddress(String),
    /// Those of a user.
    User(String),
    /// All but the one of this number: who asks, unless it says otherwise.
    Not(u64),
    /// Those that have been there for so long.
    OlderThan(Duration),
    /// None, as there is no client of that kind: `TYPE master` and its like.
    None,
}

impl KillFilter {
    /// Whether it names a connection.
    #[must_use]
    pub fn names(&self, client: &ClientFacts) -> bool {
        match self {
            KillFilter::Id(id) => client.id == *id,
            KillFilter::Address(address) => client.address.to_string() == *address,
            KillFilter::LocalAddress(address) => client.local_address.to_string() == *address,
            KillFilter::User(user) => client.user == *user,
            KillFilter::Not(id) => client.id != *id,
            KillFilter::OlderThan(age) => client.age >= *age,
            KillFilter::None => false,
        }
    }
}

/// A command that took long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlowCommand {
    /// Its number on this node.
    pub number: u64,
    /// When it was answered, in milliseconds since 1970.
    pub wall_millis: u64,
    /// How long it took.
    pub took: Duration,
    /// Its name: what came behind it is not kept.
    pub name: &'static str,
    /// Whose it was.
    pub address: SocketAddr,
    /// What that client calls itself.
    pub client: Bytes,
}
