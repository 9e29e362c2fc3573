//! What is seen while the story goes on: a small table that is drawn again and again in a terminal, else a line now and then.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

use crate::report::Outcomes;

use super::book::{Book, Kind};
use super::column::{Column, Side};
use super::phases::{Clock, Phase};
use super::story::count;

/// How often figures are told.
const EVERY: Duration = Duration::from_secs(1);

/// Wider lines would break in a narrow terminal, and could not be drawn over.
const WIDTH: usize = 79;

/// Who tells.
#[derive(Debug)]
pub struct Live {
    terminal: bool,
    quiet: bool,
    pieces: i64,
    /// Lines of the table that stand at the end of the terminal.
    drawn: usize,
    /// What has been counted.
    seen: usize,
    last: Option<Instant>,
}

impl Live {
    /// Tells on standard error; draws over what it has told if that is a terminal.
    #[must_use]
    pub fn new(terminal: bool, quiet: bool) -> Live {
        Live { terminal, quiet, pieces: 0, drawn: 0, seen: 0, last: None }
    }

    /// Says something that stays.
    pub(crate) fn say(&mut self, text: &str) {
        self.drawn = 0;
        if !self.quiet {
            eprintln!("{text}");
        }
    }

    /// How many pieces of each product there are.
    pub(crate) fn pieces(&mut self, pieces: i64) {
        self.pieces = pieces;
    }

    pub(crate) fn begins(&mut self, phase: Phase) {
        self.say(&format!("{}: {}", phase.name().to_uppercase(), phase.about()));
    }

    /// Tells how it goes, once a second.
    pub(crate) fn tick(&mut self, phase: Phase, clock: &Clock, book: &Book) {
        let last = *self.last.get_or_insert_with(Instant::now);
        if self.quiet || last.elapsed() < EVERY {
            return;
        }
        self.last = Some(Instant::now());
        let mut sides = [[Outcomes::default(); 2]; 3];
        self.seen += book.since(self.seen, |noted| {
            for it in noted.iter().filter(|it| it.kind != Kind::Stocking) {
                count(&mut sides[it.column.index()][it.side.index()], it.told);
            }
            noted.len()
        });
        let totals = Column::ALL.map(|column| {
            let known = book.known(column);
            [known.stale.len() as u64, known.twice().count() as u64, known.oversold(self.pieces)]
        });
        let seconds = clock.seconds(book.now());
        if self.terminal {
            self.draw(phase, seconds, &sides, &totals);
        } else {
            eprintln!("{}", line(phase, seconds, &sides, &totals));
        }
    }

    fn draw(
        &mut self,
        phase: Phase,
        seconds: f64,
        sides: &[[Outcomes; 2]; 3],
        totals: &[[u64; 3]; 3],
    ) {
        let mut lines = vec![
            format!(
                "{seconds:>4.0} s {:<7} in the last second          in all so far",
                phase.name()
            ),
            "              done refused unavail unknown   stale name twice oversold".to_owned(),
        ];
        for column in Column::ALL {
            for side in Side::BOTH {
                let it = sides[column.index()][side.index()];
                let name = if side == Side::Left { column.name() } else { "" };
                let mut text = format!(
                    "{name:<7}{:<6} {:>4} {:>7} {:>7} {:>7}",
                    side.name(),
                    it.done,
                    it.refused + it.error,
                    it.unavailable,
                    it.unknown
                );
                if side == Side::Left {
                    let [stale, twice, oversold] = totals[column.index()];
                    write!(text, " {stale:>7} {twice:>10} {oversold:>8}")
                        .expect("a string takes everything");
                }
                lines.push(text);
            }
        }
        let mut out = String::new();
        if self.drawn > 0 {
            write!(out, "\x1b[{}A", self.drawn).expect("a string takes everything");
        }
        for text in &lines {
            let text: String = text.chars().take(WIDTH).collect();
            writeln!(out, "\x1b[2K{text}").expect("a string takes everything");
        }
        self.drawn = lines.len();
        // A terminal that is gone is no reason to end.
        drop(std::io::stderr().lock().write_all(out.as_bytes()));
    }
}

/// A second in one line.
fn line(phase: Phase, seconds: f64, sides: &[[Outcomes; 2]; 3], totals: &[[u64; 3]; 3]) -> String {
    let mut out = format!("{seconds:>4.0} s {:<6}", phase.name());
    for column in Column::ALL {
        write!(out, " | {}", column.name()).expect("a string takes everything");
        for side in Side::BOTH {
            let it = sides[column.index()][side.index()];
            write!(out, " {} {}", side.name(), it.done).expect("a string takes everything");
            let failed = it.failed();
            if failed > 0 {
                let (no, unknown) = (it.unavailable + it.refused + it.error, it.unknown);
                write!(out, " (-{no} ?{unknown})").expect("a string takes everything");
            }
        }
        let [stale, twice, oversold] = totals[column.index()];
        for (count, what) in [(stale, "stale"), (twice, "names twice"), (oversold, "oversold")] {
            if count > 0 {
                write!(out, ", {count} {what}").expect("a string takes everything");
            }
        }
    }
    out
}
