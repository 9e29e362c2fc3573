//! What is shown on standard output: tables and sentences for people, JSON for programs.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

use crate::failure::Failure;

/// How results are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// For people.
    Human,
    /// One value of JSON for each command.
    Json,
}

/// Standard output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    pub(crate) form: Form,
}

impl Output {
    /// Shows a result: as it is to programs, as `human` makes it to people.
    pub(crate) fn show(
        self,
        result: &Value,
        human: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        match self.form {
            Form::Json => line(&result.to_string()),
            Form::Human => line(human().trim_end_matches('\n')),
        }
    }
}

/// A line on standard output. Nobody need listen: what reads it may have ended.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("standard output: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A table with a head, without lines: columns that `awk` can take apart too.
pub(crate) fn table<const N: usize>(
    head: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(head);
    for row in rows {
        // Columns stay columns: what is empty says so.
        table.add_row(row.map(|cell| if cell.is_empty() { "-".to_owned() } else { cell }));
    }
    let last = N.saturating_sub(1);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if index == last { 0 } else { 2 }));
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// `name  value` lines, aligned.
pub(crate) fn facts(facts: &[(&str, String)]) -> String {
    let width = facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    facts.iter().map(|(name, value)| format!("{name:width$}  {value}\n")).collect()
}

/// A text in JSON, or what else there is, for people; `-` where there is nothing.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        other => other.to_string(),
    }
}

/// The beginning of a node's id, which is enough for people.
pub(crate) fn short(id: &Value) -> String {
    let id = text(id);
    id.get(..8).map_or(id.clone(), str::to_owned)
}

/// Short ids with commas.
pub(crate) fn shorts(ids: &Value) -> String {
    let ids = ids.as_array().map(Vec::as_slice).unwrap_or_default();
    if ids.is_empty() {
        "-".to_owned()
    } else {
        ids.iter().map(short).collect::<Vec<_>>().join(", ")
    }
}

/// Bytes for people.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut whole, mut unit) = (count, 0);
    let mut tenths = 0;
    while whole >= 1_024 && unit + 1 < UNITS.len() {
        tenths = whole % 1_024 * 10 / 1_024;
        whole /= 1_024;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{whole}.{tenths} {}", UNITS[unit]) }
}

/// Seconds for people.
pub(crate) fn seconds(count: u64) -> String {
    match count {
        0..60 => format!("{count} s"),
        60..3_600 => format!("{} min {} s", count / 60, count % 60),
        3_600..86_400 => format!("{} h {} min", count / 3_600, count % 3_600 / 60),
        _ => format!("{} d {} h", count / 86_400, count % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_shown_in_units_that_people_read() {
        let cases = [(0, "0 B"), (1_023, "1023 B"), (1_024, "1.0 KiB"), (1_536, "1.5 KiB")];
        for (count, shown) in cases {
            assert_eq!(bytes(count), shown);
        }
        assert_eq!(bytes(u64::MAX), "16777215.9 TiB");
        assert_eq!(seconds(59), "59 s");
        assert_eq!(seconds(3_661), "1 h 1 min");
        assert_eq!(seconds(90_000), "1 d 1 h");
    }

    #[test]
    fn tables_have_columns_and_nothing_else() {
        let shown =
            table(["name", "value"], [["a".into(), "1".into()], ["long".into(), String::new()]]);
        assert_eq!(shown, "name  value\na     1\nlong  -\n");
        assert_eq!(facts(&[("a", "1".into()), ("long", "2".into())]), "a     1\nlong  2\n");
    }
}
