//! Memory and processor time of a store with a million rows: `cargo run --release -p coterie-node --example storage`.
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "it says what it found")]

use bytes::Bytes;
use coterie_node::storage::{Identity, Storage, StorageSettings};
use coterie_protocol::rows::{Batch, Direction, KeyRange, Rows, Space};
fn key(number: u64) -> Bytes {
    let hash = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&hash.to_be_bytes()[..2]);
    bytes.extend_from_slice(b"\x03db0");
    bytes.extend_from_slice(&hash.to_be_bytes());
    bytes.extend_from_slice(format!("\x00\x0ckey:{number:08}").as_bytes());
    bytes.push(0);
    bytes.into()
}
fn value(number: u64) -> Bytes {
    let mut r = number;
    (0..150)
        .map(|_| {
            r = r.wrapping_mul(6364136223846793005).wrapping_add(1);
            r.to_be_bytes()[0]
        })
        .collect()
}
fn rss() -> String {
    std::fs::read_to_string("/proc/self/status")
        .unwrap()
        .lines()
        .filter(|l| l.starts_with("VmRSS") || l.starts_with("VmHWM"))
        .collect::<Vec<_>>()
        .join(" ")
}
fn cpu() -> f64 {
    let s = std::fs::read_to_string("/proc/self/stat").unwrap();
    let f: Vec<&str> = s.split(' ').collect();
    (f[13].parse::<f64>().unwrap() + f[14].parse::<f64>().unwrap()) / 100.0
}
fn thread_cpu() -> f64 {
    let s = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    let f: Vec<&str> = s.rsplit(')').next().unwrap().split(' ').collect();
    (f[12].parse::<f64>().unwrap() + f[13].parse::<f64>().unwrap()) / 100.0
}
fn main() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::open(
        dir.path(),
        &StorageSettings::new(Identity { cluster: 1, node: coterie_ring::NodeId(1) }),
    )
    .unwrap();
    let mut store = storage.lane();
    let syncer =
        storage.syncer(std::time::Duration::from_millis(50), Box::new(|e| panic!("{e}"))).unwrap();
    syncer.register(store.counter(), Box::new(|_| {}));
    let n = 1_000_000u64;
    println!("start {}", rss());
    let (c0, t0, b) = (cpu(), thread_cpu(), std::time::Instant::now());
    for chunk in 0..n / 32 {
        let mut batch = Batch::new();
        for i in chunk * 32..(chunk + 1) * 32 {
            batch.put(Space::Rows, key(i), value(i));
            let h = i.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
            batch.put(Space::Derived, vec![h[0], h[1], b'd', 3, h[2]], vec![1u8; 16]);
        }
        store.gather(&batch);
        store.commit().unwrap();
    }
    println!(
        "1e6 rows (+1e6 leaf sums), batches of 32: wall {:?}, process cpu {:.2}s, lane cpu {:.2}s  {}",
        b.elapsed(),
        cpu() - c0,
        thread_cpu() - t0,
        rss()
    );
    let s = storage.statistics();
    println!("syncs {} mean {:?}", s.syncs, s.sync_time / u32::try_from(s.syncs.max(1)).unwrap());
    storage.flush().unwrap();
    let everything = storage.everything();
    let (t0, b) = (thread_cpu(), std::time::Instant::now());
    for i in 0..n {
        assert!(everything.get(Space::Rows, &key(i * 7919 % n)).unwrap().is_some());
    }
    println!(
        "1e6 gets through to disk: wall {:?} lane cpu {:.2}s {}",
        b.elapsed(),
        thread_cpu() - t0,
        rss()
    );
    for round in 0..2 {
        let keys: Vec<Bytes> = (0..200_000).map(|i| key(i * 7919 % n)).collect();
        let (t0, mut missing) = (thread_cpu(), 0);
        for k in &keys {
            missing += usize::from(store.get(Space::Rows, k).is_err());
        }
        println!(
            "round {round}: lane gets of 2e5: {:.2} us each, {missing} not resident",
            (thread_cpu() - t0) * 5.0
        );
        let absent: Vec<Bytes> = (0..200_000).map(|i| key(n + i)).collect();
        let t0 = thread_cpu();
        for k in &absent {
            assert!(store.get(Space::Rows, k).unwrap_or(None).is_none());
        }
        println!("absent: {:.2} us each", (thread_cpu() - t0) * 5.0);
        let t0 = thread_cpu();
        for k in keys.iter().take(50_000) {
            let range = KeyRange { from: k.clone(), to: None };
            assert!(store.scan(Space::Rows, &range, Direction::Forward, 10).unwrap().len() <= 10);
        }
        println!("scan of 10: {:.2} us each", (thread_cpu() - t0) * 20.0);
    }
    println!("{:?}", storage.statistics());
    println!("end {}", rss());
}
