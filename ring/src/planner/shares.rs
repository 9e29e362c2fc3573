//! How many owner slots each node deserves, as exact fractions.
//!
//! Shares are proportional to weights as far as the bounds on nodes, zones and regions allow: a
//! common level rises, a node takes its weight times the level until it is full, and a group that
//! reaches a bound keeps a level of its own. This is the lexicographically optimal base of nested
//! bounds (Fujishige 1980); fractions are exact, so every node computes the same.

use std::cmp::Ordering;

use super::topology::{Rule, Topology};

/// A non-negative fraction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fraction {
    pub(super) numerator: u64,
    pub(super) denominator: u64,
}

impl Fraction {
    fn new(numerator: i64, denominator: i64) -> Self {
        let part = |value| u64::try_from(value).expect("levels are never negative");
        Self { numerator: part(numerator), denominator: part(denominator) }
    }

    pub(super) fn floor(self) -> u64 {
        self.numerator / self.denominator
    }

    /// What lies above the floor.
    pub(super) fn remainder(self) -> Self {
        Self { numerator: self.numerator % self.denominator, denominator: self.denominator }
    }

    pub(super) fn is_zero(self) -> bool {
        self.numerator == 0
    }

    #[expect(clippy::cast_precision_loss, reason = "for people to read")]
    pub(super) fn approximate(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }
}

impl Ord for Fraction {
    fn cmp(&self, other: &Self) -> Ordering {
        let mine = u128::from(self.numerator) * u128::from(other.denominator);
        let its = u128::from(other.numerator) * u128::from(self.denominator);
        mine.cmp(&its)
    }
}

impl PartialOrd for Fraction {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Fraction {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Fraction {}

/// The share of each node, in owner slots of `partitions` partitions; they add up to
/// `topology.width * partitions`. O(nodes · log nodes).
pub(super) fn shares(topology: &Topology, partitions: usize) -> Vec<Fraction> {
    let width = topology.width;
    let mut zones = vec![Curve::default(); topology.zones()];
    for (&weight, &zone) in topology.weights.iter().zip(&topology.zone_of) {
        zones[usize::from(zone)].add_node(weight);
    }
    let mut regions = vec![Curve::default(); topology.regions];
    let mut zone_levels = Vec::with_capacity(zones.len());
    for (mut zone, &region) in zones.into_iter().zip(&topology.region_of) {
        zone_levels.push(zone.clamp(topology.zone_rule, width));
        regions[usize::from(region)].bends.append(&mut zone.bends);
    }
    let mut root = Curve::default();
    let mut region_levels = Vec::with_capacity(regions.len());
    for mut region in regions {
        region_levels.push(region.clamp(topology.region_rule, width));
        root.bends.append(&mut region.bends);
    }
    root.sort();
    let level = root.level_of(width).expect("there are at least as many nodes as owners");

    let share = |(&weight, &zone): (&u32, &u16)| {
        let region_level = region_levels[usize::from(topology.region(zone))].of(level);
        let level = zone_levels[usize::from(zone)].of(region_level);
        share_at(level, weight, partitions)
    };
    topology.weights.iter().zip(&topology.zone_of).map(share).collect()
}

fn share_at(level: Fraction, weight: u32, partitions: usize) -> Fraction {
    let partitions = u64::try_from(partitions).expect("at most 65,536");
    let filled = level.numerator * u64::from(weight);
    if filled >= level.denominator {
        return Fraction { numerator: partitions, denominator: 1 };
    }
    // Level numerators are at most the owners per partition, so this is below 2^52.
    Fraction { numerator: filled * partitions, denominator: level.denominator }
}

/// Levels between which a group follows the level around it.
#[derive(Clone, Copy)]
struct Levels {
    lowest: Option<Fraction>,
    highest: Option<Fraction>,
}

impl Levels {
    fn of(self, level: Fraction) -> Fraction {
        let level = self.lowest.map_or(level, |lowest| level.max(lowest));
        self.highest.map_or(level, |highest| level.min(highest))
    }
}

/// Slots per partition that a group takes as the level rises: piecewise linear, continuous, and
/// never falling.
#[derive(Clone, Default)]
struct Curve {
    bends: Vec<Bend>,
}

/// From level `at` on, the curve's line `offset + slope · level` changes by this much.
#[derive(Clone, Copy)]
struct Bend {
    at: Fraction,
    offset: i64,
    slope: i64,
}

const ZERO: Fraction = Fraction { numerator: 0, denominator: 1 };

impl Curve {
    /// A node rises with its weight until it owns every partition.
    fn add_node(&mut self, weight: u32) {
        let slope = i64::from(weight);
        self.bends.push(Bend { at: ZERO, offset: 0, slope });
        self.bends.push(Bend { at: Fraction::new(1, slope), offset: 1, slope: -slope });
    }

    fn sort(&mut self) {
        self.bends.sort_by_key(|bend| bend.at);
    }

    /// The lowest level at which a sorted curve reaches `target` slots.
    fn level_of(&self, target: usize) -> Option<Fraction> {
        let target = signed(target);
        let (mut offset, mut slope) = (0, 0);
        for (index, bend) in self.bends.iter().enumerate() {
            offset += bend.offset;
            slope += bend.slope;
            if slope == 0 {
                if offset >= target {
                    return Some(bend.at);
                }
                continue;
            }
            let level = Fraction::new((target - offset).max(0), slope);
            if self.bends.get(index + 1).is_none_or(|next| level <= next.at) {
                return Some(level.max(bend.at));
            }
        }
        None
    }

    /// Bounds the curve to what `rule` allows and tells from and to which level it then moves.
    fn clamp(&mut self, rule: Rule, width: usize) -> Levels {
        self.sort();
        let highest = self.level_of(rule.upper(width));
        if let Some(level) = highest {
            let kept = self.bends.partition_point(|bend| bend.at < level);
            self.bends.truncate(kept);
            let (offset, slope) = self.line();
            let offset = signed(rule.upper(width)) - offset;
            self.bends.push(Bend { at: level, offset, slope: -slope });
        }
        let lowest = if rule.lower() == 0 { None } else { self.level_of(rule.lower()) };
        if let Some(level) = lowest {
            let lower = signed(rule.lower());
            let later = self.bends.split_off(self.bends.partition_point(|bend| bend.at <= level));
            let (offset, slope) = self.line();
            self.bends = vec![
                Bend { at: ZERO, offset: lower, slope: 0 },
                Bend { at: level, offset: offset - lower, slope },
            ];
            self.bends.extend(later);
        }
        Levels { lowest, highest }
    }

    /// The line that the last bend begins.
    fn line(&self) -> (i64, i64) {
        let sum = |sum: (i64, i64), bend: &Bend| (sum.0 + bend.offset, sum.1 + bend.slope);
        self.bends.iter().fold((0, 0), sum)
    }
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).expect("counts are small")
}
