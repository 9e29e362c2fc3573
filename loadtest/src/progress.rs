//! What people see while a load test is under way, and at its end.

use std::fmt::Write as _;

use coterie_loadtest::bench::Event;
use coterie_loadtest::report::page::{count, rate, time};
use coterie_loadtest::report::{Outcomes, Point, Report, Run, Verdict};

/// Tells of a load test, on standard error.
pub(crate) struct Progress {
    quiet: bool,
    /// Marks what is bad in colour.
    colour: bool,
    /// What is gathered until a line has a second's worth.
    gathered: Option<(f64, Outcomes)>,
}

impl Progress {
    pub(crate) fn new(quiet: bool, colour: bool) -> Progress {
        Progress { quiet, colour, gathered: None }
    }

    pub(crate) fn tell(&mut self, event: &Event<'_>) {
        if self.quiet {
            return;
        }
        match event {
            Event::Begins { run } => {
                self.gathered = None;
                eprintln!("{}: begins", run.title());
            }
            Event::Passed { run, point } => self.passed(run, point),
            Event::Broken { mark } => {
                let failed = mark.failed.as_ref().map(|why| format!(" FAILED: {why}"));
                let text = format!("{:.1} s: {}{}", mark.at, mark.what, failed.unwrap_or_default());
                eprintln!("{}", self.marked(&text));
            }
            Event::Judging => eprintln!("judging; owners are read"),
            Event::Ended { run } => {
                if let Some(why) = &run.void {
                    eprintln!("{}", self.marked(&format!("{}: VOID: {why}", run.title())));
                }
            }
        }
    }

    /// A line a second, however short the stretches are.
    fn passed(&mut self, run: &Run, point: &Point) {
        let (mut seconds, mut all) = self.gathered.take().unwrap_or_default();
        seconds += point.seconds;
        all.add(&point.outcomes);
        if seconds < 0.999 {
            self.gathered = Some((seconds, all));
            return;
        }
        let end = point.at + point.seconds;
        let mut line = format!(
            "{} {end:>5.0} s {:>12} p50 {:>8} p99 {:>8}",
            run.title(),
            rate(all.done as f64 / seconds),
            time(point.p50_us),
            time(point.p99_us)
        );
        if all.failed() > 0 {
            let text = format!(
                " refused {} unavailable {} unknown {} error {}",
                all.refused, all.unavailable, all.unknown, all.error
            );
            line.push_str(&self.marked(&text));
        }
        eprintln!("{line}");
    }

    fn marked(&self, text: &str) -> String {
        if self.colour { format!("\x1b[31m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The report in a few lines.
pub(crate) fn summary(report: &Report) -> String {
    let mut out = String::new();
    let width = report.runs.iter().map(|run| run.title().chars().count()).max().unwrap_or(0);
    let head = ["rate", "p50", "p99", "p99.9", "greatest", "not done"];
    let mut line = format!("{:<width$}", "");
    head.iter().for_each(|name| write(&mut line, format_args!(" {name:>12}")));
    out.push_str(line.trim_end());
    for run in &report.runs {
        let latency = &run.latency;
        write(&mut out, format_args!("\n{:<width$}", run.title()));
        for cell in [
            rate(run.rate),
            time(latency.p50_us),
            time(latency.p99_us),
            time(latency.p999_us),
            time(latency.max_us),
            count(run.outcomes.failed() + run.unsent),
        ] {
            write(&mut out, format_args!(" {cell:>12}"));
        }
    }
    for run in &report.runs {
        if let Some(why) = &run.void {
            write(&mut out, format_args!("\n\nVOID, {}: {why}.", run.title()));
        }
        if run.ended_early {
            let (title, seconds) = (run.title(), run.seconds);
            write(&mut out, format_args!("\n\n{title}: ended early, after {seconds:.1} s."));
        }
        if let Some(check) = &run.check {
            let verdict = match (check.violations.len(), check.undecided.len()) {
                (0, 0) => "every promise judged is kept".to_owned(),
                (0, open) => format!("no promise found broken, {open} UNDECIDED"),
                (broken, _) => format!("{broken} promises BROKEN"),
            };
            let all = check.operations.done + check.operations.failed();
            let title = run.title();
            write(
                &mut out,
                format_args!(
                    "\n\nJudged, {title}: {verdict}; {all} operations on {} keys.",
                    check.keys
                ),
            );
            for text in check.violations.iter().chain(&check.undecided) {
                write(&mut out, format_args!("\n{text}"));
            }
        }
        for (text, times) in &run.errors {
            write(&mut out, format_args!("\n{}: {text} ({times} times)", run.title()));
        }
    }
    if report.verdict() == Verdict::Void {
        out.push_str("\n\nThis load test is void: do not use its figures.");
    }
    out
}

fn write(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a string takes everything");
}
