//! The story in a few lines, for the terminal.

use std::fmt::Write as _;

use super::column::{Column, Side};
use super::converge::Converged;
use super::expect::{percent, percents, words};
use super::phases::Phase;
use super::story::{ColumnTold, Story};

/// What one row tells of a column.
type Cell = fn(&ColumnTold) -> String;

/// Rows that stand side by side, here and in the report.
pub(crate) const ROWS: [(&str, Cell); 12] = [
    ("available while cut, left", |told| cut(told, Side::Left)),
    ("available while cut, right", |told| cut(told, Side::Right)),
    ("stale reads", |told| told.stale.iter().map(|(_, count)| count).sum::<u64>().to_string()),
    ("usernames with several owners", |told| format!("{} of {}", told.claimed_twice, told.claimed)),
    ("sold, but not there", |told| format!("{} of {}", told.oversold, told.sold)),
    ("carts changed on both sides", |told| told.carts_of_both.to_string()),
    ("addresses with several values", |told| {
        format!("{} of {}", told.addresses.1, told.addresses.0)
    }),
    ("owners equal after the cut", |told| equal(told.converged.as_ref())),
    ("owners equal after the crash", |told| equal(told.caught_up.as_ref())),
    ("acknowledged writes", |told| told.acknowledged.to_string()),
    ("of these lost", |told| told.missing.len().to_string()),
    ("operations done, of all", |told| {
        format!("{} of {}", told.outcomes.done, super::story::all(&told.outcomes))
    }),
];

pub(crate) fn equal(it: Option<&Converged>) -> String {
    let seconds = it.and_then(|it| it.seconds);
    seconds.map_or("not seen".to_owned(), |seconds| format!("{seconds:.1} s"))
}

/// Percent done while cut, since nodes had noticed, and in brackets what theory says.
fn cut(told: &ColumnTold, side: Side) -> String {
    let it = told.availability.iter().find(|it| it.phase == Phase::Cut && it.side == side);
    it.map_or(String::new(), |it| {
        let (theory, measured) = percents(it);
        format!("{} ({})", percent(measured), percent(theory))
    })
}

/// The story in a few lines.
#[must_use]
pub fn summary(story: &Story) -> String {
    let mut out = String::new();
    write(&mut out, format_args!("{:<31}", ""));
    for column in Column::ALL {
        write(&mut out, format_args!(" {:>16}", column.name()));
    }
    for (name, cell) in ROWS {
        write(&mut out, format_args!("\n{name:<31}"));
        for told in &story.columns {
            write(&mut out, format_args!(" {:>16}", cell(told)));
        }
    }
    out.push_str("\n(in brackets: what theory says of these keys and this cut)\n");
    for it in story.expectations.iter().filter(|it| it.is_mismatch()) {
        write(
            &mut out,
            format_args!(
                "\n*** {}: {}, {}: theory says {}; measured {} ***",
                words(it.stands),
                it.column.name(),
                it.what,
                it.theory,
                it.measured
            ),
        );
    }
    for verdict in &story.verdicts {
        for text in verdict.violations.iter().chain(&verdict.undecided) {
            write(&mut out, format_args!("\n{}: {text}", verdict.column.name()));
        }
    }
    for told in &story.columns {
        for text in told.missing.iter().take(10) {
            write(&mut out, format_args!("\n{}: lost {text}", told.column.name()));
        }
    }
    if story.is_as_expected() {
        out.push_str("\nAll of it is as theory says, and nothing acknowledged was lost.");
    }
    out
}

fn write(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a string takes everything");
}
