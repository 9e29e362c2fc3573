//! What a backup is of, and what it should hold (docs/formats.md, "node: backups").

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use coterie_ring::{NodeId, Partition};
use coterie_wire::Slice;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

use super::damage::Damage;
use super::error::{BackupError, failed};
use super::files;
use crate::storage::{Identity, Survey};

/// The manifest's file.
pub(super) const FILE: &str = "backup.json";

/// The file of its checksum, as `sha256sum` writes it.
pub(super) const CHECKSUM: &str = "backup.sha256";

/// The format that this version writes.
const FORMAT: u32 = 1;

/// No manifest is longer.
const BYTES_MAX: u64 = 64 << 20;

/// A backup's manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format.
    #[serde(rename = "coterie_backup")]
    pub format: u32,
    /// The backup's name.
    pub name: String,
    /// The cluster's id.
    #[serde(with = "Id")]
    pub cluster: u128,
    /// The node's.
    #[serde(with = "Id")]
    pub node: u128,
    /// The version of the program that made it.
    pub program: String,
    /// When, in seconds since 1970.
    pub time: u64,
    /// The layout in force here then; none where the node was in no cluster.
    pub layout: Option<LayoutOf>,
    /// The database's files.
    pub files: Vec<FileOf>,
    /// Digests of slices that have keys.
    pub slices: Vec<SliceOf>,
    /// Rows of partitions that have any.
    pub rows: Vec<RowsOf>,
}

/// A layout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayoutOf {
    /// Its epoch.
    pub epoch: u32,
    /// Its version.
    pub version: u64,
    /// How many partitions.
    pub partitions: usize,
    /// Its members: whose backups make one of the cluster.
    #[serde(serialize_with = "write_ids", deserialize_with = "read_ids")]
    pub nodes: Vec<NodeId>,
}

/// A file of the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileOf {
    /// Its name in `store`.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256 in hexadecimal digits.
    pub sha256: String,
}

/// The digest of a slice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceOf {
    /// Its partition.
    pub partition: u16,
    /// Its replicas.
    pub replicas: u8,
    /// The sum of its keys' digests.
    #[serde(with = "Id")]
    pub digest: u128,
}

/// The rows of a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowsOf {
    /// Which.
    pub partition: u16,
    /// How many.
    pub rows: u64,
}

impl Manifest {
    /// A manifest of a database with these files and contents.
    pub(super) fn new(
        name: &str,
        identity: Identity,
        time: u64,
        layout: Option<LayoutOf>,
        files: Vec<FileOf>,
        survey: &Survey,
    ) -> Self {
        let slices = survey.slices.iter().map(|(slice, digest)| SliceOf {
            partition: slice.partition.0,
            replicas: slice.replicas,
            digest: *digest,
        });
        let rows = survey.rows.iter();
        let rows = rows.map(|(partition, rows)| RowsOf { partition: partition.0, rows: *rows });
        Manifest {
            format: FORMAT,
            name: name.to_owned(),
            cluster: identity.cluster,
            node: identity.node.0,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            time,
            layout,
            files,
            slices: slices.collect(),
            rows: rows.collect(),
        }
    }

    /// Reads the manifest of a backup; what is wrong with it where it is damaged.
    ///
    /// # Errors
    /// If there is no backup, it cannot be read, or is of a later version.
    pub fn read(backup: &Path) -> Result<Result<Manifest, Damage>, BackupError> {
        let path = backup.join(FILE);
        let Some(text) = read_file(&path)? else {
            let store = backup.join(files::STORE);
            if store.exists() {
                return Ok(Err(Damage::Manifest("is missing")));
            }
            return Err(BackupError::Missing { path: backup.to_owned() });
        };
        let Some(checksum) = read_file(&backup.join(CHECKSUM))? else {
            return Ok(Err(Damage::Manifest("has no checksum beside it")));
        };
        if checksum != checksum_of(&text).into_bytes() {
            return Ok(Err(Damage::Manifest("has other bytes than its checksum says")));
        }
        let broken = Damage::Manifest("is none that any version has written");
        let Ok(format) = serde_json::from_slice::<Format>(&text) else { return Ok(Err(broken)) };
        if format.coterie_backup > FORMAT {
            return Err(BackupError::Later { path, format: format.coterie_backup });
        }
        let Ok(manifest) = serde_json::from_slice::<Manifest>(&text) else {
            return Ok(Err(broken));
        };
        let is_plain = |name: &str| {
            !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0'])
        };
        if !manifest.files.iter().all(|file| is_plain(&file.name)) {
            return Ok(Err(broken));
        }
        Ok(Ok(manifest))
    }

    /// Writes it, with its checksum, durably.
    pub(super) fn write(&self, backup: &Path) -> Result<(), BackupError> {
        let mut text = serde_json::to_vec_pretty(self).expect("it has nothing that JSON has not");
        text.push(b'\n');
        files::write(&backup.join(FILE), &text)?;
        files::write(&backup.join(CHECKSUM), checksum_of(&text).as_bytes())
    }

    /// Whose it is.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity { cluster: self.cluster, node: NodeId(self.node) }
    }

    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Rows of all partitions.
    #[must_use]
    pub fn row_count(&self) -> u64 {
        self.rows.iter().map(|it| it.rows).sum()
    }

    /// Partitions there are.
    pub(super) fn partitions(&self) -> usize {
        self.layout.as_ref().map_or(0, |layout| layout.partitions)
    }

    /// In what a database differs from what it should hold.
    pub(super) fn compare(&self, found: &Survey) -> Vec<Damage> {
        let is_whole = |partition: &Partition| !found.unreadable.contains(partition);
        let mut damages: Vec<Damage> =
            found.unreadable.iter().copied().map(Damage::Unreadable).collect();
        let mut rows: BTreeMap<Partition, (u64, u64)> =
            self.rows.iter().map(|it| (Partition(it.partition), (it.rows, 0))).collect();
        for (partition, count) in &found.rows {
            rows.entry(*partition).or_default().1 = *count;
        }
        for (partition, (expected, found)) in rows {
            if expected != found && is_whole(&partition) {
                damages.push(Damage::Rows { partition, expected, found });
            }
        }
        let mut slices: BTreeMap<Slice, (u128, u128)> = BTreeMap::new();
        for it in &self.slices {
            let slice = Slice { partition: Partition(it.partition), replicas: it.replicas };
            slices.entry(slice).or_default().0 = it.digest;
        }
        for (slice, digest) in &found.slices {
            slices.entry(*slice).or_default().1 = *digest;
        }
        for (slice, (expected, found)) in slices {
            if expected != found && is_whole(&slice.partition) {
                let Slice { partition, replicas } = slice;
                damages.push(Damage::Digest { partition, replicas });
            }
        }
        damages
    }
}

#[derive(Deserialize)]
struct Format {
    coterie_backup: u32,
}

fn checksum_of(text: &[u8]) -> String {
    format!("{}  {FILE}\n", files::hexadecimal(&Sha256::digest(text)))
}

fn read_file(path: &Path) -> Result<Option<Vec<u8>>, BackupError> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed("open", path, source)),
        Ok(file) => file.take(BYTES_MAX).read_to_end(&mut bytes),
    }
    .map_err(|source| failed("read", path, source))?;
    Ok(Some(bytes))
}

/// 128 bits as 32 hexadecimal digits.
struct Id;

impl Id {
    fn serialize<S: Serializer>(id: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{id:032x}"))
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        parse(&String::deserialize(deserializer)?)
    }
}

fn parse<E: de::Error>(text: &str) -> Result<u128, E> {
    let is_id = text.len() == 32 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    let id = is_id.then(|| u128::from_str_radix(text, 16).ok()).flatten();
    id.ok_or_else(|| E::custom("an id has 32 hexadecimal digits"))
}

fn write_ids<S: Serializer>(nodes: &[NodeId], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(nodes.iter().map(ToString::to_string))
}

fn read_ids<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<NodeId>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| parse(text).map(NodeId)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let mut survey = Survey::default();
        survey.slices.insert(Slice { partition: Partition(3), replicas: 3 }, 77);
        survey.rows.insert(Partition(3), 5);
        let layout = LayoutOf { epoch: 0, version: 2, partitions: 8, nodes: vec![NodeId(9)] };
        let file = FileOf { name: "CURRENT".into(), bytes: 3, sha256: "ab".into() };
        let identity = Identity { cluster: 7, node: NodeId(9) };
        Manifest::new("nightly", identity, 1_700_000_000, Some(layout), vec![file], &survey)
    }

    #[test]
    fn a_manifest_reads_back_and_every_flipped_bit_of_it_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        manifest().write(directory.path()).unwrap();
        assert_eq!(Manifest::read(directory.path()).unwrap(), Ok(manifest()));
        for name in [FILE, CHECKSUM] {
            let path = directory.path().join(name);
            let sound = std::fs::read(&path).unwrap();
            for at in 0..sound.len() {
                let mut bytes = sound.clone();
                bytes[at] ^= 1;
                std::fs::write(&path, bytes).unwrap();
                let read = Manifest::read(directory.path()).unwrap();
                assert!(matches!(read, Err(Damage::Manifest(_))), "{name}, byte {at}");
            }
            std::fs::write(&path, sound).unwrap();
        }
    }

    #[test]
    fn a_manifest_that_names_files_elsewhere_is_none() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["../node", "/etc/passwd", "..", ""] {
            let mut forged = manifest();
            forged.files[0].name = name.to_owned();
            forged.write(directory.path()).unwrap();
            let read = Manifest::read(directory.path()).unwrap();
            assert!(matches!(read, Err(Damage::Manifest(_))), "{name}");
        }
    }

    #[test]
    fn a_manifest_of_a_later_format_is_refused_as_such() {
        let directory = tempfile::tempdir().unwrap();
        let later = Manifest { format: 2, ..manifest() };
        later.write(directory.path()).unwrap();
        let read = Manifest::read(directory.path());
        assert!(matches!(read, Err(BackupError::Later { format: 2, .. })), "{read:?}");
    }

    #[test]
    fn what_differs_is_named() {
        let mut found = Survey::default();
        found.rows.insert(Partition(4), 1);
        found.unreadable.insert(Partition(5));
        let damages = manifest().compare(&found);
        let expected = [
            Damage::Unreadable(Partition(5)),
            Damage::Rows { partition: Partition(3), expected: 5, found: 0 },
            Damage::Rows { partition: Partition(4), expected: 0, found: 1 },
            Damage::Digest { partition: Partition(3), replicas: 3 },
        ];
        assert_eq!(damages, expected);
    }
}
