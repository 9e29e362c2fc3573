//! A model of linearizable reads, searched to its end: three owners, two adds and (at full size) an observed
//! remove, two reads at different coordinators, every order of all steps.
//!
//! The rule of the protocol (a majority of equal states; what differs is joined and asked again) is clean. A
//! read that writes back what it joined of a majority, as ABD does, is not (reliability.md, finding 1).
#![expect(clippy::print_stdout, reason = "says how far it searched")]

use std::collections::VecDeque;

use hashbrown::HashSet;

const OWNERS: usize = 3;
const MAJORITY: u32 = 2;

/// The adds of a and of b, and a remove of what it observed of them. States are masks of the writes that
/// they hold: joins are unions.
const WRITES: usize = 3;
const REMOVE: usize = 2;

const READS: usize = 2;

type Mask = u8;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Rule {
    /// The protocol's.
    EqualMajority,
    /// Join a majority, write the join back to a majority, return it.
    WriteBack,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Write {
    Idle,
    /// A remove asks a majority first.
    Observing {
        asked: Mask,
    },
    /// On its way: who has stored it.
    Sent {
        stored: Mask,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Read {
    Idle,
    Lap {
        first: bool,
        state: Mask,
        answered: Mask,
        equal: Mask,
        joined: Mask,
    },
    /// Only with write-back: what was joined, and who has it.
    Back {
        state: Mask,
        stored: Mask,
    },
    Done {
        state: Mask,
    },
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct System {
    owners: [Mask; OWNERS],
    writes: [Write; WRITES],
    reads: [Read; READS],
    /// Of each write, the writes that were over before it began.
    after: [Mask; WRITES],
    /// Of each read, what was over before it began: writes, and what other reads returned.
    must_show: [Mask; READS],
}

impl System {
    fn new() -> Self {
        System {
            owners: [0; OWNERS],
            writes: [Write::Idle; WRITES],
            reads: [Read::Idle; READS],
            after: [0; WRITES],
            must_show: [0; READS],
        }
    }

    fn over(&self) -> Mask {
        let is_over = |write: &usize| matches!(self.writes[*write], Write::Sent { stored } if stored.count_ones() >= MAJORITY);
        (0..WRITES).filter(is_over).map(bit).sum()
    }

    /// All systems one step on.
    fn steps(&self, rule: Rule, writes: usize) -> Vec<System> {
        let mut next = Vec::new();
        for write in 0..writes {
            self.write_steps(write, &mut next);
        }
        for read in 0..READS {
            self.read_steps(read, rule, &mut next);
        }
        next
    }

    fn write_steps(&self, write: usize, next: &mut Vec<System>) {
        match self.writes[write] {
            Write::Idle => {
                let mut system = self.clone();
                system.after[write] = self.over();
                system.writes[write] = match write {
                    REMOVE => Write::Observing { asked: 0 },
                    _ => Write::Sent { stored: 0 },
                };
                next.push(system);
            }
            Write::Observing { asked } => {
                for owner in without(asked) {
                    let mut system = self.clone();
                    let asked = asked | bit(owner);
                    system.writes[write] = match asked.count_ones() >= MAJORITY {
                        true => Write::Sent { stored: 0 },
                        false => Write::Observing { asked },
                    };
                    next.push(system);
                }
            }
            Write::Sent { stored } => {
                for owner in without(stored) {
                    let mut system = self.clone();
                    system.owners[owner] |= bit(write);
                    system.writes[write] = Write::Sent { stored: stored | bit(owner) };
                    next.push(system);
                }
            }
        }
    }

    /// The read of number r is coordinated by the owner of number r.
    fn read_steps(&self, read: usize, rule: Rule, next: &mut Vec<System>) {
        match self.reads[read] {
            Read::Idle => {
                let mut system = self.clone();
                let returned = self.reads.iter().filter_map(returned);
                system.must_show[read] = returned.fold(self.over(), |must, state| must | state);
                system.reads[read] = self.lap(read, true);
                next.push(system);
            }
            Read::Lap { first, state, answered, equal, joined } => {
                for owner in without(answered) {
                    let mut system = self.clone();
                    if !first && rule == Rule::EqualMajority {
                        system.owners[owner] |= state;
                    }
                    let held = system.owners[owner];
                    let equal = if held == state { equal | bit(owner) } else { equal };
                    let (answered, joined) = (answered | bit(owner), joined | held);
                    system.reads[read] = Read::Lap { first, state, answered, equal, joined };
                    system.decide(read, rule);
                    next.push(system);
                }
            }
            Read::Back { state, stored } => {
                for owner in without(stored) {
                    let mut system = self.clone();
                    system.owners[owner] |= state;
                    let stored = stored | bit(owner);
                    system.reads[read] = match stored.count_ones() >= MAJORITY {
                        true => Read::Done { state },
                        false => Read::Back { state, stored },
                    };
                    next.push(system);
                }
            }
            Read::Done { .. } => {}
        }
    }

    fn lap(&self, read: usize, first: bool) -> Read {
        let (state, me) = (self.owners[read], bit(read));
        Read::Lap { first, state, answered: me, equal: me, joined: state }
    }

    fn decide(&mut self, read: usize, rule: Rule) {
        let Read::Lap { state, answered, equal, joined, .. } = self.reads[read] else { return };
        let everybody = answered.count_ones() as usize == OWNERS;
        match rule {
            Rule::EqualMajority if equal.count_ones() >= MAJORITY => {
                self.reads[read] = Read::Done { state };
            }
            Rule::EqualMajority if everybody => {
                self.owners[read] |= joined;
                self.reads[read] = self.lap(read, false);
            }
            Rule::WriteBack if answered.count_ones() >= MAJORITY => {
                self.reads[read] = Read::Back { state: joined, stored: 0 };
            }
            Rule::EqualMajority | Rule::WriteBack => {}
        }
    }

    /// Whether what the reads returned has an order that respects real time: states form a chain, hold what
    /// was over before, and with a write all that was over before that began.
    fn is_linearizable(&self) -> bool {
        let closed = |state: Mask| {
            let inside = (0..WRITES).filter(|write| includes(state, bit(*write)));
            inside.map(|write| self.after[write]).all(|before| includes(state, before))
        };
        let done: Vec<(Mask, Mask)> = (self.reads.iter().zip(self.must_show))
            .filter_map(|(read, must)| Some((returned(read)?, must)))
            .collect();
        let chain = done
            .windows(2)
            .all(|pair| includes(pair[0].0, pair[1].0) || includes(pair[1].0, pair[0].0));
        chain && done.iter().all(|(state, must)| includes(*state, *must) && closed(*state))
    }
}

fn returned(read: &Read) -> Option<Mask> {
    match read {
        Read::Done { state } => Some(*state),
        _ => None,
    }
}

fn without(asked: Mask) -> impl Iterator<Item = usize> {
    (0..OWNERS).filter(move |owner| asked & bit(*owner) == 0)
}

fn bit(index: usize) -> Mask {
    1 << index
}

fn includes(state: Mask, part: Mask) -> bool {
    state & part == part
}

/// Searches all that can be reached: how many systems, and one that is wrong.
fn search(rule: Rule, writes: usize) -> (usize, Option<System>) {
    let mut seen: HashSet<System> = HashSet::new();
    seen.insert(System::new());
    let mut queue = VecDeque::from([System::new()]);
    while let Some(system) = queue.pop_front() {
        for next in system.steps(rule, writes) {
            if !next.is_linearizable() {
                return (seen.len(), Some(next));
            }
            if seen.insert(next.clone()) {
                queue.push_back(next);
            }
        }
    }
    (seen.len(), None)
}

#[test]
fn equal_states_at_a_majority_are_linearizable_in_every_order_of_steps() {
    let full = std::env::var_os("COTERIE_PROOF").is_some();
    let (systems, wrong) = search(Rule::EqualMajority, if full { WRITES } else { REMOVE });
    println!("{systems} systems");
    assert_eq!(wrong, None);
    assert!(systems > 100_000, "the search is of the size it was meant to have");
}

#[test]
fn writing_back_what_a_majority_joined_is_not() {
    let (systems, wrong) = search(Rule::WriteBack, WRITES);
    println!("{systems} systems until {wrong:?}");
    assert!(wrong.is_some());
}
