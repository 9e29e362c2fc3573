//! `coterie-node cert`: making, showing and changing certificates and keys.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use coterie_ring::NodeId;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::authority::Authority;
use super::files::{self, Existing};
use super::name::{self, NodeName};
use super::{CertificatesError, GossipKeys};

/// Makes, shows and changes the certificates of a cluster and its gossip keys.
///
/// `init` makes a cluster's authority in a directory that is kept in a safe place; `node` makes from it the files of one
/// node, which are brought to that node. A running node takes changed files up within seconds.
#[derive(Debug, Subcommand)]
pub enum CertCommand {
    /// Make the authority and the gossip key of a new cluster.
    Init {
        /// Where to: a directory of the operator, not of a node.
        #[arg(long, value_name = "DIRECTORY")]
        dir: PathBuf,
        /// The cluster's id, 32 hexadecimal digits; drawn if not given.
        #[arg(long, value_name = "ID", value_parser = id)]
        cluster: Option<u128>,
        /// How long the authority's certificate holds.
        #[arg(long, value_name = "DAYS", default_value_t = 7_300)]
        days: u32,
    },
    /// Make the files of a node: ca.pem, node.pem, node.key and gossip.key.
    Node(NodeArgs),
    /// Give a node a new key and certificate under its name.
    Renew(NodeDirectories),
    /// Say whose files a directory holds and until when they are good. Keys are not shown.
    Show {
        /// A directory of `init` or `node`.
        #[arg(long, value_name = "DIRECTORY")]
        dir: PathBuf,
    },
    /// Change the gossip key: `add`, bring gossip.key to all nodes, `use`, bring it again, `drop`, bring it again.
    #[command(subcommand)]
    Gossip(GossipCommand),
}

/// Which node is to have files.
#[derive(Args, Debug)]
pub struct NodeArgs {
    #[command(flatten)]
    directories: NodeDirectories,
    /// The node's id, 32 hexadecimal digits; drawn if not given.
    #[arg(long, value_name = "ID", value_parser = id)]
    node: Option<u128>,
}

/// From where to where.
#[derive(Args, Debug)]
pub struct NodeDirectories {
    /// The directory of `init`.
    #[arg(long, value_name = "DIRECTORY")]
    dir: PathBuf,
    /// The directory of the node's files.
    #[arg(long, value_name = "DIRECTORY")]
    out: PathBuf,
    /// How long the certificate holds.
    #[arg(long, value_name = "DAYS", default_value_t = 730)]
    days: u32,
}

/// A step of changing the gossip key.
#[derive(Debug, Subcommand)]
pub enum GossipCommand {
    /// Add a key that nodes open with, but do not seal with yet.
    Add(GossipFiles),
    /// Seal with the key that was added, once all nodes have it.
    Use(GossipFiles),
    /// Drop the old keys, once all nodes seal with the new one.
    Drop(GossipFiles),
}

/// Whose gossip keys.
#[derive(Args, Debug)]
pub struct GossipFiles {
    /// The directory of `init`.
    #[arg(long, value_name = "DIRECTORY")]
    dir: PathBuf,
    /// A node's directory, to be given the changed file at once. May be repeated.
    #[arg(long, value_name = "DIRECTORY")]
    out: Vec<PathBuf>,
}

fn id(text: &str) -> Result<u128, String> {
    name::id(&text.to_ascii_lowercase())
        .ok_or_else(|| String::from("an id has 32 hexadecimal digits"))
}

fn draw() -> u128 {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the machine has randomness");
    u128::from_le_bytes(bytes)
}

impl CertCommand {
    /// Does it, and says on standard output what was done.
    ///
    /// # Errors
    /// [`CertificatesError`], which names the file and what to do.
    pub fn run(&self) -> Result<(), CertificatesError> {
        let said = self.carry_out()?;
        io::stdout().write_all(said.as_bytes()).map_err(|source| CertificatesError::File {
            path: PathBuf::from("standard output"),
            done: "written",
            source,
        })
    }

    /// Does it; what is to be said of it.
    ///
    /// # Errors
    /// [`CertificatesError`].
    pub fn carry_out(&self) -> Result<String, CertificatesError> {
        match self {
            CertCommand::Init { dir, cluster, days } => {
                init(dir, cluster.unwrap_or_else(draw), *days)
            }
            CertCommand::Node(NodeArgs { directories, node }) => {
                let node = NodeId(node.unwrap_or_else(draw));
                make_node(directories, node, Existing::Refuse)
            }
            CertCommand::Renew(directories) => {
                let own = first(&directories.out, files::NODE)?;
                let unnamed =
                    || CertificatesError::Unnamed { path: directories.out.join(files::NODE) };
                let name = NodeName::of(&own).ok_or_else(unnamed)?;
                make_node(directories, name.node, Existing::Replace)
            }
            CertCommand::Show { dir } => show(dir),
            CertCommand::Gossip(command) => command.carry_out(),
        }
    }
}

fn init(dir: &Path, cluster: u128, days: u32) -> Result<String, CertificatesError> {
    let made = Authority::make(cluster, days)?;
    let keys = GossipKeys::draw().text();
    let written = [
        (files::CA, made.certificate.as_bytes()),
        (files::CA_KEY, made.key.as_bytes()),
        (files::GOSSIP_KEY, keys.as_bytes()),
    ];
    files::write(dir, &written, Existing::Refuse)?;
    let dir = dir.display();
    Ok(format!(
        "cluster {cluster:032x}: authority and gossip key are in {dir}\n\
         keep {dir}/ca.key off the nodes; make a node's files with: coterie-node cert node --dir {dir} --out DIRECTORY\n"
    ))
}

fn authority(dir: &Path) -> Result<(Vec<u8>, Authority), CertificatesError> {
    let certificate = files::read(dir, files::CA)?;
    let key = files::read_secret(dir, files::CA_KEY)?;
    let opened = Authority::open(&certificate, &key);
    let path = dir.join(files::CA);
    let opened = opened.ok_or(CertificatesError::Content { path, wanted: "authority" })?;
    Ok((certificate, opened))
}

fn make_node(
    NodeDirectories { dir, out, days }: &NodeDirectories,
    node: NodeId,
    existing: Existing,
) -> Result<String, CertificatesError> {
    let (ca, authority) = authority(dir)?;
    let cluster = authority.cluster();
    let made = authority.sign(node, *days)?;
    let keys = GossipKeys::load(dir)?.text();
    let written = [
        (files::CA, &ca[..]),
        (files::NODE_KEY, made.key.as_bytes()),
        (files::NODE, made.certificate.as_bytes()),
        (files::GOSSIP_KEY, keys.as_bytes()),
    ];
    files::write(out, &written, existing)?;
    Ok(format!("node {:032x} of cluster {cluster:032x}: files are in {}\n", node.0, out.display()))
}

fn first(dir: &Path, file: &str) -> Result<CertificateDer<'static>, CertificatesError> {
    let pem = files::read(dir, file)?;
    CertificateDer::from_pem_slice(&pem).map_err(|_reason| CertificatesError::Content {
        path: dir.join(file),
        wanted: "certificate",
    })
}

fn show(dir: &Path) -> Result<String, CertificatesError> {
    let mut said = String::new();
    let authority = first(dir, files::CA)?;
    if let Some(cluster) = name::cluster_of(&authority) {
        said.push_str(&format!("cluster {cluster:032x}\n"));
    }
    said.push_str(&format!("authority: {}\n", holds(&authority)));
    if dir.join(files::NODE).exists() {
        let own = first(dir, files::NODE)?;
        let unnamed = || CertificatesError::Unnamed { path: dir.join(files::NODE) };
        let name = NodeName::of(&own).ok_or_else(unnamed)?;
        said.push_str(&format!("node {:032x}: {}\n", name.node.0, holds(&own)));
    }
    let keys = GossipKeys::load(dir)?;
    let ids: Vec<String> = keys.ids().map(|id| id.to_string()).collect();
    said.push_str(&format!("gossip keys (the first seals): {}\n", ids.join(", ")));
    Ok(said)
}

fn holds(certificate: &CertificateDer<'_>) -> String {
    let Some((_, until)) = name::validity(certificate) else {
        return String::from("cannot be read");
    };
    let until = UNIX_EPOCH + Duration::from_secs(u64::try_from(until).unwrap_or_default());
    match until.duration_since(SystemTime::now()) {
        Ok(left) => format!("holds for {} more days", left.as_secs() / 86_400),
        Err(_past) => String::from("has expired"),
    }
}

impl GossipCommand {
    fn carry_out(&self) -> Result<String, CertificatesError> {
        let (GossipCommand::Add(to) | GossipCommand::Use(to) | GossipCommand::Drop(to)) = self;
        let mut keys = GossipKeys::load(&to.dir)?;
        let said = match self {
            GossipCommand::Add(_) => keys.add().map(|id| {
                format!("key {id} was added; once all nodes have gossip.key: cert gossip use\n")
            }),
            GossipCommand::Use(_) => keys.switch().map(|id| {
                format!("key {id} seals; once all nodes have gossip.key: cert gossip drop\n")
            }),
            GossipCommand::Drop(_) => keys.forget().map(|ids| format!("dropped: {ids:?}\n")),
        };
        let path = to.dir.join(files::GOSSIP_KEY);
        let said = said.map_err(|problem| CertificatesError::GossipKeys { path, problem })?;
        let text = keys.text();
        for dir in [&to.dir].into_iter().chain(&to.out) {
            files::write(dir, &[(files::GOSSIP_KEY, text.as_bytes())], Existing::Replace)?;
        }
        Ok(said)
    }
}
