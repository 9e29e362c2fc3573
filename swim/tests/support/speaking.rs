//! How a test speaks to a node in another node's name.

use coterie_swim::simulation::Cluster;
use coterie_swim::{Event, Header, Item, Layout, Record, encode_packet};

/// Hands records to a node, as gossip of another.
pub(crate) fn tell(cluster: &mut Cluster, from: usize, to: usize, records: &[Record]) {
    let sender = cluster.swim(from).expect("it runs");
    let own = sender.own_record();
    let header = Header {
        sender: own.id,
        generation: own.evidence.generation,
        incarnation: own.evidence.incarnation,
        digest: sender.digest(),
        layout: Layout::default(),
        health: 0,
    };
    let address = own.attributes.expect("a node has attributes").gossip;
    let items: Vec<Item> = records.iter().cloned().map(Item::Record).collect();
    let bytes = encode_packet(&header, &items);
    cluster.give(to, Event::Packet { from: address, bytes: &bytes });
}
