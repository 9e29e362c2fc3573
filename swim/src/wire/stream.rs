//! Messages over streams: joining and synchronising.

use super::packet::encode_header;
use super::{DecodeError, Header, Reader, STREAM_BYTES_MAX, VERSION, encode_record};
use crate::digest::{BUCKETS, BucketSums};
use crate::record::Record;

/// A set of digest buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Buckets([u64; BUCKETS / 64]);

impl Buckets {
    /// Adds a bucket.
    ///
    /// # Panics
    /// If there is no such bucket.
    pub fn insert(&mut self, bucket: usize) {
        self.0[bucket / 64] |= 1 << (bucket % 64);
    }

    /// Whether a bucket is in the set.
    ///
    /// # Panics
    /// If there is no such bucket.
    #[must_use]
    pub fn contains(&self, bucket: usize) -> bool {
        self.0[bucket / 64] & (1 << (bucket % 64)) != 0
    }

    /// Whether no bucket is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }
}

/// What crosses a stream between two nodes. Each message stands alone: a lost one costs a repetition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamMessage {
    /// A node that knows nobody yet introduces itself, and asks as [`StreamMessage::Digest`] does.
    Join {
        /// Itself.
        record: Box<Record>,
        /// What it holds.
        sums: Box<BucketSums>,
    },
    /// Asks for the records of those buckets that differ from these sums.
    Digest {
        /// What the sender holds.
        sums: Box<BucketSums>,
    },
    /// All records of some buckets, or (without `answer`) those of them that the receiver lacks.
    Records {
        /// The buckets that are complete here.
        buckets: Buckets,
        /// Whether the receiver is to send back what it holds newer in these buckets.
        answer: bool,
        /// The records, dead members included.
        records: Vec<Record>,
    },
}

const JOIN: u8 = 1;
const DIGEST: u8 = 2;
const RECORDS: u8 = 3;

/// Makes a stream message, whatever its size: records are split among messages by whoever makes them.
#[must_use]
pub fn encode_stream(header: &Header, message: &StreamMessage) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.push(match message {
        StreamMessage::Join { .. } => JOIN,
        StreamMessage::Digest { .. } => DIGEST,
        StreamMessage::Records { .. } => RECORDS,
    });
    encode_header(header, &mut out);
    match message {
        StreamMessage::Join { record, sums } => {
            encode_record(record, &mut out);
            encode_sums(sums, &mut out);
        }
        StreamMessage::Digest { sums } => encode_sums(sums, &mut out),
        StreamMessage::Records { buckets, answer, records } => {
            for word in buckets.0 {
                out.extend_from_slice(&word.to_le_bytes());
            }
            out.push(u8::from(*answer));
            for record in records {
                encode_record(record, &mut out);
            }
        }
    }
    out
}

fn encode_sums(sums: &BucketSums, out: &mut Vec<u8>) {
    for sum in sums.iter() {
        out.extend_from_slice(&sum.to_le_bytes());
    }
}

impl Reader<'_> {
    fn sums(&mut self) -> Result<Box<BucketSums>, DecodeError> {
        let mut sums = Box::new([0; BUCKETS]);
        for sum in sums.iter_mut() {
            *sum = self.u64()?;
        }
        Ok(sums)
    }
}

/// Reads a stream message.
///
/// # Errors
/// Any [`DecodeError`].
pub fn decode_stream(bytes: &[u8]) -> Result<(Header, StreamMessage), DecodeError> {
    if bytes.len() > STREAM_BYTES_MAX {
        return Err(DecodeError::TooLarge);
    }
    let mut reader = Reader::new(bytes);
    let version = reader.u8()?;
    if version != VERSION {
        return Err(DecodeError::Version(version));
    }
    let kind = reader.u8()?;
    let header = reader.header()?;
    let message = match kind {
        JOIN => StreamMessage::Join { record: Box::new(reader.record()?), sums: reader.sums()? },
        DIGEST => StreamMessage::Digest { sums: reader.sums()? },
        RECORDS => {
            let mut buckets = Buckets::default();
            for word in &mut buckets.0 {
                *word = reader.u64()?;
            }
            let answer = reader.u8()? != 0;
            let mut records = Vec::new();
            while !reader.is_empty() {
                records.push(reader.record()?);
            }
            StreamMessage::Records { buckets, answer, records }
        }
        _ => return Err(DecodeError::Kind(kind)),
    };
    if !reader.is_empty() {
        return Err(DecodeError::Trailing);
    }
    Ok((header, message))
}
