//! Commands on data: one key each, of any type, out of one table.

mod given;
mod reply;
mod table;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, Subcommand};
use serde_json::{Value, json};

use crate::client::{Client, json_bytes};
use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::setup::Global;
use given::Given;
use table::{COMMANDS, DataCommand};

pub(crate) use reply::value as shown_value;

/// The bucket that is meant where none is named.
pub(crate) const BUCKET: &str = "db0";

/// Where data is, and how many owners are to take part.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct At {
    /// The bucket. Default: db0.
    #[arg(long, short, env = "COTERIE_BUCKET", hide_env_values = true)]
    pub(crate) bucket: Option<String>,
    /// What a write waits for, and a read asks: any, one, two, three, quorum, all, local_one, local_quorum,
    /// each_quorum or linearizable. Default: the bucket's own.
    #[arg(long)]
    pub(crate) level: Option<String>,
    /// What a read asks, and a write that observes asks first.
    #[arg(long)]
    pub(crate) read_level: Option<String>,
}

impl At {
    pub(crate) fn bucket(&self) -> &str {
        self.bucket.as_deref().unwrap_or(BUCKET)
    }

    /// What is not said here, as it is said there.
    pub(crate) fn or(&self, other: &At) -> At {
        At {
            bucket: self.bucket.clone().or_else(|| other.bucket.clone()),
            level: self.level.clone().or_else(|| other.level.clone()),
            read_level: self.read_level.clone().or_else(|| other.read_level.clone()),
        }
    }

    /// A request for operations on a key.
    pub(crate) fn request(&self, global: &Global, key: &Value, operations: &[Value]) -> Value {
        // The node gives up a little before this side does, and says what is known.
        let timeout = global.within().mul_f64(0.9).min(std::time::Duration::from_secs(60));
        let mut body = json!({
            "bucket": self.bucket(),
            "key": key,
            "operations": operations,
            "timeout": crate::setup::shown(timeout),
        });
        // What is linearizable is so of reads and writes together.
        let linearizable = self.level.as_ref().filter(|level| *level == "linearizable");
        let read_level = self.read_level.as_ref().or(linearizable);
        for (name, level) in [("level", self.level.as_ref()), ("read_level", read_level)] {
            if let Some(level) = level {
                body[name] = json!(level);
            }
        }
        body
    }
}

/// A command on a key, as it was given.
#[derive(Clone, Debug)]
pub(crate) struct DataLine {
    command: &'static DataCommand,
    key: Vec<u8>,
    given: Given,
    at: At,
}

fn described(command: &'static DataCommand) -> Command {
    let key = Arg::new("KEY")
        .value_name("KEY")
        .required(true)
        .value_parser(clap::value_parser!(OsString));
    let base64 = Arg::new("base64")
        .long("base64")
        .help("Key and values are given in base64")
        .action(clap::ArgAction::SetTrue);
    let mut described = given::command(command.name, command.about, &[]).arg(key);
    described = described.args(command.words.iter().map(|word| word.arg())).arg(base64);
    // Which brings what it says of itself along.
    At::augment_args(described).about(command.about)
}

impl FromArgMatches for DataLine {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let found = matches.subcommand().and_then(|(name, sub)| {
            Some((COMMANDS.iter().find(|command| command.name == name)?, sub))
        });
        let (command, matches) =
            found.ok_or_else(|| clap::Error::new(clap::error::ErrorKind::MissingSubcommand))?;
        let key = matches.get_one::<OsString>("KEY").cloned().unwrap_or_default().into_vec();
        let base64 = matches.get_flag("base64");
        let given = Given::read(command.words, matches, base64);
        let key = if base64 { given::decoded(&key)? } else { key };
        Ok(DataLine { command, key, given, at: At::from_arg_matches(matches)? })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = DataLine::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Subcommand for DataLine {
    fn augment_subcommands(line: Command) -> Command {
        line.subcommands(COMMANDS.iter().map(described))
    }

    fn augment_subcommands_for_update(line: Command) -> Command {
        DataLine::augment_subcommands(line)
    }

    fn has_subcommand(name: &str) -> bool {
        COMMANDS.iter().any(|command| command.name == name)
    }
}

impl DataLine {
    pub(crate) fn carry_out(&self, global: &Global) -> Result<(), Failure> {
        self.run(global, &global.client()?, &At::default())
    }

    /// Does it by a client, with what `default` says where the command says nothing.
    pub(crate) fn run(
        &self,
        global: &Global,
        client: &Client,
        default: &At,
    ) -> Result<(), Failure> {
        let operation = (self.command.make)(&self.given)?;
        let at = self.at.or(default);
        let answer = client.operate(&at.request(global, &json_bytes(&self.key), &[operation]))?;
        show(global.output(), &answer)
    }
}

/// Shows the one reply of an answer. That there is nothing has an exit code of its own.
fn show(output: Output, answer: &Value) -> Result<(), Failure> {
    let first = &answer["replies"][0];
    if let Some(error) = first.get("error") {
        return Err(refused(error));
    }
    let reply = &first["reply"];
    let mut result = answer.clone();
    if let Some(fields) = result.as_object_mut() {
        fields.remove("replies");
        fields.insert("reply".to_owned(), reply.clone());
    }
    output.show(&result, || reply::human(reply))?;
    // It is shown: there is nothing to be told.
    if reply.is_null() { Err(Failure::not_so("")) } else { Ok(()) }
}

/// An operation that failed and changed nothing.
pub(crate) fn refused(error: &Value) -> Failure {
    let word = |name: &str| error[name].as_str().map(str::to_owned);
    let kind = if error["error"] == "no_such_key" { Kind::NotSo } else { Kind::Refused };
    Failure {
        kind,
        error: word("error"),
        detail: word("detail").unwrap_or_else(|| "the operation failed".to_owned()),
        what_to_do: word("what_to_do"),
    }
}

/// `coterie del`: deletes keys, each by itself.
#[derive(Args, Clone, Debug)]
pub(crate) struct Delete {
    /// The keys.
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<OsString>,
    #[command(flatten)]
    at: At,
}

impl Delete {
    pub(crate) fn run(
        &self,
        global: &Global,
        client: &Client,
        default: &At,
    ) -> Result<(), Failure> {
        let at = self.at.or(default);
        let (mut deleted, mut outcomes, mut worst) = (0_u64, Vec::new(), None);
        for key in &self.keys {
            let key = json_bytes(&key.clone().into_vec());
            let operation = json!({"operation": "key.delete"});
            match client.operate(&at.request(global, &key, &[operation])) {
                Ok(answer) => {
                    let was = answer["replies"][0]["reply"].as_u64().unwrap_or(0);
                    deleted += was;
                    outcomes.push(json!({"key": key, "outcome": "done", "deleted": was == 1}));
                }
                Err(failure) => {
                    outcomes.push(json!({"key": key, "outcome": failure.json()["outcome"], "detail": failure.detail}));
                    worst = Some(failure);
                }
            }
        }
        let result = json!({"deleted": deleted, "keys": outcomes});
        global.output().show(&result, || deleted.to_string())?;
        worst.map_or(Ok(()), Err)
    }
}
