//! Recent request ids: a retry is answered as before, and never coordinated again (invariant 3).

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::time::Duration;

use coterie_wire::{Key, Outcome, RequestId};
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

/// The most answers that are remembered, whatever time has passed.
const REMEMBERED_MAX: usize = 65_536;

/// What one takes beside its bytes, about.
const ENTRY_BYTES: usize = 96;

/// What is known of a request that was seen before.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Seen {
    /// It is under way, under this id.
    UnderWay(RequestId),
    /// It was answered.
    Answered(Box<Outcome>),
}

/// The ids of recent writes, by key and id.
///
/// Answers are kept as bytes of their own: what they were made of are slices of what clients and peers sent, each of which
/// would keep all of it.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Under way, with the id that they have on this node. Never walked over: the order in it means nothing.
    under_way: HashMap<(Key, RequestId), RequestId>,
    /// Answered, in the order in which they are forgotten.
    answered: VecDeque<Remembered>,
    /// The number of the first of these.
    first: u64,
    /// The numbers of all that are found.
    numbers: HashTable<u64>,
    hasher: DefaultHashBuilder,
    bytes: usize,
}

/// One that was answered.
#[derive(Debug)]
struct Remembered {
    until: Duration,
    request: RequestId,
    hash: u64,
    /// The bucket and the name of its key, each after its length, then the outcome.
    bytes: Box<[u8]>,
}

impl Remembered {
    fn new(key: &Key, request: RequestId, outcome: &Outcome, hash: u64, until: Duration) -> Self {
        let (bucket, name) = (key.bucket(), key.name());
        let mut bytes = Vec::with_capacity(256);
        for part in [bucket, name] {
            let length = u32::try_from(part.len()).expect("names are at most 64 KiB");
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(part);
        }
        outcome.write(&mut bytes);
        Remembered { until, request, hash, bytes: bytes.into() }
    }

    /// What was answered, if it is about this request.
    fn outcome_of(&self, key: &Key, request: RequestId) -> Option<&[u8]> {
        let mut rest = Some(&self.bytes[..]).filter(|_| self.request == request)?;
        for part in [key.bucket(), key.name()] {
            let (length, bytes) = rest.split_first_chunk()?;
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            rest = bytes.strip_prefix(&part[..]).filter(|_| part.len() == length)?;
        }
        Some(rest)
    }

    fn bytes(&self) -> usize {
        ENTRY_BYTES + self.bytes.len()
    }
}

impl Memory {
    /// What is known of a request.
    pub(super) fn get(&self, key: &Key, request: RequestId) -> Option<Seen> {
        if let Some(id) = self.under_way.get(&(key.clone(), request)) {
            return Some(Seen::UnderWay(*id));
        }
        let number = self.numbers.find(self.hash(key, request), |number| {
            self.at(*number).outcome_of(key, request).is_some()
        })?;
        let outcome = self.at(*number).outcome_of(key, request)?;
        let outcome = Outcome::read(outcome).expect("it was written by this process");
        Some(Seen::Answered(Box::new(outcome)))
    }

    /// A request begins.
    pub(super) fn begin(&mut self, key: &Key, request: RequestId, id: RequestId) {
        self.under_way.insert((key.clone(), request), id);
    }

    /// A request was answered: it is remembered until `until`, or until what came later takes `bytes_max`.
    pub(super) fn answered(
        &mut self,
        key: &Key,
        request: RequestId,
        outcome: &Outcome,
        (until, bytes_max): (Duration, usize),
    ) {
        self.undone(key, request);
        let hash = self.hash(key, request);
        let before = self.numbers.find_entry(hash, |number| {
            remembered(&self.answered, self.first, *number).outcome_of(key, request).is_some()
        });
        if let Ok(before) = before {
            before.remove();
        }
        let remembered = Remembered::new(key, request, outcome, hash, until);
        self.bytes += remembered.bytes();
        let number = self.first + self.answered.len() as u64;
        self.answered.push_back(remembered);
        let (answered, first) = (&self.answered, self.first);
        let hash_of = |number: &u64| self::remembered(answered, first, *number).hash;
        self.numbers.insert_unique(hash, number, hash_of);
        // The last one stays, however large it is.
        while self.answered.len() > REMEMBERED_MAX
            || self.bytes > bytes_max && self.answered.len() > 1
        {
            self.forget_first();
        }
    }

    /// Nothing was done: a retry is a new request.
    pub(super) fn undone(&mut self, key: &Key, request: RequestId) {
        self.under_way.remove(&(key.clone(), request));
    }

    /// Forgets what has been remembered for long enough.
    pub(super) fn forget(&mut self, now: Duration) {
        while self.answered.front().is_some_and(|first| first.until <= now) {
            self.forget_first();
        }
        if self.answered.is_empty() {
            self.answered = VecDeque::new();
            self.numbers = HashTable::new();
        }
    }

    fn forget_first(&mut self) {
        let Some(first) = self.answered.pop_front() else { return };
        let number = self.first;
        self.first += 1;
        self.bytes -= first.bytes();
        if let Ok(entry) = self.numbers.find_entry(first.hash, |other| *other == number) {
            entry.remove();
        }
    }

    fn at(&self, number: u64) -> &Remembered {
        remembered(&self.answered, self.first, number)
    }

    fn hash(&self, key: &Key, request: RequestId) -> u64 {
        self.hasher.hash_one((key.hash().0, request))
    }
}

fn remembered(answered: &VecDeque<Remembered>, first: u64, number: u64) -> &Remembered {
    let index = usize::try_from(number - first).expect("as many as there are");
    &answered[index]
}

#[cfg(test)]
mod tests {
    use coterie_crdt::operation::Reply;
    use coterie_wire::{Answered, ChangedDots};

    use super::*;

    const LATER: (Duration, usize) = (Duration::from_secs(60), 1 << 20);

    fn key(name: &str) -> Key {
        Key::new("db0", name.to_owned())
    }

    fn outcome(reply: Reply) -> Outcome {
        Outcome::Done(Box::new(Answered {
            replies: vec![Ok(reply)],
            changed: ChangedDots::default(),
            seen: (coterie_crdt::Context::new(), 3),
            owners: vec![coterie_ring::NodeId(7)],
            fallbacks: Vec::new(),
            everywhere: true,
            explanation: None,
        }))
    }

    fn answered(memory: &Memory, name: &str, request: u128) -> Option<Outcome> {
        match memory.get(&key(name), RequestId(request))? {
            Seen::Answered(outcome) => Some(*outcome),
            Seen::UnderWay(id) => panic!("{id:?} is under way"),
        }
    }

    #[test]
    fn what_was_answered_is_answered_again_until_its_time_is_over() {
        let mut memory = Memory::default();
        let (a, b) = (outcome(Reply::Integer(1)), outcome(Reply::Integer(2)));
        memory.begin(&key("a"), RequestId(1), RequestId(10));
        let under_way = Some(Seen::UnderWay(RequestId(10)));
        assert_eq!(memory.get(&key("a"), RequestId(1)), under_way);
        memory.answered(&key("a"), RequestId(1), &a, LATER);
        memory.answered(&key("b"), RequestId(1), &b, LATER);
        assert_eq!(answered(&memory, "a", 1), Some(a));
        assert_eq!(answered(&memory, "b", 1), Some(b.clone()), "an id is one of a key");
        assert_eq!(answered(&memory, "a", 2), None);
        let longer = (2 * LATER.0, LATER.1);
        memory.answered(&key("a"), RequestId(1), &b, longer);
        assert_eq!(answered(&memory, "a", 1), Some(b.clone()), "the last answer is the one");
        memory.forget(LATER.0);
        assert_eq!(answered(&memory, "a", 1), Some(b));
        assert_eq!(answered(&memory, "b", 1), None);
        memory.forget(longer.0);
        assert_eq!(memory.get(&key("a"), RequestId(1)), None);
        assert_eq!(memory.bytes, 0);
    }

    #[test]
    fn what_was_undone_is_not_known() {
        let mut memory = Memory::default();
        memory.begin(&key("a"), RequestId(1), RequestId(10));
        memory.undone(&key("a"), RequestId(1));
        assert_eq!(memory.get(&key("a"), RequestId(1)), None);
    }

    #[test]
    fn bytes_and_numbers_are_bounded_and_the_oldest_go() {
        let mut memory = Memory::default();
        let large = outcome(Reply::Value(vec![7; 100_000].into()));
        for request in 0..1_000 {
            memory.answered(&key("a"), RequestId(request), &large, LATER);
            assert!(memory.bytes <= LATER.1, "{} bytes", memory.bytes);
        }
        assert_eq!(answered(&memory, "a", 999), Some(large));
        assert_eq!(answered(&memory, "a", 980), None);
        let small = outcome(Reply::Integer(1));
        for request in 0..70_000 {
            memory.answered(&key("b"), RequestId(request), &small, (LATER.0, usize::MAX));
        }
        assert_eq!(memory.answered.len(), REMEMBERED_MAX);
        assert_eq!(memory.numbers.len(), REMEMBERED_MAX);
        assert_eq!(answered(&memory, "b", 1), None);
        assert_eq!(answered(&memory, "b", 69_999), Some(small));
    }

    #[test]
    fn one_answer_is_remembered_however_large_it_is() {
        let mut memory = Memory::default();
        let huge = outcome(Reply::Value(vec![7; 2 << 20].into()));
        memory.answered(&key("a"), RequestId(1), &huge, LATER);
        assert_eq!(answered(&memory, "a", 1), Some(huge));
    }
}
