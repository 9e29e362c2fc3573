//! One judged client: it writes and reads, goes elsewhere when nobody answers, and writes down what it was told.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::park_timeout;
use std::time::Duration;

use coterie_check::{
    Action, Bucket, BucketKind, Condition, Level, Name, Nanos, Operation, OperationId, Outcome,
    Part, Record, Session, SessionId, Strong,
};
use rand::{RngExt, SeedableRng};

use crate::Random;
use crate::client::{Client, ClientError};
use crate::level::Levels;
use crate::outcome::Outcome as Told;
use crate::reply::Reply;
use crate::target::{Access, Target};

use super::answer::{answer, words};
use super::{BUCKET, Book, Judging, Promises};

/// How long an answer is waited for. Nodes answer within 2 s, if they answer.
const PATIENCE: Duration = Duration::from_secs(4);

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Sets, counters and registers, at the levels of the run.
    Mixed,
    /// Sets whose operations are linearizable.
    Linearizable,
    /// Compare-and-set registers.
    Strong,
}

/// What a target is: asks it, where it can say.
pub(crate) fn promises(
    judging: &Judging,
    target: &Target,
    access: &Access,
    levels: Levels,
) -> Result<Promises, String> {
    let endpoint = target.endpoints.first().ok_or("it has no address")?;
    let text = |error: ClientError| error.to_string();
    let mut client = Client::open(endpoint, access, levels, PATIENCE).map_err(text)?;
    let reply = client.ask(&[b"COTERIE", b"CONSISTENCY"]).map_err(text)?;
    let words: Vec<String> = match &reply {
        Reply::Array(words) => words.iter().map(word).collect(),
        Reply::Error(_) => Vec::new(),
        other => return Err(format!("it answers COTERIE CONSISTENCY with {other:?}")),
    };
    let named = |name: &str| {
        let at = words.iter().position(|word| word == name)?;
        match words.get(at + 1)?.parse::<Levels>().ok()? {
            Levels::Asked { write, .. } => Some(write),
            Levels::Default => None,
        }
    };
    Ok(match (named("write"), named("read")) {
        (Some(write), Some(read)) => Promises {
            coterie: true,
            write,
            read,
            bucket: Bucket { bucket: BUCKET, replicas: judging.replicas, kind: judging.kind },
            own_writes: true,
            monotonic: access.monotonic,
        },
        // One server has one copy.
        _ => Promises {
            coterie: false,
            write: Level::All,
            read: Level::All,
            bucket: Bucket { bucket: BUCKET, replicas: 1, kind: BucketKind::Strict },
            own_writes: target.endpoints.len() == 1,
            monotonic: target.endpoints.len() == 1,
        },
    })
}

fn word(reply: &Reply<'_>) -> String {
    match reply {
        Reply::Bulk(word) | Reply::Status(word) => String::from_utf8_lossy(word).into_owned(),
        _ => String::new(),
    }
}

/// What a client works with.
pub(crate) struct Surroundings {
    pub(crate) book: Arc<Book>,
    pub(crate) over: Arc<AtomicBool>,
    /// Elements of all clients, with their keys: for removing them again.
    pub(crate) elements: Arc<Mutex<Vec<(Name, Name)>>>,
    pub(crate) target: Target,
    pub(crate) access: Access,
    pub(crate) levels: Levels,
    pub(crate) promises: Promises,
    pub(crate) keys: u64,
    pub(crate) pause: Duration,
}

pub(crate) struct Worker {
    around: Surroundings,
    role: Role,
    endpoint: usize,
    random: Random,
    connection: Option<(SessionId, Client)>,
}

impl Worker {
    pub(crate) fn new(around: Surroundings, role: Role, number: u64, seed: u64) -> Worker {
        let random = Random::seed_from_u64(seed ^ number.rotate_left(48) ^ 0x5EED);
        let endpoint = usize::try_from(number).unwrap_or(0);
        Worker { around, role, endpoint, random, connection: None }
    }

    pub(crate) fn run(&mut self) {
        while !self.around.over.load(Ordering::Relaxed) {
            if !self.around.book.is_full() {
                let (key, action) = self.draw();
                self.perform(key, action);
            }
            park_timeout(self.around.pause);
        }
    }

    fn key(&self, held: &str, number: u64) -> Name {
        Name::from(format!("check-{}-{held}-{number}", self.around.book.run).as_str())
    }

    /// What to do next.
    fn draw(&mut self) -> (Name, Action) {
        let unique = self.around.book.number();
        let number = self.random.random_range(0..self.around.keys);
        let dice = self.random.random_range(0..100);
        let value = Name::from(format!("v{unique}").as_str());
        // Only some keys are ever deleted: what a delete may have taken cannot be missed.
        let deletable = number == 0 && self.around.keys > 1;
        match self.role {
            Role::Linearizable => {
                let key = self.key("linearizable", number);
                match dice {
                    0..50 => self.add(key, unique),
                    50..65 => self.remove(key),
                    _ => (key, Action::Read(Part::Set)),
                }
            }
            Role::Strong => {
                let strong = match dice {
                    0..35 => Strong::Set { value, condition: Condition::Always },
                    35..50 => Strong::Set { value, condition: Condition::IfAbsent },
                    50..60 => Strong::Delete,
                    _ => Strong::Get,
                };
                (self.key("strong", number), Action::Strong(strong))
            }
            Role::Mixed => match self.random.random_range(0..3) {
                0 => {
                    let key = self.key("set", number);
                    match dice {
                        0..50 => self.add(key, unique),
                        50..75 => self.remove(key),
                        75..77 if deletable => (key, Action::Delete),
                        _ => (key, Action::Read(Part::Set)),
                    }
                }
                1 => {
                    let key = self.key("counter", number);
                    match dice {
                        0..70 => (key, Action::Increment { by: self.random.random_range(-5..=9) }),
                        70..72 if deletable => (key, Action::Delete),
                        _ => (key, Action::Read(Part::Counter)),
                    }
                }
                _ => {
                    let key = self.key("register", number);
                    match dice {
                        0..60 => (key, Action::Assign { value }),
                        60..64 if deletable => (key, Action::Delete),
                        _ => (key, Action::Read(Part::Register)),
                    }
                }
            },
        }
    }

    fn add(&self, key: Name, unique: u64) -> (Name, Action) {
        let element = Name::from(format!("e{unique}").as_str());
        let mut elements = self.around.elements.lock().unwrap_or_else(PoisonError::into_inner);
        elements.push((key.clone(), element.clone()));
        (key, Action::Add { element })
    }

    /// Removes something that somebody has added or is about to.
    fn remove(&mut self, key: Name) -> (Name, Action) {
        let mut elements = self.around.elements.lock().unwrap_or_else(PoisonError::into_inner);
        let start = self.random.random_range(0..elements.len().max(1));
        let found = (start..elements.len()).chain(0..start).find(|at| elements[*at].0 == key);
        match found {
            Some(at) => {
                let (_, element) = elements.swap_remove(at);
                (key, Action::Remove { element })
            }
            None => (key, Action::Read(Part::Set)),
        }
    }

    fn connect(&mut self) {
        if self.connection.is_some() {
            return;
        }
        let around = &self.around;
        let endpoint = &around.target.endpoints[self.endpoint % around.target.endpoints.len()];
        self.endpoint = self.endpoint.wrapping_add(1);
        let Ok(client) = Client::open(endpoint, &around.access, around.levels, PATIENCE) else {
            return;
        };
        let session = SessionId(around.book.number());
        around.book.write(Record::Session(Session {
            session,
            read_your_writes: around.promises.own_writes,
            monotonic_reads: around.promises.monotonic,
        }));
        self.connection = Some((session, client));
    }

    fn level(&self, action: &Action) -> Level {
        match (self.role, action) {
            (Role::Linearizable | Role::Strong, _) => Level::Linearizable,
            (Role::Mixed, Action::Read(_)) => self.around.promises.read,
            (Role::Mixed, _) => self.around.promises.write,
        }
    }

    fn perform(&mut self, key: Name, action: Action) {
        self.connect();
        let Some((session, mut client)) = self.connection.take() else { return };
        let book = Arc::clone(&self.around.book);
        let id = OperationId(book.number());
        let words = words(&key, &action);
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let invoked = book.now();
        let told = client.ask(&words);
        let returned = book.now();
        let (outcome, lost) = match &told {
            // Lost connections, and answers that did not come.
            Err(_) => (Outcome::Unknown { dot: None, observed: None }, true),
            Ok(reply) => (outcome(&book, &action, reply, returned), false),
        };
        if !lost {
            self.connection = Some((session, client));
        }
        let level = self.level(&action);
        let (bucket, observes) = (BUCKET, None);
        let operation =
            Operation { id, session, bucket, key, level, observes, invoked, action, outcome };
        book.write(Record::Operation(operation));
    }
}

fn outcome(book: &Book, action: &Action, reply: &Reply<'_>, returned: Nanos) -> Outcome {
    let unknown = Outcome::Unknown { dot: None, observed: None };
    match Told::of(reply) {
        Told::Unknown => unknown,
        Told::Unavailable => Outcome::Unavailable { returned },
        Told::Refused => Outcome::Refused { returned },
        Told::Error => {
            book.strange(format!("{action} was answered {reply:?}"));
            Outcome::Refused { returned }
        }
        Told::Done => match answer(action, reply) {
            Some(answer) => Outcome::Done { returned, answer, dot: None, observed: None },
            None => {
                book.strange(format!("{action} was answered {reply:?}"));
                unknown
            }
        },
    }
}
