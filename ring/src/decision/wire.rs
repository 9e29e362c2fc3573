//! Decisions and the messages about them as bytes.

use super::message::{DECISIONS_PER_MESSAGE_MAX, Message, Tip};
use super::moving::Decision;
use crate::encoding::{Malformed, write_count, write_varint};
use crate::intent::REPLICAS_MAX;
use crate::layout::{Layout, LayoutHash};
use crate::moves::{LIVE_SETS_MAX, OwnerSet, SetVersion};
use crate::node::NodeId;
use crate::partition::{Partition, Partitioner};
use crate::register::wire::{read_array, read_byte, read_count, read_varint};
use crate::register::{Reply, Request, VALUE_BYTES_MAX, Wire};
use std::collections::{BTreeMap, BTreeSet};

/// The most owner set versions, and the most older owners, that a decision may name.
const NAMES_MAX: usize = 1 << 16;

/// The most partitions and replica counts that can move.
const MOVING_MAX: usize = Partitioner::COUNT_MAX * REPLICAS_MAX as usize;

/// Versions and older owners are numbered in lists of their own: a few of them come up often.
impl Wire for Decision {
    fn write(&self, out: &mut Vec<u8>) {
        write_varint(out, self.planner);
        self.layout.encode().write(out);
        let older = || self.moving.values().flatten();
        let versions: BTreeSet<SetVersion> =
            self.since.iter().copied().chain(older().map(|set| set.version)).collect();
        let versions: Vec<SetVersion> = versions.into_iter().collect();
        let owners: BTreeSet<NodeId> =
            older().flat_map(|set| set.members.iter().copied()).collect();
        let owners: Vec<NodeId> = owners.into_iter().collect();
        write_list(out, &versions);
        write_list(out, &owners);
        for version in &self.since {
            write_place(out, &versions, version);
        }
        write_count(out, self.moving.len());
        for ((partition, replicas), older) in &self.moving {
            write_varint(out, partition.0.into());
            out.push(*replicas);
            write_count(out, older.len());
            for set in older {
                write_place(out, &versions, &set.version);
                write_count(out, set.members.len());
                for member in &set.members {
                    write_place(out, &owners, member);
                }
            }
        }
    }

    fn read(input: &mut &[u8]) -> Result<Self, Malformed> {
        let planner = read_varint(input)?;
        let layout = Vec::<u8>::read(input)?;
        let malformed = Malformed::OutOfBounds { what: "layout" };
        let layout = Layout::decode(&layout).map_err(|_reason| malformed)?;
        let versions: Vec<SetVersion> = read_list(input, "owner set versions")?;
        let owners: Vec<NodeId> = read_list(input, "older owners")?;
        let counts = layout.partitioner().count() * usize::from(layout.snapshot().replicas());
        if counts > input.len() {
            return Err(Malformed::Truncated);
        }
        let since: Vec<SetVersion> =
            (0..counts).map(|_| read_place(input, &versions)).collect::<Result<_, _>>()?;
        let mut moving = BTreeMap::new();
        for _ in 0..read_count(input, "moves", MOVING_MAX)? {
            let partition = u16::try_from(read_varint(input)?);
            let partition = partition
                .map(Partition)
                .map_err(|_too_large| Malformed::OutOfBounds { what: "partition" })?;
            let key = (partition, read_byte(input)?);
            if moving.last_key_value().is_some_and(|(last, _)| *last >= key) {
                return Err(Malformed::Unordered { what: "moves" });
            }
            let older = read_count(input, "older sets", LIVE_SETS_MAX)?;
            let older = (0..older)
                .map(|_| {
                    let version = read_place(input, &versions)?;
                    let members = read_count(input, "older owners", REPLICAS_MAX.into())?;
                    let members = (0..members)
                        .map(|_| read_place(input, &owners))
                        .collect::<Result<_, _>>()?;
                    Ok(OwnerSet { version, members })
                })
                .collect::<Result<Vec<_>, Malformed>>()?;
            moving.insert(key, older);
        }
        let decision = Self::new(planner, layout, since, moving)
            .map_err(|_reason| Malformed::OutOfBounds { what: "owner sets" })?;
        let mut used: BTreeSet<SetVersion> = decision.since.iter().copied().collect();
        let older = || decision.moving.values().flatten();
        used.extend(older().map(|set| set.version));
        let used_owners: BTreeSet<NodeId> =
            older().flat_map(|set| set.members.iter().copied()).collect();
        if used.len() != versions.len() || used_owners.len() != owners.len() {
            return Err(Malformed::OutOfBounds { what: "unused names" });
        }
        Ok(decision)
    }
}

fn write_list<T: Wire>(out: &mut Vec<u8>, list: &[T]) {
    write_count(out, list.len());
    for entry in list {
        entry.write(out);
    }
}

/// A list in ascending order.
fn read_list<T: Wire + Ord>(input: &mut &[u8], what: &'static str) -> Result<Vec<T>, Malformed> {
    let count = read_count(input, what, NAMES_MAX)?;
    let list: Vec<T> = (0..count).map(|_| T::read(input)).collect::<Result<_, _>>()?;
    if list.is_sorted_by(|a, b| a < b) { Ok(list) } else { Err(Malformed::Unordered { what }) }
}

fn write_place<T: Ord>(out: &mut Vec<u8>, list: &[T], entry: &T) {
    write_count(out, list.binary_search(entry).expect("collected from the entries"));
}

fn read_place<T: Copy>(input: &mut &[u8], list: &[T]) -> Result<T, Malformed> {
    let place = usize::try_from(read_varint(input)?).ok();
    let entry = place.and_then(|place| list.get(place)).copied();
    entry.ok_or(Malformed::OutOfBounds { what: "place in a list" })
}

impl Wire for Tip {
    fn write(&self, out: &mut Vec<u8>) {
        self.version.write(out);
        out.extend_from_slice(&self.hash.0.to_le_bytes());
    }

    fn read(input: &mut &[u8]) -> Result<Self, Malformed> {
        let version = SetVersion::read(input)?;
        Ok(Self { version, hash: LayoutHash(u128::from_le_bytes(read_array(input)?)) })
    }
}

impl Wire for Message {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Request { parent, request } => {
                out.push(0);
                parent.write(out);
                request.write(out);
            }
            Self::Reply { parent, reply } => {
                out.push(1);
                parent.write(out);
                reply.write(out);
            }
            Self::Fetch { known } => {
                out.push(2);
                known.write(out);
            }
            Self::Decisions(decisions) => {
                out.push(3);
                write_list(out, decisions);
            }
        }
    }

    fn read(input: &mut &[u8]) -> Result<Self, Malformed> {
        match read_byte(input)? {
            0 => Ok(Self::Request { parent: Tip::read(input)?, request: Request::read(input)? }),
            1 => Ok(Self::Reply { parent: Tip::read(input)?, reply: Reply::read(input)? }),
            2 => Ok(Self::Fetch { known: Tip::read(input)? }),
            3 => {
                if input.len() > VALUE_BYTES_MAX {
                    return Err(Malformed::OutOfBounds { what: "decisions" });
                }
                let count = read_count(input, "decisions", DECISIONS_PER_MESSAGE_MAX)?;
                let decisions =
                    (0..count).map(|_| Decision::read(input)).collect::<Result<_, _>>()?;
                Ok(Self::Decisions(decisions))
            }
            _ => Err(Malformed::OutOfBounds { what: "kind" }),
        }
    }
}
