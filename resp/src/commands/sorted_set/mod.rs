//! Commands on sorted sets.

mod algebra;
mod bounds;
mod member;
mod pop;
mod range;
mod table;

pub(super) use table::COMMANDS;
