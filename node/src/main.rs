//! `coterie-node`: the daemon's command line.

use std::io;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use coterie_node::backup::BackupCommand;
use coterie_node::certificates::CertCommand;
use coterie_node::config::{Arguments, ConfigCommand, LogFormat, Settings, UserCommand};
use coterie_node::engine;
use rustix::process::{Signal, getpid, kill_process};
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
    Run(Box<Run>),
    /// Make, show and change the cluster's certificates and gossip keys.
    #[command(subcommand)]
    Cert(CertCommand),
    /// Check and restore backups.
    #[command(subcommand)]
    Backup(BackupCommand),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Make what goes into the file of users.
    #[command(subcommand)]
    User(UserCommand),
}

#[derive(Args, Debug)]
struct Run {
    #[command(flatten)]
    arguments: Arguments,
    /// Stop in order once standard input is closed, as it is when the program that started the node has ended.
    #[arg(long)]
    until_input_closes: bool,
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
        Command::Run(run) => {
            let settings = Settings::load(run.arguments)?;
            log(&settings)?;
            if run.until_input_closes {
                std::thread::spawn(stop_when_input_closes);
            }
            engine::run(&settings)
        }
        Command::Cert(command) => Ok(command.run()?),
        Command::Backup(command) => command.run(&mut io::stdout().lock()),
        Command::Config(command) => command.run(&mut io::stdout().lock()),
        Command::User(command) => command.run(&mut io::stdout().lock()),
    }
}

/// Tells this process to stop, as an operator would, once nobody can write to its standard input any more.
fn stop_when_input_closes() {
    let ended = io::copy(&mut io::stdin().lock(), &mut io::sink());
    tracing::info!(?ended, "standard input is closed: the node stops");
    if let Err(error) = kill_process(getpid(), Signal::TERM) {
        tracing::error!(%error, "the node cannot tell itself to stop");
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
