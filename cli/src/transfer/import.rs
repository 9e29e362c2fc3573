//! `coterie import`.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::PathBuf;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::{Line, Progress};
use crate::client::{Client, Keep};
use crate::data::{At, refused};
use crate::failure::{Failure, Kind};
use crate::setup::Global;

/// Lines that are sent before it is kept how far the import is.
const BATCH: usize = 512;

/// The longest line that is read.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// Read keys from a file of `coterie export`.
///
/// Each key becomes what the file says of it: what it held before is deleted first. With --merge it is added to instead;
/// lists and registers then hold what the file says last.
///
/// An import that was interrupted goes on with --resume: what was sent since it was last kept how far it is, is sent again,
/// each key from its first part, so that nothing is there twice.
#[derive(Args, Clone, Debug)]
pub(crate) struct Import {
    /// The file.
    file: PathBuf,
    /// Leave what keys held before, and add to it. Lists are replaced all the same.
    #[arg(long)]
    merge: bool,
    /// Go on with an import of this file that was interrupted.
    #[arg(long)]
    resume: bool,
    /// How many requests are under way at once.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    parallel: u16,
    #[command(flatten)]
    at: At,
}

impl Import {
    pub(crate) fn carry_out(&self, global: &Global, default: &At) -> Result<(), Failure> {
        let at = self.at.or(default);
        let threads = usize::from(self.parallel);
        let client = global.client_for(global.within(), Keep::Connections(threads))?;
        let progress = if self.resume {
            Progress::interrupted("import", &self.file)?
        } else {
            Progress::begun("import", &self.file)?
        };
        let failed = || Failure::file(&self.file);
        let mut file = File::open(&self.file).map_err(failed())?;
        let length = file.metadata().map_err(failed())?.len();
        file.seek(SeekFrom::Start(progress.bytes)).map_err(failed())?;
        let bar = ProgressBar::new(length);
        let style =
            ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes}, {msg} keys ({eta} left)");
        bar.set_style(style.expect("the template is well-formed"));
        let mut reader = Reader { lines: BufReader::new(file), progress, ahead: None };
        let work = Work { global, client: &client, at: &at, merge: self.merge, threads };
        loop {
            let batch = reader.batch().map_err(|error| match error {
                Malformed::File(error) => failed()(error),
                Malformed::Line(line, why) => Failure::new(
                    Kind::Refused,
                    format!("{}: line {line}: {why}", self.file.display()),
                ),
            })?;
            if batch.is_empty() {
                break;
            }
            work.send(&batch)?;
            reader.progress.keep(&self.file)?;
            bar.set_position(reader.progress.bytes);
            bar.set_message(reader.progress.keys.to_string());
        }
        bar.finish_and_clear();
        Progress::done(&self.file)?;
        let Progress { bytes, lines, keys, .. } = reader.progress;
        let result = json!({"file": self.file, "keys": keys, "lines": lines, "bytes": bytes});
        global.output().show(&result, || {
            format!("{keys} keys from {lines} lines, {}", crate::output::bytes(bytes))
        })
    }
}

/// Why a file cannot be read on.
#[derive(Debug)]
enum Malformed {
    File(std::io::Error),
    Line(u64, String),
}

struct Reader<R> {
    lines: BufReader<R>,
    /// How far what was handed out reaches.
    progress: Progress,
    /// A line that was read and belongs to the next batch, with its length.
    ahead: Option<(Line, u64)>,
}

impl<R: Read> Reader<R> {
    fn line(&mut self) -> Result<Option<(Line, u64)>, Malformed> {
        if let Some(ahead) = self.ahead.take() {
            return Ok(Some(ahead));
        }
        let mut text = Vec::new();
        let read = (&mut self.lines).take(LINE_BYTES_MAX).read_until(b'\n', &mut text);
        let length = read.map_err(Malformed::File)? as u64;
        if length == 0 {
            return Ok(None);
        }
        let number = self.progress.lines + 1;
        if length == LINE_BYTES_MAX {
            return Err(Malformed::Line(
                number,
                format!("it has more than {LINE_BYTES_MAX} bytes"),
            ));
        }
        let line = serde_json::from_slice(&text);
        line.map(|line| Some((line, length)))
            .map_err(|error| Malformed::Line(number, error.to_string()))
    }

    /// The next lines. It ends between two keys: so a batch that is sent again begins each of its keys anew.
    fn batch(&mut self) -> Result<Vec<Line>, Malformed> {
        let mut batch: Vec<Line> = Vec::new();
        while let Some((line, length)) = self.line()? {
            if batch.len() >= BATCH && line.part == 0 {
                self.ahead = Some((line, length));
                break;
            }
            if line.part == 0 {
                self.progress.keys += 1;
            }
            self.progress.bytes += length;
            self.progress.lines += 1;
            batch.push(line);
        }
        Ok(batch)
    }
}

/// How lines are sent.
#[derive(Clone, Copy, Debug)]
struct Work<'a> {
    global: &'a Global,
    client: &'a Client,
    at: &'a At,
    merge: bool,
    threads: usize,
}

impl Work<'_> {
    /// Sends lines, several at once; those of one key in their order.
    fn send(self, batch: &[Line]) -> Result<(), Failure> {
        let mut shares: Vec<Vec<&Line>> = vec![Vec::new(); self.threads];
        for line in batch {
            let mut hasher = DefaultHasher::new();
            line.key.to_string().hash(&mut hasher);
            let share = usize::try_from(hasher.finish() % self.threads as u64).unwrap_or(0);
            shares[share].push(line);
        }
        let results: Vec<Result<(), Failure>> = std::thread::scope(|scope| {
            let mut threads = Vec::new();
            for (index, lines) in shares.into_iter().enumerate() {
                let client = self.client.beginning_with(index);
                let (global, at, merge) = (self.global.clone(), self.at.clone(), self.merge);
                threads.push(scope.spawn(move || {
                    lines
                        .into_iter()
                        .try_for_each(|line| send_line(&global, &client, &at, merge, line))
                }));
            }
            let panicked = |_panic| Err(Failure::failed("a thread of the import has failed"));
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(panicked)).collect()
        });
        results.into_iter().collect()
    }
}

fn send_line(
    global: &Global,
    client: &Client,
    at: &At,
    merge: bool,
    line: &Line,
) -> Result<(), Failure> {
    let operations = operations(line, merge)
        .map_err(|why| Failure::new(Kind::Refused, format!("key {}: {why}", line.key)))?;
    let answer = client.operate(&at.request(global, &line.key, &operations));
    let answer = answer.map_err(|failure| Failure {
        detail: format!("key {}: {}", line.key, failure.detail),
        ..failure
    })?;
    let replies = answer["replies"].as_array().into_iter().flatten();
    match replies.filter_map(|reply| reply.get("error")).next() {
        None => Ok(()),
        Some(error) => {
            let failure = refused(error);
            Err(Failure { detail: format!("key {}: {}", line.key, failure.detail), ..failure })
        }
    }
}

/// The operations that make a key what a line says.
fn operations(line: &Line, merge: bool) -> Result<Vec<Value>, String> {
    let values = &line.values;
    let many = || values.as_array().filter(|all| !all.is_empty()).ok_or("its values are no list");
    let mut operations = Vec::new();
    let replaces = line.part == 0 && (!merge || line.r#type == "list");
    if replaces && line.r#type != "string" {
        operations.push(json!({"operation": "key.delete"}));
    }
    match line.r#type.as_str() {
        "string" => operations.push(json!({"operation": "string.set", "value": values})),
        "set" => operations.push(json!({"operation": "set.add", "members": many()?})),
        "hash" => operations.extend(fields(many()?)),
        "zset" => operations.push(json!({"operation": "sorted_set.add", "members": many()?})),
        "list" => {
            operations.push(json!({"operation": "list.push", "end": "right", "elements": many()?}))
        }
        "map" => {
            for entry in many()? {
                operations.push(
                    json!({"operation": "map.set", "path": entry["path"], "value": entry["value"]}),
                );
            }
        }
        "flag" => {
            let enabled = *values == json!(1) || *values == json!(true);
            let operation = if enabled { "flag.enable" } else { "flag.disable" };
            operations.push(json!({"operation": operation}));
        }
        other => return Err(format!("there is no type {other:?} in files of exports")),
    }
    if let Some(at) = line.expires_at {
        operations.push(json!({"operation": "key.expire", "at_millis": at}));
    }
    Ok(operations)
}

/// The operations that assign fields, and say of each time when which of them expire.
fn fields(pairs: &[Value]) -> Vec<Value> {
    let pair = |pair: &Value| json!({"field": pair["field"], "value": pair["value"]});
    let assigned: Vec<Value> = pairs.iter().map(pair).collect();
    let mut by_time: BTreeMap<u64, Vec<&Value>> = BTreeMap::new();
    for pair in pairs {
        if let Some(at) = pair["expires_at"].as_u64() {
            by_time.entry(at).or_default().push(&pair["field"]);
        }
    }
    let mut operations = vec![json!({"operation": "hash.set", "fields": assigned})];
    operations.extend(by_time.into_iter().map(
        |(at, fields)| json!({"operation": "hash.expire", "fields": fields, "at_millis": at}),
    ));
    operations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(key: &str, kind: &str, part: u64, values: Value) -> Line {
        Line { key: json!(key), r#type: kind.to_owned(), part, values, expires_at: None }
    }

    #[test]
    fn batches_end_between_keys_and_progress_is_of_whole_batches() {
        let mut text = String::new();
        for number in 0..BATCH - 1 {
            text += &(serde_json::to_string(&line(&number.to_string(), "string", 0, json!("v")))
                .unwrap()
                + "\n");
        }
        for part in 0..4 {
            text +=
                &(serde_json::to_string(&line("large", "set", part, json!(["m"]))).unwrap() + "\n");
        }
        let before_last = text.len();
        text += &(serde_json::to_string(&line("last", "string", 0, json!("v"))).unwrap() + "\n");
        let mut reader = Reader {
            lines: BufReader::new(text.as_bytes()),
            progress: Progress::default(),
            ahead: None,
        };
        let first = reader.batch().unwrap();
        assert_eq!(first.len(), BATCH + 3);
        assert_eq!(reader.progress.bytes, before_last as u64);
        assert_eq!(reader.progress.keys, BATCH as u64);
        assert_eq!(reader.batch().unwrap(), [line("last", "string", 0, json!("v"))]);
        assert_eq!(reader.progress.bytes, text.len() as u64);
        assert!(reader.batch().unwrap().is_empty());
    }

    #[test]
    fn foreign_lines_are_refused_with_their_number() {
        let mut reader = Reader {
            lines: BufReader::new(&b"{\"key\": 1}\n"[..]),
            progress: Progress::default(),
            ahead: None,
        };
        assert!(matches!(reader.batch(), Err(Malformed::Line(1, _))));
        assert!(operations(&line("k", "stream", 0, json!([])), false).is_err());
        assert!(operations(&line("k", "set", 0, json!("x")), false).is_err());
    }

    #[test]
    fn a_key_is_replaced_by_its_first_part_and_added_to_by_others() {
        let names = |line: &Line, merge| -> Vec<String> {
            let made = operations(line, merge).unwrap();
            made.iter().map(|it| it["operation"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names(&line("k", "set", 0, json!(["a"])), false), ["key.delete", "set.add"]);
        assert_eq!(names(&line("k", "set", 1, json!(["a"])), false), ["set.add"]);
        assert_eq!(names(&line("k", "set", 0, json!(["a"])), true), ["set.add"]);
        assert_eq!(names(&line("k", "list", 0, json!(["a"])), true), ["key.delete", "list.push"]);
    }

    #[test]
    fn fields_expire_when_their_line_says() {
        let pairs = json!([
            {"field": "f", "value": "1", "expires_at": 9},
            {"field": "g", "value": "2"},
            {"field": "h", "value": "3", "expires_at": 9},
        ]);
        let made = operations(&line("k", "hash", 1, pairs), false).unwrap();
        let assigned = json!([{"field": "f", "value": "1"}, {"field": "g", "value": "2"}, {"field": "h", "value": "3"}]);
        assert_eq!(
            made,
            [
                json!({"operation": "hash.set", "fields": assigned}),
                json!({"operation": "hash.expire", "fields": ["f", "h"], "at_millis": 9}),
            ]
        );
    }
}
