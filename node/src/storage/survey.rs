//! What a database that nobody uses holds: digests of its slices and rows of its partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bytes::Bytes;
use coterie_protocol::digests::Tree;
use coterie_protocol::rows::{KeyRange, Space, address};
use coterie_ring::Partition;
use coterie_wire::Slice;
use rocksdb::{DB, ReadOptions};

use super::directory::Identity;
use super::settings::{self, StorageSettings};

/// Memory for tables' indexes; rows are read once.
const CACHE_BYTES: usize = 16 << 20;

/// What was found. Of partitions that cannot be read whole only that is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The digest of each slice that has any keys.
    pub slices: BTreeMap<Slice, u128>,
    /// Rows of each partition that has any.
    pub rows: BTreeMap<Partition, u64>,
    /// Partitions of which not all rows can be read.
    pub unreadable: BTreeSet<Partition>,
}

/// Reads every row of the database in `store`, without writing anything there.
///
/// # Errors
/// What the database says, where it does not open.
pub fn survey(store: &Path, identity: Identity, partitions: usize) -> Result<Survey, String> {
    let mut wanted = StorageSettings::new(identity);
    (wanted.cache_bytes, wanted.memtables_bytes) = (CACHE_BYTES, CACHE_BYTES / 4);
    let (options, families, _cache) = settings::options(&wanted, store);
    let db = DB::open_cf_descriptors_read_only(&options, store, families, false)
        .map_err(|error| error.to_string())?;
    let mut found = Survey::default();
    for partition in (0..=u16::MAX).take(partitions).map(Partition) {
        if found.read(&db, partition).is_err() {
            found.unreadable.insert(partition);
            found.rows.remove(&partition);
            found.slices.retain(|slice, _| slice.partition != partition);
        }
    }
    Ok(found)
}

impl Survey {
    fn read(&mut self, db: &DB, partition: Partition) -> Result<(), rocksdb::Error> {
        let range = KeyRange::prefix(Bytes::copy_from_slice(&partition.0.to_be_bytes()));
        let mut rows = 0;
        each(db, Space::Rows, &range, |_, _| rows += 1)?;
        if rows > 0 {
            self.rows.insert(partition, rows);
        }
        let mut trees: BTreeMap<u8, Tree> = BTreeMap::new();
        each(db, Space::Leaves, &range, |key, value| {
            // What does not parse is damage, of which the digest tells.
            if let (Some((replicas, leaf)), Ok(sum)) = (address::parse_leaf(key), value.try_into())
            {
                trees.entry(replicas).or_default().load(leaf, u128::from_be_bytes(sum));
            }
        })?;
        for (replicas, tree) in trees {
            self.slices.insert(Slice { partition, replicas }, tree.root());
        }
        Ok(())
    }
}

fn each(
    db: &DB,
    space: Space,
    range: &KeyRange,
    mut row: impl FnMut(&[u8], &[u8]),
) -> Result<(), rocksdb::Error> {
    let family = db.cf_handle(settings::family(space)).expect("it was opened with all spaces");
    let mut options = ReadOptions::default();
    options.fill_cache(false);
    options.set_readahead_size(1 << 20);
    if let Some(to) = &range.to {
        options.set_iterate_upper_bound(&to[..]);
    }
    let mut rows = db.raw_iterator_cf_opt(family, options);
    rows.seek(&range.from);
    while let Some((key, value)) = rows.item() {
        row(key, value);
        rows.next();
    }
    rows.status()
}
