//! Echo of messages between two lanes in two threads: how many a second, and what that costs.
//!
//! `cargo run --release -p coterie-node --example peers -- --seconds 3 --frame-bytes 150 --in-flight 1,64,256`
#![expect(clippy::print_stdout, reason = "it prints figures")]

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Parser;
use coterie_node::certificates::{CertCommand, Certificates};
use coterie_node::peers::{PeerEvent, Peers, PeersLimits, PeersSettings};
use coterie_protocol::Class;
use coterie_ring::NodeId;
use coterie_ring::moves::SetVersion;
use coterie_swim::Address;
use coterie_wire::peer::control::{ControlMessage, Hello};
use coterie_wire::{Body, Message, RequestId};
use tokio::runtime::Builder;
use tokio::sync::{Notify, oneshot};
use tokio::task::LocalSet;

type Failure = Box<dyn Error + Send + Sync>;

/// What a frame has besides the bytes of the message: length, header, and what wraps the body.
const FRAME_OVERHEAD: usize = 4 + 90 + 8;

#[derive(Debug, Parser)]
struct Options {
    /// How long each measurement takes.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// How long a frame is.
    #[arg(long, default_value_t = 150)]
    frame_bytes: usize,
    /// How many messages are under way.
    #[arg(long, value_delimiter = ',', default_value = "1,64,256")]
    in_flight: Vec<usize>,
    /// The largest datagram.
    #[arg(long, default_value_t = PeersLimits::default().datagram_bytes_max)]
    datagram_bytes: u16,
}

#[derive(Debug, Parser)]
struct Cert {
    #[command(subcommand)]
    command: CertCommand,
}

fn cert(arguments: &[&str]) -> Result<(), Failure> {
    let line = Cert::try_parse_from(["cert"].iter().chain(arguments))?;
    line.command.carry_out()?;
    Ok(())
}

/// What came and was not looked at yet.
type Inbox = Rc<RefCell<Vec<(NodeId, Box<Message>)>>>;

/// A lane without a protocol: what came is taken in batches, as lanes do.
struct Lane {
    peers: Peers,
    inbox: Inbox,
    news: Rc<Notify>,
}

fn lane(directory: PathBuf, datagram_bytes_max: u16) -> Result<Lane, Failure> {
    let certificates = Certificates::load(&directory)?;
    let limits = PeersLimits { datagram_bytes_max, ..PeersLimits::default() };
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = PeersSettings { lane: 0, process: 1, listen, certificates, limits };
    let (inbox, news) = (Inbox::default(), Rc::new(Notify::new()));
    let (kept, told) = (Rc::clone(&inbox), Rc::clone(&news));
    let events = move |event| {
        if let PeerEvent::Message { from, message } = event {
            kept.borrow_mut().push((from, message));
            told.notify_one();
        }
    };
    let peers = Peers::start(settings, Rc::new(events))?;
    peers.set_hello(|| Hello { wall_millis: 0, protocols: (1, 1) });
    Ok(Lane { peers, inbox, news })
}

/// Sends back all that comes.
async fn echo(lane: Lane) {
    let mut batch = Vec::new();
    loop {
        lane.news.notified().await;
        std::mem::swap(&mut batch, &mut *lane.inbox.borrow_mut());
        for (from, message) in batch.drain(..) {
            lane.peers.send(from, Class::Requests, message);
        }
        lane.peers.flush();
    }
}

/// Processor time of this process so far.
fn processor_time() -> Result<Duration, Failure> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    let ticks = ticks.sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * 10))
}

fn message(bytes: usize) -> Message {
    let said = ControlMessage::Swim(Bytes::from(vec![0x5a; bytes.saturating_sub(FRAME_OVERHEAD)]));
    Message {
        request: RequestId(1),
        slice: None,
        layout: SetVersion { epoch: 0, number: 1 },
        epoch: 0,
        time_left: None,
        trace: 0,
        committed: None,
        body: Body::Control(said),
    }
}

async fn measure(
    lane: &Lane,
    to: NodeId,
    options: &Options,
    in_flight: usize,
) -> Result<(), Failure> {
    let done = Cell::new(0_u64);
    let mut round_trips = Vec::new();
    let mut batch = Vec::new();
    let (began, processor) = (Instant::now(), processor_time()?);
    let end = began + Duration::from_secs(options.seconds);
    for _ in 0..in_flight {
        lane.peers.send(to, Class::Requests, Box::new(message(options.frame_bytes)));
    }
    let mut left = in_flight;
    let mut sent = began;
    lane.peers.flush();
    while left > 0 {
        lane.news.notified().await;
        let now = Instant::now();
        if in_flight == 1 {
            round_trips.push(now - sent);
            sent = now;
        }
        std::mem::swap(&mut batch, &mut *lane.inbox.borrow_mut());
        for (from, message) in batch.drain(..) {
            done.set(done.get() + 1);
            if now < end {
                lane.peers.send(from, Class::Requests, message);
            } else {
                left -= 1;
            }
        }
        lane.peers.flush();
    }
    let (took, processor) = (began.elapsed(), processor_time()? - processor);
    let rate = done.get() as f64 / took.as_secs_f64();
    let cost = processor.as_secs_f64() * 1e6 / done.get() as f64;
    print!(
        "{in_flight:>4} in flight: {rate:>9.0} round trips/s, {cost:>6.2} µs CPU each (both ends)"
    );
    round_trips.sort_unstable();
    if let Some(median) = round_trips.get(round_trips.len() / 2) {
        print!(", p50 {median:?}, p99 {:?}", round_trips[round_trips.len() * 99 / 100]);
    }
    println!();
    Ok(())
}

fn in_runtime<T>(local: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    Ok(LocalSet::new().block_on(&runtime, local))
}

fn main() -> Result<(), Failure> {
    let options = Arc::new(Options::parse());
    let directory = std::env::temp_dir().join(format!("coterie-peers-{}", std::process::id()));
    let place = |name: &str| directory.join(name);
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    cert(&["init", "--dir", &text(place("ca"))])?;
    for (node, name) in [(1, "one"), (2, "other")] {
        let id = format!("{node:032x}");
        cert(&["node", "--dir", &text(place("ca")), "--out", &text(place(name)), "--node", &id])?;
    }
    let (tell, told) = mpsc::channel();
    let (end, ended) = oneshot::channel::<()>();
    let other = place("other");
    let datagram_bytes = options.datagram_bytes;
    let echoing = thread::spawn(move || {
        in_runtime(async {
            let lane = lane(other, datagram_bytes)?;
            tell.send(lane.peers.local_address()?)?;
            tokio::select! {
                () = echo(lane) => {}
                _ = ended => {}
            }
            Ok::<(), Failure>(())
        })
    });
    let address = told.recv()?;
    let measured = in_runtime(async {
        let lane = lane(place("one"), datagram_bytes)?;
        let to = NodeId(2);
        // Connects, and lets the largest datagram be found.
        lane.peers.send_to(Some(to), Address::from(address), Box::new(message(200)));
        lane.peers.flush();
        lane.news.notified().await;
        lane.inbox.borrow_mut().clear();
        for in_flight in [64].iter().chain(&options.in_flight) {
            measure(&lane, to, &options, *in_flight).await?;
        }
        for connection in lane.peers.connections() {
            println!("{connection:?}");
        }
        Ok::<(), Failure>(())
    });
    drop(end);
    echoing.join().map_err(|_panic| "the echoing thread has panicked")???;
    fs::remove_dir_all(&directory)?;
    measured?
}
