//! The laws of every type, against a naive model: exhaustively at small scope, at random beyond it, and
//! against each historical bug.

mod actions;
mod convergence;
mod exhaustive;
mod model;
mod mutants;
mod partial;
mod published;
mod random;
mod regressions;
mod replica;
mod search;
mod sound;
mod subject;
mod transfers;
mod violation;
