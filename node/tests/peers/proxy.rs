//! A link between two nodes that can be cut: passes datagrams on, or drops them.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;

use tokio::net::UdpSocket;
use tokio::task::spawn_local;

use super::nodes::loopback;

/// Stands in for a node, towards whoever sends to it.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    pub(crate) cut: Rc<Cell<bool>>,
    /// Whether only what the node answers is dropped.
    pub(crate) mute: Rc<Cell<bool>>,
}

impl Proxy {
    /// Passes on what comes from one other node.
    pub(crate) async fn to(node: SocketAddr) -> Proxy {
        let front = Rc::new(UdpSocket::bind(loopback(0)).await.unwrap());
        let back = Rc::new(UdpSocket::bind(loopback(0)).await.unwrap());
        let address = front.local_addr().unwrap();
        let cut = Rc::new(Cell::new(false));
        let mute = Rc::new(Cell::new(false));
        let client = Rc::new(Cell::new(None));
        spawn_local(pass(Rc::clone(&front), Rc::clone(&back), Rc::clone(&cut), {
            let client = Rc::clone(&client);
            move |from| {
                client.set(Some(from));
                Some(node)
            }
        }));
        spawn_local(pass(back, front, Rc::clone(&cut), {
            let mute = Rc::clone(&mute);
            move |_| client.get().filter(|_| !mute.get())
        }));
        Proxy { address, cut, mute }
    }
}

async fn pass(
    from: Rc<UdpSocket>,
    to: Rc<UdpSocket>,
    cut: Rc<Cell<bool>>,
    whither: impl Fn(SocketAddr) -> Option<SocketAddr>,
) {
    let mut datagram = vec![0; 65_535];
    loop {
        let (length, sender) = from.recv_from(&mut datagram).await.unwrap();
        if let Some(whither) = whither(sender)
            && !cut.get()
        {
            to.send_to(&datagram[..length], whither).await.unwrap();
        }
    }
}
