//! What happened how often, for metrics.

/// Counts since the start. Each is a metric; none decides anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets written.
    pub packets_sent: u64,
    /// Stream messages handed out.
    pub streams_sent: u64,
    /// Packets and stream messages that were no valid message of this version.
    pub malformed: u64,
    /// Messages of a version not spoken here.
    pub unknown_version: u64,
    /// Datagrams that this cluster's key did not open.
    pub foreign: u64,
    /// Messages whose sender claims this node's identity.
    pub own_id_claimed: u64,
    /// Stream messages whose sender is not the certificate's.
    pub impostors: u64,
    /// Pings meant for another node.
    pub misdirected: u64,
    /// Records refused because the table is full.
    pub table_full: u64,
    /// Requests to help that were ignored: target unknown, or too many under way.
    pub errands_refused: u64,
    /// Probes begun.
    pub probes: u64,
    /// Probes that nobody saw answered.
    pub probes_failed: u64,
    /// Probes that only a helper saw answered: a path that works one way or not at all.
    pub indirect_only: u64,
    /// Accusations of this node that it refuted.
    pub refutations: u64,
    /// Claims about this node in the last generation there is, which no claim of its own outranks.
    pub irrefutable: u64,
    /// Members this node convicted.
    pub convictions: u64,
    /// Convictions put off because too few others were heard, or too many members were due.
    pub postponed: u64,
    /// Times the node had been stopped, or had heard nobody, and began to trust itself again.
    pub recoveries: u64,
    /// Synchronisations begun.
    pub syncs: u64,
}
