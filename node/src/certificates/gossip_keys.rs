//! The keys that gossip is sealed with: several, so that one can be changed for another while nodes run.
//!
//! A key is changed in three steps, each brought to all nodes before the next: all learn the new key, all
//! seal with it, all forget the old one.

use std::fmt::{self, Write};
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM_SIV, LessSafeKey, UnboundKey};

use super::CertificatesError;
use super::files;

/// What the file begins with.
const HEAD: &str = "coterie-gossip-keys 1";
/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// More are never needed at once.
const KEYS_MAX: usize = 4;

/// The keys that a node knows, the one to seal with first.
#[derive(Debug)]
pub(crate) struct GossipKeys(Vec<GossipKey>);

/// A key of gossip and its id.
pub(crate) struct GossipKey {
    pub(crate) id: u8,
    secret: [u8; KEY_BYTES],
    pub(crate) key: LessSafeKey,
}

impl fmt::Debug for GossipKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("GossipKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl GossipKey {
    fn new(id: u8, secret: [u8; KEY_BYTES]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM_SIV, &secret).expect("the length is that of a key");
        GossipKey { id, secret, key: LessSafeKey::new(key) }
    }

    fn draw(id: u8) -> Self {
        let mut secret = [0; KEY_BYTES];
        aws_lc_rs::rand::fill(&mut secret).expect("the machine has randomness");
        GossipKey::new(id, secret)
    }
}

impl GossipKeys {
    /// The key to seal with.
    pub(crate) fn current(&self) -> &GossipKey {
        self.0.first().expect("there is always a key")
    }

    /// The key of this id, if it is known.
    pub(crate) fn get(&self, id: u8) -> Option<&GossipKey> {
        self.0.iter().find(|key| key.id == id)
    }

    /// The ids of all keys, the one to seal with first.
    pub(crate) fn ids(&self) -> impl Iterator<Item = u8> {
        self.0.iter().map(|key| key.id)
    }

    pub(super) fn draw() -> Self {
        GossipKeys(vec![GossipKey::draw(1)])
    }

    pub(super) fn load(directory: &Path) -> Result<Self, CertificatesError> {
        let text = files::read_secret(directory, files::GOSSIP_KEY)?;
        let parsed = std::str::from_utf8(&text).ok().and_then(GossipKeys::parse);
        parsed.ok_or_else(|| CertificatesError::Content {
            path: directory.join(files::GOSSIP_KEY),
            wanted: "gossip keys",
        })
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!("{HEAD}\n");
        for key in &self.0 {
            write!(text, "{} ", key.id).expect("a string takes what is written");
            for byte in key.secret {
                write!(text, "{byte:02x}").expect("a string takes what is written");
            }
            text.push('\n');
        }
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        if lines.next()? != HEAD {
            return None;
        }
        let mut keys: Vec<GossipKey> = Vec::new();
        for line in lines {
            let (id, digits) = line.split_once(' ')?;
            let id = id.parse().ok()?;
            let mut secret = [0; KEY_BYTES];
            if digits.len() != 2 * KEY_BYTES
                || !digits.bytes().all(|digit| digit.is_ascii_hexdigit())
            {
                return None;
            }
            for (index, byte) in secret.iter_mut().enumerate() {
                *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).ok()?;
            }
            if keys.len() == KEYS_MAX || keys.iter().any(|key| key.id == id) {
                return None;
            }
            keys.push(GossipKey::new(id, secret));
        }
        (!keys.is_empty()).then_some(GossipKeys(keys))
    }

    /// All nodes are to know a new key, which none seals with yet.
    pub(super) fn add(&mut self) -> Result<u8, &'static str> {
        if self.0.len() == KEYS_MAX {
            return Err("there are four keys; drop the old ones first (`cert gossip drop`)");
        }
        let newest = self.0.iter().map(|key| key.id).max().unwrap_or_default();
        let free = (0..=u8::MAX).map(|step| newest.wrapping_add(1).wrapping_add(step));
        let id = free.into_iter().find(|id| self.get(*id).is_none()).expect("few are taken");
        self.0.push(GossipKey::draw(id));
        Ok(id)
    }

    /// All nodes know the last key: it is to be sealed with.
    pub(super) fn switch(&mut self) -> Result<u8, &'static str> {
        let last = self.0.pop().expect("there is always a key");
        if self.0.is_empty() {
            self.0.push(last);
            return Err("there is only one key; add another first (`cert gossip add`)");
        }
        let id = last.id;
        self.0.insert(0, last);
        Ok(id)
    }

    /// All nodes seal with the first key: the others are to be forgotten.
    pub(super) fn forget(&mut self) -> Result<Vec<u8>, &'static str> {
        let old: Vec<u8> = self.ids().skip(1).collect();
        if old.is_empty() {
            return Err("there is only one key; nothing is to be dropped");
        }
        self.0.truncate(1);
        Ok(old)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_were_written() {
        let mut keys = GossipKeys::draw();
        keys.add().unwrap();
        let read = GossipKeys::parse(&keys.text()).unwrap();
        assert_eq!(read.text(), keys.text());
        assert_eq!(read.ids().collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn a_key_is_changed_in_three_steps() {
        let mut keys = GossipKeys::draw();
        assert!(keys.switch().is_err() && keys.forget().is_err());
        assert_eq!(keys.add(), Ok(2));
        assert_eq!(keys.current().id, 1);
        assert_eq!(keys.switch(), Ok(2));
        assert_eq!(keys.ids().collect::<Vec<_>>(), [2, 1]);
        assert_eq!(keys.forget(), Ok(vec![1]));
        assert_eq!(keys.ids().collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn what_is_no_key_file_is_refused() {
        let line = format!("1 {}", "ab".repeat(32));
        for odd in [
            String::new(),
            HEAD.to_owned(),
            line.clone(),
            format!("{HEAD}\n{line}\n{line}"),
            format!("{HEAD}\n256 {}", "ab".repeat(32)),
            format!("{HEAD}\n1 {}", "ab".repeat(31)),
            format!("{HEAD}\n1 {}", "é".repeat(32)),
            format!("{HEAD}\n1 {}", "+a".repeat(32)),
        ] {
            assert!(GossipKeys::parse(&odd).is_none(), "{odd}");
        }
        assert!(GossipKeys::parse(&format!("{HEAD}\n{line}\n")).is_some());
    }

    #[test]
    fn secrets_are_not_shown() {
        let keys = GossipKeys::draw();
        let secret = keys.text().lines().nth(1).unwrap()[2..].to_owned();
        assert!(!format!("{keys:?}").contains(&secret));
    }
}
