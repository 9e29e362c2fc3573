//! The door: what the connections of one lane share.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coterie_protocol::View;
use coterie_ring::Level;
use coterie_wire::RequestId;

use crate::cursors::Cursors;
use crate::facts::{Calls, Ended, Finished, SlowCommand};
use crate::memory::Memory;
use crate::parameters::Parameters;
use crate::parse::ParseLimits;
use crate::table;
use crate::users::Users;

/// Commands that were answered, and wait to be counted by the node.
pub const FINISHED_MAX: usize = 16_384;

/// Slow commands that a lane remembers.
const SLOW_MAX: usize = 128;

/// The time and the cluster, as they are when something happens.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The cluster.
    pub view: &'a Arc<View>,
    /// Time since the node's start.
    pub now: Duration,
    /// The wall clock, in milliseconds since 1970.
    pub wall_millis: u64,
    /// What clients hold with what they have under way.
    pub memory: Memory,
}

/// What does not change while a node runs.
#[derive(Clone, Debug)]
pub struct DoorSettings {
    /// What clients may send.
    pub limits: ParseLimits,
    /// How long a command may take, unless a client says otherwise.
    pub deadline: Duration,
    /// How long a client may take to say who it is, where it must.
    pub authentication: Duration,
    /// Whether `DEBUG` may be used.
    pub debug: bool,
    /// Where clients reach this node.
    pub address: SocketAddr,
    /// The version of this software.
    pub version: String,
    /// Random bits that no other door has: request ids begin with them.
    pub seed: u64,
}

/// What the connections of one lane share.
#[derive(Debug)]
pub struct Door {
    /// What does not change.
    pub settings: DoorSettings,
    /// Who there is; the node replaces it when somebody changes them.
    pub users: Arc<Users>,
    /// What `CONFIG` shows and sets; the node sets it in all doors.
    pub parameters: Parameters,
    /// No connection goes on before this time; the node sets it in all doors.
    pub paused_until: Option<Duration>,
    /// What was counted: by place in the table. The node may take it, and adds up.
    pub calls: Vec<Calls>,
    /// Commands that were answered since the node took them last; past [`FINISHED_MAX`] only `calls` counts them.
    pub finished: Vec<Finished>,
    /// Commands that took long, latest first.
    pub slow: VecDeque<SlowCommand>,
    pub(crate) cursors: Cursors,
    requests: u64,
    random: u64,
    slow_ever: u64,
}

impl Door {
    /// A door that nobody has come through yet.
    #[must_use]
    pub fn new(settings: DoorSettings, users: Arc<Users>) -> Door {
        let mut parameters = Parameters::default();
        let known = [
            ("port", settings.address.port().to_string()),
            ("proto-max-bulk-len", settings.limits.word_bytes_max.to_string()),
        ];
        for (name, value) in known {
            parameters.configure(name, &value);
        }
        Door {
            users,
            parameters,
            paused_until: None,
            calls: vec![Calls::default(); table::count()],
            finished: Vec::new(),
            slow: VecDeque::new(),
            cursors: Cursors::default(),
            requests: 0,
            random: settings.seed,
            slow_ever: 0,
            settings,
        }
    }

    /// How long a request may take, for a client that asked for so long.
    pub(crate) fn time_left(&self, asked: Option<Duration>) -> Duration {
        asked.unwrap_or(self.settings.deadline)
    }

    /// A name that no other request has.
    pub(crate) fn request_id(&mut self) -> RequestId {
        self.requests += 1;
        RequestId(u128::from(self.settings.seed) << 64 | u128::from(self.requests))
    }

    /// A number that is random as long as the seed is (SplitMix64, Steele et al. 2014).
    pub(crate) fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A command was answered.
    pub(crate) fn answered(
        &mut self,
        place: usize,
        took: Duration,
        level: Option<Level>,
        ended: Ended,
    ) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let calls = &mut self.calls[place];
        calls.calls += 1;
        calls.micros += micros;
        calls.failed += u64::from(ended != Ended::Done);
        if self.finished.len() < FINISHED_MAX {
            self.finished.push(Finished { place, level, ended, micros });
        }
    }

    /// A command took long.
    pub(crate) fn remember_slow(
        &mut self,
        wall_millis: u64,
        took: Duration,
        name: &'static str,
        address: SocketAddr,
        client: Bytes,
    ) {
        let number = self.slow_ever;
        self.slow_ever += 1;
        self.slow.truncate(SLOW_MAX - 1);
        self.slow.push_front(SlowCommand { number, wall_millis, took, name, address, client });
    }
}
