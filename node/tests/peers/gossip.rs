//! Sealed datagrams.

use coterie_node::peers::{Gossip, Unopened};
use coterie_swim::Address;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::nodes::{Files, loopback, run};

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

fn bind(files: &Files, node: u128) -> (Gossip, Address) {
    let gossip = Gossip::bind(loopback(0), files.load(node)).unwrap();
    let address = gossip.local_address().unwrap().into();
    (gossip, address)
}

#[test]
fn a_packet_comes_as_it_was_sent_in_a_datagram_that_passes_everywhere() {
    run(async {
        let files = Files::new();
        let ((one, at_one), (other, at_other)) = (bind(&files, 1), bind(&files, 2));
        for length in [0, 1, Gossip::PACKET_BYTES_MAX] {
            let packet = vec![0xab; length];
            one.send(at_other, &packet);
            let (from, opened) = timeout(PATIENCE, other.receive()).await.unwrap();
            assert_eq!((from, opened.unwrap()), (at_one, packet.into()));
        }
        let socket = UdpSocket::bind(loopback(0)).await.unwrap();
        let packet = vec![0x11; Gossip::PACKET_BYTES_MAX];
        let mut datagrams = [vec![0; 2_000], vec![0; 2_000]];
        for datagram in &mut datagrams {
            one.send(socket.local_addr().unwrap().into(), &packet);
            let received = timeout(PATIENCE, socket.recv(datagram)).await.unwrap().unwrap();
            assert_eq!(received, 1_200);
            assert_eq!(datagram[..2], [1, 1], "version and key id are in clear");
        }
        // Not one byte of the packet is, and no two seals are the same.
        assert_ne!(datagrams[0][2..14], datagrams[1][2..14]);
        assert!(!datagrams[0].windows(16).any(|window| window == [0x11; 16]));
    });
}

#[test]
fn what_does_not_open_is_told_with_where_it_came_from() {
    run(async {
        let (files, foreign) = (Files::new(), Files::new());
        let (one, at_one) = bind(&files, 1);
        let (stranger, at_stranger) = bind(&foreign, 2);
        stranger.send(at_one, b"hello");
        assert_eq!(timeout(PATIENCE, one.receive()).await.unwrap(), (at_stranger, Err(Unopened)));

        let socket = UdpSocket::bind(loopback(0)).await.unwrap();
        let at_socket = Address::from(socket.local_addr().unwrap());
        let (other, _) = bind(&files, 2);
        other.send(at_socket, b"hello");
        let mut sealed = vec![0; 100];
        let length = socket.recv(&mut sealed).await.unwrap();
        sealed.truncate(length);
        let mut odd: Vec<Vec<u8>> = (0..length).map(|end| sealed[..end].to_vec()).collect();
        odd.extend((0..length).map(|place| {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            changed
        }));
        odd.push(vec![0; 9_000]);
        let count = odd.len() as u64;
        for bytes in odd {
            socket.send_to(&bytes, at_one_as_socket(at_one)).await.unwrap();
            let told = timeout(PATIENCE, one.receive()).await.unwrap();
            assert_eq!(told, (at_socket, Err(Unopened)), "{bytes:?}");
        }
        assert_eq!(one.counters().unopened, count + 1);
        // The same bytes, unchanged.
        socket.send_to(&sealed, at_one_as_socket(at_one)).await.unwrap();
        let told = timeout(PATIENCE, one.receive()).await.unwrap();
        assert_eq!(told, (at_socket, Ok("hello".into())));
    });
}

fn at_one_as_socket(address: Address) -> std::net::SocketAddr {
    address.into()
}
