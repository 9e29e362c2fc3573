//! What each owner holds, read from it alone; and waiting until all owners are equal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use coterie_check::{Cell, FinalState, LiveCell, Name, Nanos, Owner};
use serde_json::{Value as Json, json};

use super::book::Book;
use super::column::{Bucket, Column, REPLICAS};
use super::live::Live;
use super::shop::{self, Held};
use super::stage::Addresses;
use super::{DemoError, wait, web};

/// How long owners may take to be equal once nobody writes.
const EQUAL_WITHIN: Duration = Duration::from_secs(90);

/// How often reading all owners is tried, if they change meanwhile.
const TRIES: usize = 5;

/// What a key holds, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Elements, or the values of a register, in order.
    Names(BTreeSet<Name>),
    /// A counter.
    Number(i64),
}

impl Content {
    /// Names; of a counter there are none.
    pub(crate) fn names(&self) -> Option<&BTreeSet<Name>> {
        match self {
            Content::Names(names) => Some(names),
            Content::Number(_) => None,
        }
    }

    pub(crate) fn number(&self) -> Option<i64> {
        match self {
            Content::Number(number) => Some(*number),
            Content::Names(_) => None,
        }
    }
}

/// A key in the end.
#[derive(Clone, Debug)]
pub(crate) struct FinalKey {
    pub(crate) column: Column,
    pub(crate) bucket: Bucket,
    pub(crate) held: Held,
    pub(crate) key: Name,
    /// Who owns it, with what each holds. Of a strong register the value is what the owners agree on.
    pub(crate) owners: Vec<(usize, Content)>,
    pub(crate) at: Nanos,
}

impl FinalKey {
    /// What all owners hold together.
    pub(crate) fn content(&self) -> &Content {
        &self.owners.first().expect("a key has owners").1
    }

    /// In the words of checkers; a strong register is judged by its operations.
    pub(crate) fn states(&self) -> Vec<FinalState> {
        if self.bucket.kind == coterie_check::BucketKind::Strong {
            return Vec::new();
        }
        let state = |(owner, content): &(usize, Content)| {
            let (cells, counter) = match (content, self.held) {
                (Content::Number(number), _) => (Vec::new(), *number),
                (Content::Names(names), Held::Cart) => (
                    names.iter().map(|it| live(Cell::Element(it.clone()), Vec::new())).collect(),
                    0,
                ),
                (Content::Names(values), _) if values.is_empty() => (Vec::new(), 0),
                (Content::Names(values), _) => {
                    (vec![live(Cell::Register, values.iter().cloned().collect())], 0)
                }
            };
            let (owner, key) = (Owner(*owner as u64), self.key.clone());
            FinalState { owner, bucket: self.bucket.id, key, at: self.at, cells, counter }
        };
        self.owners.iter().map(state).collect()
    }
}

fn live(cell: Cell, values: Vec<Name>) -> LiveCell {
    LiveCell { cell, values, dots: None }
}

/// The owners of a key, by number.
pub(crate) fn owners_of(
    addresses: &Addresses,
    bucket: &str,
    key: &Name,
) -> Result<Vec<usize>, String> {
    let told = web::ask(addresses.http[0], &format!("GET /v1/ring/owners/{bucket}/{key}"), None)?;
    let owners = told["owners"].as_array().ok_or("no owners are told")?;
    let number = |owner: &Json| owner["node"].as_str().and_then(|name| addresses.number(name));
    owners.iter().map(|owner| number(owner).ok_or("an owner is a stranger".to_owned())).collect()
}

/// What an owner holds of a key: it is asked at level one, and must have asked nobody else.
pub(crate) fn read(
    addresses: &Addresses,
    owner: usize,
    bucket: &Bucket,
    held: Held,
    key: &Name,
) -> Result<Content, String> {
    let strong = bucket.kind == coterie_check::BucketKind::Strong;
    let operation = match held {
        Held::Cart => "set.members",
        Held::Stock => "string.get",
        Held::Address | Held::Username if strong => "string.get",
        Held::Address | Held::Username => "string.get_siblings",
    };
    let mut body = json!({
        "bucket": bucket.name,
        "key": key.to_string(),
        "operations": [{"operation": operation}],
    });
    if !strong {
        body["level"] = json!("one");
    }
    let answer = web::ask(addresses.http[owner], "POST /v1/operations", Some(&body))?;
    if !strong && answer["owners"] != json!([addresses.names[owner]]) {
        return Err(format!("node {owner} asked others for {key}: {answer}"));
    }
    let reply = &answer["replies"][0]["reply"];
    let text = |json: &Json| json.as_str().map(Name::from).ok_or(format!("{key}: {answer}"));
    match (held, reply) {
        (Held::Stock, Json::Null) => Ok(Content::Number(0)),
        (Held::Stock, Json::String(sum)) => {
            sum.parse().map(Content::Number).map_err(|error| format!("{key}: {error}"))
        }
        (_, Json::Null) => Ok(Content::Names(BTreeSet::new())),
        (Held::Cart, Json::Array(members)) => {
            Ok(Content::Names(members.iter().map(text).collect::<Result<_, String>>()?))
        }
        (_, Json::String(_)) => Ok(Content::Names(BTreeSet::from([text(reply)?]))),
        (_, Json::Object(_)) => {
            let values = reply["siblings"].as_array().ok_or(format!("{key}: {answer}"))?;
            Ok(Content::Names(values.iter().map(text).collect::<Result<_, String>>()?))
        }
        _ => Err(format!("{key}: {answer}")),
    }
}

/// Waits until all owners of every slice show one digest, and no hints are kept; how long that took.
pub(crate) fn settle(
    addresses: &Addresses,
    over: &AtomicBool,
    live: &mut Live,
) -> Result<Duration, DemoError> {
    live.say("the shop is closed; waiting until all owners' digests are equal");
    let began = Instant::now();
    loop {
        match digests(addresses) {
            Ok(_) => return Ok(began.elapsed()),
            Err(why) if began.elapsed() > EQUAL_WITHIN => {
                let within = EQUAL_WITHIN.as_secs();
                return Err(DemoError::Owners(format!("not equal after {within} s: {why}")));
            }
            Err(_) => wait(over)?,
        }
    }
}

/// Each slice's digest, if all is in order.
fn digests(addresses: &Addresses) -> Result<BTreeMap<u64, String>, String> {
    let owners = slices(addresses)?;
    let mut shown: BTreeMap<u64, Vec<(String, usize)>> = BTreeMap::new();
    for (number, http) in addresses.http.iter().enumerate() {
        let status = web::ask(*http, "GET /v1/status", None)?;
        if status["amnesiac"] != false || status["moves"]["moving"] != 0 {
            return Err(format!("node {number}: {status}"));
        }
        let hints = web::ask(*http, "GET /v1/hints", None)?;
        let kept = hints["hints"].as_array().ok_or("no hints are told")?;
        if kept.iter().any(|it| it["bytes"] != 0) {
            return Err(format!("node {number} keeps hints: {hints}"));
        }
        let repair = web::ask(*http, "GET /v1/repair", None)?;
        for slice in repair["slices"].as_array().ok_or("no slices are told")? {
            let partition = slice["partition"].as_u64().ok_or("a partition is a number")?;
            if slice["replicas"] != REPLICAS || !owners.contains(&(partition, number)) {
                continue;
            }
            if slice["received"] != true {
                return Err(format!("node {number} has not received {slice}"));
            }
            let digest = format!("{} of epoch {}", slice["digest"], slice["purge_epoch"]);
            shown.entry(partition).or_default().push((digest, number));
        }
    }
    let mut digests = BTreeMap::new();
    for (partition, shown) in shown {
        let (first, _) = shown.first().ok_or("a slice has owners")?;
        let all = shown.len() == REPLICAS as usize;
        if !all || shown.iter().any(|(other, _)| other != first) {
            return Err(format!("partition {partition}: {shown:?}"));
        }
        digests.insert(partition, first.clone());
    }
    let expected = owners.len() / REPLICAS as usize;
    if digests.len() == expected { Ok(digests) } else { Err("slices are not listed".to_owned()) }
}

/// Partitions with each of their owners.
fn slices(addresses: &Addresses) -> Result<BTreeSet<(u64, usize)>, String> {
    let ring = web::ask(addresses.http[0], "GET /v1/ring", None)?;
    let place = |place: &Json| -> Option<usize> {
        let at = usize::try_from(place.as_u64()?).ok()?;
        addresses.number(ring["nodes"].get(at)?["node"].as_str()?)
    };
    let mut owners = BTreeSet::new();
    for (partition, row) in (0..).zip(ring["owners"].as_array().ok_or("no owners are told")?) {
        for owner in row.as_array().ok_or("a row has owners")? {
            owners.insert((partition, place(owner).ok_or("an owner is a stranger")?));
        }
    }
    Ok(owners)
}

/// Every key of so many rounds at each of its owners, while nothing changes any more.
pub(crate) fn read_all(
    addresses: &Addresses,
    rounds: usize,
    book: &Book,
    over: &AtomicBool,
) -> Result<Vec<FinalKey>, DemoError> {
    let mut last = String::new();
    for _ in 0..TRIES {
        let before = digests(addresses);
        let read = std::thread::scope(|scope| {
            let threads: Vec<_> = Column::ALL
                .into_iter()
                .map(|column| scope.spawn(move || read_column(addresses, column, rounds, book)))
                .collect();
            let mut all = Vec::new();
            for thread in threads {
                all.extend(thread.join().map_err(|_panic| "a reader panicked".to_owned())??);
            }
            Ok::<_, String>(all)
        });
        match (before, read, digests(addresses)) {
            (Ok(before), Ok(all), Ok(after)) if before == after => return Ok(all),
            (Err(why), ..) | (_, Err(why), _) | (.., Err(why)) => last = why,
            _ => "owners go on changing".clone_into(&mut last),
        }
        wait(over)?;
    }
    Err(DemoError::Owners(last))
}

fn read_column(
    addresses: &Addresses,
    column: Column,
    rounds: usize,
    book: &Book,
) -> Result<Vec<FinalKey>, String> {
    let mut all = Vec::new();
    for round in 0..rounds {
        for (bucket, held, key) in shop::keys(column, round) {
            let numbers = owners_of(addresses, bucket.name, &key)?;
            let mut owners = Vec::new();
            for owner in numbers {
                owners.push((owner, read(addresses, owner, &bucket, held, &key)?));
            }
            all.push(FinalKey { column, bucket, held, key, owners, at: book.now() });
        }
    }
    Ok(all)
}
