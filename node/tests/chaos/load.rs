//! Redis clients that write and read while faults happen, and write down what they were told.
//!
//! RESP tells no dots. So every element is added once and every register's value assigned once, in the whole run: what
//! is lost, or comes back, can be seen by its name.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, park_timeout};
use std::time::{Duration, Instant};

use coterie_check::{
    Action, Answer, BucketId, Level, Name, Nanos, Operation, OperationId, Outcome, Part, Record,
    Session, SessionId, View,
};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::redis::{Redis, Reply};

/// The one bucket that is used.
pub(crate) const BUCKET: BucketId = BucketId(0);

/// How long a client waits for an answer. Nodes answer within 2 s, if they answer.
const PATIENCE: Duration = Duration::from_secs(4);

/// A client asks no more often, so that the machine has time for nodes.
const PACE: Duration = Duration::from_millis(10);

/// Likewise one of linearizable operations: the search for an order is exponential in what is concurrent.
const LINEARIZABLE_PACE: Duration = Duration::from_millis(150);

/// Keys of each kind.
const KEYS: u64 = 3;

/// What a key holds; its name begins with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Set,
    Counter,
    Register,
}

impl Kind {
    /// By a key's name.
    pub(crate) fn of(key: &str) -> Kind {
        match key.as_bytes().first() {
            Some(b's' | b'l') => Kind::Set,
            Some(b'c') => Kind::Counter,
            _ => Kind::Register,
        }
    }
}

/// Numbers and records of a whole run.
#[derive(Debug)]
pub(crate) struct Book {
    begun: Instant,
    numbers: AtomicU64,
    records: Mutex<Vec<Record>>,
    /// Errors that no client of this load should ever be told.
    pub(crate) strange: Mutex<BTreeSet<String>>,
}

impl Book {
    /// An empty one.
    pub(crate) fn new() -> Arc<Book> {
        Arc::new(Book {
            begun: Instant::now(),
            numbers: AtomicU64::new(1),
            records: Mutex::default(),
            strange: Mutex::default(),
        })
    }

    /// The time of the history.
    pub(crate) fn now(&self) -> Nanos {
        Nanos(u64::try_from(self.begun.elapsed().as_nanos()).unwrap())
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    fn write(&self, record: Record) {
        self.records.lock().unwrap().push(record);
    }

    /// What was written down since the last time.
    pub(crate) fn take(&self) -> Vec<Record> {
        std::mem::take(&mut self.records.lock().unwrap())
    }
}

/// Clients at work.
pub(crate) struct Load {
    over: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts clients that each go to any of these nodes, on keys of their own for each act.
    pub(crate) fn start(book: &Arc<Book>, nodes: &[SocketAddr], act: usize, seed: u64) -> Load {
        let over = Arc::new(AtomicBool::new(false));
        let levels = [
            Level::Quorum,
            Level::Quorum,
            Level::Quorum,
            Level::One,
            Level::Linearizable,
            Level::Linearizable,
        ];
        let elements = Arc::new(Mutex::new(Vec::new()));
        let clients = levels.into_iter().enumerate().map(|(number, level)| {
            let seed = seed ^ ((act as u64) << 32) ^ ((number as u64) << 48);
            let mut client = Client {
                book: Arc::clone(book),
                over: Arc::clone(&over),
                nodes: nodes.to_vec(),
                act,
                level,
                elements: Arc::clone(&elements),
                random: Xoshiro256PlusPlus::seed_from_u64(seed),
                connection: None,
            };
            std::thread::spawn(move || client.run())
        });
        let clients = clients.collect();
        Load { over, clients }
    }

    /// Has the clients finish what they are at.
    pub(crate) fn stop(mut self) {
        self.over.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            client.join().expect("a client ends when it is told to");
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

struct Client {
    book: Arc<Book>,
    over: Arc<AtomicBool>,
    nodes: Vec<SocketAddr>,
    act: usize,
    level: Level,
    /// Those of all clients, with their keys: for removing them again.
    elements: Arc<Mutex<Vec<(String, String)>>>,
    random: Xoshiro256PlusPlus,
    connection: Option<(SessionId, Redis)>,
}

impl Client {
    fn run(&mut self) {
        while !self.over.load(Ordering::Relaxed) {
            let (key, action) = self.draw();
            self.perform(&key, action);
            let linearizable = self.level == Level::Linearizable;
            park_timeout(if linearizable { LINEARIZABLE_PACE } else { PACE });
        }
    }

    /// What to do next.
    fn draw(&mut self) -> (String, Action) {
        let unique = self.book.number();
        let (act, key) = (self.act, self.random.random_range(0..KEYS));
        let dice = self.random.random_range(0..100);
        // Only some keys are ever deleted: what a delete may have taken cannot be missed.
        let deletable = key == 0;
        if self.level == Level::Linearizable {
            let key = format!("linearizable-{act}-{key}");
            return match dice {
                0..50 => self.add(key, unique),
                50..65 => self.remove(key),
                _ => (key, Action::Read(Part::Set)),
            };
        }
        match self.random.random_range(0..3) {
            0 => {
                let key = format!("set-{act}-{key}");
                match dice {
                    0..50 => self.add(key, unique),
                    50..75 => self.remove(key),
                    75..77 if deletable => (key, Action::Delete),
                    _ => (key, Action::Read(Part::Set)),
                }
            }
            1 => {
                let key = format!("counter-{act}-{key}");
                match dice {
                    0..70 => (key, Action::Increment { by: self.random.random_range(-5..=9) }),
                    70..72 if deletable => (key, Action::Delete),
                    _ => (key, Action::Read(Part::Counter)),
                }
            }
            _ => {
                let key = format!("register-{act}-{key}");
                let value = Name::from(format!("v{unique}").as_str());
                match dice {
                    0..60 => (key, Action::Assign { value }),
                    60..64 if deletable => (key, Action::Delete),
                    _ => (key, Action::Read(Part::Register)),
                }
            }
        }
    }

    fn add(&self, key: String, unique: u64) -> (String, Action) {
        let element = format!("e{unique}");
        self.elements.lock().unwrap().push((key.clone(), element.clone()));
        (key, Action::Add { element: Name::from(element.as_str()) })
    }

    /// Removes something that somebody has added or is about to.
    fn remove(&mut self, key: String) -> (String, Action) {
        let mut elements = self.elements.lock().unwrap();
        let start = self.random.random_range(0..elements.len().max(1));
        let found = (start..elements.len()).chain(0..start).find(|at| elements[*at].0 == key);
        match found {
            Some(at) => {
                let (_, element) = elements.swap_remove(at);
                (key, Action::Remove { element: Name::from(element.as_str()) })
            }
            None => (key, Action::Read(Part::Set)),
        }
    }

    fn connect(&mut self) -> io::Result<()> {
        if self.connection.is_some() {
            return Ok(());
        }
        let node = self.nodes[self.random.random_range(0..self.nodes.len())];
        let mut redis = Redis::connect(node, PATIENCE)?;
        let level = match self.level {
            Level::One => "one",
            Level::Linearizable => "linearizable",
            _ => "quorum",
        };
        match redis.ask(&["COTERIE", "CONSISTENCY", level, level])? {
            Reply::Status(_) => {}
            // It is of no use then.
            other => return Err(io::Error::other(format!("{other:?}"))),
        }
        let session = SessionId(self.book.number());
        let declared = Session { session, read_your_writes: true, monotonic_reads: false };
        self.book.write(Record::Session(declared));
        self.connection = Some((session, redis));
        Ok(())
    }

    fn perform(&mut self, key: &str, action: Action) {
        if self.connect().is_err() {
            return;
        }
        let Some((session, mut redis)) = self.connection.take() else { return };
        let id = OperationId(self.book.number());
        let invoked = self.book.now();
        let answered = redis.ask(&words(key, &action));
        let returned = self.book.now();
        let outcome = match answered {
            // Lost connections, and answers that did not come.
            Err(_) => Outcome::Unknown { dot: None, observed: None },
            Ok(reply) => {
                self.connection = Some((session, redis));
                self.outcome(&action, &reply, returned)
            }
        };
        self.book.write(Record::Operation(Operation {
            id,
            session,
            bucket: BUCKET,
            key: Name::from(key),
            level: self.level,
            observes: None,
            invoked,
            action,
            outcome,
        }));
    }

    fn outcome(&self, action: &Action, reply: &Reply, returned: Nanos) -> Outcome {
        if let Reply::Error(error) = reply {
            return match error.split(' ').next().unwrap_or_default() {
                "UNKNOWN" => Outcome::Unknown { dot: None, observed: None },
                "UNAVAILABLE" => Outcome::Unavailable { returned },
                code => {
                    if !matches!(code, "LOADING" | "BUSY" | "FULL") {
                        self.book.strange.lock().unwrap().insert(error.clone());
                    }
                    Outcome::Refused { returned }
                }
            };
        }
        match answer(action, reply) {
            Some(answer) => Outcome::Done { returned, answer, dot: None, observed: None },
            None => {
                self.book.strange.lock().unwrap().insert(format!("{reply:?}"));
                Outcome::Unknown { dot: None, observed: None }
            }
        }
    }
}

/// An action as a command.
fn words<'a>(key: &'a str, action: &'a Action) -> Vec<&'a str> {
    // Names are of letters and digits here.
    let text = |name: &'a Name| std::str::from_utf8(name.as_bytes()).unwrap();
    match action {
        Action::Add { element } => vec!["SADD", key, text(element)],
        Action::Remove { element } => vec!["SREM", key, text(element)],
        Action::Increment { by } => vec!["INCRBY", key, number(*by)],
        Action::Assign { value } => vec!["SET", key, text(value)],
        Action::Delete => vec!["DEL", key],
        Action::Read(Part::Set) => vec!["SMEMBERS", key],
        _ => vec!["GET", key],
    }
}

/// The amounts that are drawn, as text.
fn number(by: i64) -> &'static str {
    const TEXTS: [&str; 15] =
        ["-5", "-4", "-3", "-2", "-1", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    TEXTS[usize::try_from(by + 5).unwrap()]
}

/// A reply in the words of the checkers.
fn answer(action: &Action, reply: &Reply) -> Option<Answer> {
    let name = |bytes: &Vec<u8>| Name::from(bytes.as_slice());
    let mut view = View::default();
    match (action, reply) {
        (Action::Read(Part::Set), Reply::Array(members)) => {
            for member in members {
                let Reply::Bulk(Some(member)) = member else { return None };
                view.elements.push(name(member));
            }
        }
        (Action::Read(Part::Counter), Reply::Bulk(text)) => {
            let text = text.as_deref().unwrap_or(b"0");
            view.counter = std::str::from_utf8(text).ok()?.parse().ok()?;
        }
        (Action::Read(Part::Register), Reply::Bulk(value)) => {
            view.register = value.iter().map(name).collect();
        }
        (Action::Read(_), _) => return None,
        (_, Reply::Status(_) | Reply::Integer(_)) => return Some(Answer::Stored),
        _ => return None,
    }
    Some(Answer::Shown(view))
}
