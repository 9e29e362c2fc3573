//! HyperLogLogs.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::address::{Address, AddressRange};
use crate::cells::{Cells, Direction};
use crate::footprint::Footprint;
use crate::kind::{Kind, Shown};
use crate::operation::draft::Draft;
use crate::operation::{OpError, Reply};
use crate::payload::Payload;
use crate::sketch::{Sketch, register_of};

/// Every cell of a HyperLogLog.
static SKETCH: AddressRange = AddressRange { kind: Kind::Sketch, from: Bytes::new(), to: None };

/// The registers of all that a key was told of, as [`Reply::Registers`] has them.
pub type Registers = Vec<(u16, u8)>;

/// An operation on a HyperLogLog.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum HyperLogLogOperation {
    /// `PFADD`: 1 if a register was raised or the key made, else 0. No elements make the key.
    Add(Vec<Bytes>),
    /// `PFCOUNT`: about how many distinct elements there are, together with those of other keys.
    Count(Registers),
    /// The registers that are not 0: what `PFCOUNT` and `PFMERGE` fetch of a key.
    Registers,
    /// `PFMERGE`: takes in the registers of other keys, and makes the key.
    Merge(Registers),
}

impl HyperLogLogOperation {
    pub(super) fn footprint(&self) -> Footprint {
        match self {
            HyperLogLogOperation::Add(elements) if !elements.is_empty() => {
                let registers = ranks(elements.iter().map(|element| register_of(element)));
                Footprint::cells(registers.into_keys().map(address))
            }
            HyperLogLogOperation::Add(_)
            | HyperLogLogOperation::Count(_)
            | HyperLogLogOperation::Registers
            | HyperLogLogOperation::Merge(_) => Footprint::range(SKETCH.clone()),
        }
    }

    pub(super) fn writes(&self) -> bool {
        matches!(self, HyperLogLogOperation::Add(_) | HyperLogLogOperation::Merge(_))
    }

    /// Registers only rise, whatever was observed of them.
    pub(super) fn observes(&self) -> bool {
        !self.writes()
    }

    pub(super) fn apply<C: Cells>(&self, draft: &mut Draft<'_, '_, C>) -> Result<Reply, OpError> {
        draft.expect(Shown::HyperLogLog).map_err(|error| {
            // Redis keeps HyperLogLogs in strings, and says something else of one that is none.
            let string = error == OpError::WrongType && draft.has(&Address::REGISTER);
            if string { OpError::NotHyperLogLog } else { error }
        })?;
        match self {
            HyperLogLogOperation::Add(elements) => {
                draft.limits().elements(elements)?;
                let registers = elements.iter().map(|element| register_of(element));
                let raised = raise(draft, registers)?;
                let made = elements.is_empty() && make(draft)?;
                Ok(Reply::flag(raised || made))
            }
            HyperLogLogOperation::Count(others) => {
                let sketch: Sketch = registers(draft).chain(others.iter().copied()).collect();
                Ok(Reply::Integer(i64::try_from(sketch.estimate()).unwrap_or(i64::MAX)))
            }
            HyperLogLogOperation::Registers => Ok(Reply::Registers(registers(draft).collect())),
            HyperLogLogOperation::Merge(others) => {
                // Through a sketch, which passes over what no register is.
                let others: Sketch = others.iter().copied().collect();
                raise(draft, others.registers())?;
                make(draft)?;
                Ok(Reply::Done)
            }
        }
    }
}

/// Writes the registers that rise; whether one did.
fn raise<C: Cells>(
    draft: &mut Draft<'_, '_, C>,
    registers: impl Iterator<Item = (u16, u8)>,
) -> Result<bool, OpError> {
    let mut raised = false;
    for (index, rank) in ranks(registers) {
        let address = address(index);
        if draft.cell(&address).rank() < rank {
            draft.put(address, |_| Payload::Rank(rank))?;
            raised = true;
        }
    }
    Ok(raised)
}

/// Sees to it that the key is there, though no register may be: a cell with an empty path says so.
/// Whether it was not.
fn make<C: Cells>(draft: &mut Draft<'_, '_, C>) -> Result<bool, OpError> {
    let missing = draft.scan(&SKETCH, Direction::Forward).next().is_none();
    if missing {
        draft.put(Address::new(Kind::Sketch, Bytes::new()), |_| Payload::Present)?;
    }
    Ok(missing)
}

fn registers<C: Cells>(draft: &Draft<'_, '_, C>) -> impl Iterator<Item = (u16, u8)> {
    let cells = draft.scan(&SKETCH, Direction::Forward);
    cells.filter_map(|(address, cell)| {
        let index = address.path.as_ref().try_into().ok()?;
        Some((u16::from_be_bytes(index), cell.rank()))
    })
}

/// The greatest rank for each index.
fn ranks(registers: impl Iterator<Item = (u16, u8)>) -> BTreeMap<u16, u8> {
    let mut ranks = BTreeMap::new();
    for (index, rank) in registers {
        let held = ranks.entry(index).or_insert(rank);
        *held = rank.max(*held);
    }
    ranks
}

fn address(index: u16) -> Address {
    Address::new(Kind::Sketch, Bytes::copy_from_slice(&index.to_be_bytes()))
}
