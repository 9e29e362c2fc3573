//! Keys in pairs that lie in one leaf of the digest trees: what the two differ in by the same may not cancel out.

use coterie_protocol::digests::leaf_of;
use coterie_ring::Partitioner;
use coterie_wire::Key;

/// Names of twice as many keys of a bucket as there are `pairs`, each second one in the leaf of the one before.
pub(super) fn names(
    partitioner: Partitioner,
    bucket: &'static str,
    prefix: &str,
    pairs: u64,
) -> Vec<String> {
    let place = |name: &str| {
        let key = Key::new(bucket, name.to_owned());
        (key.partition(partitioner), leaf_of(partitioner, key.hash()))
    };
    let mut names = Vec::new();
    for pair in 0..pairs {
        let first = format!("{prefix}{pair}");
        let twin = (0_u64..).map(|number| format!("{prefix}{pair}-{number}"));
        let leaf = place(&first);
        let twin = twin.into_iter().find(|name| place(name) == leaf);
        names.extend([first, twin.expect("each leaf has as many keys as one likes")]);
    }
    names
}
