//! What is told of moves while they are under way.

use std::collections::BTreeMap;
use std::process::Stdio;

use serde_json::Value;

use crate::harness::{TestCluster, program};

/// Owners of each partition, by the names of nodes.
type Owners = Vec<Vec<String>>;

/// What was told, from a certain time on.
pub(crate) struct Watch {
    /// Layouts that were in force, in order.
    layouts: Vec<(Value, Owners)>,
    /// Rows sent before this began.
    before: u64,
    /// The most rows that all nodes together have told of: one that left tells nothing any more.
    sent: u64,
    /// How far each partition's move was told to be, since this layout.
    of: Value,
    progress: BTreeMap<(u64, u64), u64>,
    looks: usize,
    looks_moving: usize,
    waits: BTreeMap<String, usize>,
}

impl Watch {
    pub(crate) fn begin(cluster: &TestCluster) -> Watch {
        let sent = cluster.json(&["moves"])["rows_sent"].as_u64().unwrap();
        let mut watch = Watch {
            layouts: Vec::new(),
            before: sent,
            sent,
            of: Value::Null,
            progress: BTreeMap::new(),
            looks: 0,
            looks_moving: 0,
            waits: BTreeMap::new(),
        };
        watch.look(cluster);
        watch
    }

    /// Looks again and again until a command of `coterie` has ended, which succeeds.
    pub(crate) fn during(&mut self, cluster: &TestCluster, words: &[&str]) {
        let mut command = program();
        command.args(["--node", &cluster.nodes[0]]).args(words).stdout(Stdio::null());
        let mut command = command.spawn().unwrap();
        let status = loop {
            if let Some(status) = command.try_wait().unwrap() {
                break status;
            }
            self.look(cluster);
        };
        assert!(status.success(), "{words:?}: {status}");
        self.look(cluster);
        assert_eq!(cluster.json(&["moves"])["moving"], 0, "it waited until all had moved");
    }

    fn look(&mut self, cluster: &TestCluster) {
        self.see_layout(cluster);
        let moves = cluster.json(&["moves"]);
        self.see_layout(cluster);
        self.looks += 1;
        self.sent = self.sent.max(moves["rows_sent"].as_u64().unwrap());
        let (moving, done) = (moves["moving"].as_u64().unwrap(), moves["done"].as_u64().unwrap());
        assert!(done <= moving, "{moves}");
        // What only a node knows that does not answer is not shown.
        if moving == 0 || moves["silent"] != Value::from(Vec::<u8>::new()) {
            return;
        }
        self.looks_moving += 1;
        // A newer layout begins anew; within one, what is complete stays so.
        if self.of != moves["layout"] {
            self.of = moves["layout"].clone();
            self.progress.clear();
        }
        for slice in moves["slices"].as_array().unwrap() {
            let permille = slice["permille"].as_u64().unwrap();
            assert!(permille <= 1_000, "{slice}");
            for wait in slice["waiting"].as_array().unwrap() {
                assert!(wait["for"].is_string(), "{slice}");
                *self.waits.entry(wait["cause"].as_str().unwrap().to_owned()).or_default() += 1;
            }
            let slice = (slice["partition"].as_u64().unwrap(), slice["replicas"].as_u64().unwrap());
            let known = self.progress.insert(slice, permille);
            assert!(
                known.is_none_or(|known| known <= permille),
                "{slice:?} was {known:?}, is {permille}"
            );
        }
    }

    fn see_layout(&mut self, cluster: &TestCluster) {
        let ring = cluster.json(&["ring", "show"]);
        if self.layouts.last().is_some_and(|(version, _)| *version == ring["layout"]) {
            return;
        }
        let names: Vec<&str> = ring["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["node"].as_str().unwrap())
            .collect();
        let owners = ring["owners"].as_array().unwrap().iter().map(|owners| {
            let places = owners.as_array().unwrap().iter();
            places
                .map(|place| names[usize::try_from(place.as_u64().unwrap()).unwrap()].to_owned())
                .collect()
        });
        self.layouts.push((ring["layout"].clone(), owners.collect()));
    }

    /// Rows that the layouts gave to nodes which did not own them, where partitions have so many.
    pub(crate) fn needed(&self, rows: &BTreeMap<u64, u64>) -> u64 {
        let gained = |pair: &[(Value, Owners)]| {
            let owners = pair[0].1.iter().zip(&pair[1].1).enumerate();
            let of = |(partition, (had, has)): (usize, (&Vec<String>, &Vec<String>))| {
                let new = has.iter().filter(|node| !had.contains(node)).count() as u64;
                new * rows.get(&(partition as u64)).copied().unwrap_or(0)
            };
            owners.map(of).sum::<u64>()
        };
        self.layouts.windows(2).map(gained).sum()
    }

    pub(crate) fn rows_sent(&self) -> u64 {
        self.sent - self.before
    }

    /// For people: how often was looked, and why owners were waited for.
    pub(crate) fn told(&self) -> String {
        format!(
            "{} looks, {} of them at moves under way, {} layouts; waits: {:?}",
            self.looks,
            self.looks_moving,
            self.layouts.len(),
            self.waits
        )
    }
}
