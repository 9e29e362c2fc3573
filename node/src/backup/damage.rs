//! What can be wrong with a backup.

use std::fmt;

use coterie_ring::Partition;

/// One thing that is not as it was when the backup was made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Damage {
    /// The manifest is not what it was: nothing else can be judged.
    Manifest(&'static str),
    /// A file is gone.
    Missing {
        /// Its name in the store.
        file: String,
    },
    /// A file is longer or shorter.
    Length {
        /// Its name in the store.
        file: String,
        /// As the manifest has it.
        expected: u64,
        /// As it is.
        found: u64,
    },
    /// A file has other bytes.
    Content {
        /// Its name in the store.
        file: String,
    },
    /// A file that does not belong there.
    Foreign {
        /// Its name in the store.
        file: String,
    },
    /// The database does not open.
    Store(String),
    /// Not all rows of a partition can be read.
    Unreadable(Partition),
    /// A partition has more or fewer rows.
    Rows {
        /// Which.
        partition: Partition,
        /// As the manifest has it.
        expected: u64,
        /// As it is.
        found: u64,
    },
    /// A slice has another digest.
    Digest {
        /// Its partition.
        partition: Partition,
        /// Of buckets of so many replicas.
        replicas: u8,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::Manifest(what) => write!(f, "the manifest {what}"),
            Damage::Missing { file } => write!(f, "store/{file} is missing"),
            Damage::Length { file, expected, found } => {
                write!(f, "store/{file} has {found} bytes and should have {expected}")
            }
            Damage::Content { file } => write!(f, "store/{file} has other bytes than it should"),
            Damage::Foreign { file } => write!(f, "store/{file} is not of this backup"),
            Damage::Store(detail) => write!(f, "the database does not open: {detail}"),
            Damage::Unreadable(partition) => {
                write!(f, "partition {} cannot be read whole", partition.0)
            }
            Damage::Rows { partition, expected, found } => {
                write!(f, "partition {} has {found} rows and should have {expected}", partition.0)
            }
            Damage::Digest { partition, replicas } => write!(
                f,
                "partition {} (buckets of {replicas} replicas) has another digest than it should",
                partition.0
            ),
        }
    }
}
