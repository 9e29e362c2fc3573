//! Settings as people read them: a `coterie.toml` that says the same.

use std::fmt::Write;
use std::path::PathBuf;

use super::Sources;
use super::table::{FIELDS, Layer};
use super::units::{Endpoint, Listen, LogFormat, Size, Span, SpreadOver, Sync, Zone};

/// A value as TOML has it.
trait Shown {
    fn shown(&self) -> String;
}

macro_rules! shown {
    (bare: $($bare:ty),+; quoted: $($quoted:ty),+) => {
        $(impl Shown for $bare {
            fn shown(&self) -> String {
                self.to_string()
            }
        })+
        $(impl Shown for $quoted {
            fn shown(&self) -> String {
                toml::Value::String(self.to_string()).to_string()
            }
        })+
    };
}

shown!(
    bare: bool, u8, u16, u32, usize;
    quoted: String, Endpoint, Listen, LogFormat, Size, Span, SpreadOver, Sync, Zone
);

impl Shown for PathBuf {
    fn shown(&self) -> String {
        toml::Value::String(self.display().to_string()).to_string()
    }
}

impl Shown for Vec<Endpoint> {
    fn shown(&self) -> String {
        let all: Vec<String> = self.iter().map(Shown::shown).collect();
        format!("[{}]", all.join(", "))
    }
}

/// Every field's value, in the order of the table.
macro_rules! values {
    ($($name:ident),+ $(,)?) => {
        fn values(layer: &Layer) -> Vec<Option<String>> {
            let Layer { $($name),+ } = layer;
            vec![$($name.as_ref().map(Shown::shown)),+]
        }
    };
}

values! {
    data_dir, certificates, backup_dir, sync, cache_bytes, lanes, bootstrap, join, partitions, replicas, spread, zone, weight,
    resp, http, gossip, peers, advertise_resp, advertise_http, advertise_gossip, advertise_peers, users,
    resp_tls_certificate, resp_tls_key, http_tls_certificate, http_tls_key, allow_insecure_resp, allow_insecure_http,
    key_bytes_max, element_bytes_max, value_bytes_max, siblings_max, requests_max, connections_max, clients_bytes_max,
    request_timeout,
    hint_bytes_max, hint_bytes_per_second, repair_bytes_per_second, sync_every, log_format, log_level,
}

impl Sources {
    /// What is in force as a `coterie.toml`, with where each value comes from. It holds names of files, no secrets.
    #[must_use]
    pub fn shown(&self) -> String {
        let mut out = String::new();
        let (given, file) = (values(&self.given), values(&self.file));
        let effective = values(&self.effective());
        for (index, field) in FIELDS.iter().enumerate() {
            let Some(value) = &effective[index] else { continue };
            let from = match (&given[index], &file[index]) {
                (Some(_), _) => "flag or environment",
                (None, Some(_)) => "file",
                (None, None) => "default",
            };
            writeln!(out, "{} = {value} # {from}", field.name).expect("a String takes all");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use clap::{CommandFactory, Parser};

    use super::super::{Arguments, settings};
    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        arguments: Arguments,
    }

    /// The example file with its commented settings in force.
    fn example() -> String {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/coterie.toml");
        let text = fs::read_to_string(path).unwrap();
        let setting =
            |line: &&str| line.split_once(" = ").is_some_and(|(name, _)| !name.contains(' '));
        let lines = text.lines().filter_map(|line| line.strip_prefix('#')).filter(setting);
        lines.fold(String::new(), |all, line| all + line + "\n")
    }

    #[test]
    fn the_example_file_shows_every_field_and_its_default() {
        let text = example();
        let layer: Layer = toml::from_str(&text).unwrap();
        let table: toml::Table = text.parse().unwrap();
        let machine = ["lanes", "cache_bytes", "clients_bytes_max"];
        let (shown, defaults) = (values(&layer), values(&settings::defaults()));
        for (index, field) in FIELDS.iter().enumerate() {
            assert!(table.contains_key(field.name), "{} is not in docs/coterie.toml", field.name);
            if defaults[index].is_some() && !machine.contains(&field.name) {
                assert_eq!(shown[index], defaults[index], "{} in docs/coterie.toml", field.name);
            }
        }
        assert_eq!(table.len(), FIELDS.len());
    }

    #[test]
    fn a_field_has_one_name_in_three_spellings() {
        for field in FIELDS {
            assert_eq!(field.flag, field.name.replace('_', "-"));
            assert_eq!(field.variable, format!("COTERIE_{}", field.name.to_uppercase()));
        }
        let command = Command::command();
        let mut flags: BTreeMap<String, bool> = BTreeMap::new();
        for argument in command.get_arguments() {
            let about = argument.get_help().is_some_and(|help| !help.to_string().is_empty());
            flags.insert(argument.get_long().unwrap().to_owned(), about);
        }
        for field in FIELDS {
            assert_eq!(flags.get(field.flag), Some(&true), "--{}", field.flag);
        }
    }

    #[test]
    fn a_flag_goes_before_the_file_and_the_file_before_the_default() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "weight = 3\nlanes = 2\nresp = \"127.0.0.1:1\"\n").unwrap();
        let path = file.path().to_str().unwrap();
        let flags = [
            "x",
            "--config",
            path,
            "--weight",
            "5",
            "--join",
            "a:1",
            "--join",
            "b:2",
            "--bootstrap",
        ];
        let arguments = Command::try_parse_from(flags).unwrap().arguments;
        let sources = Sources::read(arguments).unwrap();
        let effective = sources.effective();
        assert_eq!((effective.weight, effective.lanes), (Some(5), Some(2)));
        assert_eq!(effective.join.as_ref().unwrap().len(), 2);
        assert_eq!(effective.bootstrap, Some(true));
        let shown = sources.shown();
        assert!(shown.contains("weight = 5 # flag or environment\n"), "{shown}");
        assert!(shown.contains("resp = \"127.0.0.1:1\" # file\n"), "{shown}");
        assert!(shown.contains("http = \"127.0.0.1:7380\" # default\n"), "{shown}");
        let again: Layer = toml::from_str(&shown).unwrap();
        assert_eq!(again, effective);
    }

    #[test]
    fn errors_of_flags_and_of_the_file_name_the_field_and_what_was_given() {
        let error = Command::try_parse_from(["x", "--resp", "7379"]).unwrap_err().to_string();
        assert!(
            error.contains("--resp") && error.contains("\"7379\" is not an address"),
            "{error}"
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        let read = |text: &str| {
            fs::write(file.path(), text).unwrap();
            let config = Some(file.path().to_owned());
            Sources::read(Arguments { config, layer: Layer::default() }).unwrap_err().to_string()
        };
        let error = read("sync_every = \"soon\"\n");
        assert!(
            error.contains("sync_every") && error.contains("\"soon\" is not a time"),
            "{error}"
        );
        let error = read("wieght = 3\n");
        assert!(error.contains("wieght") && error.contains("weight"), "{error}");
        let missing = Arguments { config: Some("no/such.toml".into()), layer: Layer::default() };
        assert!(Sources::read(missing).unwrap_err().to_string().contains("no such file"));
    }
}
