//! Who wrote and who removed each cell of a key, and what can have removed a write.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Action, Cell, Dot, KeyHistory, Name, Nanos, Operation};

/// The possible operations of a key (done or unknown), by what they touch. Operations are named by
/// their index in [`KeyHistory::operations`].
pub(crate) struct Index<'a> {
    key: &'a KeyHistory,
    cells: BTreeMap<Cell, CellIndex>,
    /// Deletes of the whole key.
    deletes: Vec<usize>,
    minted: BTreeMap<Dot, usize>,
    /// Operations that said they observed the dot.
    observers: BTreeMap<Dot, Vec<usize>>,
    /// Operations that said they observed a dot of which nobody was told that it was minted.
    saw_strangers: BTreeSet<usize>,
    reused: Option<(Dot, usize, usize)>,
}

/// The possible operations of a cell, by time of invocation.
#[derive(Default)]
pub(crate) struct CellIndex {
    pub(crate) writers: Vec<usize>,
    pub(crate) removers: Vec<usize>,
}

/// What an action does to a cell.
enum Touch {
    Writes(Cell),
    Removes(Cell),
    RemovesAll,
    Nothing,
}

fn touch(action: &Action) -> Touch {
    match action {
        Action::Add { element } => Touch::Writes(Cell::Element(element.clone())),
        Action::Remove { element } => Touch::Removes(Cell::Element(element.clone())),
        Action::Assign { .. } => Touch::Writes(Cell::Register),
        Action::Enable => Touch::Writes(Cell::Flag),
        Action::Disable => Touch::Removes(Cell::Flag),
        Action::Delete => Touch::RemovesAll,
        Action::Increment { .. } | Action::Read(_) | Action::Strong(_) => Touch::Nothing,
    }
}

impl<'a> Index<'a> {
    pub(crate) fn new(key: &'a KeyHistory) -> Self {
        let mut index = Index {
            key,
            cells: BTreeMap::new(),
            deletes: Vec::new(),
            minted: BTreeMap::new(),
            observers: BTreeMap::new(),
            saw_strangers: BTreeSet::new(),
            reused: None,
        };
        for (at, operation) in key.operations.iter().enumerate() {
            if operation.is_possible() {
                index.insert(at, operation);
            }
        }
        let strangers = index.observers.iter().filter(|(dot, _)| !index.minted.contains_key(dot));
        index.saw_strangers = strangers.flat_map(|(_, observers)| observers).copied().collect();
        index
    }

    fn insert(&mut self, at: usize, operation: &Operation) {
        if let Some(dot) = operation.dot()
            && let Some(other) = self.minted.insert(dot, at)
        {
            self.reused.get_or_insert((dot, other, at));
        }
        for dot in operation.observed().unwrap_or_default() {
            self.observers.entry(*dot).or_default().push(at);
        }
        match touch(&operation.action) {
            Touch::Writes(cell) => self.cells.entry(cell).or_default().writers.push(at),
            Touch::Removes(cell) => self.cells.entry(cell).or_default().removers.push(at),
            Touch::RemovesAll => self.deletes.push(at),
            Touch::Nothing => {}
        }
    }

    /// Two operations that minted the same dot.
    pub(crate) fn reused(&self) -> Option<(Dot, usize, usize)> {
        self.reused
    }

    pub(crate) fn operation(&self, at: usize) -> &'a Operation {
        &self.key.operations[at]
    }

    pub(crate) fn cells(&self) -> impl Iterator<Item = (&Cell, &CellIndex)> {
        self.cells.iter()
    }

    pub(crate) fn cell(&self, cell: &Cell) -> Option<&CellIndex> {
        self.cells.get(cell)
    }

    /// The operation that minted a dot.
    pub(crate) fn minter(&self, dot: Dot) -> Option<usize> {
        self.minted.get(&dot).copied()
    }

    /// Operations that said they observed the dot of this one.
    pub(crate) fn observers(&self, writer: usize) -> &[usize] {
        let dot = self.operation(writer).dot();
        dot.and_then(|dot| self.observers.get(&dot)).map_or(&[], Vec::as_slice)
    }

    /// Acknowledged operations that said they observed the dot of this one.
    pub(crate) fn done_observers(&self, writer: usize) -> impl Iterator<Item = usize> {
        let observers = self.observers(writer).iter().copied();
        observers.filter(|&observer| self.operation(observer).is_done())
    }

    /// An acknowledged operation that said it observed a dot.
    pub(crate) fn done_observer_of(&self, dot: Dot) -> Option<usize> {
        let mut observers = self.observers.get(&dot)?.iter().copied();
        observers.find(|&observer| self.operation(observer).is_done())
    }

    /// Whether something may have dropped the dot of `writer` by the time `until`: an operation that
    /// said so, or one that was not told what it observed.
    pub(crate) fn may_be_dropped(&self, cell: &CellIndex, writer: usize, until: Nanos) -> bool {
        let observers = self.observers(writer).iter().chain(self.untold(cell, writer));
        observers.copied().any(|other| self.operation(other).invoked <= until)
    }

    /// Operations that observed `writer`, as told, or, if it was not told its dot, may have: they saw a
    /// dot of the cell that nobody knows.
    fn possible_observers<'b>(
        &'b self,
        cell: &'b CellIndex,
        writer: usize,
    ) -> impl Iterator<Item = usize> + 'b {
        let untold = self.operation(writer).dot().is_none();
        let touching = cell.writers.iter().chain(&cell.removers).chain(&self.deletes);
        let strangers = touching.filter(move |&&other| {
            untold
                && other != writer
                && self.saw_strangers.contains(&other)
                && !self.operation(other).precedes(self.operation(writer))
        });
        self.observers(writer).iter().chain(strangers).copied()
    }

    /// Operations other than `writer` that were not told what they observed of the cell, and which
    /// may have observed it: they were not over before it began.
    fn untold<'b>(&'b self, cell: &'b CellIndex, writer: usize) -> impl Iterator<Item = &'b usize> {
        let others = cell.writers.iter().chain(&cell.removers).chain(&self.deletes);
        others.filter(move |&&other| other != writer && self.untold_and_not_before(other, writer))
    }

    fn untold_and_not_before(&self, other: usize, writer: usize) -> bool {
        let other = self.operation(other);
        other.observed().is_none() && !other.precedes(self.operation(writer))
    }

    /// For each writer of the cell whether, by the time `until`, the cell may be absent in spite of it:
    /// something may have removed the write, or replaced it by a write that may have been removed.
    pub(crate) fn may_be_absent(&self, cell: &CellIndex, until: Nanos) -> Vec<bool> {
        let started = |other: usize| self.operation(other).invoked <= until;
        let removers = cell.removers.iter().chain(&self.deletes).copied().filter(|&r| started(r));
        let untold_removers = removers.filter(|&r| self.operation(r).observed().is_none());
        let ends = untold_removers.filter_map(|r| self.operation(r).effective_until());
        // The last moment at which what may remove unseen dots, directly or by way of an untold
        // write that may itself be removed, can observe something.
        let mut observes_until = ends.max();
        let positions: BTreeMap<usize, usize> =
            cell.writers.iter().enumerate().map(|(position, &writer)| (writer, position)).collect();
        let mut absent = vec![false; cell.writers.len()];
        loop {
            let mut changed = false;
            // Later writes replace earlier ones, so this order mostly needs one round.
            for (position, &writer) in cell.writers.iter().enumerate().rev() {
                if absent[position] {
                    continue;
                }
                let operation = self.operation(writer);
                let told = self.possible_observers(cell, writer).any(|observer| {
                    let replaced_by = positions.get(&observer);
                    started(observer) && replaced_by.is_none_or(|&position| absent[position])
                });
                if told || observes_until.is_some_and(|end| end >= operation.invoked) {
                    absent[position] = true;
                    changed = true;
                    if operation.observed().is_none() && started(writer) {
                        observes_until = observes_until.max(operation.effective_until());
                    }
                }
            }
            if !changed {
                return absent;
            }
        }
    }

    /// Whether `later` replaced `earlier`, as told: directly, or by way of other writes.
    ///
    /// Only directly if the key was ever deleted: a replica may have the last of three writes without
    /// the second; a delete that saw only the last then leaves the first.
    pub(crate) fn replaced(&self, earlier: usize, later: usize) -> bool {
        let mut seen = BTreeSet::from([later]);
        let mut next = vec![later];
        while let Some(at) = next.pop() {
            for &dot in self.operation(at).observed().unwrap_or_default() {
                match self.minter(dot) {
                    Some(minter) if minter == earlier => return true,
                    Some(minter) if self.deletes.is_empty() && seen.insert(minter) => {
                        next.push(minter);
                    }
                    Some(_) | None => {}
                }
            }
        }
        false
    }

    /// The possible writes that a cell, or a value of the register, can come from.
    pub(crate) fn sources(&self, cell: &Cell, value: Option<&Name>) -> Vec<usize> {
        let writers = self.cell(cell).map_or(&[][..], |index| index.writers.as_slice());
        let from = |writer: &&usize| writes(&self.operation(**writer).action, cell, value);
        writers.iter().filter(from).copied().collect()
    }
}

/// Whether an action writes the cell and, if one is given, that value of the register.
pub(crate) fn writes(action: &Action, cell: &Cell, value: Option<&Name>) -> bool {
    match (action, cell) {
        (Action::Add { element }, Cell::Element(written)) => element == written,
        (Action::Assign { value: assigned }, Cell::Register) => value.is_none_or(|v| v == assigned),
        (Action::Enable, Cell::Flag) => true,
        _ => false,
    }
}
