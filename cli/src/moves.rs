//! `coterie moves`: partitions on their way to new owners, as all nodes together tell of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::client::Client;
use crate::failure::{Failure, Kind};
use crate::members::Members;
use crate::output::{bytes, short, table, text};
use crate::setup::{Global, time};

/// How often is looked.
const EVERY: Duration = Duration::from_millis(300);

/// Rows of the table for people.
const ROWS_MAX: usize = 20;

/// Show partitions that move: how far they are, what was sent for them, and why one is waiting.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Moves {
    /// Stay, and show progress until nothing moves.
    #[arg(long)]
    wait: bool,
    /// How long to wait at most.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = time)]
    wait_within: Duration,
}

impl Moves {
    pub(crate) fn carry_out(self, global: &Global) -> Result<(), Failure> {
        let client = global.client()?;
        if self.wait {
            watch_moves(&client, self.wait_within)?;
        }
        let all = gathered(&client)?;
        global.output().show(&all, || human(&all))
    }
}

/// Rests a little between two looks.
pub(crate) fn pause() {
    std::thread::park_timeout(EVERY);
}

/// What all nodes that answer tell of moves: one entry for each slice that moves.
fn gathered(client: &Client) -> Result<Value, Failure> {
    let first = client.get("/v1/moves")?;
    let members = Members::read(client)?;
    let mut told = Vec::new();
    let mut silent = Vec::new();
    for member in members.present() {
        let Some(http) = member["announces"]["http"].as_str() else { continue };
        let said = if member["is_this_node"] == true {
            Ok(first.clone())
        } else {
            client.of(http).get("/v1/moves")
        };
        match said {
            Ok(said) => told.push((member["node"].clone(), said)),
            Err(_) => silent.push(member["node"].clone()),
        }
    }
    let newest = told.iter().map(|(_, said)| layout(said)).max();
    let mut slices: BTreeMap<(u64, u64), Value> = BTreeMap::new();
    let (mut rows, mut sent) = (0, 0);
    for (node, told) in &told {
        rows += told["rows_sent"].as_u64().unwrap_or_default();
        sent += told["bytes_sent"].as_u64().unwrap_or_default();
        // Who has not heard yet of the newest layout tells of moves of another.
        if Some(layout(told)) != newest {
            continue;
        }
        for slice in told["here"].as_array().into_iter().flatten() {
            let name = (slice["partition"].as_u64(), slice["replicas"].as_u64());
            let (Some(partition), Some(replicas)) = name else { continue };
            let entry = slices.entry((partition, replicas)).or_insert_with(|| {
                json!({"partition": partition, "replicas": replicas, "permille": 0, "waiting": []})
            });
            // Who is behind has not heard yet of what others have.
            let known = entry["permille"].as_u64().unwrap_or(0);
            entry["permille"] = json!(known.max(slice["permille"].as_u64().unwrap_or(0)));
            for waiting in slice["waiting"].as_array().into_iter().flatten() {
                let mut waiting = waiting.clone();
                waiting["at"] = node.clone();
                if let Some(list) = entry["waiting"].as_array_mut() {
                    list.push(waiting);
                }
            }
        }
    }
    let (epoch, version) = newest.unwrap_or_default();
    Ok(json!({
        "layout": {"epoch": epoch, "version": version},
        "moving": first["moving"],
        "done": first["done"],
        "overruled": first["overruled"],
        "rows_sent": rows,
        "bytes_sent": sent,
        "slices": slices.into_values().collect::<Vec<_>>(),
        "silent": silent,
    }))
}

/// Of which layout a node tells.
fn layout(told: &Value) -> (u64, u64) {
    let number = |name: &str| told["layout"][name].as_u64().unwrap_or_default();
    (number("epoch"), number("version"))
}

fn human(all: &Value) -> String {
    let slices = all["slices"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut shown = format!(
        "{} slices move, {} of them are done; sent for moves since the nodes started: {} rows, {}\n",
        text(&all["moving"]),
        text(&all["done"]),
        text(&all["rows_sent"]),
        bytes(all["bytes_sent"].as_u64().unwrap_or_default()),
    );
    let rows: Vec<_> = slices
        .iter()
        .filter(|slice| slice["permille"] != 1_000)
        .take(ROWS_MAX)
        .map(|slice| {
            let waiting = slice["waiting"].as_array().and_then(|all| all.first());
            let waiting = waiting.map(|it| {
                let to = if it["for"].is_null() {
                    String::new()
                } else {
                    format!(" ({})", short(&it["for"]))
                };
                format!("{}: {}{to}", short(&it["at"]), text(&it["cause"]))
            });
            let percent = slice["permille"].as_u64().unwrap_or_default() / 10;
            [
                text(&slice["partition"]),
                text(&slice["replicas"]),
                format!("{percent} %"),
                waiting.unwrap_or_default(),
            ]
        })
        .collect();
    if !rows.is_empty() {
        shown.push_str(&table(["partition", "replicas", "owners complete", "waiting"], rows));
    }
    for node in all["silent"].as_array().into_iter().flatten() {
        shown.push_str(&format!(
            "node {} does not answer: what it has to move is not shown\n",
            short(node)
        ));
    }
    shown
}

/// Waits until what is asked for is in force and nothing moves; shows progress where people can see it.
pub(crate) fn watch_moves(client: &Client, within: Duration) -> Result<(), Failure> {
    let until = Instant::now() + within;
    let bar = ProgressBar::new(0);
    let style =
        ProgressStyle::with_template("{bar:30} {pos}/{len} slices moved, {msg} ({elapsed})");
    bar.set_style(style.expect("the template is well-formed"));
    loop {
        let status = client.get("/v1/status")?;
        let (moving, pending) = (&status["moves"]["moving"], &status["pending"]);
        if *moving == 0 && *pending == false {
            bar.finish_and_clear();
            return Ok(());
        }
        bar.set_length(moving.as_u64().unwrap_or_default());
        bar.set_position(status["moves"]["done"].as_u64().unwrap_or_default());
        bar.set_message(if *pending == true { "more is asked for" } else { "the rest on its way" });
        bar.tick();
        if Instant::now() >= until {
            bar.finish_and_clear();
            let mut failure = Failure::new(
                Kind::Unknown,
                format!(
                    "{} s have passed; {moving} slices move, and what is asked for stays asked for",
                    within.as_secs()
                ),
            );
            if let Some(refused) = status["refused"].as_str() {
                failure.detail =
                    format!("{}; the last attempt to decide it: {refused}", failure.detail);
            }
            return Err(
                failure.hint("`coterie moves` shows how far it is, `coterie members` who is down")
            );
        }
        pause();
    }
}
