//! What the shop keeps: in each short round another cart, address, product and set of usernames, the same in every column.

use std::time::Duration;

use coterie_check::{Action, Answer, Level, Name, Outcome, Strong};

use crate::client::Client;
use crate::level::Levels;
use crate::reply::Reply;
use crate::target::{Access, Endpoint};

use super::DemoError;
use super::book::{Book, Kind, Noted};
use super::column::{Bucket, Column, Side};
use super::phases::Lengths;
use super::stage::Addresses;

/// Usernames of a round.
const NAMES: [&str; 3] = ["ada", "grace", "alan"];

/// How long an answer is waited for while the shop is stocked.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which round is when, and how much there is of each product.
#[derive(Clone, Debug)]
pub(crate) struct Calendar {
    pub(crate) round: Duration,
    pub(crate) rounds: usize,
    pub(crate) pieces: i64,
}

impl Calendar {
    pub(crate) fn of(lengths: &Lengths) -> Calendar {
        let rounds = lengths.total_max().as_secs_f64() / lengths.round.as_secs_f64();
        let rounds = rounds.ceil().max(1.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some dozens")]
        let rounds = rounds as usize;
        let pieces = if lengths.round >= Duration::from_secs(3) { 6 } else { 3 };
        Calendar { round: lengths.round, rounds, pieces }
    }

    /// The round at so many seconds from the opening.
    pub(crate) fn round_at(&self, seconds: f64) -> usize {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some dozens")]
        let round = (seconds.max(0.0) / self.round.as_secs_f64()) as usize;
        round.min(self.rounds - 1)
    }
}

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Held {
    Cart,
    Address,
    Stock,
    Username,
}

pub(crate) fn cart(round: usize) -> Name {
    Name::from(format!("cart-{round}").as_str())
}

pub(crate) fn address(round: usize) -> Name {
    Name::from(format!("address-{round}").as_str())
}

pub(crate) fn product(round: usize) -> Name {
    Name::from(format!("stock-{round}").as_str())
}

pub(crate) fn usernames(round: usize) -> Vec<Name> {
    NAMES.iter().map(|name| Name::from(format!("name-{name}{round}").as_str())).collect()
}

/// The keys of a round, in one column.
pub(crate) fn keys(column: Column, round: usize) -> Vec<(Bucket, Held, Name)> {
    let mut keys = vec![
        (column.carts(), Held::Cart, cart(round)),
        (column.carts(), Held::Address, address(round)),
        (column.ledger(), Held::Stock, product(round)),
    ];
    let names = usernames(round);
    keys.extend(names.into_iter().map(|name| (column.ledger(), Held::Username, name)));
    keys
}

/// Puts all products on the shelves of all columns, on every owner; how long that took.
pub(crate) fn stock(
    addresses: &Addresses,
    calendar: &Calendar,
    book: &Book,
) -> Result<Duration, DemoError> {
    let began = book.now();
    let endpoint = Endpoint::of(addresses.resp[0]);
    for column in Column::ALL {
        let bucket = column.ledger();
        let access = Access { bucket: Some(bucket.name.to_owned()), ..Access::default() };
        let strong = column == Column::Cp;
        let levels = if strong {
            Levels::Default
        } else {
            Levels::Asked { write: Level::All, read: Level::All }
        };
        let opening = |error: crate::client::ClientError| DemoError::Opening(error.to_string());
        let mut client = Client::open(&endpoint, &access, levels, PATIENCE).map_err(opening)?;
        let session = book.session();
        let by = calendar.pieces;
        for round in 0..calendar.rounds {
            let key = product(round);
            let invoked = book.now();
            let amount = by.to_string();
            let reply =
                client.ask(&[b"INCRBY", key.as_bytes(), amount.as_bytes()]).map_err(opening)?;
            let Reply::Integer(number) = reply else {
                return Err(DemoError::Opening(format!("{key}: {reply:?}")));
            };
            let returned = book.now();
            let (action, answer, level) = if strong {
                let action = Action::Strong(Strong::Increment { by });
                (action, Answer::Number(number), Level::Linearizable)
            } else {
                (Action::Increment { by }, Answer::Stored, Level::All)
            };
            let outcome = Outcome::Done { returned, answer, dot: None, observed: None };
            book.note(Noted {
                column,
                side: Side::Left,
                kind: Kind::Stocking,
                told: crate::outcome::Outcome::Done,
                until: returned,
                sale: None,
                operation: book.operation(session, bucket, key, level, invoked, action, outcome),
            });
        }
    }
    Ok(Duration::from_nanos(book.now().0.saturating_sub(began.0)))
}
