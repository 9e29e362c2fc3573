//! One local cluster for each test program, and `coterie` run on it.
#![allow(dead_code, reason = "each test program uses its own part")]

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a cluster may take to be ready, and things to come about.
pub(crate) const WITHIN: Duration = Duration::from_secs(300);

/// What a command said, and its exit code.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// Its result.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// That it did what it was told.
    #[track_caller]
    pub(crate) fn done(self) -> Said {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// That it ended with a code, and said a word on standard error.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, word: &str) -> Said {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.err.contains(word), "{word:?} is not in {self:?}");
        self
    }
}

/// The program, without what whoever runs the tests has set.
pub(crate) fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_coterie"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("COTERIE_") {
            program.env_remove(name);
        }
    }
    program.env("HOME", env!("CARGO_TARGET_TMPDIR")).env_remove("XDG_CONFIG_HOME");
    if let Some(daemon) = std::env::var_os("COTERIE_NODE_PROGRAM") {
        program.env("COTERIE_NODE_PROGRAM", daemon);
    }
    program
}

/// Runs `coterie` with these words, without any cluster.
pub(crate) fn coterie(words: &[&str]) -> Said {
    fed(words, "")
}

/// Likewise, with something on standard input.
pub(crate) fn fed(words: &[&str], input: &str) -> Said {
    let mut command = program();
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may end without reading all.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < WITHIN, "{WITHIN:?} have passed, waiting until {what}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// A cluster that ends with this process: its supervisor watches a pipe.
pub(crate) struct TestCluster {
    supervisor: Child,
    pub(crate) directory: PathBuf,
    /// HTTP addresses of the nodes, by number.
    pub(crate) nodes: Vec<String>,
}

impl TestCluster {
    /// Starts three nodes, and waits until they serve. What cannot be done is given up soon.
    pub(crate) fn start(name: &str) -> TestCluster {
        Self::start_with(name, "3s")
    }

    /// Likewise; requests are given up after this time.
    pub(crate) fn start_with(name: &str, request_timeout: &str) -> TestCluster {
        if let Err(error) = coterie_local::program() {
            panic!("{error}");
        }
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        // Of an earlier run.
        drop(fs::remove_dir_all(&directory));
        let mut command = program();
        command.args(["cluster", "up", "--foreground", "--until-input-closes", "--base-port", "0"]);
        command.args(["--nodes", "3", "--json", "--dir"]).arg(&directory);
        command.args(["--", "--request-timeout", request_timeout]);
        let supervisor = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut cluster = TestCluster { supervisor, directory, nodes: Vec::new() };
        cluster.wait_ready();
        cluster
    }

    fn dir(&self) -> &str {
        self.directory.to_str().unwrap()
    }

    /// `coterie cluster …` on it.
    pub(crate) fn cluster(&self, words: &[&str]) -> Said {
        let (command, rest) = words.split_first().unwrap();
        let mut line = vec!["cluster", command, "--json", "--dir", self.dir()];
        line.extend(rest);
        coterie(&line)
    }

    /// Waits until all that runs serves.
    pub(crate) fn wait_ready(&mut self) {
        let mut last = None;
        until("the cluster is ready", || {
            if let Some(ended) = self.supervisor.try_wait().unwrap() {
                panic!("the cluster has ended: {ended}");
            }
            let said = self.cluster(&["status"]);
            let ready = said.code == 0 && said.json()["ready"] == true;
            last = Some(said);
            ready
        });
        let status = last.unwrap().json();
        let nodes = status["nodes"].as_array().unwrap();
        self.nodes = nodes.iter().map(|node| node["http"].as_str().unwrap().to_owned()).collect();
    }

    /// The id of a node.
    pub(crate) fn id(&self, node: usize) -> String {
        let status = self.cluster(&["status"]).done().json();
        status["nodes"][node]["node"].as_str().unwrap().to_owned()
    }

    /// Where Redis clients reach a node.
    pub(crate) fn resp(&self, node: usize) -> SocketAddr {
        let status = self.cluster(&["status"]).done().json();
        status["nodes"][node]["resp"].as_str().unwrap().parse().unwrap()
    }

    /// `coterie` asking these nodes, in this order.
    pub(crate) fn at(&self, nodes: &[usize], words: &[&str]) -> Said {
        self.fed_at(nodes, words, "")
    }

    /// Likewise, with something on standard input.
    pub(crate) fn fed_at(&self, nodes: &[usize], words: &[&str], input: &str) -> Said {
        let mut line: Vec<&str> = Vec::new();
        for node in nodes {
            line.extend(["--node", &self.nodes[*node]]);
        }
        line.extend(words);
        fed(&line, input)
    }

    /// `coterie` asking the first node.
    pub(crate) fn run(&self, words: &[&str]) -> Said {
        self.at(&[0], words)
    }

    /// What the first node answers to a command with `--json`.
    #[track_caller]
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let mut line = vec!["--json"];
        line.extend(words);
        self.run(&line).done().json()
    }
}
