//! `coterie-node`: the daemon's command line.

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use coterie_node::certificates::CertCommand;
use coterie_node::config::{Arguments, ConfigCommand, LogFormat, Settings, UserCommand};
use coterie_node::engine;
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A node of a leaderless store for values that merge. Redis clients talk to it.
#[derive(Debug, Parser)]
#[command(name = "coterie-node", version, about, max_term_width = 110)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a node.
    ///
    /// With --bootstrap it begins a cluster, with --join GOSSIP_ADDRESS (repeatable) it joins one; without either it goes
    /// on with what its data directory knows. Every flag can also be given as COTERIE_… in the environment or in
    /// coterie.toml.
    Run(Box<Arguments>),
    /// Make, show and change the cluster's certificates and gossip keys.
    #[command(subcommand)]
    Cert(CertCommand),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Make what goes into the file of users.
    #[command(subcommand)]
    User(UserCommand),
}

fn main() -> ExitCode {
    let line = Line::parse();
    match carry_out(line.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("coterie-node: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Run(arguments) => {
            let settings = Settings::load(*arguments)?;
            log(&settings)?;
            engine::run(&settings)
        }
        Command::Cert(command) => Ok(command.run()?),
        Command::Config(command) => command.run(&mut io::stdout().lock()),
        Command::User(command) => command.run(&mut io::stdout().lock()),
    }
}

fn log(settings: &Settings) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&settings.log_level)?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match settings.log_format {
        LogFormat::Human => lines.init(),
        LogFormat::Json => lines.json().init(),
    }
    Ok(())
}
