//! docs/commands.md is what the table says.

#[test]
fn the_document_is_made_from_the_table() {
    let there = include_str!("../../docs/commands.md");
    let made = coterie_resp::documents::commands();
    let differs = there.lines().zip(made.lines()).find(|(there, made)| there != made);
    assert!(
        there == made,
        "docs/commands.md is stale, from {differs:?} on; make it anew by\n\
         cargo run --release -p coterie-resp --example commands > docs/commands.md"
    );
}
