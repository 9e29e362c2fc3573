//! `coterie export`.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::PathBuf;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::{Line, Progress};
use crate::client::{Client, Keep, segment};
use crate::data::{At, refused};
use crate::failure::{Failure, Kind};
use crate::setup::Global;

/// Members of a part.
const PART: u64 = 500;

/// Keys of a page; after each page it is kept how far the export is.
const PAGE: u64 = 200;

/// Write the keys of a bucket to a file, as lines of JSON.
///
/// What is written while it runs may or may not be in the file. Maps, flags and HyperLogLogs are exported too, but for
/// remove-wins and grow-only sets and disable-wins flags, which are named at the end.
#[derive(Args, Clone, Debug)]
pub(crate) struct Export {
    /// The file.
    file: PathBuf,
    /// Only keys that begin so.
    #[arg(long)]
    prefix: Option<String>,
    /// Go on with an export of this file that was interrupted.
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    at: At,
}

/// What an operation on a key of some type reads, part by part.
fn reading(kind: &str) -> Option<&'static str> {
    match kind {
        "string" => Some("string.get"),
        "set" => Some("set.scan"),
        "hash" => Some("hash.scan"),
        "zset" => Some("sorted_set.scan"),
        "list" => Some("list.range"),
        "map" => Some("map.entries"),
        "flag" => Some("flag.read"),
        _ => None,
    }
}

impl Export {
    pub(crate) fn carry_out(&self, global: &Global, default: &At) -> Result<(), Failure> {
        let at = self.at.or(default);
        let client = global.client_for(global.within(), Keep::Connections(1))?;
        let mut progress = if self.resume {
            Progress::interrupted("export", &self.file)?
        } else {
            Progress::begun("export", &self.file)?
        };
        let failed = || Failure::file(&self.file);
        let mut file = if self.resume {
            File::options().write(true).open(&self.file).map_err(failed())?
        } else {
            File::create_new(&self.file).map_err(failed())?
        };
        // What came after the last page that was kept is written again.
        file.set_len(progress.bytes).map_err(failed())?;
        file.seek(SeekFrom::Start(progress.bytes)).map_err(failed())?;
        let mut out =
            Out { writer: BufWriter::new(file), bytes: progress.bytes, lines: progress.lines };
        let bar = ProgressBar::no_length();
        let style = ProgressStyle::with_template("{pos} keys, {msg} ({elapsed}, {per_sec})");
        bar.set_style(style.expect("the template is well-formed"));
        let mut left_out: Vec<Value> = Vec::new();
        loop {
            let page = client.get(&self.page(&at, progress.cursor.as_deref()))?;
            for key in page["keys"].as_array().into_iter().flatten() {
                match export_key(global, &client, &at, key, &mut out) {
                    Ok(true) => progress.keys += 1,
                    Ok(false) => left_out.push(key.clone()),
                    Err(Stop::File(error)) => return Err(failed()(error)),
                    Err(Stop::Failure(failure)) => {
                        let shown = key["key"].to_string();
                        return Err(Failure {
                            detail: format!("key {shown}: {}", failure.detail),
                            ..failure
                        });
                    }
                }
                bar.set_position(progress.keys);
                bar.set_message(crate::output::bytes(out.bytes));
            }
            out.writer.flush().and_then(|()| out.writer.get_ref().sync_data()).map_err(failed())?;
            (progress.bytes, progress.lines) = (out.bytes, out.lines);
            progress.cursor = page["cursor"].as_str().map(str::to_owned);
            if progress.cursor.is_none() {
                break;
            }
            progress.keep(&self.file)?;
        }
        bar.finish_and_clear();
        Progress::done(&self.file)?;
        let result = json!({
            "file": self.file, "keys": progress.keys, "lines": progress.lines, "bytes": progress.bytes, "left_out": left_out,
        });
        global.output().show(&result, || {
            let mut said = format!(
                "{} keys in {} lines, {}",
                progress.keys,
                progress.lines,
                crate::output::bytes(progress.bytes)
            );
            for key in &left_out {
                said.push_str(&format!("\nnot exported: {} ({})", key["key"], key["type"]));
            }
            said
        })?;
        if left_out.is_empty() {
            return Ok(());
        }
        let failure = Failure::new(
            Kind::NotSo,
            format!("{} keys are of types that are not exported", left_out.len()),
        );
        Err(failure.hint("a backup holds them: `coterie backup create`"))
    }

    fn page(&self, at: &At, cursor: Option<&str>) -> String {
        let mut path = format!("/v1/scan/{}?count={PAGE}", segment(at.bucket().as_bytes()));
        let level = at.read_level.as_deref().or(at.level.as_deref());
        for (name, value) in
            [("prefix", self.prefix.as_deref()), ("cursor", cursor), ("level", level)]
        {
            if let Some(value) = value {
                path.push_str(&format!("&{name}={}", segment(value.as_bytes())));
            }
        }
        path
    }
}

struct Out {
    writer: BufWriter<File>,
    bytes: u64,
    lines: u64,
}

/// Why a key was not written.
enum Stop {
    File(std::io::Error),
    Failure(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failure(failure)
    }
}

impl Out {
    fn write(&mut self, line: &Line) -> Result<(), Stop> {
        let mut text = serde_json::to_vec(line).expect("a line is JSON");
        text.push(b'\n');
        self.writer.write_all(&text).map_err(Stop::File)?;
        self.bytes += text.len() as u64;
        self.lines += 1;
        Ok(())
    }
}

/// The reply of one operation on a key.
fn ask(
    global: &Global,
    client: &Client,
    at: &At,
    key: &Value,
    operation: Value,
) -> Result<Value, Failure> {
    let mut answer = client.operate(&at.request(global, key, &[operation]))?;
    let reply = answer["replies"][0].take();
    match reply.get("error") {
        Some(error) => Err(refused(error)),
        None => Ok(reply["reply"].clone()),
    }
}

/// Adds to each field that expires when it does.
fn note_deadlines(
    global: &Global,
    client: &Client,
    at: &At,
    key: &Value,
    pairs: &mut Value,
) -> Result<(), Failure> {
    let Some(pairs) = pairs.as_array_mut() else { return Ok(()) };
    let fields: Vec<&Value> = pairs.iter().map(|pair| &pair["field"]).collect();
    let wanted = json!({"operation": "hash.expire_time", "fields": fields});
    let times = ask(global, client, at, key, wanted)?;
    for (pair, time) in pairs.iter_mut().zip(times.as_array().into_iter().flatten()) {
        // What is negative says that there is none.
        if let Some(millis) = time.as_u64() {
            pair["expires_at"] = json!(millis);
        }
    }
    Ok(())
}

/// Writes a key, part by part; whether that is possible. A key that is gone meanwhile is written as nothing.
fn export_key(
    global: &Global,
    client: &Client,
    at: &At,
    listed: &Value,
    out: &mut Out,
) -> Result<bool, Stop> {
    let (key, kind) = (&listed["key"], listed["type"].as_str().unwrap_or_default());
    let Some(operation) = reading(kind) else { return Ok(false) };
    let expires = ask(global, client, at, key, json!({"operation": "key.expire_time"}))?;
    let expires_at = expires.as_u64();
    let (mut part, mut after) = (0, json!(null));
    loop {
        let mut wanted = json!({"operation": operation});
        match kind {
            "set" | "hash" | "zset" => {
                wanted["count"] = json!(PART);
                if part > 0 {
                    wanted["after"] = after;
                }
            }
            "list" => {
                wanted["start"] = json!(part * PART);
                wanted["stop"] = json!(part * PART + PART - 1);
            }
            _ => {}
        }
        let mut values = ask(global, client, at, key, wanted)?;
        let count = values.as_array().map_or(1, Vec::len);
        let is_nothing = values.is_null() || count == 0;
        if !is_nothing {
            if kind == "hash" {
                note_deadlines(global, client, at, key, &mut values)?;
            }
            after = match (kind, values.as_array().and_then(|all| all.last())) {
                ("hash", Some(last)) => last["field"].clone(),
                ("zset", Some(last)) => last["member"].clone(),
                (_, Some(last)) => last.clone(),
                (_, None) => json!(null),
            };
            let expires_at = expires_at.filter(|_| part == 0);
            out.write(&Line {
                key: key.clone(),
                r#type: kind.to_owned(),
                part,
                values,
                expires_at,
            })?;
        } else {
            return Ok(true);
        }
        let in_parts = matches!(kind, "set" | "hash" | "zset" | "list");
        if !in_parts || (count as u64) < PART {
            return Ok(true);
        }
        part += 1;
    }
}
