//! What must hold at all times, looked at while the run goes on.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use coterie_crdt::encoding::decode_root;
use coterie_crdt::{Delta, Dot};
use coterie_protocol::rows::Space;
use coterie_protocol::rows::address::{self, KeyPrefix, SliceRow};
use coterie_ring::NodeId;
use coterie_wire::{ChangedDots, Key, Outcome, RequestId, Response, Slice};
use xxhash_rust::xxh3::Xxh3;

use crate::node::Node;

/// Violations kept: more would say nothing new.
const VIOLATIONS_MAX: usize = 16;

/// What is remembered in order to notice violations, and those noticed.
#[derive(Debug, Default)]
pub struct Watch {
    /// Which request minted a dot of a key (invariant 1).
    minted: BTreeMap<(Key, Dot), RequestId>,
    /// What a dot stands for: one payload of one cell of one key, as a hash (invariant 1).
    meanings: BTreeMap<(Key, Dot), u64>,
    /// What a request minted (invariant 3).
    requests: BTreeMap<RequestId, Vec<Dot>>,
    /// What was wrong.
    pub violations: Vec<String>,
}

impl Watch {
    /// Notes something that must not be.
    pub fn violated(&mut self, what: String) {
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(what);
        }
    }

    /// A client was answered. `promised` is how many owners have to hold a write on disk by now, where that is
    /// known.
    pub fn answered(
        &mut self,
        (request, key, slice): (RequestId, &Key, Slice),
        response: &Response,
        promised: usize,
        owners: &[NodeId],
        nodes: &[Node],
    ) {
        let changed = match &response.outcome {
            Outcome::Done(answered) => &answered.changed,
            Outcome::Unknown { changed, .. } => changed,
            Outcome::Refused(_) | Outcome::Unavailable(_) => return,
        };
        self.mint(request, key, changed);
        if changed.minted.is_empty() && !changed.observed.is_empty() {
            let observed = &changed.observed;
            self.violated(format!("{request:?} on {key:?} dropped {observed:?} and minted no dot"));
        }
        let Outcome::Done(answered) = &response.outcome else { return };
        for owner in answered.owners.iter().filter(|owner| !owners.contains(owner)) {
            self.violated(format!("{owner} took part in {request:?} and is no owner of {key:?}"));
        }
        if let Some(dot) = changed.minted.first()
            && promised > 0
        {
            let address = KeyPrefix::new(slice.partition, key).root();
            let holds = |node: &&Node| {
                let row = node.disk.durable(Space::Rows, &address);
                // What deleted the key may have been purged before the coordinator heard that all owners have it.
                let Some(row) = row else { return epoch_at(node, slice) > changed.epoch };
                decode_root(&row).is_ok_and(|root| root.context.contains(*dot))
            };
            let durable = nodes.iter().filter(holds).count();
            if durable < promised {
                self.violated(format!(
                    "{request:?} on {key:?} was acknowledged with dot {dot} on {durable} disks, not \
                     {promised}"
                ));
            }
        }
    }

    /// A delta is on its way from one node to another.
    pub fn sent(&mut self, key: &Key, delta: &Delta) {
        for (address, cell) in delta.cells() {
            for (dot, payload) in cell.dots() {
                let mut hash = Xxh3::new();
                (address, payload).hash(&mut hash);
                let meaning = hash.finish();
                if *self.meanings.entry((key.clone(), *dot)).or_insert(meaning) != meaning {
                    let what = format!("{dot} of {key:?} is {payload:?} at {address:?}");
                    self.violated(format!("{what}, and was something else before"));
                }
            }
        }
    }

    fn mint(&mut self, request: RequestId, key: &Key, changed: &ChangedDots) {
        for dot in &changed.minted {
            let minter = *self.minted.entry((key.clone(), *dot)).or_insert(request);
            if minter != request {
                self.violated(format!("{minter:?} and {request:?} both minted {dot} of {key:?}"));
            }
        }
        let known = self.requests.entry(request).or_insert_with(|| changed.minted.clone());
        if *known != changed.minted {
            let known = known.clone();
            self.violated(format!("{request:?} minted {known:?} and {:?}", changed.minted));
        }
    }
}

/// The purge epoch of a slice on a node's disk.
fn epoch_at(node: &Node, slice: Slice) -> u64 {
    let row = node.disk.durable(Space::Control, &address::slice_row(slice, SliceRow::Epoch));
    let epoch = row.and_then(|row| row.get(1..9)?.try_into().ok().map(u64::from_be_bytes));
    epoch.unwrap_or(0)
}
