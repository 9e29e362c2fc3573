//! What each owner holds, read from it alone; and waiting until all owners are equal.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use coterie_check::{Cell, FinalState, LiveCell, Name, Nanos, Owner};
use coterie_local::{ask, digests, owners};
use serde_json::{Value as Json, json};

use super::book::Book;
use super::column::{Bucket, Column};
use super::live::Live;
use super::shop::{self, Held};
use super::stage::Addresses;
use super::{DemoError, wait};

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
    let (node, name) = (&addresses.nodes[owner], key.to_string());
    let reply = if strong {
        let operations = json!([{ "operation": operation }]);
        let body = json!({ "bucket": bucket.name, "key": name, "operations": operations });
        let answer = ask(node.http, "POST /v1/operations", Some(&body))?;
        answer["replies"][0]["reply"].clone()
    } else {
        node.held(bucket.name, &name, operation)?
    };
    let text = |json: &Json| json.as_str().map(Name::from).ok_or(format!("{key}: {reply}"));
    match (held, &reply) {
        (Held::Stock, Json::Null) => Ok(Content::Number(0)),
        (Held::Stock, Json::String(sum)) => {
            sum.parse().map(Content::Number).map_err(|error| format!("{key}: {error}"))
        }
        (_, Json::Null) => Ok(Content::Names(BTreeSet::new())),
        (Held::Cart, Json::Array(members)) => {
            Ok(Content::Names(members.iter().map(text).collect::<Result<_, String>>()?))
        }
        (_, Json::String(_)) => Ok(Content::Names(BTreeSet::from([text(&reply)?]))),
        (_, Json::Object(_)) => {
            let values = reply["siblings"].as_array().ok_or(format!("{key}: {reply}"))?;
            Ok(Content::Names(values.iter().map(text).collect::<Result<_, String>>()?))
        }
        _ => Err(format!("{key}: {reply}")),
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
        match digests(&addresses.nodes) {
            Ok(_) => return Ok(began.elapsed()),
            Err(why) if began.elapsed() > EQUAL_WITHIN => {
                let within = EQUAL_WITHIN.as_secs();
                return Err(DemoError::Owners(format!("not equal after {within} s: {why}")));
            }
            Err(_) => wait(over)?,
        }
    }
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
        let before = digests(&addresses.nodes);
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
        match (before, read, digests(&addresses.nodes)) {
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
            let mut each = Vec::new();
            for owner in owners(&addresses.nodes, bucket.name, &key.to_string())? {
                each.push((owner, read(addresses, owner, &bucket, held, &key)?));
            }
            all.push(FinalKey { column, bucket, held, key, owners: each, at: book.now() });
        }
    }
    Ok(all)
}
