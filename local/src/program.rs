//! The daemon's program: where it is, and how it makes certificates.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::LocalError;

/// Names the daemon's program.
const VARIABLE: &str = "COTERIE_NODE_PROGRAM";

const NAME: &str = "coterie-node";

/// The daemon's program: what `COTERIE_NODE_PROGRAM` names, else the one beside this program, or one folder up (where
/// tests find what cargo has built), else the one in the search path.
///
/// # Errors
/// [`LocalError::NoProgram`].
pub fn program() -> Result<PathBuf, LocalError> {
    if let Some(given) = env::var_os(VARIABLE).map(PathBuf::from) {
        let looked = given.display().to_string();
        return if given.is_file() { Ok(given) } else { Err(LocalError::NoProgram { looked }) };
    }
    let mut folders = Vec::new();
    // Links are followed: completions and wrappers may call this program by one.
    if let Some(own) = env::current_exe().ok().and_then(|own| fs::canonicalize(own).ok()) {
        folders.extend(own.ancestors().skip(1).take(2).map(Path::to_path_buf));
    }
    let beside = folders.len();
    folders.extend(env::var_os("PATH").iter().flat_map(env::split_paths));
    let found = folders.iter().map(|folder| folder.join(NAME)).find(|it| it.is_file());
    found.ok_or_else(|| {
        let beside: Vec<String> =
            folders[..beside].iter().map(|folder| folder.display().to_string()).collect();
        LocalError::NoProgram { looked: format!("{}, nor in PATH", beside.join(", ")) }
    })
}

/// A command of the daemon's program that hears nothing of this process's own settings.
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("COTERIE_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// Makes the authority of a cluster, unless it is there.
pub(crate) fn make_authority(program: &Path, authority: &Path) -> Result<(), LocalError> {
    if !authority.join("ca.pem").is_file() {
        cert(program, &["init".as_ref(), "--dir".as_ref(), authority.as_ref()])?;
    }
    Ok(())
}

/// Makes a node's certificates, unless they are there; the node's id, which they carry.
pub(crate) fn make_certificates(
    program: &Path,
    authority: &Path,
    out: &Path,
) -> Result<String, LocalError> {
    if !out.join("node.pem").is_file() {
        let (dir, to): (&OsStr, &OsStr) = ("--dir".as_ref(), "--out".as_ref());
        cert(program, &["node".as_ref(), dir, authority.as_ref(), to, out.as_ref()])?;
    }
    let said = cert(program, &["show".as_ref(), "--dir".as_ref(), out.as_ref()])?;
    let id = said.lines().find_map(|line| line.strip_prefix("node ")?.split(':').next());
    id.map(str::to_owned).ok_or(LocalError::Certificates { said })
}

fn cert(program: &Path, arguments: &[&OsStr]) -> Result<String, LocalError> {
    let output = command(program)
        .arg("cert")
        .args(arguments)
        .output()
        .map_err(LocalError::io(format!("{} cannot be run", program.display())))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(LocalError::Certificates { said });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
