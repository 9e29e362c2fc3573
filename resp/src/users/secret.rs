//! Secrets, of which only digests are kept.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;

/// The SHA-256 of a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 32]);

/// What is given for a digest is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the digest of a secret has 64 hexadecimal digits, in small letters")]
pub struct NoDigest;

impl Secret {
    /// The digest of a secret.
    #[must_use]
    pub fn of(secret: &[u8]) -> Secret {
        Secret(Sha256::digest(secret).into())
    }

    /// A digest in hexadecimal digits, as `ACL SETUSER` and configurations have them.
    ///
    /// # Errors
    /// [`NoDigest`]
    pub fn parse(digits: &[u8]) -> Result<Secret, NoDigest> {
        let digits: &[u8; 64] = digits.try_into().map_err(|_length| NoDigest)?;
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Secret(digest))
    }

    /// Whether it is the same, in a time that says nothing about where they differ.
    #[must_use]
    pub fn is(&self, other: &Secret) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// The digest in hexadecimal digits.
    #[must_use]
    pub fn digits(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

fn digit(digit: u8) -> Result<u8, NoDigest> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(NoDigest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_the_secrets_and_is_not_shown() {
        let secret = Secret::of(b"abc");
        let digits = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(secret.digits(), digits);
        assert_eq!(Secret::parse(digits.as_bytes()), Ok(secret.clone()));
        assert_eq!(Secret::parse(b"ba78"), Err(NoDigest));
        assert_eq!(Secret::parse(digits.to_uppercase().as_bytes()), Err(NoDigest));
        assert!(secret.is(&Secret::of(b"abc")) && !secret.is(&Secret::of(b"abd")));
        assert_eq!(format!("{secret:?}"), "Secret");
    }
}
