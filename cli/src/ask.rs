//! Asking the operator before something is done that cannot be undone.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::failure::{Failure, Kind};

/// Whether the operator has said yes beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consent {
    /// `--yes`.
    Given,
    /// To be asked for.
    Wanted,
}

/// Shows what would be done, and has the operator say yes. Where nobody can be asked, nothing is done.
pub(crate) fn confirm(consent: Consent, preview: &str) -> Result<(), Failure> {
    if consent == Consent::Given {
        return Ok(());
    }
    let mut err = io::stderr().lock();
    let told = writeln!(err, "{}", preview.trim_end());
    told.map_err(|error| Failure::failed(format!("standard error: {error}")))?;
    if !io::stdin().is_terminal() {
        let declined = Failure::new(Kind::Declined, "nothing was done: nobody can be asked here");
        return Err(declined.hint("say --yes if that is meant"));
    }
    let asked = write!(err, "Go on? [y/N] ").and_then(|()| err.flush());
    asked.map_err(|error| Failure::failed(format!("standard error: {error}")))?;
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.map_err(|error| Failure::failed(format!("standard input: {error}")))?;
    if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        Ok(())
    } else {
        Err(Failure::new(Kind::Declined, "nothing was done"))
    }
}
