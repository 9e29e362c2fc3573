//! What the register of a strong key holds: its value, and which requests changed it lately.
//!
//! The requests are part of the value, so that a change which is applied again, by a retry of the client or
//! after a lost round, recognises itself and takes effect once (reliability.md §3B).

use bytes::Bytes;
use coterie_wire::RequestId;
use coterie_wire::peer::strong::RegisterValue;
use thiserror::Error;

/// The longest value of a strong key.
pub const STRONG_VALUE_BYTES_MAX: usize = 64 << 10;

/// How many requests a register remembers.
pub const REMEMBERED_MAX: usize = 64;

/// The longest earlier value that is remembered of a request which is not the last.
const BEFORE_BYTES_MAX: usize = 64;

const VERSION: u8 = 1;

/// What a request that changed the register answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remembered {
    /// Done.
    Done,
    /// The sum after an increment.
    Sum(i64),
    /// What was there before, `None` for nothing.
    Before(Option<Bytes>),
    /// Something that was too long to be remembered past the next change.
    Forgotten,
}

/// The content of a register. One that was deleted stays, without a value, until it is purged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StrongValue {
    /// What clients see.
    pub value: Option<Bytes>,
    /// The last requests that changed it, oldest first, and what they answered.
    recent: Vec<(RequestId, Remembered)>,
}

/// Why bytes are no strong value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the value of a strong key does not decode")]
pub struct MalformedValue;

impl StrongValue {
    /// What `request` answered, if it is among the last that changed the register.
    #[must_use]
    pub fn answer_to(&self, request: RequestId) -> Option<&Remembered> {
        self.recent.iter().rev().find(|(id, _)| *id == request).map(|(_, answer)| answer)
    }

    /// The value after `request` changed it to `value`.
    #[must_use]
    pub fn changed(&self, request: RequestId, value: Option<Bytes>, answer: Remembered) -> Self {
        let surplus = (self.recent.len() + 1).saturating_sub(REMEMBERED_MAX);
        let is_long = |answer: &Remembered| matches!(answer, Remembered::Before(Some(before)) if before.len() > BEFORE_BYTES_MAX);
        let kept = self.recent.iter().skip(surplus).map(|(id, answer)| {
            (*id, if is_long(answer) { Remembered::Forgotten } else { answer.clone() })
        });
        StrongValue { value, recent: kept.chain([(request, answer)]).collect() }
    }

    /// Its bytes (docs/formats.md, "Strong keys").
    #[must_use]
    pub fn encode(&self) -> RegisterValue {
        let mut out = vec![VERSION];
        put_value(&mut out, self.value.as_ref());
        for (request, answer) in &self.recent {
            out.extend_from_slice(&request.0.to_le_bytes());
            match answer {
                Remembered::Done => out.push(0),
                Remembered::Sum(sum) => {
                    out.push(1);
                    out.extend_from_slice(&sum.to_le_bytes());
                }
                Remembered::Before(before) => {
                    out.push(2);
                    put_value(&mut out, before.as_ref());
                }
                Remembered::Forgotten => out.push(3),
            }
        }
        out
    }

    /// Reads its bytes.
    ///
    /// # Errors
    /// [`MalformedValue`]
    pub fn decode(bytes: &[u8]) -> Result<Self, MalformedValue> {
        let mut input = bytes;
        if take::<1>(&mut input)? != [VERSION] {
            return Err(MalformedValue);
        }
        let value = take_value(&mut input)?;
        let mut recent = Vec::new();
        while !input.is_empty() {
            let request = RequestId(u128::from_le_bytes(take(&mut input)?));
            let answer = match take::<1>(&mut input)? {
                [0] => Remembered::Done,
                [1] => Remembered::Sum(i64::from_le_bytes(take(&mut input)?)),
                [2] => Remembered::Before(take_value(&mut input)?),
                [3] => Remembered::Forgotten,
                _ => return Err(MalformedValue),
            };
            recent.push((request, answer));
        }
        if recent.len() > REMEMBERED_MAX {
            return Err(MalformedValue);
        }
        Ok(StrongValue { value, recent })
    }
}

/// Length and one, 0 for none; then the bytes.
fn put_value(out: &mut Vec<u8>, value: Option<&Bytes>) {
    let length = value.map_or(0, |value| value.len() + 1);
    let length = u32::try_from(length).expect("values of strong keys are short");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(value.map_or(&[], |value| value));
}

fn take_value(input: &mut &[u8]) -> Result<Option<Bytes>, MalformedValue> {
    let length =
        usize::try_from(u32::from_le_bytes(take(input)?)).map_err(|_wide| MalformedValue)?;
    let Some(length) = length.checked_sub(1) else { return Ok(None) };
    if length > STRONG_VALUE_BYTES_MAX || length > input.len() {
        return Err(MalformedValue);
    }
    let (value, rest) = input.split_at(length);
    *input = rest;
    Ok(Some(Bytes::copy_from_slice(value)))
}

fn take<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], MalformedValue> {
    let (first, rest) = input.split_first_chunk::<N>().ok_or(MalformedValue)?;
    *input = rest;
    Ok(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &'static str) -> Option<Bytes> {
        Some(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn a_register_remembers_its_last_changes_and_no_more() {
        let mut register = StrongValue::default();
        for n in 0..100_u128 {
            let answer = Remembered::Before(register.value.clone());
            register = register.changed(RequestId(n), value("v"), answer);
        }
        assert_eq!(register.answer_to(RequestId(35)), None);
        assert_eq!(register.answer_to(RequestId(36)), Some(&Remembered::Before(value("v"))));
        assert_eq!(StrongValue::decode(&register.encode()), Ok(register));
    }

    #[test]
    fn what_was_long_before_is_remembered_until_the_next_change() {
        let long = Some(Bytes::from(vec![b'x'; 1_000]));
        let register = StrongValue { value: long.clone(), recent: Vec::new() };
        let register = register.changed(RequestId(1), None, Remembered::Before(long.clone()));
        assert_eq!(register.answer_to(RequestId(1)), Some(&Remembered::Before(long)));
        let register = register.changed(RequestId(2), value("v"), Remembered::Done);
        assert_eq!(register.answer_to(RequestId(1)), Some(&Remembered::Forgotten));
    }

    #[test]
    fn no_bytes_make_the_decoder_panic_and_what_decodes_encodes_the_same() {
        let register = StrongValue::default()
            .changed(RequestId(7), value("17"), Remembered::Sum(17))
            .changed(RequestId(8), None, Remembered::Before(value("17")));
        let bytes = register.encode();
        for at in 0..bytes.len() {
            for flip in [1, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                if let Ok(other) = StrongValue::decode(&damaged) {
                    assert_eq!(other.encode(), damaged);
                }
            }
            let cut = StrongValue::decode(&bytes[..at]);
            assert!(cut.is_err() || cut.unwrap().encode() == bytes[..at]);
        }
    }
}
