//! Who a node is and where it stands.

use std::fmt;

/// A node's name for life: 128 random bits, drawn when it is first started and never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u128);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({:x})", self.0)
    }
}

/// The zone a node stands in, and the region that zone belongs to.
///
/// Zones of one name in two regions are two zones.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    region: String,
    zone: String,
}

/// Why a region or zone has no such name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PlaceError {
    /// The name is longer than a place name may be.
    #[error("a region or zone name has {bytes} bytes, more than {max}", max = Place::NAME_BYTES_MAX)]
    TooLong {
        /// Length of the refused name.
        bytes: usize,
    },
    /// The name would garble what operators read.
    #[error("a region or zone name contains a control character")]
    ControlCharacter,
}

impl Place {
    /// Longest region or zone name, in bytes.
    pub const NAME_BYTES_MAX: usize = 64;

    /// The zone `zone` of the region `region`; either name may be empty.
    ///
    /// # Errors
    ///
    /// [`PlaceError`] if a name is too long or contains a control character.
    pub fn new(region: &str, zone: &str) -> Result<Self, PlaceError> {
        for name in [region, zone] {
            if name.len() > Self::NAME_BYTES_MAX {
                return Err(PlaceError::TooLong { bytes: name.len() });
            }
            if name.chars().any(char::is_control) {
                return Err(PlaceError::ControlCharacter);
            }
        }
        Ok(Self { region: region.to_owned(), zone: zone.to_owned() })
    }

    /// The region's name.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The zone's name, unique within its region.
    #[must_use]
    pub fn zone(&self) -> &str {
        &self.zone
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.region, self.zone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_names_are_bounded() {
        assert_eq!(Place::new("r", &"z".repeat(65)), Err(PlaceError::TooLong { bytes: 65 }));
        assert_eq!(Place::new("a\n", "z"), Err(PlaceError::ControlCharacter));
        assert_eq!(Place::new("eu", "a").unwrap().to_string(), "eu/a");
    }
}
