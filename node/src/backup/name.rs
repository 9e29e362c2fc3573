//! Names of backups: of files, so that none leads out of the directory of backups.

use std::fmt;
use std::str::FromStr;

use super::error::BackupError;

/// The longest name.
const BYTES_MAX: usize = 64;

/// A backup's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BackupName(String);

impl BackupName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BackupName {
    type Err = BackupError;

    fn from_str(text: &str) -> Result<Self, BackupError> {
        let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        let ends = !text.ends_with(UNFINISHED);
        if begins && ends && text.len() <= BYTES_MAX && text.bytes().all(is_fine) {
            Ok(BackupName(text.to_owned()))
        } else {
            Err(BackupError::Name { given: text.chars().take(BYTES_MAX).collect() })
        }
    }
}

impl fmt::Display for BackupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the name of a backup ends with until all of it is there.
pub(super) const UNFINISHED: &str = ".unfinished";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_directory_or_to_what_is_unfinished() {
        for good in ["a", "nightly-2026-11-28", "v1.2_x"] {
            assert_eq!(good.parse::<BackupName>().unwrap().as_str(), good);
        }
        let long = "a".repeat(65);
        for bad in ["", ".", "..", ".a", "-a", "a/b", "../a", "a b", "ä", "a.unfinished", &long] {
            assert!(bad.parse::<BackupName>().is_err(), "{bad:?}");
        }
    }
}
