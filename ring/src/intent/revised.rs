//! A last-writer-wins register ordered by how often it was edited.

use super::EditError;

/// A value and how many edits led to it.
///
/// An edit takes the revision above the one it saw, so an edit that knew of another wins whatever
/// the clocks say. Edits that did not know of each other may have equal revisions; the greater
/// value wins then. The order is total, so keeping the maximum is a join.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub(super) struct Revised<T> {
    /// Edits so far, this one included.
    pub(super) revision: u32,
    /// What was asked for last.
    pub(super) value: T,
}

impl<T: Ord + Clone> Revised<T> {
    pub(super) fn first(value: T) -> Self {
        Self { revision: 1, value }
    }

    /// Replaces the value, unless it is that value already.
    pub(super) fn set(&mut self, value: T) -> Result<(), EditError> {
        if self.value != value {
            self.revision = self.revision.checked_add(1).ok_or(EditError::RevisionsExhausted)?;
            self.value = value;
        }
        Ok(())
    }

    /// Keeps the greater of the two; true if that is `other`.
    pub(super) fn merge(&mut self, other: &Self) -> bool {
        let newer = *other > *self;
        if newer {
            *self = other.clone();
        }
        newer
    }
}
