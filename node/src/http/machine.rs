//! What the machine lets the node have: clock, disk, files, sockets, and paths to other nodes.

use std::collections::BTreeMap;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::State;
use coterie_ring::NodeId;
use serde_json::{Value as Json_, json};

use super::door::Door;
use crate::peers::PeerConnection;

/// `GET /v1/machine`: what `coterie doctor` looks at.
pub(super) async fn machine(State(door): State<Door>) -> Json<Json_> {
    let gateway = door.gateway();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let lanes = gateway.lanes();
    let paths = lanes.iter().flat_map(|lane| &lane.paths);
    let read = |path| number(&fs::read_to_string(path).unwrap_or_default());
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    Json(json!({
        "wall_millis": u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
        "disk_free_permille": gateway.control().storage.free_permille,
        "files_max": files_max(&limits),
        "socket_receive_bytes_max": read("/proc/sys/net/core/rmem_max"),
        "socket_send_bytes_max": read("/proc/sys/net/core/wmem_max"),
        "paths": shown(paths),
    }))
}

fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// How many files and sockets the process may open, of what the kernel says of its limits. No limit is no number.
fn files_max(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    number(line.split_whitespace().next()?)
}

/// One entry for each node: of several connections the longest way, the smallest datagrams, and all that was lost.
fn shown<'a>(connections: impl Iterator<Item = &'a PeerConnection>) -> Vec<Json_> {
    let mut nodes: BTreeMap<NodeId, (u128, u16, u64, u64)> = BTreeMap::new();
    for connection in connections {
        let micros = connection.round_trip.as_micros();
        let (round_trip, mtu, sent, lost) =
            nodes.entry(connection.peer).or_insert((0, u16::MAX, 0, 0));
        *round_trip = (*round_trip).max(micros);
        *mtu = (*mtu).min(connection.datagram_bytes);
        *sent += connection.sent_packets;
        *lost += connection.lost_packets;
    }
    let entry = |(node, (round_trip, mtu, sent, lost)): (NodeId, (u128, u16, u64, u64))| {
        json!({
            "node": node.to_string(),
            "round_trip_micros": u64::try_from(round_trip).unwrap_or(u64::MAX),
            "mtu": mtu,
            "packets_sent": sent,
            "packets_lost": lost,
        })
    };
    nodes.into_iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::time::Duration;

    use super::*;

    #[test]
    fn limits_are_read_as_the_kernel_writes_them() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
            Max open files            1024                 524288               files\n";
        assert_eq!(files_max(limits), Some(1_024));
        assert_eq!(files_max("Max open files unlimited unlimited files"), None);
        assert_eq!(files_max(""), None);
    }

    #[test]
    fn connections_to_one_node_are_one_path() {
        let connection = |peer, micros, datagram_bytes, lost_packets| PeerConnection {
            peer: NodeId(peer),
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
            made_here: true,
            sent_by: true,
            round_trip: Duration::from_micros(micros),
            datagram_bytes,
            sent_packets: 10,
            lost_packets,
            waiting_bytes: 0,
        };
        let all =
            [connection(1, 5, 1_452, 1), connection(1, 9, 1_200, 2), connection(2, 1, 1_452, 0)];
        let paths = shown(all.iter());
        assert_eq!(paths.len(), 2);
        assert_eq!(paths[0]["round_trip_micros"], 9);
        assert_eq!(paths[0]["mtu"], 1_200);
        assert_eq!((&paths[0]["packets_sent"], &paths[0]["packets_lost"]), (&json!(20), &json!(3)));
    }
}
