//! All that a scrape is told of a node.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use coterie_protocol::control::SyncPolicy;
use coterie_protocol::{Counters, Liveness};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use super::doors::HttpMetrics;
use super::lane::{CommandCounts, LEVELS, LaneCounts, level_name};
use super::latency::Latency;
use super::process::{open_files, resident_bytes};
use super::show::Show;
use crate::engine::gateway::{Gateway, LaneFacts};

/// The node's registry.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    http: Arc<HttpMetrics>,
}

impl Metrics {
    /// Of the node behind a gateway. `commands` are the names of RESP commands by the numbers that lanes count them under.
    #[must_use]
    pub fn new(gateway: Gateway, commands: &'static [&'static str]) -> Metrics {
        let http = Arc::new(HttpMetrics::default());
        let mut registry = Registry::with_prefix("coterie");
        let node = Node { gateway, commands, http: Arc::clone(&http) };
        registry.register_collector(Box::new(node));
        Metrics { registry, http }
    }

    /// What the HTTP door counts into.
    #[must_use]
    pub fn http(&self) -> &Arc<HttpMetrics> {
        &self.http
    }

    /// The text of a scrape, in the OpenMetrics format.
    ///
    /// # Panics
    /// Never: a `String` takes all that is written into it.
    #[must_use]
    pub fn scrape(&self) -> String {
        let mut out = String::new();
        encode(&mut out, &self.registry).expect("a String takes all");
        out
    }
}

#[derive(Debug)]
struct Node {
    gateway: Gateway,
    commands: &'static [&'static str],
    http: Arc<HttpMetrics>,
}

impl Collector for Node {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let lanes = self.gateway.lanes();
        let mut show = Show::new(encoder);
        self.identity(&mut show)?;
        self.commands(&lanes, &mut show)?;
        self.http(&mut show)?;
        self.cluster(&mut show)?;
        connections(&lanes, &mut show)?;
        drivers(&lanes, &mut show)?;
        repair(&lanes, &mut show)?;
        self.gossip(&mut show)?;
        self.storage(&mut show)?;
        process(&mut show)
    }
}

impl Node {
    fn identity(&self, show: &mut Show<'_>) -> fmt::Result {
        let facts = self.gateway.facts();
        let (node, cluster) = (facts.node.to_string(), format!("{:032x}", facts.cluster));
        let sync = match facts.sync {
            SyncPolicy::Always => "always",
            SyncPolicy::Periodic => "periodic",
        };
        let labels = vec![
            ("node", &node[..]),
            ("cluster", &cluster),
            ("version", facts.version),
            ("sync", sync),
            ("region", facts.place.region()),
            ("zone", facts.place.zone()),
        ];
        show.gauges("node_info", "What this node is", [(labels, 1.0)])?;
        let started = facts.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        show.gauge("start_time_seconds", "When it started, since 1970", started.as_secs_f64())?;
        show.gauge("lanes", "Threads that own partitions", f64::from(facts.lanes))
    }

    fn commands(&self, lanes: &[Arc<LaneFacts>], show: &mut Show<'_>) -> fmt::Result {
        let mut sums: BTreeMap<usize, CommandCounts> = BTreeMap::new();
        for (number, counts) in lanes.iter().flat_map(|lane| &lane.metrics.commands) {
            sums.entry(*number).or_default().add(counts);
        }
        let name = |number: usize| self.commands.get(number).copied().unwrap_or("unknown");
        let outcomes = sums.iter().flat_map(|(number, counts)| {
            counts.occurred().map(|(level, outcome, count)| {
                (vec![("command", name(*number)), ("level", level), ("outcome", outcome)], count)
            })
        });
        show.counters(
            "commands",
            "RESP commands by the level asked for and by what became of them",
            outcomes,
        )?;
        show.latencies(
            "command_duration_seconds",
            "How long RESP commands took",
            sums.iter().map(|(number, counts)| (vec![("command", name(*number))], counts.latency)),
        )?;
        let mut levels = [Latency::default(); LEVELS];
        for lane in lanes {
            levels.iter_mut().zip(&lane.metrics.levels).for_each(|(sum, it)| sum.add(it));
        }
        let used = levels.iter().enumerate().filter(|(_, latency)| latency.count() > 0);
        show.latencies(
            "level_duration_seconds",
            "How long RESP commands took, by the level asked for",
            used.map(|(place, latency)| (vec![("level", level_name(place))], *latency)),
        )
    }

    fn http(&self, show: &mut Show<'_>) -> fmt::Result {
        let requests: Vec<_> = self
            .http
            .requests()
            .into_iter()
            .map(|((method, route, status), latency)| (method, route, status.to_string(), latency))
            .collect();
        show.latencies(
            "http_request_duration_seconds",
            "HTTP requests by route and status",
            requests.iter().map(|(method, route, status, latency)| {
                (vec![("method", *method), ("route", route), ("status", status)], *latency)
            }),
        )?;
        show.gauge("http_connections", "HTTP connections", self.http.connections() as f64)
    }

    fn cluster(&self, show: &mut Show<'_>) -> fmt::Result {
        let Some(view) = self.gateway.view() else {
            return show.gauge("in_cluster", "Whether this node is in a cluster", 0.0);
        };
        show.gauge("in_cluster", "Whether this node is in a cluster", 1.0)?;
        let number = view.decision.version().number;
        show.gauge("layout_version", "The layout in force", number as f64)?;
        show.gauge(
            "amnesiac",
            "Whether what was lost has not been received again",
            f64::from(u8::from(view.amnesiac)),
        )?;
        let others = |liveness| view.members.values().filter(|it| **it == liveness).count() as f64;
        let states = [
            ("up", others(Liveness::Up) + 1.0),
            ("suspect", others(Liveness::Suspect)),
            ("down", others(Liveness::Down)),
        ];
        show.gauges(
            "members",
            "Nodes that are known, this one among them, by whether they answer",
            states.map(|(state, count)| (vec![("state", state)], count)),
        )
    }

    fn gossip(&self, show: &mut Show<'_>) -> fmt::Result {
        let control = self.gateway.control();
        let gossip = &control.gossip;
        let counts = [
            ("packets_sent", gossip.packets_sent),
            ("streams_sent", gossip.streams_sent),
            ("malformed", gossip.malformed),
            ("unknown_version", gossip.unknown_version),
            ("foreign", gossip.foreign),
            ("own_id_claimed", gossip.own_id_claimed),
            ("impostors", gossip.impostors),
            ("misdirected", gossip.misdirected),
            ("table_full", gossip.table_full),
            ("errands_refused", gossip.errands_refused),
            ("probes", gossip.probes),
            ("probes_failed", gossip.probes_failed),
            ("indirect_only", gossip.indirect_only),
            ("refutations", gossip.refutations),
            ("irrefutable", gossip.irrefutable),
            ("convictions", gossip.convictions),
            ("postponed", gossip.postponed),
            ("recoveries", gossip.recoveries),
            ("syncs", gossip.syncs),
        ];
        show.counters(
            "swim_events",
            "What the failure detector has counted",
            counts.map(|(event, count)| (vec![("event", event)], count)),
        )?;
        show.counter(
            "misplaced_messages",
            "Messages for lanes that named no slice",
            control.misplaced,
        )
    }

    fn storage(&self, show: &mut Show<'_>) -> fmt::Result {
        let control = self.gateway.control();
        let storage = &control.storage;
        if let Some(permille) = storage.free_permille {
            let free = f64::from(permille) / 1_000.0;
            show.gauge("storage_free_ratio", "Share of the disk that is free", free)?;
        }
        let labelled = |name: &'static str, values: &[(&'static str, u64)]| -> Vec<_> {
            values.iter().map(|(what, value)| (vec![(name, *what)], *value)).collect()
        };
        let as_gauges = |values: Vec<(Vec<(&'static str, &'static str)>, u64)>| {
            values.into_iter().map(|(labels, value)| (labels, value as f64))
        };
        let bytes = as_gauges(labelled("of", &storage.bytes));
        show.gauges("storage_bytes", "Bytes of the storage, by what they are", bytes)?;
        let counts = labelled("event", &storage.counts);
        show.counters("storage_events", "What the storage has counted", counts)?;
        let levels = as_gauges(labelled("of", &storage.levels));
        show.gauges("storage_levels", "What the storage measures", levels)
    }
}

fn connections(lanes: &[Arc<LaneFacts>], show: &mut Show<'_>) -> fmt::Result {
    let sum = |count: fn(&LaneCounts) -> u64| -> u64 {
        lanes.iter().map(|lane| count(&lane.metrics.counts)).sum()
    };
    let (opened, closed) = (sum(|it| it.connections_opened), sum(|it| it.connections_closed));
    show.gauge("resp_connections", "RESP connections", opened.saturating_sub(closed) as f64)?;
    show.counter("resp_connections_opened", "RESP connections ever opened", opened)?;
    show.counter(
        "resp_connections_dropped",
        "RESP connections closed for what their clients did",
        sum(|it| it.connections_dropped),
    )?;
    show.counters(
        "resp_bytes",
        "Bytes that RESP clients sent and were sent",
        [("in", sum(|it| it.client_bytes_in)), ("out", sum(|it| it.client_bytes_out))]
            .map(|(direction, bytes)| (vec![("direction", direction)], bytes)),
    )
}

fn drivers(lanes: &[Arc<LaneFacts>], show: &mut Show<'_>) -> fmt::Result {
    let numbers: Vec<String> = lanes.iter().map(|lane| lane.lane.to_string()).collect();
    let by_lane = |count: fn(&LaneCounts) -> u64| -> Vec<_> {
        let counts = lanes.iter().map(|lane| count(&lane.metrics.counts));
        numbers.iter().zip(counts).map(|(lane, count)| (vec![("lane", &lane[..])], count)).collect()
    };
    show.counters("lane_turns", "Inboxes drained", by_lane(|it| it.turns))?;
    show.counters("lane_events", "Events handled", by_lane(|it| it.events))?;
    show.counters("lane_commits", "Batches committed", by_lane(|it| it.commits))?;
    show.counters("lane_fetches", "Events that waited for rows", by_lane(|it| it.fetches))?;
    let parked = numbers.iter().zip(lanes);
    let parked = parked.map(|(number, lane)| (vec![("lane", &number[..])], lane.parked as f64));
    show.gauges("lane_parked", "Events that wait for rows now", parked)?;
    let sum = |count: fn(&LaneCounts) -> u64| -> u64 {
        lanes.iter().map(|lane| count(&lane.metrics.counts)).sum()
    };
    show.counters(
        "peer_messages_sent",
        "Messages to other nodes by class",
        [("requests", sum(|it| it.messages_out[0])), ("bulk", sum(|it| it.messages_out[1]))]
            .map(|(class, count)| (vec![("class", class)], count)),
    )?;
    show.counter("peer_messages_received", "Messages from other nodes", sum(|it| it.messages_in))?;
    let unreachable = sum(|it| it.messages_unreachable);
    show.counter("peer_messages_unreachable", "Messages that could not be sent", unreachable)?;
    show.counter(
        "sync_messages",
        "Messages about synchronisation",
        sum(|it| it.sync_messages_out),
    )?;
    show.counter("move_messages", "Messages about moves", sum(|it| it.move_messages_out))
}

fn repair(lanes: &[Arc<LaneFacts>], show: &mut Show<'_>) -> fmt::Result {
    let slices = || lanes.iter().flat_map(|lane| &lane.slices);
    show.gauge("slices", "Slices that this node owns", slices().count() as f64)?;
    let unreceived = slices().filter(|slice| !slice.received).count();
    show.gauge("slices_unreceived", "Slices that are not all here yet", unreceived as f64)?;
    let mut hints: BTreeMap<String, u64> = BTreeMap::new();
    for (owner, bytes) in lanes.iter().flat_map(|lane| &lane.hints) {
        *hints.entry(owner.to_string()).or_default() += bytes;
    }
    show.gauges(
        "hint_bytes",
        "Hints kept for other nodes",
        hints.iter().map(|(owner, bytes)| (vec![("owner", &owner[..])], *bytes as f64)),
    )?;
    let sum = |count: fn(&Counters) -> u64| -> u64 {
        lanes.iter().map(|lane| count(&lane.counters)).sum()
    };
    let counts = [
        ("not_owner", sum(|it| it.not_owner)),
        ("strangers", sum(|it| it.strangers)),
        ("layout_stale", sum(|it| it.layout_stale)),
        ("layout_behind", sum(|it| it.layout_behind)),
        ("retired", sum(|it| it.retired)),
        ("epoch_stale", sum(|it| it.epoch_stale)),
        ("epoch_ahead", sum(|it| it.epoch_ahead)),
        ("not_ready", sum(|it| it.not_ready)),
        ("malformed", sum(|it| it.malformed)),
        ("full", sum(|it| it.full)),
        ("expired", sum(|it| it.expired)),
        ("damaged_keys", sum(|it| it.damaged_keys)),
        ("scrubbed_keys", sum(|it| it.scrubbed_keys)),
        ("scrubbed_leaves", sum(|it| it.scrubbed_leaves)),
    ];
    show.counters(
        "lane_notes",
        "What lanes have come upon",
        counts.map(|(note, count)| (vec![("note", note)], count)),
    )
}

fn process(show: &mut Show<'_>) -> fmt::Result {
    if let Some(bytes) = resident_bytes() {
        show.gauge("process_resident_bytes", "Memory that the process holds", bytes as f64)?;
    }
    if let Some(files) = open_files() {
        show.gauge("process_open_files", "Files and sockets that are open", files as f64)?;
    }
    Ok(())
}
