//! The order of commands on one key: a connection's commands on a key go one after another, those on others do not wait.

use coterie_ring::KeyHash;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use smallvec::SmallVec;

/// A command of a connection, by number.
pub(super) type Number = u64;

/// The keys that a command uses, by hash: two keys with one hash merely wait for each other.
pub(super) type Hashes = SmallVec<[u64; 1]>;

/// Who uses which key, and who waits for it.
///
/// All keys of a command are entered at once and in the order of commands, so that nobody waits in a circle.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    lines: HashMap<u64, SmallVec<[Number; 2]>>,
}

impl Sequence {
    /// Enters a command for its keys; how many of them others use before it.
    pub(super) fn enter(&mut self, number: Number, hashes: &Hashes) -> usize {
        let mut waits = 0;
        for hash in hashes {
            let line = self.lines.entry(*hash).or_default();
            waits += usize::from(!line.is_empty());
            line.push(number);
        }
        waits
    }

    /// Who uses a key, and waits for it, in order.
    pub(super) fn line(&self, hash: u64) -> &[Number] {
        self.lines.get(&hash).map_or(&[], |line| line)
    }

    /// A command has done with its keys; calls `next` for each command that is first at one of them now.
    pub(super) fn leave(&mut self, number: Number, hashes: &Hashes, mut next: impl FnMut(Number)) {
        for hash in hashes {
            let Entry::Occupied(mut line) = self.lines.entry(*hash) else { continue };
            let was_first = line.get().first() == Some(&number);
            line.get_mut().retain(|other| *other != number);
            match line.get().first() {
                None => {
                    line.remove();
                }
                Some(first) if was_first => next(*first),
                Some(_) => {}
            }
        }
    }
}

/// The hashes of keys, each once.
pub(super) fn hashes(keys: impl IntoIterator<Item = KeyHash>) -> Hashes {
    let mut hashes: Hashes = keys.into_iter().map(|hash| hash.0).collect();
    if hashes.len() > 1 {
        hashes.sort_unstable();
        hashes.dedup();
    }
    hashes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_waits_for_those_before_it_at_each_of_its_keys() {
        let mut sequence = Sequence::default();
        let of = |keys: &[u64]| hashes(keys.iter().map(|key| KeyHash(*key)));
        assert_eq!(sequence.enter(1, &of(&[7])), 0);
        assert_eq!(sequence.enter(2, &of(&[7, 8, 8])), 1);
        assert_eq!(sequence.enter(3, &of(&[8])), 1);
        assert_eq!(sequence.enter(4, &of(&[9])), 0);
        let mut first = Vec::new();
        sequence.leave(1, &of(&[7]), |next| first.push(next));
        assert_eq!(first, [2]);
        sequence.leave(2, &of(&[7, 8]), |next| first.push(next));
        assert_eq!(first, [2, 3]);
        sequence.leave(3, &of(&[8]), |next| first.push(next));
        sequence.leave(4, &of(&[9]), |next| first.push(next));
        assert_eq!(first.len(), 2);
        assert!(sequence.lines.is_empty());
    }
}
