//! Plots as SVG within HTML: lines stretch with the page, texts keep their size; every plot has a text that says what it shows.

use std::fmt::Write as _;

/// A line.
#[derive(Clone, Debug)]
pub struct Line {
    /// What it shows.
    pub label: String,
    /// Its points from left to right; `None` where it is broken.
    pub points: Vec<Option<(f64, f64)>>,
}

/// How values lie along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// From 0, evenly.
    Linear,
    /// Each factor of ten takes as much room as any other.
    Logarithmic,
}

/// A plot.
#[derive(Clone, Debug)]
pub struct Plot {
    /// Its title.
    pub title: String,
    /// What there is to see, in words.
    pub words: String,
    /// Its lines; six are told apart.
    pub lines: Vec<Line>,
    /// How the upright axis is divided.
    pub scale: Scale,
    /// Puts a value into words.
    pub value: fn(f64) -> String,
    /// Texts along the lower axis, with where they stand.
    pub ticks: Vec<(f64, String)>,
    /// Moments that are marked, with a number each.
    pub marks: Vec<(f64, String)>,
    /// The ends of the lower axis.
    pub across: (f64, f64),
}

/// The side of the square that lines are drawn in.
const SIDE: f64 = 1_000.0;

/// A text within HTML.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // What XML has no place for, and nobody can see.
            control if control.is_control() && control != '\n' => out.push('\u{FFFD}'),
            other => out.push(other),
        }
    }
    out
}

impl Plot {
    /// The plot as a figure.
    #[must_use]
    pub fn html(&self) -> String {
        let upright = Upright::of(self);
        let across = |x: f64| {
            let (from, to) = self.across;
            if to > from { ((x - from) / (to - from)).clamp(0.0, 1.0) } else { 0.0 }
        };
        let mut out = String::new();
        let title = escaped(&self.title);
        let words = escaped(&self.words);
        put(
            &mut out,
            format_args!("<figure><figcaption>{title}</figcaption><div class=\"frame\">"),
        );
        out.push_str("<div class=\"y\" aria-hidden=\"true\">");
        for value in &upright.ticks {
            let bottom = upright.place(*value) * 100.0;
            let text = escaped(&(self.value)(*value));
            put(&mut out, format_args!("<span style=\"bottom:{bottom:.2}%\">{text}</span>"));
        }
        put(
            &mut out,
            format_args!(
                "</div><div class=\"area\"><svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\" role=\"img\" \
                 aria-label=\"{title}: {words}\">"
            ),
        );
        for value in &upright.ticks {
            let y = (1.0 - upright.place(*value)) * SIDE;
            put(
                &mut out,
                format_args!(
                    "<line class=\"grid\" x1=\"0\" x2=\"1000\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"
                ),
            );
        }
        for (at, _) in &self.marks {
            let x = across(*at) * SIDE;
            put(
                &mut out,
                format_args!(
                    "<line class=\"fault\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"0\" y2=\"1000\"/>"
                ),
            );
        }
        for (number, line) in self.lines.iter().enumerate() {
            for piece in line.points.split(Option::is_none) {
                let points: Vec<String> = piece
                    .iter()
                    .flatten()
                    .map(|(x, y)| {
                        let (x, y) = (across(*x) * SIDE, (1.0 - upright.place(*y)) * SIDE);
                        format!("{x:.1},{y:.1}")
                    })
                    .collect();
                // A point by itself is a short line, to be seen at all.
                let points = match &points[..] {
                    [] => continue,
                    [only] => format!("{only} {only}"),
                    more => more.join(" "),
                };
                let class = number % 6;
                put(
                    &mut out,
                    format_args!("<polyline class=\"curve k{class}\" points=\"{points}\"/>"),
                );
            }
        }
        out.push_str("</svg>");
        for (number, (at, _)) in (1..).zip(&self.marks) {
            let left = across(*at) * 100.0;
            put(
                &mut out,
                format_args!(
                    "<span class=\"mark\" aria-hidden=\"true\" style=\"left:{left:.2}%\">{number}</span>"
                ),
            );
        }
        out.push_str("</div><div class=\"x\" aria-hidden=\"true\">");
        let last = self.ticks.len().saturating_sub(1);
        for (index, (at, text)) in self.ticks.iter().enumerate() {
            let left = across(*at) * 100.0;
            let class = match index {
                0 => " class=\"first\"",
                _ if index == last => " class=\"last\"",
                _ => "",
            };
            let text = escaped(text);
            put(&mut out, format_args!("<span{class} style=\"left:{left:.2}%\">{text}</span>"));
        }
        out.push_str("</div></div><ul class=\"legend\">");
        for (number, line) in self.lines.iter().enumerate() {
            let (class, label) = (number % 6, escaped(&line.label));
            put(
                &mut out,
                format_args!(
                    "<li><svg viewBox=\"0 0 30 10\" aria-hidden=\"true\"><line class=\"curve k{class}\" x1=\"1\" x2=\"29\" \
                     y1=\"5\" y2=\"5\"/></svg>{label}</li>"
                ),
            );
        }
        out.push_str("</ul>");
        if !self.marks.is_empty() {
            out.push_str("<ol class=\"faults\">");
            for (at, text) in &self.marks {
                let text = escaped(text);
                put(&mut out, format_args!("<li>after {at:.1} s: {text}</li>"));
            }
            out.push_str("</ol>");
        }
        out.push_str("</figure>");
        out
    }
}

/// Appends; a string takes everything.
pub(crate) fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a string takes everything");
}

/// The upright axis.
struct Upright {
    scale: Scale,
    from: f64,
    to: f64,
    ticks: Vec<f64>,
}

impl Upright {
    fn of(plot: &Plot) -> Upright {
        let values = plot.lines.iter().flat_map(|line| line.points.iter().flatten());
        let values: Vec<f64> = values.map(|(_, y)| *y).filter(|y| y.is_finite()).collect();
        let most = values.iter().copied().fold(0.0, f64::max);
        match plot.scale {
            Scale::Linear => {
                let step = nice(most.max(1.0) / 4.0);
                let count = (most.max(1.0) / step).ceil();
                let ticks = (0..=4_u8).map(|tick| f64::from(tick) * step);
                let to = (count * step).max(step);
                Upright {
                    scale: plot.scale,
                    from: 0.0,
                    to,
                    ticks: ticks.filter(|it| *it <= to).collect(),
                }
            }
            Scale::Logarithmic => {
                let least = values.iter().copied().filter(|y| *y > 0.0).fold(f64::MAX, f64::min);
                let least = if least == f64::MAX { 1.0 } else { least };
                let from = 10_f64.powf(least.log10().floor());
                let to = 10_f64.powf(most.max(from * 10.0).log10().ceil());
                let mut ticks = Vec::new();
                let mut tick = from;
                while tick <= to * 1.001 && ticks.len() < 16 {
                    ticks.push(tick);
                    tick *= 10.0;
                }
                Upright { scale: plot.scale, from, to, ticks }
            }
        }
    }

    /// From 0, at the bottom, to 1.
    fn place(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear => value / self.to,
            Scale::Logarithmic => {
                (value.max(self.from) / self.from).ln() / (self.to / self.from).ln()
            }
        };
        share.clamp(0.0, 1.0)
    }
}

/// The least of 1, 2, 2.5 and 5 times a power of ten that is not below.
fn nice(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0];
    steps.iter().map(|step| step * power).find(|step| *step >= value * 0.999).unwrap_or(value)
}

/// Whole seconds along an axis, a few of them.
#[must_use]
pub fn seconds(to: f64) -> Vec<(f64, String)> {
    let step = nice(to.max(1.0) / 5.0).max(1.0);
    let mut ticks = Vec::new();
    let mut at = 0.0;
    while at <= to * 1.001 && ticks.len() < 12 {
        ticks.push((at, format!("{at} s")));
        at += step;
    }
    ticks
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn steps_are_round() {
        assert_eq!(nice(3.0), 5.0);
        assert_eq!(nice(0.21), 0.25);
        assert_eq!(nice(100.0), 100.0);
        assert_eq!(seconds(30.0).len(), 4);
    }

    proptest! {
        #[test]
        fn every_point_lies_within_the_plot(
            points in proptest::collection::vec(
                proptest::option::of((0.0..100.0, 0.0..1e9)), 0..30),
            logarithmic in any::<bool>(),
        ) {
            let plot = Plot {
                title: "<rate>".to_owned(),
                words: "\"much\" & more".to_owned(),
                lines: vec![Line { label: "a<b".to_owned(), points }],
                scale: if logarithmic { Scale::Logarithmic } else { Scale::Linear },
                value: |value| format!("{value}"),
                ticks: seconds(100.0),
                marks: vec![(5.0, "kill:1".to_owned())],
                across: (0.0, 100.0),
            };
            let html = plot.html();
            prop_assert!(!html.contains("<rate>") && !html.contains("a<b"));
            for points in html.split("points=\"").skip(1) {
                let points = points.split('"').next().unwrap();
                for number in points.split([' ', ',']) {
                    let number: f64 = number.parse().unwrap();
                    prop_assert!((0.0..=SIDE).contains(&number), "{}", number);
                }
            }
        }
    }
}
