//! The demo, shorter: it ends by itself, its report is well formed, and what theory forbids has not happened.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use coterie_loadtest::demo::{Stands, Story};

/// The quick variant takes half a minute on a quiet machine.
const WITHIN: Duration = Duration::from_secs(300);

#[test]
fn the_demo_ends_with_a_report_and_nothing_lost() {
    if let Err(error) = coterie_local::program() {
        panic!("{error}");
    }
    let home = tempfile::tempdir().unwrap();
    let (html, json) = (home.path().join("demo.html"), home.path().join("demo.json"));
    let mut demo = Command::new(env!("CARGO_BIN_EXE_coterie-loadtest"));
    demo.arg("demo").args(["--quick", "--quiet", "--html"]).arg(&html).arg("--json").arg(&json);
    let mut demo = demo.stdout(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    let status = loop {
        if let Some(status) = demo.try_wait().unwrap() {
            break status;
        }
        if began.elapsed() > WITHIN {
            demo.kill().unwrap();
            demo.wait().unwrap();
            panic!("the demo does not end");
        }
        std::thread::park_timeout(Duration::from_millis(100));
    };
    let mut said = String::new();
    demo.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    eprintln!("{said}");

    let story: Story = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    assert_eq!(
        status.code(),
        Some(i32::from(!story.is_as_expected())),
        "the status says how it went"
    );
    // How much is done in a time is up to the machine; what must not happen is not.
    let forbidden: Vec<_> =
        story.expectations.iter().filter(|it| it.stands == Stands::Forbidden).collect();
    assert!(forbidden.is_empty(), "{forbidden:#?}");
    assert_eq!(story.phases.len(), 5);
    assert_eq!(story.columns.len(), 3);
    for (told, verdict) in story.columns.iter().zip(&story.verdicts) {
        assert!(told.acknowledged > 0, "{:?} did nothing", told.column);
        assert_eq!(told.missing, [""; 0]);
        assert_eq!(verdict.violations, [""; 0]);
        assert!(verdict.checkers.iter().any(|of| of.claims > 0), "{:?} is not judged", told.column);
    }
    assert!(said.contains(html.to_str().unwrap()), "it says where the report is");
    check_page(&fs::read_to_string(&html).unwrap());
}

/// That every element is closed in order, and nothing is fetched.
fn check_page(page: &str) {
    assert!(page.starts_with("<!DOCTYPE html>"));
    for word in ["<script", "http://", "https://", "NaN", "inf %"] {
        assert!(!page.contains(word), "{word}");
    }
    let body = page.split_once("</style>").unwrap().1;
    let mut open: Vec<&str> = vec!["html", "head"];
    for tag in body.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap();
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert_eq!(open, [""; 0]);
    for id in ["compared", "story", "available", "stale", "conflicts", "equal", "kept", "theory"] {
        assert!(page.contains(&format!("id=\"{id}\"")), "{id}");
    }
}
