//! `coterie-loadtest demo`: runs the story, and says where its report is.

use std::fs;
use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Context;
use coterie_loadtest::demo::{DemoError, Live, Options, page, run, summary};

use crate::arguments::DemoArguments;
use crate::interrupted;

pub(crate) fn play(arguments: &DemoArguments) -> anyhow::Result<ExitCode> {
    let over = interrupted::flag()?;
    // What cannot be written later is not worth two minutes.
    fs::write(&arguments.html, "")
        .with_context(|| format!("cannot write {}", arguments.html.display()))?;
    let mut home = tempfile::Builder::new();
    let home = home.prefix("coterie-demo-").tempdir().context("there is no room for a cluster")?;
    let directory = home.path().join("cluster");
    let mut live = Live::new(std::io::stderr().is_terminal(), arguments.quiet);
    let options = Options { quick: arguments.quick, seed: arguments.seed, directory, over };
    let story = match run(&options, &mut live) {
        Ok(story) => story,
        Err(DemoError::Interrupted) => {
            eprintln!("{}", DemoError::Interrupted);
            drop(fs::remove_file(&arguments.html));
            return Ok(ExitCode::from(interrupted::CODE));
        }
        Err(error) => {
            drop(fs::remove_file(&arguments.html));
            let kept = home.keep();
            let logs = format!("the nodes' logs are kept in {}", kept.display());
            return Err(anyhow::Error::new(error).context(logs));
        }
    };
    fs::write(&arguments.html, page(&story))
        .with_context(|| format!("cannot write {}", arguments.html.display()))?;
    if let Some(path) = &arguments.json {
        fs::write(path, story.json())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    println!("\n{}", summary(&story));
    let expected = story.is_as_expected();
    if !expected {
        println!("The nodes' data and logs are kept in {}.", home.keep().display());
    }
    println!("\nThe report: {}", arguments.html.display());
    Ok(ExitCode::from(u8::from(!expected)))
}
