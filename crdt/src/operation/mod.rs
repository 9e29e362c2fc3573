//! Operations: what clients ask of one key.
//!
//! An operation is pure and generic over where the cells come from. [`Operation::footprint`] says which
//! rows it has to see; [`Operation::evaluate`] gives its reply and the delta it makes. Concurrency aside,
//! each answers as the Redis command of its name does.

pub mod algebra;
mod assigned;
mod contents;
mod draft;
mod error;
mod flag;
mod hash;
mod hash_expiry;
mod hyperloglog;
mod key;
mod limits;
mod list;
mod map;
mod number;
mod reply;
mod set;
mod sorted_set;
mod string;

pub use assigned::{Assigned, Upheld};
pub use contents::{Contents, Item};
pub use draft::DELETED_TALLIES_MAX;
pub use error::OpError;
pub use flag::{FlagKind, FlagOperation, FlagVerb};
pub use hash::HashOperation;
pub use hyperloglog::{HyperLogLogOperation, Registers};
pub use key::{Condition, KeyOperation};
pub use limits::{Limited, Limits};
pub use list::{ListEnd, ListOperation, PivotSide};
pub use map::{MapOperation, MapPath};
pub use reply::Reply;
pub use set::{SetKind, SetOperation, SetVerb};
pub use sorted_set::{AddCondition, RangeLimit, SortedSetOperation, SortedSetRange};
pub use string::{Expire, SetCondition, StringOperation};

use crate::cells::Cells;
use crate::delta::Delta;
use crate::footprint::Footprint;
use crate::mint::Mint;
use crate::root::Root;
use draft::Draft;

/// One operation on one key.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Operation {
    /// On the key, whatever its type.
    Key(KeyOperation),
    /// On a string: register, counter, numeric register.
    String(StringOperation),
    /// On a hash.
    Hash(HashOperation),
    /// On a map, of which a hash is the first level.
    Map(MapOperation),
    /// On a flag.
    Flag(FlagOperation),
    /// On a set.
    Set(SetOperation),
    /// On a sorted set.
    SortedSet(SortedSetOperation),
    /// On a list.
    List(ListOperation),
    /// On a HyperLogLog.
    HyperLogLog(HyperLogLogOperation),
}

impl Operation {
    /// The rows that it has to see.
    pub fn footprint(&self) -> Footprint {
        match self {
            Operation::Key(operation) => operation.footprint(),
            Operation::String(operation) => operation.footprint(),
            Operation::Hash(operation) => operation.footprint(),
            Operation::Map(operation) => operation.footprint(),
            Operation::Flag(operation) => operation.footprint(),
            Operation::Set(operation) => operation.footprint(),
            Operation::SortedSet(operation) => operation.footprint(),
            Operation::List(operation) => operation.footprint(),
            Operation::HyperLogLog(operation) => operation.footprint(),
        }
    }

    /// The rows that it has to see of a key with this root: a write to one that has expired removes what is
    /// left of it first, and needs its tallies for that.
    pub fn footprint_over(&self, root: Option<&Root>, wall_millis: u64) -> Footprint {
        if self.removes_expired(root, wall_millis) {
            self.footprint().and(Footprint::tallied())
        } else {
            self.footprint()
        }
    }

    fn removes_expired(&self, root: Option<&Root>, wall_millis: u64) -> bool {
        let deadline = root.and_then(|root| root.expiry.deadline());
        self.writes() && deadline.is_some_and(|deadline| deadline <= wall_millis)
    }

    /// Whether it can change the key.
    pub fn writes(&self) -> bool {
        match self {
            Operation::Key(operation) => operation.writes(),
            Operation::String(operation) => operation.writes(),
            Operation::Hash(operation) => operation.writes(),
            Operation::Map(operation) => operation.writes(),
            Operation::Flag(operation) => operation.writes(),
            Operation::Set(operation) => operation.writes(),
            Operation::SortedSet(operation) => operation.writes(),
            Operation::List(operation) => operation.writes(),
            Operation::HyperLogLog(operation) => operation.writes(),
        }
    }

    /// Whether it depends on what it observes: it reads, removes or assigns. What only adds, and answers
    /// what that comes to where it was evaluated, does not. Above level ONE an operation that observes is
    /// evaluated on R owners' states joined.
    pub fn observes(&self) -> bool {
        match self {
            Operation::Key(_) => true,
            Operation::String(operation) => operation.observes(),
            Operation::Hash(operation) => operation.observes(),
            Operation::Map(operation) => operation.observes(),
            Operation::Flag(operation) => operation.observes(),
            Operation::Set(operation) => operation.observes(),
            Operation::SortedSet(operation) => operation.observes(),
            Operation::List(operation) => operation.observes(),
            Operation::HyperLogLog(operation) => operation.observes(),
        }
    }

    /// Whether it [observes](Operation::observes) a key with this root: a write to one that has expired
    /// removes what is left of it first, and may remove only what it has seen; so does one to a field.
    pub fn observes_over(&self, root: Option<&Root>, wall_millis: u64) -> bool {
        self.observes()
            || self.removes_expired(root, wall_millis)
            || self.may_meet_expired_fields(root)
    }

    /// Whether a field that it writes to may have expired: which of them have a deadline the root does not
    /// tell.
    fn may_meet_expired_fields(&self, root: Option<&Root>) -> bool {
        let on_fields = matches!(self, Operation::Hash(_) | Operation::Map(_));
        on_fields && self.writes() && root.is_some_and(|root| root.counts.deadlined > 0)
    }

    /// What it answers, and what it changes.
    ///
    /// `cells` must show at least the [footprint](Operation::footprint), and `mint` must be for the
    /// context of `cells` ([`Actors::next_dot`](crate::Actors::next_dot)).
    ///
    /// # Errors
    /// [`OpError`]; the operation then changes nothing.
    pub fn evaluate(
        &self,
        cells: &impl Cells,
        mint: &mut Mint<'_>,
    ) -> Result<(Reply, Delta), OpError> {
        let mut draft = Draft::new(cells, mint);
        let reply = self.apply(&mut draft)?;
        Ok((reply, draft.finish()))
    }

    fn apply<C: Cells>(&self, draft: &mut Draft<'_, '_, C>) -> Result<Reply, OpError> {
        match self {
            Operation::Key(operation) => operation.apply(draft),
            Operation::String(operation) => operation.apply(draft),
            Operation::Hash(operation) => operation.apply(draft),
            Operation::Map(operation) => operation.apply(draft),
            Operation::Flag(operation) => operation.apply(draft),
            Operation::Set(operation) => operation.apply(draft),
            Operation::SortedSet(operation) => operation.apply(draft),
            Operation::List(operation) => operation.apply(draft),
            Operation::HyperLogLog(operation) => operation.apply(draft),
        }
    }
}

/// What several operations on one key answer, each seeing those before it, and the one delta that they
/// make. One that fails changes nothing and does not keep the others from being applied.
pub fn evaluate_all(
    operations: &[Operation],
    cells: &impl Cells,
    mint: &mut Mint<'_>,
) -> (Vec<Result<Reply, OpError>>, Delta) {
    let mut draft = Draft::new(cells, mint);
    let replies = operations.iter().map(|operation| operation.apply(&mut draft)).collect();
    (replies, draft.finish())
}
