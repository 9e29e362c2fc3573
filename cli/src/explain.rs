//! `coterie explain`: who owns a key, who said what of it, and what its cells hold; and `coterie keys`.

use clap::Args;
use serde_json::{Value, json};

use crate::client::segment;
use crate::data::{At, shown_value};
use crate::failure::Failure;
use crate::output::Form;
use crate::output::{facts, line, shorts, table, text};
use crate::setup::Global;

/// Show who owns a key, who said what of it, and the dots of its cells.
#[derive(Args, Clone, Debug)]
pub(crate) struct Explain {
    /// The key.
    key: String,
    #[command(flatten)]
    at: At,
}

/// A query of those that are given.
fn query(parts: &[(&str, Option<&str>)]) -> String {
    let given: Vec<String> = parts
        .iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", segment((*value)?.as_bytes()))))
        .collect();
    if given.is_empty() { String::new() } else { format!("?{}", given.join("&")) }
}

impl Explain {
    pub(crate) fn carry_out(&self, global: &Global, default: &At) -> Result<(), Failure> {
        let at = self.at.or(default);
        let level = at.read_level.as_deref().or(at.level.as_deref());
        let path = format!(
            "/v1/explain/{}/{}{}",
            segment(at.bucket().as_bytes()),
            segment(self.key.as_bytes()),
            query(&[("level", level)])
        );
        let said = global.client()?.get(&path)?;
        global.output().show(&said, || human(&said))
    }
}

fn human(said: &Value) -> String {
    let explanation = &said["explanation"];
    let mut shown = facts(&[
        ("key", shown_value(&said["key"])),
        ("bucket", text(&said["bucket"])),
        ("type", text(&said["type"])),
        ("owners", shorts(&explanation["owners"])),
        ("older owners", shorts(&explanation["older_owners"])),
        ("answered", shorts(&said["owners"])),
        ("fallbacks", shorts(&said["fallbacks"])),
        ("hinted for", shorts(&explanation["hinted"])),
        ("coordinator", text(&explanation["coordinator"])),
        ("digest", text(&explanation["digest"])),
        ("purge epoch", text(&said["purge_epoch"])),
    ]);
    let rows = |list: &Value, names: [&str; 2], second: fn(&Value) -> String| -> Vec<[String; 2]> {
        let items = list.as_array().into_iter().flatten();
        items.map(|it| [shown_value(&it[names[0]]), second(&it[names[1]])]).collect()
    };
    let answers = rows(&explanation["answers"], ["node", "said"], shown_value);
    if !answers.is_empty() {
        shown.push('\n');
        shown.push_str(&table(["node", "said"], answers));
    }
    let dots = rows(&explanation["dots"], ["cell", "dots"], |dots| {
        dots.as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join(" ")
    });
    if !dots.is_empty() {
        shown.push('\n');
        shown.push_str(&table(["cell", "dots"], dots));
    }
    shown
}

/// Show the keys of a bucket.
#[derive(Args, Clone, Debug)]
pub(crate) struct Keys {
    /// Only keys that begin so.
    #[arg(long)]
    prefix: Option<String>,
    /// Only keys of this type: string, hash, set, zset, list, …
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// So many at most; 0 for all.
    #[arg(long, default_value_t = 1_000)]
    limit: u64,
    #[command(flatten)]
    at: At,
}

impl Keys {
    pub(crate) fn carry_out(&self, global: &Global, default: &At) -> Result<(), Failure> {
        let at = self.at.or(default);
        let client = global.client()?;
        let (mut shown, mut all, mut cursor) = (0_u64, Vec::new(), None::<String>);
        loop {
            let left = if self.limit == 0 { 1_000 } else { (self.limit - shown).min(1_000) };
            let path = format!(
                "/v1/scan/{}{}",
                segment(at.bucket().as_bytes()),
                query(&[
                    ("count", Some(&left.to_string())),
                    ("prefix", self.prefix.as_deref()),
                    ("type", self.kind.as_deref()),
                    ("level", at.read_level.as_deref().or(at.level.as_deref())),
                    ("cursor", cursor.as_deref()),
                ])
            );
            let page = client.get(&path)?;
            for key in page["keys"].as_array().into_iter().flatten() {
                if self.limit > 0 && shown >= self.limit {
                    break;
                }
                shown += 1;
                match global.form() {
                    // Page by page: there may be more keys than memory.
                    Form::Human => {
                        line(&format!("{}\t{}", text(&key["type"]), shown_value(&key["key"])))?
                    }
                    Form::Json => all.push(key.clone()),
                }
            }
            cursor = page["cursor"].as_str().map(str::to_owned);
            if cursor.is_none() || self.limit > 0 && shown >= self.limit {
                break;
            }
        }
        match global.form() {
            Form::Human => Ok(()),
            Form::Json => line(&json!({"keys": all, "cursor": cursor}).to_string()),
        }
    }
}
