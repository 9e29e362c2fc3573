//! What the machine offers, for defaults.

use std::fs;
use std::thread;

/// The most lanes unless told otherwise.
const LANES_MAX: u16 = 8;

/// The most memory for rows unless told otherwise.
const CACHE_BYTES_MAX: u64 = 256 << 20;

/// The most memory for what clients have under way unless told otherwise.
const CLIENTS_BYTES_MAX: u64 = 128 << 20;

/// One lane for each core, at most 8.
pub(super) fn lanes() -> u16 {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    u16::try_from(cores).unwrap_or(LANES_MAX).min(LANES_MAX)
}

/// A quarter of the memory that this process may have, at most 256 MiB.
pub(super) fn cache_bytes() -> u64 {
    memory_bytes().map_or(CACHE_BYTES_MAX, |bytes| (bytes / 4).min(CACHE_BYTES_MAX))
}

/// An eighth of the memory that this process may have, at most 128 MiB.
pub(super) fn clients_bytes() -> u64 {
    memory_bytes().map_or(CLIENTS_BYTES_MAX, |bytes| (bytes / 8).min(CLIENTS_BYTES_MAX))
}

/// The machine's memory, or the control group's limit where that is less.
pub(crate) fn memory_bytes() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total(&text));
    let group = fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let group = group.and_then(|text| text.trim().parse().ok());
    [machine, group].into_iter().flatten().min()
}

fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_memory_is_read_in_bytes() {
        assert_eq!(total("MemFree: 3 kB\n"), None);
        assert_eq!(total("MemTotal:       16384 kB\nMemFree: 3 kB\n"), Some(16 << 20));
        assert_eq!(total("MemTotal: much\n"), None);
        assert!((1..=LANES_MAX).contains(&lanes()) && cache_bytes() <= CACHE_BYTES_MAX);
    }
}
