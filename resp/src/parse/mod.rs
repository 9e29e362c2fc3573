//! Commands as clients send them: arrays of bulk strings, or lines of words.
//!
//! The parser reads on where it stopped, whatever pieces the bytes come in, and never asks for memory because of a length
//! that was only declared. What is too large for it, or not to be carried out anyway, it lets go by without keeping it, so
//! that the connection goes on behind it. What breaks the protocol ends the connection; texts are Redis's.

mod inline;

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

use crate::arguments::parse_integer;

/// The longest line: one of words, or one that says how much follows.
const LINE_BYTES_MAX: usize = 64 << 10;

/// What Redis takes as the length of a bulk string at most, unless configured otherwise.
const BULK_DECLARED_MAX: i64 = 512 << 20;

/// As many words may be declared.
const WORDS_MAX: i64 = 1 << 20;

/// What a client may send before it has said who it is.
const UNAUTHENTICATED_WORDS_MAX: i64 = 10;
const UNAUTHENTICATED_BULK_BYTES_MAX: i64 = 16 << 10;

/// How large what clients send may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseLimits {
    /// One word. One that is larger is let go by, and its command is answered with an error.
    pub word_bytes_max: usize,
    /// A command in all, likewise.
    pub command_bytes_max: usize,
}

impl Default for ParseLimits {
    fn default() -> Self {
        ParseLimits { word_bytes_max: 1 << 20, command_bytes_max: 32 << 20 }
    }
}

/// Why the bytes are no commands. The connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProtocolError {
    /// A line does not end.
    #[error("ERR Protocol error: too big inline request")]
    LineTooLong,
    /// The line that says how many words follow does not end.
    #[error("ERR Protocol error: too big mbulk count string")]
    CountTooLong,
    /// The line that says how long a word is does not end.
    #[error("ERR Protocol error: too big bulk count string")]
    LengthTooLong,
    /// A line's quotes do not end, or something follows them at once.
    #[error("ERR Protocol error: unbalanced quotes in request")]
    UnbalancedQuotes,
    /// No number of words, or too many.
    #[error("ERR Protocol error: invalid multibulk length")]
    Count,
    /// Too many words for a client that has not said who it is.
    #[error("ERR Protocol error: unauthenticated multibulk length")]
    UnauthenticatedCount,
    /// A word is no bulk string.
    #[error("ERR Protocol error: expected '$', got '{}'", char::from(*.0))]
    NoBulk(u8),
    /// No length of a word, or far too long.
    #[error("ERR Protocol error: invalid bulk length")]
    Length,
    /// Too long a word for a client that has not said who it is.
    #[error("ERR Protocol error: unauthenticated bulk length")]
    UnauthenticatedLength,
}

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A command, in the words handed in; it was so many bytes long.
    Command(usize),
    /// The end of a command that was let go by: [`Parser::let_go`].
    LetGo,
    /// The end of a command that was let go by because a word, or all of it, has `bytes`, of at most `bytes_max`.
    TooLarge {
        /// How many are known of.
        bytes: usize,
        /// How many may be.
        bytes_max: usize,
    },
}

/// Reads commands.
#[derive(Debug, Default)]
pub struct Parser {
    limits: ParseLimits,
    /// Whether its client has said who it is.
    authenticated: bool,
    /// Where it goes on, from the first byte that is not consumed.
    at: usize,
    /// Words of the command under way that are still to come; 0 between commands.
    missing: usize,
    /// How much is to come of the word under way, once declared, with the end of its line.
    body: Option<usize>,
    /// Where the words of the command are.
    words: Vec<(usize, usize)>,
    /// What is said at the end of a command that is let go by: nothing of it is kept then.
    letting_go: Option<Parsed>,
}

impl Parser {
    /// A parser for a client that has not said who it is.
    #[must_use]
    pub fn new(limits: ParseLimits) -> Self {
        Parser { limits, ..Parser::default() }
    }

    /// Whether the client has said who it is, or need not.
    pub fn set_authenticated(&mut self, authenticated: bool) {
        self.authenticated = authenticated;
    }

    /// How many bytes are missing of the word under way, as far as declared: what room may be made for, piece by piece.
    #[must_use]
    pub fn missing_bytes(&self, buffered: usize) -> usize {
        self.body.map_or(0, |body| (self.at + body).saturating_sub(buffered))
    }

    /// The name of the command under way, once it is there: whether its client may give it is to be asked before the
    /// rest is kept.
    #[must_use]
    pub fn name<'b>(&self, buffer: &'b BytesMut) -> Option<&'b [u8]> {
        let (from, to) = *self.words.first()?;
        buffer.get(from..to)
    }

    /// Lets the rest of the command under way go by: [`Parsed::LetGo`] is said at its end. False where there is none, or
    /// it is let go by already.
    pub fn let_go(&mut self, buffer: &mut BytesMut) -> bool {
        let keeps = self.missing > 0 && self.letting_go.is_none();
        if keeps {
            self.keep_nothing(buffer, Parsed::LetGo);
        }
        keeps
    }

    /// Takes the next command from the front of `buffer` and puts its words into `words`; `None` where more bytes are
    /// needed. Empty commands are passed over, as in Redis.
    ///
    /// # Errors
    /// [`ProtocolError`]; the connection is to be closed.
    pub fn next(
        &mut self,
        buffer: &mut BytesMut,
        words: &mut Vec<Bytes>,
    ) -> Result<Option<Parsed>, ProtocolError> {
        words.clear();
        loop {
            if self.missing > 0 {
                if !self.bulks(buffer)? {
                    return Ok(None);
                }
                if let Some(said) = self.letting_go.take() {
                    return Ok(Some(said));
                }
                let frame = buffer.split_to(std::mem::take(&mut self.at)).freeze();
                words.extend(self.words.drain(..).map(|(from, to)| frame.slice(from..to)));
                return Ok(Some(Parsed::Command(frame.len())));
            }
            match buffer.first() {
                None => return Ok(None),
                Some(b'*') => {
                    if !self.count(buffer)? {
                        return Ok(None);
                    }
                }
                Some(_) => match inline::take(buffer, &mut self.at, words)? {
                    None => return Ok(None),
                    Some(_) if words.is_empty() => {}
                    Some(bytes) => return Ok(Some(Parsed::Command(bytes))),
                },
            }
        }
    }

    /// Reads `*n`. False where it has not ended.
    fn count(&mut self, buffer: &mut BytesMut) -> Result<bool, ProtocolError> {
        let Some(end) = line_end(buffer, 0, ProtocolError::CountTooLong)? else {
            return Ok(false);
        };
        let count = parse_integer(&buffer[1..end]).filter(|count| *count <= WORDS_MAX);
        let count = count.ok_or(ProtocolError::Count)?;
        if count > UNAUTHENTICATED_WORDS_MAX && !self.authenticated {
            return Err(ProtocolError::UnauthenticatedCount);
        }
        // Fewer than none is none, and none is no command.
        self.missing = usize::try_from(count).unwrap_or(0);
        self.at = end + 2;
        if self.missing == 0 {
            buffer.advance(std::mem::take(&mut self.at));
        }
        Ok(true)
    }

    /// Reads `$n` and n bytes, as often as declared. False where they have not ended.
    fn bulks(&mut self, buffer: &mut BytesMut) -> Result<bool, ProtocolError> {
        while self.missing > 0 {
            if self.body.is_none() && !self.length(buffer)? {
                return Ok(false);
            }
            let body = self.body.expect("it was declared");
            if self.letting_go.is_some() {
                let there = body.min(buffer.len());
                buffer.advance(there);
                if there < body {
                    self.body = Some(body - there);
                    return Ok(false);
                }
            } else {
                if buffer.len() - self.at < body {
                    return Ok(false);
                }
                self.words.push((self.at, self.at + body - 2));
                self.at += body;
            }
            self.body = None;
            self.missing -= 1;
        }
        Ok(true)
    }

    /// Reads `$n`. False where it has not ended.
    fn length(&mut self, buffer: &mut BytesMut) -> Result<bool, ProtocolError> {
        let Some(end) = line_end(buffer, self.at, ProtocolError::LengthTooLong)? else {
            return Ok(false);
        };
        match buffer[self.at] {
            b'$' => {}
            other => return Err(ProtocolError::NoBulk(other)),
        }
        let length = parse_integer(&buffer[self.at + 1..end]);
        let length = length.filter(|length| (0..=BULK_DECLARED_MAX).contains(length));
        let length = length.ok_or(ProtocolError::Length)?;
        if length > UNAUTHENTICATED_BULK_BYTES_MAX && !self.authenticated {
            return Err(ProtocolError::UnauthenticatedLength);
        }
        let length = usize::try_from(length).expect("it is in bounds");
        self.at = end + 2;
        self.body = Some(length + 2);
        if self.letting_go.is_some() {
            buffer.advance(std::mem::take(&mut self.at));
        } else if length > self.limits.word_bytes_max {
            let bytes_max = self.limits.word_bytes_max;
            self.keep_nothing(buffer, Parsed::TooLarge { bytes: length, bytes_max });
        } else if self.at + length > self.limits.command_bytes_max {
            let (bytes, bytes_max) = (self.at + length, self.limits.command_bytes_max);
            self.keep_nothing(buffer, Parsed::TooLarge { bytes, bytes_max });
        }
        Ok(true)
    }

    fn keep_nothing(&mut self, buffer: &mut BytesMut, said: Parsed) {
        buffer.advance(std::mem::take(&mut self.at));
        self.words = Vec::new();
        self.letting_go = Some(said);
    }
}

/// Where the line that begins at `at` has its `\r`, once the byte after that is there, too.
fn line_end(
    buffer: &BytesMut,
    at: usize,
    too_long: ProtocolError,
) -> Result<Option<usize>, ProtocolError> {
    let line = &buffer[at..];
    match line.iter().take(LINE_BYTES_MAX + 1).position(|byte| *byte == b'\r') {
        Some(end) if end + 1 < line.len() => Ok(Some(at + end)),
        None if line.len() > LINE_BYTES_MAX => Err(too_long),
        Some(_) | None => Ok(None),
    }
}
