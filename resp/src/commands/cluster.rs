//! `CLUSTER`: the cluster as a client of a Redis cluster looks at it.
//!
//! Any node answers for any key, so the 16,384 slots are dealt evenly over the members that are up, and nothing is ever
//! moved: a client that sends a key to the node of its slot spreads its load, no more.

use std::net::SocketAddr;

use coterie_protocol::View;
use coterie_ring::NodeId;

use super::server;
use crate::arguments::{Arguments, CommandError};
use crate::desk::{Desk, Step};
use crate::encoder::Encoder;
use crate::table::{Command, Flag, Group, Run};

/// Slots of a Redis cluster.
const SLOTS: u16 = 16_384;

const BASE: Command = Command {
    flags: &[Flag::Loading, Flag::Stale],
    group: Group::Cluster,
    since: "3.0.0",
    semantics: "What this node knows of the cluster; others may know more or less for a moment.",
    ..server::BASE
};

/// The commands.
pub(super) static COMMANDS: &[Command] = &[
    Command {
        name: "asking",
        arity: 1,
        summary: "Accepted: every node answers for every key.",
        run: Run::Desk(server::accepted),
        ..BASE
    },
    Command {
        name: "cluster",
        arity: -2,
        summary: "Describes the cluster.",
        subcommands: SUBCOMMANDS,
        ..BASE
    },
    Command {
        name: "readonly",
        arity: 1,
        summary: "Accepted: every node answers for every key.",
        run: Run::Desk(server::accepted),
        ..BASE
    },
    Command {
        name: "readwrite",
        arity: 1,
        summary: "Accepted: every node answers for every key.",
        run: Run::Desk(server::accepted),
        ..BASE
    },
];

static SUBCOMMANDS: &[Command] = &[
    Command {
        name: "countkeysinslot",
        arity: 3,
        summary: "Returns 0: keys are not kept by these slots.",
        run: Run::Desk(|_desk, arguments, encoder| {
            slot(arguments, 2)?;
            encoder.integer(0);
            Ok(Step::Done)
        }),
        ..BASE
    },
    Command {
        name: "getkeysinslot",
        arity: 4,
        summary: "Returns nothing: keys are not kept by these slots.",
        run: Run::Desk(|_desk, arguments, encoder| {
            slot(arguments, 2)?;
            arguments.count_at(3)?;
            encoder.array(0);
            Ok(Step::Done)
        }),
        ..BASE
    },
    Command {
        name: "help",
        arity: 2,
        summary: "Lists the subcommands.",
        run: Run::Desk(|_desk, _arguments, encoder| super::introspection::help("cluster", encoder)),
        ..BASE
    },
    Command {
        name: "info",
        arity: 2,
        summary: "Returns whether the cluster is well.",
        run: Run::Desk(info),
        ..BASE
    },
    Command {
        name: "keyslot",
        arity: 3,
        summary: "Returns the slot of a key.",
        run: Run::Desk(|_desk, arguments, encoder| {
            encoder.integer(i64::from(key_slot(arguments.word(2))));
            Ok(Step::Done)
        }),
        ..BASE
    },
    Command {
        name: "myid",
        arity: 2,
        summary: "Returns this node's id.",
        run: Run::Desk(|desk, _arguments, encoder| {
            encoder.bulk(id(desk.around.view.me).as_bytes());
            Ok(Step::Done)
        }),
        ..BASE
    },
    Command {
        name: "nodes",
        arity: 2,
        summary: "Returns the members, a line for each.",
        run: Run::Desk(nodes),
        ..BASE
    },
    Command {
        name: "shards",
        arity: 2,
        since: "7.0.0",
        summary: "Returns which node is to be asked for which slots.",
        run: Run::Desk(shards),
        ..BASE
    },
    Command {
        name: "slots",
        arity: 2,
        summary: "Returns which node is to be asked for which slots.",
        run: Run::Desk(slots),
        ..BASE
    },
];

fn slot(arguments: &Arguments<'_>, index: usize) -> Result<u16, CommandError> {
    let slot = arguments.integer_as::<u16>(index).filter(|slot| *slot < SLOTS);
    slot.ok_or(CommandError::Text("ERR Invalid slot"))
}

/// The slot of a key: of what is between the first braces, where something is, else of all.
fn key_slot(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        let close = rest.iter().position(|byte| *byte == b'}')?;
        (close > 0).then(|| &rest[..close])
    });
    crc16(tag.unwrap_or(key)) % SLOTS
}

/// CRC-16/XMODEM, as the Redis cluster specification has it.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
        })
    })
}

/// A node of the cluster, as clients may reach it.
#[derive(Clone, Copy)]
struct Member {
    node: NodeId,
    address: SocketAddr,
}

/// Members that are up, in the order of their ids.
fn members(desk: &Desk<'_>) -> Vec<Member> {
    let view: &View = desk.around.view;
    let mut members: Vec<Member> = view
        .decision
        .layout()
        .members()
        .iter()
        .filter(|member| view.is_live(member.id))
        .filter_map(|member| {
            let address = if member.id == view.me {
                desk.door.settings.address
            } else {
                view.attributes.get(&member.id)?.resp.into()
            };
            Some(Member { node: member.id, address })
        })
        .collect();
    members.sort_by_key(|member| member.node);
    members
}

/// First and last slot of the `index`-th of so many.
fn share(index: usize, of: usize) -> (usize, usize) {
    let slots = usize::from(SLOTS);
    (index * slots / of, (index + 1) * slots / of - 1)
}

/// An id in 40 digits, as clients of Redis expect.
fn id(node: NodeId) -> String {
    format!("{:0>40}", node.to_string())
}

fn slots(
    desk: &mut Desk<'_>,
    _arguments: &Arguments<'_>,
    encoder: &mut Encoder<'_>,
) -> Result<Step, CommandError> {
    let members = members(desk);
    encoder.array(members.len());
    for index in 0..members.len() {
        let (first, last) = share(index, members.len());
        encoder.array(2 + members.len());
        encoder.count(first);
        encoder.count(last);
        // The one that is to be asked first, then the others, which answer just as well.
        for other in 0..members.len() {
            let member = members[(index + other) % members.len()];
            encoder.array(4);
            encoder.bulk(member.address.ip().to_string().as_bytes());
            encoder.integer(i64::from(member.address.port()));
            encoder.bulk(id(member.node).as_bytes());
            encoder.array(0);
        }
    }
    Ok(Step::Done)
}

fn shards(
    desk: &mut Desk<'_>,
    _arguments: &Arguments<'_>,
    encoder: &mut Encoder<'_>,
) -> Result<Step, CommandError> {
    let members = members(desk);
    encoder.array(members.len());
    for (index, member) in members.iter().enumerate() {
        let (first, last) = share(index, members.len());
        encoder.map(2);
        encoder.bulk(b"slots");
        encoder.array(2);
        encoder.count(first);
        encoder.count(last);
        encoder.bulk(b"nodes");
        encoder.array(1);
        encoder.map(7);
        let ip = member.address.ip().to_string();
        let texts = [("id", id(member.node)), ("endpoint", ip.clone()), ("ip", ip)];
        for (name, text) in texts {
            encoder.bulk(name.as_bytes());
            encoder.bulk(text.as_bytes());
        }
        encoder.bulk(b"port");
        encoder.integer(i64::from(member.address.port()));
        encoder.bulk(b"role");
        encoder.bulk(b"master");
        encoder.bulk(b"replication-offset");
        encoder.integer(0);
        encoder.bulk(b"health");
        encoder.bulk(b"online");
    }
    Ok(Step::Done)
}

fn nodes(
    desk: &mut Desk<'_>,
    _arguments: &Arguments<'_>,
    encoder: &mut Encoder<'_>,
) -> Result<Step, CommandError> {
    let members = members(desk);
    let mut text = String::new();
    for (index, member) in members.iter().enumerate() {
        let (first, last) = share(index, members.len());
        let myself = if member.node == desk.around.view.me { "myself," } else { "" };
        text.push_str(&format!(
            "{} {}@0 {myself}master - 0 0 {} connected {first}-{last}\n",
            id(member.node),
            member.address,
            index + 1
        ));
    }
    encoder.verbatim(&text);
    Ok(Step::Done)
}

fn info(
    desk: &mut Desk<'_>,
    _arguments: &Arguments<'_>,
    encoder: &mut Encoder<'_>,
) -> Result<Step, CommandError> {
    let live = members(desk).len();
    let layout = desk.around.view.decision.layout();
    let version = layout.version();
    let text = format!(
        "cluster_enabled:1\r\ncluster_state:ok\r\ncluster_slots_assigned:{SLOTS}\r\ncluster_slots_ok:{SLOTS}\r\n\
         cluster_slots_pfail:0\r\ncluster_slots_fail:0\r\ncluster_known_nodes:{}\r\ncluster_size:{live}\r\n\
         cluster_current_epoch:{version}\r\ncluster_my_epoch:{version}\r\n",
        layout.members().len()
    );
    encoder.verbatim(&text);
    Ok(Step::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_cluster_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(key_slot(b"foo"), 12_182);
        assert_eq!(key_slot(b"{user1000}.following"), key_slot(b"{user1000}.followers"));
        assert_eq!(key_slot(b"foo{}{bar}"), crc16(b"foo{}{bar}") % SLOTS);
        assert_eq!(key_slot(b"foo{{bar}}zap"), crc16(b"{bar") % SLOTS);
    }

    #[test]
    fn every_slot_has_one_node() {
        for of in 1..=7 {
            let shares: Vec<_> = (0..of).map(|index| share(index, of)).collect();
            assert_eq!(shares[0].0, 0);
            assert_eq!(shares[of - 1].1, 16_383);
            assert!(shares.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0));
        }
    }
}
