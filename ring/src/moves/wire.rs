//! The bytes of a replica's durable state and of what replicas tell each other.

use super::{LIVE_SETS_MAX, LiveSets, OwnerSet, Quorum, Replica, SetVersion, Status};
use crate::encoding::{Malformed, write_count, write_varint};
use crate::intent::REPLICAS_MAX;
use crate::node::NodeId;
use crate::register::Wire;
use crate::register::wire::{read_array, read_byte, read_count, read_varint};
use smallvec::SmallVec;

/// The most owners that live sets can have together.
const OWNERS_MAX: usize = LIVE_SETS_MAX * REPLICAS_MAX as usize;

impl Wire for NodeId {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_le_bytes());
    }

    fn read(input: &mut &[u8]) -> Result<Self, Malformed> {
        Ok(Self(u128::from_le_bytes(read_array(input)?)))
    }
}

impl Wire for SetVersion {
    fn write(&self, out: &mut Vec<u8>) {
        write_varint(out, self.epoch.into());
        write_varint(out, self.number);
    }

    fn read(input: &mut &[u8]) -> Result<Self, Malformed> {
        let epoch = u32::try_from(read_varint(input)?);
        let epoch = epoch.map_err(|_too_large| Malformed::OutOfBounds { what: "epoch" })?;
        Ok(Self { epoch, number: read_varint(input)? })
    }
}

impl Wire for OwnerSet {
    fn write(&self, out: &mut Vec<u8>) {
        self.version.write(out);
        write_count(out, self.members.len());
        for member in &self.members {
            member.write(out);
        }
    }

    fn read(input: &mut &[u8]) -> Result<Self, Malformed> {
        let version = SetVersion::read(input)?;
        let owners = read_count(input, "owners", REPLICAS_MAX.into())?;
        let members = (0..owners).map(|_| NodeId::read(input)).collect::<Result<_, _>>()?;
        Ok(Self { version, members })
    }
}

impl Wire for LiveSets {
    fn write(&self, out: &mut Vec<u8>) {
        write_count(out, self.all().len());
        for set in self.all() {
            set.write(out);
        }
        write_count(out, self.removed().len());
        for node in self.removed() {
            node.write(out);
        }
    }

    fn read(input: &mut &[u8]) -> Result<Self, Malformed> {
        let count = read_count(input, "owner sets", LIVE_SETS_MAX)?;
        let sets: SmallVec<[OwnerSet; 2]> =
            (0..count).map(|_| OwnerSet::read(input)).collect::<Result<_, _>>()?;
        let count = read_count(input, "removed owners", OWNERS_MAX)?;
        let removed: SmallVec<[NodeId; 1]> =
            (0..count).map(|_| NodeId::read(input)).collect::<Result<_, _>>()?;
        let live = Self::new(sets, removed.iter().copied())
            .map_err(|_no_sets| Malformed::OutOfBounds { what: "owner sets" })?;
        if live.removed() == &removed[..] {
            Ok(live)
        } else {
            Err(Malformed::Unordered { what: "removed owners" })
        }
    }
}

impl Wire for Quorum {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Majority => out.push(0),
            Self::All => out.push(0xff),
            // None counts as one, and no set has 254 owners.
            Self::Count(count) => out.push((*count).clamp(1, 0xfe)),
        }
    }

    fn read(input: &mut &[u8]) -> Result<Self, Malformed> {
        Ok(match read_byte(input)? {
            0 => Self::Majority,
            0xff => Self::All,
            count => Self::Count(count),
        })
    }
}

impl Wire for Status {
    fn write(&self, out: &mut Vec<u8>) {
        self.version.write(out);
        out.push(u8::from(self.complete) | u8::from(self.retired) << 1);
    }

    fn read(input: &mut &[u8]) -> Result<Self, Malformed> {
        let version = SetVersion::read(input)?;
        match read_byte(input)? {
            flags @ 0..=3 => {
                Ok(Self { version, complete: flags & 1 != 0, retired: flags & 2 != 0 })
            }
            _ => Err(Malformed::OutOfBounds { what: "flags" }),
        }
    }
}

/// Durable state only: completions heard of and the hold begin anew.
impl Wire for Replica {
    fn write(&self, out: &mut Vec<u8>) {
        self.me.write(out);
        self.sets.write(out);
        self.write_quorum.write(out);
        self.retired_before.write(out);
        write_count(out, self.pushes.len());
        for (from, fenced) in &self.pushes {
            from.write(out);
            fenced.write(out);
        }
    }

    fn read(input: &mut &[u8]) -> Result<Self, Malformed> {
        let me = NodeId::read(input)?;
        let sets = LiveSets::read(input)?;
        let write_quorum = Quorum::read(input)?;
        let retired_before = SetVersion::read(input)?;
        let count = read_count(input, "pushes", OWNERS_MAX)?;
        let mut pushes: SmallVec<[(NodeId, SetVersion); 4]> = SmallVec::new();
        for _ in 0..count {
            let (from, fenced) = (NodeId::read(input)?, SetVersion::read(input)?);
            let is_older = sets.older().iter().any(|set| set.contains(from));
            if !is_older || pushes.iter().any(|(known, _)| *known == from) {
                return Err(Malformed::OutOfBounds { what: "pushes" });
            }
            pushes.push((from, fenced));
        }
        let replica = Replica::new(me, sets, write_quorum);
        Ok(Self { retired_before, pushes, ..replica })
    }
}
