//! How `top` draws a picture.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Gauge, Paragraph, Row, Table};

use super::picture::{NodePicture, Picture};
use crate::output::bytes;

/// Colours of nodes' shares of the ring, in turn.
const COLOURS: [Color; 6] =
    [Color::Cyan, Color::Yellow, Color::Green, Color::Magenta, Color::Blue, Color::Red];

pub(super) fn draw(picture: &Picture, frame: &mut Frame<'_>) {
    let nodes = u16::try_from(picture.nodes.len()).unwrap_or(u16::MAX).saturating_add(3);
    let parts = Layout::vertical([
        Constraint::Length(4),
        Constraint::Length(3),
        Constraint::Length(3),
        Constraint::Length(nodes),
        Constraint::Min(0),
    ])
    .split(frame.area());
    frame.render_widget(head(picture), parts[0]);
    frame.render_widget(ring(picture, parts[1].width.saturating_sub(2)), parts[1]);
    frame.render_widget(moves(picture), parts[2]);
    frame.render_widget(table(picture), parts[3]);
    let notes: Vec<Line<'_>> = notes(picture).into_iter().map(Line::from).collect();
    frame.render_widget(Paragraph::new(notes), parts[4]);
}

fn head(picture: &Picture) -> Paragraph<'static> {
    let count = |liveness: &str| picture.nodes.iter().filter(|it| it.liveness == liveness).count();
    let rate: f64 = picture.nodes.iter().filter_map(|node| node.rate).sum();
    let hints: u64 = picture.nodes.iter().filter_map(|node| node.hint_bytes).sum();
    let bold = Style::default().add_modifier(Modifier::BOLD);
    Paragraph::new(vec![
        Line::from(vec![
            Span::styled("Coterie ", bold),
            Span::raw(format!("cluster {}, layout {}", picture.cluster, picture.layout)),
        ]),
        Line::from(format!(
            "{} up, {} suspect, {} down; {} partitions, {} owners each",
            count("up"),
            count("suspect"),
            count("down"),
            picture.partitions,
            picture.replicas
        )),
        Line::from(format!(
            "{rate:.1} commands/s, hints {}, {} slices differ, {} copies not all received",
            bytes(hints),
            picture.differing,
            picture.unreceived
        )),
    ])
}

/// The ring as a bar: each node's share in its colour, with its mark.
fn ring(picture: &Picture, width: u16) -> Paragraph<'static> {
    let all: u64 = picture.nodes.iter().map(|node| node.owned).sum::<u64>().max(1);
    let spans = picture.nodes.iter().enumerate().map(|(index, node)| {
        let columns = usize::try_from(node.owned * u64::from(width) / all).unwrap_or(0);
        let mark: String = node.id.chars().take(4).collect();
        let cell = format!("{mark:·^columns$}").chars().take(columns).collect::<String>();
        let style = Style::default().fg(Color::Black).bg(COLOURS[index % COLOURS.len()]);
        Span::styled(
            cell,
            if node.liveness == "down" { style.add_modifier(Modifier::CROSSED_OUT) } else { style },
        )
    });
    Paragraph::new(Line::from(spans.collect::<Vec<_>>()))
        .block(Block::bordered().title("ring: shares of copies"))
}

fn moves(picture: &Picture) -> Gauge<'static> {
    let (moving, done) = (picture.moving, picture.done.min(picture.moving));
    let ratio = if moving == 0 { 1.0 } else { done as f64 / moving as f64 };
    let label = if moving == 0 {
        "nothing moves".to_owned()
    } else {
        format!("{done}/{moving} slices moved")
    };
    Gauge::default()
        .block(Block::bordered().title("moves"))
        .gauge_style(Style::default().fg(Color::Cyan))
        .ratio(ratio)
        .label(label)
}

fn table(picture: &Picture) -> Table<'static> {
    let shown = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), bytes);
    let row = |node: &NodePicture| {
        let style = match node.liveness.as_str() {
            "up" => Style::default(),
            "suspect" => Style::default().fg(Color::Yellow),
            _ => Style::default().fg(Color::Red),
        };
        Row::new([
            node.id.chars().take(8).collect(),
            node.liveness.clone(),
            node.state.clone(),
            node.owned.to_string(),
            node.rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}")),
            node.connections.map_or_else(|| "-".to_owned(), |count| count.to_string()),
            shown(node.hint_bytes),
            shown(node.resident_bytes),
            shown(node.disk_bytes),
        ])
        .style(style)
    };
    let widths = [9, 9, 9, 7, 12, 12, 12, 12, 12].map(Constraint::Length);
    let head = Row::new([
        "node",
        "liveness",
        "state",
        "copies",
        "commands/s",
        "connections",
        "hints",
        "memory",
        "disk",
    ])
    .style(Style::default().add_modifier(Modifier::BOLD));
    Table::new(picture.nodes.iter().map(row), widths)
        .header(head)
        .block(Block::bordered().title("nodes"))
}

fn notes(picture: &Picture) -> Vec<String> {
    let mut notes = Vec::new();
    notes.extend(picture.trouble.iter().map(|trouble| format!("as seen last: {trouble}")));
    if picture.pending {
        notes.push("something is asked for that is not in force yet".to_owned());
    }
    notes.extend(picture.warnings.iter().map(|warning| format!("warning: {warning}")));
    notes
}
