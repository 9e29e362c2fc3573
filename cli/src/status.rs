//! `coterie status`: how the cluster is, as one node sees it.

use serde_json::Value;

use crate::failure::Failure;
use crate::output::{bytes, facts, seconds, shorts, text};
use crate::setup::Global;

pub(crate) fn status(global: &Global) -> Result<(), Failure> {
    let status = global.client()?.get("/v1/status")?;
    global.output().show(&status, || human(&status))
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

fn human(status: &Value) -> String {
    let members = &status["members"];
    let layout = &status["layout"];
    let moves = &status["moves"];
    let mut lines = vec![
        ("cluster", text(&status["cluster"])),
        ("node", format!("{} ({})", text(&status["node"]), text(&status["place"]))),
        ("version", text(&status["version"])),
        ("up for", seconds(number(&status["uptime_seconds"]))),
        (
            "members",
            format!(
                "{} up, {} suspect, {} down",
                number(&members["up"]),
                number(&members["suspect"]),
                number(&members["down"])
            ),
        ),
        (
            "layout",
            format!("epoch {}, version {}", text(&layout["epoch"]), text(&layout["version"])),
        ),
        ("voters", shorts(&status["voters"])),
        (
            "moves",
            format!(
                "{} under way, {} of them done",
                number(&moves["moving"]),
                number(&moves["done"])
            ),
        ),
        ("slices", text(&status["slices"])),
        ("hints", bytes(number(&status["hint_bytes"]))),
        ("sync", text(&status["sync"])),
    ];
    if status["in_cluster"] != true {
        lines.push(("attention", "this node is in no cluster yet".to_owned()));
    }
    let notes = [
        ("amnesiac", "this node may have lost data, and receives it again"),
        ("abstains", "this node does not vote: it may have lost votes"),
        ("isolated", "this node hears too few others to judge"),
        ("pending", "something is asked for that is not in force yet: `coterie ring plan`"),
    ];
    for (name, note) in notes {
        if status[name] == true {
            lines.push(("attention", note.to_owned()));
        }
    }
    if let Some(refused) = status["refused"].as_str() {
        lines.push(("refused", refused.to_owned()));
    }
    for warning in status["warnings"].as_array().into_iter().flatten() {
        lines.push(("warning", text(warning)));
    }
    facts(&lines)
}
