//! What is in force: typed, complete, and checked.

use std::fmt::Display;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use coterie_crdt::operation;
use coterie_protocol::control::SyncPolicy;
use coterie_ring::{Partitioner, Place, PlacementPolicy, REPLICAS_MAX, Spread};
use coterie_wire::KEY_BYTES_MAX;
use thiserror::Error;
use tracing_subscriber::EnvFilter;

use super::access::UsersError;
use super::doors::{Door, tls};
use super::machine;
use super::table::Layer;
use super::units::{Endpoint, Listen, LogFormat, Size, Span, SpreadOver, Sync, Zone};
use super::users_file::UsersFile;

/// The most lanes of a node.
const LANES_MAX: u16 = 64;

/// The most bytes of one element or value: what one frame between nodes carries.
const VALUE_BYTES_MAX: u64 = 8 << 20;

/// Why the daemon does not start as it was told to.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read, or says what is not known or not allowed.
    #[error("{path}: {problem}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A field has a value that does not work.
    #[error("{field} = {given}: {fix}")]
    Refused {
        /// The field.
        field: &'static str,
        /// What was given.
        given: String,
        /// What is wrong, and what to do.
        fix: String,
    },
    /// The file of users does not work.
    #[error(transparent)]
    Users(#[from] UsersError),
}

impl ConfigError {
    pub(super) fn refuse(field: &'static str, given: impl Display, fix: impl Into<String>) -> Self {
        ConfigError::Refused { field, given: given.to_string(), fix: fix.into() }
    }
}

/// How a node comes to its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begin {
    /// It goes on with what its data directory knows.
    GoOn,
    /// It begins a cluster.
    Bootstrap {
        /// With so many partitions.
        partitions: usize,
        /// With so many owners, spread so.
        placement: PlacementPolicy,
    },
    /// It joins the cluster of the nodes with these gossip addresses, if it is in none yet.
    Join(Vec<Endpoint>),
}

/// What bounds clients and repair.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// How large things may be that clients write.
    pub operations: operation::Limits,
    /// Requests under way in a lane.
    pub requests_max: usize,
    /// Client connections, each door for itself.
    pub connections_max: usize,
    /// Bytes that clients of all doors together may have under way.
    pub clients_bytes_max: usize,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// Bytes of hints for each owner.
    pub hint_bytes_max: u64,
    /// Bytes of hints that others may bring in a second.
    pub hint_bytes_per_second: u64,
    /// Bytes of repair that a lane takes in a second.
    pub repair_bytes_per_second: u64,
    /// How often digests are compared.
    pub sync_every: Duration,
}

/// All that the daemon is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where this node keeps its data.
    pub data_dir: PathBuf,
    /// Where its certificate and keys are.
    pub certificates: PathBuf,
    /// Where backups are made.
    pub backup_dir: PathBuf,
    /// What acknowledged means.
    pub sync: SyncPolicy,
    /// Memory for rows read before.
    pub cache_bytes: u64,
    /// Threads that own partitions.
    pub lanes: NonZeroU16,
    /// How it comes to its cluster.
    pub begin: Begin,
    /// Where it stands.
    pub place: Place,
    /// Its share of the data.
    pub weight: u32,
    /// Redis clients.
    pub resp: Door,
    /// Health, metrics, administration, data.
    pub http: Door,
    /// Gossip, UDP.
    pub gossip: Door,
    /// QUIC of lane 0, UDP.
    pub peers: Door,
    /// Who may come in; nobody need say who they are where there are none.
    pub users: Option<UsersFile>,
    /// Bounds.
    pub limits: Limits,
    /// How log lines look.
    pub log_format: LogFormat,
    /// What is logged, for `tracing_subscriber::EnvFilter`.
    pub log_level: String,
}

/// What holds where nothing is said, as far as that is known without the rest.
pub(super) fn defaults() -> Layer {
    let loopback = |port| Some(Listen(SocketAddr::from((Ipv4Addr::LOCALHOST, port))));
    let limits = operation::Limits::default();
    let lane = coterie_protocol::Settings::default();
    let size = |bytes: usize| Some(Size(bytes as u64));
    Layer {
        sync: Some(Sync::Always),
        cache_bytes: Some(Size(machine::cache_bytes())),
        lanes: Some(machine::lanes()),
        bootstrap: Some(false),
        zone: Some(Zone(Place::new("default", "default").expect("the names are short"))),
        weight: Some(1),
        resp: loopback(7379),
        http: loopback(7380),
        gossip: loopback(7381),
        peers: loopback(7400),
        allow_insecure_resp: Some(false),
        allow_insecure_http: Some(false),
        key_bytes_max: size(limits.key_bytes_max),
        element_bytes_max: size(limits.element_bytes_max),
        value_bytes_max: size(limits.value_bytes_max),
        siblings_max: Some(limits.siblings_max),
        requests_max: Some(lane.requests_max),
        connections_max: Some(10_000),
        clients_bytes_max: Some(Size(machine::clients_bytes())),
        request_timeout: Some(Span(Duration::from_secs(5))),
        hint_bytes_max: Some(Size(lane.hint_bytes_max)),
        hint_bytes_per_second: Some(Size(lane.hint_bytes_per_second)),
        repair_bytes_per_second: Some(Size(lane.repair_bytes_per_second)),
        sync_every: Some(Span(lane.sync_every)),
        log_format: Some(LogFormat::Human),
        log_level: Some("info".to_owned()),
        ..Layer::default()
    }
}

/// What `--bootstrap` begins with unless told otherwise.
pub(super) const PARTITIONS: usize = 1_024;

impl Settings {
    /// The settings that a complete layer makes.
    ///
    /// # Errors
    /// [`ConfigError`]
    pub fn new(layer: Layer) -> Result<Settings, ConfigError> {
        let begin = begin(&layer)?;
        let limits = limits(&layer)?;
        let data_dir = layer.data_dir.ok_or_else(|| missing("data_dir", "--data-dir DIR"))?;
        let certificates = layer.certificates.unwrap_or_else(|| data_dir.join("certificates"));
        let backup_dir = layer.backup_dir.unwrap_or_else(|| data_dir.join("backups"));
        let lanes = given(layer.lanes, "lanes")?;
        let lanes = NonZeroU16::new(lanes).filter(|lanes| lanes.get() <= LANES_MAX);
        let lanes = lanes.ok_or_else(|| {
            ConfigError::refuse("lanes", layer.lanes.unwrap_or(0), format!("give 1 to {LANES_MAX}"))
        })?;
        let weight = given(layer.weight, "weight")?;
        let cache_bytes = positive("cache_bytes", layer.cache_bytes)?;
        let users = layer.users.as_deref().map(UsersFile::load).transpose()?;
        let resp_tls = tls(
            ("resp_tls_certificate", layer.resp_tls_certificate),
            ("resp_tls_key", layer.resp_tls_key),
        )?;
        let http_tls = tls(
            ("http_tls_certificate", layer.http_tls_certificate),
            ("http_tls_key", layer.http_tls_key),
        )?;
        let resp = Door::new("resp", given(layer.resp, "resp")?, layer.advertise_resp, resp_tls)?;
        let http = Door::new("http", given(layer.http, "http")?, layer.advertise_http, http_tls)?;
        let gossip = given(layer.gossip, "gossip")?;
        let gossip = Door::new("gossip", gossip, layer.advertise_gossip, None)?;
        let peers = Door::new("peers", given(layer.peers, "peers")?, layer.advertise_peers, None)?;
        resp.check("resp", users.is_some(), layer.allow_insecure_resp == Some(true))?;
        http.check("http", users.is_some(), layer.allow_insecure_http == Some(true))?;
        apart(&resp, &http, &gossip, &peers, lanes)?;
        let log_level = given(layer.log_level, "log_level")?;
        EnvFilter::try_new(&log_level).map_err(|error| {
            let fix =
                format!("{error}; give error, warn, info, debug or trace, or target=level pairs");
            ConfigError::refuse("log_level", &log_level, fix)
        })?;
        Ok(Settings {
            data_dir,
            certificates,
            backup_dir,
            sync: match given(layer.sync, "sync")? {
                Sync::Always => SyncPolicy::Always,
                Sync::Periodic => SyncPolicy::Periodic,
            },
            cache_bytes,
            lanes,
            begin,
            place: given(layer.zone, "zone")?.0,
            weight,
            resp,
            http,
            gossip,
            peers,
            users,
            limits,
            log_format: given(layer.log_format, "log_format")?,
            log_level,
        })
    }
}

fn missing(field: &'static str, flag: &str) -> ConfigError {
    let fix =
        format!("give {flag}, or set {field} in coterie.toml or COTERIE_{}", field.to_uppercase());
    ConfigError::refuse(field, "nothing", fix)
}

fn given<T>(value: Option<T>, field: &'static str) -> Result<T, ConfigError> {
    value.ok_or_else(|| missing(field, &format!("--{}", field.replace('_', "-"))))
}

fn positive(field: &'static str, value: Option<Size>) -> Result<u64, ConfigError> {
    let Size(bytes) = given(value, field)?;
    if bytes == 0 {
        return Err(ConfigError::refuse(field, bytes, "give more than 0 bytes, such as \"64MiB\""));
    }
    Ok(bytes)
}

fn begin(layer: &Layer) -> Result<Begin, ConfigError> {
    let bootstrap = layer.bootstrap == Some(true);
    let join = layer.join.clone().filter(|join| !join.is_empty());
    if !bootstrap {
        let only =
            "only a node that begins a cluster is told that: give --bootstrap too, or leave it out";
        let told = [
            ("partitions", layer.partitions.map(|it| it.to_string())),
            ("replicas", layer.replicas.map(|it| it.to_string())),
            ("spread", layer.spread.map(|it| it.to_string())),
        ];
        if let Some((field, Some(value))) = told.into_iter().find(|(_, value)| value.is_some()) {
            return Err(ConfigError::refuse(field, value, only));
        }
        return Ok(join.map_or(Begin::GoOn, Begin::Join));
    }
    if let Some(join) = join {
        let fix = "--bootstrap begins a cluster and --join joins one: give one of them";
        return Err(ConfigError::refuse("join", &join[0], fix));
    }
    let partitions = layer.partitions.unwrap_or(PARTITIONS);
    if let Err(error) = Partitioner::new(partitions) {
        return Err(ConfigError::refuse("partitions", partitions, error.to_string()));
    }
    let placement = PlacementPolicy::default();
    let replicas = layer.replicas.unwrap_or(placement.replicas);
    if !(1..=REPLICAS_MAX).contains(&replicas) {
        let fix = format!("give 1 to {REPLICAS_MAX}");
        return Err(ConfigError::refuse("replicas", replicas, fix));
    }
    let spread = layer.spread.map_or(placement.spread, |spread| match spread {
        SpreadOver::Nodes => Spread::Nodes,
        SpreadOver::Zones => Spread::Zones,
        SpreadOver::Regions => Spread::Regions,
    });
    Ok(Begin::Bootstrap { partitions, placement: PlacementPolicy { replicas, spread } })
}

fn limits(layer: &Layer) -> Result<Limits, ConfigError> {
    let within = |field, value: Option<Size>, max: u64| -> Result<usize, ConfigError> {
        let bytes = positive(field, value)?;
        let fits = usize::try_from(bytes).ok().filter(|_| bytes <= max);
        fits.ok_or_else(|| {
            ConfigError::refuse(field, Size(bytes), format!("give at most \"{}\"", Size(max)))
        })
    };
    let some = |field, value: Option<usize>| -> Result<usize, ConfigError> {
        let count = given(value, field)?;
        if count == 0 {
            return Err(ConfigError::refuse(field, count, "give at least 1"));
        }
        Ok(count)
    };
    let lasting = |field, value: Option<Span>| -> Result<Duration, ConfigError> {
        let Span(time) = given(value, field)?;
        if time.is_zero() {
            return Err(ConfigError::refuse(field, Span(time), "give more than 0, such as \"5s\""));
        }
        Ok(time)
    };
    Ok(Limits {
        operations: operation::Limits {
            key_bytes_max: within("key_bytes_max", layer.key_bytes_max, KEY_BYTES_MAX as u64)?,
            element_bytes_max: within(
                "element_bytes_max",
                layer.element_bytes_max,
                VALUE_BYTES_MAX,
            )?,
            value_bytes_max: within("value_bytes_max", layer.value_bytes_max, VALUE_BYTES_MAX)?,
            siblings_max: some("siblings_max", layer.siblings_max)?,
            ..operation::Limits::default()
        },
        requests_max: some("requests_max", layer.requests_max)?,
        connections_max: some("connections_max", layer.connections_max)?,
        clients_bytes_max: within("clients_bytes_max", layer.clients_bytes_max, isize::MAX as u64)?,
        request_timeout: lasting("request_timeout", layer.request_timeout)?,
        hint_bytes_max: positive("hint_bytes_max", layer.hint_bytes_max)?,
        hint_bytes_per_second: positive("hint_bytes_per_second", layer.hint_bytes_per_second)?,
        repair_bytes_per_second: positive(
            "repair_bytes_per_second",
            layer.repair_bytes_per_second,
        )?,
        sync_every: lasting("sync_every", layer.sync_every)?,
    })
}

/// No two doors want one port of one address.
fn apart(
    resp: &Door,
    http: &Door,
    gossip: &Door,
    peers: &Door,
    lanes: NonZeroU16,
) -> Result<(), ConfigError> {
    let meet = |a: SocketAddr, b: SocketAddr| {
        a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified()
    };
    // Port 0 is any that is free.
    let (tcp, other) = (resp.listen, http.listen);
    if tcp.port() != 0 && tcp.port() == other.port() && meet(tcp, other) {
        return Err(ConfigError::refuse("http", other, "resp listens there: give another port"));
    }
    let first = peers.listen.port();
    if first == 0 {
        return Ok(());
    }
    let last = first.checked_add(lanes.get() - 1).ok_or_else(|| {
        let fix =
            format!("lane i listens on port + i, and there are {lanes} lanes: give a lower port");
        ConfigError::refuse("peers", peers.listen, fix)
    })?;
    if (first..=last).contains(&gossip.listen.port()) && meet(gossip.listen, peers.listen) {
        let fix = format!("peers of {lanes} lanes take ports {first} to {last}: give another port");
        return Err(ConfigError::refuse("gossip", gossip.listen, fix));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(text: &str) -> Layer {
        let given: Layer = toml::from_str(text).unwrap();
        given.over(toml::from_str("data_dir = \"d\"").unwrap()).over(defaults())
    }

    fn refused(text: &str) -> (&'static str, String) {
        match Settings::new(layer(text)) {
            Err(ConfigError::Refused { field, given, fix }) => (field, format!("{given}: {fix}")),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_data_directory_is_all_that_has_to_be_said() {
        let settings = Settings::new(layer("")).unwrap();
        assert_eq!(settings.certificates, PathBuf::from("d/certificates"));
        assert_eq!(settings.begin, Begin::GoOn);
        assert_eq!(settings.resp.listen.to_string(), "127.0.0.1:7379");
        assert_eq!(settings.peers.advertise.to_string(), "127.0.0.1:7400");
        let Err(error) = Settings::new(defaults()) else { panic!("no data directory") };
        assert_eq!(
            error.to_string(),
            "data_dir = nothing: give --data-dir DIR, or set data_dir in coterie.toml or COTERIE_DATA_DIR"
        );
    }

    #[test]
    fn a_door_off_loopback_needs_users_and_tls_or_an_opt_out() {
        for (name, other) in [("resp", "http"), ("http", "resp")] {
            let open = format!("{name} = \"192.0.2.1:7000\"\n");
            let (field, fix) = refused(&open);
            assert_eq!(field, name);
            assert!(fix.contains("no users and no TLS"), "{fix}");
            assert!(fix.contains(&format!("--allow-insecure-{name}")), "{fix}");
            refused(&format!("{open}allow_insecure_{other} = true"));
            Settings::new(layer(&format!("{open}allow_insecure_{name} = true"))).unwrap();
            let tls = format!("{name}_tls_certificate = \"c\"\n{name}_tls_key = \"k\"\n");
            let (_, fix) = refused(&format!("{open}{tls}"));
            assert!(fix.contains("has no users"), "{fix}");
            let users = tempfile::NamedTempFile::new().unwrap();
            let users = format!("users = {:?}\n", users.path());
            let (_, fix) = refused(&format!("{open}{users}"));
            assert!(fix.contains("no TLS"), "{fix}");
            Settings::new(layer(&format!("{open}{tls}{users}"))).unwrap();
        }
    }

    #[test]
    fn what_does_not_work_is_refused_by_the_name_of_its_field() {
        let cases = [
            ("lanes = 0", "lanes"),
            ("lanes = 65", "lanes"),
            ("partitions = 8", "partitions"),
            ("replicas = 2", "replicas"),
            ("spread = \"zones\"", "spread"),
            ("bootstrap = true\npartitions = 1000", "partitions"),
            ("bootstrap = true\nreplicas = 0", "replicas"),
            ("bootstrap = true\njoin = [\"a:1\"]", "join"),
            ("resp_tls_certificate = \"c\"", "resp_tls_key"),
            ("http_tls_key = \"k\"", "http_tls_certificate"),
            ("gossip = \"0.0.0.0:7381\"", "advertise_gossip"),
            ("peers = \"[::]:7400\"", "advertise_peers"),
            ("http = \"127.0.0.1:7379\"", "http"),
            ("lanes = 4\ngossip = \"127.0.0.1:7403\"", "gossip"),
            ("lanes = 4\npeers = \"127.0.0.1:65534\"", "peers"),
            ("key_bytes_max = 0", "key_bytes_max"),
            ("key_bytes_max = \"1MiB\"", "key_bytes_max"),
            ("value_bytes_max = \"1GiB\"", "value_bytes_max"),
            ("requests_max = 0", "requests_max"),
            ("request_timeout = \"0s\"", "request_timeout"),
            ("log_level = \"a=b=c\"", "log_level"),
        ];
        for (text, field) in cases {
            let (refused, fix) = refused(text);
            assert_eq!(refused, field, "{text}: {fix}");
        }
    }

    #[test]
    fn a_cluster_begins_as_told() {
        let begin = |text| Settings::new(layer(text)).unwrap().begin;
        let placement = PlacementPolicy { replicas: 2, spread: Spread::Zones };
        assert_eq!(
            begin("bootstrap = true\npartitions = 64\nreplicas = 2\nspread = \"zones\""),
            Begin::Bootstrap { partitions: 64, placement }
        );
        let placement = PlacementPolicy::default();
        assert_eq!(
            begin("bootstrap = true"),
            Begin::Bootstrap { partitions: PARTITIONS, placement }
        );
        let Begin::Join(seeds) = begin("join = [\"node-1:7381\", \"10.0.0.2:7381\"]") else {
            panic!("it joins")
        };
        assert_eq!(seeds.len(), 2);
    }
}
