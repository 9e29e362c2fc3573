//! What needs the code of a node, and is done by `coterie-node`: certificates, its configuration.

use std::ffi::OsString;
use std::process::Command;

use crate::failure::{Failure, Kind};

/// Runs `coterie-node` with these arguments, with the terminal of this program.
pub(crate) fn run(first: &[&str], arguments: &[OsString]) -> Result<(), Failure> {
    let program = coterie_local::program()?;
    let status = Command::new(&program).args(first).args(arguments).status();
    let status = status.map_err(|error| {
        Failure::failed(format!("{} cannot be run: {error}", program.display()))
    })?;
    if status.success() {
        return Ok(());
    }
    // It has said what is wrong.
    let kind = if status.code() == Some(2) { Kind::Usage } else { Kind::Failed };
    Err(Failure::new(kind, format!("coterie-node {} failed", first.join(" "))))
}
