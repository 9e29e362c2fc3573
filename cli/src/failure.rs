//! What went wrong, and the exit code that says so to scripts.

use std::fmt;
use std::io;

use coterie_local::LocalError;
use serde_json::{Value, json};

/// What is known afterwards; each kind has an exit code of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Something on this side failed: a file, a process, an answer that makes no sense.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// Nothing was changed, because of who could be reached.
    Unavailable,
    /// It may yet take effect.
    Unknown,
    /// Nothing was changed, because of what was asked.
    Refused,
    /// What was asked about is not there, or not so.
    NotSo,
    /// The operator said no.
    Declined,
}

impl Kind {
    /// The exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Kind::Failed => 1,
            Kind::Usage => 2,
            Kind::Unavailable => 3,
            Kind::Unknown => 4,
            Kind::Refused => 5,
            Kind::NotSo => 6,
            Kind::Declined => 7,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Kind::Failed => "failed",
            Kind::Usage => "usage",
            Kind::Unavailable => "unavailable",
            Kind::Unknown => "unknown",
            Kind::Refused => "refused",
            Kind::NotSo => "not_so",
            Kind::Declined => "declined",
        }
    }
}

/// What the exit codes mean, for help and manual.
pub(crate) const EXIT_CODES: &str = "Exit codes:
  0  done
  1  failed on this side: a file, a process, an answer that makes no sense
  2  the command line makes no sense
  3  unavailable: nothing was changed, because of who could be reached
  4  unknown: it may yet take effect
  5  refused: nothing was changed, because of what was asked
  6  what was asked about is not there, or not so
  7  you were asked, and did not say yes";

/// Why a command did not do what it was told.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    /// A word for programs, where a node gave one.
    pub(crate) error: Option<String>,
    pub(crate) detail: String,
    pub(crate) what_to_do: Option<String>,
}

impl Failure {
    pub(crate) fn new(kind: Kind, detail: impl fmt::Display) -> Failure {
        Failure { kind, error: None, detail: detail.to_string(), what_to_do: None }
    }

    pub(crate) fn failed(detail: impl fmt::Display) -> Failure {
        Failure::new(Kind::Failed, detail)
    }

    pub(crate) fn usage(detail: impl fmt::Display) -> Failure {
        Failure::new(Kind::Usage, detail)
    }

    pub(crate) fn not_so(detail: impl fmt::Display) -> Failure {
        Failure::new(Kind::NotSo, detail)
    }

    /// With what to do about it.
    pub(crate) fn hint(mut self, what_to_do: impl Into<String>) -> Failure {
        self.what_to_do = Some(what_to_do.into());
        self
    }

    /// A file of this side.
    pub(crate) fn file(path: &std::path::Path) -> impl FnOnce(io::Error) -> Failure {
        let path = path.display().to_string();
        move |error| Failure::failed(format!("{path}: {error}"))
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "error": self.error.as_deref().unwrap_or(self.kind.word()),
            "outcome": self.kind.word(),
            "exit_code": self.kind.code(),
            "detail": self.detail,
            "what_to_do": self.what_to_do,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Unavailable => write!(f, "unavailable, nothing was changed: ")?,
            Kind::Unknown => write!(f, "unknown, it may yet take effect: ")?,
            Kind::Refused => write!(f, "refused, nothing was changed: ")?,
            Kind::Failed | Kind::Usage | Kind::NotSo | Kind::Declined => {}
        }
        write!(f, "{}", self.detail)?;
        if let Some(what_to_do) = &self.what_to_do {
            write!(f, "\n  {what_to_do}")?;
        }
        Ok(())
    }
}

impl From<LocalError> for Failure {
    fn from(error: LocalError) -> Failure {
        let kind = match &error {
            LocalError::NoSuchNode { .. }
            | LocalError::WrongState { .. }
            | LocalError::Refused { .. }
            | LocalError::Shape { .. }
            | LocalError::Up { .. } => Kind::Refused,
            LocalError::NotUp { .. } => Kind::Unavailable,
            LocalError::Late { .. } => Kind::NotSo,
            LocalError::NoProgram { .. }
            | LocalError::Io { .. }
            | LocalError::Certificates { .. }
            | LocalError::File { .. }
            | LocalError::Ended { .. } => Kind::Failed,
        };
        let mut detail = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            let said = error.to_string();
            if !detail.contains(&said) {
                detail = format!("{detail}: {said}");
            }
            cause = error.source();
        }
        Failure::new(kind, detail)
    }
}
