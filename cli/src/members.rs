//! `coterie members`: all nodes that are known; and how commands name one of them.

use serde_json::Value;

use crate::client::Client;
use crate::failure::{Failure, Kind};
use crate::output::{table, text};
use crate::setup::Global;

/// All nodes that one of them knows.
#[derive(Clone, Debug)]
pub(crate) struct Members {
    body: Value,
}

impl Members {
    pub(crate) fn read(client: &Client) -> Result<Members, Failure> {
        Ok(Members { body: client.get("/v1/members")? })
    }

    pub(crate) fn all(&self) -> &[Value] {
        self.body["members"].as_array().map(Vec::as_slice).unwrap_or_default()
    }

    /// Those that still belong to the cluster.
    pub(crate) fn present(&self) -> impl Iterator<Item = &Value> {
        self.all().iter().filter(|member| member["state"] != "removed")
    }

    /// The id of a node that is named by its id, the beginning of it, or its RESP or HTTP address.
    pub(crate) fn find(&self, name: &str) -> Result<String, Failure> {
        let name = name.trim_start_matches("http://").trim_start_matches("https://");
        let fits = |member: &&Value| {
            let id = member["node"].as_str().unwrap_or_default();
            let announces = &member["announces"];
            id.starts_with(&name.to_ascii_lowercase())
                || announces["resp"] == name
                || announces["http"] == name
        };
        let found: Vec<&str> =
            self.all().iter().filter(fits).filter_map(|member| member["node"].as_str()).collect();
        let refuse = |detail: String| {
            let hint =
                "name it by its id or the beginning of it, or by its address: `coterie members`";
            Err(Failure::new(Kind::Refused, detail).hint(hint))
        };
        match &found[..] {
            [one] if !name.is_empty() => Ok((*one).to_owned()),
            [] => refuse(format!("no node is {name:?}")),
            _ => refuse(format!("{} nodes are {name:?}", found.len())),
        }
    }
}

/// Shows all nodes.
pub(crate) fn members(global: &Global) -> Result<(), Failure> {
    let members = Members::read(&global.client()?)?;
    global.output().show(&members.body, || {
        let rows = members.all().iter().map(|it| {
            let (announces, asked) = (&it["announces"], &it["asked"]);
            let place = match &asked["place"] {
                Value::Null => {
                    format!("{}/{}", text(&announces["region"]), text(&announces["zone"]))
                }
                place => text(place),
            };
            [
                text(&it["node"]) + if it["is_this_node"] == true { " *" } else { "" },
                text(&it["liveness"]),
                text(&it["state"]),
                changed(&it["state"], &asked["state"]),
                text(&asked["weight"]),
                place,
                text(&announces["resp"]),
                text(&announces["http"]),
                text(&it["unfit"]),
            ]
        });
        let head =
            ["node", "liveness", "state", "asked", "weight", "place", "redis", "http", "unfit"];
        table(head, rows) + "* answered this\n"
    })
}

/// What is asked for, where that is not in force.
fn changed(state: &Value, asked: &Value) -> String {
    if state == asked { "-".to_owned() } else { text(asked) }
}
