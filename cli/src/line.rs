//! The command line: its commands, each in a module of its own.

use std::ffi::OsString;

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::backup::BackupCommand;
use crate::bucket::BucketCommand;
use crate::client::Client;
use crate::cluster::ClusterCommand;
use crate::consistency::Consistency;
use crate::data::{At, DataLine, Delete};
use crate::explain::{Explain, Keys};
use crate::failure::{EXIT_CODES, Failure};
use crate::moves::Moves;
use crate::nodes::NodeCommand;
use crate::repair::{Barrier, RepairCommand};
use crate::ring::RingCommand;
use crate::setup::Global;
use crate::top::Top;
use crate::transfer::{Export, Import};
use crate::{doctor, members, program, repair, repl, shell, status};

/// The command line of a Coterie cluster: its data, layout, buckets and repair, and clusters on this machine.
#[derive(Debug, Parser)]
#[command(name = "coterie", version, about, after_help = EXIT_CODES, max_term_width = 110)]
pub(crate) struct Line {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Make, show and change certificates and gossip keys, as `coterie-node cert` does.
    #[command(disable_help_flag = true)]
    Cert(Passed),
    /// Look at the configuration of a node, as `coterie-node config` does: `config check --data-dir DIR`.
    #[command(disable_help_flag = true)]
    Config(Passed),

    /// Show how the cluster is, as one node sees it.
    Status,
    /// Show all nodes that are known: liveness, state, weight, place, addresses.
    Members,
    #[command(subcommand)]
    Ring(RingCommand),
    #[command(subcommand)]
    Node(NodeCommand),
    Moves(Moves),

    #[command(subcommand)]
    Bucket(BucketCommand),
    Consistency(Consistency),

    #[command(flatten)]
    Data(DataLine),
    /// Delete keys, whatever their types: how many were there.
    Del(Delete),
    Keys(Keys),
    Explain(Explain),
    /// Read commands one after the other, from a person or a file, in one session that reads what it wrote.
    Repl,
    Import(Import),
    Export(Export),

    #[command(subcommand)]
    Repair(RepairCommand),
    /// Show the hints that nodes keep for others that are down.
    Hints,
    Barrier(Barrier),
    #[command(subcommand)]
    Backup(BackupCommand),
    Top(Top),
    /// Look at nodes and their machines for what makes trouble later: UDP paths, clocks, disks, buffers, limits.
    Doctor,

    /// Write completions for a shell.
    Completions {
        /// Which.
        shell: Shell,
    },
    /// Write the manual page: `coterie manual | man -l -`.
    Manual,
    /// Write docs/cli.md.
    #[command(hide = true)]
    Reference,
}

/// What another program takes.
#[derive(Args, Debug)]
struct Passed {
    /// What `coterie-node` takes there.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
    arguments: Vec<OsString>,
}

impl Line {
    pub(crate) fn carry_out(&self) -> Result<(), Failure> {
        self.command.carry_out(&self.global, &At::default())
    }

    /// Does it as a line of a session: of its nodes, in its bucket, at its levels.
    pub(crate) fn in_session(
        &self,
        session: &Global,
        client: &Client,
        at: &At,
    ) -> Result<(), Failure> {
        let global = session.with(&self.global);
        match &self.command {
            Command::Data(line) => line.run(&global, client, at),
            Command::Del(delete) => delete.run(&global, client, at),
            Command::Repl => Err(Failure::usage("this is it already")),
            other => other.carry_out(&global, at),
        }
    }
}

impl Command {
    fn carry_out(&self, global: &Global, at: &At) -> Result<(), Failure> {
        match self {
            Command::Cluster(command) => command.carry_out(global),
            Command::Cert(passed) => program::run(&["cert"], &passed.arguments),
            Command::Config(passed) => program::run(&["config"], &passed.arguments),
            Command::Status => status::status(global),
            Command::Members => members::members(global),
            Command::Ring(command) => command.carry_out(global),
            Command::Node(command) => command.carry_out(global),
            Command::Moves(moves) => moves.carry_out(global),
            Command::Bucket(command) => command.carry_out(global),
            Command::Consistency(consistency) => consistency.carry_out(global),
            Command::Data(line) => line.carry_out(global),
            Command::Del(delete) => delete.run(global, &global.client()?, at),
            Command::Keys(keys) => keys.carry_out(global, at),
            Command::Explain(explain) => explain.carry_out(global, at),
            Command::Repl => repl::repl(global),
            Command::Import(import) => import.carry_out(global, at),
            Command::Export(export) => export.carry_out(global, at),
            Command::Repair(command) => command.carry_out(global),
            Command::Hints => repair::hints(global),
            Command::Barrier(barrier) => barrier.carry_out(global),
            Command::Backup(command) => command.carry_out(global),
            Command::Top(top) => top.carry_out(global),
            Command::Doctor => doctor::doctor(global),
            Command::Completions { shell } => shell::completions(*shell, Line::command()),
            Command::Manual => shell::manual(Line::command()),
            Command::Reference => shell::reference(Line::command()),
        }
    }
}
