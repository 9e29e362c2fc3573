//! `coterie`: the command line of operators. Data, layouts, buckets, repair, and clusters on this machine.

mod ask;
mod backup;
mod bucket;
mod client;
mod cluster;
mod consistency;
mod data;
mod doctor;
mod explain;
mod failure;
mod line;
mod members;
mod moves;
mod nodes;
mod output;
mod program;
mod repair;
mod repl;
mod ring;
mod setup;
mod shell;
mod status;
mod top;
mod transfer;

use std::process::ExitCode;

use clap::Parser;

use failure::Failure;
use line::Line;
use output::Form;

fn main() -> ExitCode {
    let line = Line::parse();
    let form = line.global.form();
    match line.carry_out() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tell(&failure, form);
            ExitCode::from(failure.kind.code())
        }
    }
}

/// Tells what went wrong on standard error; nothing where that was shown as a result.
fn tell(failure: &Failure, form: Form) {
    if failure.detail.is_empty() {
        return;
    }
    match form {
        Form::Json => eprintln!("{}", failure.json()),
        Form::Human => eprintln!("coterie: {failure}"),
    }
}
