//! Memory for what clients have under way: how much one connection may hold of what all of a node may.
//!
//! The node adds up what its connections hold; each decides by that sum what it takes on. The last quarter is for those that
//! hold little: clients that do not read their answers, or send much at once, do not keep others out.

/// What all clients of a node hold, as far as known, and may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Bytes that they hold.
    pub held: usize,
    /// Bytes that they may hold.
    pub most: usize,
}

/// Who holds no more than this holds little.
pub const LITTLE: usize = 64 << 10;

impl Memory {
    /// Whether one that holds `own` bytes, which are among those held, may hold `more`.
    #[must_use]
    pub fn has_room(&self, own: usize, more: usize) -> bool {
        let most = match own + more {
            little if little <= LITTLE => self.most,
            much if much > self.most / 2 => return false,
            _ => self.most / 4 * 3,
        };
        self.held.saturating_add(more) <= most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_much_leaves_room_for_those_that_hold_little() {
        let at = |held| Memory { held, most: 8 << 20 };
        assert!(at(0).has_room(0, 4 << 20), "half is for one alone");
        assert!(!at(0).has_room(1, 4 << 20));
        assert!(at(6 << 20).has_room(1 << 20, 0));
        assert!(!at(6 << 20).has_room(1 << 20, 1));
        assert!(at(6 << 20).has_room(0, LITTLE));
        assert!(!at(6 << 20).has_room(0, LITTLE + 1));
        assert!(!at(8 << 20).has_room(0, 1));
    }
}
