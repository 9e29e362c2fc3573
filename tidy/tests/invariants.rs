//! The table of invariants names tests, files and switches that are there.
#![expect(clippy::unwrap_used, reason = "a test that cannot read the tree has failed")]

use std::collections::BTreeSet;
use std::fs;

use coterie_tidy::{root, sources};

/// How many invariants there are.
const INVARIANTS: usize = 23;

/// Names of all functions, and of all variants of a `Mutant`.
fn names() -> (BTreeSet<String>, BTreeSet<String>) {
    let word = |rest: &str| -> String {
        rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let (mut functions, mut mutants) = (BTreeSet::new(), BTreeSet::new());
    for path in sources() {
        let text = fs::read_to_string(path).unwrap();
        functions.extend(text.split("fn ").skip(1).map(word));
        mutants.extend(text.split("Mutant::").skip(1).map(word));
    }
    (functions, mutants)
}

fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_invariant_has_its_line_and_what_it_names_is_there() {
    let table = fs::read_to_string(root().join("docs/invariants.md")).unwrap();
    let (functions, mutants) = names();
    let mut numbers = Vec::new();
    for line in table.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, number, _, files, tests, switches, _] = cells[..] else { continue };
        let Ok(number) = number.parse::<usize>() else { continue };
        numbers.push(number);
        for file in quoted(files) {
            assert!(root().join(file).exists(), "invariant {number}: there is no {file}");
        }
        assert!(!quoted(tests).is_empty(), "nothing shows invariant {number}");
        for test in quoted(tests) {
            assert!(functions.contains(test), "invariant {number}: there is no test {test}");
        }
        for switch in quoted(switches) {
            assert!(mutants.contains(switch), "invariant {number}: there is no switch {switch}");
        }
    }
    assert_eq!(numbers, (1..=INVARIANTS).collect::<Vec<_>>());
}
