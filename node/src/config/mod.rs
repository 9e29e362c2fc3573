//! How the daemon is told what to do: flags, over the environment, over `coterie.toml`, over defaults.

mod access;
mod command;
mod doors;
mod machine;
mod settings;
mod shown;
mod table;
mod tls;
mod units;
mod users_file;

pub use access::{Right, Token, User, Users, UsersError, Verb};
pub use command::{ConfigCommand, UserCommand};
pub use doors::Door;
pub use settings::{Begin, ConfigError, Limits, Settings};
pub use table::{FIELDS, Field, Layer};
pub use tls::{DoorCertificate, TlsError, TlsFiles};
pub use units::{Endpoint, Listen, LogFormat, Size, Span, SpreadOver, Sync, Unreadable, Zone};
pub use users_file::UsersFile;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Args;

/// The file that is read where no other is named, if it is there.
const FILE: &str = "coterie.toml";

/// The arguments of everything that needs the configuration.
#[derive(Args, Clone, Debug, Default)]
pub struct Arguments {
    /// Read this file instead of `coterie.toml` in the working directory.
    #[arg(long = "config", env = "COTERIE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Flags and environment.
    #[command(flatten)]
    pub layer: Layer,
}

/// The configuration with where each value comes from.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Flags and environment.
    pub given: Layer,
    /// The file.
    pub file: Layer,
    /// What holds where neither says anything.
    pub defaults: Layer,
}

impl Sources {
    /// Reads the file under the flags.
    ///
    /// # Errors
    /// [`ConfigError::File`]
    pub fn read(arguments: Arguments) -> Result<Sources, ConfigError> {
        let file = match &arguments.config {
            Some(path) => read(path)?.ok_or_else(|| ConfigError::File {
                path: path.clone(),
                problem: "there is no such file".to_owned(),
            })?,
            None => read(Path::new(FILE))?.unwrap_or_default(),
        };
        Ok(Sources { given: arguments.layer, file, defaults: settings::defaults() })
    }

    /// What is in force.
    #[must_use]
    pub fn effective(&self) -> Layer {
        self.given.clone().over(self.file.clone()).over(self.defaults.clone())
    }
}

impl Settings {
    /// The settings that these arguments, the environment and the file make.
    ///
    /// # Errors
    /// [`ConfigError`]: it names the field, what was given, and the fix.
    pub fn load(arguments: Arguments) -> Result<Settings, ConfigError> {
        Settings::new(Sources::read(arguments)?.effective())
    }
}

/// What a file says; `None` where there is none.
fn read(path: &Path) -> Result<Option<Layer>, ConfigError> {
    let refused = |problem: String| ConfigError::File { path: path.to_owned(), problem };
    match fs::read_to_string(path) {
        Ok(text) => toml::from_str(&text).map(Some).map_err(|error| refused(error.to_string())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(refused(error.to_string())),
    }
}
