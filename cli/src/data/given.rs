//! The words of a data command: how they are described to clap, and what was given for them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Value, json};

use crate::client::json_bytes;
use crate::failure::Failure;

/// One thing that a data command takes, beside its key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Word {
    /// Exactly one.
    One(&'static str),
    /// One or none.
    Maybe(&'static str),
    /// One or more.
    Many(&'static str),
    /// `--name`.
    Flag(&'static str, &'static str),
    /// `--name VALUE`.
    Option(&'static str, &'static str, &'static str),
}

impl Word {
    pub(super) fn arg(self) -> Arg {
        let any = clap::value_parser!(OsString);
        match self {
            Word::One(name) => Arg::new(name)
                .value_name(name)
                .required(true)
                .allow_hyphen_values(true)
                .value_parser(any),
            Word::Maybe(name) => {
                Arg::new(name).value_name(name).allow_hyphen_values(true).value_parser(any)
            }
            Word::Many(name) => Arg::new(name)
                .value_name(name)
                .required(true)
                .num_args(1..)
                .allow_negative_numbers(true)
                .value_parser(any),
            Word::Flag(name, about) => {
                Arg::new(name).long(name).help(about).action(ArgAction::SetTrue)
            }
            Word::Option(name, value, about) => Arg::new(name)
                .long(name)
                .value_name(value)
                .help(about)
                .allow_negative_numbers(true)
                .value_parser(any),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Word::One(name) | Word::Maybe(name) | Word::Many(name) | Word::Flag(name, _) => name,
            Word::Option(name, ..) => name,
        }
    }
}

/// What was given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    words: BTreeMap<&'static str, Vec<Vec<u8>>>,
    flags: BTreeSet<&'static str>,
    base64: bool,
}

impl Given {
    pub(super) fn read(words: &[Word], matches: &ArgMatches, base64: bool) -> Given {
        let mut given = Given { base64, ..Given::default() };
        for word in words {
            let name = word.name();
            if let Word::Flag(..) = word {
                if matches.get_flag(name) {
                    given.flags.insert(name);
                }
            } else if let Some(values) = matches.get_many::<OsString>(name) {
                let values = values.map(|it| it.clone().into_vec()).collect();
                given.words.insert(name, values);
            }
        }
        given
    }

    fn all(&self, name: &'static str) -> &[Vec<u8>] {
        self.words.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    fn bytes(&self, name: &'static str, given: &[u8]) -> Result<Vec<u8>, Failure> {
        if !self.base64 {
            return Ok(given.to_vec());
        }
        STANDARD
            .decode(given)
            .map_err(|error| Failure::usage(format!("{name} is no base64: {error}")))
    }

    /// A value, as nodes take it.
    pub(super) fn value(&self, name: &'static str) -> Result<Value, Failure> {
        let first = self.all(name).first().map(Vec::as_slice).unwrap_or_default();
        Ok(json_bytes(&self.bytes(name, first)?))
    }

    /// Values, as nodes take them.
    pub(super) fn values(&self, name: &'static str) -> Result<Value, Failure> {
        let values = self.all(name).iter().map(|it| Ok(json_bytes(&self.bytes(name, it)?)));
        values.collect::<Result<Vec<_>, Failure>>().map(Value::Array)
    }

    /// Values two by two, under these names; the first may be a number.
    pub(super) fn pairs(&self, name: &'static str, names: [&str; 2]) -> Result<Value, Failure> {
        let all = self.all(name);
        if !all.len().is_multiple_of(2) {
            return Err(Failure::usage(format!(
                "give pairs: {} {}",
                names[0].to_uppercase(),
                names[1].to_uppercase()
            )));
        }
        let pairs = all.chunks_exact(2).map(|pair| {
            let first = if names[0] == "score" {
                number(&pair[0])?
            } else {
                json_bytes(&self.bytes(name, &pair[0])?)
            };
            Ok(json!({names[0]: first, names[1]: json_bytes(&self.bytes(name, &pair[1])?)}))
        });
        pairs.collect::<Result<Vec<_>, Failure>>().map(Value::Array)
    }

    /// The segments of a path.
    pub(super) fn path(&self, name: &'static str) -> Result<Value, Failure> {
        let first = self.all(name).first().map(Vec::as_slice).unwrap_or_default();
        let segments = first.split(|byte| *byte == b'/').filter(|segment| !segment.is_empty());
        let segments = segments.map(|segment| Ok(json_bytes(&self.bytes(name, segment)?)));
        let segments: Vec<Value> = segments.collect::<Result<_, Failure>>()?;
        if segments.is_empty() {
            return Err(Failure::usage("a path has at least one segment, such as address/city"));
        }
        Ok(Value::Array(segments))
    }

    /// Text, where it was given.
    pub(super) fn text(&self, name: &'static str) -> Option<String> {
        self.all(name).first().map(|it| String::from_utf8_lossy(it).into_owned())
    }

    pub(super) fn has(&self, name: &'static str) -> bool {
        self.flags.contains(name) || self.words.contains_key(name)
    }

    /// An integer, where it was given.
    pub(super) fn integer(&self, name: &'static str) -> Result<Option<i64>, Failure> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let parsed = text.parse();
        parsed.map(Some).map_err(|_error| Failure::usage(format!("{name}: {text:?} is no integer")))
    }

    /// An integer that has to be there.
    pub(super) fn the_integer(&self, name: &'static str) -> Result<i64, Failure> {
        let missing = || Failure::usage(format!("{name} is missing"));
        self.integer(name)?.ok_or_else(missing)
    }

    /// A number, or an infinity in words.
    pub(super) fn number(&self, name: &'static str) -> Result<Value, Failure> {
        number(self.all(name).first().map(Vec::as_slice).unwrap_or_default())
    }

    /// One end of a range: `5` includes 5, `(5` does not, `-inf` and `+inf` have no end.
    pub(super) fn bound(&self, name: &'static str) -> Result<Value, Failure> {
        let text = self.text(name).unwrap_or_default();
        let (kind, text) = match text.strip_prefix('(') {
            Some(text) => ("beyond", text.to_owned()),
            None => ("from", text),
        };
        Ok(json!({kind: number(text.as_bytes())?}))
    }
}

fn number(given: &[u8]) -> Result<Value, Failure> {
    let text = String::from_utf8_lossy(given);
    match text.to_ascii_lowercase().as_str() {
        "inf" | "+inf" => Ok(json!("inf")),
        "-inf" => Ok(json!("-inf")),
        _ => {
            let parsed: Result<f64, _> = text.parse();
            let parsed = parsed.ok().filter(|it| it.is_finite());
            let wrong = || Failure::usage(format!("{text:?} is no number"));
            parsed.map(|it| json!(it)).ok_or_else(wrong)
        }
    }
}

/// The command of clap with these words.
pub(super) fn command(name: &'static str, about: &'static str, words: &[Word]) -> Command {
    Command::new(name).about(about).args(words.iter().map(|word| word.arg()))
}

/// What a key in base64 says.
pub(super) fn decoded(given: &[u8]) -> Result<Vec<u8>, clap::Error> {
    STANDARD.decode(given).map_err(|error| {
        clap::Error::raw(
            clap::error::ErrorKind::ValueValidation,
            format!("KEY is no base64: {error}\n"),
        )
    })
}
