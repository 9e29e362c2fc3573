//! Things that happened in a run: the same cart, product and username in every column, and what became of them.

use std::collections::BTreeMap;

use coterie_check::{Action, Name};
use serde::{Deserialize, Serialize};

use crate::outcome::Outcome as Told;

use super::book::{Kind, Noted};
use super::column::{Column, Side};
use super::owners::FinalKey;
use super::story::{Material, applied, while_cut};

/// Attempts of an example that are told at most.
const ATTEMPTS_MAX: usize = 8;

/// The examples of a run. Each was chosen as the plainest in the AP column, and is told of all columns.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Examples {
    /// A cart that both sides changed while cut off from each other.
    pub cart: Vec<CartTold>,
    /// A product that was sold most.
    pub stock: Vec<StockTold>,
    /// A username that most people got.
    pub username: Vec<NameTold>,
    /// An address of which most values stand.
    pub address: Vec<NameTold>,
    /// A stale read of each column that has one.
    pub stale: Vec<StaleTold>,
}

/// A cart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CartTold {
    pub column: Column,
    pub key: String,
    /// What was acknowledged on the left, and on the right.
    pub put: [Vec<String>; 2],
    /// Whose removal was acknowledged, and on which side.
    pub taken_out: Vec<String>,
    /// Operations that were not done, by side.
    pub not_done: [u64; 2],
    /// What every owner holds in the end.
    pub at_the_end: Vec<String>,
}

/// A product.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StockTold {
    pub column: Column,
    pub key: String,
    pub pieces: i64,
    /// Sold on the left, and on the right.
    pub sold: [u64; 2],
    /// Attempts that were not done, by side.
    pub not_done: [u64; 2],
    /// What the counter shows in the end.
    pub at_the_end: i64,
}

/// A username or an address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NameTold {
    pub column: Column,
    pub key: String,
    /// Who wanted to write it: the first few, and all that were granted.
    pub attempts: Vec<Attempt>,
    /// The values that stand in the end.
    pub at_the_end: Vec<String>,
}

/// An attempt to write a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    pub at: f64,
    pub side: Side,
    pub value: String,
    /// In words.
    pub answer: String,
}

/// A stale read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StaleTold {
    pub column: Column,
    pub at: f64,
    pub side: Side,
    pub key: String,
    pub missed: String,
    /// Where what was missed had been acknowledged, and when.
    pub written: Option<(Side, f64)>,
}

/// Chooses them.
pub(crate) fn choose(material: &Material<'_>) -> Examples {
    let cart = chosen(material, |it| {
        let put = it.kind == Kind::CartAdd && it.told == Told::Done;
        put && while_cut(material.clock, it)
    });
    let stock = chosen(material, |it| {
        let sold = it.sale == Some(true);
        sold && while_cut(material.clock, it)
    });
    let granted = |kind: Kind| {
        move |it: &Noted| {
            let granted = it.kind == kind && it.told == Told::Done && applied(it);
            granted && while_cut(material.clock, it)
        }
    };
    let username = chosen(material, granted(Kind::Claim));
    let address = chosen(material, granted(Kind::AddressSet));
    let of = |key: &Option<Name>| Column::ALL.map(|column| (column, key.clone()));
    Examples {
        cart: told(of(&cart), |column, key| cart_told(material, column, key)),
        stock: told(of(&stock), |column, key| stock_told(material, column, key)),
        username: told(of(&username), |column, key| name_told(material, column, key, Kind::Claim)),
        address: told(of(&address), |column, key| {
            name_told(material, column, key, Kind::AddressSet)
        }),
        stale: Column::ALL.into_iter().filter_map(|column| stale_told(material, column)).collect(),
    }
}

fn told<T>(of: [(Column, Option<Name>); 3], tell: impl Fn(Column, &Name) -> Option<T>) -> Vec<T> {
    of.iter().filter_map(|(column, key)| tell(*column, key.as_ref()?)).collect()
}

/// The key of the AP column of which the side that has fewer of something has most.
fn chosen(material: &Material<'_>, counts: impl Fn(&Noted) -> bool) -> Option<Name> {
    let mut keys: BTreeMap<&Name, [u64; 2]> = BTreeMap::new();
    for it in material.noted.iter().filter(|it| it.column == Column::Ap) {
        if counts(it) {
            keys.entry(&it.operation.key).or_default()[it.side.index()] += 1;
        }
    }
    let most = keys.into_iter().max_by_key(|(_, [left, right])| (*left.min(right), left + right));
    most.map(|(key, _)| key.clone())
}

fn of_key<'a>(
    material: &'a Material<'_>,
    column: Column,
    key: &'a Name,
) -> impl Iterator<Item = &'a Noted> {
    material.noted.iter().filter(move |it| {
        it.column == column && it.operation.key == *key && it.kind != Kind::Stocking
    })
}

fn end<'a>(material: &'a Material<'_>, column: Column, key: &Name) -> Option<&'a FinalKey> {
    material.finals.iter().find(|it| it.column == column && it.key == *key)
}

fn not_done(noted: &[&Noted]) -> [u64; 2] {
    Side::BOTH.map(|side| {
        noted.iter().filter(|it| it.side == side && it.told != Told::Done).count() as u64
    })
}

fn texts<'a>(names: impl IntoIterator<Item = &'a Name>) -> Vec<String> {
    names.into_iter().map(text).collect()
}

/// Spaces are no part of names' texts, but of streets.
fn text(name: &Name) -> String {
    String::from_utf8_lossy(name.as_bytes()).into_owned()
}

fn cart_told(material: &Material<'_>, column: Column, key: &Name) -> Option<CartTold> {
    let noted: Vec<&Noted> = of_key(material, column, key).collect();
    let put = Side::BOTH.map(|side| {
        let done = noted.iter().filter(|it| it.side == side && it.told == Told::Done);
        done.filter_map(|it| match &it.operation.action {
            Action::Add { element } => Some(text(element)),
            _ => None,
        })
        .collect()
    });
    let removed = noted.iter().filter(|it| it.told == Told::Done);
    let taken_out = removed.filter_map(|it| match &it.operation.action {
        Action::Remove { element } => Some(format!("{} ({})", text(element), it.side.name())),
        _ => None,
    });
    Some(CartTold {
        column,
        key: key.to_string(),
        put,
        taken_out: taken_out.collect(),
        not_done: not_done(&noted),
        at_the_end: texts(end(material, column, key)?.content().names()?),
    })
}

fn stock_told(material: &Material<'_>, column: Column, key: &Name) -> Option<StockTold> {
    let noted: Vec<&Noted> = of_key(material, column, key).collect();
    let sold = material.book.known(column).sold.get(key).copied().unwrap_or_default();
    Some(StockTold {
        column,
        key: key.to_string(),
        pieces: material.pieces,
        sold,
        not_done: not_done(&noted),
        at_the_end: end(material, column, key)?.content().number()?,
    })
}

fn name_told(material: &Material<'_>, column: Column, key: &Name, kind: Kind) -> Option<NameTold> {
    let noted = of_key(material, column, key).filter(|it| it.kind == kind);
    let mut attempts = Vec::new();
    let mut others = 0;
    for it in noted {
        let value = match &it.operation.action {
            Action::Assign { value } => value,
            Action::Strong(coterie_check::Strong::Set { value, .. }) => value,
            _ => continue,
        };
        let granted = it.told == Told::Done && applied(it);
        let answer = match it.told {
            Told::Done if granted => "OK",
            Told::Done => "nil: taken",
            Told::Unavailable => "UNAVAILABLE",
            Told::Unknown => "UNKNOWN",
            Told::Refused => "refused",
            Told::Error => "error",
        };
        others += usize::from(!granted);
        if granted || others <= ATTEMPTS_MAX {
            attempts.push(Attempt {
                at: material.clock.seconds(it.operation.invoked),
                side: it.side,
                value: text(value),
                answer: answer.to_owned(),
            });
        }
    }
    attempts.sort_by(|one, other| one.at.total_cmp(&other.at));
    let at_the_end = texts(end(material, column, key)?.content().names()?);
    Some(NameTold { column, key: key.to_string(), attempts, at_the_end })
}

/// The first stale read while cut, or else the first at all.
fn stale_told(material: &Material<'_>, column: Column) -> Option<StaleTold> {
    use super::phases::Phase;
    let stale = material.book.known(column).stale.clone();
    let cut = |at| material.clock.phase_of(at) == Phase::Cut;
    let first = stale.iter().find(|it| cut(it.at)).or(stale.first())?;
    let wrote = of_key(material, column, &first.key).find(|it| match &it.operation.action {
        Action::Add { element } => *element == first.missed,
        Action::Assign { value } => *value == first.missed,
        Action::Strong(coterie_check::Strong::Set { value, .. }) => *value == first.missed,
        _ => false,
    });
    Some(StaleTold {
        column,
        at: material.clock.seconds(first.at),
        side: first.side,
        key: first.key.to_string(),
        missed: text(&first.missed),
        written: wrote.map(|it| (it.side, material.clock.seconds(it.until))),
    })
}
