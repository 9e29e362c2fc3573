//! Sessions: what one connection, or one token, has to see of its own.
//!
//! A session remembers, for each key that it wrote, the dots that not every owner has acknowledged, and hands them along
//! with its next request on that key: an owner that lacks them is passed over or waited for. Every write mints a dot,
//! those that only remove too, so this holds for all of them. A monotonic session also remembers what it has read.
//!
//! In sloppy buckets fallbacks answer reads where no owner can be reached. So there what every owner has is remembered too,
//! as long as there is room (docs/decisions/0461).

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes};
use coterie_crdt::Context;
use coterie_crdt::encoding::{decode_context, encode_context};
use coterie_ring::{BucketKind, BucketPolicy, Level};
use coterie_wire::{ChangedDots, Key, Levels, Outcome, Request, SessionDots};
use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64;

/// Keys that a session remembers. One that wrote to more has to wait until its writes are everywhere.
pub const KEYS_MAX: usize = 1_024;

/// The bytes of a token at most: what a client sends is no larger, and what would be is not given out.
pub const TOKEN_BYTES_MAX: usize = 64 << 10;

const TOKEN_VERSION: u8 = 2;
const CHECKSUM_BYTES: usize = 8;

/// What a session promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Guarantee {
    /// It reads its own writes.
    #[default]
    ReadYourWrites,
    /// And what it has read once, it reads ever after.
    MonotonicReads,
}

/// What a write of a session has to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Its level.
    Level,
    /// All owners ([`Level::All`]), since the session cannot remember more keys.
    AllOwners,
}

/// Why a token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// Not a token, or damaged.
    #[error("the session token is damaged")]
    Damaged,
    /// Larger than any that is given out.
    #[error("the session token is larger than {TOKEN_BYTES_MAX} bytes")]
    TooLarge,
}

/// A session holds more than a token may: it goes on where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the session holds more than {TOKEN_BYTES_MAX} bytes")]
pub struct TokenTooLarge;

/// What one connection has to see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    guarantee: Guarantee,
    keys: BTreeMap<Key, SessionDots>,
    /// How many of them every owner has.
    everywhere: usize,
}

impl Session {
    /// One that has done nothing yet.
    #[must_use]
    pub fn new(guarantee: Guarantee) -> Self {
        Session { guarantee, ..Session::default() }
    }

    /// The same with another promise from here on. What it remembers it goes on to show.
    #[must_use]
    pub fn with(self, guarantee: Guarantee) -> Self {
        Session { guarantee, ..self }
    }

    /// What a request on `key` has to see.
    #[must_use]
    pub fn dots(&self, key: &Key) -> SessionDots {
        self.keys.get(key).cloned().unwrap_or_default()
    }

    /// How many keys it remembers.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.keys.len()
    }

    /// What a request on `key` has to wait for, so that nothing is forgotten.
    #[must_use]
    pub fn patience(&self, key: &Key) -> Patience {
        // What is everywhere gives way.
        let room = self.keys.len() - self.everywhere < KEYS_MAX || self.keys.contains_key(key);
        if room { Patience::Level } else { Patience::AllOwners }
    }

    /// Learns from the answer to a request, in a bucket of this policy.
    ///
    /// A write of which nobody knows whether it was done is remembered too, where its dots are known: if it was done, it
    /// is seen. False where there is something to remember and no room for it: from then on the session promises nothing
    /// for that key.
    pub fn learn(&mut self, request: &Request, policy: &BucketPolicy, outcome: &Outcome) -> bool {
        self.learn_of(&request.key, request.levels, policy, outcome)
    }

    /// The same where the request itself is not kept: what it was about, and its levels.
    pub fn learn_of(
        &mut self,
        key: &Key,
        levels: Levels,
        policy: &BucketPolicy,
        outcome: &Outcome,
    ) -> bool {
        match outcome {
            Outcome::Done(answered) if self.guarantee == Guarantee::MonotonicReads => {
                // What one quorum has shown of a write that is not yet acknowledged, the next may lack.
                let (mut dots, epoch) = answered.seen.clone();
                dots.join(&answered.changed.minted.iter().copied().collect());
                self.remember(key, (&dots, epoch), false)
            }
            Outcome::Done(answered) if answered.everywhere => {
                self.is_everywhere(key, policy.kind, &answered.changed);
                true
            }
            Outcome::Done(answered) => {
                always_seen(policy, levels) || self.remember_minted(key, &answered.changed, false)
            }
            // Too few hold it for any level to be sure to see it.
            Outcome::Unknown { changed, .. } => self.remember_minted(key, changed, false),
            Outcome::Refused(_) | Outcome::Unavailable(_) => true,
        }
    }

    /// Every owner has taken a write in, and so its dots and those that it observed: what else the session wrote to the key
    /// they may still lack. Where no owner can be reached, fallbacks answer reads of sloppy buckets from what they keep, so
    /// there it is remembered all the same.
    fn is_everywhere(&mut self, key: &Key, kind: BucketKind, changed: &ChangedDots) {
        let mut held = changed.observed.clone();
        held.join(&changed.minted.iter().copied().collect());
        let known = self.keys.get(key);
        let all = known.is_none_or(|known| known.everywhere || known.are_in(&held));
        if kind == BucketKind::Sloppy {
            self.remember_minted(key, changed, all);
        } else if all {
            let forgotten = self.keys.remove(key);
            self.everywhere -= usize::from(forgotten.is_some_and(|dots| dots.everywhere));
        }
    }

    fn remember_minted(&mut self, key: &Key, changed: &ChangedDots, everywhere: bool) -> bool {
        let minted = changed.minted.iter().copied().collect();
        self.remember(key, (&minted, changed.epoch), everywhere)
    }

    fn remember(&mut self, key: &Key, (dots, epoch): (&Context, u64), everywhere: bool) -> bool {
        if dots.is_empty() {
            return true;
        }
        if let Some(known) = self.keys.get_mut(key) {
            known.learn(dots, epoch);
            self.everywhere -= usize::from(known.everywhere);
            known.everywhere = everywhere;
        } else {
            if self.keys.len() >= KEYS_MAX && (everywhere || !self.make_room()) {
                return false;
            }
            // A copy: what a front door cut the name from may be much larger.
            let copy = Bytes::copy_from_slice;
            let key = Key::new(copy(key.bucket()), copy(key.name()));
            let dots = SessionDots { everywhere, ..SessionDots::new(dots.clone(), epoch) };
            self.keys.insert(key, dots);
        }
        self.everywhere += usize::from(everywhere);
        true
    }

    /// Forgets a key of which every owner has all: only where none of them can be reached is less shown of it. False
    /// where there is none.
    fn make_room(&mut self) -> bool {
        let everywhere = |(_, seen): &(&Key, &SessionDots)| seen.everywhere;
        let Some(key) = self.keys.iter().find(everywhere).map(|(key, _)| key.clone()) else {
            return false;
        };
        self.keys.remove(&key);
        self.everywhere -= 1;
        true
    }

    /// The session as a token, for a client that speaks without connections.
    ///
    /// # Errors
    /// [`TokenTooLarge`]
    pub fn token(&self) -> Result<Bytes, TokenTooLarge> {
        // What is everywhere gives way.
        let rest = || self.token_of(|dots| !dots.everywhere);
        self.token_of(|_| true).or_else(|_too_large| rest())
    }

    fn token_of(&self, taken: impl Fn(&SessionDots) -> bool) -> Result<Bytes, TokenTooLarge> {
        let mut out = vec![TOKEN_VERSION, u8::from(self.guarantee == Guarantee::MonotonicReads)];
        for (key, seen) in self.keys.iter().filter(|(_, dots)| taken(dots)) {
            put(&mut out, key.bucket());
            put(&mut out, key.name());
            out.put_u8(u8::from(seen.everywhere));
            let epochs = seen.by_epoch().count();
            out.put_u8(u8::try_from(epochs).expect("a session tells a few epochs apart"));
            for (epoch, dots) in seen.by_epoch() {
                out.put_u64(epoch);
                let mut context = Vec::new();
                encode_context(&mut context, dots);
                put(&mut out, &context);
            }
            if out.len() + CHECKSUM_BYTES > TOKEN_BYTES_MAX {
                return Err(TokenTooLarge);
            }
        }
        let checksum = xxh3_64(&out);
        out.put_u64(checksum);
        Ok(out.into())
    }

    /// The session that a token stands for. A forged one can at worst have its own requests wait for what nobody has.
    ///
    /// # Errors
    /// [`TokenError`]
    pub fn open(token: &Bytes) -> Result<Session, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLarge);
        }
        let body = token.len().checked_sub(CHECKSUM_BYTES).ok_or(TokenError::Damaged)?;
        let (mut body, mut checksum) = (token.slice(..body), token.slice(body..));
        if xxh3_64(&body) != checksum.get_u64() || body.len() < 2 {
            return Err(TokenError::Damaged);
        }
        let guarantee = match (body.get_u8(), body.get_u8()) {
            (TOKEN_VERSION, 0) => Guarantee::ReadYourWrites,
            (TOKEN_VERSION, 1) => Guarantee::MonotonicReads,
            _ => return Err(TokenError::Damaged),
        };
        let mut session = Session::new(guarantee);
        while body.has_remaining() {
            let (bucket, name) = (get(&mut body)?, get(&mut body)?);
            let everywhere = match body.try_get_u8() {
                Ok(flag @ (0 | 1)) => flag == 1,
                Ok(_) | Err(_) => return Err(TokenError::Damaged),
            };
            let mut dots = SessionDots { everywhere, ..SessionDots::default() };
            for _ in 0..body.try_get_u8().map_err(|_short| TokenError::Damaged)? {
                let epoch = body.try_get_u64().map_err(|_short| TokenError::Damaged)?;
                let some = decode_context(&get(&mut body)?);
                dots.learn(&some.map_err(|_error| TokenError::Damaged)?, epoch);
            }
            if session.keys.insert(Key::new(bucket, name), dots).is_some() {
                return Err(TokenError::Damaged);
            }
            session.everywhere += usize::from(everywhere);
        }
        if session.keys.len() > KEYS_MAX {
            return Err(TokenError::Damaged);
        }
        Ok(session)
    }
}

/// Whether a read sees what was written at the request's levels, whoever answers it: then nothing need be remembered. So it
/// is where R + W > N and only owners count; R is the weaker of the bucket's and the session's own when it wrote.
fn always_seen(policy: &BucketPolicy, levels: Levels) -> bool {
    let owners = |level| owners_of(level, policy.replicas);
    let write = owners(levels.write.unwrap_or(policy.write));
    let read = owners(policy.read).min(owners(levels.read.unwrap_or(policy.read)));
    match policy.kind {
        BucketKind::Strict => write + read > policy.replicas,
        BucketKind::Sloppy => false,
        BucketKind::Strong => true,
    }
}

/// How many owners a level takes at least; 0 where they may be too few, or only some owners count.
fn owners_of(level: Level, replicas: u8) -> u8 {
    match level {
        Level::One => 1,
        Level::Two => 2,
        Level::Three => 3,
        Level::Quorum | Level::Linearizable => replicas / 2 + 1,
        Level::All => replicas,
        Level::Any | Level::LocalOne | Level::LocalQuorum | Level::EachQuorum => 0,
    }
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.put_u32(u32::try_from(bytes.len()).expect("keys and contexts are shorter than 4 GiB"));
    out.extend_from_slice(bytes);
}

fn get(body: &mut Bytes) -> Result<Bytes, TokenError> {
    let length = body.try_get_u32().map_err(|_short| TokenError::Damaged)? as usize;
    if length > body.len() {
        return Err(TokenError::Damaged);
    }
    Ok(body.split_to(length))
}

#[cfg(test)]
mod tests {
    use coterie_crdt::{Actor, Dot};
    use coterie_wire::{Answered, QuorumCount, RequestId, Unavailable};
    use proptest::prelude::*;

    use super::*;

    fn key(n: usize) -> Key {
        Key::new(&b"db0"[..], n.to_string().into_bytes())
    }

    fn request(n: usize, levels: Levels) -> Request {
        Request {
            id: RequestId(n as u128),
            key: key(n),
            operations: Vec::new(),
            levels,
            time_left: std::time::Duration::ZERO,
            session: SessionDots::default(),
            explain: false,
        }
    }

    fn at(write: Level, read: Level) -> Levels {
        Levels { write: Some(write), read: Some(read) }
    }

    fn wrote(sequence: u64, epoch: u64, everywhere: bool) -> Outcome {
        let minted = vec![Dot::new(Actor(1), sequence)];
        Outcome::Done(Box::new(Answered {
            replies: Vec::new(),
            changed: ChangedDots { minted, observed: Context::new(), epoch },
            seen: (Context::new(), epoch),
            owners: Vec::new(),
            fallbacks: Vec::new(),
            everywhere,
            explanation: None,
        }))
    }

    #[test]
    fn nothing_is_remembered_where_every_read_meets_every_write() {
        let (strict, mut session) = (BucketPolicy::default(), Session::default());
        let quorums = request(1, Levels::default());
        assert!(session.learn(&quorums, &strict, &wrote(1, 0, false)));
        assert_eq!(session.keys(), 0);
        let sloppy = BucketPolicy { kind: BucketKind::Sloppy, ..strict.clone() };
        assert!(session.learn(&quorums, &sloppy, &wrote(1, 0, false)));
        assert_eq!(session.keys(), 1);
        let weak = request(2, at(Level::Quorum, Level::One));
        assert!(session.learn(&weak, &strict, &wrote(1, 0, false)));
        assert_eq!(session.keys(), 2);
        let region = request(3, at(Level::LocalQuorum, Level::LocalQuorum));
        assert!(session.learn(&region, &strict, &wrote(1, 0, false)));
        assert_eq!(session.keys(), 3);
    }

    #[test]
    fn a_write_is_remembered_until_one_that_has_observed_it_is_everywhere() {
        let (strict, mut session) = (BucketPolicy::default(), Session::default());
        let weak = request(1, at(Level::One, Level::One));
        session.learn(&weak, &strict, &wrote(1, 5, false));
        session.learn(&weak, &strict, &wrote(2, 4, false));
        let seen = session.dots(&key(1));
        assert_eq!(seen.since(0), seen);
        session.learn(&weak, &strict, &Outcome::Unavailable(Unavailable::Nobody));
        assert_eq!(session.dots(&key(1)), seen);
        session.learn(&weak, &strict, &wrote(3, 5, true));
        assert_eq!(session.dots(&key(1)), seen, "owners that have the third may lack the others");
        let Outcome::Done(mut replaced) = wrote(4, 5, true) else { unreachable!() };
        replaced.changed.observed = (1..4).map(|sequence| Dot::new(Actor(1), sequence)).collect();
        session.learn(&weak, &strict, &Outcome::Done(replaced));
        assert_eq!(session.dots(&key(1)), SessionDots::default());
    }

    #[test]
    fn what_every_owner_of_a_sloppy_bucket_has_is_remembered_until_the_room_is_needed() {
        let sloppy = BucketPolicy { kind: BucketKind::Sloppy, ..BucketPolicy::default() };
        let mut session = Session::default();
        let weak = |n| request(n, at(Level::One, Level::One));
        let before = |session: &Session, n| !session.dots(&key(n)).is_empty();
        for n in 0..KEYS_MAX + 9 {
            assert!(session.learn(&weak(n), &sloppy, &wrote(1, 0, true)));
        }
        assert_eq!(session.keys(), KEYS_MAX);
        assert!(before(&session, 7));
        assert_eq!(Session::open(&session.token().unwrap()), Ok(session.clone()));
        for n in 0..KEYS_MAX {
            let other = 10_000 + n;
            assert_eq!(session.patience(&key(other)), Patience::Level);
            assert!(session.learn(&weak(other), &sloppy, &wrote(1, 0, false)));
            assert!(before(&session, other));
        }
        assert!(!before(&session, 7));
        assert_eq!(session.patience(&key(7)), Patience::AllOwners);
        assert!(session.learn(&weak(7), &sloppy, &wrote(1, 0, true)));
        assert!(!session.learn(&weak(7), &sloppy, &wrote(1, 0, false)));
        let Outcome::Done(mut replaced) = wrote(2, 0, true) else { unreachable!() };
        replaced.changed.observed.insert(Dot::new(Actor(1), 1));
        assert!(session.learn(&weak(10_000), &sloppy, &Outcome::Done(replaced)));
        assert_eq!(session.patience(&key(7)), Patience::Level);
    }

    #[test]
    fn what_is_written_after_a_purge_is_not_taken_for_older() {
        let (strict, mut session) = (BucketPolicy::default(), Session::default());
        let weak = request(1, at(Level::One, Level::One));
        for (sequence, epoch) in [(1, 0), (2, 1), (3, 1), (4, 0)] {
            session.learn(&weak, &strict, &wrote(sequence, epoch, false));
        }
        let dots = |sequences: [u64; 2]| -> Context {
            sequences.into_iter().map(|sequence| Dot::new(Actor(1), sequence)).collect()
        };
        let seen = session.dots(&key(1));
        assert_eq!(seen.by_epoch().collect::<Vec<_>>(), [(0, &dots([1, 4])), (1, &dots([2, 3]))]);
        assert_eq!(seen.since(1), SessionDots::new(dots([2, 3]), 1));
        assert_eq!(seen.not_in(&dots([1, 4])), SessionDots::new(dots([2, 3]), 1));
        assert_eq!(Session::open(&session.token().unwrap()), Ok(session));
    }

    #[test]
    fn a_session_tells_a_few_epochs_apart_and_counts_the_lowest_as_later_than_they_are() {
        let (strict, mut session) = (BucketPolicy::default(), Session::default());
        let weak = request(1, at(Level::One, Level::One));
        for epoch in 0..1_000 {
            session.learn(&weak, &strict, &wrote(epoch + 1, epoch, false));
        }
        let seen = session.dots(&key(1));
        let all = (1..1_001).map(|sequence| Dot::new(Actor(1), sequence)).collect();
        assert!(seen.are_in(&all));
        let epochs: Vec<u64> = seen.by_epoch().map(|(epoch, _)| epoch).collect();
        assert_eq!(epochs, [996, 997, 998, 999]);
        assert!(seen.since(996).by_epoch().any(|(_, dots)| dots.contains(Dot::new(Actor(1), 1))));
    }

    #[test]
    fn a_write_that_may_have_been_done_is_remembered_at_any_level() {
        let (strict, mut session) = (BucketPolicy::default(), Session::default());
        let changed =
            ChangedDots { minted: vec![Dot::new(Actor(1), 1)], observed: Context::new(), epoch: 0 };
        let outcome = Outcome::Unknown { count: QuorumCount { have: 1, need: 2 }, changed };
        assert!(session.learn(&request(1, Levels::default()), &strict, &outcome));
        assert_eq!(session.keys(), 1);
    }

    #[test]
    fn past_its_bound_a_session_asks_for_all_owners_and_says_what_it_cannot_keep() {
        let (strict, mut session) = (BucketPolicy::default(), Session::default());
        let weak = |n| request(n, at(Level::One, Level::One));
        for n in 0..KEYS_MAX {
            assert_eq!(session.patience(&key(n)), Patience::Level);
            assert!(session.learn(&weak(n), &strict, &wrote(1, 0, false)));
        }
        assert_eq!(session.patience(&key(7)), Patience::Level);
        assert_eq!(session.patience(&key(KEYS_MAX)), Patience::AllOwners);
        assert!(session.learn(&weak(KEYS_MAX), &strict, &wrote(1, 0, true)));
        assert!(!session.learn(&weak(KEYS_MAX), &strict, &wrote(1, 0, false)));
        assert_eq!(session.keys(), KEYS_MAX);
        let Outcome::Done(mut replaced) = wrote(2, 0, true) else { unreachable!() };
        replaced.changed.observed.insert(Dot::new(Actor(1), 1));
        session.learn(&weak(7), &strict, &Outcome::Done(replaced));
        assert_eq!(session.patience(&key(KEYS_MAX)), Patience::Level);
    }

    #[test]
    fn a_monotonic_session_remembers_what_it_has_read_also_at_quorum() {
        let mut session = Session::new(Guarantee::MonotonicReads);
        let Outcome::Done(mut answered) = wrote(1, 3, false) else { unreachable!() };
        answered.changed = ChangedDots::default();
        answered.seen.0.insert(Dot::new(Actor(9), 1));
        let read = Outcome::Done(answered);
        assert!(session.learn(&request(1, Levels::default()), &BucketPolicy::default(), &read));
        assert!(session.dots(&key(1)).dots.contains(Dot::new(Actor(9), 1)));
        assert_eq!(session.dots(&key(1)).epoch, 3);
    }

    #[test]
    fn a_token_is_refused_wherever_it_is_damaged_and_when_it_is_too_large() {
        let (strict, mut session) = (BucketPolicy::default(), Session::default());
        session.learn(&request(1, at(Level::One, Level::One)), &strict, &wrote(1, 0, false));
        let token = session.token().unwrap();
        assert_eq!(Session::open(&token), Ok(session));
        for at in 0..token.len() {
            let mut damaged = token.to_vec();
            damaged[at] ^= 0x10;
            assert_eq!(Session::open(&damaged.into()), Err(TokenError::Damaged));
            assert_eq!(Session::open(&token.slice(..at)), Err(TokenError::Damaged));
        }
        let large = Bytes::from(vec![0; TOKEN_BYTES_MAX + 1]);
        assert_eq!(Session::open(&large), Err(TokenError::TooLarge));
        let mut session = Session::default();
        for n in 0..KEYS_MAX {
            let long = Key::new(&b"db0"[..], vec![b'k'; 200 + n]);
            session.keys.insert(long, SessionDots::default());
        }
        assert_eq!(session.token(), Err(TokenTooLarge));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_of_tokens_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut token = bytes;
            token.splice(0..0, [TOKEN_VERSION, 0]);
            let checksum = xxh3_64(&token);
            token.extend(checksum.to_be_bytes());
            let _opened = Session::open(&token.into());
        }
    }
}
