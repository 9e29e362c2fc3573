//! Every command on one cluster where all is well, and what it says where the line makes no sense.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod administration;
mod alone;
mod backups;
mod data;
#[path = "../harness/mod.rs"]
mod harness;
mod moving;

use std::sync::OnceLock;

use harness::TestCluster;

/// The one cluster of these tests. Each uses keys and buckets of its own.
fn cluster() -> &'static TestCluster {
    static CLUSTER: OnceLock<TestCluster> = OnceLock::new();
    CLUSTER.get_or_init(|| TestCluster::start("steady"))
}
