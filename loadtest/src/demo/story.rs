//! What a run came to, as data: what stayed available, what was stale, what conflicted, how long it took to be equal.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use coterie_check::{Action, BucketId, Name, Nanos};
use serde::{Deserialize, Serialize};

use crate::outcome::Outcome as Told;
use crate::report::{OfChecker, Outcomes};

use super::book::{Book, Kind, Known, Noted};
use super::column::{Column, NODES, Side, VICTIM};
use super::converge::Converged;
use super::examples::{self, Examples};
use super::expect::Expectation;
use super::owners::{Content, FinalKey};
use super::phases::{Clock, Phase};
use super::shop::Held;

/// The version of the JSON.
pub(crate) const VERSION: u32 = 1;

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Story {
    /// The version of this JSON.
    pub coterie_demo: u32,
    /// Whether it was the short variant.
    pub quick: bool,
    /// What operations were drawn from.
    pub seed: u64,
    /// Processors of the machine, which nodes and customers shared.
    pub processors: usize,
    /// Pieces of each product.
    pub pieces: i64,
    /// How long stocking the shelves took, in seconds.
    pub stocked: f64,
    /// How long the shop was open and was judged, in seconds.
    pub seconds: f64,
    /// What happened to the cluster.
    pub phases: Vec<PhaseTold>,
    /// What each column came to.
    pub columns: Vec<ColumnTold>,
    /// From the end of all writes until the digests of all owners of everything were equal, in seconds.
    pub equal_after: f64,
    /// Things that happened.
    pub examples: Examples,
    /// What the checkers say.
    pub verdicts: Vec<ColumnVerdict>,
    /// What theory says, beside what was measured.
    pub expectations: Vec<Expectation>,
}

/// A phase, in seconds from the opening of the shop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseTold {
    pub phase: Phase,
    pub from: f64,
    pub until: f64,
    /// How long after the beginning all nodes had noticed; nothing if they had not by its end.
    pub noticed_after: Option<f64>,
}

/// What a column came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnTold {
    /// Which.
    pub column: Column,
    /// All operations.
    pub outcomes: Outcomes,
    /// By phase and side.
    pub availability: Vec<Availability>,
    /// By second.
    pub series: Vec<Second>,
    /// Reads that were answered and could be stale.
    pub reads: u64,
    /// Reads that missed what had been acknowledged, by phase.
    pub stale: Vec<(Phase, u64)>,
    /// Usernames that somebody was told are theirs.
    pub claimed: u64,
    /// Those that several people were told are theirs.
    pub claimed_twice: u64,
    /// Usernames that people on both sides asked for only while cut off from each other, and were answered.
    pub contested: u64,
    /// Those of them that people on both sides got.
    pub contested_twice: u64,
    /// Pieces sold.
    pub sold: u64,
    /// Pieces sold that were not there.
    pub oversold: u64,
    /// Carts into which both sides put something while cut off from each other.
    pub carts_of_both: u64,
    /// Addresses that somebody set, and those of which several values stand in the end.
    pub addresses: (u64, u64),
    /// What was acknowledged and has to be there in the end: items, values, pieces taken.
    pub acknowledged: u64,
    /// What of it is missing when everything is read back from every owner.
    pub missing: Vec<String>,
    /// How long owners took to be equal after the cut.
    pub converged: Option<Converged>,
    /// Likewise after the crash, of what was written meanwhile.
    pub caught_up: Option<Converged>,
}

/// How available a side was in a phase. Operations that began and ended in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Availability {
    /// When.
    pub phase: Phase,
    /// Where.
    pub side: Side,
    /// All of them.
    pub outcomes: Outcomes,
    /// Those since all nodes had noticed.
    pub noticed: Outcomes,
    /// Of those, how many could be done, as theory says from the owners of their keys.
    pub possible: u64,
    /// Of those, how many were done.
    pub possible_done: u64,
    /// Of all of them, how many were done although theory says that they cannot be.
    pub impossible_done: u64,
}

/// A second, by when operations began.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Second {
    /// Left and right.
    pub sides: [Outcomes; 2],
    /// Operations that were waited for all this second.
    pub waiting: [u64; 2],
    /// Stale reads of both.
    pub stale: u64,
}

/// What the checkers say of a column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnVerdict {
    pub column: Column,
    pub keys: u64,
    pub checkers: Vec<OfChecker>,
    pub violations: Vec<String>,
    pub undecided: Vec<String>,
}

impl Story {
    /// Whether everything is as theory says, and every promise is kept.
    #[must_use]
    pub fn is_as_expected(&self) -> bool {
        self.expectations.iter().all(|it| !it.is_mismatch())
    }

    /// What a column came to.
    #[must_use]
    pub fn column(&self, column: Column) -> Option<&ColumnTold> {
        self.columns.iter().find(|told| told.column == column)
    }

    /// As JSON.
    ///
    /// # Panics
    /// Never: everything in it has a place in JSON.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("there are only texts, numbers and lists")
    }
}

/// What a story is told from.
pub(crate) struct Material<'a> {
    pub(crate) quick: bool,
    pub(crate) seed: u64,
    pub(crate) pieces: i64,
    pub(crate) stocked: Duration,
    pub(crate) clock: &'a Clock,
    pub(crate) noted: &'a [Noted],
    pub(crate) book: &'a Book,
    pub(crate) finals: &'a [FinalKey],
    pub(crate) converged: Vec<Converged>,
    pub(crate) caught_up: Vec<Converged>,
    pub(crate) equal_after: Duration,
    pub(crate) seconds: f64,
}

/// Tells it.
pub(crate) fn tell(material: Material<'_>) -> Story {
    let clock = material.clock;
    let phases = clock.spans.iter().map(|span| PhaseTold {
        phase: span.phase,
        from: clock.seconds(span.asked),
        until: clock.seconds(span.until),
        noticed_after: span.noticed.map(|at| clock.seconds(at) - clock.seconds(span.asked)),
    });
    Story {
        coterie_demo: VERSION,
        quick: material.quick,
        seed: material.seed,
        processors: std::thread::available_parallelism().map_or(0, usize::from),
        pieces: material.pieces,
        stocked: material.stocked.as_secs_f64(),
        seconds: material.seconds,
        phases: phases.collect(),
        columns: Column::ALL.into_iter().map(|column| column_told(&material, column)).collect(),
        equal_after: material.equal_after.as_secs_f64(),
        examples: examples::choose(&material),
        verdicts: Vec::new(),
        expectations: Vec::new(),
    }
}

/// Counts one more.
pub(crate) fn count(outcomes: &mut Outcomes, told: Told) {
    match told {
        Told::Done => outcomes.done += 1,
        Told::Refused => outcomes.refused += 1,
        Told::Unavailable => outcomes.unavailable += 1,
        Told::Unknown => outcomes.unknown += 1,
        Told::Error => outcomes.error += 1,
    }
}

/// How many there are.
pub(crate) fn all(outcomes: &Outcomes) -> u64 {
    outcomes.done + outcomes.failed()
}

fn column_told(material: &Material<'_>, column: Column) -> ColumnTold {
    let noted: Vec<&Noted> = material
        .noted
        .iter()
        .filter(|it| it.column == column && it.kind != Kind::Stocking)
        .collect();
    let finals: Vec<&FinalKey> = material.finals.iter().filter(|it| it.column == column).collect();
    let known = material.book.known(column);
    let mut outcomes = Outcomes::default();
    noted.iter().for_each(|it| count(&mut outcomes, it.told));
    let is_read = |it: &&&Noted| {
        let reads = matches!(it.kind, Kind::CartRead | Kind::AddressRead | Kind::Lookup);
        reads && it.told == Told::Done
    };
    let stale = Phase::ALL.map(|phase| {
        let of = known.stale.iter().filter(|it| material.clock.phase_of(it.at) == phase);
        (phase, of.count() as u64)
    });
    let owned = |owners: usize| {
        let names = known.values.iter().filter(|(key, _)| key.as_bytes().starts_with(b"name-"));
        let got = |values: &BTreeMap<Name, super::book::Write>| {
            values.values().filter(|write| write.returned.is_some()).count()
        };
        names.filter(|(_, values)| got(values) >= owners).count() as u64
    };
    let (contested, contested_twice) = contested(material.clock, &noted);
    let addresses: Vec<&&FinalKey> = finals.iter().filter(|it| it.held == Held::Address).collect();
    let values = |it: &FinalKey| it.content().names().map_or(0, BTreeSet::len);
    let (acknowledged, missing) = read_back(&noted, &known, &finals, material.pieces);
    ColumnTold {
        column,
        outcomes,
        availability: availability(material.clock, &noted, &finals),
        series: series(material.clock, &noted, &known),
        reads: noted.iter().filter(is_read).count() as u64,
        stale: stale.to_vec(),
        claimed: owned(1),
        claimed_twice: owned(2),
        contested,
        contested_twice,
        sold: known.sold.values().map(|[left, right]| left + right).sum(),
        oversold: known.oversold(material.pieces),
        carts_of_both: carts_of_both(material.clock, &noted),
        addresses: (
            addresses.iter().filter(|it| values(it) > 0).count() as u64,
            addresses.iter().filter(|it| values(it) > 1).count() as u64,
        ),
        acknowledged,
        missing,
        converged: material.converged.iter().find(|it| it.column == column).cloned(),
        caught_up: material.caught_up.iter().find(|it| it.column == column).cloned(),
    }
}

fn availability(clock: &Clock, noted: &[&Noted], finals: &[&FinalKey]) -> Vec<Availability> {
    let owners: BTreeMap<(BucketId, &Name), BTreeSet<usize>> = finals
        .iter()
        .map(|it| ((it.bucket.id, &it.key), it.owners.iter().map(|(owner, _)| *owner).collect()))
        .collect();
    let mut all = Vec::new();
    for phase in Phase::ALL {
        for side in Side::BOTH {
            let mut told = Availability {
                phase,
                side,
                outcomes: Outcomes::default(),
                noticed: Outcomes::default(),
                possible: 0,
                possible_done: 0,
                impossible_done: 0,
            };
            for it in noted.iter().filter(|it| it.side == side) {
                let operation = &it.operation;
                let span = clock.within(operation.invoked, it.until);
                let Some(span) = span.filter(|span| span.phase == phase) else { continue };
                let reached: Vec<usize> = match phase {
                    Phase::Calm | Phase::Healed | Phase::Restarted => (0..NODES).collect(),
                    Phase::Cut => side.nodes(),
                    Phase::Crash => (0..NODES).filter(|node| *node != VICTIM).collect(),
                };
                let owners = owners.get(&(operation.bucket, &operation.key));
                let owners = owners.map_or(0, |owners| {
                    reached.iter().filter(|node| owners.contains(node)).count()
                });
                let possible = it.column.can_be_done(owners);
                let done = it.told == Told::Done;
                count(&mut told.outcomes, it.told);
                told.impossible_done += u64::from(done && !possible);
                if span.noticed.is_some_and(|noticed| operation.invoked >= noticed) {
                    count(&mut told.noticed, it.told);
                    told.possible += u64::from(possible);
                    told.possible_done += u64::from(possible && done);
                }
            }
            all.push(told);
        }
    }
    all
}

fn series(clock: &Clock, noted: &[&Noted], known: &Known) -> Vec<Second> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some hundred")]
    let second = |at: Nanos| clock.seconds(at) as usize;
    let last = noted.iter().map(|it| second(it.until)).max().unwrap_or(0);
    let mut series = vec![Second::default(); last + 1];
    for it in noted {
        let (from, until) = (second(it.operation.invoked), second(it.until));
        count(&mut series[from].sides[it.side.index()], it.told);
        for waited in &mut series[(from + 1).min(until)..until] {
            waited.waiting[it.side.index()] += 1;
        }
    }
    for stale in &known.stale {
        if let Some(second) = series.get_mut(second(stale.at)) {
            second.stale += 1;
        }
    }
    series
}

/// Whether something began and ended while the sides were cut off from each other.
pub(crate) fn while_cut(clock: &Clock, it: &Noted) -> bool {
    let span = clock.within(it.operation.invoked, it.until);
    span.is_some_and(|span| span.phase == Phase::Cut)
}

/// Usernames that both sides asked for while cut, and those that both got.
///
/// Only those that nobody asked for at any other time: then nothing is known of them on either side.
fn contested(clock: &Clock, noted: &[&Noted]) -> (u64, u64) {
    let mut of: BTreeMap<&Name, ([bool; 2], [bool; 2], bool)> = BTreeMap::new();
    for it in noted.iter().filter(|it| it.kind == Kind::Claim) {
        let (asked, got, elsewhere) = of.entry(&it.operation.key).or_default();
        if !while_cut(clock, it) {
            *elsewhere = true;
        } else if it.told == Told::Done {
            asked[it.side.index()] = true;
            got[it.side.index()] |= applied(it);
        }
    }
    let contested = of.values().filter(|(asked, _, elsewhere)| *asked == [true; 2] && !elsewhere);
    let (mut count, mut twice) = (0, 0);
    for (_, got, _) in contested {
        count += 1;
        twice += u64::from(*got == [true; 2]);
    }
    (count, twice)
}

/// Whether a claim was granted.
pub(crate) fn applied(it: &Noted) -> bool {
    match it.operation.answer() {
        Some(coterie_check::Answer::Set { applied, .. }) => *applied,
        Some(_) => true,
        None => false,
    }
}

fn carts_of_both(clock: &Clock, noted: &[&Noted]) -> u64 {
    let mut carts: BTreeMap<&Name, [bool; 2]> = BTreeMap::new();
    for it in noted.iter().filter(|it| it.kind == Kind::CartAdd && it.told == Told::Done) {
        if while_cut(clock, it) {
            carts.entry(&it.operation.key).or_default()[it.side.index()] = true;
        }
    }
    carts.values().filter(|sides| **sides == [true; 2]).count() as u64
}

/// Reads everything back from every owner: how much was acknowledged, and what of it is missing.
fn read_back(
    noted: &[&Noted],
    known: &Known,
    finals: &[&FinalKey],
    pieces: i64,
) -> (u64, Vec<String>) {
    let (mut acknowledged, mut missing) = (0, Vec::new());
    let mut changes: BTreeMap<&Name, (i64, i64)> = BTreeMap::new();
    for it in noted {
        let (Action::Increment { by } | Action::Strong(coterie_check::Strong::Increment { by })) =
            it.operation.action
        else {
            continue;
        };
        let (least, most) = changes.entry(&it.operation.key).or_default();
        match it.told {
            Told::Done => {
                acknowledged += 1;
                (*least, *most) = (*least + by, *most + by);
            }
            Told::Unknown => (*least, *most) = (*least + by.min(0), *most + by.max(0)),
            _ => {}
        }
    }
    for key in finals {
        for (owner, content) in &key.owners {
            match (key.held, content) {
                (Held::Cart, Content::Names(there)) => {
                    let items = known.items.get(&key.key).into_iter().flatten();
                    let stays = items.filter(|item| !known.leaving.contains(*item));
                    for item in stays.filter(|item| !there.contains(*item)) {
                        missing.push(format!("{item} of {} at node {owner}", key.key));
                    }
                }
                (Held::Stock, Content::Number(number)) => {
                    let (least, most) = changes.get(&key.key).copied().unwrap_or_default();
                    if !(pieces + least..=pieces + most).contains(number) {
                        let range = format!("{} to {}", pieces + least, pieces + most);
                        let text = format!("{}: {number}, not {range}, at node {owner}", key.key);
                        missing.push(text);
                    }
                }
                (_, Content::Names(there)) => {
                    let values = known.values.get(&key.key).into_iter().flatten();
                    let mut acked = values.filter(|(_, write)| write.returned.is_some());
                    if acked.next().is_some() && there.is_empty() {
                        missing.push(format!("{} at node {owner}", key.key));
                    }
                }
                (_, Content::Number(_)) => {}
            }
        }
    }
    let stays = known.items.values().flatten().filter(|item| !known.leaving.contains(*item));
    acknowledged += stays.count() as u64;
    let values = known.values.values().flat_map(BTreeMap::values);
    acknowledged += values.filter(|write| write.returned.is_some()).count() as u64;
    (acknowledged, missing)
}
