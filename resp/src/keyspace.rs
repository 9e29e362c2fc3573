//! Commands over all keys of a bucket: a walk over its partitions, page by page.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use coterie_crdt::Shown;
use coterie_protocol::View;
use coterie_ring::KeyHash;
use coterie_wire::{Key, LIST_KEYS_MAX, ListFrom, Listed, Outcome, Page};

use crate::ask::ITEMS;
use crate::encoder::Encoder;
use crate::glob;
use crate::outcome;
use crate::users::{User, Verb};

/// Pages that one walk asks for at one time.
const PAGES_MAX: usize = 16;

/// Keys that it deletes at one time.
const DELETES_MAX: usize = 64;

/// Partitions that one `SCAN` looks at before it answers, though it has found fewer keys than it was asked for.
const SCAN_PARTITIONS_MAX: usize = 128;

/// Bytes of names that one reply may have.
const NAMES_BYTES_MAX: usize = 16 << 20;

/// What is to be done over all keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyspace {
    /// In which buckets.
    pub buckets: Vec<Bytes>,
    /// What.
    pub what: What,
    /// Names that are wanted; all of them without.
    pub pattern: Option<Bytes>,
    /// The type that is wanted, in the word of `TYPE`; all of them without.
    pub shown: Option<String>,
}

/// What is to be done over all keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// `SCAN`: some keys, and where to go on.
    Scan {
        /// Where it goes on; 0 begins.
        cursor: u64,
        /// How many are wanted.
        count: usize,
    },
    /// `KEYS`: all of them.
    Keys,
    /// `DBSIZE`: how many there are.
    Count,
    /// `RANDOMKEY`: the first from a place drawn at random.
    Random(u64),
    /// `FLUSHDB`, `FLUSHALL`: deletes what is seen of each.
    Flush,
}

/// Something that a walk asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WalkAsk {
    /// A page.
    List { bucket: Bytes, from: ListFrom, keys_max: u32 },
    /// A deletion.
    Delete(Key),
}

/// A walk under way.
#[derive(Debug)]
pub(crate) struct Walk {
    keyspace: Keyspace,
    user: Arc<User>,
    view: Arc<View>,
    /// Where it goes on: bucket, and place.
    places: VecDeque<(usize, ListFrom)>,
    /// Pages that are asked for, and of which bucket they are.
    listing: BTreeMap<u32, usize>,
    to_delete: VecDeque<Key>,
    deleting: usize,
    items: u32,
    partitions: usize,
    names: Vec<Bytes>,
    names_bytes: usize,
    count: u64,
    /// Where a `SCAN` goes on another time.
    cursor: u64,
    /// Whether a `RANDOMKEY` has come to the end, and goes on from the start.
    wrapped: bool,
    failed: Option<String>,
    failures: usize,
}

impl Walk {
    /// Bytes of the names that it keeps.
    pub(crate) fn names_bytes(&self) -> usize {
        self.names_bytes
    }

    pub(crate) fn begin(keyspace: Keyspace, user: Arc<User>, view: &Arc<View>) -> Walk {
        let partitioner = view.decision.layout().partitioner();
        let places = match keyspace.what {
            What::Scan { cursor: from, .. } | What::Random(from) => {
                VecDeque::from([(0, ListFrom { hash: from, after: None })])
            }
            What::Keys | What::Count | What::Flush => (0..keyspace.buckets.len())
                .flat_map(|bucket| {
                    let partitions = partitioner.partitions();
                    partitions.map(move |p| (bucket, ListFrom::partition(p, partitioner)))
                })
                .collect(),
        };
        Walk {
            keyspace,
            user,
            view: Arc::clone(view),
            places,
            listing: BTreeMap::new(),
            to_delete: VecDeque::new(),
            deleting: 0,
            items: 0,
            partitions: 0,
            names: Vec::new(),
            names_bytes: 0,
            count: 0,
            cursor: 0,
            wrapped: false,
            failed: None,
            failures: 0,
        }
    }

    /// What is to be asked for next, with the number that its answer bears.
    pub(crate) fn next_ask(&mut self) -> Option<(u32, WalkAsk)> {
        if self.failed.is_some() && self.keyspace.what != What::Flush {
            return None;
        }
        if self.deleting < DELETES_MAX
            && let Some(key) = self.to_delete.pop_front()
        {
            self.deleting += 1;
            return Some((self.next_item(), WalkAsk::Delete(key)));
        }
        let keys_max = match self.keyspace.what {
            What::Scan { count, .. } => {
                u32::try_from(count).unwrap_or(LIST_KEYS_MAX).clamp(1, LIST_KEYS_MAX)
            }
            // A few, as those that the user may not see are passed over.
            What::Random(_) => 16,
            What::Keys | What::Count | What::Flush => LIST_KEYS_MAX,
        };
        if self.listing.len() >= PAGES_MAX || self.to_delete.len() > LIST_KEYS_MAX as usize {
            return None;
        }
        let (bucket, from) = self.places.pop_front()?;
        let item = self.next_item();
        self.listing.insert(item, bucket);
        let bucket = self.keyspace.buckets[bucket].clone();
        Some((item, WalkAsk::List { bucket, from, keys_max }))
    }

    /// A number for a question. It is used again only long after its answer.
    fn next_item(&mut self) -> u32 {
        self.items = (self.items + 1) % ITEMS;
        self.items
    }

    /// Whether all is done.
    pub(crate) fn is_done(&self) -> bool {
        let gives_up = self.failed.is_some() && self.keyspace.what != What::Flush;
        let idle = self.listing.is_empty() && self.deleting == 0;
        idle && (gives_up || (self.places.is_empty() && self.to_delete.is_empty()))
    }

    /// Takes in a page.
    pub(crate) fn listed(&mut self, item: u32, listed: &Listed) {
        let Some(bucket) = self.listing.remove(&item) else { return };
        match listed {
            Listed::Page(page) => self.page(bucket, page),
            Listed::Refused(_) | Listed::Unavailable(_) => {
                self.failures += 1;
                let text = outcome::listed_text(listed);
                self.failed = self.failed.take().or(text);
            }
        }
    }

    /// Takes in what became of a deletion.
    pub(crate) fn deleted(&mut self, outcome: &Outcome) {
        self.deleting -= 1;
        if let Some(text) = outcome::text(outcome) {
            self.failures += 1;
            self.failed.get_or_insert(text);
        }
    }

    fn page(&mut self, bucket: usize, page: &Page) {
        let name = self.keyspace.buckets[bucket].clone();
        let verb = match self.keyspace.what {
            What::Flush => Verb::Update,
            What::Scan { .. } | What::Keys | What::Count | What::Random(_) => Verb::Read,
        };
        for key in &page.keys {
            if !self.wants(&key.name, key.shown) || !self.user.may(verb, &name, &key.name) {
                continue;
            }
            self.count += 1;
            match self.keyspace.what {
                What::Count => {}
                What::Flush => {
                    self.to_delete.push_back(Key::new(name.clone(), key.name.clone()));
                }
                What::Scan { .. } | What::Keys | What::Random(_) => {
                    self.names_bytes += key.name.len() + 16;
                    self.names.push(key.name.clone());
                }
            }
        }
        if self.names_bytes > NAMES_BYTES_MAX {
            self.failed = Some("ERR too many keys for one reply; use SCAN".to_owned());
            return;
        }
        self.go_on(bucket, page.next.clone());
    }

    fn wants(&self, name: &[u8], shown: Shown) -> bool {
        let Keyspace { pattern, shown: wanted, .. } = &self.keyspace;
        pattern.as_ref().is_none_or(|pattern| glob::matches(pattern, name))
            && wanted.as_ref().is_none_or(|wanted| *wanted == shown.redis_name())
    }

    fn go_on(&mut self, bucket: usize, next: Option<ListFrom>) {
        let partitioner = self.view.decision.layout().partitioner();
        match self.keyspace.what {
            What::Keys | What::Count | What::Flush => {
                // The other partitions have places of their own.
                let here = next.filter(|next| {
                    let first = partitioner.first_hash(partitioner.partition(KeyHash(next.hash)));
                    next.hash != first.0 || next.after.is_some()
                });
                self.places.extend(here.map(|next| (bucket, next)));
            }
            What::Scan { count, .. } => {
                self.partitions += 1;
                let enough = self.names.len() >= count || self.partitions >= SCAN_PARTITIONS_MAX;
                match next {
                    // A cursor is a hash: keys of one hash are all on one page.
                    Some(next) if enough && next.after.is_none() => self.cursor = next.hash,
                    Some(next) => self.places.push_back((bucket, next)),
                    None => self.cursor = 0,
                }
            }
            What::Random(from) => {
                if !self.names.is_empty() {
                    return;
                }
                match next {
                    Some(next) if self.wrapped && next.hash > from => {}
                    Some(next) => self.places.push_back((bucket, next)),
                    None if !self.wrapped => {
                        self.wrapped = true;
                        self.places.push_back((bucket, ListFrom::default()));
                    }
                    None => {}
                }
            }
        }
    }

    /// Answers.
    pub(crate) fn encode(&self, encoder: &mut Encoder<'_>) {
        if let Some(text) = &self.failed {
            return match self.keyspace.what {
                What::Flush => {
                    let failures = self.failures;
                    encoder.error(&format!(
                        "{text} ({failures} of {} keys or pages; each of the others was done)",
                        self.count
                    ));
                }
                What::Scan { .. } | What::Keys | What::Count | What::Random(_) => {
                    encoder.error(text);
                }
            };
        }
        match self.keyspace.what {
            What::Scan { .. } => {
                encoder.array(2);
                encoder.bulk(self.cursor.to_string().as_bytes());
                encoder.bulks(self.names.iter());
            }
            What::Keys => encoder.bulks(self.names.iter()),
            What::Count => encoder.count(self.count),
            What::Random(_) => encoder.bulk_or_null(self.names.first().map(|name| &name[..])),
            What::Flush => encoder.ok(),
        }
    }
}
