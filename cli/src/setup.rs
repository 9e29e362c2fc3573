//! Whom to ask, as whom, and how to answer: what every command takes.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;

use crate::ask::Consent;
use crate::client::{Client, Keep};
use crate::failure::Failure;
use crate::output::{Form, Output};

/// The HTTP door of a node that was told nothing else.
const NODE: &str = "http://127.0.0.1:7380";

/// What every command takes.
#[derive(Args, Clone, Debug)]
pub(crate) struct Global {
    /// A node's HTTP address; the next one is asked where one is not there. Default: what the file says, else
    /// http://127.0.0.1:7380.
    #[arg(
        id = "node_url",
        long = "node",
        global = true,
        env = "COTERIE_NODE",
        value_delimiter = ',',
        value_name = "URL",
        hide_env_values = true,
        help_heading = "Everywhere"
    )]
    pub(crate) node: Vec<String>,
    /// A file with the token that nodes know you by.
    #[arg(long, global = true, value_name = "FILE", help_heading = "Everywhere")]
    token_file: Option<PathBuf>,
    /// The authority of nodes' HTTPS certificates (PEM).
    #[arg(
        long,
        global = true,
        env = "COTERIE_CA",
        value_name = "FILE",
        hide_env_values = true,
        help_heading = "Everywhere"
    )]
    ca: Option<PathBuf>,
    /// Answer with JSON, one value for each command; failures too, on standard error.
    #[arg(long, global = true, help_heading = "Everywhere")]
    json: bool,
    /// Do not ask before what cannot be undone.
    #[arg(long, short = 'y', global = true, help_heading = "Everywhere")]
    yes: bool,
    /// How long a node may take to answer.
    #[arg(long, global = true, value_name = "TIME", default_value = "30s", value_parser = time, help_heading = "Everywhere")]
    within: Duration,
}

/// The file with what one would have to say each time: `coterie/cli.toml` in the folder of configurations.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    #[serde(default)]
    node: Vec<String>,
    token_file: Option<PathBuf>,
    ca: Option<PathBuf>,
}

impl Kept {
    fn read() -> Result<Kept, Failure> {
        let folder = env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
        let folder = folder.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".config")));
        let Some(path) = folder.map(|it| it.join("coterie/cli.toml")).filter(|it| it.is_file())
        else {
            return Ok(Kept::default());
        };
        let text = fs::read_to_string(&path).map_err(Failure::file(&path))?;
        toml::from_str(&text)
            .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
    }
}

impl Global {
    /// As for a session, with what one line of it says of how to answer.
    pub(crate) fn with(&self, line: &Global) -> Global {
        Global { json: self.json || line.json, yes: self.yes || line.yes, ..self.clone() }
    }

    pub(crate) fn form(&self) -> Form {
        if self.json { Form::Json } else { Form::Human }
    }

    pub(crate) fn output(&self) -> Output {
        Output { form: self.form() }
    }

    pub(crate) fn consent(&self) -> Consent {
        if self.yes { Consent::Given } else { Consent::Wanted }
    }

    /// How long a node may take to answer.
    pub(crate) fn within(&self) -> Duration {
        self.within
    }

    /// A client of the nodes that were named.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        self.client_for(self.within, Keep::Nothing)
    }

    /// A client that waits so long, and keeps connections.
    pub(crate) fn client_for(&self, within: Duration, keep: Keep) -> Result<Client, Failure> {
        let kept = Kept::read()?;
        let nodes = match (&self.node[..], &kept.node[..]) {
            ([], []) => &[NODE.to_owned()],
            ([], kept) => kept,
            (given, _) => given,
        };
        let token = match env::var("COTERIE_TOKEN") {
            Ok(token) if self.token_file.is_none() => Some(token),
            Ok(_) | Err(_) => {
                let file = self.token_file.as_ref().or(kept.token_file.as_ref());
                file.map(|file| fs::read_to_string(file).map_err(Failure::file(file)))
                    .transpose()?
            }
        };
        let token = token.map(|token| token.trim().to_owned());
        if token.as_ref().is_some_and(|token| token.is_empty() || !token.is_ascii()) {
            return Err(Failure::usage(
                "the token is no token: `coterie-node user token` draws one",
            ));
        }
        Client::new(nodes, token, self.ca.as_deref().or(kept.ca.as_deref()), within, keep)
    }
}

/// A time such as `500ms`, `10s`, `5m`, `1h` or `7d`.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no time: give one such as 500ms, 10s, 5m, 1h or 7d");
    let digits = text.find(|it: char| !it.is_ascii_digit()).ok_or_else(wrong)?;
    let (count, unit) = text.split_at(digits);
    let count: u64 = count.parse().map_err(|_error| wrong())?;
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    count.checked_mul(millis).map(Duration::from_millis).ok_or_else(wrong)
}

/// A time as nodes take it.
pub(crate) fn shown(time: Duration) -> String {
    format!("{}ms", time.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        assert_eq!(time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(time("7d"), Ok(Duration::from_secs(604_800)));
        for wrong in ["", "10", "s", "1w", "-1s", "99999999999999999999s", "18446744073709551615d"]
        {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }
}
