//! Reading the streams of a peer.

use std::fmt::Display;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use coterie_protocol::Class;
use coterie_wire::Body;
use coterie_wire::frame::{Frame, FrameCounters, Reader};
use coterie_wire::peer::PeerRefusal;
use quinn::RecvStream;
use tracing::warn;

use super::Inner;
use super::head::Head;
use super::link::{Closing, Link};
use super::outgoing::place;
use super::settings::PeerEvent;

/// Pieces that are taken from a stream at a time.
const PIECES: usize = 32;

/// Hands up what comes on a stream until it ends.
pub(super) async fn receive(inner: Rc<Inner>, link: Rc<Link>, mut stream: RecvStream) {
    let mut pieces: [Bytes; PIECES] = Default::default();
    let mut beginning = BytesMut::new();
    let mut reader = None;
    let mut counted = FrameCounters::default();
    // A stream that ends or fails is one of a connection that does, which says so itself.
    while let Ok(Some(count)) = stream.read_chunks(&mut pieces).await {
        let mut bytes = 0;
        for piece in &mut pieces[..count] {
            let piece = std::mem::take(piece);
            bytes += piece.len() as u64;
            let Some(reader) = &mut reader else {
                beginning.extend_from_slice(&piece);
                match Head::take(&mut beginning) {
                    Ok(None) => {}
                    Ok(Some(head)) => {
                        if !inner.begins(&link, &head) {
                            return inner.garbage(&link, &"there are two streams of one class");
                        }
                        let mut first = Reader::new(inner.tag);
                        first.push(&beginning);
                        reader = Some(first);
                    }
                    Err(error) => return inner.garbage(&link, &error),
                }
                continue;
            };
            reader.push(&piece);
        }
        let Some(reader) = &mut reader else { continue };
        let read = inner.hand_up(&link, reader, bytes);
        inner.count_frames(reader.counters(), &mut counted);
        if let Err(error) = read {
            return inner.garbage(&link, &error);
        }
    }
}

impl Inner {
    /// A stream has begun; `false` if there is one of its class already.
    fn begins(&self, link: &Rc<Link>, head: &Head) -> bool {
        let mut classes = link.classes.get();
        if std::mem::replace(&mut classes[place(head.class)], true) {
            return false;
        }
        link.classes.set(classes);
        if link.closing.get().is_some() {
            return true;
        }
        self.table.greeted(link, head);
        if let Some(hello) = head.hello {
            let round_trip = link.began.elapsed();
            (self.events)(PeerEvent::Hello { peer: link.peer, hello, round_trip });
        }
        true
    }

    /// Hands up all whole frames.
    fn hand_up(
        self: &Rc<Self>,
        link: &Link,
        reader: &mut Reader,
        bytes: u64,
    ) -> Result<(), coterie_wire::frame::FrameError> {
        let from = link.peer;
        let mut received = 0;
        let mut refusals = false;
        let read = loop {
            match reader.next_frame() {
                Ok(None) => break Ok(()),
                Ok(Some(Frame::Message(message))) => {
                    received += 1;
                    (self.events)(PeerEvent::Message { from, message });
                }
                Ok(Some(Frame::Refused(answer))) => {
                    // Two that take each other for foreign would go on refusing each other's refusals.
                    let foreign = answer.body == Body::Refused(PeerRefusal::OtherCluster);
                    if !foreign || reader.counters().other_cluster == 1 {
                        self.table.send(from, Class::Requests, &answer);
                        refusals = true;
                    }
                }
                Err(error) => break Err(error),
            }
        };
        let mut counters = self.table.counters.borrow_mut();
        counters.received += received;
        counters.received_bytes += bytes;
        drop(counters);
        if refusals {
            self.flush();
        }
        read
    }

    fn count_frames(&self, now: FrameCounters, counted: &mut FrameCounters) {
        if now != *counted {
            let new = FrameCounters {
                unbounded: now.unbounded - counted.unbounded,
                other_cluster: now.other_cluster - counted.other_cluster,
                unsupported: now.unsupported - counted.unsupported,
                malformed: now.malformed - counted.malformed,
            };
            self.table.counters.borrow_mut().frames.add(&new);
            *counted = now;
        }
    }

    /// What comes on a connection is no stream of ours: nothing after it can be read.
    fn garbage(&self, link: &Link, reason: &dyn Display) {
        self.table.counters.borrow_mut().garbage += 1;
        let peer = format_args!("{:032x}", link.peer.0);
        warn!(%peer, %reason, "a connection is closed for what came on it");
        link.close(Closing::Garbage, &reason.to_string());
    }
}
