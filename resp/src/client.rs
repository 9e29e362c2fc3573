//! The client of a connection: what it has said of itself, and what it has asked to be kept to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coterie_protocol::session::{Guarantee, Patience, Session};
use coterie_ring::Level;
use coterie_wire::{Answered, Key, Levels, Outcome, SessionDots};

use crate::door::{Door, Surroundings};
use crate::encoder::Protocol;
use crate::users::{User, Users};

/// Buckets that `SELECT` reaches.
pub const DATABASES: u8 = 16;

/// Whether a client wants replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replies {
    /// Yes.
    On,
    /// No.
    Off,
    /// Not to the next command.
    SkipNext,
    /// Not to this one.
    Skip,
}

/// What a connection knows of its client.
#[derive(Debug)]
pub struct Client {
    /// Its number on this node.
    pub id: u64,
    /// Where it comes from.
    pub address: SocketAddr,
    /// Where it came to.
    pub local_address: SocketAddr,
    /// When it came.
    pub since: Duration,
    /// Since when it has been nobody, where it is.
    pub unknown_since: Duration,
    /// When it last said something.
    pub heard: Duration,
    /// The version that it speaks.
    pub protocol: Protocol,
    /// The name that it gave itself.
    pub name: Bytes,
    /// Its library's name.
    pub library_name: Bytes,
    /// And version.
    pub library_version: Bytes,
    /// Who it is; `None` until it has said so, where it must.
    pub user: Option<Arc<User>>,
    users_version: u64,
    /// The bucket that it has selected.
    pub bucket: Bytes,
    /// The levels that it asked for.
    pub levels: Levels,
    /// How long its commands may take, if it said so.
    pub deadline: Option<Duration>,
    /// What it is promised.
    pub guarantee: Guarantee,
    /// What it has to see.
    pub session: Session,
    /// Whether it wants replies.
    pub replies: Replies,
    /// The fewest other owners that hold any write of its durably; `None` before the first.
    pub least_others: Option<usize>,
}

impl Client {
    /// One that has just come.
    #[must_use]
    pub fn new(
        id: u64,
        address: SocketAddr,
        local_address: SocketAddr,
        now: Duration,
        users: &Users,
    ) -> Client {
        Client {
            id,
            address,
            local_address,
            since: now,
            unknown_since: now,
            heard: now,
            protocol: Protocol::Resp2,
            name: Bytes::new(),
            library_name: Bytes::new(),
            library_version: Bytes::new(),
            user: users.without_secret().cloned(),
            users_version: users.version,
            bucket: Bytes::from_static(b"db0"),
            levels: Levels::default(),
            deadline: None,
            guarantee: Guarantee::default(),
            session: Session::default(),
            replies: Replies::On,
            least_others: None,
        }
    }

    /// As it was when it came: `RESET`.
    pub fn reset(&mut self, users: &Users) {
        let fresh = Client::new(self.id, self.address, self.local_address, self.since, users);
        let session = std::mem::take(&mut self.session);
        *self = Client {
            unknown_since: self.heard,
            heard: self.heard,
            library_name: std::mem::take(&mut self.library_name),
            library_version: std::mem::take(&mut self.library_version),
            session,
            least_others: self.least_others,
            ..fresh
        };
    }

    /// The users have changed: looks again who it is. False where it is nobody any more, and has to go.
    pub(crate) fn look_again(&mut self, users: &Users) -> bool {
        if self.users_version == users.version {
            return true;
        }
        self.users_version = users.version;
        let Some(user) = &self.user else { return true };
        self.user = users.get(user.name.as_bytes()).filter(|user| user.enabled).cloned();
        self.user.is_some()
    }

    /// Selects a numbered bucket.
    pub fn select(&mut self, database: u8) {
        self.bucket = bucket_of(database);
    }

    /// How long its next command may take.
    #[must_use]
    pub fn time_left(&self, door: &Door) -> Duration {
        door.time_left(self.deadline)
    }

    /// What a request on `key` has to see.
    pub(crate) fn dots(&self, key: &Key) -> SessionDots {
        if self.session.keys() == 0 { SessionDots::default() } else { self.session.dots(key) }
    }

    /// How many have to take part in a request on `key`, where these levels were asked for.
    pub(crate) fn levels_on(&self, key: &Key, asked: Levels) -> Levels {
        match self.session.patience(key) {
            Patience::Level => asked,
            Patience::AllOwners => Levels { write: Some(Level::All), ..asked },
        }
    }

    /// Learns what became of a request.
    pub(crate) fn learn(
        &mut self,
        key: &Key,
        levels: Levels,
        outcome: &Outcome,
        around: &Surroundings<'_>,
    ) {
        let owners = match outcome {
            Outcome::Done(answered) if wrote(answered) => Some(answered.owners.len()),
            Outcome::Unknown { count, .. } => Some(usize::from(count.have)),
            Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unavailable(_) => None,
        };
        if let Some(owners) = owners {
            let others = owners.saturating_sub(1);
            self.least_others = Some(self.least_others.map_or(others, |least| least.min(others)));
        }
        if let Some(policy) = around.view.policy(key.bucket()) {
            self.session.learn_of(key, levels, policy, outcome);
        }
    }
}

fn wrote(answered: &Answered) -> bool {
    !answered.changed.minted.is_empty()
}

/// The number of a bucket, where it has one.
#[must_use]
pub fn database_of(bucket: &[u8]) -> Option<u8> {
    (0..DATABASES).find(|database| bucket_of(*database) == bucket)
}

/// The name of a numbered bucket.
#[must_use]
pub fn bucket_of(database: u8) -> Bytes {
    const NAMES: [&[u8]; DATABASES as usize] = [
        b"db0", b"db1", b"db2", b"db3", b"db4", b"db5", b"db6", b"db7", b"db8", b"db9", b"db10",
        b"db11", b"db12", b"db13", b"db14", b"db15",
    ];
    Bytes::from_static(NAMES[usize::from(database % DATABASES)])
}
