//! One story in about two minutes: a shop on five nodes, at three levels side by side, cut in two, robbed of a node, and
//! healed. What is told is what was measured in that run; what theory says stands beside it.

mod book;
mod column;
mod converge;
mod examples;
mod expect;
mod live;
mod owners;
mod page;
mod phases;
mod shop;
mod shopper;
mod stage;
mod story;
mod summary;
mod verdict;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use coterie_check::Name;
use coterie_local::LocalError;
use thiserror::Error;

pub use expect::{Expectation, Stands};
pub use live::Live;
pub use page::page;
pub use story::Story;
pub use summary::summary;

use book::Book;
use phases::{Clock, Lengths};
use shop::Calendar;
use stage::Stage;

/// How long a node may take to answer a request; clients wait longer.
const REQUEST_TIMEOUT: &str = "2s";

/// How often the story looks whether to go on.
const LOOK: Duration = Duration::from_millis(50);

/// How a demo is to be run.
#[derive(Debug)]
pub struct Options {
    /// The short variant.
    pub quick: bool,
    /// What operations are drawn from.
    pub seed: u64,
    /// Where the cluster lives; it is made.
    pub directory: PathBuf,
    /// Set when somebody wants it to end.
    pub over: Arc<AtomicBool>,
}

/// Why there is no story to tell.
#[derive(Debug, Error)]
pub enum DemoError {
    /// The cluster did not do what it was told.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// Somebody wanted it to end.
    #[error("interrupted; all nodes are stopped")]
    Interrupted,
    /// The shop could not be opened.
    #[error("the shop could not be opened: {0}")]
    Opening(String),
    /// Owners could not be read in the end.
    #[error("the owners could not be read: {0}")]
    Owners(String),
    /// What was recorded does not hang together.
    #[error("the recorded history does not hang together")]
    History(#[from] coterie_check::HistoryError),
}

/// Waits a little; an error if the demo is to end.
fn wait(over: &AtomicBool) -> Result<(), DemoError> {
    std::thread::park_timeout(LOOK);
    if over.load(Ordering::Relaxed) { Err(DemoError::Interrupted) } else { Ok(()) }
}

/// Runs the demo. Whatever happens, all processes have ended when this returns.
///
/// # Errors
/// [`DemoError`].
pub fn run(options: &Options, live: &mut Live) -> Result<Story, DemoError> {
    let lengths = Lengths::of(options.quick);
    let calendar = Calendar::of(&lengths);
    live.say("starting five nodes on loopback, with proxies between them that can be cut");
    let mut stage = Stage::start(&options.directory, &options.over)?;
    let played = play(options, &lengths, &calendar, &mut stage, live);
    live.say("stopping all nodes");
    let stopped = stage.stop();
    let story = played?;
    stopped?;
    Ok(story)
}

fn play(
    options: &Options,
    lengths: &Lengths,
    calendar: &Calendar,
    stage: &mut Stage,
    live: &mut Live,
) -> Result<Story, DemoError> {
    stage.wait_ready(&options.over, live)?;
    let book = Book::new();
    live.say("opening the shop three times: the same carts, stock and usernames in other buckets");
    stage.make_buckets(&options.over)?;
    let stocked = shop::stock(stage.addresses(), calendar, &book)?;
    live.pieces(calendar.pieces);
    let began = Instant::now();
    let mut clock = Clock::new(&book);
    let shoppers = shopper::open(stage.addresses(), calendar, &book, options.seed, &options.over);
    let performed = phases::perform(options, lengths, calendar, stage, &book, &mut clock, live);
    let closed = shoppers.close();
    let watched = performed?;
    closed?;
    let equal_after = owners::settle(stage.addresses(), &options.over, live)?;
    live.say("reading every key at each of its owners, alone");
    let rounds = calendar.round_at(clock.seconds(book.now())) + 1;
    let finals = owners::read_all(stage.addresses(), rounds, &book, &options.over)?;
    live.say("judging");
    // Products whose round never came are of no interest.
    let keys: BTreeSet<&Name> = finals.iter().map(|it| &it.key).collect();
    let mut noted = book.take();
    noted.retain(|it| keys.contains(&it.operation.key));
    let mut story = story::tell(story::Material {
        quick: options.quick,
        seed: options.seed,
        pieces: calendar.pieces,
        stocked,
        clock: &clock,
        noted: &noted,
        book: &book,
        finals: &finals,
        converged: watched.healed.outcome(&finals),
        caught_up: watched.restarted.outcome(&finals),
        equal_after,
        seconds: began.elapsed().as_secs_f64(),
    });
    story.verdicts = verdict::judge(&book, &noted, &finals)?;
    story.expectations = expect::all(&story);
    Ok(story)
}
