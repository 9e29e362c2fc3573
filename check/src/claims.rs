//! What a read had to show and to hide, given which earlier operations bind it.

use crate::index::{CellIndex, Index};
use crate::{Action, Cell, Name, Operation, Part, View};

/// What a read did wrong, with the operations that show it.
pub(crate) enum Misread {
    /// A binding write is missing.
    Missed(Cell, Vec<usize>),
    /// What a binding operation had removed or replaced is shown.
    Shown(Cell, Vec<usize>),
    /// Something is shown that nobody had begun to write.
    Phantom(Cell),
}

/// How many claims were tested, and how many could not be made.
#[derive(Default)]
pub(crate) struct Claims {
    pub(crate) tested: u64,
    pub(crate) excused: u64,
}

/// Whether a read of `part` says something of the cell.
pub(crate) fn reads(part: Part, cell: &Cell) -> bool {
    match cell {
        Cell::Element(_) => matches!(part, Part::Set | Part::Whole),
        Cell::Register => matches!(part, Part::Register | Part::Whole),
        Cell::Flag => matches!(part, Part::Flag | Part::Whole),
    }
}

/// Whether the cell is shown.
pub(crate) fn shows(view: &View, elements: &[&Name], cell: &Cell) -> bool {
    match cell {
        Cell::Element(element) => elements.binary_search(&element).is_ok(),
        Cell::Register => !view.register.is_empty(),
        Cell::Flag => view.flag,
    }
}

/// The elements shown, sorted.
pub(crate) fn sorted_elements(view: &View) -> Vec<&Name> {
    let mut elements: Vec<&Name> = view.elements.iter().collect();
    elements.sort_unstable();
    elements
}

/// Tests what a read shows, given which acknowledged operations that were over before it began bind it.
pub(crate) fn test(
    index: &Index<'_>,
    at: usize,
    binding: impl Fn(&Operation) -> bool,
    claims: &mut Claims,
) -> Result<(), Misread> {
    let read = index.operation(at);
    let Some((part, view)) = read.shown() else { return Ok(()) };
    let binds = |other: usize| {
        let other = index.operation(other);
        other.is_done() && other.precedes(read) && binding(other)
    };
    let elements = sorted_elements(view);
    for (cell, writes) in index.cells().filter(|(cell, _)| reads(part, cell)) {
        if !shows(view, &elements, cell) {
            test_absent(index, at, cell, writes, &binds, claims)?;
        } else if *cell == Cell::Register {
            test_register(index, at, writes, &binds, claims)?;
            for value in &view.register {
                test_present(index, at, cell, Some(value), &binds, claims)?;
            }
        } else {
            test_present(index, at, cell, None, &binds, claims)?;
        }
    }
    test_known(index, view)
}

fn test_absent(
    index: &Index<'_>,
    at: usize,
    cell: &Cell,
    writes: &CellIndex,
    binds: &impl Fn(usize) -> bool,
    claims: &mut Claims,
) -> Result<(), Misread> {
    if !writes.writers.iter().any(|&writer| binds(writer)) {
        return Ok(());
    }
    let Some(returned) = index.operation(at).effective_until() else { return Ok(()) };
    let absent = index.may_be_absent(writes, returned);
    claims.tested += 1;
    for (&writer, &may_be_absent) in writes.writers.iter().zip(&absent) {
        if !binds(writer) {
            continue;
        }
        if !may_be_absent {
            return Err(Misread::Missed(cell.clone(), vec![writer, at]));
        }
        claims.excused += 1;
    }
    Ok(())
}

/// A binding assignment is shown, or something that it did not replace.
fn test_register(
    index: &Index<'_>,
    at: usize,
    writes: &CellIndex,
    binds: &impl Fn(usize) -> bool,
    claims: &mut Claims,
) -> Result<(), Misread> {
    let Some((_, view)) = index.operation(at).shown() else { return Ok(()) };
    let shown: Vec<usize> =
        view.register.iter().flat_map(|v| index.sources(&Cell::Register, Some(v))).collect();
    if shown.is_empty() {
        return Ok(());
    }
    for &writer in writes.writers.iter().filter(|&&writer| binds(writer)) {
        claims.tested += 1;
        if shown.iter().all(|&source| source != writer && index.replaced(source, writer)) {
            let evidence = shown.iter().copied().chain([writer, at]).collect();
            return Err(Misread::Missed(Cell::Register, evidence));
        }
    }
    Ok(())
}

/// What is shown comes from a write that had begun, and that no binding operation dropped.
fn test_present(
    index: &Index<'_>,
    at: usize,
    cell: &Cell,
    value: Option<&Name>,
    binds: &impl Fn(usize) -> bool,
    claims: &mut Claims,
) -> Result<(), Misread> {
    let read = index.operation(at);
    let mut sources = index.sources(cell, value);
    sources.retain(|&source| !read.precedes(index.operation(source)));
    if sources.is_empty() {
        return Err(Misread::Phantom(cell.clone()));
    }
    claims.tested += 1;
    let mut evidence = vec![at];
    for &source in &sources {
        match index.done_observers(source).find(|&observer| binds(observer)) {
            Some(observer) => evidence.extend([source, observer]),
            None => return Ok(()),
        }
    }
    Err(Misread::Shown(cell.clone(), evidence))
}

/// Everything shown is of a cell that somebody wrote.
fn test_known(index: &Index<'_>, view: &View) -> Result<(), Misread> {
    let elements = view.elements.iter().map(|element| Cell::Element(element.clone()));
    let register = (!view.register.is_empty()).then_some(Cell::Register);
    let flag = view.flag.then_some(Cell::Flag);
    let written = |cell: &Cell| index.cell(cell).is_some_and(|cell| !cell.writers.is_empty());
    match elements.chain(register).chain(flag).find(|cell| !written(cell)) {
        Some(phantom) => Err(Misread::Phantom(phantom)),
        None => Ok(()),
    }
}

/// Whether an action is a read.
pub(crate) fn is_read(action: &Action) -> bool {
    matches!(action, Action::Read(_))
}
