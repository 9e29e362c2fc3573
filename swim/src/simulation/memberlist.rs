//! memberlist's parameter set for local networks, in this crate's model.

use std::time::Duration;

use crate::parameters::{Parameters, ProbeOrder, SuspicionScale};

/// memberlist's LAN defaults: its timeouts and multipliers, and none of the guards and repairs that it lacks.
///
/// Its full-state exchange over TCP (every 180 s at 1,000 nodes) is left out, as its traffic is in this model;
/// its helpers answer after their own probe timeout, which is after the prober has stopped listening.
#[must_use]
pub fn memberlist() -> Parameters {
    let half_second = Duration::from_millis(500);
    Parameters {
        probe_order: ProbeOrder::Shuffled,
        direct_timeout: (half_second, half_second),
        helper_budget_percent: 125,
        helpers_accuse: false,
        suspicion: SuspicionScale::Logarithm { multiplier: 4 },
        confirmations: 2,
        damping_max: 0,
        isolation_peers: 0,
        mass_failure_divisor: 0,
        hold_hearsay: false,
        dead_contact_interval: None,
        sync_interval: Duration::from_secs(100_000_000),
        sync_settle: Duration::from_secs(100_000_000),
        ..Parameters::default()
    }
}
