//! `coterie top`: the cluster live in a terminal: ring, nodes, load, hints, repair.

mod draw;
mod picture;

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use clap::Args;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use serde_json::json;

use crate::failure::Failure;
use crate::output::Form;
use crate::setup::{Global, time};
use picture::Picture;

/// Lines and columns where there is no terminal.
const SIZE: (u16, u16) = (100, 30);

/// Show the cluster live: ring, nodes, load, hints and repair. `q` ends it.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Top {
    /// How often it is looked.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time)]
    every: Duration,
    /// Look once (twice, one interval apart, for rates), print it, and end. So it is where there is no terminal.
    #[arg(long)]
    once: bool,
}

impl Top {
    pub(crate) fn carry_out(self, global: &Global) -> Result<(), Failure> {
        if self.every < Duration::from_millis(100) {
            return Err(Failure::usage("--every: give 100ms or more"));
        }
        if self.once || global.form() == Form::Json || !std::io::stdout().is_terminal() {
            return self.once(global);
        }
        let first = Picture::take(&global.client()?, None)?;
        let mut terminal = ratatui::init();
        let ended = self.live(global, &mut terminal, first);
        ratatui::restore();
        ended
    }

    fn once(self, global: &Global) -> Result<(), Failure> {
        let client = global.client()?;
        let first = Picture::take(&client, None)?;
        std::thread::park_timeout(self.every);
        let picture = Picture::take(&client, Some(&first))?;
        let shown = text(&picture)?;
        global.output().show(&json!(picture), || shown)
    }

    fn live(
        self,
        global: &Global,
        terminal: &mut ratatui::DefaultTerminal,
        mut picture: Picture,
    ) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::failed(format!("the terminal: {error}"));
        let client = global.client()?;
        loop {
            terminal.draw(|frame| draw::draw(&picture, frame)).map_err(failed)?;
            let until = Instant::now() + self.every;
            loop {
                let left = until.saturating_duration_since(Instant::now());
                if !event::poll(left).map_err(failed)? {
                    break;
                }
                match event::read().map_err(failed)? {
                    Event::Key(key) => {
                        let interrupt = key.modifiers.contains(KeyModifiers::CONTROL);
                        match key.code {
                            KeyCode::Char('q') | KeyCode::Esc => return Ok(()),
                            KeyCode::Char('c') if interrupt => return Ok(()),
                            _ => {}
                        }
                    }
                    Event::Resize(..) => break,
                    _ => {}
                }
            }
            picture = match Picture::take(&client, Some(&picture)) {
                Ok(next) => next,
                // What was seen last stays, with why there is nothing newer.
                Err(failure) => Picture { trouble: Some(failure.detail), ..picture },
            };
        }
    }
}

/// One frame as text.
fn text(picture: &Picture) -> Result<String, Failure> {
    let failed = |error| Failure::failed(format!("the picture cannot be drawn: {error}"));
    let mut terminal = Terminal::new(TestBackend::new(SIZE.0, SIZE.1)).map_err(failed)?;
    terminal.draw(|frame| draw::draw(picture, frame)).map_err(failed)?;
    let buffer = terminal.backend().buffer();
    let width = usize::from(buffer.area.width).max(1);
    let lines = buffer.content.chunks(width).map(|line| {
        let line: String = line.iter().map(|cell| cell.symbol()).collect();
        line.trim_end().to_owned()
    });
    let mut lines: Vec<String> = lines.collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    Ok(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use picture::NodePicture;

    fn node(id: &str, liveness: &str, owned: u64) -> NodePicture {
        NodePicture {
            id: id.repeat(32),
            liveness: liveness.to_owned(),
            state: "active".to_owned(),
            owned,
            requests: Some(1_000),
            rate: Some(12.5),
            hint_bytes: Some(2_048),
            connections: Some(3),
            resident_bytes: Some(64 << 20),
            disk_bytes: None,
        }
    }

    #[test]
    fn a_frame_shows_every_node_and_what_moves() {
        let picture = Picture {
            cluster: "c".repeat(32),
            layout: "0.7".to_owned(),
            partitions: 64,
            replicas: 3,
            moving: 4,
            done: 1,
            unreceived: 2,
            differing: 1,
            pending: true,
            warnings: vec!["a warning".to_owned()],
            nodes: vec![node("a", "up", 64), node("b", "down", 32)],
            trouble: Some("nobody answers".to_owned()),
            at: Instant::now(),
        };
        let shown = text(&picture).unwrap();
        for wanted in [
            "aaaaaaaa",
            "bbbbbbbb",
            "up",
            "down",
            "1/4",
            "12.5",
            "2.0 KiB",
            "a warning",
            "nobody answers",
        ] {
            assert!(shown.contains(wanted), "{wanted}\n{shown}");
        }
    }
}
