//! `coterie doctor`: looks at a cluster and its machines for what makes trouble later.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::client::Client;
use crate::failure::{Failure, Kind};
use crate::members::Members;
use crate::output::{bytes, short, table, text};
use crate::setup::Global;

/// Clocks that are further apart than this are refused by nodes.
const CLOCK_MILLIS_MAX: i128 = 500;

/// What the kernel should let a socket keep: QUIC loses what comes in bursts otherwise.
const SOCKET_BYTES_WANTED: u64 = 4 << 20;

/// Files and sockets that a node should be able to open.
const FILES_WANTED: u64 = 16_384;

/// Of a thousand parts of the disk: below this clients' writes are refused.
const FREE_PERMILLE_MIN: u64 = 100;

/// The smallest datagram that QUIC goes on with, and what most networks carry.
const MTU_WANTED: u64 = 1_400;

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Well,
    /// It works, and may cost or break later.
    Notice,
    /// It does not work, or soon will not.
    Bad,
}

/// One finding.
#[derive(Clone, Debug)]
struct Finding {
    verdict: Verdict,
    node: Value,
    check: &'static str,
    found: String,
    advice: &'static str,
}

impl Finding {
    fn json(&self) -> Value {
        let verdict = self.verdict.word();
        json!({"verdict": verdict, "node": self.node, "check": self.check, "found": self.found, "advice": self.advice})
    }
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Verdict::Well => "well",
            Verdict::Notice => "notice",
            Verdict::Bad => "bad",
        }
    }
}

pub(crate) fn doctor(global: &Global) -> Result<(), Failure> {
    let client = global.client()?;
    let members = Members::read(&client)?;
    let mut findings = Vec::new();
    for member in members.present() {
        match member["announces"]["http"].as_str() {
            Some(http) => examine(&client.of(http), member, &mut findings),
            None => findings.push(Finding {
                verdict: Verdict::Bad,
                node: member["node"].clone(),
                check: "liveness",
                found: format!("it is {} and tells no address", text(&member["liveness"])),
                advice: "start it, or remove it: `coterie node remove`",
            }),
        }
    }
    let bad = findings.iter().any(|finding| finding.verdict == Verdict::Bad);
    let result = json!({
        "well": !bad,
        "findings": findings.iter().map(Finding::json).collect::<Vec<_>>(),
    });
    global.output().show(&result, || human(&findings))?;
    if bad { Err(Failure::not_so("")) } else { Ok(()) }
}

fn human(findings: &[Finding]) -> String {
    let rows = findings.iter().map(|it| {
        let verdict = it.verdict.word().to_owned();
        [verdict, short(&it.node), it.check.to_owned(), it.found.clone()]
    });
    let mut said = table(["verdict", "node", "check", "found"], rows);
    let mut advised: Vec<&str> = Vec::new();
    for finding in findings.iter().filter(|it| it.verdict != Verdict::Well) {
        if !advised.contains(&finding.advice) {
            advised.push(finding.advice);
            said.push_str(&format!("{}: {}\n", finding.check, finding.advice));
        }
    }
    said
}

/// Milliseconds since 1970, here.
fn wall_millis() -> i128 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i128::try_from(now.as_millis()).unwrap_or_default()
}

fn examine(client: &Client, member: &Value, findings: &mut Vec<Finding>) {
    let node = &member["node"];
    let mut find = |verdict, check, found: String, advice| {
        findings.push(Finding { verdict, node: node.clone(), check, found, advice });
    };
    let (began, wall) = (Instant::now(), wall_millis());
    let machine = match client.get("/v1/machine") {
        Ok(machine) => machine,
        Err(failure) if failure.kind == Kind::Unavailable => {
            let advice = "start it, or let its HTTP be reached from here";
            find(Verdict::Bad, "http", failure.detail, advice);
            return;
        }
        Err(failure) => {
            find(Verdict::Bad, "http", failure.detail, "give a token that may look at nodes");
            return;
        }
    };
    let took = began.elapsed();
    find(Verdict::Well, "http", format!("answers in {} ms", took.as_millis()), "");
    match client.get("/readyz") {
        Ok(_) => find(Verdict::Well, "ready", "serves requests".to_owned(), ""),
        Err(failure) => find(Verdict::Bad, "ready", failure.detail, "look at its log"),
    }
    let half = i128::try_from(took.as_millis()).unwrap_or_default() / 2;
    let theirs = machine["wall_millis"].as_i64().map_or(wall, i128::from);
    let apart = theirs - (wall + half);
    let verdict = match apart.abs() - half {
        ..100 => Verdict::Well,
        100..CLOCK_MILLIS_MAX => Verdict::Notice,
        _ => Verdict::Bad,
    };
    let advice = "run a time daemon on every machine: nodes refuse peers whose clock is more than 500 ms off";
    find(
        verdict,
        "clock",
        format!("{apart} ms from this machine's, give or take {half} ms"),
        advice,
    );
    disk(&machine, &mut find);
    limits(&machine, &mut find);
    paths(&machine, &mut find);
    liveness(client, &mut find);
}

type Find<'a> = dyn FnMut(Verdict, &'static str, String, &'static str) + 'a;

fn disk(machine: &Value, find: &mut Find<'_>) {
    let advice = "free or add disk space: below 10 % writes are refused, below 2 % repair too";
    match machine["disk_free_permille"].as_u64() {
        Some(permille) => {
            let verdict = match permille {
                ..FREE_PERMILLE_MIN => Verdict::Bad,
                FREE_PERMILLE_MIN..200 => Verdict::Notice,
                _ => Verdict::Well,
            };
            find(
                verdict,
                "disk",
                format!("{}.{} % are free", permille / 10, permille % 10),
                advice,
            );
        }
        None => find(Verdict::Notice, "disk", "it is not known yet".to_owned(), advice),
    }
}

fn limits(machine: &Value, find: &mut Find<'_>) {
    let advice = "raise it: LimitNOFILE= of the unit, or ulimit -n";
    match machine["files_max"].as_u64() {
        Some(files) if files >= FILES_WANTED => {
            find(Verdict::Well, "files", format!("{files} may be open"), advice)
        }
        Some(files) => find(Verdict::Notice, "files", format!("only {files} may be open"), advice),
        None => find(Verdict::Notice, "files", "the system does not say".to_owned(), advice),
    }
    let advice = "raise net.core.rmem_max and wmem_max to 4194304 or more: bursts of QUIC are lost otherwise";
    for (check, name) in
        [("receive buffer", "socket_receive_bytes_max"), ("send buffer", "socket_send_bytes_max")]
    {
        match machine[name].as_u64() {
            Some(count) if count >= SOCKET_BYTES_WANTED => {
                find(Verdict::Well, check, format!("{} at most", bytes(count)), advice);
            }
            Some(count) => {
                find(Verdict::Notice, check, format!("only {} at most", bytes(count)), advice)
            }
            None => find(Verdict::Notice, check, "the system does not say".to_owned(), advice),
        }
    }
}

/// How QUIC reaches the other nodes: over UDP, with how large datagrams, and what is lost.
fn paths(machine: &Value, find: &mut Find<'_>) {
    let advice = "let UDP pass between nodes, in packets of 1,500 bytes where the network has them";
    for path in machine["paths"].as_array().into_iter().flatten() {
        let mtu = path["mtu"].as_u64().unwrap_or_default();
        let sent = path["packets_sent"].as_u64().unwrap_or_default();
        let lost = path["packets_lost"].as_u64().unwrap_or_default();
        let (whole, share) = (sent.max(1), lost.saturating_mul(1_000));
        let verdict =
            if mtu < MTU_WANTED || share / whole > 20 { Verdict::Notice } else { Verdict::Well };
        let found = format!(
            "to {}: packets of {mtu} bytes, {} us there and back, {lost} of {sent} packets lost",
            short(&path["node"]),
            path["round_trip_micros"].as_u64().unwrap_or_default(),
        );
        find(verdict, "udp path", found, advice);
    }
}

fn liveness(client: &Client, find: &mut Find<'_>) {
    let Ok(status) = client.get("/v1/status") else { return };
    let members = &status["members"];
    let others = |name: &str| members[name].as_u64().unwrap_or_default();
    let (down, suspect) = (others("down"), others("suspect"));
    let verdict = if down + suspect == 0 { Verdict::Well } else { Verdict::Bad };
    let found = format!("hears {} nodes, suspects {suspect}, misses {down}", others("up"));
    find(verdict, "members", found, "start them, or let gossip (UDP) pass: `coterie members`");
    let state = [
        ("amnesiac", "it receives again what it may have lost"),
        ("isolated", "it hears too few others to judge"),
        ("abstains", "it does not vote"),
    ];
    for (name, found) in state {
        if status[name] == true {
            find(
                Verdict::Bad,
                "state",
                found.to_owned(),
                "wait, and look at its log if it stays so",
            );
        }
    }
    if let Some(refused) = status["refused"].as_str() {
        find(
            Verdict::Bad,
            "layout",
            refused.to_owned(),
            "`coterie ring plan` shows what is asked for",
        );
    }
}
