//! Subcommands of `coterie-node` about its configuration.

use std::io::{self, BufRead, Write};

use anyhow::Context;
use clap::Subcommand;

use super::access::{Token, hash_password};
use super::settings::Begin;
use super::{Arguments, Settings, Sources};

/// `coterie-node config …`
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check the configuration and print what is in force, with where each value comes from.
    Check(Box<Arguments>),
}

/// `coterie-node user …`: what goes into the file of users. Nothing is kept.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum UserCommand {
    /// Draw a token: print it once for its user, and its hash for the file of users.
    Token,
    /// Read a password from standard input and print its hash for the file of users.
    Password,
}

impl ConfigCommand {
    /// Does it.
    ///
    /// # Errors
    /// What is wrong with the configuration, or with the output.
    pub fn run(self, out: &mut impl Write) -> anyhow::Result<()> {
        let ConfigCommand::Check(arguments) = self;
        let sources = Sources::read(*arguments)?;
        write!(out, "{}", sources.shown())?;
        let settings = Settings::new(sources.effective())?;
        let begins = match &settings.begin {
            Begin::GoOn => "goes on with what its data directory knows",
            Begin::Bootstrap { .. } => "begins a cluster",
            Begin::Join(_) => "joins a cluster",
        };
        let users = settings.users.as_ref().map_or(0, |file| file.users().count());
        writeln!(out, "# The node {begins}. {users} users may come in.")?;
        Ok(())
    }
}

impl UserCommand {
    /// Does it.
    ///
    /// # Errors
    /// If there is no randomness, or standard input or output fails.
    pub fn run(self, out: &mut impl Write) -> anyhow::Result<()> {
        match self {
            UserCommand::Token => {
                let token = Token::draw().ok().context("the machine gives no randomness")?;
                writeln!(out, "token (for the user; it is not shown again): {}", token.secret())?;
                writeln!(out, "token_sha256 = \"{}\"", token.hash())?;
            }
            UserCommand::Password => {
                let mut line = String::new();
                io::stdin().lock().read_line(&mut line).context("standard input")?;
                let password = line.trim_end_matches(['\n', '\r']);
                anyhow::ensure!(!password.is_empty(), "give a password on standard input");
                let hash = hash_password(password.as_bytes())
                    .map_err(|error| anyhow::anyhow!("the password cannot be hashed: {error}"))?;
                writeln!(out, "password_argon2 = \"{hash}\"")?;
            }
        }
        Ok(())
    }
}
