//! The operations of a run: what each connection does, drawn from a seed.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rand::{RngExt, SeedableRng};

use crate::Random;
use crate::distribution::{Choice, Distribution};
use crate::kind::Kind;
use crate::mix::Mix;

/// The longest scan, as in YCSB.
pub const SCAN_MAX: u64 = 100;

/// One operation, before it is put into words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// What it does.
    pub kind: Kind,
    /// To which record, or the number of a key.
    pub record: u64,
    /// To which element of it.
    pub element: u64,
    /// By how much, or how many.
    pub amount: u64,
    /// Picks the bytes of a value.
    pub salt: u64,
}

/// How many records there are: those that are being written, and those that are known to be.
#[derive(Debug)]
pub struct Records {
    next: AtomicU64,
    present: AtomicU64,
    /// Written, but not all before them are.
    ahead: Mutex<BTreeSet<u64>>,
}

impl Records {
    /// So many at the beginning.
    #[must_use]
    pub fn new(count: u64) -> Records {
        let (next, present) = (AtomicU64::new(count), AtomicU64::new(count));
        Records { next, present, ahead: Mutex::default() }
    }

    /// All records below this number are there, or it is not known that they are not.
    pub fn present(&self) -> u64 {
        self.present.load(Ordering::Relaxed)
    }

    /// A number for a new one.
    fn begin(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// A new one is there, or its write has failed.
    pub fn end(&self, record: u64) {
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        ahead.insert(record);
        let mut present = self.present.load(Ordering::Relaxed);
        while ahead.remove(&present) {
            present += 1;
        }
        self.present.store(present, Ordering::Relaxed);
    }
}

/// What operations are drawn from.
#[derive(Clone, Debug)]
pub struct Workload {
    mix: Mix,
    choice: Choice,
    elements: u64,
}

impl Workload {
    /// Of a mix, on so many records of so many elements each at the beginning.
    ///
    /// # Panics
    /// If there are no records or elements.
    #[must_use]
    pub fn new(mix: Mix, distribution: Distribution, records: u64, elements: u64) -> Workload {
        assert!(elements > 0, "keys hold something");
        Workload { mix, choice: Choice::new(distribution, records), elements }
    }

    /// The mix.
    #[must_use]
    pub fn mix(&self) -> &Mix {
        &self.mix
    }
}

/// The operations of one connection, without end. Of the same seed, connection and course of inserts they are the same.
#[derive(Clone, Debug)]
pub struct Stream {
    workload: Arc<Workload>,
    records: Arc<Records>,
    random: Random,
}

impl Stream {
    /// Those of a connection.
    #[must_use]
    pub fn new(
        workload: Arc<Workload>,
        records: Arc<Records>,
        seed: u64,
        connection: u64,
    ) -> Stream {
        let seed = seed.wrapping_add(connection.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        Stream { workload, records, random: Random::seed_from_u64(seed) }
    }

    /// The next one.
    pub fn draw(&mut self) -> Operation {
        let workload = &*self.workload;
        let random = &mut self.random;
        let kind = workload.mix.kind(random.random_range(0..workload.mix.sum()));
        let record = match kind {
            Kind::Insert | Kind::PageInsert => self.records.begin(),
            _ => workload.choice.draw(random, self.records.present()),
        };
        let element = random.random_range(0..workload.elements);
        let amount = match kind {
            Kind::Scan => random.random_range(1..=SCAN_MAX),
            _ => random.random_range(1..=9),
        };
        Operation { kind, record, element, amount, salt: random.random() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stream(mix: &str, seed: u64, connection: u64, records: &Arc<Records>) -> Stream {
        let mix: Mix = mix.parse().unwrap();
        let distribution = mix.distribution();
        let workload = Workload::new(mix, distribution, records.present(), 10);
        Stream::new(Arc::new(workload), Arc::clone(records), seed, connection)
    }

    fn operations(mix: &str, seed: u64, connection: u64, count: usize) -> Vec<Operation> {
        let records = Arc::new(Records::new(1_000));
        let mut stream = stream(mix, seed, connection, &records);
        let operation = |_| {
            let operation = stream.draw();
            if matches!(operation.kind, Kind::Insert | Kind::PageInsert) {
                records.end(operation.record);
            }
            operation
        };
        (0..count).map(operation).collect()
    }

    proptest! {
        #[test]
        fn the_same_seed_gives_the_same_operations(
            seed: u64, connection in 0u64..100, mix in "[a-f]",
        ) {
            let once = operations(&mix, seed, connection, 200);
            prop_assert_eq!(&once, &operations(&mix, seed, connection, 200));
            prop_assert_ne!(&once, &operations(&mix, seed.wrapping_add(1), connection, 200));
            prop_assert_ne!(&once, &operations(&mix, seed, connection + 1, 200));
        }

        #[test]
        fn records_are_present_once_all_before_them_are(
            order in Just((10u64..40).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let records = Records::new(10);
            let mut ended = BTreeSet::new();
            for record in order {
                records.end(record);
                ended.insert(record);
                let first_absent = (10..).find(|record| !ended.contains(record)).unwrap();
                prop_assert_eq!(records.present(), first_absent);
            }
        }
    }

    #[test]
    fn kinds_come_as_often_as_the_mix_says() {
        let drawn = operations("a", 5, 0, 100_000);
        let updates = drawn.iter().filter(|operation| operation.kind == Kind::Update).count();
        // The deviation is 158.
        assert!((49_200..50_800).contains(&updates), "{updates}");
    }

    #[test]
    fn inserts_are_new_and_reads_of_the_latest_find_them() {
        let drawn = operations("d", 5, 0, 10_000);
        let mut next = 1_000;
        let mut of_new = 0;
        for operation in drawn {
            if operation.kind == Kind::Insert {
                assert_eq!(operation.record, next);
                next += 1;
            } else {
                assert!(operation.record < next);
                of_new += u64::from(operation.record >= 1_000);
            }
        }
        assert!(next > 1_400 && of_new > 5_000, "{next} {of_new}");
    }
}
