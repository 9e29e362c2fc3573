//! `coterie-node`: the daemon's command line.

fn main() {}
