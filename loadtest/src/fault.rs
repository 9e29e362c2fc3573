//! What is broken during a run, and when: parsed from `10s:kill:2` and the like.

use std::fmt::{Display, Formatter, Result as FmtResult};
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

/// Something that is done to a cluster, that long after the measured run began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// When.
    pub at: Duration,
    /// What.
    pub act: Act,
}

/// What is done. Nodes are named by their numbers, from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Ends a process at once, as kill -9 does.
    Kill(usize),
    /// Starts a process that was ended.
    Restart(usize),
    /// Stops a process for a time, as SIGSTOP does; without a time until it is resumed.
    Pause(usize, Option<Duration>),
    /// Lets a stopped process go on.
    Resume(usize),
    /// Cuts sides off from each other; nodes that are on none still hear all.
    Partition(Vec<Vec<usize>>),
    /// Joins all sides again.
    Heal,
}

/// Why a text says nothing that can be done.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoFault {
    /// No time and act.
    #[error(
        "{0:?} is no fault; say TIME:ACT, as in 10s:kill:2, 20s:restart:2, 15s:partition:0,1/2,3,4, 25s:heal, 18s:pause:1:1s or 19s:resume:1"
    )]
    Form(String),
    /// No time.
    #[error("{0:?} is no time; say 10s, 1.5s, 500ms or 2m")]
    Time(String),
    /// No number of a node.
    #[error("{0:?} is not the number of a node; they begin with 0")]
    Node(String),
    /// Sides that are none.
    #[error(
        "{0:?} are not sides of a partition; say at least two, as in 0,1/2,3,4, and name no node twice"
    )]
    Sides(String),
}

/// A time as people write it: `10s`, `1.5s`, `500ms`, `2m`, `1h`.
///
/// # Errors
/// If it is none, negative, or longer than a year.
pub fn time(text: &str) -> Result<Duration, NoFault> {
    let none = || NoFault::Time(text.to_owned());
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(none)?;
    let (number, unit) = text.split_at(unit_at);
    let factor = match unit {
        "us" => 0.000_001,
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => return Err(none()),
    };
    if !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(none());
    }
    let number: f64 = number.parse().map_err(|_no_number| none())?;
    let seconds = number * factor;
    if seconds > 366.0 * 86_400.0 {
        return Err(none());
    }
    Duration::try_from_secs_f64(seconds).map_err(|_not_finite| none())
}

/// As [`time`] reads it.
#[must_use]
pub fn time_text(time: Duration) -> String {
    if time < Duration::from_secs(1) && time.subsec_nanos() > 0 {
        format!("{}ms", time.as_secs_f64() * 1_000.0)
    } else {
        format!("{}s", time.as_secs_f64())
    }
}

impl FromStr for Fault {
    type Err = NoFault;

    fn from_str(text: &str) -> Result<Fault, NoFault> {
        let form = || NoFault::Form(text.to_owned());
        let (at, act) = text.split_once(':').ok_or_else(form)?;
        let at = time(at)?;
        let words: Vec<&str> = act.split(':').collect();
        let act = match words[..] {
            ["kill", number] => Act::Kill(node(number)?),
            ["restart", number] => Act::Restart(node(number)?),
            ["pause", number] => Act::Pause(node(number)?, None),
            ["pause", number, length] => Act::Pause(node(number)?, Some(time(length)?)),
            ["resume", number] => Act::Resume(node(number)?),
            ["partition", sides] => Act::Partition(parse_sides(sides)?),
            ["heal"] => Act::Heal,
            _ => return Err(form()),
        };
        Ok(Fault { at, act })
    }
}

fn node(text: &str) -> Result<usize, NoFault> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten();
    number.ok_or_else(|| NoFault::Node(text.to_owned()))
}

fn parse_sides(text: &str) -> Result<Vec<Vec<usize>>, NoFault> {
    let sides = text.split('/').map(|side| side.split(',').map(node).collect());
    let sides: Vec<Vec<usize>> = sides.collect::<Result<_, _>>()?;
    let mut all: Vec<usize> = sides.iter().flatten().copied().collect();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    if sides.len() < 2 || all.len() < count {
        return Err(NoFault::Sides(text.to_owned()));
    }
    Ok(sides)
}

impl Act {
    /// The greatest number of a node named.
    #[must_use]
    pub fn node_max(&self) -> Option<usize> {
        match self {
            Act::Kill(node) | Act::Restart(node) | Act::Pause(node, _) | Act::Resume(node) => {
                Some(*node)
            }
            Act::Partition(sides) => sides.iter().flatten().copied().max(),
            Act::Heal => None,
        }
    }
}

impl Display for Act {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        match self {
            Act::Kill(node) => write!(f, "kill:{node}"),
            Act::Restart(node) => write!(f, "restart:{node}"),
            Act::Pause(node, None) => write!(f, "pause:{node}"),
            Act::Pause(node, Some(length)) => write!(f, "pause:{node}:{}", time_text(*length)),
            Act::Resume(node) => write!(f, "resume:{node}"),
            Act::Partition(sides) => {
                let side = |side: &Vec<usize>| {
                    side.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
                };
                write!(f, "partition:{}", sides.iter().map(side).collect::<Vec<_>>().join("/"))
            }
            Act::Heal => f.write_str("heal"),
        }
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        write!(f, "{}:{}", time_text(self.at), self.act)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn acts() -> impl Strategy<Value = Act> {
        let length = (1u64..100_000).prop_map(Duration::from_millis);
        prop_oneof![
            (0usize..20).prop_map(Act::Kill),
            (0usize..20).prop_map(Act::Restart),
            (0usize..20, proptest::option::of(length)).prop_map(|(node, it)| Act::Pause(node, it)),
            (0usize..20).prop_map(Act::Resume),
            (1usize..5, 6usize..9).prop_map(|(few, all)| {
                Act::Partition(vec![(0..few).collect(), (few..all).collect()])
            }),
            Just(Act::Heal),
        ]
    }

    proptest! {
        #[test]
        fn faults_are_read_as_they_are_shown(millis in 0u64..10_000_000, act in acts()) {
            let fault = Fault { at: Duration::from_millis(millis), act };
            prop_assert_eq!(fault.to_string().parse::<Fault>(), Ok(fault));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[0-9smhkilpartonhe:,/.\\-]{0,24}") {
            let parsed = text.parse::<Fault>();
            if let Ok(fault) = parsed {
                prop_assert_eq!(fault.to_string().parse::<Fault>(), Ok(fault));
            }
        }
    }

    #[test]
    fn the_examples_mean_what_they_say() {
        let parse = |text: &str| text.parse::<Fault>().unwrap();
        let second = Duration::from_secs;
        assert_eq!(parse("10s:kill:2"), Fault { at: second(10), act: Act::Kill(2) });
        assert_eq!(
            parse("18s:pause:1:1s"),
            Fault { at: second(18), act: Act::Pause(1, Some(second(1))) }
        );
        assert_eq!(
            parse("1.5m:partition:0,1/2,3,4").act,
            Act::Partition(vec![vec![0, 1], vec![2, 3, 4]])
        );
        for text in [
            "",
            "kill:2",
            "10:kill:2",
            "-1s:heal",
            "10s:kill",
            "10s:kill:-1",
            "10s:kill:x",
            "10s:partition:0,1",
            "10s:partition:0,1/1,2",
            "10s:heal:1",
            "10s:explode:1",
            "1e9s:heal",
            "nans:heal",
        ] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }
}
