//! Tests on a small disk that nobody else has: each runs again as a process of its own, which mounts it.

use std::path::Path;
use std::process::Command;

/// Tells the process that has the disk where that is.
const SMALL_DISK: &str = "COTERIE_TEST_ON_SMALL_DISK";

/// What that process says last.
const THROUGH: &str = "all was done on the small disk";

/// How the process ends where nothing can be mounted. Tests that fail end otherwise.
const NOT_MOUNTED: i32 = 99;

/// Runs what a test does on a disk of so many MiB, given the directory where that is mounted; says that it is skipped
/// where no disk can be mounted.
///
/// # Panics
/// If it fails on the disk.
pub(crate) fn on_small_disk(test: &str, mebibytes: u16, run: impl FnOnce(&Path)) {
    if let Some(disk) = std::env::var_os(SMALL_DISK) {
        run(Path::new(&disk));
        return println!("{THROUGH}");
    }
    let disk = tempfile::tempdir().unwrap();
    let mount = format!("mount -t tmpfs -o size={mebibytes}m tmpfs \"$1\" || exit {NOT_MOUNTED}");
    // A namespace of its own needs no rights where the kernel allows them to users.
    let outcome = Command::new("unshare")
        .args(["-Urm", "sh", "-c", &format!("{mount}; shift; exec \"$@\""), "sh"])
        .arg(disk.path())
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(SMALL_DISK, disk.path())
        .output();
    let output = match outcome {
        Ok(output) => output,
        Err(error) => return println!("skipped: a small disk cannot be mounted here: {error}"),
    };
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(NOT_MOUNTED) || complained.starts_with("unshare:") {
        return println!("skipped: a small disk cannot be mounted here: {complained}");
    }
    assert!(output.status.success(), "{said}{complained}");
    assert!(said.contains(THROUGH), "it ran without the disk: {said}");
    print!("{said}");
}
