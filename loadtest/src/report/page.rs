//! The report as one page that needs nothing else: no script, nothing fetched.

use crate::load::Pace;
use crate::outcome::Outcome;

use super::plot::{Line, Plot, Scale, escaped, put, seconds};
use super::style::CSS;
use super::{Checked, PhaseName, Point, Report, Run, Summary, Verdict};

/// The whole page.
#[must_use]
pub fn page(report: &Report) -> String {
    let mut out = String::new();
    let title = title(report);
    put(
        &mut out,
        format_args!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta name=\"viewport\" \
             content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n<style>{CSS}</style></head>\n<body>\n\
             <main><h1>{title}</h1>\n"
        ),
    );
    verdict(&mut out, report);
    out.push_str("<h2 id=\"compared\">Side by side</h2>\n");
    compared(&mut out, report);
    outcomes(&mut out, report);
    if let Some(plot) = percentiles(report) {
        out.push_str(&plot.html());
    }
    for (number, run) in (1..).zip(&report.runs) {
        one(&mut out, number, run);
    }
    setup(&mut out, report);
    out.push_str("</main></body></html>\n");
    out
}

fn title(report: &Report) -> String {
    let mut targets: Vec<&str> = report.runs.iter().map(|run| run.target.as_str()).collect();
    targets.dedup();
    escaped(&format!("Load test of {}: mix {}", targets.join(" and "), report.workload.mix))
}

fn verdict(out: &mut String, report: &Report) {
    let (class, head) = match report.verdict() {
        Verdict::Good => ("good", "Measured"),
        Verdict::Undecided => ("undecided", "Undecided: the checkers could not judge everything"),
        Verdict::Void => ("void", "Void: the generator lagged, so a run says nothing"),
        Verdict::Broken => ("broken", "Broken: a promise was not kept"),
    };
    put(
        out,
        format_args!("<div class=\"verdict {class}\" role=\"status\"><strong>{head}</strong>"),
    );
    let mut judged = false;
    for run in &report.runs {
        let title = escaped(&run.title());
        if let Some(why) = &run.void {
            put(out, format_args!("<p>{title}: {}.</p>", escaped(why)));
        }
        if let Some(check) = &run.check {
            judged = true;
            for text in check.violations.iter().chain(&check.undecided) {
                let first = text.lines().next().unwrap_or_default();
                put(out, format_args!("<p>{title}: {}</p>", escaped(first)));
            }
        }
    }
    out.push_str(match (report.verdict(), judged) {
        (Verdict::Good, true) => {
            "<p>The generator kept its times, and the checkers found every promise kept that they judged.</p>"
        }
        (Verdict::Good, false) => {
            "<p>The generator kept its times. Nothing was judged: that takes <code>--check</code>.</p>"
        }
        _ => "",
    });
    out.push_str("</div>\n");
}

pub(crate) fn table(out: &mut String, caption: &str, head: &[&str], rows: &[Vec<String>]) {
    let caption = escaped(caption);
    put(
        out,
        format_args!(
            "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"{caption}\"><table><caption>{caption}</caption>\
             <thead><tr>"
        ),
    );
    for name in head {
        put(out, format_args!("<th scope=\"col\">{}</th>", escaped(name)));
    }
    out.push_str("</tr></thead><tbody>");
    for row in rows {
        out.push_str("<tr>");
        for (index, cell) in row.iter().enumerate() {
            let cell = escaped(cell);
            if index == 0 {
                put(out, format_args!("<th scope=\"row\">{cell}</th>"));
            } else {
                let class = if cell.len() > 40 { " class=\"text\"" } else { "" };
                put(out, format_args!("<td{class}>{cell}</td>"));
            }
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>\n");
}

const TIMES: [&str; 7] = ["p50", "p90", "p99", "p99.9", "p99.99", "greatest", "mean"];

fn times(summary: &Summary) -> Vec<String> {
    if summary.count == 0 {
        return vec!["–".to_owned(); TIMES.len()];
    }
    [
        summary.p50_us,
        summary.p90_us,
        summary.p99_us,
        summary.p999_us,
        summary.p9999_us,
        summary.max_us,
        summary.mean_us,
    ]
    .map(time)
    .to_vec()
}

fn compared(out: &mut String, report: &Report) {
    let head = [&["", "rate"][..], &TIMES[..]].concat();
    let rows: Vec<Vec<String>> = report
        .runs
        .iter()
        .map(|run| {
            let void = if run.void.is_some() { " (void)" } else { "" };
            let start = vec![format!("{}{void}", run.title()), rate(run.rate)];
            [start, times(&run.latency)].concat()
        })
        .collect();
    table(out, "What was done in a second, and latencies from the intended start", &head, &rows);
}

fn outcomes(out: &mut String, report: &Report) {
    let mut head = vec![""];
    head.extend(Outcome::ALL.iter().map(|outcome| outcome.name()));
    head.extend(["never sent", "connections lost", "generator busy"]);
    let rows: Vec<Vec<String>> = report
        .runs
        .iter()
        .map(|run| {
            let mut row = vec![run.title()];
            row.extend(Outcome::ALL.iter().map(|outcome| count(run.outcomes.get(*outcome))));
            row.extend([count(run.unsent), count(run.connections_lost)]);
            row.push(format!("{:.0} %", run.generator_busy * 100.0));
            row
        })
        .collect();
    table(out, "What became of operations", &head, &rows);
}

/// Where a percentile stands: each further nine takes as much room.
fn nines(percent: f64) -> f64 {
    -(1.0 - percent / 100.0).max(1e-5).log10()
}

fn percentiles(report: &Report) -> Option<Plot> {
    let runs = || report.runs.iter().filter(|run| run.phase == PhaseName::Run);
    let lines: Vec<Line> = runs()
        .filter(|run| run.latency.count > 0)
        .map(|run| Line {
            label: run.title(),
            points: (run.latency.curve.iter())
                .map(|(percent, time)| Some((nines(*percent), *time)))
                .collect(),
        })
        .collect();
    if lines.is_empty() {
        return None;
    }
    let words = runs().map(|run| {
        let latency = &run.latency;
        let (p50, p999) = (time(latency.p50_us), time(latency.p999_us));
        format!("{}: half within {p50}, all but one in a thousand within {p999}", run.title())
    });
    Some(Plot {
        title: "Latency by percentile".to_owned(),
        words: words.collect::<Vec<_>>().join("; "),
        lines,
        scale: Scale::Logarithmic,
        value: time,
        ticks: [
            (0.0, "0"),
            (90.0, "90 %"),
            (99.0, "99 %"),
            (99.9, "99.9 %"),
            (99.99, "99.99 %"),
            (100.0, "all"),
        ]
        .map(|(percent, text)| (nines(percent), text.to_owned()))
        .to_vec(),
        marks: Vec::new(),
        across: (0.0, nines(100.0)),
    })
}

fn one(out: &mut String, number: usize, run: &Run) {
    let title = escaped(&run.title());
    put(out, format_args!("<h2 id=\"run-{number}\">{title}</h2>\n"));
    let pace = match run.pace {
        Pace::Closed => "a closed loop: connections wait for answers".to_owned(),
        Pace::Open { rate: asked, .. } => {
            format!(
                "an open loop of {}: starts were set before, and latencies count from there",
                rate(asked as f64)
            )
        }
    };
    let endpoints = escaped(&run.endpoints.join(", "));
    let early = if run.ended_early { ", when somebody ended it" } else { "" };
    put(
        out,
        format_args!(
            "<p>{endpoints}, in {}, for {:.1} s{early}.</p>\n",
            escaped(&pace),
            run.seconds
        ),
    );
    if let Some(why) = &run.void {
        put(out, format_args!("<p class=\"bad\">Void: {}.</p>\n", escaped(why)));
    }
    // A line takes two points.
    if run.series.len() > 1 {
        out.push_str(&rates(run).html());
        out.push_str(&latencies(run).html());
    }
    let parts = [
        ("latency: intended start to answer", &run.latency),
        ("sent to answer, as a closed loop would tell", &run.service),
        ("intended start to sent: waiting for room", &run.queue),
        ("of that, the generator's own lag", &run.lag),
        ("what was not done, until that was known", &run.failed),
    ];
    let rows: Vec<Vec<String>> = parts
        .iter()
        .filter(|(_, summary)| summary.count > 0)
        .map(|(name, summary)| {
            [vec![(*name).to_owned(), count(summary.count)], times(summary)].concat()
        })
        .collect();
    table(out, "Where the time went", &[&["", "count"][..], &TIMES[..]].concat(), &rows);
    let rows: Vec<Vec<String>> = run
        .kinds
        .iter()
        .map(|kind| {
            let failed = kind.outcomes.failed();
            let start = [kind.outcomes.done, failed, kind.missing].map(count).to_vec();
            [vec![kind.kind.to_string()], start, times(&kind.latency)].concat()
        })
        .collect();
    let head = [&["", "done", "not done", "nothing there"][..], &TIMES[..]].concat();
    table(out, "By kind of operation, latencies of what was done", &head, &rows);
    errors(out, run);
    if let Some(check) = &run.check {
        checked(out, check);
    }
    series(out, run);
}

/// A line through a value of every stretch; broken where that is below 0.
fn line(run: &Run, label: &str, value: fn(&Point) -> f64) -> Line {
    let point = |point: &Point| {
        let value = value(point);
        (value >= 0.0).then_some((point.at + point.seconds / 2.0, value))
    };
    Line { label: label.to_owned(), points: run.series.iter().map(point).collect() }
}

fn over_time(run: &Run, title: &str, words: String, lines: Vec<Line>) -> Plot {
    let end = run.series.last().map_or(1.0, |point| point.at + point.seconds);
    let marks = run.faults.iter().filter(|mark| mark.at >= 0.0 && mark.at <= end);
    Plot {
        title: title.to_owned(),
        words,
        lines,
        scale: Scale::Linear,
        value: rate,
        ticks: seconds(end),
        marks: marks.map(|mark| (mark.at, mark.what.clone())).collect(),
        across: (0.0, end),
    }
}

fn rates(run: &Run) -> Plot {
    let mut lines = vec![line(run, "done", Point::rate)];
    if run.outcomes.failed() > 0 {
        let failed = |point: &Point| point.outcomes.failed() as f64 / point.seconds;
        lines.push(line(run, "not done", failed));
    }
    let rates = run.series.iter().map(Point::rate);
    let least = rates.clone().reduce(f64::min).unwrap_or(0.0);
    let (least, most) = (rate(least), rate(rates.fold(0.0, f64::max)));
    let words = format!("from {least} to {most}, on average {}", rate(run.rate));
    over_time(run, "Operations in a second", words, lines)
}

fn latencies(run: &Run) -> Plot {
    let lines = vec![
        line(run, "p50", |point| known(point, point.p50_us)),
        line(run, "p99", |point| known(point, point.p99_us)),
        line(run, "greatest", |point| known(point, point.max_us)),
    ];
    let (p50, max) = (time(run.latency.p50_us), time(run.latency.max_us));
    let words = format!("over all p50 {p50}, greatest {max}");
    let plot = over_time(run, "Latency of what was done", words, lines);
    Plot { scale: Scale::Logarithmic, value: time, ..plot }
}

/// Of a stretch in which nothing was done nothing is known.
fn known(point: &Point, value: f64) -> f64 {
    if point.outcomes.done > 0 { value } else { -1.0 }
}

fn errors(out: &mut String, run: &Run) {
    if !run.errors.is_empty() {
        let rows: Vec<Vec<String>> =
            run.errors.iter().map(|(text, times)| vec![text.clone(), count(*times)]).collect();
        table(out, "What servers said beside answers, a few of them", &["", "times"], &rows);
    }
    let failed = run.faults.iter().filter_map(|mark| mark.failed.as_ref().map(|why| (mark, why)));
    for (mark, why) in failed {
        let text = format!("{} after {:.1} s was not carried out: {why}", mark.what, mark.at);
        put(out, format_args!("<p class=\"bad\">{}</p>\n", escaped(&text)));
    }
}

fn checked(out: &mut String, check: &Checked) {
    out.push_str("<h3>Judged</h3>\n");
    let class = if check.violations.is_empty() { "ok" } else { "bad" };
    let text = match (check.violations.len(), check.undecided.len()) {
        (0, 0) => "Every promise that was judged is kept.".to_owned(),
        (0, open) => format!("No promise was found broken; {open} could not be judged."),
        (broken, _) => format!("{broken} promises are broken."),
    };
    put(out, format_args!("<p class=\"{class}\">{}</p>\n", escaped(&text)));
    let all = &check.operations;
    let mut about = format!(
        "{} keys, {} operations of clients beside the load: {} done, {} refused, {} unavailable, {} unknown. Final states: {}.",
        check.keys,
        all.done + all.failed(),
        all.done,
        all.refused,
        all.unavailable,
        all.unknown,
        check.finals
    );
    if let Some(after) = check.equal_after {
        about
            .push_str(&format!(" All owners were equal {after:.1} s after everything was mended."));
    }
    put(out, format_args!("<p>{}</p>\n", escaped(&about)));
    let rows: Vec<Vec<String>> = check
        .checkers
        .iter()
        .map(|of| {
            let counts = [of.operations, of.claims, of.excused].map(count);
            [vec![of.promise.clone()], counts.to_vec()].concat()
        })
        .collect();
    let caption =
        "What the verdict rests on; excused is what something of unknown outcome may explain";
    table(out, caption, &["", "operations", "claims", "excused"], &rows);
    for text in check.violations.iter().chain(&check.undecided) {
        put(out, format_args!("<pre>{}</pre>\n", escaped(text)));
    }
}

fn series(out: &mut String, run: &Run) {
    out.push_str("<details><summary>The plots as a table</summary>\n");
    let mut head = vec!["from", "rate"];
    head.extend(&Outcome::ALL.map(Outcome::name)[1..]);
    head.extend(["p50", "p99", "greatest"]);
    let rows: Vec<Vec<String>> = run
        .series
        .iter()
        .map(|point| {
            let mut row = vec![format!("{:.1} s", point.at), rate(point.rate())];
            row.extend(Outcome::ALL[1..].iter().map(|it| count(point.outcomes.get(*it))));
            let none = point.outcomes.done == 0;
            let told = |us: f64| if none { "–".to_owned() } else { time(us) };
            row.extend([point.p50_us, point.p99_us, point.max_us].map(told));
            row
        })
        .collect();
    table(out, "In time", &head, &rows);
    out.push_str("</details>\n");
}

fn setup(out: &mut String, report: &Report) {
    out.push_str("<h2 id=\"setup\">What was asked for</h2>\n<dl>");
    let asked = &report.workload;
    let weights: Vec<String> =
        asked.weights.iter().map(|(kind, weight)| format!("{kind}={weight}")).collect();
    let (least, most) = asked.value_bytes;
    let values =
        if least == most { format!("{least} bytes") } else { format!("{least} to {most} bytes") };
    for (name, value) in [
        ("command", report.arguments.join(" ")),
        ("mix", format!("{}: {}", asked.mix, weights.join(", "))),
        ("records", format!("{}, {}", asked.records, asked.distribution)),
        ("keys with elements", format!("{} elements", asked.elements)),
        ("values", values),
        (
            "connections",
            format!("{}, {} requests under way on each at most", asked.connections, asked.pipeline),
        ),
        (
            "threads of the generator",
            format!("{} on {} processors", asked.threads, report.processors),
        ),
        ("seed", asked.seed.to_string()),
        ("begun", moment(report.started_unix_ms)),
    ] {
        put(out, format_args!("<dt>{}</dt><dd>{}</dd>", escaped(name), escaped(&value)));
    }
    out.push_str("</dl>\n");
}

/// A moment as `2026-11-28 23:59:59 UTC`.
///
/// Source of the calendar: Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`, of days after 1970.
fn moment(unix_ms: u64) -> String {
    let seconds = unix_ms / 1_000;
    let (days, time) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * day + 2) / 153;
    let date = day - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (time / 3_600, time / 60 % 60, time % 60);
    format!("{year}-{month:02}-{date:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// A time of so many microseconds.
#[must_use]
pub fn time(us: f64) -> String {
    let digits = |value: f64| {
        if value >= 100.0 {
            format!("{value:.0}")
        } else if value >= 10.0 {
            format!("{value:.1}")
        } else {
            format!("{value:.2}")
        }
    };
    match us {
        us if us < 1_000.0 => format!("{us:.0} µs"),
        us if us < 1_000_000.0 => format!("{} ms", digits(us / 1_000.0)),
        us => format!("{} s", digits(us / 1_000_000.0)),
    }
}

/// So many in a second.
#[must_use]
pub fn rate(rate: f64) -> String {
    if rate >= 10.0 || rate == 0.0 {
        format!("{}/s", grouped(&format!("{rate:.0}")))
    } else {
        format!("{rate:.2}/s")
    }
}

/// So many.
#[must_use]
pub fn count(count: u64) -> String {
    grouped(&count.to_string())
}

fn grouped(digits: &str) -> String {
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_calendar() {
        assert_eq!(moment(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(moment(951_782_399_000), "2000-02-28 23:59:59 UTC");
        assert_eq!(moment(951_782_400_000), "2000-02-29 00:00:00 UTC");
        assert_eq!(moment(1_795_910_399_999), "2026-11-28 23:59:59 UTC");
    }

    #[test]
    fn numbers_are_shown_so_that_they_can_be_read() {
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(rate(12_345.6), "12,346/s");
        assert_eq!(rate(0.5), "0.50/s");
        assert_eq!([time(12.3), time(1_500.0), time(2_000_000.0)], ["12 µs", "1.50 ms", "2.00 s"]);
    }
}
