//! The scrub: what it leaves alone, repairs and quarantines.

use std::time::Duration;

use bytes::Bytes;
use coterie_protocol::Reception;
use coterie_protocol::rows::{Batch, Space, Store, address};
use coterie_wire::Body;
use coterie_wire::peer::write::{Change, WriteAnswer};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::bench::{Bench, same};
use crate::operations::history;

/// A lane with some keys, one of them large.
fn stored(seed: u64) -> (Bench, Vec<coterie_wire::Key>, Vec<coterie_crdt::State>) {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut bench = Bench::new(seed);
    let (mut keys, mut states) = (Vec::new(), Vec::new());
    for at in 0..30 {
        let key = Bench::key(format!("key{at}"));
        let writes = if at == 0 { 900 } else { 30 };
        let (replicas, _) = history(&mut random, writes, if at == 0 { 700 } else { 12 });
        bench.put(&key, &replicas[0]);
        states.push(bench.state(&key));
        keys.push(key);
    }
    (bench, keys, states)
}

fn change(bench: &mut Bench, space: Space, row: Bytes, value: Option<Bytes>) {
    let mut batch = Batch::new();
    match value {
        Some(value) => batch.put(space, row, value),
        None => batch.delete(space, row),
    }
    bench.store.commit(&batch).unwrap();
}

#[test]
fn a_pass_over_sound_rows_changes_none() {
    for seed in 0..20 {
        let (mut bench, keys, _) = stored(seed);
        let before = [Space::Rows, Space::Derived, Space::Leaves]
            .map(|space| bench.store.space(space).clone());
        bench.scrub();
        let after = [Space::Rows, Space::Derived, Space::Leaves]
            .map(|space| bench.store.space(space).clone());
        assert!(before == after, "seed {seed}");
        let counters = bench.lane.shared().counters;
        assert_eq!((counters.scrubbed_keys, counters.scrubbed_leaves), (0, 0), "seed {seed}");
        bench.check(&keys);
    }
}

#[test]
fn what_is_kept_about_rows_is_repaired() {
    for seed in 0..40 {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let (mut bench, keys, states) = stored(seed);
        let derived: Vec<Bytes> = bench.store.space(Space::Derived).keys().cloned().collect();
        // A pending sweep is a job of its own.
        let lost = derived.iter().filter(|row| row[2] != b'j' && random.random_ratio(1, 3));
        let lost: Vec<Bytes> = lost.cloned().collect();
        lost.into_iter().for_each(|row| change(&mut bench, Space::Derived, row, None));
        let leaves: Vec<Bytes> = bench.store.space(Space::Leaves).keys().cloned().collect();
        for leaf in leaves {
            if random.random_ratio(1, 3) {
                let wrong = Bytes::copy_from_slice(&random.random::<u128>().to_be_bytes());
                change(&mut bench, Space::Leaves, leaf, Some(wrong));
            }
        }
        // Leaves are taken in when a lane starts.
        let mut bench = Bench::on(bench.store, seed + 1);
        bench.scrub();
        bench.check(&keys);
        for (key, state) in keys.iter().zip(&states) {
            assert!(same(&bench.state(key), state), "seed {seed}");
        }
        let counters = bench.lane.shared().counters;
        assert!(counters.scrubbed_keys > 0 && counters.scrubbed_leaves > 0, "seed {seed}");
    }
}

#[test]
fn a_damaged_key_is_never_absent_and_counts_nowhere_until_it_is_received_again() {
    for seed in 0..40 {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let (mut bench, mut keys, _) = stored(seed);
        let rows: Vec<Bytes> = bench.store.space(Space::Rows).keys().cloned().collect();
        let row = rows[random.random_range(0..rows.len())].clone();
        let (_, key, _) = address::parse(&row).unwrap();
        change(&mut bench, Space::Rows, row.clone(), Some(Bytes::new()));
        let slice = bench.slice(&key);
        let actors = bench.lane.shared().slices[&slice].actors.clone();
        if random.random() {
            let whole = coterie_crdt::Partial::extract(
                &coterie_crdt::State::new(),
                &coterie_crdt::Footprint::whole(),
            );
            let answers = bench.write(&key, Change::Whole(whole));
            assert_eq!(answers, [Body::Wrote(WriteAnswer::Damaged)], "seed {seed}");
        }
        bench.scrub();
        let state = &bench.lane.shared().slices[&slice];
        assert_eq!(state.reception, Reception::Amnesiac { synchronised: Vec::new() }, "{seed}");
        assert!(state.actors.unspent().iter().all(|it| !actors.unspent().contains(it)), "{seed}");
        assert!(bench.lane.shared().counters.damaged_keys > 0);
        keys.retain(|other| *other != key);
        // Marks of its fields stay until they are due.
        let marks = bench.store.space(Space::Derived).keys().filter(|row| {
            row[2] == b'e'
                && address::parse_deadline(row)
                    .is_some_and(|(_, of, field)| of == key && field.is_some())
        });
        let marks: Vec<Bytes> = marks.cloned().collect();
        marks.into_iter().for_each(|mark| change(&mut bench, Space::Derived, mark, None));
        bench.check(&keys);
        let start = row.slice(..bench.prefix(&key).bytes().len());
        assert!(bench.store.space(Space::Rows).keys().all(|row| !row.starts_with(&start)));
    }
}

#[test]
fn what_is_written_behind_the_scrub_is_not_taken_for_damage() {
    for seed in 0..20 {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let (mut bench, keys, _) = stored(seed);
        bench.run_tick_after(Duration::ZERO);
        bench.run_tick_after(Duration::from_secs(7 * 60 * 60));
        for _ in 0..10 {
            // Each key comes to have rows after all that it had.
            for key in &keys {
                let (states, _) = history(&mut random, 40, 700);
                bench.put(key, &states[0]);
            }
            bench.run_tick_after(Duration::from_millis(300));
        }
        bench.scrub();
        assert_eq!(bench.lane.shared().counters.damaged_keys, 0, "seed {seed}");
        bench.check(&keys);
    }
}

#[test]
fn leaves_are_compared_in_step_with_the_writes_meanwhile() {
    for seed in 0..20 {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let (mut bench, mut keys, _) = stored(seed);
        bench.run_tick_after(Duration::ZERO);
        bench.run_tick_after(Duration::from_secs(7 * 60 * 60));
        for at in 0..60 {
            let (states, _) = history(&mut random, 10, 12);
            let key = Bench::key(format!("key{}", random.random_range(0..40)));
            if !keys.contains(&key) {
                keys.push(key.clone());
            }
            bench.put(&key, &states[0]);
            bench.run_tick_after(Duration::from_millis(300 * (at % 2)));
        }
        bench.scrub();
        let counters = bench.lane.shared().counters;
        assert_eq!((counters.scrubbed_leaves, counters.damaged_keys), (0, 0), "seed {seed}");
        bench.check(&keys);
    }
}
