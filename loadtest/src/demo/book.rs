//! What clients were told, as it happens: for the checkers in the end, and for what is shown meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use coterie_check::{
    Action, Level, Name, Nanos, Operation, OperationId, Outcome, Record, Session, SessionId,
};

use crate::outcome::Outcome as Told;

use super::column::{Bucket, Column, Side};

/// What a client did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Before the shop opens.
    Stocking,
    CartAdd,
    CartRemove,
    CartRead,
    AddressSet,
    AddressRead,
    StockRead,
    StockTake,
    StockGiveBack,
    Claim,
    Lookup,
}

/// An operation with who did it, and what for.
#[derive(Clone, Debug)]
pub(crate) struct Noted {
    pub(crate) column: Column,
    pub(crate) side: Side,
    pub(crate) kind: Kind,
    pub(crate) told: Told,
    /// When its client knew, or gave up.
    pub(crate) until: Nanos,
    /// Of a piece that was taken: whether it was sold.
    pub(crate) sale: Option<bool>,
    pub(crate) operation: Operation,
}

/// A write of a value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Write {
    pub(crate) invoked: Nanos,
    /// When it was acknowledged, if it was.
    pub(crate) returned: Option<Nanos>,
}

/// What is known of the keys of a column.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Items of carts that were acknowledged.
    pub(crate) items: BTreeMap<Name, BTreeSet<Name>>,
    /// Items that somebody has begun to take out.
    pub(crate) leaving: BTreeSet<Name>,
    /// Values of registers: addresses, and who claimed a username.
    pub(crate) values: BTreeMap<Name, BTreeMap<Name, Write>>,
    /// Pieces sold of each product, by side.
    pub(crate) sold: BTreeMap<Name, [u64; 2]>,
    /// Stale reads, with when they began and what they missed.
    pub(crate) stale: Vec<Stale>,
}

/// A read that missed what was acknowledged before it began.
#[derive(Clone, Debug)]
pub(crate) struct Stale {
    pub(crate) at: Nanos,
    pub(crate) side: Side,
    pub(crate) key: Name,
    /// What was acknowledged, and not shown.
    pub(crate) missed: Name,
}

impl Known {
    /// Usernames that several people were told are theirs.
    pub(crate) fn twice(&self) -> impl Iterator<Item = (&Name, Vec<(&Name, &Write)>)> {
        let names = self.values.iter().filter(|(key, _)| key.as_bytes().starts_with(b"name-"));
        let owned = names.map(|(key, values)| {
            (key, values.iter().filter(|(_, write)| write.returned.is_some()).collect::<Vec<_>>())
        });
        owned.filter(|(_, owners)| owners.len() > 1)
    }

    /// Pieces that were sold and not there.
    pub(crate) fn oversold(&self, pieces: i64) -> u64 {
        let pieces = u64::try_from(pieces).unwrap_or(0);
        self.sold.values().map(|[left, right]| (left + right).saturating_sub(pieces)).sum()
    }

    /// What of a register was acknowledged before a read began, and is newer than all that the read showed.
    ///
    /// Newer is what began after everything that was shown had been acknowledged.
    pub(crate) fn missed_value(&self, key: &Name, began: Nanos, shown: &[Name]) -> Option<Name> {
        let values = self.values.get(key)?;
        let newer = |write: &Write| {
            shown.iter().all(|value| {
                let shown = values.get(value).and_then(|shown| shown.returned);
                shown.is_some_and(|returned| returned < write.invoked)
            })
        };
        let missed = values.iter().find(|(_, write)| {
            write.returned.is_some_and(|returned| returned < began) && newer(write)
        });
        missed.map(|(value, _)| value.clone())
    }
}

/// Everything that is written down.
#[derive(Debug)]
pub(crate) struct Book {
    begun: Instant,
    numbers: AtomicU64,
    noted: Mutex<Vec<Noted>>,
    sessions: Mutex<Vec<Session>>,
    known: [Mutex<Known>; 3],
    /// Answers that nobody should be given.
    strange: Mutex<BTreeSet<String>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Book {
    pub(crate) fn new() -> Arc<Book> {
        Arc::new(Book {
            begun: Instant::now(),
            numbers: AtomicU64::new(1),
            noted: Mutex::default(),
            sessions: Mutex::default(),
            known: Default::default(),
            strange: Mutex::default(),
        })
    }

    /// The time of the history.
    pub(crate) fn now(&self) -> Nanos {
        Nanos(u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    pub(crate) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// A session of a new connection.
    pub(crate) fn session(&self) -> SessionId {
        let session = SessionId(self.number());
        let told = Session { session, read_your_writes: true, monotonic_reads: false };
        locked(&self.sessions).push(told);
        session
    }

    #[expect(clippy::too_many_arguments, reason = "they are the parts of an operation")]
    pub(crate) fn operation(
        &self,
        session: SessionId,
        bucket: Bucket,
        key: Name,
        level: Level,
        invoked: Nanos,
        action: Action,
        outcome: Outcome,
    ) -> Operation {
        let id = OperationId(self.number());
        let (bucket, observes) = (bucket.id, None);
        Operation { id, session, bucket, key, level, observes, invoked, action, outcome }
    }

    pub(crate) fn note(&self, noted: Noted) {
        locked(&self.noted).push(noted);
    }

    /// What was noted after the first so many.
    pub(crate) fn since<T>(&self, index: usize, look: impl FnOnce(&[Noted]) -> T) -> T {
        let noted = locked(&self.noted);
        look(&noted[index.min(noted.len())..])
    }

    pub(crate) fn known(&self, column: Column) -> MutexGuard<'_, Known> {
        locked(&self.known[column.index()])
    }

    pub(crate) fn strange(&self, text: String) {
        let mut strange = locked(&self.strange);
        if strange.len() < 10 {
            strange.insert(text);
        }
    }

    pub(crate) fn all_strange(&self) -> Vec<String> {
        locked(&self.strange).iter().cloned().collect()
    }

    /// All that was noted.
    pub(crate) fn take(&self) -> Vec<Noted> {
        std::mem::take(&mut locked(&self.noted))
    }

    /// All sessions.
    pub(crate) fn all_sessions(&self) -> Vec<Record> {
        locked(&self.sessions).iter().map(|session| Record::Session(*session)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_is_stale_only_where_it_shows_nothing_as_new() {
        let key = Name::from("address-1");
        let write = |invoked, returned: u64| Write {
            invoked: Nanos(invoked),
            returned: (returned > 0).then_some(Nanos(returned)),
        };
        let mut known = Known::default();
        let values = known.values.entry(key.clone()).or_default();
        values.insert(Name::from("old"), write(0, 10));
        values.insert(Name::from("new"), write(20, 30));
        values.insert(Name::from("open"), write(25, 0));
        let missed = |began, shown: &[&str]| {
            let shown: Vec<Name> = shown.iter().map(|value| Name::from(*value)).collect();
            known.missed_value(&key, Nanos(began), &shown).map(|missed| missed.to_string())
        };
        assert_eq!(missed(40, &["new"]), None);
        assert_eq!(missed(40, &["open"]), None, "what is not known to be old may be new");
        assert_eq!(missed(40, &["old"]).as_deref(), Some("new"));
        assert_eq!(missed(40, &["old", "new"]), None);
        assert_eq!(missed(25, &["old"]), None, "the new one was not acknowledged yet");
        assert!(missed(25, &[]).is_some());
    }
}
