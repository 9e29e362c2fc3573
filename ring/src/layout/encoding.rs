//! Layouts as bytes (docs/formats.md, ring, "Layout").

use super::{Layout, LayoutError, LayoutHash, LayoutParts, VOTERS_MAX, members};
use crate::encoding::{Malformed, Reader, write_count, write_varint};
use crate::intent::Intent;
use crate::partition::Partitioner;

const FORMAT: u8 = 1;

impl Layout {
    /// The layout as bytes; equal layouts have equal bytes.
    ///
    /// 4,096 partitions of three owners take 15 KiB for the table at 1,000 nodes (10 bits an
    /// owner), and about 20 bytes for each node.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let parts = &self.parts;
        let mut out = vec![FORMAT];
        write_varint(&mut out, parts.version);
        write_varint(&mut out, parts.epoch.into());
        out.extend_from_slice(&parts.parent.0.to_le_bytes());
        out.push(parts.partitioner.bits());
        out.push(parts.replicas);
        parts.snapshot.write(&mut out);
        write_count(&mut out, parts.voters.len());
        for &voter in &parts.voters {
            write_varint(&mut out, self.member_index(voter).expect("voters are members").into());
        }
        write_table(&mut out, &parts.table, owner_bits(self.members.len()));
        out
    }

    /// The layout that `bytes` encode, checked as by [`Layout::new`].
    ///
    /// # Errors
    ///
    /// [`LayoutError`] if they are no encoding of a layout.
    pub fn decode(bytes: &[u8]) -> Result<Self, LayoutError> {
        let mut reader = Reader::new(bytes);
        let format = reader.u8()?;
        if format != FORMAT {
            return Err(Malformed::Version(format).into());
        }
        let version = reader.varint()?;
        let epoch = reader.varint_u32()?;
        let parent = LayoutHash(reader.u128()?);
        let bits = reader.u8()?;
        let partitioner = 1_usize
            .checked_shl(bits.into())
            .and_then(|count| Partitioner::new(count).ok())
            .ok_or(Malformed::OutOfBounds { what: "partitions" })?;
        let replicas = reader.u8()?;
        let snapshot = Intent::read(&mut reader)?;
        let members = members(&snapshot);
        // Checked before the table is read, so that it is at most members wide.
        if replicas == 0 || usize::from(replicas) > members.len() {
            return Err(LayoutError::Replicas { replicas, members: members.len() });
        }
        let voters_count = reader.count("voters", VOTERS_MAX, 1)?;
        let mut voters = Vec::with_capacity(voters_count);
        for _ in 0..voters_count {
            let index = usize::try_from(reader.varint()?).ok();
            let member = index.and_then(|index| members.get(index));
            voters.push(member.ok_or(Malformed::OutOfBounds { what: "voter" })?.id);
        }
        let owners = partitioner.count() * usize::from(replicas);
        let table = read_table(&mut reader, owners, owner_bits(members.len()))?;
        reader.finish()?;
        Self::new(LayoutParts {
            version,
            epoch,
            parent,
            partitioner,
            snapshot,
            voters,
            replicas,
            table,
        })
    }
}

/// Bits that hold any index among `members`.
fn owner_bits(members: usize) -> u32 {
    let last = members.saturating_sub(1);
    usize::BITS - last.leading_zeros()
}

fn write_table(out: &mut Vec<u8>, table: &[u16], bits: u32) {
    let mut pending = 0_u32;
    let mut held = 0;
    for &owner in table {
        pending |= u32::from(owner) << held;
        held += bits;
        while held >= 8 {
            out.push((pending & 0xff) as u8);
            pending >>= 8;
            held -= 8;
        }
    }
    if held > 0 {
        out.push((pending & 0xff) as u8);
    }
}

fn read_table(reader: &mut Reader<'_>, owners: usize, bits: u32) -> Result<Vec<u16>, Malformed> {
    let bits_all = owners * usize::try_from(bits).expect("at most 16");
    let mut bytes = reader.bytes(bits_all.div_ceil(8))?.iter();
    let mut table = Vec::with_capacity(owners);
    let mut pending = 0_u32;
    let mut held = 0;
    let mask = (1_u32 << bits) - 1;
    for _ in 0..owners {
        while held < bits {
            pending |= u32::from(*bytes.next().expect("counted above")) << held;
            held += 8;
        }
        table.push(u16::try_from(pending & mask).expect("at most 16 bits"));
        pending >>= bits;
        held -= bits;
    }
    if pending == 0 { Ok(table) } else { Err(Malformed::Padding) }
}
