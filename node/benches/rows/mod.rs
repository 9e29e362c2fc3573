//! Rows as the store is measured with, and the store: what its benchmark and its example share.

use bytes::Bytes;
use coterie_node::storage::{Identity, Storage, StorageSettings};
use coterie_ring::NodeId;
use tempfile::TempDir;

const VALUE_BYTES: usize = 150;

/// Where a row lies: they are spread over partitions.
pub(crate) fn hash(number: u64) -> [u8; 8] {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()
}

/// A key as rows of keys have it.
pub(crate) fn key(number: u64) -> Bytes {
    let hash = hash(number);
    let mut bytes = Vec::with_capacity(32);
    bytes.extend_from_slice(&hash[..2]);
    bytes.extend_from_slice(b"\x03db0");
    bytes.extend_from_slice(&hash);
    bytes.extend_from_slice(format!("\x00\x0ckey:{number:08}").as_bytes());
    bytes.push(0);
    bytes.into()
}

/// Bytes that do not compress.
pub(crate) fn value(number: u64) -> Bytes {
    let mut random = number;
    (0..VALUE_BYTES)
        .map(|_| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            random.to_be_bytes()[0]
        })
        .collect()
}

/// An empty store with default settings, and its directory: below `COTERIE_BENCH_DIRECTORY` where that is set.
///
/// # Panics
/// If there is no room for it.
pub(crate) fn opened() -> (TempDir, Storage) {
    let parent = std::env::var_os("COTERIE_BENCH_DIRECTORY");
    let directory = match parent {
        Some(parent) => tempfile::tempdir_in(parent),
        None => tempfile::tempdir(),
    };
    let directory = directory.expect("there is room for a store");
    let settings = StorageSettings::new(Identity { cluster: 1, node: NodeId(1) });
    let storage = Storage::open(directory.path(), &settings).expect("an empty directory opens");
    (directory, storage)
}
