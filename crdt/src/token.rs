//! Context tokens: what a client gets with siblings, and gives back to replace them.

use bytes::Bytes;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::context::Context;
use crate::encoding::{DecodeError, Reader, encode_context, put_varint};

const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 8;
const ACTORS_MAX: usize = 256;
const CLOUD_DOTS_MAX: usize = 4_096;
/// No token within the limits is longer: an actor and a varint for each dot, and 64 bytes for the rest.
const BYTES_MAX: usize = (ACTORS_MAX + CLOUD_DOTS_MAX) * 18 + 64;

/// What a client has seen of one key in one purge epoch. Opaque to it.
///
/// It never enters a context: a write takes from it only dots that are live in the cells evaluated, so
/// a stale or forged token can at worst name siblings to replace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextToken {
    key_hash: u128,
    epoch: u64,
    context: Context,
}

/// Why a token is not taken. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a token, or damaged.
    #[error("the context token is damaged")]
    Damaged(#[source] Option<DecodeError>),
    /// A token for another key.
    #[error("the context token is for another key")]
    OtherKey,
    /// The key was purged since it was read: read it again.
    #[error("the context token is older than the last purge of the key's partition; read it again")]
    OtherEpoch,
    /// More than a client's token may hold.
    #[error("the context token is too large")]
    TooLarge,
}

impl ContextToken {
    /// A token for what a client reads of `key` under a purge epoch.
    pub fn new(key: &[u8], epoch: u64, context: Context) -> Self {
        ContextToken { key_hash: xxh3_128(key), epoch, context }
    }

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        put_varint(&mut out, self.epoch);
        out.extend_from_slice(&self.key_hash.to_le_bytes());
        encode_context(&mut out, &self.context);
        let checksum = xxh3_64(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out
    }

    /// The dots that a token names, if it is one for this key and epoch.
    ///
    /// # Errors
    /// [`TokenError`]
    pub fn open(bytes: &[u8], key: &[u8], epoch: u64) -> Result<Context, TokenError> {
        let token = Self::read(bytes, key)?;
        if token.epoch == epoch { Ok(token.context) } else { Err(TokenError::OtherEpoch) }
    }

    /// The dots that a token names, if it is one for this key: for a front door that does not know the key's epoch. What was
    /// purged since starts anew under other actors, so that the dots of an older epoch are live nowhere and name nothing.
    ///
    /// # Errors
    /// [`TokenError`], but never [`TokenError::OtherEpoch`]
    pub fn open_of_any_epoch(bytes: &[u8], key: &[u8]) -> Result<Context, TokenError> {
        Self::read(bytes, key).map(|token| token.context)
    }

    fn read(bytes: &[u8], key: &[u8]) -> Result<ContextToken, TokenError> {
        if bytes.len() > BYTES_MAX {
            return Err(TokenError::TooLarge);
        }
        let body = bytes.len().checked_sub(CHECKSUM_BYTES).ok_or(TokenError::Damaged(None))?;
        let (body, checksum) = bytes.split_at(body);
        if xxh3_64(body).to_le_bytes() != checksum {
            return Err(TokenError::Damaged(None));
        }
        let token = Self::decode(&Bytes::copy_from_slice(body))
            .map_err(|error| TokenError::Damaged(Some(error)))?;
        let (actors, cloud) = (token.context.vector().len(), token.context.cloud().len());
        match () {
            () if token.key_hash != xxh3_128(key) => Err(TokenError::OtherKey),
            () if actors > ACTORS_MAX || cloud > CLOUD_DOTS_MAX => Err(TokenError::TooLarge),
            () => Ok(token),
        }
    }

    fn decode(body: &Bytes) -> Result<ContextToken, DecodeError> {
        let mut reader = Reader::new(body);
        match reader.byte()? {
            VERSION => {}
            version => return Err(DecodeError::UnknownVersion(version)),
        }
        let epoch = reader.varint()?;
        let key_hash = reader.u128()?;
        let context = reader.context()?;
        reader.finish()?;
        Ok(ContextToken { key_hash, epoch, context })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dot::{Actor, Dot};

    #[test]
    fn a_token_opens_for_its_key_and_epoch_only() {
        let context: Context = [Dot::new(Actor(3), 1), Dot::new(Actor(4), 7)].into_iter().collect();
        let bytes = ContextToken::new(b"cart", 5, context.clone()).encode();
        assert_eq!(ContextToken::open(&bytes, b"cart", 5), Ok(context));
        assert_eq!(ContextToken::open(&bytes, b"card", 5), Err(TokenError::OtherKey));
        assert_eq!(ContextToken::open(&bytes, b"cart", 6), Err(TokenError::OtherEpoch));
        assert_eq!(ContextToken::open_of_any_epoch(&bytes, b"card"), Err(TokenError::OtherKey));
        assert!(ContextToken::open_of_any_epoch(&bytes, b"cart").is_ok());
    }

    #[test]
    fn damage_is_found_wherever_it_is() {
        let context: Context = [Dot::new(Actor(3), 1)].into_iter().collect();
        let bytes = ContextToken::new(b"cart", 5, context).encode();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x20;
            assert!(matches!(
                ContextToken::open(&damaged, b"cart", 5),
                Err(TokenError::Damaged(_))
            ));
            assert!(ContextToken::open(&bytes[..at], b"cart", 5).is_err());
        }
    }

    #[test]
    fn a_token_with_too_many_actors_is_refused() {
        let context: Context = (0..300).map(|actor| Dot::new(Actor(actor), 1)).collect();
        let bytes = ContextToken::new(b"k", 0, context).encode();
        assert_eq!(ContextToken::open(&bytes, b"k", 0), Err(TokenError::TooLarge));
        let context: Context = (1..=10_000).map(|n| Dot::new(Actor(1), 2 * n)).collect();
        let bytes = ContextToken::new(b"k", 0, context).encode();
        assert_eq!(ContextToken::open(&bytes, b"k", 0), Err(TokenError::TooLarge));
    }
}
