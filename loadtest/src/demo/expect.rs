//! What theory says, beside what was measured; where they differ, that is said.

use serde::{Deserialize, Serialize};

use super::column::{Column, Side};
use super::converge::Converged;
use super::phases::Phase;
use super::story::{Availability, ColumnTold, Story, all as count_all};

/// Of what theory calls possible, the share that has to be done once nodes have noticed: machines are busy, and requests
/// have deadlines.
const DONE_MIN: f64 = 0.9;

/// With fewer operations nothing is said.
const OPERATIONS_MIN: u64 = 20;

/// How what was measured stands to what theory says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stands {
    /// As it says.
    AsExpected,
    /// Theory allows it without demanding it, and it did not happen.
    NotSeen,
    /// There was too little to say.
    TooLittle,
    /// Less was done than could be: the machine may be too busy, or something is wrong.
    TooFew,
    /// Theory forbids it.
    Forbidden,
}

/// Something that theory says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expectation {
    /// Of which column.
    pub column: Column,
    /// Of what.
    pub what: String,
    /// What theory says.
    pub theory: String,
    /// What there was in this run.
    pub measured: String,
    /// How the one stands to the other.
    pub stands: Stands,
}

impl Expectation {
    /// Whether theory and measurement differ.
    #[must_use]
    pub fn is_mismatch(&self) -> bool {
        matches!(self.stands, Stands::TooFew | Stands::Forbidden)
    }
}

/// All that theory says of a story.
pub(crate) fn all(story: &Story) -> Vec<Expectation> {
    let mut all = Vec::new();
    for told in &story.columns {
        all.extend(told.availability.iter().map(|it| available(told.column, it)));
        all.extend(impossible(told));
        all.push(stale(told));
        all.push(usernames(told));
        all.push(stock(told));
        all.push(converged(told, "owners equal after the cut", told.converged.as_ref()));
        all.push(converged(told, "owners equal after the crash", told.caught_up.as_ref()));
        all.push(lost(story, told));
    }
    all
}

/// Percent of what could be done, and of what was.
pub(crate) fn percents(it: &Availability) -> (Option<f64>, Option<f64>) {
    let operations = count_all(&it.noticed);
    let percent = |count: u64| (operations > 0).then(|| 100.0 * count as f64 / operations as f64);
    (percent(it.possible), percent(it.noticed.done))
}

/// Percent in words.
pub(crate) fn percent(share: Option<f64>) -> String {
    share.map_or("–".to_owned(), |share| {
        if !(0.05..=99.95).contains(&share) {
            format!("{share:.0} %")
        } else {
            format!("{share:.1} %")
        }
    })
}

fn available(column: Column, it: &Availability) -> Expectation {
    let (theory, measured) = percents(it);
    let stands = if it.possible < OPERATIONS_MIN {
        Stands::TooLittle
    } else if it.possible_done as f64 >= DONE_MIN * it.possible as f64 {
        Stands::AsExpected
    } else {
        Stands::TooFew
    };
    let what = match it.phase {
        Phase::Cut => format!("available, {} side of the cut", it.side.name()),
        phase => format!("available, {}, {}", phase.name(), it.side.name()),
    };
    let why = match (column, it.phase) {
        (_, Phase::Calm | Phase::Healed | Phase::Restarted) => "everything",
        (Column::Ap, _) => "everything: fallbacks stand in",
        (_, Phase::Cut) => "where two of a key's three owners are reached",
        (_, Phase::Crash) => "everything: two of three owners are left",
    };
    Expectation {
        column,
        what,
        theory: format!("{} ({why})", percent(theory)),
        measured: format!(
            "{}: {} of {} that could be done",
            percent(measured),
            it.possible_done,
            it.possible
        ),
        stands,
    }
}

/// What was done though too few owners can have taken part.
fn impossible(told: &ColumnTold) -> Option<Expectation> {
    if told.column == Column::Ap {
        return None;
    }
    let cut = |phase| matches!(phase, Phase::Cut | Phase::Crash);
    let count: u64 =
        told.availability.iter().filter(|it| cut(it.phase)).map(|it| it.impossible_done).sum();
    let stands = if count == 0 { Stands::AsExpected } else { Stands::Forbidden };
    Some(Expectation {
        column: told.column,
        what: "done without a majority of owners".to_owned(),
        theory: "never".to_owned(),
        measured: count.to_string(),
        stands,
    })
}

/// Zero where theory forbids, and otherwise whatever it is.
fn at_most_none(count: u64, allowed: bool) -> Stands {
    match (count, allowed) {
        (0, false) => Stands::AsExpected,
        (_, false) => Stands::Forbidden,
        (0, true) => Stands::NotSeen,
        (_, true) => Stands::AsExpected,
    }
}

fn stale(told: &ColumnTold) -> Expectation {
    let count: u64 = told.stale.iter().map(|(_, count)| count).sum();
    let allowed = told.column == Column::Ap;
    let theory = match told.column {
        Column::Ap => "may be: a side does not see what the other was told is done",
        Column::Quorum => "none: R + W > N",
        Column::Cp => "none: linearizable",
    };
    Expectation {
        column: told.column,
        what: "stale reads".to_owned(),
        theory: theory.to_owned(),
        measured: format!("{count} of {} reads", told.reads),
        stands: at_most_none(count, allowed),
    }
}

fn usernames(told: &ColumnTold) -> Expectation {
    let (count, stands) =
        (told.claimed_twice, at_most_none(told.claimed_twice, told.column != Column::Cp));
    let theory = match told.column {
        Column::Ap => "yes, while cut: each side grants what only the other has granted",
        Column::Quorum => "may be, by people who ask in the same moment: a quorum is no agreement",
        Column::Cp => "never: SET NX in a strong bucket is agreed on",
    };
    // Theory demands it of the one column: every name that both sides asked for.
    let stands = match told.column {
        Column::Ap if told.contested > 0 && told.contested_twice == 0 => Stands::Forbidden,
        _ => stands,
    };
    let mut measured = format!("{count} of {} usernames", told.claimed);
    if told.column == Column::Ap {
        measured += &format!(
            "; of {} that both sides asked for only while cut, {} were granted on both",
            told.contested, told.contested_twice
        );
    }
    Expectation {
        column: told.column,
        what: "one username, several owners".to_owned(),
        theory: theory.to_owned(),
        measured,
        stands,
    }
}

fn stock(told: &ColumnTold) -> Expectation {
    let theory = match told.column {
        Column::Ap => "may be: each side sells what it believes to be there",
        Column::Quorum => {
            "may be, by sales in the same moment: increments merge, they do not queue"
        }
        Column::Cp => "never: one sale after the other",
    };
    Expectation {
        column: told.column,
        what: "pieces sold that were not there".to_owned(),
        theory: theory.to_owned(),
        measured: format!("{} of {} sold", told.oversold, told.sold),
        stands: at_most_none(told.oversold, told.column != Column::Cp),
    }
}

fn converged(told: &ColumnTold, what: &str, it: Option<&Converged>) -> Expectation {
    let seconds = it.and_then(|it| it.seconds);
    Expectation {
        column: told.column,
        what: what.to_owned(),
        theory: "in some seconds, by hints and repair".to_owned(),
        measured: match (it, seconds) {
            (Some(it), Some(seconds)) => format!("{} keys after {seconds:.1} s", it.keys),
            _ => "not seen while the shop was open".to_owned(),
        },
        stands: match (it.map_or(0, |it| it.keys), seconds) {
            (0, _) => Stands::TooLittle,
            (_, Some(_)) => Stands::AsExpected,
            (_, None) => Stands::TooFew,
        },
    }
}

fn lost(story: &Story, told: &ColumnTold) -> Expectation {
    let verdict = story.verdicts.iter().find(|it| it.column == told.column);
    let (broken, open) = verdict.map_or((1, 0), |it| (it.violations.len(), it.undecided.len()));
    let stands = match (told.missing.len() + broken, open) {
        (0, 0) => Stands::AsExpected,
        (0, _) => Stands::TooFew,
        _ => Stands::Forbidden,
    };
    Expectation {
        column: told.column,
        what: "acknowledged and lost, or a promise broken".to_owned(),
        theory: "nothing".to_owned(),
        measured: format!(
            "{} missing of {} acknowledged; {broken} promises broken, {open} undecided",
            told.missing.len(),
            told.acknowledged
        ),
        stands,
    }
}

/// In words.
pub(crate) fn words(stands: Stands) -> &'static str {
    match stands {
        Stands::AsExpected => "as expected",
        Stands::NotSeen => "not seen in this run",
        Stands::TooLittle => "too little to say",
        Stands::TooFew => "LESS THAN EXPECTED",
        Stands::Forbidden => "NOT AS THEORY SAYS",
    }
}

/// What a side is in the words of the report.
pub(crate) fn nodes(side: Side) -> &'static str {
    match side {
        Side::Left => "left: nodes 0, 1",
        Side::Right => "right: nodes 2, 3, 4",
    }
}
