//! Showing: what this owner has of a key, or that it is the same as the coordinator's.

use coterie_crdt::digest::key_digest;
use coterie_crdt::{Footprint, Partial, Root, State};
use coterie_ring::NodeId;
use coterie_wire::Message;
use coterie_wire::peer::read::{Digests, Read, ReadAnswer};

use super::{Finding, admit, stored};
use crate::digests;
use crate::lane::Shared;
use crate::rows::address::KeyPrefix;
use crate::rows::{ReadError, Rows, fetch};

/// The most cells that one answer shows.
pub const CELLS_MAX: usize = 480;

/// The most bytes of rows that one answer shows.
pub const BYTES_MAX: usize = 256 * 1024;

/// What a read is shown here.
pub(super) fn find(
    shared: &Shared,
    from: NodeId,
    message: &Message,
    read: &Read,
    rows: &impl Rows,
) -> Result<Finding, ReadError> {
    let state = match admit::read(shared, from, message, read) {
        Ok(state) => state,
        Err(refusal) => return Ok(Finding::Refused(refusal)),
    };
    let prefix = KeyPrefix::new(state.slice.partition, &read.key);
    let root = fetch::root(rows, &prefix)?;
    // Of another epoch's dots nothing can be said: the coordinator then asks all owners.
    let mut asked = read.session.by_epoch().filter(|(_, dots)| !dots.is_empty());
    if asked.any(|(epoch, dots)| epoch > state.epoch || !root.context.covers(dots)) {
        return Ok(Finding::Show(ReadAnswer::Lacks));
    }
    show(&prefix, root, &read.footprint, read.digests, rows).map(Finding::Show)
}

/// What a replica with this root shows of a footprint to a coordinator that has what `theirs` says.
///
/// A footprint with derived needs, which are not evaluated on partial states, is shown as the whole key: joined
/// into the rows of the coordinator, it is all that the joined replicas have.
///
/// # Errors
/// [`ReadError`], but never [`ReadError::TooMany`].
pub fn show(
    prefix: &KeyPrefix,
    root: Root,
    footprint: &Footprint,
    theirs: Option<Digests>,
    rows: &impl Rows,
) -> Result<ReadAnswer, ReadError> {
    let (counting, digest) = (root.is_counting(), key_digest(&root));
    if !counting && theirs.is_some_and(|theirs| theirs.key == digest) {
        return Ok(ReadAnswer::Same);
    }
    let shown = shown(footprint);
    let state = match stored::cells(rows, prefix, &root, &shown, CELLS_MAX) {
        Ok((cells, bytes)) if bytes <= BYTES_MAX => State::from_rows(root, cells),
        Ok(_) | Err(ReadError::TooMany) if counting => return Ok(ReadAnswer::Counting),
        Ok(_) | Err(ReadError::TooMany) => return Ok(ReadAnswer::Large { digest }),
        Err(error) => return Err(error),
    };
    let mine = Partial::extract(&state, &shown);
    let theirs = theirs.and_then(|theirs| theirs.footprint);
    // A footprint of more than single cells has no digest, whatever the coordinator says.
    let same = theirs.is_some_and(|theirs| theirs == digests::of_shown(&mine));
    if same && !counting && fetch::is_cells(footprint) {
        return Ok(ReadAnswer::Same);
    }
    Ok(ReadAnswer::State(Box::new(mine)))
}

/// The cells of which a footprint is shown: itself, or the whole key where it has derived needs.
#[must_use]
pub fn shown(footprint: &Footprint) -> Footprint {
    if footprint.derived.is_empty() { footprint.clone() } else { Footprint::whole() }
}
