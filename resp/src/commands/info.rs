//! `INFO`: facts about the node, by section, in the words of Redis.

use std::fmt::Write;

use coterie_protocol::Liveness;
use coterie_protocol::View;

use super::handshake::REDIS_VERSION;
use crate::arguments::{Arguments, CommandError};
use crate::desk::{Desk, Step};
use crate::encoder::Encoder;
use crate::facts::{NodeFacts, Query, Told};
use crate::table;

/// Those that are shown where none is asked for, and those that are shown besides for `all`.
const DEFAULT: [&str; 11] = [
    "server",
    "clients",
    "memory",
    "persistence",
    "stats",
    "replication",
    "cpu",
    "errorstats",
    "cluster",
    "keyspace",
    "coterie",
];
const MORE: [&str; 1] = ["commandstats"];

/// What of the view `INFO` shows: known without asking.
struct Around {
    node: String,
    version: String,
    port: u16,
    wall_millis: u64,
    up: usize,
    suspect: usize,
    down: usize,
    members: usize,
    layout: u64,
    partitions: usize,
    amnesiac: bool,
}

pub(super) fn info(
    desk: &mut Desk<'_>,
    arguments: &Arguments<'_>,
    _encoder: &mut Encoder<'_>,
) -> Result<Step, CommandError> {
    let mut wanted: Vec<String> =
        arguments.from(1).iter().map(|word| String::from_utf8_lossy(word).to_lowercase()).collect();
    if wanted.is_empty() {
        wanted.push("default".to_owned());
    }
    let around = Around::of(desk);
    Ok(Step::ask(Query::Node, move |told, encoder| {
        let Told::Node(facts) = told else { return encoder.error("ERR no facts were told") };
        let asks = |names: &[&str]| wanted.iter().any(|word| names.contains(&word.as_str()));
        let mut text = String::new();
        for section in DEFAULT {
            if asks(&[section, "default", "all", "everything"]) {
                put_section(&mut text, section, &facts, &around);
            }
        }
        for section in MORE {
            if asks(&[section, "all", "everything"]) {
                put_section(&mut text, section, &facts, &around);
            }
        }
        encoder.verbatim(&text);
    }))
}

impl Around {
    fn of(desk: &Desk<'_>) -> Around {
        let view: &View = desk.around.view;
        let layout = view.decision.layout();
        let others = layout.members().iter().filter(|member| member.id != view.me);
        let count =
            |liveness| others.clone().filter(|member| view.liveness(member.id) == liveness).count();
        Around {
            node: view.me.to_string(),
            version: desk.door.settings.version.clone(),
            port: desk.door.settings.address.port(),
            wall_millis: desk.around.wall_millis,
            up: count(Liveness::Up),
            suspect: count(Liveness::Suspect),
            down: count(Liveness::Down),
            members: layout.members().len(),
            layout: layout.version(),
            partitions: layout.partitioner().count(),
            amnesiac: view.amnesiac,
        }
    }
}

fn put_section(text: &mut String, section: &str, facts: &NodeFacts, around: &Around) {
    if !text.is_empty() {
        text.push_str("\r\n");
    }
    let mut title = section.to_owned();
    if let Some(first) = title.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    writeln!(text, "# {title}\r").expect("a string takes all");
    for (name, value) in lines(section, facts, around) {
        write!(text, "{name}:{value}\r\n").expect("a string takes all");
    }
}

fn lines(section: &str, facts: &NodeFacts, around: &Around) -> Vec<(String, String)> {
    let line = |name: &str, value: &dyn std::fmt::Display| (name.to_owned(), value.to_string());
    match section {
        "server" => vec![
            line("redis_version", &REDIS_VERSION),
            line("redis_git_sha1", &"00000000"),
            line("redis_mode", &"standalone"),
            line("os", &std::env::consts::OS),
            line("arch_bits", &usize::BITS),
            line("coterie_version", &around.version),
            line("process_id", &facts.process_id),
            line("run_id", &around.node),
            line("tcp_port", &around.port),
            line("server_time_usec", &(around.wall_millis.saturating_mul(1_000))),
            line("uptime_in_seconds", &facts.uptime.as_secs()),
            line("uptime_in_days", &(facts.uptime.as_secs() / 86_400)),
            line("io_threads_active", &facts.lanes),
        ],
        "clients" => vec![
            line("connected_clients", &facts.clients),
            line("maxclients", &facts.clients_max),
            line("blocked_clients", &0),
            line("tracking_clients", &0),
        ],
        "memory" => vec![
            line("used_memory", &facts.memory_bytes),
            line("used_memory_human", &human(facts.memory_bytes)),
            line("used_memory_rss", &facts.memory_bytes),
            line("used_memory_rss_human", &human(facts.memory_bytes)),
            line("used_memory_peak", &facts.memory_peak_bytes),
            line("used_memory_peak_human", &human(facts.memory_peak_bytes)),
            line("total_system_memory", &facts.machine_memory_bytes),
            line("total_system_memory_human", &human(facts.machine_memory_bytes)),
            line("maxmemory", &0),
            line("maxmemory_policy", &"noeviction"),
        ],
        "persistence" => vec![
            line("loading", &u8::from(around.amnesiac)),
            line("async_loading", &0),
            line("rdb_changes_since_last_save", &0),
            line("rdb_bgsave_in_progress", &0),
            line("rdb_last_bgsave_status", &"ok"),
            line("aof_enabled", &1),
            line("aof_rewrite_in_progress", &0),
            line("aof_last_write_status", &"ok"),
        ],
        "stats" => vec![
            line("total_connections_received", &facts.clients_ever),
            line("total_commands_processed", &facts.calls.iter().map(|c| c.calls).sum::<u64>()),
            line("instantaneous_ops_per_sec", &facts.commands_per_second),
            line("total_net_input_bytes", &facts.input_bytes),
            line("total_net_output_bytes", &facts.output_bytes),
            line("rejected_connections", &facts.clients_refused),
            line("evicted_keys", &0),
            line("pubsub_channels", &0),
        ],
        "replication" => vec![
            line("role", &"master"),
            // No node follows another; what the others are is in the section coterie.
            line("connected_slaves", &0),
            line("master_failover_state", &"no-failover"),
            line("master_replid", &around.node),
            line("master_repl_offset", &0),
        ],
        "cpu" | "errorstats" => Vec::new(),
        "cluster" => vec![line("cluster_enabled", &0)],
        "commandstats" => table::all()
            .zip(&facts.calls)
            .filter(|(_, calls)| calls.calls + calls.rejected + calls.failed > 0)
            .map(|(command, calls)| {
                let per_call = calls.micros / calls.calls.max(1);
                let value = format!(
                    "calls={},usec={},usec_per_call={per_call}.00,rejected_calls={},failed_calls={}",
                    calls.calls, calls.micros, calls.rejected, calls.failed
                );
                (format!("cmdstat_{}", command.name), value)
            })
            .collect(),
        "keyspace" => facts
            .keys
            .iter()
            .filter(|(_, keys)| *keys > 0)
            .map(|(bucket, keys)| (bucket.clone(), format!("keys={keys},expires=0,avg_ttl=0")))
            .collect(),
        "coterie" => {
            let mut lines = vec![
                line("node", &around.node),
                line("members", &around.members),
                line("members_up", &(around.up + 1)),
                line("members_suspect", &around.suspect),
                line("members_down", &around.down),
                line("layout_version", &around.layout),
                line("partitions", &around.partitions),
                line("lanes", &facts.lanes),
                line("sync", &facts.sync),
                line("disk_free_permille", &facts.free_permille),
            ];
            lines.extend(facts.coterie.iter().cloned());
            lines
        }
        _ => Vec::new(),
    }
}

/// Bytes for people.
fn human(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "K", "M", "G", "T"];
    let (mut unit, mut whole, mut rest) = (0, bytes, 0);
    while whole >= 1_024 && unit + 1 < UNITS.len() {
        rest = whole % 1_024;
        whole /= 1_024;
        unit += 1;
    }
    if unit == 0 {
        return format!("{whole}B");
    }
    format!("{whole}.{:02}{}", rest * 100 / 1_024, UNITS[unit])
}
