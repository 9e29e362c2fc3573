//! How long owners take to be equal after healing: what was written before is watched at each of its owners, alone.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, park_timeout};
use std::time::{Duration, Instant};

use coterie_check::Name;
use coterie_local::owners;
use serde::{Deserialize, Serialize};

use super::column::{Bucket, Column};
use super::owners::{Content, FinalKey, read};
use super::shop::{Held, address, cart, product};
use super::stage::Addresses;

/// Between two looks at everything.
const PAUSE: Duration = Duration::from_millis(100);

/// A key at one of its owners.
type Place = (Column, Name, usize);

/// What was last seen, and since when it has been so.
type Seen = BTreeMap<Place, (Content, Duration)>;

/// Owners under watch.
#[derive(Debug)]
pub(crate) struct Watch {
    over: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    threads: Vec<JoinHandle<()>>,
}

/// How long the owners of what was written before took to be equal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Converged {
    /// In which column.
    pub column: Column,
    /// Keys watched, each at all of its owners.
    pub keys: usize,
    /// From healing until all of them held what they held in the end, as far as looks tell; nothing if that was not seen.
    pub seconds: Option<f64>,
}

impl Watch {
    /// Watches carts, addresses and stock of rounds that are over.
    pub(crate) fn start(addresses: &Addresses, rounds: Range<usize>) -> Watch {
        let (over, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::default()));
        let began = Instant::now();
        let mut threads = Vec::new();
        for column in Column::ALL {
            let (addresses, rounds) = (addresses.clone(), rounds.clone());
            let (over, seen) = (Arc::clone(&over), Arc::clone(&seen));
            threads.push(std::thread::spawn(move || {
                watch(&addresses, column, rounds, began, &over, &seen);
            }));
        }
        Watch { over, seen, threads }
    }

    /// What was seen, beside what there is in the end.
    pub(crate) fn outcome(mut self, finals: &[FinalKey]) -> Vec<Converged> {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            // One that panicked has said so, and what it saw is missing.
            drop(thread.join());
        }
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |column: Column| {
            let keys: BTreeSet<&Name> =
                seen.keys().filter(|(of, ..)| *of == column).map(|(_, key, _)| key).collect();
            let mut last = Some(Duration::ZERO);
            for key in finals.iter().filter(|it| it.column == column && keys.contains(&it.key)) {
                for (owner, content) in &key.owners {
                    let place = (column, key.key.clone(), *owner);
                    let since = seen.get(&place).filter(|(held, _)| held == content);
                    last = last.zip(since.map(|(_, since)| *since)).map(|(a, b)| a.max(b));
                }
            }
            let seconds = last.filter(|_| !keys.is_empty()).map(|it| it.as_secs_f64());
            Converged { column, keys: keys.len(), seconds }
        };
        Column::ALL.into_iter().map(of).collect()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

fn watched(column: Column, rounds: Range<usize>) -> Vec<(Bucket, Held, Name)> {
    let mut keys = Vec::new();
    for round in rounds {
        keys.push((column.carts(), Held::Cart, cart(round)));
        keys.push((column.carts(), Held::Address, address(round)));
        // A strong register has no state at an owner that would mean anything by itself.
        if column != Column::Cp {
            keys.push((column.ledger(), Held::Stock, product(round)));
        }
    }
    keys
}

fn watch(
    addresses: &Addresses,
    column: Column,
    rounds: Range<usize>,
    began: Instant,
    over: &AtomicBool,
    seen: &Mutex<Seen>,
) {
    let mut keys = Vec::new();
    for (bucket, held, key) in watched(column, rounds) {
        while !over.load(Ordering::Relaxed) {
            if let Ok(owners) = owners(&addresses.nodes, bucket.name, &key.to_string()) {
                keys.push((bucket, held, key, owners));
                break;
            }
            park_timeout(PAUSE);
        }
    }
    while !over.load(Ordering::Relaxed) {
        for (bucket, held, key, owners) in &keys {
            for owner in owners {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                // An owner that does not answer for itself yet is looked at again.
                let Ok(content) = read(addresses, *owner, bucket, *held, key) else { continue };
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                let place = (column, key.clone(), *owner);
                if seen.get(&place).is_none_or(|(before, _)| *before != content) {
                    seen.insert(place, (content, began.elapsed()));
                }
            }
        }
        park_timeout(PAUSE);
    }
}
