//! Counting the hints that the storage holds, at the start.

use bytes::Bytes;
use coterie_ring::{NodeId, Partition};
use coterie_wire::Slice;

use super::actor::slice_of;
use super::row::Header;
use super::store::HintStore;
use crate::lane::{OpenError, Shared};
use crate::rows::{Direction, KeyRange, Rows, Space, address};

const PAGE: usize = 256;

impl HintStore {
    /// The hints that a lane finds in its storage.
    ///
    /// Reads all rows of the lane's partitions: as many as were not delivered.
    ///
    /// # Errors
    /// [`OpenError`]
    pub fn open(rows: &impl Rows, shared: &Shared) -> Result<HintStore, OpenError> {
        let mut store = HintStore::new(shared.settings.hint_bytes_max / u64::from(shared.lanes));
        let mut range = KeyRange { from: Bytes::new(), to: None };
        'pages: loop {
            let page = rows.scan(Space::Hints, &range, Direction::Forward, PAGE)?;
            let Some((last, _)) = page.last() else { break };
            range.from = address::after(last);
            for (row, value) in &page {
                let damaged = || OpenError::Damaged { row: row.clone() };
                let (owner, partition) = place(row).ok_or_else(damaged)?;
                if !shared.is_mine(partition) {
                    // The next partition of this owner, without looking at all of these.
                    match address::hints_in(owner, partition).to {
                        Some(next) => range.from = next,
                        None => break 'pages,
                    }
                    break;
                }
                let (_, _, _, sequence) = address::parse_hint(row).ok_or_else(damaged)?;
                let Ok(header) = Header::decode(value) else {
                    store.damaged.push((row.clone(), owner));
                    continue;
                };
                let slice = Slice { partition, replicas: header.replicas };
                let bytes = (row.len() + value.len()) as u64;
                store.load((slice, owner, sequence), header, bytes);
            }
        }
        let mut range = address::fallback_actors();
        loop {
            let page = rows.scan(Space::Control, &range, Direction::Forward, PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(store) };
            range.from = address::after(last);
            for (row, actor) in &page {
                let damaged = || OpenError::Damaged { row: row.clone() };
                if shared.is_mine(slice_of(row).ok_or_else(damaged)?.partition) {
                    store.actors.load(row, actor).ok_or_else(damaged)?;
                }
            }
        }
    }
}

/// For whom a hint is, and in which partition.
fn place(row: &Bytes) -> Option<(NodeId, Partition)> {
    let owner = u128::from_be_bytes(row.get(..16)?.try_into().ok()?);
    let partition = u16::from_be_bytes(row.get(16..18)?.try_into().ok()?);
    Some((NodeId(owner), Partition(partition)))
}
