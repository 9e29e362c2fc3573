//! `coterie repl`: commands one after the other, in one session that reads what it wrote.

use std::io::{self, BufRead, IsTerminal};

use clap::Parser;
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use crate::client::{Client, Keep};
use crate::data::At;
use crate::failure::{Failure, Kind};
use crate::line::Line;
use crate::output::{Form, line};
use crate::setup::Global;
use crate::tell;

const HELP: &str = "Any command of `coterie`, without that word: get greeting, sadd cart apples, status, ring owners cart …
  use BUCKET              go on in another bucket
  level [WRITE [READ]]    go on at another level; without a word at the bucket's own
  help, exit";

/// What holds from line to line.
struct Session<'a> {
    global: &'a Global,
    client: Client,
    at: At,
}

pub(crate) fn repl(global: &Global) -> Result<(), Failure> {
    let client = global.client_for(global.within(), Keep::Nothing)?.in_session();
    let mut session = Session { global, client, at: At::default() };
    if io::stdin().is_terminal() { session.converse() } else { session.read() }
}

/// What becomes of the session after a line.
enum After {
    GoOn,
    End,
}

impl Session<'_> {
    /// With a person.
    fn converse(&mut self) -> Result<(), Failure> {
        let failed = |error: ReadlineError| Failure::failed(format!("the terminal: {error}"));
        let mut editor = DefaultEditor::new().map_err(failed)?;
        line("`help` says what there is; Ctrl-D ends.")?;
        loop {
            let words = match editor.readline(&format!("{}> ", self.at.bucket())) {
                Ok(text) => {
                    // Without a history one goes on too.
                    drop(editor.add_history_entry(text.trim()));
                    text
                }
                Err(ReadlineError::Interrupted) => continue,
                Err(ReadlineError::Eof) => return Ok(()),
                Err(error) => return Err(failed(error)),
            };
            match self.carry_out(&words) {
                Ok(After::GoOn) => {}
                Ok(After::End) => return Ok(()),
                Err(failure) => tell(&failure, self.global.form()),
            }
        }
    }

    /// From a file or pipe: every line is done; the exit code is that of the last failure.
    fn read(&mut self) -> Result<(), Failure> {
        let mut last = Ok(());
        for text in io::stdin().lock().lines() {
            let text = text.map_err(|error| Failure::failed(format!("standard input: {error}")))?;
            match self.carry_out(&text) {
                Ok(After::GoOn) => {}
                Ok(After::End) => break,
                Err(failure) => {
                    tell(&failure, self.global.form());
                    last = Err(Failure { detail: String::new(), what_to_do: None, ..failure });
                }
            }
        }
        last
    }

    fn carry_out(&mut self, text: &str) -> Result<After, Failure> {
        let words = split(text).map_err(Failure::usage)?;
        match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] => Ok(After::GoOn),
            ["exit" | "quit"] => Ok(After::End),
            ["help"] => line(HELP).map(|()| After::GoOn),
            ["use", bucket] => {
                self.at.bucket = Some(bucket.to_owned());
                self.told(&format!("bucket {bucket}"))
            }
            ["level"] => {
                (self.at.level, self.at.read_level) = (None, None);
                self.told("the bucket's own levels")
            }
            ["level", level] => {
                (self.at.level, self.at.read_level) = (Some(level.to_owned()), None);
                self.told(&format!("level {level}"))
            }
            ["level", write, read] => {
                self.at.level = Some(write.to_owned());
                self.at.read_level = Some(read.to_owned());
                self.told(&format!("writes at {write}, reads at {read}"))
            }
            _ => self.command(&words).map(|()| After::GoOn),
        }
    }

    fn told(&self, what: &str) -> Result<After, Failure> {
        match self.global.form() {
            Form::Human => line(what)?,
            Form::Json => line(&serde_json::json!({"now": what}).to_string())?,
        }
        Ok(After::GoOn)
    }

    fn command(&self, words: &[String]) -> Result<(), Failure> {
        let program = ["coterie".to_owned()];
        match Line::try_parse_from(program.iter().chain(words)) {
            Ok(line) => line.in_session(self.global, &self.client, &self.at),
            Err(error) if !error.use_stderr() => line(&error.to_string()),
            Err(error) => {
                let text = error.to_string();
                Err(Failure::new(Kind::Usage, text.trim_start_matches("error: ").trim_end()))
            }
        }
    }
}

/// The words of a line: apart by spaces, `'…'` and `"…"` hold them together, `\` takes the next as it is, and what follows
/// a `#` at the beginning of a word is not read.
fn split(text: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        match next {
            space if space.is_whitespace() => words.extend(word.take()),
            '#' if word.is_none() => break,
            '\\' => {
                let next = rest.next().ok_or("nothing follows the last \\")?;
                word.get_or_insert_default().push(next);
            }
            quote @ ('\'' | '"') => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next() {
                        None => return Err(format!("a {quote} is not closed")),
                        Some(end) if end == quote => break,
                        Some('\\') if quote == '"' => {
                            word.push(rest.next().ok_or("nothing follows the last \\")?);
                        }
                        Some(other) => word.push(other),
                    }
                }
            }
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_as_shells_do() {
        let cases: [(&str, &[&str]); 7] = [
            ("", &[]),
            ("  get  a ", &["get", "a"]),
            ("set 'a b' \"c \\\" d\"", &["set", "a b", "c \" d"]),
            ("set a\\ b ''", &["set", "a b", ""]),
            ("set a'b'c", &["set", "abc"]),
            ("get a # what it is", &["get", "a"]),
            ("get a#b", &["get", "a#b"]),
        ];
        for (text, words) in cases {
            assert_eq!(split(text).unwrap(), words, "{text}");
        }
        assert!(split("set 'a").is_err());
        assert!(split("set a\\").is_err());
    }
}
