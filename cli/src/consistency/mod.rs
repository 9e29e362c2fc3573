//! `coterie consistency`: what buckets promise, and what numbers of owners would.

mod promise;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::bucket::{Policy, set};
use crate::failure::Failure;
use crate::output::{table, text};
use crate::setup::Global;
use promise::{Kind, Level, Promise};

/// What levels promise. Without a command: what each bucket does unless told otherwise.
#[derive(Args, Debug)]
pub(crate) struct Consistency {
    #[command(subcommand)]
    command: Option<ConsistencyCommand>,
}

#[derive(Debug, Subcommand)]
enum ConsistencyCommand {
    /// Show what each bucket does unless told otherwise, and what that promises.
    Show,
    /// Change what a bucket does unless told otherwise.
    Set {
        /// The bucket.
        bucket: String,
        #[command(flatten)]
        policy: Policy,
    },
    /// Say, without any cluster, what numbers of owners promise and what stays available.
    ///
    /// `consistency explain --n 5 --w 2 --r 3 --down 1`
    Explain(Explain),
}

/// What to explain.
#[derive(Args, Clone, Copy, Debug)]
struct Explain {
    /// Owners of each key.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=15), default_value_t = 3)]
    n: u8,
    /// Owners that a write waits for: a number or a level.
    #[arg(long, value_parser = promise::level, default_value = "quorum")]
    w: Level,
    /// Owners that a read asks: a number or a level.
    #[arg(long, value_parser = promise::level, default_value = "quorum")]
    r: Level,
    /// Owners that are down.
    #[arg(long, default_value_t = 0)]
    down: u8,
    /// The bucket's kind: strict or sloppy.
    #[arg(long, value_enum, default_value = "strict")]
    kind: Kind,
    /// Nodes of the cluster, which stand in for owners in sloppy buckets. Default: as many as owners.
    #[arg(long)]
    nodes: Option<u16>,
}

impl Consistency {
    pub(crate) fn carry_out(&self, global: &Global) -> Result<(), Failure> {
        match &self.command {
            None | Some(ConsistencyCommand::Show) => show(global),
            Some(ConsistencyCommand::Set { bucket, policy }) => {
                set(global, &global.client()?, bucket, policy)
            }
            Some(ConsistencyCommand::Explain(explain)) => explain.carry_out(global),
        }
    }
}

fn show(global: &Global) -> Result<(), Failure> {
    let buckets = global.client()?.get("/v1/buckets")?;
    let rows: Vec<_> = buckets["buckets"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|bucket| {
            let shown =
                ["name", "kind", "replicas", "write", "read"].map(|name| text(&bucket[name]));
            let [name, kind, replicas, write, read] = shown;
            let promised = Promise::of_bucket(&kind, &replicas, &write, &read)
                .map_or_else(|| "-".to_owned(), |promise| promise.verdict().to_owned());
            [name, kind, replicas, write, read, promised]
        })
        .collect();
    let result: Vec<_> = rows
        .iter()
        .map(|[bucket, kind, replicas, write, read, promised]| {
            json!({"bucket": bucket, "kind": kind, "replicas": replicas.parse::<u8>().ok(), "write": write, "read": read, "promise": promised})
        })
        .collect();
    global.output().show(&json!({"buckets": result}), || {
        table(["bucket", "kind", "replicas", "write", "read", "a read sees"], rows)
    })
}

impl Explain {
    fn carry_out(self, global: &Global) -> Result<(), Failure> {
        let Explain { n, w, r, down, kind, nodes } = self;
        let nodes = nodes.unwrap_or(u16::from(n));
        let promise = Promise::new(kind, n, w, r, down, nodes).map_err(Failure::usage)?;
        global.output().show(&promise.json(), || promise.human())
    }
}
