//! Backups of one store: what is in them, and what is said of damaged ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use coterie_node::backup::{
    BackupError, BackupName, Backups, Circumstances, Damage, LayoutOf, restore, verify,
};
use coterie_node::storage::{self, Identity, Scope, Storage, StorageSettings};
use coterie_protocol::rows::{Batch, Space, address};
use coterie_ring::{NodeId, Partition};
use coterie_wire::Slice;
use tempfile::TempDir;

const IDENTITY: Identity = Identity { cluster: 7, node: NodeId(9) };

const PARTITIONS: u16 = 8;

/// A store with rows in every partition, and its backups.
struct Kept {
    directory: TempDir,
    storage: Storage,
    backups: Backups,
}

impl Kept {
    fn new() -> Kept {
        let directory = tempfile::tempdir().unwrap();
        let settings = StorageSettings::new(IDENTITY);
        let storage = Storage::open(&directory.path().join("data"), &settings).unwrap();
        let backups = Backups::new(directory.path().join("backups"), IDENTITY, &storage);
        let kept = Kept { directory, storage, backups };
        kept.put(1);
        kept
    }

    /// Puts 100 rows into each partition.
    fn put(&self, round: u8) {
        let mut store = self.storage.lane();
        for partition in 0..PARTITIONS {
            let mut batch = Batch::default();
            for row in 0..100_u8 {
                let [high, low] = partition.to_be_bytes();
                let key = vec![high, low, round, row];
                batch.put(Space::Rows, Bytes::from(key), Bytes::from(vec![row; 500]));
            }
            let slice = Slice { partition: Partition(partition), replicas: 3 };
            let sum = Bytes::copy_from_slice(&u128::from(round).to_be_bytes());
            batch.put(Space::Leaves, address::leaf(slice, round), sum);
            store.gather(&batch);
            store.commit().unwrap();
        }
    }

    fn make(&self, name: &str) -> Result<PathBuf, BackupError> {
        let name: BackupName = name.parse()?;
        let partitions = usize::from(PARTITIONS);
        let layout = LayoutOf { epoch: 0, version: 1, partitions, nodes: vec![IDENTITY.node] };
        let now = Circumstances { layout: Some(layout), time: SystemTime::now() };
        self.backups.make(&name, now)?;
        Ok(self.backups.directory().join(name.as_str()))
    }

    /// A copy of a backup, which shares no file with the store.
    fn copied(&self, backup: &Path, name: &str) -> PathBuf {
        let to = self.directory.path().join(name);
        fs::create_dir_all(to.join("store")).unwrap();
        for part in [".", "store"] {
            for entry in fs::read_dir(backup.join(part)).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_file() {
                    fs::copy(entry.path(), to.join(part).join(entry.file_name())).unwrap();
                }
            }
        }
        to
    }

    /// That a backup is refused for these reasons and more, and nothing starts from what it was to become.
    #[track_caller]
    fn assert_refused(&self, backup: &Path, expected: impl Fn(&Damage) -> bool) {
        let found = verify(backup).unwrap().damages;
        assert!(found.iter().any(&expected), "{found:?}");
        let data = self.directory.path().join("restored");
        match restore(backup, &data, Scope::Cluster) {
            Err(BackupError::Damaged { damages, .. }) => assert_eq!(damages, found),
            other => panic!("{other:?}"),
        }
        assert_eq!(storage::identity(&data).unwrap(), None);
    }
}

#[test]
fn a_backup_has_what_was_committed_before_and_nothing_after() {
    let kept = Kept::new();
    let backup = kept.make("first").unwrap();
    kept.put(2);
    let verified = verify(&backup).unwrap();
    assert_eq!(verified.damages, []);
    let manifest = verified.manifest.unwrap();
    assert_eq!(manifest.row_count(), u64::from(PARTITIONS) * 100);
    assert!(manifest.slices.iter().all(|slice| slice.digest == 1));
    let second = kept.backups.manifest(&"second".parse().unwrap());
    assert!(matches!(second, Err(BackupError::Missing { .. })), "{second:?}");
    let later = verify(&kept.make("second").unwrap()).unwrap().manifest.unwrap();
    assert_eq!(later.row_count(), u64::from(PARTITIONS) * 200);
    assert!(later.slices.iter().all(|slice| slice.digest == 3));
    let again = kept.make("first");
    assert!(matches!(again, Err(BackupError::Exists { .. })), "{again:?}");
    let names: Vec<String> = kept.backups.list().unwrap().into_iter().map(|it| it.0).collect();
    assert_eq!(names, ["first", "second"]);
    kept.backups.delete(&"first".parse().unwrap()).unwrap();
    assert_eq!(kept.backups.list().unwrap().len(), 1);
}

#[test]
fn a_restored_directory_holds_what_the_backup_does_and_says_that_it_is_restored() {
    let kept = Kept::new();
    let backup = kept.make("first").unwrap();
    let data = kept.directory.path().join("restored");
    let manifest = restore(&backup, &data, Scope::Node).unwrap();
    assert_eq!(storage::identity(&data).unwrap(), Some(IDENTITY));
    assert_eq!(storage::restored(&data).unwrap(), Some(Scope::Node));
    let again = restore(&backup, &data, Scope::Node);
    assert!(matches!(again, Err(BackupError::Storage(_))), "{again:?}");
    let opened = Storage::open(&data, &StorageSettings::new(IDENTITY)).unwrap();
    let backups = Backups::new(kept.directory.path().join("of-restored"), IDENTITY, &opened);
    let now = Circumstances { layout: manifest.layout.clone(), time: SystemTime::now() };
    let equal = backups.make(&"equal".parse().unwrap(), now).unwrap();
    assert_eq!((&equal.rows, &equal.slices), (&manifest.rows, &manifest.slices));
    assert_eq!(verify(&backup).unwrap().damages, [], "the backup is as it was");
}

#[test]
fn a_flipped_byte_in_any_file_is_found_and_the_file_named() {
    let kept = Kept::new();
    let backup = kept.make("first").unwrap();
    let mut partitions_named = 0;
    let files = verify(&backup).unwrap().manifest.unwrap().files;
    assert!(files.iter().any(|file| file.name.ends_with(".sst")), "{files:?}");
    for (number, file) in files.iter().enumerate() {
        let copy = kept.copied(&backup, &format!("copy-{number}"));
        let path = copy.join("store").join(&file.name);
        let mut bytes = fs::read(&path).unwrap();
        match bytes.get_mut(20).or(None) {
            Some(byte) => *byte ^= 0x10,
            None => bytes.push(b'x'),
        }
        fs::write(&path, bytes).unwrap();
        kept.assert_refused(&copy, |damage| match damage {
            Damage::Content { file: named } | Damage::Length { file: named, .. } => {
                *named == file.name
            }
            _ => false,
        });
        let damages = verify(&copy).unwrap().damages;
        partitions_named += usize::from(damages.iter().any(|damage| {
            matches!(damage, Damage::Unreadable(_) | Damage::Rows { .. } | Damage::Digest { .. })
        }));
    }
    assert!(partitions_named > 0, "of no damaged table it was said which partitions it is of");
}

#[test]
fn a_missing_a_shortened_and_a_foreign_file_are_told_apart() {
    let kept = Kept::new();
    let backup = kept.make("first").unwrap();
    let table = {
        let files = verify(&backup).unwrap().manifest.unwrap().files;
        files.into_iter().find(|file| file.name.ends_with(".sst")).unwrap()
    };
    let copy = kept.copied(&backup, "missing");
    fs::remove_file(copy.join("store").join(&table.name)).unwrap();
    let missing = Damage::Missing { file: table.name.clone() };
    kept.assert_refused(&copy, |damage| *damage == missing);
    let copy = kept.copied(&backup, "shortened");
    let path = copy.join("store").join(&table.name);
    fs::File::options().write(true).open(&path).unwrap().set_len(table.bytes / 2).unwrap();
    let (expected, found) = (table.bytes, table.bytes / 2);
    let shortened = Damage::Length { file: table.name.clone(), expected, found };
    kept.assert_refused(&copy, |damage| *damage == shortened);
    let copy = kept.copied(&backup, "foreign");
    fs::write(copy.join("store").join("999999.sst"), "x").unwrap();
    let foreign = Damage::Foreign { file: "999999.sst".to_owned() };
    kept.assert_refused(&copy, |damage| *damage == foreign);
    let copy = kept.copied(&backup, "unsigned");
    fs::remove_file(copy.join("backup.sha256")).unwrap();
    kept.assert_refused(&copy, |damage| matches!(damage, Damage::Manifest(_)));
}

#[test]
fn what_a_backup_that_was_cut_off_left_is_removed_with_the_next() {
    let kept = Kept::new();
    let left = kept.backups.directory().join("night.unfinished");
    fs::create_dir_all(left.join("store")).unwrap();
    assert_eq!(kept.backups.list().unwrap().len(), 0, "it is none");
    kept.make("first").unwrap();
    assert!(!left.exists());
}
