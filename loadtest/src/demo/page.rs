//! The story as one page that needs nothing else: no script, nothing fetched.

use crate::report::Outcomes;
use crate::report::page::{count, table};
use crate::report::plot::{Line, Plot, Scale, escaped, put, seconds};
use crate::report::style::CSS;

use super::column::{Column, Side};
use super::converge::Converged;
use super::examples::{Attempt, NameTold};
use super::expect::{Stands, nodes, percent, percents, words};
use super::phases::Phase;
use super::story::{Availability, ColumnTold, Story, all};
use super::summary::{ROWS, equal};

/// What this page adds to the style of reports.
const MORE_CSS: &str = "
.columns{display:grid;grid-template-columns:repeat(auto-fit,minmax(17rem,1fr));gap:.8rem;margin:.6rem 0}
.card{background:var(--card);padding:.7rem .9rem;border-radius:.4rem;min-width:0;overflow-wrap:anywhere}
.card h3{margin:.1rem 0 .3rem}.card dl{grid-template-columns:1fr;gap:0}.card dd{margin-bottom:.35rem}
.card ol{padding-left:1.2rem;margin:.3rem 0;font-size:.9rem}
";

/// The whole page.
#[must_use]
pub fn page(story: &Story) -> String {
    let mut out = String::new();
    let title = "A shop under a partition and a crash, at three levels of consistency";
    put(
        &mut out,
        format_args!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta name=\"viewport\" \
             content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n<style>{CSS}{MORE_CSS}</style></head>\n\
             <body>\n<main><h1>{title}</h1>\n"
        ),
    );
    opening(&mut out, story);
    verdict(&mut out, story);
    side_by_side(&mut out, story);
    what_happened(&mut out, story);
    available(&mut out, story);
    stale(&mut out, story);
    conflicts(&mut out, story);
    converged(&mut out, story);
    kept(&mut out, story);
    expectations(&mut out, story);
    setup(&mut out, story);
    out.push_str("</main></body></html>\n");
    out
}

fn paragraph(out: &mut String, text: &str) {
    put(out, format_args!("<p>{}</p>\n", escaped(text)));
}

fn heading(out: &mut String, id: &str, text: &str) {
    put(out, format_args!("<h2 id=\"{id}\">{}</h2>\n", escaped(text)));
}

fn opening(out: &mut String, story: &Story) {
    paragraph(
        out,
        "Five nodes of one cluster; three shops in it that do the same, and differ only in what they ask of their buckets. In \
         each, customers on both sides of the cut fill shared carts, set delivery addresses, buy products of which there are few, and claim \
         usernames. Every figure was measured in this run; what theory says stands beside it.",
    );
    let columns = story.columns.iter().map(|told| told.column);
    out.push_str("<ul>");
    for column in columns {
        put(
            out,
            format_args!(
                "<li><strong>{}</strong>: {}</li>",
                column.name(),
                escaped(column.about())
            ),
        );
    }
    out.push_str("</ul>\n");
}

fn verdict(out: &mut String, story: &Story) {
    let (class, head) = if story.is_as_expected() {
        ("good", "As theory says, and nothing acknowledged was lost")
    } else {
        ("broken", "Not as theory says")
    };
    put(
        out,
        format_args!("<div class=\"verdict {class}\" role=\"status\"><strong>{head}</strong>"),
    );
    for it in story.expectations.iter().filter(|it| it.is_mismatch()) {
        let text = format!(
            "{}, {}: theory says {}; measured {}.",
            it.column.name(),
            it.what,
            it.theory,
            it.measured
        );
        put(out, format_args!("<p class=\"bad\">{}</p>", escaped(&text)));
    }
    let not_seen: Vec<String> = story
        .expectations
        .iter()
        .filter(|it| it.stands == Stands::NotSeen)
        .map(|it| format!("{}: {}", it.column.name(), it.what))
        .collect();
    if !not_seen.is_empty() {
        let text = format!("Possible, but not seen this time: {}.", not_seen.join("; "));
        put(out, format_args!("<p>{}</p>", escaped(&text)));
    }
    out.push_str("</div>\n");
}

fn side_by_side(out: &mut String, story: &Story) {
    heading(out, "compared", "Side by side");
    let rows: Vec<Vec<String>> = ROWS
        .iter()
        .map(|(name, cell)| {
            let mut row = vec![(*name).to_owned()];
            row.extend(story.columns.iter().map(cell));
            row
        })
        .collect();
    let caption = "In brackets: what theory says of just these keys and this cut";
    table(out, caption, &head(&[]), &rows);
}

/// A head with the names of all columns, and more.
fn head<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let columns = Column::ALL.iter().map(|column| column.name());
    std::iter::once("").chain(columns).chain(more.iter().copied()).collect()
}

fn what_happened(out: &mut String, story: &Story) {
    heading(out, "story", "What happened");
    let rows: Vec<Vec<String>> = story
        .phases
        .iter()
        .map(|it| {
            vec![
                it.phase.name().to_owned(),
                format!("{:.1} s", it.from),
                format!("{:.1} s", it.until),
                match (it.phase, it.noticed_after) {
                    (Phase::Calm, _) => "–".to_owned(),
                    (_, Some(after)) => format!("after {after:.1} s"),
                    (_, None) => "not by all".to_owned(),
                },
                it.phase.about().to_owned(),
            ]
        })
        .collect();
    let head = ["", "from", "until", "nodes noticed", "what was so"];
    table(
        out,
        "Until nodes have noticed, requests wait for those that do not answer",
        &head,
        &rows,
    );
}

fn marks(story: &Story) -> Vec<(f64, String)> {
    let text = |phase| match phase {
        Phase::Calm => None,
        Phase::Cut => Some("cut: nodes 0, 1 | 2, 3, 4"),
        Phase::Healed => Some("network whole again"),
        Phase::Crash => Some("node 4 killed"),
        Phase::Restarted => Some("node 4 started again"),
    };
    let phases = story.phases.iter();
    phases.filter_map(|it| text(it.phase).map(|text| (it.from, text.to_owned()))).collect()
}

fn over_time(
    story: &Story,
    title: String,
    words: String,
    lines: Vec<Line>,
    value: fn(f64) -> String,
) -> Plot {
    let end = story.columns.iter().map(|told| told.series.len()).max().unwrap_or(1) as f64;
    Plot {
        title,
        words,
        lines,
        scale: Scale::Linear,
        value,
        ticks: seconds(end),
        marks: marks(story),
        across: (0.0, end),
    }
}

fn available(out: &mut String, story: &Story) {
    heading(out, "available", "What stayed available");
    paragraph(
        out,
        "Percent of operations that were done, by when they began; what is waited for all second counts as not done in it. What is not done \
         was refused, unavailable (nothing was stored), or unknown (it may have been stored).",
    );
    for told in &story.columns {
        let line = |side: Side| Line {
            label: nodes(side).to_owned(),
            points: (0_u32..)
                .zip(&told.series)
                .map(|(at, second)| {
                    let it = &second.sides[side.index()];
                    let operations = all(it) + second.waiting[side.index()];
                    (operations > 0)
                        .then(|| (f64::from(at) + 0.5, 100.0 * it.done as f64 / operations as f64))
                })
                .collect(),
        };
        let words: Vec<String> = told
            .availability
            .iter()
            .map(|it| {
                format!("{} {}: {}", it.phase.name(), it.side.name(), percent(percents(it).1))
            })
            .collect();
        let title = format!("{}: percent done ({})", told.column.name(), told.column.about());
        let lines = Side::BOTH.map(line).to_vec();
        let plot =
            over_time(story, title, words.join("; "), lines, |share| format!("{share:.0} %"));
        out.push_str(&plot.html());
    }
    let rows: Vec<Vec<String>> = story
        .columns
        .iter()
        .flat_map(|told| told.availability.iter().map(move |it| availability(told, it)))
        .collect();
    let caption = "Operations that began and ended in a phase; percent are of those after all nodes had noticed";
    let head = [
        "",
        "phase",
        "side",
        "percent done",
        "theory",
        "done",
        "refused",
        "unavailable",
        "unknown",
    ];
    table(out, caption, &head, &rows);
}

fn availability(told: &ColumnTold, it: &Availability) -> Vec<String> {
    let (theory, measured) = percents(it);
    let Outcomes { done, refused, unavailable, unknown, error } = it.outcomes;
    vec![
        told.column.name().to_owned(),
        it.phase.name().to_owned(),
        it.side.name().to_owned(),
        percent(measured),
        percent(theory),
        count(done),
        count(refused + error),
        count(unavailable),
        count(unknown),
    ]
}

fn stale(out: &mut String, story: &Story) {
    heading(out, "stale", "What was stale");
    paragraph(
        out,
        "A read is stale if it misses something that anybody, on any side, had been told is done before the read began.",
    );
    let lines: Vec<Line> = story
        .columns
        .iter()
        .map(|told| Line {
            label: told.column.name().to_owned(),
            points: (0_u32..)
                .zip(&told.series)
                .map(|(at, second)| Some((f64::from(at) + 0.5, second.stale as f64)))
                .collect(),
        })
        .collect();
    let sum = |told: &ColumnTold| told.stale.iter().map(|(_, count)| count).sum::<u64>();
    let words: Vec<String> = story
        .columns
        .iter()
        .map(|told| format!("{}: {} of {}", told.column.name(), sum(told), told.reads))
        .collect();
    let title = "Stale reads in a second".to_owned();
    out.push_str(&over_time(story, title, words.join("; "), lines, |it| format!("{it:.0}")).html());
    let rows: Vec<Vec<String>> = story
        .columns
        .iter()
        .map(|told| {
            let mut row = vec![told.column.name().to_owned(), count(told.reads)];
            row.extend(told.stale.iter().map(|(_, stale)| count(*stale)));
            row
        })
        .collect();
    let mut head = vec!["", "reads"];
    head.extend(Phase::ALL.map(Phase::name));
    table(out, "Stale reads by phase", &head, &rows);
    for it in &story.examples.stale {
        let written = it.written.map_or(String::new(), |(side, at)| {
            format!(", acknowledged on the {} after {at:.1} s", side.name())
        });
        let text = format!(
            "{}: after {:.1} s a read of {} on the {} did not show {}{written}.",
            it.column.name(),
            it.at,
            it.key,
            it.side.name(),
            it.missed
        );
        paragraph(out, &text);
    }
}

fn list(items: &[String]) -> String {
    if items.is_empty() { "nothing".to_owned() } else { items.join(", ") }
}

fn card(out: &mut String, column: Column, entries: &[(String, String)]) {
    put(out, format_args!("<section class=\"card\"><h3>{}</h3><dl>", column.name()));
    for (name, text) in entries {
        put(out, format_args!("<dt>{}</dt><dd>{}</dd>", escaped(name), escaped(text)));
    }
    out.push_str("</dl></section>");
}

fn conflicts(out: &mut String, story: &Story) {
    heading(out, "conflicts", "What conflicted, and how it merged");
    let examples = &story.examples;
    if let Some(first) = examples.cart.first() {
        put(out, format_args!("<h3>One cart, two sides: {}</h3>\n", escaped(&first.key)));
        paragraph(
            out,
            "A set: both sides' items stay; taking out removes what the one who takes out had seen.",
        );
        out.push_str("<div class=\"columns\">");
        for it in &examples.cart {
            let [left, right] = it.not_done;
            card(
                out,
                it.column,
                &[
                    ("put in on the left".to_owned(), list(&it.put[0])),
                    ("put in on the right".to_owned(), list(&it.put[1])),
                    ("taken out".to_owned(), list(&it.taken_out)),
                    ("not done: left, right".to_owned(), format!("{left}, {right}")),
                    ("held by every owner in the end".to_owned(), list(&it.at_the_end)),
                ],
            );
        }
        out.push_str("</div>\n");
    }
    if let Some(first) = examples.stock.first() {
        let title = format!("{} pieces of one product: {}", first.pieces, first.key);
        put(out, format_args!("<h3>{}</h3>\n", escaped(&title)));
        paragraph(
            out,
            "A counter: nothing that was taken is forgotten, so a shop that sold more than it had sees a negative number. In the \
             strong bucket each sale is decided after the one before.",
        );
        out.push_str("<div class=\"columns\">");
        for it in &examples.stock {
            let sold = it.sold[0] + it.sold[1];
            let pieces = u64::try_from(it.pieces).unwrap_or(0);
            let [left, right] = it.not_done;
            card(
                out,
                it.column,
                &[
                    ("sold: left + right".to_owned(), format!("{} + {}", it.sold[0], it.sold[1])),
                    ("oversold".to_owned(), sold.saturating_sub(pieces).to_string()),
                    ("not done: left, right".to_owned(), format!("{left}, {right}")),
                    ("left in stock in the end".to_owned(), it.at_the_end.to_string()),
                ],
            );
        }
        out.push_str("</div>\n");
    }
    names(
        out,
        "One username",
        "SET NX: only the strong bucket promises that one person gets it. Elsewhere both claims stand as siblings, and the \
         application has to say sorry to somebody.",
        &examples.username,
    );
    names(
        out,
        "One delivery address",
        "A register: what was written without having seen the other is kept beside it; GET reads the later one, COTERIE CONTEXT \
         shows all, RESOLVE replaces them.",
        &examples.address,
    );
}

fn names(out: &mut String, title: &str, about: &str, told: &[NameTold]) {
    let Some(first) = told.first() else { return };
    put(out, format_args!("<h3>{}: {}</h3>\n", escaped(title), escaped(&first.key)));
    paragraph(out, about);
    out.push_str("<div class=\"columns\">");
    for it in told {
        put(out, format_args!("<section class=\"card\"><h3>{}</h3><ol>", it.column.name()));
        for Attempt { at, side, value, answer } in &it.attempts {
            let text = format!("{at:.1} s, {}: {value} – {answer}", side.name());
            put(out, format_args!("<li>{}</li>", escaped(&text)));
        }
        let end = escaped(&list(&it.at_the_end));
        put(out, format_args!("</ol><p>In the end: <strong>{end}</strong></p></section>"));
    }
    out.push_str("</div>\n");
}

fn converged(out: &mut String, story: &Story) {
    heading(out, "equal", "How long owners took to be equal");
    let rows: Vec<Vec<String>> = story
        .columns
        .iter()
        .map(|told| {
            let keys = |it: &Option<Converged>| it.as_ref().map_or(0, |it| it.keys as u64);
            vec![
                told.column.name().to_owned(),
                count(keys(&told.converged)),
                equal(told.converged.as_ref()),
                count(keys(&told.caught_up)),
                equal(told.caught_up.as_ref()),
            ]
        })
        .collect();
    let caption = "What was written before the cut healed, and while node 4 was down: watched at each owner alone, while \
                   customers went on";
    let head = ["", "keys", "equal after the cut", "keys", "equal after the restart"];
    table(out, caption, &head, &rows);
    let text = format!(
        "After the last customer had left, the digests of all owners of all partitions were equal, with no hints left, {:.1} s later.",
        story.equal_after
    );
    paragraph(out, &text);
}

fn kept(out: &mut String, story: &Story) {
    heading(out, "kept", "Whether anything was lost");
    for told in &story.columns {
        let (class, text) = if told.missing.is_empty() {
            ("ok", format!("{} acknowledged, none missing at any owner.", count(told.acknowledged)))
        } else {
            ("bad", format!("missing: {}", told.missing.join("; ")))
        };
        let text = escaped(&format!("{}: {text}", told.column.name()));
        put(out, format_args!("<p class=\"{class}\">{text}</p>\n"));
    }
    let promises = story.verdicts.first().map(|it| it.checkers.iter().map(|of| &of.promise));
    let rows: Vec<Vec<String>> = promises
        .into_iter()
        .flatten()
        .enumerate()
        .map(|(index, promise)| {
            let mut row = vec![promise.clone()];
            row.extend(story.verdicts.iter().map(|verdict| {
                let claims = verdict.checkers.get(index).map_or(0, |of| of.claims);
                count(claims)
            }));
            row
        })
        .collect();
    table(
        out,
        "Checkers over everything that customers were told: claims tested",
        &head(&[]),
        &rows,
    );
    for verdict in &story.verdicts {
        let (broken, open) = (verdict.violations.len(), verdict.undecided.len());
        let text = match (broken, open) {
            (0, 0) => "every promise is kept".to_owned(),
            (0, open) => format!("{open} could not be decided"),
            (broken, _) => format!("{broken} promises are broken"),
        };
        let class = if broken + open == 0 { "ok" } else { "bad" };
        let text = escaped(&format!("{}, {} keys: {text}.", verdict.column.name(), verdict.keys));
        put(out, format_args!("<p class=\"{class}\">{text}</p>\n"));
        for text in verdict.violations.iter().chain(&verdict.undecided) {
            put(out, format_args!("<pre>{}</pre>\n", escaped(text)));
        }
    }
}

fn expectations(out: &mut String, story: &Story) {
    heading(out, "theory", "Theory beside measurement");
    let rows: Vec<Vec<String>> = story
        .expectations
        .iter()
        .map(|it| {
            vec![
                format!("{}: {}", it.column.name(), it.what),
                it.theory.clone(),
                it.measured.clone(),
                words(it.stands).to_owned(),
            ]
        })
        .collect();
    let caption =
        "A difference gives exit status 1; less than 90 % of what could be done is one, too";
    table(out, caption, &["", "theory", "measured", ""], &rows);
}

fn setup(out: &mut String, story: &Story) {
    heading(out, "setup", "How it was run");
    out.push_str("<dl>");
    for (name, value) in [
        (
            "nodes",
            "5 processes on loopback, 3 owners of each key, acknowledged means on disk".to_owned(),
        ),
        (
            "the cut",
            "UDP proxies between all pairs of nodes drop everything between the sides".to_owned(),
        ),
        ("the crash", "kill -9 of node 4, started again with its data".to_owned()),
        ("customers", "2 on each side of each column, who ask nodes of their side only".to_owned()),
        (
            "stock",
            format!("{} pieces of each product; another product every few seconds", story.pieces),
        ),
        ("processors", format!("{}, shared by nodes and customers", story.processors)),
        ("seed", story.seed.to_string()),
        (
            "again",
            format!(
                "coterie-loadtest demo{} --seed {}",
                if story.quick { " --quick" } else { "" },
                story.seed
            ),
        ),
    ] {
        put(out, format_args!("<dt>{}</dt><dd>{}</dd>", escaped(name), escaped(&value)));
    }
    out.push_str("</dl>\n");
}
