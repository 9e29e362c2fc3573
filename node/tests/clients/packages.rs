//! The machine's Debian package index as commands, and what a store holds once they are done.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde::Serialize;

/// Sizes that one command adds to the sorted set: it is one key, and commands on a key go one after another.
const SIZES_AT_ONCE: usize = 64;

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Words(pub(crate) Vec<Vec<u8>>);

impl Words {
    pub(crate) fn new<W: AsRef<[u8]>>(words: impl IntoIterator<Item = W>) -> Words {
        Words(words.into_iter().map(|word| word.as_ref().to_vec()).collect())
    }

    /// As clients send it.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend(format!("*{}\r\n", self.0.len()).bytes());
        for word in &self.0 {
            out.extend(format!("${}\r\n", word.len()).bytes());
            out.extend(word);
            out.extend(b"\r\n");
        }
    }
}

/// What is held under each key, by type.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Contents {
    pub(crate) hashes: BTreeMap<String, BTreeMap<String, String>>,
    pub(crate) sets: BTreeMap<String, BTreeSet<String>>,
    pub(crate) counters: BTreeMap<String, u64>,
    pub(crate) sorted: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Contents {
    pub(crate) fn keys(&self) -> usize {
        self.hashes.len() + self.sets.len() + self.counters.len() + self.sorted.len()
    }
}

/// A record of the index: a package in a version.
#[derive(Clone, Debug, Default)]
pub(crate) struct Package {
    pub(crate) name: String,
    fields: BTreeMap<String, String>,
}

/// The records that `apt-cache dumpavail` prints; about so many of them, from all of its parts.
pub(crate) fn available(about: Option<usize>) -> Vec<Package> {
    let printed =
        Command::new("apt-cache").arg("dumpavail").output().expect("Debian has apt-cache");
    let printed = String::from_utf8_lossy(&printed.stdout);
    let packages: Vec<Package> = printed.split("\n\n").filter_map(parse).collect();
    assert!(packages.len() > 100, "{} records: run apt-get update", packages.len());
    let step = about.map_or(1, |about| packages.len().div_ceil(about));
    packages.into_iter().step_by(step).collect()
}

fn parse(record: &str) -> Option<Package> {
    let mut fields: BTreeMap<String, String> = BTreeMap::new();
    let mut last = String::new();
    for line in record.lines() {
        if line.starts_with(' ') {
            let value = fields.get_mut(&last)?;
            value.push('\n');
            value.push_str(line);
        } else if let Some((name, value)) = line.split_once(':') {
            name.clone_into(&mut last);
            fields.insert(last.clone(), value.trim().to_owned());
        }
    }
    let name = fields.get("Package")?.clone();
    Some(Package { name, fields })
}

impl Package {
    pub(crate) fn section(&self) -> &str {
        self.fields.get("Section").map_or("none", String::as_str)
    }

    fn size(&self) -> u64 {
        self.fields.get("Installed-Size").and_then(|size| size.parse().ok()).unwrap_or(0)
    }

    /// Words of a list like `a (>= 1) | b, c:any`, each once.
    fn list(&self, field: &str) -> BTreeSet<&str> {
        let list = self.fields.get(field).map_or("", String::as_str);
        let name = |item: &'_ str| -> usize {
            item.find(|end: char| end.is_whitespace() || end == '(' || end == ':')
                .unwrap_or(item.len())
        };
        let items = list.split([',', '|']).map(str::trim).map(|item| &item[..name(item)]);
        items.filter(|item| !item.is_empty()).collect()
    }

    /// Tags as they are: `role::program`.
    fn tags(&self) -> BTreeSet<&str> {
        let tags = self.fields.get("Tag").map_or("", String::as_str);
        tags.split(',').map(str::trim).filter(|tag| !tag.is_empty()).collect()
    }
}

/// Loads packages: a hash for each, sets of its tags and of what depends on others, a counter per section, and all by
/// installed size.
pub(crate) fn load(packages: &[Package]) -> (Vec<Words>, Contents) {
    let (mut commands, mut contents) = (Vec::new(), Contents::default());
    for package in packages {
        let name = &package.name;
        let key = format!("package:{name}");
        let hash = contents.hashes.entry(key.clone()).or_default();
        let mut words = vec!["HSET".to_owned(), key];
        for (field, value) in &package.fields {
            hash.insert(field.clone(), value.clone());
            words.extend([field.clone(), value.clone()]);
        }
        commands.push(Words::new(words));
        let tags = package.tags();
        if !tags.is_empty() {
            let key = format!("tags:{name}");
            let held = contents.sets.entry(key.clone()).or_default();
            held.extend(tags.iter().map(|tag| (*tag).to_owned()));
            commands.push(Words::new(["SADD", &key].into_iter().chain(tags)));
        }
        for other in package.list("Depends") {
            let key = format!("needed-by:{other}");
            contents.sets.entry(key.clone()).or_default().insert(name.clone());
            commands.push(Words::new(["SADD", &key, name]));
        }
        let key = format!("section:{}", package.section());
        *contents.counters.entry(key.clone()).or_default() += 1;
        commands.push(Words::new(["INCR", &key]));
    }
    for some in packages.chunks(SIZES_AT_ONCE) {
        let mut words = vec!["ZADD".to_owned(), "by-size".to_owned()];
        let sizes = contents.sorted.entry("by-size".to_owned()).or_default();
        for package in some {
            sizes.insert(package.name.clone(), package.size());
            words.extend([package.size().to_string(), package.name.clone()]);
        }
        commands.push(Words::new(words));
    }
    (commands, contents)
}
