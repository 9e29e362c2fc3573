//! The one table of what can be set: each field is a flag, a variable of the environment and a line of `coterie.toml`.

use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;

use super::units::{Endpoint, Listen, LogFormat, Size, Span, SpreadOver, Sync, Zone};

/// Makes the layer of optional values, laying one over another, and the list of names.
macro_rules! table {
    ($($heading:literal { $($(#[doc = $doc:literal])+ $name:ident ($flag:literal, $variable:literal $(, $option:ident = $value:expr)*): $type:ty;)+ })+) => {
        /// What one source of settings says; what it leaves out a lower one says.
        #[derive(Args, Clone, Debug, Default, Deserialize, PartialEq)]
        #[serde(deny_unknown_fields)]
        pub struct Layer {
            $($(
                $(#[doc = $doc])+
                #[arg(long = $flag, env = $variable, help_heading = $heading, hide_env_values = true $(, $option = $value)*)]
                pub $name: Option<$type>,
            )+)+
        }

        /// A field's names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Field {
            /// In `coterie.toml`.
            pub name: &'static str,
            /// On the command line.
            pub flag: &'static str,
            /// In the environment.
            pub variable: &'static str,
        }

        /// Every field, in the order of the table.
        pub const FIELDS: &[Field] =
            &[$($(Field { name: stringify!($name), flag: $flag, variable: $variable },)+)+];

        impl Layer {
            /// This layer, with the one below where this one says nothing.
            #[must_use]
            pub fn over(self, below: Layer) -> Layer {
                Layer { $($($name: self.$name.or(below.$name),)+)+ }
            }
        }
    };
}

table! {
    "Identity and storage" {
        /// Where this node keeps its data. It belongs to one node of one cluster for ever.
        data_dir("data-dir", "COTERIE_DATA_DIR", value_name = "DIR"): PathBuf;
        /// Where its certificate and keys are: what `coterie-node cert` has made.
        certificates("certificates", "COTERIE_CERTIFICATES", value_name = "DIR"): PathBuf;
        /// Where backups are made. On the disk of the data they take little room at first.
        backup_dir("backup-dir", "COTERIE_BACKUP_DIR", value_name = "DIR"): PathBuf;
        /// What acknowledged means: `always` on disk, `periodic` on disk within 50 ms.
        sync("sync", "COTERIE_SYNC", value_name = "always|periodic"): Sync;
        /// Memory for rows read before. Default: a quarter of the machine's, at most 256MiB.
        cache_bytes("cache-bytes", "COTERIE_CACHE_BYTES", value_name = "SIZE"): Size;
        /// Threads that own partitions. Default: the cores, at most 8.
        lanes("lanes", "COTERIE_LANES", value_name = "N"): u16;
    }
    "Cluster" {
        /// Begin a new cluster with this node. Once for a cluster.
        bootstrap("bootstrap", "COTERIE_BOOTSTRAP", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false"): bool;
        /// Join the cluster of the node with this gossip address. May be given several times.
        join("join", "COTERIE_JOIN", value_delimiter = ',', value_name = "GOSSIP_ADDR"): Vec<Endpoint>;
        /// With --bootstrap: how many partitions, for ever. A power of two.
        partitions("partitions", "COTERIE_PARTITIONS", value_name = "N"): usize;
        /// With --bootstrap: owners of each partition.
        replicas("replicas", "COTERIE_REPLICAS", value_name = "N"): u8;
        /// With --bootstrap: what owners of a partition must differ in.
        spread("spread", "COTERIE_SPREAD", value_name = "nodes|zones|regions"): SpreadOver;
        /// Where this node stands. Owners of a partition are spread over regions, then zones.
        zone("zone", "COTERIE_ZONE", value_name = "REGION/ZONE"): Zone;
        /// Its share of the data relative to other nodes.
        weight("weight", "COTERIE_WEIGHT", value_name = "N"): u32;
    }
    "Doors" {
        /// Where Redis clients connect.
        resp("resp", "COTERIE_RESP", value_name = "ADDR"): Listen;
        /// Health, metrics, administration and data over HTTP.
        http("http", "COTERIE_HTTP", value_name = "ADDR"): Listen;
        /// Gossip between nodes, UDP.
        gossip("gossip", "COTERIE_GOSSIP", value_name = "ADDR"): Listen;
        /// QUIC between nodes, UDP; lane i listens on this port + i.
        peers("peers", "COTERIE_PEERS", value_name = "ADDR"): Listen;
        /// Where others reach the RESP door. Default: where it listens.
        advertise_resp("advertise-resp", "COTERIE_ADVERTISE_RESP", value_name = "ADDR"): Endpoint;
        /// Where others reach the HTTP door. Default: where it listens.
        advertise_http("advertise-http", "COTERIE_ADVERTISE_HTTP", value_name = "ADDR"): Endpoint;
        /// Where others reach the gossip socket. Default: where it listens.
        advertise_gossip("advertise-gossip", "COTERIE_ADVERTISE_GOSSIP", value_name = "ADDR"): Endpoint;
        /// Where others reach QUIC of lane 0. Default: where it listens.
        advertise_peers("advertise-peers", "COTERIE_ADVERTISE_PEERS", value_name = "ADDR"): Endpoint;
    }
    "Who may come in" {
        /// Users, their secrets and their rights. Read again when it changes.
        users("users", "COTERIE_USERS", value_name = "FILE"): PathBuf;
        /// Certificate chain of the RESP door (PEM). With it, RESP is TLS only. Read again when it changes.
        resp_tls_certificate("resp-tls-certificate", "COTERIE_RESP_TLS_CERTIFICATE", value_name = "FILE"): PathBuf;
        /// Private key of the RESP door (PEM).
        resp_tls_key("resp-tls-key", "COTERIE_RESP_TLS_KEY", value_name = "FILE"): PathBuf;
        /// Certificate chain of the HTTP door (PEM). With it, HTTP is TLS only. Read again when it changes.
        http_tls_certificate("http-tls-certificate", "COTERIE_HTTP_TLS_CERTIFICATE", value_name = "FILE"): PathBuf;
        /// Private key of the HTTP door (PEM).
        http_tls_key("http-tls-key", "COTERIE_HTTP_TLS_KEY", value_name = "FILE"): PathBuf;
        /// Open the RESP door off loopback though it has no users or no TLS: anybody who reaches it may read and write.
        allow_insecure_resp("allow-insecure-resp", "COTERIE_ALLOW_INSECURE_RESP", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false"): bool;
        /// Open the HTTP door off loopback though it has no users or no TLS: anybody who reaches it may administer.
        allow_insecure_http("allow-insecure-http", "COTERIE_ALLOW_INSECURE_HTTP", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false"): bool;
    }
    "Limits" {
        /// The longest key that a client may write.
        key_bytes_max("key-bytes-max", "COTERIE_KEY_BYTES_MAX", value_name = "SIZE"): Size;
        /// The largest member, field or path that a client may write.
        element_bytes_max("element-bytes-max", "COTERIE_ELEMENT_BYTES_MAX", value_name = "SIZE"): Size;
        /// The largest value that a client may write.
        value_bytes_max("value-bytes-max", "COTERIE_VALUE_BYTES_MAX", value_name = "SIZE"): Size;
        /// Concurrent values of one register that a sibling write may leave.
        siblings_max("siblings-max", "COTERIE_SIBLINGS_MAX", value_name = "N"): usize;
        /// Requests under way in a lane before clients are told that the node is busy.
        requests_max("requests-max", "COTERIE_REQUESTS_MAX", value_name = "N"): usize;
        /// Client connections at once, each door for itself.
        connections_max("connections-max", "COTERIE_CONNECTIONS_MAX", value_name = "N"): usize;
        /// Memory for what all clients together have under way: commands, and answers that they have not read. Past it they are
        /// told to try again. Default: an eighth of the machine's, at most 128MiB.
        clients_bytes_max("clients-bytes-max", "COTERIE_CLIENTS_BYTES_MAX", value_name = "SIZE"): Size;
        /// How long a request may take before its client is told that the outcome is unknown.
        request_timeout("request-timeout", "COTERIE_REQUEST_TIMEOUT", value_name = "TIME"): Span;
        /// Hints that this node keeps for each owner that is down.
        hint_bytes_max("hint-bytes-max", "COTERIE_HINT_BYTES_MAX", value_name = "SIZE"): Size;
        /// Hints that it lets others bring it in a second.
        hint_bytes_per_second("hint-bytes-per-second", "COTERIE_HINT_BYTES_PER_SECOND", value_name = "SIZE"): Size;
        /// Repair and transfers that a lane takes in each second, below client traffic.
        repair_bytes_per_second("repair-bytes-per-second", "COTERIE_REPAIR_BYTES_PER_SECOND", value_name = "SIZE"): Size;
        /// How often digests are compared with each co-owner.
        sync_every("sync-every", "COTERIE_SYNC_EVERY", value_name = "TIME"): Span;
    }
    "Logs" {
        /// How log lines look.
        log_format("log-format", "COTERIE_LOG_FORMAT", value_name = "human|json"): LogFormat;
        /// What is logged: `error`, `warn`, `info`, `debug`, `trace`, or `target=level` pairs with commas.
        log_level("log-level", "COTERIE_LOG_LEVEL", value_name = "LEVEL"): String;
    }
}
