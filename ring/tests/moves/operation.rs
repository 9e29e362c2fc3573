//! Writes and reads under way: what their coordinators know and what was answered.

use crate::cluster::{Cluster, Message, Rows, Violation, node_id, node_index};
use coterie_ring::NodeId;
use coterie_ring::moves::{
    DigestAnswer, LinearizableOutcome, LiveSets, Quorum, ReadAnswer, ReadOutcome, SetVersion,
    WriteAnswer, WriteOutcome, WriteRefusal,
};

#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) coordinator: usize,
    pub(crate) sets: LiveSets,
    pub(crate) kind: Kind,
    /// Goes up whenever answers so far are thrown away.
    pub(crate) round: u32,
    pub(crate) over: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Write {
        write: u32,
        answers: Vec<(NodeId, WriteAnswer)>,
    },
    Read {
        /// Acknowledged when it began.
        expected: Rows,
        from: SetVersion,
        answers: Vec<(NodeId, ReadAnswer)>,
        joined: Rows,
    },
    Linearizable {
        expected: Rows,
        answers: Vec<(NodeId, Option<Rows>, bool)>,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) operation: usize,
    pub(crate) from: NodeId,
    pub(crate) answer: Answer,
}

#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Write { tag: SetVersion, answer: Result<(), WriteRefusal> },
    Read { round: u32, rows: Option<Rows> },
    Digest { round: u32, rows: Option<Rows>, ready: bool },
}

impl Cluster {
    /// What node `index` answers to a client's request.
    pub(crate) fn answer(&mut self, index: usize, message: Message) {
        let node = &mut self.nodes[index];
        let (operation, answer) = match message {
            Message::Write { operation, tag, write } => {
                let answer = node.replica.admit_write(tag);
                if answer.is_ok() {
                    node.rows |= 1 << write;
                }
                (operation, Answer::Write { tag, answer })
            }
            Message::Read { operation, round, version, quorum } => {
                let rows = node.replica.may_answer_read(version, quorum).ok().map(|()| node.rows);
                (operation, Answer::Read { round, rows })
            }
            Message::Digest { operation, round } => {
                let tag = self.operations[operation].sets.tag();
                let newest = node.replica.sets().tag();
                if newest != tag {
                    return;
                }
                let retired = node.replica.status().retired
                    && !node.replica.sets().newest().contains(node.id);
                let ready = node.replica.may_answer_read(tag, Quorum::Majority).is_ok();
                let rows = (!retired).then_some(node.rows);
                (operation, Answer::Digest { round, rows, ready })
            }
            Message::Push { .. } | Message::Status { .. } => return,
        };
        self.replies.push(Reply { operation, from: node_id(index), answer });
    }

    pub(crate) fn begin(&mut self) {
        let coordinator = self.index(self.coordinators.len());
        let sets = self.view(coordinator);
        let expected = self.acknowledged;
        let kind = if self.writes < 60 && self.chance(50) {
            self.writes += 1;
            Kind::Write { write: self.writes - 1, answers: Vec::new() }
        } else if self.setup.linearizable {
            Kind::Linearizable { expected, answers: Vec::new() }
        } else {
            let from = self.random_set(&sets);
            Kind::Read { expected, from, answers: Vec::new(), joined: 0 }
        };
        self.operations.push(Operation { coordinator, sets, kind, round: 0, over: false });
        self.ask(self.operations.len() - 1);
    }

    fn random_set(&mut self, sets: &LiveSets) -> SetVersion {
        let index = self.index(sets.all().len());
        sets.all()[index].version
    }

    /// The sets as `coordinator` knows them.
    fn view(&self, coordinator: usize) -> LiveSets {
        let sets = self.decided[self.coordinators[coordinator]].clone();
        match self.setup.without {
            Some(rule) => sets.without(rule),
            None => sets,
        }
    }

    pub(crate) fn ask(&mut self, number: usize) {
        let operation = self.operations[number].clone();
        let (round, tag) = (operation.round, operation.sets.tag());
        match operation.kind {
            Kind::Write { write, .. } => {
                for to in operation.sets.owners() {
                    let message = Message::Write { operation: number, tag, write };
                    self.requests.push((node_index(to), message));
                }
            }
            Kind::Read { from, .. } => {
                let quorum = self.setup.read_quorum;
                let read = operation.sets.read_sets(quorum).find(|read| read.set.version == from);
                for to in &read.unwrap().set.members {
                    let message = Message::Read { operation: number, round, version: from, quorum };
                    self.requests.push((node_index(*to), message));
                }
            }
            Kind::Linearizable { .. } => {
                for to in operation.sets.owners() {
                    self.requests
                        .push((node_index(to), Message::Digest { operation: number, round }));
                }
            }
        }
    }

    /// Asks again from the start, with what the coordinator knows now.
    pub(crate) fn restart(&mut self, number: usize) {
        let sets = self.view(self.operations[number].coordinator);
        let other = self.random_set(&sets);
        let operation = &mut self.operations[number];
        operation.sets = sets;
        operation.round += 1;
        match &mut operation.kind {
            Kind::Write { answers, .. } => answers.clear(),
            Kind::Read { from, answers, joined, .. } => {
                (*from, *joined) = (other, 0);
                answers.clear();
            }
            Kind::Linearizable { answers, .. } => answers.clear(),
        }
        self.ask(number);
    }

    pub(crate) fn take_reply(&mut self, reply: Reply) -> Result<(), Violation> {
        let Reply { operation: number, from: by, answer } = reply;
        let (read_quorum, write_quorum) = (self.setup.read_quorum, self.setup.write_quorum);
        let operation = &mut self.operations[number];
        if operation.over {
            return Ok(());
        }
        let (tag, current) = (operation.sets.tag(), operation.round);
        match (&mut operation.kind, answer) {
            (Kind::Write { write, answers }, Answer::Write { tag: of, answer }) if of == tag => {
                let answer = match answer {
                    Ok(()) => WriteAnswer::Stored,
                    Err(WriteRefusal::Retired) => WriteAnswer::Retired,
                    Err(WriteRefusal::Stale { .. }) => {
                        let coordinator = operation.coordinator;
                        self.adopt(coordinator);
                        self.restart(number);
                        return Ok(());
                    }
                    Err(WriteRefusal::Behind { .. } | WriteRefusal::NotOwner) => return Ok(()),
                };
                if !answers.iter().any(|(known, _)| *known == by) {
                    answers.push((by, answer));
                }
                if operation.sets.write_outcome(write_quorum, answers) == WriteOutcome::Done {
                    operation.over = true;
                    self.acknowledged |= 1 << *write;
                    self.acknowledged_tags.push((*write, tag));
                    self.counts.acknowledged += 1;
                }
            }
            (Kind::Read { expected, from, answers, joined }, Answer::Read { round, rows })
                if round == current =>
            {
                if answers.iter().any(|(known, _)| *known == by) {
                    return Ok(());
                }
                *joined |= rows.unwrap_or(0);
                let answer = match rows {
                    Some(_) => ReadAnswer::Answered,
                    None => ReadAnswer::Refused,
                };
                answers.push((by, answer));
                match operation.sets.read_outcome(*from, read_quorum, answers) {
                    ReadOutcome::Open => {}
                    ReadOutcome::Done => {
                        operation.over = true;
                        self.counts.reads += 1;
                        if *joined & *expected != *expected {
                            return Err(Violation::StaleRead);
                        }
                    }
                    ReadOutcome::Elsewhere => {
                        let coordinator = operation.coordinator;
                        self.adopt(coordinator);
                        self.restart(number);
                    }
                }
            }
            (Kind::Linearizable { expected, answers }, Answer::Digest { round, rows, ready })
                if round == current =>
            {
                if !answers.iter().any(|(known, ..)| *known == by) {
                    answers.push((by, rows, ready));
                }
                let candidates: Vec<Rows> =
                    answers.iter().filter_map(|(_, rows, _)| *rows).collect();
                for candidate in candidates {
                    let answers: Vec<_> = answers
                        .iter()
                        .map(|(by, rows, ready)| (*by, digest_answer(*rows, candidate, *ready)))
                        .collect();
                    if operation.sets.linearizable_outcome(&answers) == LinearizableOutcome::Done {
                        operation.over = true;
                        self.counts.reads += 1;
                        if candidate & *expected != *expected {
                            return Err(Violation::StaleRead);
                        }
                        break;
                    }
                }
            }
            (Kind::Write { .. } | Kind::Read { .. } | Kind::Linearizable { .. }, _) => {}
        }
        Ok(())
    }

    /// A coordinator that was refused fetches what it lacks: some of it, or all.
    pub(crate) fn adopt(&mut self, coordinator: usize) {
        let known = self.coordinators[coordinator];
        if known + 1 < self.decided.len() {
            let more = self.index(self.decided.len() - known);
            self.coordinators[coordinator] = known + more;
        }
    }
}

fn digest_answer(rows: Option<Rows>, candidate: Rows, ready: bool) -> DigestAnswer {
    match rows {
        None => DigestAnswer::Retired,
        Some(rows) if rows != candidate => DigestAnswer::Different,
        Some(_) if ready => DigestAnswer::EqualAndReady,
        Some(_) => DigestAnswer::Equal,
    }
}
