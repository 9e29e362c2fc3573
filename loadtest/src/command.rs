//! Operations in the words of the Redis protocol.

use crate::kind::{Family, Kind};
use crate::workload::Operation;

/// Records of a page, which is one sorted set: YCSB E scans within it.
pub const PAGE_RECORDS: u64 = 1_000;

/// Elements that a hash's numbers lie among.
const NUMBERS: u64 = 10;

/// How a record of YCSB is kept.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum RecordForm {
    /// A hash of fields, as in YCSB's own binding of Redis.
    Hash,
    /// One string.
    String,
}

/// What keys and values look like.
#[derive(Clone, Debug)]
pub struct Shape {
    prefix: String,
    record: RecordForm,
    elements: u64,
    /// Bytes of a value, at least and at most.
    value_bytes: (usize, usize),
    /// Values are parts of it.
    text: Vec<u8>,
}

impl Shape {
    /// Keys with a prefix before all names, records in this form, of so many elements, values of so many bytes.
    ///
    /// # Panics
    /// If the least is above the most.
    #[must_use]
    pub fn new(
        prefix: &str,
        record: RecordForm,
        elements: u64,
        value_bytes: (usize, usize),
    ) -> Shape {
        assert!(value_bytes.0 <= value_bytes.1, "the least is not above the most");
        // Of a fixed sequence of letters and digits that does not compress to nothing.
        let mut state = 0x2545_F491_4F6C_DD1D_u64;
        let mut letter = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
                [usize::try_from(state >> 58).expect("it is below 64")]
        };
        let text = (0..value_bytes.1 + (1 << 16)).map(|_| letter()).collect();
        Shape { prefix: prefix.to_owned(), record, elements, value_bytes, text }
    }

    /// Puts the first request of an operation into words.
    pub fn encode(&self, operation: &Operation, out: &mut Vec<u8>) {
        let Operation { kind, record, element, amount, salt } = *operation;
        let mut words = Words { shape: self, out };
        let key = kind.family();
        let value = self.value(salt);
        let string_form = self.record == RecordForm::String;
        match kind {
            Kind::Read | Kind::ReadModifyWrite if string_form => words.of(b"GET", key, record, 0),
            Kind::Read | Kind::ReadModifyWrite => words.of(b"HGETALL", key, record, 0),
            Kind::Update | Kind::Insert | Kind::Load if string_form => {
                words.of(b"SET", key, record, 1);
                words.word(value);
            }
            Kind::Update => {
                words.of(b"HSET", key, record, 2);
                words.numbered(b"field", element);
                words.word(value);
            }
            Kind::Insert | Kind::Load => self.fill(Family::Record, record, salt, out),
            Kind::Scan => {
                words.of(b"ZRANGEBYLEX", key, record / PAGE_RECORDS, 5);
                words.name(b"[", record);
                words.word(b"+");
                words.word(b"LIMIT");
                words.word(b"0");
                words.number(amount);
            }
            Kind::PageInsert => self.fill(Family::Page, record, salt, out),
            Kind::Get => words.of(b"GET", key, record, 0),
            Kind::Set => {
                words.of(b"SET", key, record, 1);
                words.word(value);
            }
            Kind::MultiGet => {
                words.of(b"MGET", key, record, 3);
                // Neighbours in number lie anywhere.
                (1..4).for_each(|next| words.key(key, record.saturating_sub(next)));
            }
            Kind::Delete => words.of(b"DEL", key, record, 0),
            Kind::HashGet => {
                words.of(b"HGET", key, record, 1);
                words.numbered(b"field", element);
            }
            Kind::HashSet => {
                words.of(b"HSET", key, record, 2);
                words.numbered(b"field", element);
                words.word(value);
            }
            Kind::HashGetAll => words.of(b"HGETALL", key, record, 0),
            Kind::HashIncrement => {
                words.of(b"HINCRBY", key, record, 2);
                words.numbered(b"number", element % NUMBERS);
                words.number(amount);
            }
            Kind::HashDelete => {
                words.of(b"HDEL", key, record, 1);
                words.numbered(b"field", element);
            }
            Kind::SetAdd => words.member(b"SADD", key, record, element),
            Kind::SetRemove => words.member(b"SREM", key, record, element),
            Kind::SetContains => words.member(b"SISMEMBER", key, record, element),
            Kind::SetMembers => words.of(b"SMEMBERS", key, record, 0),
            Kind::SortedSetAdd | Kind::SortedSetIncrement => {
                let added = kind == Kind::SortedSetAdd;
                words.of(if added { b"ZADD" } else { &b"ZINCRBY"[..] }, key, record, 2);
                words.number(if added { salt % 1_000 } else { amount });
                words.numbered(b"member", element);
            }
            Kind::SortedSetRemove => words.member(b"ZREM", key, record, element),
            Kind::SortedSetScore => words.member(b"ZSCORE", key, record, element),
            Kind::SortedSetRange => words.range(b"ZRANGE", key, record),
            Kind::ListPushLeft | Kind::ListPushRight => {
                let left = kind == Kind::ListPushLeft;
                words.of(if left { b"LPUSH" } else { b"RPUSH" }, key, record, 1);
                words.word(value);
            }
            Kind::ListPopLeft => words.of(b"LPOP", key, record, 0),
            Kind::ListPopRight => words.of(b"RPOP", key, record, 0),
            Kind::ListRange => words.range(b"LRANGE", key, record),
            Kind::CounterIncrement => {
                words.of(b"INCRBY", key, record, 1);
                words.number(amount);
            }
            Kind::CounterGet => words.of(b"GET", key, record, 0),
            Kind::HyperLogLogAdd => {
                words.of(b"PFADD", key, record, 1);
                words.number(salt);
            }
            Kind::HyperLogLogCount => words.of(b"PFCOUNT", key, record, 0),
        }
    }

    /// Puts the second request of an operation of two into words: the write of a read-modify-write.
    pub fn encode_second(&self, operation: &Operation, out: &mut Vec<u8>) {
        self.encode(&Operation { kind: Kind::Update, ..*operation }, out);
    }

    /// Puts what the load phase writes for a record of a family into words.
    pub fn fill(&self, family: Family, record: u64, salt: u64, out: &mut Vec<u8>) {
        let value = |element: u64| self.value(salt.wrapping_add(element.wrapping_mul(0x1_0001)));
        let mut words = Words { shape: self, out };
        let elements = self.elements;
        match family {
            Family::Record if self.record == RecordForm::String => {
                words.of(b"SET", family, record, 1);
                words.word(value(0));
            }
            Family::String => {
                words.of(b"SET", family, record, 1);
                words.word(value(0));
            }
            Family::Record | Family::Hash => {
                words.of(b"HSET", family, record, elements * 2);
                for element in 0..elements {
                    words.numbered(b"field", element);
                    words.word(value(element));
                }
            }
            Family::Page => {
                words.of(b"ZADD", family, record / PAGE_RECORDS, 2);
                words.word(b"0");
                let mut member = name(record);
                member.push(b':');
                member.extend_from_slice(value(0));
                words.word(&member);
            }
            Family::Set => {
                words.of(b"SADD", family, record, elements);
                (0..elements).for_each(|element| words.numbered(b"member", element));
            }
            Family::SortedSet => {
                words.of(b"ZADD", family, record, elements * 2);
                for element in 0..elements {
                    words.number(element);
                    words.numbered(b"member", element);
                }
            }
            Family::List => {
                words.of(b"RPUSH", family, record, elements);
                (0..elements).for_each(|element| words.word(value(element)));
            }
            Family::Counter => {
                words.of(b"INCRBY", family, record, 1);
                words.number(1);
            }
            Family::HyperLogLog => {
                words.of(b"PFADD", family, record, elements);
                (0..elements).for_each(|element| words.number(element));
            }
        }
    }

    fn value(&self, salt: u64) -> &[u8] {
        let (least, most) = self.value_bytes;
        let span = (most - least) as u64 + 1;
        let length = least + usize::try_from((salt >> 32) % span).expect("it is below a length");
        let from = usize::try_from(salt & 0xFFFF).expect("it has 16 bits");
        &self.text[from..from + length]
    }
}

/// A record's name within a page: of equal length, so that names sort as numbers do.
fn name(record: u64) -> Vec<u8> {
    format!("user{record:012}").into_bytes()
}

/// Writes one request.
struct Words<'a> {
    shape: &'a Shape,
    out: &'a mut Vec<u8>,
}

impl Words<'_> {
    /// A command on a key, with `more` words to come.
    fn of(&mut self, command: &[u8], family: Family, number: u64, more: u64) {
        self.out.push(b'*');
        decimal(more + 2, self.out);
        self.out.extend_from_slice(b"\r\n");
        self.word(command);
        self.key(family, number);
    }

    fn word(&mut self, word: &[u8]) {
        self.out.push(b'$');
        decimal(word.len() as u64, self.out);
        self.out.extend_from_slice(b"\r\n");
        self.out.extend_from_slice(word);
        self.out.extend_from_slice(b"\r\n");
    }

    fn joined(&mut self, parts: &[&[u8]]) {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        self.out.push(b'$');
        decimal(length as u64, self.out);
        self.out.extend_from_slice(b"\r\n");
        parts.iter().for_each(|part| self.out.extend_from_slice(part));
        self.out.extend_from_slice(b"\r\n");
    }

    fn key(&mut self, family: Family, number: u64) {
        let mut digits = [0; 20];
        let digits = digits_of(number, &mut digits);
        let shape = self.shape;
        self.joined(&[shape.prefix.as_bytes(), family.name().as_bytes(), b":", digits]);
    }

    fn numbered(&mut self, name: &[u8], number: u64) {
        let mut digits = [0; 20];
        let digits = digits_of(number, &mut digits);
        self.joined(&[name, digits]);
    }

    fn name(&mut self, before: &[u8], record: u64) {
        let name = name(record);
        self.joined(&[before, &name]);
    }

    fn number(&mut self, number: u64) {
        let mut digits = [0; 20];
        let digits = digits_of(number, &mut digits);
        self.word(digits);
    }

    fn member(&mut self, command: &[u8], family: Family, number: u64, element: u64) {
        self.of(command, family, number, 1);
        self.numbered(b"member", element);
    }

    fn range(&mut self, command: &[u8], family: Family, number: u64) {
        self.of(command, family, number, 2);
        self.word(b"0");
        self.word(b"9");
    }
}

/// A request of words that are not about a key.
pub fn request(words: &[&[u8]], out: &mut Vec<u8>) {
    out.push(b'*');
    decimal(words.len() as u64, out);
    out.extend_from_slice(b"\r\n");
    for word in words {
        out.push(b'$');
        decimal(word.len() as u64, out);
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

fn decimal(number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    out.extend_from_slice(digits_of(number, &mut digits));
}

/// The digits of a number, at the end of room for them: several times as fast as formatting.
fn digits_of(mut number: u64, room: &mut [u8; 20]) -> &[u8] {
    let mut at = room.len();
    loop {
        at -= 1;
        room[at] = b'0' + u8::try_from(number % 10).expect("it is a digit");
        number /= 10;
        if number == 0 {
            return &room[at..];
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reply::{Reply, parse};

    fn words_of(bytes: &[u8]) -> Vec<String> {
        let (reply, used) = parse(bytes).unwrap().expect("a whole request");
        assert_eq!(used, bytes.len(), "one request");
        let Reply::Array(words) = reply else { panic!("{reply:?}") };
        let word = |word: &Reply<'_>| match word {
            Reply::Bulk(word) => String::from_utf8(word.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        };
        words.iter().map(word).collect()
    }

    fn shape(record: RecordForm) -> Shape {
        Shape::new("p:", record, 3, (2, 5))
    }

    proptest! {
        #[test]
        fn every_operation_is_one_well_formed_request(
            kind in proptest::sample::select(Kind::ALL.to_vec()),
            record in 0u64..1_000_000, element in 0u64..3, amount in 1u64..100, salt: u64,
            string in any::<bool>(),
        ) {
            let shape = shape(if string { RecordForm::String } else { RecordForm::Hash });
            let operation = Operation { kind, record, element, amount, salt };
            let mut out = Vec::new();
            shape.encode(&operation, &mut out);
            let words = words_of(&out);
            prop_assert!(words[1].starts_with("p:"), "{:?}", words);
            prop_assert!(words[1].contains(kind.family().name()), "{:?}", words);
            let mut again = Vec::new();
            shape.encode(&operation, &mut again);
            prop_assert_eq!(out, again);
        }

        #[test]
        fn digits_are_those_of_the_number(number: u64) {
            let mut out = Vec::new();
            decimal(number, &mut out);
            prop_assert_eq!(out, number.to_string().into_bytes());
        }
    }

    #[test]
    fn requests_say_what_they_should() {
        let shape = shape(RecordForm::Hash);
        let words = |kind| {
            let operation = Operation { kind, record: 1_007, element: 2, amount: 4, salt: 9 };
            let mut out = Vec::new();
            shape.encode(&operation, &mut out);
            words_of(&out).join(" ")
        };
        assert_eq!(words(Kind::Read), "HGETALL p:user:1007");
        assert!(words(Kind::Update).starts_with("HSET p:user:1007 field2 "));
        assert_eq!(words(Kind::ReadModifyWrite), "HGETALL p:user:1007");
        assert_eq!(words(Kind::Scan), "ZRANGEBYLEX p:page:1 [user000000001007 + LIMIT 0 4");
        assert!(words(Kind::PageInsert).starts_with("ZADD p:page:1 0 user000000001007:"));
        assert_eq!(
            words(Kind::MultiGet),
            "MGET p:string:1007 p:string:1006 p:string:1005 p:string:1004"
        );
        assert_eq!(words(Kind::SetAdd), "SADD p:set:1007 member2");
        assert_eq!(words(Kind::SortedSetIncrement), "ZINCRBY p:zset:1007 4 member2");
        assert_eq!(words(Kind::ListRange), "LRANGE p:list:1007 0 9");
        assert_eq!(words(Kind::Insert).split(' ').count(), 8);
    }

    #[test]
    fn values_are_as_long_as_asked_for() {
        let shape = shape(RecordForm::String);
        let lengths: std::collections::BTreeSet<usize> =
            (0..100u64).map(|salt| shape.value(salt << 32 | salt).len()).collect();
        assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [2, 3, 4, 5]);
    }
}
