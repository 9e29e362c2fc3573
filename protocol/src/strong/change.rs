//! What the operations of strong buckets do to a register.

use bytes::Bytes;
use coterie_crdt::operation::{
    Expire, KeyOperation, OpError, Operation, Reply, SetCondition, StringOperation,
};
use coterie_ring::register::{Applied, Change};
use coterie_wire::peer::strong::RegisterValue;
use coterie_wire::{Refused, RequestId};

use super::value::{Remembered, STRONG_VALUE_BYTES_MAX, StrongValue};

/// An operation that strong buckets have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StrongOperation {
    /// `GET`
    Get,
    /// `EXISTS`
    Exists,
    /// `SET`, with `NX`, `XX` and `GET`.
    Set {
        /// The new value.
        value: Bytes,
        /// When to set it.
        condition: SetCondition,
        /// Whether to answer what was there before.
        get: bool,
    },
    /// `GETDEL`
    GetDelete,
    /// `INCR`, `DECR`, `INCRBY`, `DECRBY`
    Increment(i64),
    /// `DEL`
    Delete,
}

impl StrongOperation {
    /// The one operation of a request to a strong bucket.
    ///
    /// # Errors
    /// [`Refused`] if there are several, or it is one that strong buckets do not have.
    pub fn parse(operations: &[Operation]) -> Result<Self, Refused> {
        let [operation] = operations else {
            return Err(if operations.is_empty() {
                Refused::Empty
            } else {
                Refused::OnlyRegisters
            });
        };
        let parsed = match operation {
            Operation::Key(KeyOperation::Delete) => StrongOperation::Delete,
            Operation::Key(KeyOperation::Exists) => StrongOperation::Exists,
            Operation::String(StringOperation::Get) => StrongOperation::Get,
            Operation::String(StringOperation::GetDelete) => StrongOperation::GetDelete,
            Operation::String(StringOperation::IncrementBy(by)) => StrongOperation::Increment(*by),
            Operation::String(StringOperation::Set { value, condition, get, expire }) => {
                // Strong keys never expire, so whether an expiry is kept is all one.
                if matches!(expire, Expire::At(_)) {
                    return Err(Refused::OnlyRegisters);
                }
                if value.len() > STRONG_VALUE_BYTES_MAX {
                    let (bytes, bytes_max) = (value.len(), STRONG_VALUE_BYTES_MAX);
                    return Err(Refused::StrongValue { bytes, bytes_max });
                }
                let (value, condition, get) = (value.clone(), *condition, *get);
                StrongOperation::Set { value, condition, get }
            }
            Operation::Key(_)
            | Operation::String(_)
            | Operation::Hash(_)
            | Operation::Map(_)
            | Operation::Flag(_)
            | Operation::Set(_)
            | Operation::SortedSet(_)
            | Operation::List(_)
            | Operation::HyperLogLog(_) => return Err(Refused::OnlyRegisters),
        };
        Ok(parsed)
    }

    /// Whether it only reads.
    #[must_use]
    pub fn reads(&self) -> bool {
        matches!(self, StrongOperation::Get | StrongOperation::Exists)
    }

    /// What it makes of a value: the new one, if it is to be written, and the answer to that; or the
    /// answer that stands without a change.
    fn evaluate(&self, held: Option<&Bytes>) -> Evaluated {
        let keep = |reply| Evaluated::Keep(Ok(reply));
        match self {
            StrongOperation::Get => keep(Reply::value(held.cloned())),
            StrongOperation::Exists => keep(Reply::flag(held.is_some())),
            StrongOperation::Set { value, condition, get } => {
                let before = || Remembered::Before(held.cloned());
                let holds = match condition {
                    SetCondition::Always => true,
                    SetCondition::IfAbsent => held.is_none(),
                    SetCondition::IfPresent => held.is_some(),
                };
                match (holds, *get) {
                    (true, get) => Evaluated::Write(
                        Some(value.clone()),
                        if get { before() } else { Remembered::Done },
                    ),
                    (false, true) => keep(Reply::value(held.cloned())),
                    (false, false) => keep(Reply::Nothing),
                }
            }
            StrongOperation::GetDelete if held.is_some() => {
                Evaluated::Write(None, Remembered::Before(held.cloned()))
            }
            StrongOperation::GetDelete => keep(Reply::Nothing),
            StrongOperation::Delete if held.is_some() => Evaluated::Write(None, Remembered::Done),
            StrongOperation::Delete => keep(Reply::Integer(0)),
            StrongOperation::Increment(by) => match sum(held, *by) {
                Ok(sum) => Evaluated::Write(
                    Some(Bytes::from(sum.to_string().into_bytes())),
                    Remembered::Sum(sum),
                ),
                Err(error) => Evaluated::Keep(Err(error)),
            },
        }
    }

    /// The answer to a request that is remembered to have changed the register; `None` where that is
    /// forgotten.
    fn recall(&self, remembered: &Remembered) -> Option<Reply> {
        match (self, remembered) {
            (_, Remembered::Forgotten) => None,
            (_, Remembered::Sum(sum)) => Some(Reply::Integer(*sum)),
            (_, Remembered::Before(before)) => Some(Reply::value(before.clone())),
            (StrongOperation::Delete, Remembered::Done) => Some(Reply::Integer(1)),
            (_, Remembered::Done) => Some(Reply::Done),
        }
    }
}

enum Evaluated {
    Write(Option<Bytes>, Remembered),
    Keep(Result<Reply, OpError>),
}

fn sum(held: Option<&Bytes>, by: i64) -> Result<i64, OpError> {
    let held = match held {
        None => 0,
        Some(text) => integer(text).ok_or(OpError::NotInteger)?,
    };
    held.checked_add(by).ok_or(OpError::Overflow)
}

/// As Redis reads integers: no sign but a minus, no leading zeros, no spaces.
fn integer(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    text.parse().ok().filter(|number: &i64| number.to_string() == text)
}

/// One request as a change of a register. Applied to a register that it has changed already, it keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrongChange {
    /// The client's request.
    pub request: RequestId,
    /// What it does; `None` writes what is there once more, so that all acceptors come to hold it.
    pub operation: Option<StrongOperation>,
}

impl StrongChange {
    /// The answer, from the register as it was decided; `None` where the request changed it and its
    /// answer is forgotten.
    #[must_use]
    pub fn answer(&self, decided: Option<&RegisterValue>) -> Option<Result<Reply, OpError>> {
        let operation = self.operation.as_ref()?;
        let register = decode(decided);
        match register.answer_to(self.request) {
            Some(remembered) => operation.recall(remembered).map(Ok),
            None => match operation.evaluate(register.value.as_ref()) {
                Evaluated::Keep(reply) => Some(reply),
                // Decided without a write, though there was one to make: it is not its own decision.
                Evaluated::Write(..) => None,
            },
        }
    }
}

impl Change<RegisterValue> for StrongChange {
    fn apply(&self, current: Option<&RegisterValue>) -> Applied<RegisterValue> {
        let Some(operation) = &self.operation else {
            return current.map_or(Applied::Keep, |value| Applied::Write(value.clone()));
        };
        let register = decode(current);
        if register.answer_to(self.request).is_some() {
            return Applied::Keep;
        }
        match operation.evaluate(register.value.as_ref()) {
            Evaluated::Keep(_) => Applied::Keep,
            Evaluated::Write(value, answer) => {
                Applied::Write(register.changed(self.request, value, answer).encode())
            }
        }
    }
}

/// Acceptors decode what they accept, so what a majority promised decodes.
fn decode(value: Option<&RegisterValue>) -> StrongValue {
    value.and_then(|value| StrongValue::decode(value).ok()).unwrap_or_default()
}
