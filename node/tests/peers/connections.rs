//! What holds of connections between nodes of one cluster.

use std::time::Duration;

use coterie_node::peers::PeersLimits;
use coterie_protocol::Class;
use coterie_ring::NodeId;
use coterie_swim::Address;
use coterie_wire::RequestId;

use super::nodes::{Files, Node, loopback, message, pair, quick, run};
use super::proxy::Proxy;

/// Limits under which a test would end long before an idle timeout: what is noticed was told.
fn patient() -> PeersLimits {
    PeersLimits { idle: Duration::from_secs(600), ..PeersLimits::default() }
}

#[test]
fn messages_of_a_class_arrive_in_order_both_ways() {
    run(async {
        let files = Files::new();
        let (one, other) = pair(&files, PeersLimits::default());
        for number in 0..10_000 {
            let class = if number % 2 == 0 { Class::Requests } else { Class::Bulk };
            one.peers.send(other.id, class, Box::new(message(number, 100)));
            if number % 100 == 0 {
                one.peers.flush();
            }
        }
        one.peers.flush();
        let came = other.messages(10_000).await;
        for parity in 0..2 {
            let of_class: Vec<u128> =
                came.iter().map(|came| came.request.0).filter(|id| id % 2 == parity).collect();
            assert_eq!(of_class, (0..10_000).filter(|id| id % 2 == parity).collect::<Vec<_>>());
        }
        assert_eq!(came[0], message(came[0].request.0, 100));
        other.send(one.id, message(1, 1));
        assert_eq!(one.messages(1).await, [message(1, 1)]);
        assert_eq!(one.told.borrow().messages[0].0, other.id);
        // One connection serves both ways.
        assert_eq!((one.peers.connections().len(), other.peers.connections().len()), (1, 1));
        assert_eq!(other.peers.counters().received, 10_000);
    });
}

#[test]
fn hellos_are_exchanged_with_how_old_they_may_be() {
    run(async {
        let files = Files::new();
        let (one, other) = pair(&files, PeersLimits::default());
        one.send(other.id, message(1, 1));
        for (node, peer) in [(&one, &other), (&other, &one)] {
            node.until("hello was said", |node| !node.told.borrow().hellos.is_empty()).await;
            let (from, hello, round_trip) = node.told.borrow().hellos[0];
            assert_eq!((from, hello.wall_millis, hello.protocols), (peer.id, 77, (1, 3)));
            assert!(!round_trip.is_zero() && round_trip < Duration::from_secs(30));
        }
    });
}

#[test]
fn nodes_that_connect_to_each_other_at_once_come_to_send_by_one_connection() {
    run(async {
        let files = Files::new();
        let (one, other) = pair(&files, PeersLimits::default());
        // Both attempts begin before either is known of at the other end.
        one.send(other.id, message(1, 10));
        other.send(one.id, message(2, 10));
        one.messages(1).await;
        other.messages(1).await;
        let by_that_of_one = |node: &Node| {
            let connections = node.peers.connections();
            let by: Vec<_> = connections.iter().filter(|connection| connection.sent_by).collect();
            by.len() == 1 && by[0].made_here == (node.id == NodeId(1))
        };
        one.until("it sends by its own", by_that_of_one).await;
        other.until("it sends by that of the lower id", by_that_of_one).await;
        one.send(other.id, message(7, 10));
        other.messages(2).await;
        assert!(one.told.borrow().lost.is_empty() && other.told.borrow().lost.is_empty());
    });
}

#[test]
fn a_message_of_the_largest_size_arrives_and_a_larger_one_is_told_of() {
    run(async {
        let files = Files::new();
        let (one, other) = pair(&files, PeersLimits::default());
        // The header and the wrapping of the body.
        let largest = (16 << 20) - 90 - 16;
        one.send(other.id, message(1, largest));
        one.send(other.id, message(2, 16 << 20));
        one.send(other.id, message(3, 1));
        let came = other.messages(2).await;
        assert_eq!(came[0], message(1, largest));
        assert_eq!(came[1], message(3, 1));
        one.until("the larger is told of", |node| !node.told.borrow().unreachable.is_empty()).await;
        assert_eq!(one.told.borrow().unreachable, [(other.id, RequestId(2))]);
    });
}

#[test]
fn a_seed_is_sent_to_before_it_is_known_who_it_is() {
    run(async {
        let files = Files::new();
        let one = Node::start(files.load(1), loopback(0), PeersLimits::default());
        let other = Node::start(files.load(2), loopback(0), PeersLimits::default());
        let seed = Address::from(other.address());
        for number in 0..3 {
            one.peers.send_to(None, seed, Box::new(message(number, 1)));
            one.peers.flush();
        }
        other.messages(3).await;
        // Who was a seed is a peer from then on, and is not connected to again.
        one.peers.send_to(Some(other.id), seed, Box::new(message(3, 1)));
        one.peers.send_to(None, seed, Box::new(message(4, 1)));
        one.peers.flush();
        let requests: Vec<u128> =
            other.messages(5).await.iter().map(|came| came.request.0).collect();
        assert_eq!(requests, [0, 1, 2, 3, 4]);
        assert_eq!(one.peers.counters().made, 1);
    });
}

#[test]
fn a_lane_connects_to_the_peers_lane_of_its_number() {
    run(async {
        let files = Files::new();
        let limits = PeersLimits::default();
        let one = Node::start_lane(files.load(1), loopback(0), limits, 3);
        // Two lanes at ports that follow each other.
        let lanes = (0..100).find_map(|_| {
            let first = std::net::UdpSocket::bind(loopback(0)).unwrap().local_addr().unwrap();
            let second = loopback(first.port().checked_add(1)?);
            std::net::UdpSocket::bind(second).ok()?;
            Some((first, second))
        });
        let (first, second) = lanes.unwrap();
        let zero = Node::start_lane(files.load(2), first, limits, 0);
        let one_of_two = Node::start_lane(files.load(2), second, limits, 1);
        one.knows(&[(zero.id, first, 2)]);
        one.send(zero.id, message(1, 1));
        one_of_two.messages(1).await;
        assert!(zero.told.borrow().messages.is_empty());
    });
}

#[test]
fn a_peer_that_restarts_is_noticed_and_connected_to_again() {
    run(async {
        let files = Files::new();
        let one = Node::start(files.load(1), loopback(0), patient());
        let certificates = files.load(2);
        let (tell, told) = std::sync::mpsc::channel();
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let process = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let (runtime, local) = (runtime.unwrap(), tokio::task::LocalSet::new());
            runtime.block_on(local.run_until(async {
                let node = Node::start(certificates, loopback(0), patient());
                tell.send(node.address()).unwrap();
                drop(ended.await);
            }));
            // As if it were killed: what would say farewell is gone before the connections are.
            runtime.shutdown_background();
            drop(local);
        });
        let place = told.recv().unwrap();
        one.knows(&[(NodeId(2), place, 1)]);
        one.send(NodeId(2), message(1, 1));
        one.until("hello was said", |node| !node.told.borrow().hellos.is_empty()).await;
        end.send(()).unwrap();
        process.join().unwrap();
        let connected = one.peers.connections();
        assert_eq!(connected.len(), 1);
        let after = rebind(&files, place).await;
        one.send(after.id, message(2, 1));
        one.until("the loss is told", |node| !node.told.borrow().lost.is_empty()).await;
        assert!(one.told.borrow().unreachable.contains(&(after.id, RequestId(2))));
        one.send(after.id, message(3, 1));
        let came = after.messages(1).await;
        assert_eq!(came.last().unwrap().request, RequestId(3));
    });
}

/// Starts node 2 again at its place, once that is free.
async fn rebind(files: &Files, place: std::net::SocketAddr) -> Node {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while std::net::UdpSocket::bind(place).is_err() {
        assert!(tokio::time::Instant::now() < deadline, "the place does not become free");
        tokio::task::yield_now().await;
    }
    Node::start(files.load(2), place, patient())
}

#[test]
fn a_restarted_peer_that_connects_first_takes_the_place_of_its_former_process() {
    run(async {
        let files = Files::new();
        let one = Node::start(files.load(1), loopback(0), PeersLimits::default());
        let before = Node::start(files.load(2), loopback(0), PeersLimits::default());
        one.knows(&[(before.id, before.address(), 1)]);
        one.send(before.id, message(1, 1));
        before.messages(1).await;
        // The former process still has its connection, as if it had hung; another one has its name.
        let after = Node::start(files.load(2), loopback(0), PeersLimits::default());
        after.knows(&[(one.id, one.address(), 1)]);
        after.send(one.id, message(2, 1));
        one.messages(1).await;
        before.until("it is turned out", |node| !node.told.borrow().lost.is_empty()).await;
        one.send(after.id, message(3, 1));
        after.messages(1).await;
    });
}

#[test]
fn a_peer_that_falls_silent_is_noticed_and_what_it_was_sent_is_told() {
    run(async {
        let files = Files::new();
        let (one, other) = pair(&files, quick());
        let proxy = Proxy::to(other.address()).await;
        one.knows(&[(other.id, proxy.address, 1)]);
        one.send(other.id, message(1, 1));
        other.messages(1).await;
        proxy.cut.set(true);
        for number in 2..5 {
            one.send(other.id, message(number, 1));
        }
        one.until("the loss is told", |node| !node.told.borrow().lost.is_empty()).await;
        other.until("the loss is told", |node| !node.told.borrow().lost.is_empty()).await;
        let told = one.told.borrow().unreachable.clone();
        for number in 2..5 {
            assert!(told.contains(&(other.id, RequestId(number))), "{number} is not told");
        }
        // While nothing gets through, what is sent is told of each time.
        one.send(other.id, message(5, 1));
        let of_it = (other.id, RequestId(5));
        one.until("it is told", |node| node.told.borrow().unreachable.contains(&of_it)).await;
        proxy.cut.set(false);
        one.send(other.id, message(6, 1));
        let came = other.messages(2).await;
        assert_eq!(came.last().unwrap().request, RequestId(6));
    });
}

#[test]
fn a_connection_on_which_nothing_is_said_is_kept() {
    run(async {
        let files = Files::new();
        let (one, other) = pair(&files, quick());
        one.send(other.id, message(1, 1));
        other.messages(1).await;
        let since = tokio::time::Instant::now();
        one.until("thrice the idle timeout has passed", |_| since.elapsed() > 3 * quick().idle)
            .await;
        one.send(other.id, message(2, 1));
        other.messages(2).await;
        assert_eq!(one.peers.counters().made, 1);
        assert!(one.told.borrow().lost.is_empty());
    });
}

#[test]
fn what_waits_for_a_peer_is_bounded_and_told_beyond() {
    run(async {
        let files = Files::new();
        let limits = PeersLimits { queued_bytes_max: 1 << 20, ..quick() };
        let one = Node::start(files.load(1), loopback(0), limits);
        // Nobody answers there.
        let silent = std::net::UdpSocket::bind(loopback(0)).unwrap();
        let absent = NodeId(2);
        one.knows(&[(absent, silent.local_addr().unwrap(), 1)]);
        for number in 0..100 {
            one.send(absent, message(number, 64 << 10));
        }
        // Bulk has half of the room.
        for number in 100..200 {
            one.peers.send(absent, Class::Bulk, Box::new(message(number, 64 << 10)));
        }
        one.until("what is beyond is told", |node| node.told.borrow().unreachable.len() >= 175)
            .await;
        assert_eq!(one.peers.counters().overflowed, 84 + 92);
        one.until("the rest is told when the attempt has failed", |node| {
            node.told.borrow().unreachable.len() == 200
        })
        .await;
        let mut told: Vec<u128> =
            one.told.borrow().unreachable.iter().map(|(_, request)| request.0).collect();
        told.sort_unstable();
        assert_eq!(told, (0..200).collect::<Vec<_>>());
    });
}

#[test]
fn a_peer_of_which_nothing_is_known_is_told_as_unreachable() {
    run(async {
        let files = Files::new();
        let one = Node::start(files.load(1), loopback(0), quick());
        let mut unnamed = message(2, 1);
        unnamed.slice = None;
        one.send(NodeId(9), unnamed);
        one.send(NodeId(9), message(1, 1));
        one.until("it is told", |node| !node.told.borrow().unreachable.is_empty()).await;
        assert_eq!(one.told.borrow().unreachable, [(NodeId(9), RequestId(1))]);
    });
}

#[test]
fn a_peer_that_is_not_talked_to_loses_its_connection() {
    run(async {
        let files = Files::new();
        let (one, other) = pair(&files, quick());
        one.send(other.id, message(1, 1));
        other.messages(1).await;
        other.peers.disconnect(one.id);
        one.until("the loss is told", |node| !node.told.borrow().lost.is_empty()).await;
        other.until("it is gone", |node| node.peers.connections().is_empty()).await;
        assert!(other.told.borrow().lost.is_empty(), "it wanted that itself");
    });
}

#[test]
fn a_node_that_ends_says_so() {
    run(async {
        let files = Files::new();
        let (one, other) = pair(&files, patient());
        one.send(other.id, message(1, 1));
        other.messages(1).await;
        one.peers.stop().await;
        other.until("the loss is told", |node| !node.told.borrow().lost.is_empty()).await;
    });
}
