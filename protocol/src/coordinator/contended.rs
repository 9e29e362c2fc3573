//! Keys of which owners have just had different things, or did not say in time: they are likely to again.

use std::time::Duration;

use coterie_wire::Key;

/// How long a key is taken for contended after too few owners have confirmed an assignment.
const CONTENDED_FOR: Duration = Duration::from_secs(1);

/// How many keys are remembered, each in the place that a byte of its hash names: of two in one place, the later.
const PLACES: usize = 256;

/// Which they are, by hash, and until when.
#[derive(Debug)]
pub(super) struct Contended {
    places: Box<[(u64, Duration)]>,
}

impl Default for Contended {
    fn default() -> Self {
        Contended { places: vec![(0, Duration::ZERO); PLACES].into() }
    }
}

impl Contended {
    /// Too few have confirmed what was assigned to a key.
    pub(super) fn note(&mut self, key: &Key, now: Duration) {
        let hash = key.hash().0;
        self.places[place(hash)] = (hash, now + CONTENDED_FOR);
    }

    /// Whether that was just now.
    pub(super) fn has(&self, key: &Key, now: Duration) -> bool {
        let hash = key.hash().0;
        let (noted, until) = self.places[place(hash)];
        noted == hash && now < until
    }
}

fn place(hash: u64) -> usize {
    usize::from(hash.to_le_bytes()[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_contended_for_a_while_and_no_other_is() {
        let (mut contended, now) = (Contended::default(), Duration::from_secs(7));
        let key = |number: u32| Key::new("db0", number.to_be_bytes().to_vec());
        assert!((0..10_000).all(|other| !contended.has(&key(other), Duration::ZERO)));
        contended.note(&key(1), now);
        assert!(contended.has(&key(1), now));
        assert!((2..10_000).all(|other| !contended.has(&key(other), now)));
        assert!(!contended.has(&key(1), now + CONTENDED_FOR));
    }
}
