//! `COTERIE EXPLAIN`: who had a part in answering for a key, and what each of them said.

use coterie_crdt::Dot;
use coterie_crdt::operation::Reply;
use coterie_wire::{Answered, Explanation};

use crate::encoder::Encoder;

/// A map: where the key lies, and what its owners say.
pub(crate) fn encode(answered: &Answered, encoder: &mut Encoder<'_>) {
    let empty = Explanation::default();
    let explanation = answered.explanation.as_deref().unwrap_or(&empty);
    encoder.map(10);
    encoder.bulk(b"type");
    match answered.replies.first() {
        Some(Ok(Reply::Type(shown))) => encoder.bulk(shown.redis_name().as_bytes()),
        Some(_) | None => encoder.null(),
    }
    encoder.bulk(b"ttl");
    match answered.replies.last() {
        Some(Ok(Reply::Integer(millis))) => encoder.integer(*millis),
        Some(_) | None => encoder.null(),
    }
    encoder.bulk(b"coordinator");
    match explanation.coordinator {
        Some(node) => encoder.bulk(node.to_string().as_bytes()),
        None => encoder.null(),
    }
    nodes("owners", &explanation.owners, encoder);
    nodes("older-owners", &explanation.older_owners, encoder);
    encoder.bulk(b"answers");
    encoder.map(explanation.answers.len());
    for (node, said) in &explanation.answers {
        encoder.bulk(node.to_string().as_bytes());
        encoder.bulk(said);
    }
    encoder.bulk(b"dots");
    encoder.map(explanation.dots.len());
    for (address, dots) in &explanation.dots {
        encoder.bulk(address);
        let text = |dot: &Dot| format!("{:016x}:{}", dot.actor.0, dot.sequence);
        encoder.bulks(dots.iter().map(text));
    }
    nodes("hinted", &explanation.hinted, encoder);
    encoder.bulk(b"digest");
    encoder.bulk(format!("{:032x}", explanation.digest).as_bytes());
    encoder.bulk(b"epoch");
    encoder.count(explanation.epoch);
}

fn nodes(name: &str, nodes: &[coterie_ring::NodeId], encoder: &mut Encoder<'_>) {
    encoder.bulk(name.as_bytes());
    encoder.bulks(nodes.iter().map(ToString::to_string));
}
