//! A server that answers at once and does nothing: it shows what the generator itself costs.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, park_timeout};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

/// Names the listener among what the poller tells of.
const LISTENER: u64 = u64::MAX;

/// The longest request.
const INPUT_MAX: usize = 64 << 20;

/// How often it looks whether it is to end.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// A stretch of time in which nobody is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    /// After how many requests it begins.
    pub after_requests: u64,
    /// How long it is.
    pub length: Duration,
}

/// A running server, which ends with this handle.
#[derive(Debug)]
pub struct Null {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    over: AtomicBool,
    requests: AtomicU64,
    stalls: AtomicU64,
}

impl Null {
    /// Starts one, in a thread of its own.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub fn start(address: SocketAddr, stall: Option<Stall>) -> io::Result<Null> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        let server = Server {
            epoll,
            listener,
            clients: Vec::new(),
            free: Vec::new(),
            shared: Arc::clone(&shared),
            stall,
            answered: 0,
            room: vec![0; 256 << 10],
        };
        let thread = std::thread::spawn(move || server.run());
        Ok(Null { address, shared, thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests it has answered.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// How many stalls are over.
    #[must_use]
    pub fn stalls(&self) -> u64 {
        self.shared.stalls.load(Ordering::Relaxed)
    }

    /// Serves until it fails or is ended.
    ///
    /// # Errors
    /// If it could not go on.
    pub fn wait(mut self) -> io::Result<()> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(ended)) => ended,
            _ => Err(io::Error::other("the server has panicked")),
        }
    }
}

impl Drop for Null {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

struct Client {
    stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
    watched_for_writing: bool,
}

struct Server {
    epoll: OwnedFd,
    listener: TcpListener,
    clients: Vec<Option<Client>>,
    free: Vec<usize>,
    shared: Arc<Shared>,
    stall: Option<Stall>,
    answered: u64,
    room: Vec<u8>,
}

impl Server {
    fn run(mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(256);
        while !self.shared.over.load(Ordering::Relaxed) {
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&LOOK)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                match event.data.u64() {
                    LISTENER => self.accept()?,
                    index => self.serve(usize::try_from(index).unwrap_or(usize::MAX)),
                }
                self.stall();
            }
        }
        Ok(())
    }

    fn stall(&mut self) {
        self.shared.requests.store(self.answered, Ordering::Relaxed);
        let Some(stall) = self.stall.filter(|stall| self.answered >= stall.after_requests) else {
            return;
        };
        self.stall = None;
        let until = Instant::now() + stall.length;
        while Instant::now() < until && !self.shared.over.load(Ordering::Relaxed) {
            let left = until.saturating_duration_since(Instant::now());
            park_timeout(left.min(Duration::from_millis(50)));
        }
        self.shared.stalls.fetch_add(1, Ordering::Relaxed);
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // One that was gone again at once, or no more files: the others go on.
                Err(_) => return Ok(()),
            };
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let index = self.free.pop().unwrap_or(self.clients.len());
            epoll::add(&self.epoll, &stream, EventData::new_u64(index as u64), EventFlags::IN)?;
            let client = Client {
                stream,
                input: Vec::new(),
                output: Vec::new(),
                watched_for_writing: false,
            };
            if index == self.clients.len() {
                self.clients.push(Some(client));
            } else {
                self.clients[index] = Some(client);
            }
        }
    }

    fn serve(&mut self, index: usize) {
        let Some(Some(client)) = self.clients.get_mut(index) else { return };
        match client.serve(&mut self.room) {
            Ok(count) => {
                self.answered += count;
                let wanted = !client.output.is_empty();
                if wanted != client.watched_for_writing {
                    client.watched_for_writing = wanted;
                    let flags =
                        if wanted { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
                    let data = EventData::new_u64(index as u64);
                    if epoll::modify(&self.epoll, &client.stream, data, flags).is_ok() {
                        return;
                    }
                } else {
                    return;
                }
            }
            Err(_gone) => {}
        }
        self.clients[index] = None;
        self.free.push(index);
    }
}

impl Client {
    /// Answers what has come; how many requests that were.
    fn serve(&mut self, room: &mut [u8]) -> io::Result<u64> {
        let mut count = 0;
        loop {
            match self.stream.read(room) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => {
                    if self.input.is_empty() {
                        let used = answer(&room[..length], &mut self.output, &mut count)?;
                        self.input.extend_from_slice(&room[used..length]);
                    } else {
                        self.input.extend_from_slice(&room[..length]);
                        let used = answer(&self.input, &mut self.output, &mut count)?;
                        self.input.drain(..used);
                    }
                    if self.input.len() > INPUT_MAX {
                        return Err(ErrorKind::InvalidData.into());
                    }
                    // Who does not read answers is not read either.
                    if length < room.len() || self.output.len() > INPUT_MAX {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let mut written = 0;
        while written < self.output.len() {
            match self.stream.write(&self.output[written..]) {
                Ok(length) => written += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.output.drain(..written);
        Ok(count)
    }
}

/// Answers the whole requests among some bytes; how many of the bytes these take.
fn answer(bytes: &[u8], output: &mut Vec<u8>, count: &mut u64) -> io::Result<usize> {
    let mut at = 0;
    while let Some((used, command)) = request(&bytes[at..])? {
        at += used;
        *count += 1;
        output.extend_from_slice(match command {
            b"GET" | b"HGET" | b"LPOP" | b"RPOP" | b"ZSCORE" => b"$-1\r\n",
            b"HGETALL" | b"SMEMBERS" | b"MGET" | b"LRANGE" | b"ZRANGE" | b"ZRANGEBYLEX"
            | b"CONFIG" => b"*0\r\n",
            b"HELLO" => b"*0\r\n",
            _ => b"+OK\r\n",
        });
    }
    Ok(at)
}

/// How long the first request is, and its command; nothing if more must come.
fn request(bytes: &[u8]) -> io::Result<Option<(usize, &[u8])>> {
    let mut at = 0;
    let Some(count) = number(bytes, &mut at, b'*')? else { return Ok(None) };
    let mut command: &[u8] = b"";
    for word in 0..count {
        let Some(length) = number(bytes, &mut at, b'$')? else { return Ok(None) };
        if word == 0 {
            command = bytes.get(at..at + length).unwrap_or_default();
        }
        at += length + 2;
        if at > bytes.len() {
            return Ok(None);
        }
    }
    Ok(Some((at, command)))
}

/// A line of a sign and digits.
fn number(bytes: &[u8], at: &mut usize, sign: u8) -> io::Result<Option<usize>> {
    let Some(first) = bytes.get(*at) else { return Ok(None) };
    if *first != sign {
        return Err(ErrorKind::InvalidData.into());
    }
    let mut number = 0;
    let mut next = *at + 1;
    loop {
        match bytes.get(next) {
            None => return Ok(None),
            Some(digit @ b'0'..=b'9') if number < INPUT_MAX => {
                number = number * 10 + usize::from(digit - b'0');
            }
            Some(b'\r') => break,
            Some(_) => return Err(ErrorKind::InvalidData.into()),
        }
        next += 1;
    }
    if bytes.len() < next + 2 {
        return Ok(None);
    }
    *at = next + 2;
    Ok(Some(number))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::command;

    proptest! {
        #[test]
        fn whole_requests_are_answered_however_they_come(
            words in proptest::collection::vec(
                proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..9), 1..4), 1..6),
            cut: u16,
        ) {
            let mut bytes = Vec::new();
            for request in &words {
                let request: Vec<&[u8]> = request.iter().map(Vec::as_slice).collect();
                command::request(&request, &mut bytes);
            }
            let (mut output, mut count) = (Vec::new(), 0);
            let cut = usize::from(cut) % (bytes.len() + 1);
            let used = answer(&bytes[..cut], &mut output, &mut count).unwrap();
            let rest = answer(&bytes[used..], &mut output, &mut count).unwrap();
            prop_assert_eq!(used + rest, bytes.len());
            prop_assert_eq!(count, words.len() as u64);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let (mut output, mut count) = (Vec::new(), 0);
            if let Ok(used) = answer(&bytes, &mut output, &mut count) {
                prop_assert!(used <= bytes.len());
            }
        }
    }
}
