//! Memory that clients hold with what they have under way, at all doors of a node together.

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use coterie_resp::Memory;

/// What clients hold. Clones are the same.
#[derive(Clone, Debug)]
pub struct ClientMemory(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    held: AtomicUsize,
    most: usize,
}

impl ClientMemory {
    /// Clients may hold so many bytes, and hold none yet.
    #[must_use]
    pub fn new(most: usize) -> Self {
        ClientMemory(Arc::new(Inner { held: AtomicUsize::new(0), most }))
    }

    /// What they hold and may hold.
    #[must_use]
    pub fn now(&self) -> Memory {
        Memory { held: self.0.held.load(Ordering::Relaxed), most: self.0.most }
    }

    /// A part for one request, of no bytes yet.
    #[must_use]
    pub fn part(&self) -> Part {
        Part { memory: self.clone(), held: AtomicUsize::new(0) }
    }

    fn change(&self, bytes: isize) {
        let held = &self.0.held;
        if let Ok(more) = usize::try_from(bytes) {
            held.fetch_add(more, Ordering::Relaxed);
        } else {
            held.fetch_sub(bytes.unsigned_abs(), Ordering::Relaxed);
        }
    }
}

/// What one request holds; given back when it is dropped.
#[derive(Debug)]
pub struct Part {
    memory: ClientMemory,
    held: AtomicUsize,
}

/// Clients hold as much as they may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory {
    /// How much that is.
    pub bytes_max: usize,
}

impl fmt::Display for NoMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let most = self.bytes_max;
        write!(f, "what clients have under way takes the {most} bytes of memory that it may take")
    }
}

impl Error for NoMemory {}

impl Part {
    /// Takes so many bytes more, if there is room.
    ///
    /// # Errors
    /// [`NoMemory`]; it holds what it held before.
    pub fn take(&self, bytes: usize) -> Result<(), NoMemory> {
        let memory = self.memory.now();
        if !memory.has_room(self.held.load(Ordering::Relaxed), bytes) {
            return Err(NoMemory { bytes_max: memory.most });
        }
        self.held.fetch_add(bytes, Ordering::Relaxed);
        self.memory.0.held.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.memory.0.held.fetch_sub(*self.held.get_mut(), Ordering::Relaxed);
    }
}

/// What a lane's connections hold: told to all once it is more than a little, so that threads do not contend for one
/// number at each command.
#[derive(Debug)]
pub struct LaneMemory {
    all: ClientMemory,
    untold: Cell<isize>,
}

/// As much as a lane does not tell at once.
const UNTOLD_MAX: usize = 16 << 10;

impl LaneMemory {
    /// Its connections hold nothing yet.
    #[must_use]
    pub fn new(all: ClientMemory) -> Self {
        LaneMemory { all, untold: Cell::new(0) }
    }

    /// What all clients hold and may hold.
    #[must_use]
    pub fn now(&self) -> Memory {
        let Memory { held, most } = self.all.now();
        Memory { held: held.saturating_add_signed(self.untold.get()), most }
    }

    /// A connection holds more, or less.
    pub fn change(&self, bytes: isize) {
        let untold = self.untold.get() + bytes;
        self.untold.set(untold);
        if untold.unsigned_abs() > UNTOLD_MAX {
            self.tell();
        }
    }

    fn tell(&self) {
        self.all.change(self.untold.take());
    }
}

impl Drop for LaneMemory {
    fn drop(&mut self) {
        self.tell();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_given_back() {
        let memory = ClientMemory::new(1 << 20);
        let part = memory.part();
        assert_eq!(part.take(500_000), Ok(()));
        let other = memory.part();
        assert_eq!(other.take(400_000), Err(NoMemory { bytes_max: 1 << 20 }));
        assert_eq!(other.take(60_000), Ok(()), "who holds little is let in");
        assert_eq!(memory.now().held, 560_000);
        drop((part, other));
        assert_eq!(memory.now().held, 0);
    }

    #[test]
    fn a_lane_knows_what_it_has_not_told() {
        let memory = ClientMemory::new(1 << 20);
        let lane = LaneMemory::new(memory.clone());
        lane.change(10_000);
        assert_eq!((lane.now().held, memory.now().held), (10_000, 0));
        lane.change(10_000);
        assert_eq!((lane.now().held, memory.now().held), (20_000, 20_000));
        lane.change(-5_000);
        assert_eq!((lane.now().held, memory.now().held), (15_000, 20_000));
        lane.change(-15_000);
        drop(lane);
        assert_eq!(memory.now().held, 0);
    }
}
