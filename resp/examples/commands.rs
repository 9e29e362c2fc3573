//! Prints docs/commands.md.
#![expect(clippy::print_stdout, reason = "it prints")]

fn main() {
    print!("{}", coterie_resp::documents::commands());
}
