//! The figures that 1,000 simulated nodes must reach, in virtual time.

mod support;

use std::time::Duration;

use coterie_swim::simulation::{Cluster, Percentiles, Report, Scenario, Seen};
use coterie_swim::{Parameters, Status};
use support::{proof, seeds};

const NODES: usize = 1_000;

/// Runs a scenario once per seed and prints what it showed.
fn runs(scenario: Scenario, nodes: usize) -> Vec<Report> {
    let run = |seed: u64| {
        let (report, cluster) = scenario.run(nodes, seed, Parameters::default());
        eprintln!(
            "{} seed {seed}: first down {:?}, all know {:?}, missed {}, false down {}, \
             unreachable {}, {:.2} msg/node/s, heal {:?}, full view {:?}, {} B/member, {} packets",
            scenario.name(),
            Percentiles::of(&report.first_down),
            Percentiles::of(&report.all_know),
            report.missed,
            report.false_down_healthy,
            report.unreachable_healthy,
            report.messages_per_node_per_second,
            report.heal,
            report.full_view,
            report.bytes_per_member,
            report.packets_handled,
        );
        assert!(report.digests_equal, "seed {seed} ends with different digests");
        assert!(report.bytes_per_member <= 400, "seed {seed}");
        assert!(cluster.digests_equal());
        report
    };
    seeds().map(run).collect()
}

#[test]
fn crash_is_detected_and_known_to_all_in_time() {
    let reports = runs(Scenario::Crash, NODES);
    let all = |times: fn(&Report) -> &Vec<Duration>| {
        let times: Vec<Duration> = reports.iter().flat_map(times).copied().collect();
        Percentiles::of(&times).expect("nodes crashed")
    };
    let (first, known) = (all(|report| &report.first_down), all(|report| &report.all_know));
    eprintln!("first down: {first}; all know: {known}");
    assert!(first.median <= 5_500 && first.p99 <= 8_500, "{first}");
    assert!(known.median <= 6_500 && known.max <= 12_000, "{known}");
    assert_eq!(reports.iter().map(|report| report.missed).sum::<usize>(), 0);
    assert_eq!(reports.iter().map(|report| report.false_down_healthy).sum::<usize>(), 0);
}

#[test]
fn idle_cluster_sends_little() {
    for report in runs(Scenario::Idle, NODES) {
        assert!(report.messages_per_node_per_second <= 2.3);
        assert_eq!(report.false_down_healthy, 0);
    }
}

#[test]
fn five_percent_loss_costs_no_healthy_node_its_life() {
    for report in runs(Scenario::Loss, NODES) {
        assert!(report.messages_per_node_per_second <= 6.0);
        assert_eq!(report.false_down_healthy, 0);
    }
}

#[test]
fn blocked_nodes_convict_few_healthy_ones() {
    let mut convicted: Vec<usize> =
        runs(Scenario::Blocked, 128).iter().map(|report| report.false_down_healthy).collect();
    convicted.sort_unstable();
    assert!(convicted[convicted.len() / 2] <= 6, "{convicted:?}");
    assert!(*convicted.last().expect("there were runs") <= 14, "{convicted:?}");
}

#[test]
fn half_split_of_a_minute_heals_by_itself() {
    for report in runs(Scenario::HalfSplit, NODES) {
        assert!(report.heal.expect("it heals") <= Duration::from_secs(15));
    }
}

#[test]
fn half_split_of_an_hour_heals_by_itself() {
    for report in runs(Scenario::LongSplit, NODES) {
        assert!(report.heal.expect("it heals") <= Duration::from_secs(15));
    }
}

#[test]
fn thousand_nodes_restarted_at_once_have_a_full_view_in_time() {
    for report in runs(Scenario::RestartAll, NODES) {
        assert!(report.full_view.expect("all are seen") <= Duration::from_secs(15));
    }
}

#[test]
fn churn_ends_with_equal_views() {
    for report in runs(Scenario::Churn, NODES) {
        assert_eq!(report.false_down_healthy, 0);
    }
}

/// Splits nodes by a function of their index for a minute, and heals them.
fn uneven_split_heals(side: fn(usize) -> u8) {
    for seed in seeds() {
        let mut cluster = Cluster::converged(NODES, seed, Parameters::default());
        cluster.network.split(NODES, side);
        cluster.run_for(Duration::from_secs(60));
        cluster.network.heal();
        let step = Duration::from_millis(100);
        let healed = cluster.run_until(Duration::from_secs(60), step, Cluster::full_view);
        let settled = cluster.run_until(Duration::from_secs(60), step, Cluster::digests_equal);
        eprintln!("{NODES} nodes, seed {seed}: healed after {healed:?}");
        assert!(settled.is_some(), "seed {seed} ends with different digests");
        assert!(healed.expect("it heals") <= Duration::from_secs(15), "seed {seed}");
    }
}

#[test]
fn three_way_split_heals_by_itself() {
    uneven_split_heals(|index| u8::try_from(index % 3).expect("below three"));
}

#[test]
fn ninety_ten_split_heals_by_itself() {
    uneven_split_heals(|index| u8::from(index % 10 == 0));
}

/// Every way to split `nodes` into sides: each node's side, numbered in the order they appear.
fn set_partitions(nodes: usize, sides_max: u8) -> Vec<Vec<u8>> {
    let mut partitions = vec![vec![0]];
    for _ in 1..nodes {
        partitions = partitions
            .into_iter()
            .flat_map(|sides: Vec<u8>| {
                let next = sides.iter().max().map_or(0, |max| max + 1).min(sides_max - 1);
                (0..=next).map(move |side| [sides.as_slice(), &[side]].concat())
            })
            .collect();
    }
    partitions.retain(|sides| sides.contains(&1));
    partitions
}

#[test]
fn small_clusters_see_every_split_within_ten_seconds() {
    let sides_max = if proof() { 7 } else { 2 };
    let mut slowest = Duration::ZERO;
    let mut splits = 0;
    for nodes in 3..=7 {
        for (number, sides) in set_partitions(nodes, sides_max).into_iter().enumerate() {
            for seed in seeds() {
                let seed = seed * 1_000 + number as u64;
                let (seen, healed) = split_small(nodes, seed, &sides);
                slowest = slowest.max(seen);
                splits += 1;
                assert!(healed <= Duration::from_secs(15), "{sides:?} seed {seed}: {healed:?}");
            }
        }
    }
    eprintln!("{splits} splits of 3 to 7 nodes: each seen by all within {slowest:?}");
}

fn split_small(nodes: usize, seed: u64, sides: &[u8]) -> (Duration, Duration) {
    let mut cluster = Cluster::converged(nodes, seed, Parameters::default());
    let cut = cluster.now();
    cluster.network.split(nodes, |index| sides[index]);
    let sees_split = |cluster: &Cluster| {
        let pairs = (0..nodes).flat_map(|a| (0..nodes).map(move |b| (a, b)));
        pairs
            .filter(|(a, b)| sides[*a] != sides[*b])
            .all(|(a, b)| matches!(cluster.status(a, b), Some(Status::Down | Status::Unreachable)))
    };
    let step = Duration::from_millis(50);
    let seen = cluster.run_until(Duration::from_secs(10), step, sees_split);
    let seen = seen.unwrap_or_else(|| panic!("{sides:?} seed {seed}: not seen within 10 s"));
    cluster.run_for(Duration::from_secs(20));
    assert!(sees_split(&cluster), "{sides:?} seed {seed}: no longer seen");
    for o in cluster.observer.observations.iter().filter(|o| o.at >= cut) {
        let same_side = sides[o.observer as usize] == sides[o.subject as usize];
        assert!(!same_side || o.seen != Seen::Down, "{sides:?} seed {seed}: {o:?}");
    }
    cluster.network.heal();
    let healed = cluster.run_until(Duration::from_secs(60), step, Cluster::full_view);
    let settled = cluster.run_until(Duration::from_secs(60), step, Cluster::digests_equal);
    assert!(settled.is_some(), "{sides:?} seed {seed}: ends with different digests");
    (seen, healed.unwrap_or_else(|| panic!("{sides:?} seed {seed}: not healed")))
}

/// Of five nodes cut 3 | 2 each side is isolated by itself and convicts nobody: a crash afterwards has to be noticed all the
/// same.
#[test]
fn those_who_crash_on_a_side_are_missed_there() {
    let (mut slowest, mut crashes) = (Duration::ZERO, 0);
    for nodes in 3..=7 {
        for (number, sides) in set_partitions(nodes, 2).into_iter().enumerate() {
            for seed in seeds() {
                let seed = seed * 1_000 + number as u64;
                let crashed = usize::try_from(seed).expect("it is small") % nodes;
                slowest = slowest.max(crash_on_a_side(nodes, seed, &sides, crashed));
                crashes += 1;
            }
        }
    }
    eprintln!("{crashes} crashes on sides of 3 to 7 nodes: each missed there within {slowest:?}");
}

fn crash_on_a_side(nodes: usize, seed: u64, sides: &[u8], crashed: usize) -> Duration {
    let mut cluster = Cluster::converged(nodes, seed, Parameters::default());
    cluster.network.split(nodes, |index| sides[index]);
    cluster.run_for(Duration::from_secs(15));
    cluster.crash(crashed);
    let left: Vec<usize> =
        (0..nodes).filter(|at| *at != crashed && sides[*at] == sides[crashed]).collect();
    let missed = |cluster: &Cluster| {
        let status = |at: &usize| cluster.status(*at, crashed);
        left.iter().all(|at| matches!(status(at), Some(Status::Down | Status::Unreachable)))
    };
    let step = Duration::from_millis(50);
    let took = cluster.run_until(Duration::from_secs(15), step, missed);
    let took = took.unwrap_or_else(|| panic!("{sides:?} seed {seed}: {crashed} is not missed"));
    for _ in 0..300 {
        cluster.run_for(Duration::from_millis(100));
        assert!(missed(&cluster), "{sides:?} seed {seed}: {crashed} is no longer missed");
        for (one, other) in left.iter().flat_map(|one| left.iter().map(move |other| (*one, *other)))
        {
            let status = cluster.status(one, other);
            let gone = matches!(status, Some(Status::Down | Status::Unreachable));
            assert!(!gone, "{sides:?} seed {seed}: {one} misses {other}, which lives");
        }
    }
    took
}
