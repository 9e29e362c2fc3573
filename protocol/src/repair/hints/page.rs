//! Reading through the hints of an owner, page by page.

use std::collections::BTreeSet;

use bytes::Bytes;
use coterie_ring::{NodeId, Partition};

use super::store::HintStore;
use crate::rows::{Direction, NotResident, Row, Rows, Space, address};

impl HintStore {
    /// The next `limit` rows kept for an owner, from a row on; fewer only at the end.
    ///
    /// Rows of the same owner in other partitions belong to other lanes of the node: they are neither read nor touched.
    pub(super) fn page(
        &self,
        rows: &impl Rows,
        owner: NodeId,
        from: Option<&Bytes>,
        limit: usize,
    ) -> Result<Vec<Row>, NotResident> {
        let partitions: BTreeSet<Partition> =
            self.of_owner(owner).map(|(slice, _)| slice.partition).collect();
        let mut page = Vec::new();
        for partition in partitions {
            let mut range = address::hints_in(owner, partition);
            if let Some(from) = from {
                if range.to.as_ref().is_some_and(|to| to <= from) {
                    continue;
                }
                range.from = range.from.max(from.clone());
            }
            let left = limit - page.len();
            page.extend(rows.scan(Space::Hints, &range, Direction::Forward, left)?);
            if page.len() == limit {
                break;
            }
        }
        Ok(page)
    }
}
