//! The command line.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{Args, Parser, Subcommand};
use coterie_check::BucketKind;
use coterie_loadtest::cluster::Cluster;
use coterie_loadtest::command::RecordForm;
use coterie_loadtest::distribution::Distribution;
use coterie_loadtest::fault::{Fault, NoFault, time};
use coterie_loadtest::judged::Judging;
use coterie_loadtest::level::Levels;
use coterie_loadtest::load::Pace;
use coterie_loadtest::mix::Mix;
use coterie_loadtest::plan::{Phases, Plan};
use coterie_loadtest::schedule::Arrivals;
use coterie_loadtest::target::{Access, Target};
use coterie_loadtest::tls;

/// What a local cluster is called in reports.
pub(crate) const CLUSTER: &str = "coterie";

/// The most connections, threads and requests under way.
const MANY: u64 = 20_000;

/// Puts servers that speak Redis under load, and hides nothing of what clients wait for.
#[derive(Debug, Parser)]
#[command(version, about, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 measured, and every promise judged is kept; 1 it could not be carried out; 2 wrong \
arguments; 3 void, because the generator lagged; 4 a promise is broken; 5 the checkers could not decide; 130 interrupted before \
anything was measured. Ctrl-C ends a run early, with its report; once more, at once.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Load servers, one after the other, and report.
    #[command(after_help = EXAMPLES)]
    Run(Box<RunArguments>),
    /// Serve answers at once and do nothing: what the generator itself costs.
    Null(NullArguments),
    /// Make the page of a report again.
    Page(PageArguments),
    /// Five nodes, one shop at three levels of consistency, a partition and a crash: what each level buys.
    #[command(after_help = DEMO)]
    Demo(DemoArguments),
    /// List mixes and kinds of operations.
    Mixes,
}

const EXAMPLES: &str = "Examples:
  coterie-loadtest run --target redis=127.0.0.1:6379 --mix a --duration 30s --html report.html
      YCSB A in a closed loop of 32 connections.
  coterie-loadtest run --target coterie=127.0.0.1:7379,127.0.0.1:7479,127.0.0.1:7579 --target redis=127.0.0.1:6379 \\
      --rate 5000 --levels default --html report.html
      The same open loop against both: 5,000 starts a second, whatever becomes of the ones before.
  coterie-loadtest run --cluster DIR --rate 2000 --duration 30s --check --fault 5s:kill:2 --fault 12s:restart:2 --html report.html
      A node is killed and comes back under load; what was acknowledged is judged.
  coterie-loadtest run --target coterie=127.0.0.1:7379 --levels one,quorum,all,linearizable --mix sets --check
      Levels side by side, with clients beside the load whose operations are judged.";

#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// A server: NAME=HOST:PORT,HOST:PORT…; several times for several, one after the other. Connections are dealt to the
    /// addresses in turn.
    #[arg(long = "target", value_name = "NAME=HOST:PORT", required_unless_present = "cluster")]
    targets: Vec<Target>,
    /// The directory of a local cluster (`coterie cluster up --dir DIR`): all its nodes are a target of the name coterie, it
    /// can be broken by --fault, and --check asks each owner by itself in the end.
    #[arg(long, value_name = "DIR")]
    pub(crate) cluster: Option<PathBuf>,
    /// Break the cluster that long after the measured run began, and mend it; as often as wanted: 10s:kill:2, 20s:restart:2,
    /// 15s:partition:0,1/2,3,4, 25s:heal, 18s:pause:1:1s, 19s:resume:1. What is left is mended at the end. Targets beside the
    /// cluster are put under load without faults.
    #[arg(long = "fault", value_name = "TIME:FAULT", requires = "cluster")]
    faults: Vec<Fault>,
    /// What is done: a name (see `coterie-loadtest mixes`), or kinds with weights, as in get=80,set=20.
    #[arg(long, default_value = "b")]
    mix: Mix,
    /// How records are chosen; with mix d latest, else zipfian.
    #[arg(long, value_enum)]
    distribution: Option<Distribution>,
    /// Records of each type at the beginning.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    records: u64,
    /// How YCSB's records are kept.
    #[arg(long, value_enum, default_value = "hash")]
    record: RecordForm,
    /// Fields, members or elements of each key that has some.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    elements: u64,
    /// Bytes of a value: a number, or LEAST..MOST to draw evenly from.
    #[arg(long, default_value = "100", value_parser = value_size)]
    value_size: (usize, usize),
    /// What all keys' names begin with.
    #[arg(long, default_value = "")]
    prefix: String,
    /// Connections.
    #[arg(short, long, default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..=MANY))]
    connections: u64,
    /// Threads of the generator, among which connections are dealt.
    #[arg(short, long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_024))]
    threads: u64,
    /// Requests under way on a connection at most.
    #[arg(short = 'P', long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=MANY))]
    pipeline: u64,
    /// Operations that begin in a second, of all connections: an open loop. Without it the loop is closed: a connection
    /// waits for its answers.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    rate: Option<u64>,
    /// How the starts of an open loop lie in time.
    #[arg(long, value_enum, default_value = "even")]
    arrivals: Arrivals,
    /// Which phases: both, load (write records only) or run (they are there).
    #[arg(long, value_enum, default_value = "both")]
    phases: Phases,
    /// How long to run before anything is measured.
    #[arg(long, default_value = "2s", value_parser = time)]
    warm_up: Duration,
    /// How long to measure.
    #[arg(short, long, default_value = "10s", value_parser = time)]
    duration: Duration,
    /// In a closed loop: so many operations, without warm-up, instead of a time.
    #[arg(short = 'n', long, conflicts_with = "rate")]
    operations: Option<u64>,
    /// How long an answer is waited for; then the connection is given up, and what was under way on it is unknown.
    #[arg(long, default_value = "5s", value_parser = time)]
    timeout: Duration,
    /// The stretches in which latency and throughput are told.
    #[arg(long, default_value = "1s", value_parser = interval)]
    interval: Duration,
    /// How late the generator itself may begin one in a thousand operations; if it is later, the run is void.
    #[arg(long, default_value = "10ms", value_parser = time)]
    lag_max: Duration,
    /// What operations and values are drawn from; the same seed does the same.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Consistency levels, one run for each: default, quorum, quorum/one (writes/reads), linearizable…
    #[arg(long, value_delimiter = ',', default_value = "default", value_name = "WRITE[/READ]")]
    levels: Vec<Levels>,
    /// The bucket, or the number of a Redis database, to work in.
    #[arg(long)]
    bucket: Option<String>,
    /// Speak RESP3 instead of RESP2.
    #[arg(long)]
    resp3: bool,
    /// The user to say AUTH with.
    #[arg(long)]
    user: Option<String>,
    /// The environment variable that holds the secret to say AUTH with.
    #[arg(long, value_name = "VARIABLE")]
    password_env: Option<String>,
    /// Speak TLS, and trust what the authorities in this PEM file have signed.
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// Record what clients beside the load are told, on keys of their own, and have the checkers judge it.
    #[arg(long)]
    check: bool,
    /// With --check: how many such clients.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..=64))]
    check_clients: u64,
    /// With --check: each of them asks no more often than once in this time.
    #[arg(long, value_name = "TIME", default_value = "10ms", value_parser = time)]
    check_pause: Duration,
    /// With --check: owners of each key of the bucket. A --cluster tells by itself, and a single server has one.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=31))]
    check_replicas: u32,
    /// With --check: what the bucket promises. A --cluster tells by itself.
    #[arg(long, value_enum, default_value = "strict")]
    check_bucket: CheckedBucket,
    /// Where to write the report as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Where to write it as a page.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// No progress.
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// What a bucket promises.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum CheckedBucket {
    /// Only owners count.
    Strict,
    /// Fallbacks count too.
    Sloppy,
    /// Compare-and-set registers.
    Strong,
}

impl From<CheckedBucket> for BucketKind {
    fn from(kind: CheckedBucket) -> BucketKind {
        match kind {
            CheckedBucket::Strict => BucketKind::Strict,
            CheckedBucket::Sloppy => BucketKind::Sloppy,
            CheckedBucket::Strong => BucketKind::Strong,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct NullArguments {
    /// The port to listen on; 0 for any that is free.
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,
    /// The address to listen on.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub(crate) host: IpAddr,
    /// Answer nobody for a while after so many requests, once.
    #[arg(long)]
    pub(crate) stall_after: Option<u64>,
    /// For how long.
    #[arg(long, default_value = "1s", value_parser = time)]
    pub(crate) stall_for: Duration,
}

const DEMO: &str = "It starts five coterie-node processes on loopback and stops them at the end, whatever happens; Ctrl-C ends it \
early. The program coterie-node is looked for beside this one and in PATH, or named by COTERIE_NODE_PROGRAM.

Exit codes: 0 all is as theory says, and nothing acknowledged was lost; 1 something is not, which is said, or it could not be \
carried out; 2 wrong arguments; 130 interrupted.";

#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// Half a minute instead of two: shorter phases, otherwise the same.
    #[arg(long)]
    pub(crate) quick: bool,
    /// What customers do is drawn from it. When things happen is up to the machine.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Where to write the report as a page.
    #[arg(long, value_name = "FILE", default_value = "coterie-demo.html")]
    pub(crate) html: PathBuf,
    /// Where to write it as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// No progress.
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PageArguments {
    /// A report in JSON.
    pub(crate) report: PathBuf,
    /// Where to write the page.
    pub(crate) html: PathBuf,
}

fn value_size(text: &str) -> Result<(usize, usize), String> {
    let (least, most) = text.split_once("..").unwrap_or((text, text));
    let number = |text: &str| {
        let number = text.parse::<usize>().ok().filter(|number| *number <= 64 << 20);
        number.ok_or_else(|| format!("{text:?} is no number of bytes up to 64 MiB"))
    };
    let (least, most) = (number(least)?, number(most)?);
    if least > most {
        return Err(format!("{least} is more than {most}"));
    }
    Ok((least, most))
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = time(text).map_err(|error: NoFault| error.to_string())?;
    if interval < Duration::from_millis(10) {
        return Err("stretches take 10ms or more".to_owned());
    }
    Ok(interval)
}

impl RunArguments {
    /// The cluster that is to be put under load, if there is one.
    pub(crate) fn opened(&self) -> anyhow::Result<Option<Cluster>> {
        let Some(directory) = &self.cluster else { return Ok(None) };
        let cluster = Cluster::open(directory, self.bucket.as_deref())?;
        let nodes = cluster.nodes();
        for fault in &self.faults {
            let stranger = fault.act.node_max().filter(|node| *node >= nodes);
            ensure!(
                stranger.is_none(),
                "{fault}: the cluster has nodes 0 to {}",
                nodes.saturating_sub(1)
            );
        }
        Ok(Some(cluster))
    }

    /// What is to be done.
    pub(crate) fn plan(
        &self,
        cluster: Option<&Cluster>,
        arguments: Vec<String>,
    ) -> anyhow::Result<Plan> {
        let password = self.password_env.as_ref().map(|variable| {
            std::env::var(variable).with_context(|| format!("{variable} holds no secret"))
        });
        let access = Access {
            user: self.user.clone(),
            password: password.transpose()?,
            resp3: self.resp3,
            tls: self.tls_ca.as_deref().map(tls::trust).transpose()?,
            bucket: self.bucket.clone(),
            monotonic: false,
        };
        ensure!(
            self.user.is_none() || access.password.is_some(),
            "a user needs a secret: say --password-env"
        );
        ensure!(self.threads <= self.connections, "there are more threads than connections");
        let pace =
            self.rate.map_or(Pace::Closed, |rate| Pace::Open { rate, arrivals: self.arrivals });
        let (kind, replicas) = match cluster {
            Some(cluster) => cluster.bucket().map_err(anyhow::Error::msg)?,
            None => (self.check_bucket.into(), self.check_replicas),
        };
        let judging = self.check.then(|| Judging {
            clients: self.check_clients,
            pause: self.check_pause,
            replicas,
            kind,
            ..Judging::default()
        });
        let cluster = cluster.map(|cluster| cluster.target(CLUSTER));
        let targets = cluster.into_iter().chain(self.targets.iter().cloned()).collect();
        Ok(Plan {
            targets,
            access,
            levels: self.levels.clone(),
            distribution: self.distribution.unwrap_or_else(|| self.mix.distribution()),
            mix: self.mix.clone(),
            records: self.records,
            form: self.record,
            elements: self.elements,
            value_bytes: self.value_size,
            prefix: self.prefix.clone(),
            connections: self.connections,
            threads: self.threads,
            pipeline: usize::try_from(self.pipeline).unwrap_or(usize::MAX),
            pace,
            phases: self.phases,
            warm_up: self.warm_up,
            duration: self.duration,
            operations: self.operations,
            patience: self.timeout,
            interval: self.interval,
            lag_max: self.lag_max,
            seed: self.seed,
            faults: self.faults.clone(),
            judging,
            over: Arc::default(),
            arguments,
        })
    }
}
