//! The root clippy.toml really keeps clocks, entropy, threads, sockets, files and `HashMap` out.

use std::fs;
use std::path::Path;
use std::process::Command;

/// What a pure crate must not do, each with the words that clippy has to refuse it with.
const OFFENCES: [(&str, &str); 12] = [
    ("pub fn clock() -> u128 { std::time::Instant::now().elapsed().as_nanos() }", "Instant::now"),
    (
        "pub fn wall() -> bool { std::time::SystemTime::now() > std::time::UNIX_EPOCH }",
        "SystemTime::now",
    ),
    ("pub fn map() -> usize { std::collections::HashMap::<u8, u8>::new().len() }", "HashMap"),
    ("pub fn set() -> usize { std::collections::HashSet::<u8>::new().len() }", "HashSet"),
    ("pub fn entropy() -> std::hash::RandomState { std::hash::RandomState::new() }", "RandomState"),
    ("pub fn thread() { drop(std::thread::spawn(|| ())); }", "thread::spawn"),
    ("pub fn nap() { std::thread::sleep(std::time::Duration::ZERO); }", "thread::sleep"),
    ("pub fn socket() -> bool { std::net::UdpSocket::bind(\"[::1]:0\").is_ok() }", "UdpSocket"),
    ("pub fn stream() -> bool { std::net::TcpStream::connect(\"[::1]:1\").is_ok() }", "TcpStream"),
    ("pub fn file() -> bool { std::fs::File::open(\"x\").is_ok() }", "fs::File"),
    ("pub fn text() -> bool { std::fs::read_to_string(\"x\").is_ok() }", "read_to_string"),
    ("pub fn lock() -> bool { std::sync::Mutex::new(()).lock().is_ok() }", "Mutex"),
];

#[test]
fn clippy_refuses_what_a_pure_crate_must_not_do() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let crate_root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("impure");
    fs::create_dir_all(crate_root.join("src")).unwrap();
    fs::copy(root.join("clippy.toml"), crate_root.join("clippy.toml")).unwrap();
    let manifest =
        "[package]\nname = \"impure\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n";
    fs::write(crate_root.join("Cargo.toml"), manifest).unwrap();
    let source: Vec<&str> = OFFENCES.iter().map(|(code, _)| *code).collect();
    fs::write(crate_root.join("src/lib.rs"), source.join("\n")).unwrap();

    let mut clippy = Command::new(env!("CARGO"));
    clippy.args(["clippy", "--offline", "--quiet", "--release", "--", "--force-warn"]);
    clippy.args(["clippy::disallowed_methods", "--force-warn", "clippy::disallowed_types"]);
    clippy.current_dir(&crate_root).env("CARGO_TARGET_DIR", crate_root.join("target"));
    let output = clippy.output().unwrap();
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{report}");
    for (line, (_, word)) in OFFENCES.iter().enumerate() {
        let place = format!("src/lib.rs:{}:", line + 1);
        let mut warnings = report.split("\n\n").filter(|warning| warning.contains(&place));
        let found =
            warnings.any(|warning| warning.contains("disallowed") && warning.contains(word));
        assert!(found, "{word} is not refused:\n{report}");
    }
}
