//! Prints our placement beside that of other schemes.
//!
//! Random tokens and rendezvous hashing are simulated in the same run; what others published is
//! quoted with its source and marked as such.

#![expect(clippy::print_stdout, reason = "it is there to print")]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

use coterie_ring::{
    Intent, Layout, NodeId, NodeIntent, NodeState, Partitioner, Place, Plan, bootstrap, plan,
};
use rand::{Rng, RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

const REPLICAS: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    println!("Three replicas; max/mean is the fullest node over the mean, by owned key space.\n");
    println!("scheme                                    theirs                    ours max/mean");
    for nodes in [100, 1_000] {
        let ours = spread(&mut rng, 4_096, nodes, 3)?.skew();
        for tokens in [16, 256] {
            let theirs = random_tokens(&mut rng, nodes, tokens);
            println!(
                "random tokens, {tokens:>3} a node, n={nodes:<5}     {theirs:.3} (simulated here)     {ours:.3}"
            );
        }
        let theirs = rendezvous(&mut rng, 4_096, nodes);
        println!(
            "rendezvous, 4,096 partitions, n={nodes:<5}   {theirs:.3} (simulated here)     {ours:.3}"
        );
    }
    let sixteen = spread(&mut rng, 1_024, 16, 1)?.skew();
    println!("Cassandra allocator, 16 vnodes            1.021 (their test bound)  {sixteen:.3}");
    let racks = spread(&mut rng, 1_024, 16, 4)?.skew();
    println!("Cassandra allocator, with racks           1.031 (their test bound)  {racks:.3}");

    println!(
        "\nPartitions per node, P=256 as Garage v2 has them (its figures: measured before, quoted)"
    );
    println!("nodes/zones  theirs                         ours");
    for (nodes, zones, joins, theirs) in [
        (30, 5, 0, "22-26, mean 25.6"),
        (100, 5, 0, "5-8, mean 7.68"),
        (10, 5, 1, "new node 68, fair 69.8"),
        (6, 3, 1, "new node 0"),
        (30, 3, 1, "new node 0"),
        (100, 5, 1, "new node 0"),
        (30, 5, 1, "new node 18, fair 24.8"),
    ] {
        let before = spread(&mut rng, 256, nodes, zones)?;
        let plus = if joins == 1 { "+1" } else { "  " };
        let ours = if joins == 1 { joined(&mut rng, &before)? } else { before.range() };
        println!("{nodes:>4}/{zones}{plus}     {theirs:<30} {ours}");
    }

    println!(
        "\nRiak (its claim documents, quoted): one node a third over (8 vs 6 of 64); [3,3,3] at 512 has"
    );
    println!("4 spread violations and takes up to 1-2 min");
    println!("  64 partitions, 10 nodes: ours {}", spread(&mut rng, 64, 10, 1)?.range());
    println!("  512 partitions, 9 nodes in 3 zones: ours {}", spread(&mut rng, 512, 9, 3)?.range());
    println!("\nCeph upmap (ceph#14902, quoted): within 1 of the mean, so a spread of up to 2");
    println!(
        "  4,096 partitions, 100 nodes in 5 zones: ours {}",
        spread(&mut rng, 4_096, 100, 5)?.range()
    );

    println!("\nP=4,096, 100 nodes, weights 1-4 (max count/share; the prototype had 1.005-1.010)");
    for zones in [3, 4, 5] {
        let plan = weighted(&mut rng, 4_096, 100, zones)?;
        println!(
            "  {zones} zones: ours {:.4}, {:.2} at most from the share",
            plan.skew(),
            plan.furthest()
        );
    }
    Ok(())
}

/// A plan to take figures from.
struct Planned {
    plan: Plan,
    zones: usize,
}

fn node(weight: u32, zone: usize) -> Result<NodeIntent, Box<dyn Error>> {
    let place = Place::new("region", &format!("zone-{zone}"))?;
    Ok(NodeIntent { state: NodeState::Active, weight, place })
}

fn spread(
    rng: &mut Xoshiro256PlusPlus,
    partitions: usize,
    nodes: usize,
    zones: usize,
) -> Result<Planned, Box<dyn Error>> {
    planned(rng, partitions, nodes, zones, 1)
}

fn weighted(
    rng: &mut Xoshiro256PlusPlus,
    partitions: usize,
    nodes: usize,
    zones: usize,
) -> Result<Planned, Box<dyn Error>> {
    planned(rng, partitions, nodes, zones, 4)
}

fn planned(
    rng: &mut Xoshiro256PlusPlus,
    partitions: usize,
    nodes: usize,
    zones: usize,
    weight_max: u32,
) -> Result<Planned, Box<dyn Error>> {
    let mut intent = Intent::new();
    for index in 0..nodes {
        let weight = rng.random_range(1..=weight_max);
        intent.set_node(NodeId(rng.random()), node(weight, index % zones)?)?;
    }
    let plan = bootstrap(7, Partitioner::new(partitions)?, &intent)?;
    Ok(Planned { plan, zones })
}

impl Planned {
    fn layout(&self) -> &Layout {
        self.plan.layout()
    }

    /// The greatest count over its share.
    fn skew(&self) -> f64 {
        let nodes = self.plan.nodes().iter();
        nodes.map(|node| node.after as f64 / node.share).fold(0.0, f64::max)
    }

    /// The greatest distance of a count from its share.
    fn furthest(&self) -> f64 {
        let nodes = self.plan.nodes().iter();
        nodes.map(|node| (node.after as f64 - node.share).abs()).fold(0.0, f64::max)
    }

    /// Partitions where two owners share a zone although they need not.
    fn violations(&self) -> usize {
        let layout = self.layout();
        let distinct = |partition: &_| {
            let row = layout.row(*partition).iter();
            let zones = row.map(|&owner| &layout.members()[usize::from(owner)].place);
            zones.collect::<BTreeSet<_>>().len() < self.zones.min(REPLICAS)
        };
        layout.partitioner().partitions().filter(distinct).count()
    }

    fn range(&self) -> String {
        let counts = self.plan.nodes().iter().map(|node| node.after);
        let (least, most) = (counts.clone().min().unwrap_or(0), counts.clone().max().unwrap_or(0));
        let mean = counts.sum::<usize>() as f64 / self.plan.nodes().len() as f64;
        format!("{least}-{most}, mean {mean:.2}, {} violations", self.violations())
    }
}

/// What a node gets that joins in the first zone.
fn joined(rng: &mut Xoshiro256PlusPlus, before: &Planned) -> Result<String, Box<dyn Error>> {
    let mut intent = before.layout().snapshot().clone();
    let id = NodeId(rng.random());
    intent.set_node(id, node(1, 0)?)?;
    let after = plan(before.layout(), &intent)?;
    let new = after.nodes().iter().find(|node| node.node == id).ok_or("the node takes a share")?;
    Ok(format!(
        "new node {}, fair {:.1}; {} copies, {} needed",
        new.after,
        new.share,
        after.moves().len(),
        after.moves_min()
    ))
}

/// Max/mean of the key space owned when each node draws `tokens` tokens and a key belongs to the
/// next three distinct nodes.
fn random_tokens(rng: &mut Xoshiro256PlusPlus, nodes: usize, tokens: usize) -> f64 {
    let ring: BTreeMap<u64, usize> =
        (0..nodes * tokens).map(|index| (rng.next_u64(), index / tokens)).collect();
    let ring: Vec<(u64, usize)> = ring.into_iter().collect();
    let mut owned = vec![0.0; nodes];
    for (index, &(token, _)) in ring.iter().enumerate() {
        let previous = ring[(index + ring.len() - 1) % ring.len()].0;
        let range = token.wrapping_sub(previous) as f64;
        let mut owners: Vec<usize> = Vec::new();
        for step in 0..ring.len() {
            let node = ring[(index + step) % ring.len()].1;
            if !owners.contains(&node) {
                owners.push(node);
            }
            if owners.len() == REPLICAS {
                break;
            }
        }
        owners.into_iter().for_each(|node| owned[node] += range);
    }
    owned.iter().copied().fold(0.0, f64::max) * nodes as f64 / owned.iter().sum::<f64>()
}

/// Max/mean of partitions owned when the three nodes with the highest random scores own each.
fn rendezvous(rng: &mut Xoshiro256PlusPlus, partitions: usize, nodes: usize) -> f64 {
    let mut owned = vec![0_usize; nodes];
    for _ in 0..partitions {
        let mut scores: Vec<(u64, usize)> = (0..nodes).map(|node| (rng.next_u64(), node)).collect();
        scores.sort_unstable();
        scores.iter().rev().take(REPLICAS).for_each(|&(_, node)| owned[node] += 1);
    }
    let most = owned.iter().copied().max().unwrap_or(0);
    (most * nodes) as f64 / (partitions * REPLICAS) as f64
}
