//! Keeps a cluster in a directory until standard input is closed: `cargo run --example keep -- DIRECTORY NODES`.
#![expect(clippy::print_stdout, reason = "it tells where the nodes are")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use coterie_local::{Cluster, LocalError, Shape, Until, supervise};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let directory = arguments.next().map(PathBuf::from);
    let nodes = arguments.next().and_then(|nodes| nodes.to_str()?.parse().ok());
    let (Some(directory), Some(nodes)) = (directory, nodes) else {
        eprintln!("give a directory and how many nodes");
        return ExitCode::from(2);
    };
    match keep(&directory, Shape { nodes, ..Shape::default() }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn keep(directory: &std::path::Path, shape: Shape) -> Result<(), LocalError> {
    let mut cluster = Cluster::start(directory, shape)?;
    cluster.wait_ready(Duration::from_secs(60))?;
    for node in cluster.status().nodes {
        println!("node {}: resp {}, http {}", node.number, node.resp, node.http);
    }
    supervise(cluster, Until::InputCloses)
}
