//! Completions for shells, the manual page, and the reference in `docs/cli.md`: all out of the command line itself.

use std::io::Write;

use clap::{Arg, Command};
use clap_complete::Shell;

use crate::failure::{EXIT_CODES, Failure};
use crate::output::line;

/// Writes completions.
pub(crate) fn completions(shell: Shell, mut command: Command) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, "coterie", &mut text);
    write_out(&text)
}

/// Writes the manual page, with all commands.
pub(crate) fn manual(command: Command) -> Result<(), Failure> {
    let mut text = Vec::new();
    let mut pages = vec![command.flatten_help(true)];
    let failed = |error| Failure::failed(format!("the manual: {error}"));
    while let Some(page) = pages.pop() {
        clap_mangen::Man::new(page).render(&mut text).map_err(failed)?;
    }
    write_out(&text)
}

fn write_out(text: &[u8]) -> Result<(), Failure> {
    // Who reads it may have had enough.
    drop(std::io::stdout().lock().write_all(text));
    Ok(())
}

/// Writes the reference.
pub(crate) fn reference(mut command: Command) -> Result<(), Failure> {
    command.build();
    let mut text = String::from(
        "# The command line\n\n\
         Made from the program itself, by `coterie reference > docs/cli.md`; a test holds this page against it.\n\n\
         Every command takes `--json` and then answers with one value of JSON on standard output; failures are told on \
         standard error, as JSON too. What cannot be undone shows what it would do and asks; `--yes` skips that, and where \
         nobody can be asked nothing is done. Progress is shown on standard error where that is a terminal.\n\n```text\n",
    );
    text.push_str(EXIT_CODES);
    text.push_str("\n```\n");
    let everywhere: Vec<&Arg> =
        command.get_arguments().filter(|argument| argument.is_global_set()).collect();
    text.push_str("\n## Everywhere\n\n");
    for argument in &everywhere {
        describe_argument(argument, &mut text);
    }
    text.push_str(
        "\nNodes, the token file and the authority can also be named in `~/.config/coterie/cli.toml`, as `node = [\"URL\", …]`, \
         `token_file` and `ca`. `COTERIE_TOKEN` holds a token itself.\n",
    );
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        describe("coterie", sub, 2, &mut text);
    }
    line(text.trim_end())
}

fn describe(parent: &str, command: &Command, depth: usize, text: &mut String) {
    if command.get_name() == "help" {
        return;
    }
    let name = format!("{parent} {}", command.get_name());
    let about = command.get_long_about().or_else(|| command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    text.push_str(&format!(
        "\n{} `{name}{}`\n\n{}\n",
        "#".repeat(depth),
        usage(command),
        ended(&about)
    ));
    let own = command.get_arguments().filter(|argument| {
        !argument.is_global_set()
            && !argument.is_hide_set()
            && !["help", "version"].contains(&argument.get_id().as_str())
    });
    let mut described = String::new();
    for argument in own {
        describe_argument(argument, &mut described);
    }
    if !described.is_empty() {
        text.push('\n');
        text.push_str(&described);
    }
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        describe(&name, sub, depth + 1, text);
    }
}

/// Its places, as the usage shows them.
fn usage(command: &Command) -> String {
    let mut shown = String::new();
    if command.has_subcommands() {
        shown.push_str(" …");
    }
    for argument in command.get_positionals() {
        let name = value_name(argument);
        let many = argument.get_num_args().is_some_and(|range| range.max_values() > 1);
        let many = if many { "…" } else { "" };
        shown.push_str(&match argument.is_required_set() {
            true => format!(" {name}{many}"),
            false => format!(" [{name}{many}]"),
        });
    }
    shown
}

fn value_name(argument: &Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    let name = names.first().map(ToString::to_string);
    name.unwrap_or_else(|| argument.get_id().as_str().to_uppercase())
}

fn describe_argument(argument: &Arg, text: &mut String) {
    let takes = argument.get_action().takes_values();
    let mut shown = match (argument.get_long(), argument.get_short()) {
        (Some(long), Some(short)) => format!("-{short}, --{long}"),
        (Some(long), None) => format!("--{long}"),
        (None, _) => value_name(argument),
    };
    if takes && argument.get_long().is_some() {
        shown = format!("{shown} {}", value_name(argument));
    }
    let about = argument.get_long_help().or_else(|| argument.get_help());
    let mut about = ended(&about.map(ToString::to_string).unwrap_or_default().replace('\n', " "));
    let possible: Vec<String> = match takes {
        true => {
            argument.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect()
        }
        false => Vec::new(),
    };
    if !possible.is_empty() {
        about.push_str(&format!(" One of {}.", possible.join(", ")));
    }
    let defaults: Vec<String> = argument
        .get_default_values()
        .iter()
        .map(|value| value.to_string_lossy().into_owned())
        .collect();
    if takes && !defaults.is_empty() {
        about.push_str(&format!(" Default: {}.", defaults.join(" ")));
    }
    if let Some(variable) = argument.get_env() {
        about.push_str(&format!(" Also as {}.", variable.to_string_lossy()));
    }
    text.push_str(&format!("- `{shown}`: {}\n", about.trim()));
}

/// A sentence, ended as one.
fn ended(sentence: &str) -> String {
    let sentence = sentence.trim();
    let ends = sentence.is_empty() || sentence.ends_with(['.', ':', '!', '?', '`']);
    if ends { sentence.to_owned() } else { format!("{sentence}.") }
}
