//! A schedule of faults in order, and what undoes what is left of them.

use std::collections::BTreeSet;

use crate::fault::{Act, Fault};

/// The faults in the order of their times, with a pause of some length as a pause and a resumption.
#[must_use]
pub fn timeline(faults: &[Fault]) -> Vec<Fault> {
    let mut all = Vec::new();
    for fault in faults {
        match fault.act {
            Act::Pause(node, Some(length)) => {
                all.push(Fault { at: fault.at, act: Act::Pause(node, None) });
                all.push(Fault { at: fault.at + length, act: Act::Resume(node) });
            }
            _ => all.push(fault.clone()),
        }
    }
    all.sort_by_key(|fault| fault.at);
    all
}

/// What makes a cluster whole again after these acts.
#[must_use]
pub fn mending(acts: &[Act]) -> Vec<Act> {
    let (mut killed, mut paused) = (BTreeSet::new(), BTreeSet::new());
    let mut parted = false;
    for act in acts {
        match act {
            Act::Kill(node) => {
                killed.insert(*node);
                paused.remove(node);
            }
            Act::Restart(node) => {
                killed.remove(node);
            }
            Act::Pause(node, _) => {
                paused.insert(*node);
            }
            Act::Resume(node) => {
                paused.remove(node);
            }
            Act::Partition(_) => parted = true,
            Act::Heal => parted = false,
        }
    }
    let heal = parted.then_some(Act::Heal);
    let resume = paused.into_iter().map(Act::Resume);
    heal.into_iter().chain(resume).chain(killed.into_iter().map(Act::Restart)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(texts: &[&str]) -> Vec<Fault> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn faults_come_in_order_and_pauses_end() {
        let all = faults(&["20s:restart:2", "18s:pause:1:1s", "10s:kill:2"]);
        let in_order = faults(&["10s:kill:2", "18s:pause:1", "19s:resume:1", "20s:restart:2"]);
        assert_eq!(timeline(&all), in_order);
    }

    #[test]
    fn what_is_left_of_faults_is_undone() {
        let acts = |texts: &[&str]| -> Vec<Act> {
            faults(texts).into_iter().map(|fault| fault.act).collect()
        };
        let left =
            acts(&["1s:kill:2", "2s:pause:1", "3s:partition:0/1", "4s:kill:3", "5s:restart:3"]);
        assert_eq!(mending(&left), acts(&["0s:heal", "0s:resume:1", "0s:restart:2"]));
        let over = acts(&[
            "1s:kill:2",
            "2s:restart:2",
            "3s:partition:0/1",
            "4s:heal",
            "5s:pause:1:1s",
            "6s:resume:1",
        ]);
        assert_eq!(mending(&over), []);
    }
}
