//! What owners hold in the end.

use std::thread::park_timeout;
use std::time::{Duration, Instant};

use coterie_check::{
    Action, Answer, Bucket, BucketKind, Cell, FinalState, Level, LiveCell, Name, Nanos, Owner,
    Part, View,
};

use crate::client::Client;
use crate::level::Levels;
use crate::outcome::Outcome;
use crate::target::{Access, Target};

use super::BUCKET;
use super::answer::{Held, answer, words};

/// How long reading may take where owners come back from faults.
const WITHIN: Duration = Duration::from_secs(60);

/// How long one answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often it is tried.
const LOOK: Duration = Duration::from_millis(200);

/// What is asked of owners.
pub struct Question<'a> {
    /// Of these keys.
    pub keys: &'a [Name],
    /// Which are all in it.
    pub bucket: Bucket,
    /// Whether the target knows levels.
    pub coterie: bool,
    /// Whom to ask.
    pub target: &'a Target,
    /// How to get at it.
    pub access: &'a Access,
    /// The time of the history.
    pub now: &'a dyn Fn() -> Nanos,
    /// Since when nothing is broken any more.
    pub mended: Instant,
}

impl std::fmt::Debug for Question<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Question").field("keys", &self.keys).finish_non_exhaustive()
    }
}

/// What they hold.
#[derive(Clone, Debug)]
pub struct Finals {
    /// Each key at each of its owners.
    pub states: Vec<FinalState>,
    /// How they were read.
    pub how: String,
    /// How long after mending all owners were equal, in seconds, where that was awaited.
    pub equal_after: Option<f64>,
}

/// Reads owners' final states.
pub trait Owners {
    /// What each owner of each key holds.
    ///
    /// # Errors
    /// If it cannot be read in time.
    fn read(&self, question: &Question<'_>) -> Result<Finals, String>;
}

/// Reads at level `all`, by any node: what all owners hold together. Whether they agree is not seen.
#[derive(Clone, Copy, Debug)]
pub struct AtAll;

impl Owners for AtAll {
    fn read(&self, question: &Question<'_>) -> Result<Finals, String> {
        let strong = question.bucket.kind == BucketKind::Strong;
        let levels = if question.coterie && !strong {
            Levels::Asked { write: Level::All, read: Level::All }
        } else {
            Levels::Default
        };
        let how = match (question.coterie, strong) {
            (_, true) => "not read: operations on strong registers tell all",
            (true, false) => "read at level all by one client: whether owners agree was not judged",
            (false, false) => "read from the one server",
        };
        if strong {
            return Ok(Finals { states: Vec::new(), how: how.to_owned(), equal_after: None });
        }
        let mut states = Vec::new();
        for key in question.keys {
            let view = until_told(question, levels, key)?;
            let (cells, counter) = live(&view);
            states.extend((0..u64::from(question.bucket.replicas)).map(|owner| FinalState {
                owner: Owner(owner),
                bucket: BUCKET,
                key: key.clone(),
                at: (question.now)(),
                cells: cells.clone(),
                counter,
            }));
        }
        Ok(Finals { states, how: how.to_owned(), equal_after: None })
    }
}

/// What a view shows, as it lives.
pub(crate) fn live(view: &View) -> (Vec<LiveCell>, i64) {
    let element = |element: &Name| LiveCell {
        cell: Cell::Element(element.clone()),
        values: Vec::new(),
        dots: None,
    };
    let mut cells: Vec<LiveCell> = view.elements.iter().map(element).collect();
    if !view.register.is_empty() {
        cells.push(LiveCell { cell: Cell::Register, values: view.register.clone(), dots: None });
    }
    (cells, view.counter)
}

/// Reads a key, again and again until it is told.
fn until_told(question: &Question<'_>, levels: Levels, key: &Name) -> Result<View, String> {
    let begun = Instant::now();
    let mut turn = 0;
    loop {
        let endpoints = &question.target.endpoints;
        let endpoint = &endpoints[turn % endpoints.len()];
        turn += 1;
        let why = match told(endpoint, question.access, levels, key) {
            Ok(view) => return Ok(view),
            Err(why) => why,
        };
        if begun.elapsed() > WITHIN {
            return Err(format!("{key}: {why}"));
        }
        park_timeout(LOOK);
    }
}

fn told(
    endpoint: &crate::target::Endpoint,
    access: &Access,
    levels: Levels,
    key: &Name,
) -> Result<View, String> {
    let mut client = Client::open(endpoint, access, levels, PATIENCE).map_err(|e| e.to_string())?;
    let action = Action::Read(match Held::by(key) {
        Held::Set => Part::Set,
        Held::Counter => Part::Counter,
        Held::Register => Part::Register,
    });
    let words = words(key, &action);
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    let reply = client.ask(&words).map_err(|error| error.to_string())?;
    match (Outcome::of(&reply), answer(&action, &reply)) {
        (Outcome::Done, Some(Answer::Shown(view))) => Ok(view),
        _ => Err(format!("{reply:?}")),
    }
}
