//! Customers: on each side of the cut, in each column, some who all do the same, and go to another node of their side when
//! theirs does not answer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{JoinHandle, park_timeout};
use std::time::Duration;

use coterie_check::{
    Action, Answer, Before, Condition, Level, Name, Nanos, Outcome, Part, SessionId, Strong, View,
};
use rand::{RngExt, SeedableRng};

use crate::Random;
use crate::client::Client;
use crate::level::Levels;
use crate::outcome::Outcome as Told;
use crate::reply::Reply;
use crate::target::{Access, Endpoint};

use super::DemoError;
use super::book::{Book, Kind, Noted, Stale, Write};
use super::column::{Bucket, Column, Side};
use super::shop::{self, Calendar};
use super::stage::Addresses;

/// Customers on a side of a column.
const CUSTOMERS: u64 = 2;

/// A customer does no more than one thing in this time: nodes and customers share one machine.
const PACE: Duration = Duration::from_millis(90);

/// How long an answer is waited for. Nodes answer within 2 s, if they answer.
const PATIENCE: Duration = Duration::from_secs(4);

const FRUIT: [&str; 8] = ["apples", "pears", "plums", "figs", "limes", "dates", "grapes", "melons"];

const STREETS: [&str; 5] = ["Mill Lane", "High Street", "Dock Road", "Park Row", "Hill View"];

/// All customers at work.
#[derive(Debug)]
pub(crate) struct Shoppers {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    /// Nothing is ever sent: it ends when all customers have.
    _ended: mpsc::Receiver<()>,
}

/// Lets them in.
pub(crate) fn open(
    addresses: &Addresses,
    calendar: &Calendar,
    book: &Arc<Book>,
    seed: u64,
    interrupted: &Arc<AtomicBool>,
) -> Shoppers {
    let over = Arc::new(AtomicBool::new(false));
    let (ends, ended) = mpsc::channel();
    let began = book.now();
    let mut threads = Vec::new();
    for column in Column::ALL {
        for side in Side::BOTH {
            for number in 0..CUSTOMERS {
                let nodes = side.nodes();
                // The same numbers in each column: the same things are drawn.
                let drawn = seed ^ (number << 8) ^ ((side.index() as u64) << 16) ^ 0xC0FFEE;
                let mut shopper = Shopper {
                    column,
                    side,
                    endpoints: nodes.iter().map(|node| addresses.resp[*node]).collect(),
                    turn: usize::try_from(number).unwrap_or(0),
                    calendar: calendar.clone(),
                    began,
                    book: Arc::clone(book),
                    random: Random::seed_from_u64(drawn),
                    desks: [None, None],
                    seen: None,
                };
                let (over, interrupted) = (Arc::clone(&over), Arc::clone(interrupted));
                let ends: mpsc::Sender<()> = ends.clone();
                threads.push(std::thread::spawn(move || {
                    while !over.load(Ordering::Relaxed) && !interrupted.load(Ordering::Relaxed) {
                        shopper.visit();
                        park_timeout(PACE);
                    }
                    drop(ends);
                }));
            }
        }
    }
    Shoppers { over, threads, _ended: ended }
}

impl Shoppers {
    /// Has them finish what they are at.
    pub(crate) fn close(mut self) -> Result<(), DemoError> {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            thread.join().map_err(|_panic| DemoError::Opening("a customer panicked".to_owned()))?;
        }
        Ok(())
    }
}

impl Drop for Shoppers {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// A connection to a bucket.
struct Desk {
    session: SessionId,
    client: Client,
}

/// What came of an operation.
struct Done {
    told: Told,
    until: Nanos,
    invoked: Nanos,
    /// The reply, where it makes sense.
    reply: Option<Heard>,
}

/// What a reply says.
enum Heard {
    Nothing,
    Ok,
    Number(i64),
    Words(Vec<Name>),
}

struct Shopper {
    column: Column,
    side: Side,
    endpoints: Vec<std::net::SocketAddr>,
    turn: usize,
    calendar: Calendar,
    began: Nanos,
    book: Arc<Book>,
    random: Random,
    /// For carts, and for stock and names.
    desks: [Option<Desk>; 2],
    /// The cart that was last looked into, and what was in it.
    seen: Option<(Name, Vec<Name>)>,
}

impl Shopper {
    fn strong(&self) -> bool {
        self.column == Column::Cp
    }

    /// One thing.
    fn visit(&mut self) {
        let seconds = self.book.now().0.saturating_sub(self.began.0) as f64 / 1e9;
        let round = self.calendar.round_at(seconds);
        let name = self.random.random_range(0..shop::usernames(round).len());
        let username = shop::usernames(round).swap_remove(name);
        match self.random.random_range(0..100) {
            0..26 => self.put_into_cart(shop::cart(round)),
            26..46 => self.look_into_cart(shop::cart(round)),
            46..52 => self.take_out_of_cart(shop::cart(round)),
            52..62 => self.set_address(shop::address(round)),
            62..70 => self.read_address(shop::address(round)),
            70..84 => self.buy(shop::product(round)),
            84..93 => self.claim(username),
            _ => self.look_up(username),
        }
    }

    fn put_into_cart(&mut self, key: Name) {
        let fruit = FRUIT[self.random.random_range(0..FRUIT.len())];
        let item = Name::from(format!("{fruit}-{}", self.book.number()).as_str());
        let action = Action::Add { element: item.clone() };
        let (add, key_of) = (b"SADD".as_slice(), key.clone());
        let done = self.ask(
            0,
            Kind::CartAdd,
            &key,
            action,
            &[add, key_of.as_bytes(), item.as_bytes()],
            stored,
        );
        if done.is_some_and(|done| done.told == Told::Done) {
            self.book.known(self.column).items.entry(key).or_default().insert(item);
        }
    }

    /// Takes out something that was seen in it.
    fn take_out_of_cart(&mut self, key: Name) {
        let seen = self.seen.take().filter(|(cart, _)| *cart == key).map(|(_, items)| items);
        let item = {
            let mut known = self.book.known(self.column);
            let seen = seen.unwrap_or_default();
            let there: Vec<_> =
                seen.into_iter().filter(|item| !known.leaving.contains(item)).collect();
            let item = (!there.is_empty())
                .then(|| there[self.random.random_range(0..there.len())].clone());
            known.leaving.extend(item.clone());
            item
        };
        let Some(item) = item else { return self.look_into_cart(key) };
        let action = Action::Remove { element: item.clone() };
        self.ask(
            0,
            Kind::CartRemove,
            &key,
            action,
            &[b"SREM", key.as_bytes(), item.as_bytes()],
            stored,
        );
    }

    fn look_into_cart(&mut self, key: Name) {
        let before = self.book.known(self.column).items.get(&key).cloned().unwrap_or_default();
        let action = Action::Read(Part::Set);
        let done =
            self.ask(0, Kind::CartRead, &key, action, &[b"SMEMBERS", key.as_bytes()], members);
        let Some(Done { reply: Some(Heard::Words(shown)), invoked, .. }) = done else { return };
        let mut known = self.book.known(self.column);
        let missed =
            before.iter().find(|item| !shown.contains(item) && !known.leaving.contains(item));
        if let Some(missed) = missed.cloned() {
            known.stale.push(Stale { at: invoked, side: self.side, key: key.clone(), missed });
        }
        self.seen = Some((key, shown));
    }

    fn set_address(&mut self, key: Name) {
        let street = STREETS[self.random.random_range(0..STREETS.len())];
        let value = Name::from(format!("{} {street}", self.book.number()).as_str());
        let action = Action::Assign { value: value.clone() };
        self.write(
            0,
            Kind::AddressSet,
            &key,
            &value,
            action,
            &[b"SET", key.as_bytes(), value.as_bytes()],
            stored,
        );
    }

    fn read_address(&mut self, key: Name) {
        let action = Action::Read(Part::Register);
        let words: [&[u8]; 2] = [b"GET", key.as_bytes()];
        let done = self.ask(0, Kind::AddressRead, &key, action, &words, value);
        self.judge_values(key, done);
    }

    fn claim(&mut self, key: Name) {
        let person = Name::from(format!("visitor-{}", self.book.number()).as_str());
        let (action, answered): (_, Reading) = if self.strong() {
            let condition = Condition::IfAbsent;
            (Action::Strong(Strong::Set { value: person.clone(), condition }), set_if_absent)
        } else {
            (Action::Assign { value: person.clone() }, assigned_if_absent)
        };
        let words: [&[u8]; 4] = [b"SET", key.as_bytes(), person.as_bytes(), b"NX"];
        self.write(1, Kind::Claim, &key, &person, action, &words, answered);
    }

    fn look_up(&mut self, key: Name) {
        let (action, answered): (_, Reading) = if self.strong() {
            (Action::Strong(Strong::Get), held)
        } else {
            (Action::Read(Part::Register), value)
        };
        let done = self.ask(1, Kind::Lookup, &key, action, &[b"GET", key.as_bytes()], answered);
        self.judge_values(key, done);
    }

    /// Looks whether there is a piece, takes one, and gives it back if somebody was faster.
    fn buy(&mut self, key: Name) {
        let (action, answered): (_, Reading) = if self.strong() {
            (Action::Strong(Strong::Get), held)
        } else {
            (Action::Read(Part::Counter), counter)
        };
        let done = self.ask(1, Kind::StockRead, &key, action, &[b"GET", key.as_bytes()], answered);
        let Some(Heard::Number(left)) = done.and_then(|done| done.reply) else { return };
        if left <= 0 {
            return;
        }
        let done = self.change_stock(Kind::StockTake, &key, -1);
        match done.and_then(|done| done.reply) {
            Some(Heard::Number(left)) if left >= 0 => {
                let mut known = self.book.known(self.column);
                known.sold.entry(key).or_default()[self.side.index()] += 1;
            }
            Some(Heard::Number(_)) => {
                self.change_stock(Kind::StockGiveBack, &key, 1);
            }
            _ => {}
        }
    }

    fn change_stock(&mut self, kind: Kind, key: &Name, by: i64) -> Option<Done> {
        let (action, answered): (_, Reading) = if self.strong() {
            (Action::Strong(Strong::Increment { by }), number)
        } else {
            (Action::Increment { by }, stored)
        };
        let amount = by.to_string();
        self.ask(1, kind, key, action, &[b"INCRBY", key.as_bytes(), amount.as_bytes()], answered)
    }

    fn judge_values(&mut self, key: Name, done: Option<Done>) {
        let Some(done) = done else { return };
        let shown = match done.reply {
            Some(Heard::Words(shown)) => shown,
            Some(Heard::Nothing) => Vec::new(),
            _ => return,
        };
        let mut known = self.book.known(self.column);
        if let Some(missed) = known.missed_value(&key, done.invoked, &shown) {
            known.stale.push(Stale { at: done.invoked, side: self.side, key, missed });
        }
    }

    /// Writes a value of which it is known from then on that it may be there.
    #[expect(clippy::too_many_arguments, reason = "they are the parts of an operation")]
    fn write(
        &mut self,
        desk: usize,
        kind: Kind,
        key: &Name,
        value: &Name,
        action: Action,
        words: &[&[u8]],
        read: Reading,
    ) {
        let write = Write { invoked: self.book.now(), returned: None };
        let values = |book: &Book, write| {
            book.known(self.column)
                .values
                .entry(key.clone())
                .or_default()
                .insert(value.clone(), write);
        };
        values(&self.book, write);
        let book = Arc::clone(&self.book);
        let (column, done) = (self.column, self.ask(desk, kind, key, action, words, read));
        let mut known = book.known(column);
        let Some(values) = known.values.get_mut(key) else { return };
        match done {
            Some(Done { reply: Some(Heard::Ok), until, .. }) => {
                values.insert(value.clone(), Write { returned: Some(until), ..write });
            }
            // It may be there, or come to be.
            Some(Done { told: Told::Unknown, .. }) => {}
            _ => drop(values.remove(value)),
        }
    }

    fn bucket(&self, desk: usize) -> Bucket {
        if desk == 0 { self.column.carts() } else { self.column.ledger() }
    }

    fn connect(&mut self, desk: usize) -> Option<Desk> {
        if let Some(open) = self.desks[desk].take() {
            return Some(open);
        }
        let at = self.turn % self.endpoints.len();
        let access =
            Access { bucket: Some(self.bucket(desk).name.to_owned()), ..Access::default() };
        let endpoint = Endpoint::of(self.endpoints[at]);
        match Client::open(&endpoint, &access, Levels::Default, PATIENCE) {
            Ok(client) => Some(Desk { session: self.book.session(), client }),
            Err(_) => {
                self.turn = self.turn.wrapping_add(1);
                None
            }
        }
    }

    /// Asks, and writes down what came of it; nothing where no node of this side takes connections.
    fn ask(
        &mut self,
        at: usize,
        kind: Kind,
        key: &Name,
        action: Action,
        words: &[&[u8]],
        read: Reading,
    ) -> Option<Done> {
        // A node that is down refuses at once: the next one is tried, as clients do.
        let mut desk = (0..self.endpoints.len()).find_map(|_| self.connect(at))?;
        let book = Arc::clone(&self.book);
        let invoked = book.now();
        let answer = desk.client.ask(words);
        let until = book.now();
        let (told, outcome, reply, keep) = match &answer {
            // A lost connection, or an answer that did not come.
            Err(_) => (Told::Unknown, unknown(), None, false),
            Ok(reply) => match Told::of(reply) {
                Told::Done => match read(reply, until) {
                    Some((outcome, heard)) => (Told::Done, outcome, Some(heard), true),
                    None => {
                        book.strange(format!("{action} was answered {reply:?}"));
                        (Told::Error, unknown(), None, true)
                    }
                },
                Told::Unknown => (Told::Unknown, unknown(), None, true),
                Told::Unavailable => {
                    (Told::Unavailable, Outcome::Unavailable { returned: until }, None, true)
                }
                Told::Refused => (Told::Refused, Outcome::Refused { returned: until }, None, true),
                Told::Error => {
                    book.strange(format!("{action} was answered {reply:?}"));
                    (Told::Error, Outcome::Refused { returned: until }, None, true)
                }
            },
        };
        let bucket = self.bucket(at);
        let level = match action {
            Action::Read(_) => bucket.read,
            Action::Strong(_) => Level::Linearizable,
            _ => bucket.write,
        };
        let sale = match (kind, &reply) {
            (Kind::StockTake, Some(Heard::Number(left))) => Some(*left >= 0),
            _ => None,
        };
        let operation =
            book.operation(desk.session, bucket, key.clone(), level, invoked, action, outcome);
        let (column, side) = (self.column, self.side);
        book.note(Noted { column, side, kind, told, until, sale, operation });
        if keep {
            self.desks[at] = Some(desk);
        } else {
            self.turn = self.turn.wrapping_add(1);
        }
        Some(Done { told, until, invoked, reply })
    }
}

fn unknown() -> Outcome {
    Outcome::Unknown { dot: None, observed: None }
}

/// Reads a reply to something that was done; nothing if it makes no sense.
type Reading = fn(&Reply<'_>, Nanos) -> Option<(Outcome, Heard)>;

fn done(returned: Nanos, answer: Answer) -> Outcome {
    Outcome::Done { returned, answer, dot: None, observed: None }
}

fn shown(returned: Nanos, view: View) -> Outcome {
    done(returned, Answer::Shown(view))
}

fn stored(reply: &Reply<'_>, at: Nanos) -> Option<(Outcome, Heard)> {
    let heard = match reply {
        Reply::Status(_) => Heard::Ok,
        Reply::Integer(number) => Heard::Number(*number),
        _ => return None,
    };
    Some((done(at, Answer::Stored), heard))
}

fn number(reply: &Reply<'_>, at: Nanos) -> Option<(Outcome, Heard)> {
    let Reply::Integer(number) = reply else { return None };
    Some((done(at, Answer::Number(*number)), Heard::Number(*number)))
}

fn members(reply: &Reply<'_>, at: Nanos) -> Option<(Outcome, Heard)> {
    let elements = words(reply)?;
    let view = View { elements: elements.clone(), ..View::default() };
    Some((shown(at, view), Heard::Words(elements)))
}

fn words(reply: &Reply<'_>) -> Option<Vec<Name>> {
    let Reply::Array(words) = reply else { return None };
    let word = |word: &Reply<'_>| match word {
        Reply::Bulk(word) => Some(Name::from(*word)),
        _ => None,
    };
    words.iter().map(word).collect()
}

fn value(reply: &Reply<'_>, at: Nanos) -> Option<(Outcome, Heard)> {
    let values = match reply {
        Reply::Null => Vec::new(),
        Reply::Bulk(value) => vec![Name::from(*value)],
        _ => return None,
    };
    let view = View { register: values.clone(), ..View::default() };
    Some((shown(at, view), Heard::Words(values)))
}

fn counter(reply: &Reply<'_>, at: Nanos) -> Option<(Outcome, Heard)> {
    let counter = match reply {
        Reply::Null => 0,
        Reply::Bulk(text) => std::str::from_utf8(text).ok()?.parse().ok()?,
        _ => return None,
    };
    Some((shown(at, View { counter, ..View::default() }), Heard::Number(counter)))
}

/// What a strong register holds: a number, or somebody's name.
fn held(reply: &Reply<'_>, at: Nanos) -> Option<(Outcome, Heard)> {
    let (held, heard) = match reply {
        Reply::Null => (None, Heard::Nothing),
        Reply::Bulk(text) => {
            let name = Name::from(*text);
            let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
            (Some(name.clone()), number.map_or(Heard::Words(vec![name]), Heard::Number))
        }
        _ => return None,
    };
    Some((done(at, Answer::Held(held)), heard))
}

fn set_if_absent(reply: &Reply<'_>, at: Nanos) -> Option<(Outcome, Heard)> {
    let (applied, heard) = taken(reply)?;
    Some((done(at, Answer::Set { applied, before: Before::NotAsked }), heard))
}

/// Where the name is taken, nothing was stored.
fn assigned_if_absent(reply: &Reply<'_>, at: Nanos) -> Option<(Outcome, Heard)> {
    let (applied, heard) = taken(reply)?;
    let refused = Outcome::Refused { returned: at };
    Some((if applied { done(at, Answer::Stored) } else { refused }, heard))
}

fn taken(reply: &Reply<'_>) -> Option<(bool, Heard)> {
    match reply {
        Reply::Status(_) => Some((true, Heard::Ok)),
        Reply::Null => Some((false, Heard::Nothing)),
        _ => None,
    }
}
