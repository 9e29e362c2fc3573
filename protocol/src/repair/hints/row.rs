//! One hint as it is stored (docs/formats.md, "Hints").

use bytes::{Buf, BufMut, Bytes};
use coterie_crdt::encoding::{
    DecodeError, decode_delta, decode_partial, encode_delta, encode_partial,
};
use coterie_crdt::{Actor, Context};
use coterie_wire::peer::hint::Worth;
use coterie_wire::peer::write::Change;

const VERSION: u8 = 1;

/// What is known of a hint without decoding what it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What has been promised on it.
    pub worth: Worth,
    /// Its bucket's replica count: with the partition in its address, its slice.
    pub replicas: u8,
    /// The purge epoch that it was made under.
    pub epoch: u64,
}

/// A change kept for an owner.
#[derive(Clone, Debug, PartialEq)]
pub struct Hint {
    /// What it is worth, and where and when it belongs.
    pub header: Header,
    /// What the owner is to join.
    pub change: Change,
}

impl Header {
    const BYTES: usize = 12;

    fn encode(self, out: &mut Vec<u8>, tag: u8) {
        out.put_u8(VERSION);
        out.put_u8(match self.worth {
            Worth::Counted => 0,
            Worth::Held => 1,
            Worth::Uncounted => 2,
        });
        out.put_u8(tag);
        out.put_u8(self.replicas);
        out.put_u64(self.epoch);
    }

    /// Reads the header of a row.
    ///
    /// # Errors
    /// [`DecodeError`]
    pub fn decode(row: &Bytes) -> Result<Header, DecodeError> {
        Ok(Header::decode_tagged(row)?.0)
    }

    fn decode_tagged(row: &Bytes) -> Result<(Header, u8), DecodeError> {
        let mut header = row.get(..Header::BYTES).ok_or(DecodeError::Truncated)?;
        match header.get_u8() {
            VERSION => {}
            version => return Err(DecodeError::UnknownVersion(version)),
        }
        let worth = match header.get_u8() {
            0 => Worth::Counted,
            1 => Worth::Held,
            2 => Worth::Uncounted,
            value => return Err(DecodeError::UnknownTag { what: "worth of a hint", value }),
        };
        let (tag, replicas) = (header.get_u8(), header.get_u8());
        Ok((Header { worth, replicas, epoch: header.get_u64() }, tag))
    }
}

impl Hint {
    /// Its row.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let (tag, change) = match &self.change {
            Change::Delta(delta) => (0, encode_delta(delta)),
            Change::Partial(partial) => (1, encode_partial(partial)),
            Change::Whole(partial) => (2, encode_partial(partial)),
        };
        let mut row = Vec::with_capacity(Header::BYTES + change.len());
        self.header.encode(&mut row, tag);
        row.extend_from_slice(&change);
        row.into()
    }

    /// Reads a row.
    ///
    /// # Errors
    /// [`DecodeError`]
    pub fn decode(row: &Bytes) -> Result<Hint, DecodeError> {
        let (header, tag) = Header::decode_tagged(row)?;
        let change = row.slice(Header::BYTES..);
        let change = match tag {
            0 => Change::Delta(decode_delta(&change)?),
            1 => Change::Partial(decode_partial(&change)?),
            2 => Change::Whole(decode_partial(&change)?),
            value => return Err(DecodeError::UnknownTag { what: "change of a hint", value }),
        };
        Ok(Hint { header, change })
    }

    /// Whether it names a dot of `actor`.
    #[must_use]
    pub fn names(&self, actor: Actor) -> bool {
        self.context().greatest(actor) > 0
    }

    fn context(&self) -> &Context {
        match &self.change {
            Change::Delta(delta) => &delta.context,
            Change::Partial(partial) | Change::Whole(partial) => partial.context(),
        }
    }
}
