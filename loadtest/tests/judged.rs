//! Judged clients against a server that keeps what it acknowledges, and against servers that do not.
#![expect(clippy::unwrap_used, reason = "a test panics where something fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coterie_loadtest::bench;
use coterie_loadtest::judged::Judging;
use coterie_loadtest::plan::{Phases, Plan};
use coterie_loadtest::report::{Checked, Run, Verdict};
use coterie_loadtest::target::{Endpoint, Target};

/// What a server does wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flaw {
    None,
    /// Of ten members added it forgets one.
    LosesMembers,
    /// Of ten increments it counts one twice.
    CountsTwice,
    /// It answers reads of sets as of a while ago.
    ShowsThePast,
}

#[derive(Default)]
struct Store {
    strings: BTreeMap<String, String>,
    sets: BTreeMap<String, BTreeSet<String>>,
    past: BTreeMap<String, BTreeSet<String>>,
    count: u64,
}

/// As much of Redis as judged clients need.
fn serve(flaw: Flaw) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let store = Arc::new(Mutex::new(Store::default()));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let store = Arc::clone(&store);
            std::thread::spawn(move || while_asked(stream, &store, flaw));
        }
    });
    address
}

fn while_asked(stream: TcpStream, store: &Mutex<Store>, flaw: Flaw) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut stream = BufReader::new(stream);
    loop {
        let words = request(&mut stream)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let reply = store.lock().unwrap().answer(&words, flaw);
        stream.get_mut().write_all(reply.as_bytes()).ok()?;
    }
}

fn number(stream: &mut BufReader<TcpStream>, sign: char) -> Option<usize> {
    let mut line = String::new();
    stream.read_line(&mut line).ok()?;
    line.strip_prefix(sign)?.trim().parse().ok()
}

fn request(stream: &mut BufReader<TcpStream>) -> Option<Vec<String>> {
    let mut words = Vec::new();
    for _ in 0..number(stream, '*')? {
        let mut word = vec![0; number(stream, '$')? + 2];
        stream.read_exact(&mut word).ok()?;
        word.truncate(word.len() - 2);
        words.push(String::from_utf8(word).ok()?);
    }
    Some(words)
}

impl Store {
    fn answer(&mut self, words: &[&str], flaw: Flaw) -> String {
        self.count += 1;
        let now = self.count.is_multiple_of(10);
        match words {
            ["SADD", key, member] => {
                if !(now && flaw == Flaw::LosesMembers) {
                    let set = self.sets.entry((*key).to_owned()).or_default();
                    self.past.insert((*key).to_owned(), set.clone());
                    set.insert((*member).to_owned());
                }
                ":1\r\n".to_owned()
            }
            ["SREM", key, member] => {
                let removed = self.sets.entry((*key).to_owned()).or_default().remove(*member);
                format!(":{}\r\n", u8::from(removed))
            }
            ["SMEMBERS", key] => {
                let from = if now && flaw == Flaw::ShowsThePast { &self.past } else { &self.sets };
                let members = from.get(*key).cloned().unwrap_or_default();
                let words =
                    members.iter().map(|member| format!("${}\r\n{member}\r\n", member.len()));
                format!("*{}\r\n{}", members.len(), words.collect::<String>())
            }
            ["INCRBY", key, by] => {
                let held = self.strings.entry((*key).to_owned()).or_default();
                let by: i64 = by.parse().unwrap();
                let twice = if now && flaw == Flaw::CountsTwice { 2 } else { 1 };
                let sum = held.parse().unwrap_or(0) + by * twice;
                *held = sum.to_string();
                format!(":{sum}\r\n")
            }
            ["SET", key, value] => {
                self.strings.insert((*key).to_owned(), (*value).to_owned());
                "+OK\r\n".to_owned()
            }
            ["GET", key] => match self.strings.get(*key) {
                Some(value) => format!("${}\r\n{value}\r\n", value.len()),
                None => "$-1\r\n".to_owned(),
            },
            ["DEL", key] => {
                let there = self.strings.remove(*key).is_some();
                let there = self.sets.remove(*key).is_some() || there;
                self.past.remove(*key);
                format!(":{}\r\n", u8::from(there))
            }
            _ => "-ERR unknown command\r\n".to_owned(),
        }
    }
}

/// The run of judged clients beside a little load.
fn judged(flaw: Flaw) -> (Run, Checked, Verdict) {
    let plan = Plan {
        targets: vec![Target {
            name: "server".to_owned(),
            endpoints: vec![Endpoint::of(serve(flaw))],
        }],
        mix: "get=1,set=1".parse().unwrap(),
        phases: Phases::Run,
        connections: 2,
        warm_up: Duration::ZERO,
        duration: Duration::from_millis(1_200),
        judging: Some(Judging {
            pause: Duration::from_millis(1),
            linearizable_pause: Duration::from_millis(5),
            ..Judging::default()
        }),
        ..Plan::default()
    };
    let report = bench::run(&plan, None, &mut |_event| {}).unwrap();
    let run = report.runs[0].clone();
    let checked = run.check.clone().unwrap();
    (run, checked, report.verdict())
}

#[test]
fn a_server_that_keeps_what_it_acknowledges_is_found_to() {
    let (run, checked, verdict) = judged(Flaw::None);
    assert_eq!(checked.violations, Vec::<String>::new());
    assert_eq!(checked.undecided, Vec::<String>::new());
    assert_eq!(verdict, Verdict::Good);
    assert!(run.outcomes.done > 0 && checked.operations.done > 100, "{checked:?}");
    for of in &checked.checkers {
        assert!(of.claims > 0, "{} judged nothing", of.checker);
    }
}

#[test]
fn servers_that_do_not_are_found_out() {
    for (flaw, shows) in [
        (Flaw::LosesMembers, &["it is gone", "misses"][..]),
        (Flaw::CountsTwice, &["the counter shows"]),
        (Flaw::ShowsThePast, &["misses", "no order", "without it"]),
    ] {
        let (_, checked, verdict) = judged(flaw);
        assert_eq!(verdict, Verdict::Broken);
        let told = checked.violations.join("\n");
        assert!(shows.iter().any(|text| told.contains(text)), "{told}");
    }
}
