//! What one lane counts: plain numbers that only its thread writes.

use coterie_protocol::Class;
use coterie_ring::Level;
use coterie_wire::Body;

use super::latency::Latency;

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutcomeKind {
    /// Done.
    Done,
    /// Answered with an error of its own, such as WRONGTYPE: nothing was changed.
    Failed,
    /// Refused because of what was asked, or how the node is.
    Refused,
    /// Too few owners could be reached.
    Unavailable,
    /// It may yet take effect.
    Unknown,
}

/// The outcomes' names, in order.
pub const OUTCOMES: [&str; 5] = ["done", "failed", "refused", "unavailable", "unknown"];

/// Levels, and at the end the place of what has none.
pub(super) const LEVELS: usize = Level::ALL.len() + 1;

/// The name of a place of [`CommandCounts`].
pub(super) fn level_name(place: usize) -> &'static str {
    Level::ALL.get(place).map_or("default", |level| level.name())
}

fn place(level: Option<Level>) -> usize {
    level.map_or(Level::ALL.len(), |level| level as usize)
}

/// What was counted of one command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommandCounts {
    outcomes: [[u64; OUTCOMES.len()]; LEVELS],
    /// How long it took.
    pub latency: Latency,
}

impl CommandCounts {
    /// Every level and outcome that occurred, with how often.
    pub fn occurred(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> + '_ {
        self.outcomes.iter().enumerate().flat_map(|(level, outcomes)| {
            let occurred = outcomes.iter().enumerate().filter(|(_, count)| **count > 0);
            occurred.map(move |(outcome, count)| (level_name(level), OUTCOMES[outcome], *count))
        })
    }

    /// Adds what another lane counted.
    pub fn add(&mut self, other: &CommandCounts) {
        let theirs = other.outcomes.iter().flatten();
        for (mine, theirs) in self.outcomes.iter_mut().flatten().zip(theirs) {
            *mine += theirs;
        }
        self.latency.add(&other.latency);
    }
}

/// What else a lane's driver counts. It adds to these directly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneCounts {
    /// Client connections that were opened.
    pub connections_opened: u64,
    /// Client connections that were closed.
    pub connections_closed: u64,
    /// Client connections that were closed for what they did: malformed input, no authentication in time, no reading.
    pub connections_dropped: u64,
    /// Bytes that clients sent.
    pub client_bytes_in: u64,
    /// Bytes that clients were sent.
    pub client_bytes_out: u64,
    /// Turns: an inbox drained, a batch committed.
    pub turns: u64,
    /// Events handled.
    pub events: u64,
    /// Batches committed since the storage was made.
    pub commits: u64,
    /// Events that had to wait for rows from disk.
    pub fetches: u64,
    /// Messages to peers by class: requests, bulk.
    pub messages_out: [u64; 2],
    /// Messages from peers.
    pub messages_in: u64,
    /// Messages that could not be sent.
    pub messages_unreachable: u64,
    /// Messages about synchronisation that were sent.
    pub sync_messages_out: u64,
    /// Messages about moves that were sent.
    pub move_messages_out: u64,
    /// Rows that were sent of slices that move.
    pub moved_rows_out: u64,
    /// Bytes of the messages that carried them.
    pub moved_bytes_out: u64,
}

impl LaneCounts {
    /// A message leaves.
    pub fn sent(&mut self, class: Class, body: &Body) {
        let place = match class {
            Class::Requests => 0,
            Class::Bulk => 1,
        };
        self.messages_out[place] += 1;
        self.sync_messages_out += u64::from(matches!(body, Body::Sync(_)));
        self.move_messages_out += u64::from(matches!(body, Body::Move(_)));
    }
}

/// The numbers of a lane. Its thread owns them.
#[derive(Debug)]
pub struct LaneMetrics {
    /// By number of the command; nothing is kept of those that nobody uses.
    commands: Vec<Option<Box<CommandCounts>>>,
    /// How long commands of each level took.
    levels: [Latency; LEVELS],
    /// Everything else.
    pub counts: LaneCounts,
}

impl LaneMetrics {
    /// None counted yet, of so many commands.
    #[must_use]
    pub fn new(commands: usize) -> Self {
        LaneMetrics {
            commands: vec![None; commands],
            levels: [Latency::default(); LEVELS],
            counts: LaneCounts::default(),
        }
    }

    /// A command was answered: its number in the table of commands, the level that its client asked for (`None`: the
    /// bucket's), what became of it, and how long that took. A number past the table is counted nowhere.
    pub fn request(
        &mut self,
        command: usize,
        level: Option<Level>,
        outcome: OutcomeKind,
        micros: u64,
    ) {
        let Some(counts) = self.commands.get_mut(command) else { return };
        let counts = counts.get_or_insert_default();
        counts.outcomes[place(level)][outcome as usize] += 1;
        counts.latency.observe(micros);
        self.levels[place(level)].observe(micros);
    }

    /// A copy for others.
    #[must_use]
    pub fn snapshot(&self) -> LaneSnapshot {
        let used = self.commands.iter().enumerate();
        let used = used.filter_map(|(number, counts)| Some((number, **counts.as_ref()?)));
        LaneSnapshot {
            commands: used.collect(),
            levels: self.levels,
            counts: self.counts,
            published: true,
        }
    }
}

/// What a lane had counted when it published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneSnapshot {
    /// The commands that were used, by number.
    pub commands: Vec<(usize, CommandCounts)>,
    /// How long commands of each level took, by place.
    pub levels: [Latency; LEVELS],
    /// Everything else.
    pub counts: LaneCounts,
    /// Whether the lane has published at all: it does once it runs.
    pub published: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_counted_by_its_level_and_outcome() {
        let mut lane = LaneMetrics::new(3);
        lane.request(1, Some(Level::Quorum), OutcomeKind::Done, 100);
        lane.request(1, Some(Level::Quorum), OutcomeKind::Done, 200);
        lane.request(1, None, OutcomeKind::Unknown, 300);
        lane.request(3, None, OutcomeKind::Done, 1);
        let snapshot = lane.snapshot();
        let [(1, counts)] = snapshot.commands[..] else { panic!("{snapshot:?}") };
        let occurred: Vec<_> = counts.occurred().collect();
        assert_eq!(occurred, [("quorum", "done", 2), ("default", "unknown", 1)]);
        assert_eq!(counts.latency.count(), 3);
        assert_eq!(
            (
                snapshot.levels[place(Some(Level::Quorum))].count(),
                snapshot.levels[place(None)].count()
            ),
            (2, 1)
        );
        let mut sum = counts;
        sum.add(&counts);
        assert_eq!(sum.occurred().next(), Some(("quorum", "done", 4)));
    }
}
