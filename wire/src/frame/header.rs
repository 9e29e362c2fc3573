//! The fixed header of a frame: what it is about, readable whatever the body is.

use std::time::Duration;

use coterie_ring::Partition;
use coterie_ring::moves::SetVersion;

use super::{ClusterTag, kind};
use crate::peer::{Committed, Run};
use crate::{Body, Message, RequestId, Slice};

/// Its length.
pub const HEADER_BYTES: usize = 90;

/// The version of header and bodies; a body's changes within it only add fields at ends.
const VERSION: u8 = 1;

const HAS_SLICE: u8 = 1;
const HAS_TIME: u8 = 1 << 1;
const HAS_COMMITTED: u8 = 1 << 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) cluster: ClusterTag,
    pub(super) kind: u16,
    request: RequestId,
    slice: Option<Slice>,
    layout: SetVersion,
    epoch: u64,
    time_left: Option<Duration>,
    trace: u64,
    committed: Option<Committed>,
}

impl Header {
    pub(super) fn of(cluster: ClusterTag, message: &Message) -> Self {
        let Message { request, slice, layout, epoch, time_left, trace, committed, body } = message;
        Header {
            cluster,
            kind: kind::of(body),
            request: *request,
            slice: *slice,
            layout: *layout,
            epoch: *epoch,
            time_left: *time_left,
            trace: *trace,
            committed: *committed,
        }
    }

    pub(super) fn message(&self, body: Body) -> Message {
        let Header { request, slice, layout, epoch, time_left, trace, committed, .. } = *self;
        Message { request, slice, layout, epoch, time_left, trace, committed, body }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let has = |is: bool, flag: u8| u8::from(is) * flag;
        let flags = has(self.slice.is_some(), HAS_SLICE)
            | has(self.time_left.is_some(), HAS_TIME)
            | has(self.committed.is_some(), HAS_COMMITTED);
        let slice = self.slice.unwrap_or(Slice { partition: Partition(0), replicas: 0 });
        let committed = self.committed.unwrap_or_default();
        // Rounded up: what is left must not become nothing on the way.
        let micros = self.time_left.unwrap_or_default().as_nanos().div_ceil(1_000);
        out.extend_from_slice(&self.kind.to_le_bytes());
        out.extend_from_slice(&[VERSION, flags]);
        out.extend_from_slice(&self.cluster.0.to_le_bytes());
        out.extend_from_slice(&self.request.0.to_le_bytes());
        out.extend_from_slice(&slice.partition.0.to_le_bytes());
        out.push(slice.replicas);
        out.extend_from_slice(&self.layout.epoch.to_le_bytes());
        out.extend_from_slice(&self.layout.number.to_le_bytes());
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(&u64::try_from(micros).unwrap_or(u64::MAX).to_le_bytes());
        out.extend_from_slice(&self.trace.to_le_bytes());
        out.extend_from_slice(&committed.run.0.to_le_bytes());
        out.extend_from_slice(&committed.lane.to_le_bytes());
        out.extend_from_slice(&committed.number.to_le_bytes());
        // Room for what later versions have to say of every message.
        out.resize(start + HEADER_BYTES, 0);
    }

    /// Reads a header and gives what follows it. The version of a header that adds something stays
    /// readable, so it is not looked at.
    pub(super) fn read(frame: &[u8]) -> (Self, &[u8]) {
        let (mut header, body) = frame.split_at(HEADER_BYTES);
        let input = &mut header;
        let kind = u16::from_le_bytes(next(input));
        let [_version, flags] = next(input);
        let has = |flag: u8| flags & flag != 0;
        let cluster = ClusterTag(u64::from_le_bytes(next(input)));
        let request = RequestId(u128::from_le_bytes(next(input)));
        let partition = Partition(u16::from_le_bytes(next(input)));
        let [replicas] = next(input);
        let layout = SetVersion {
            epoch: u32::from_le_bytes(next(input)),
            number: u64::from_le_bytes(next(input)),
        };
        let epoch = u64::from_le_bytes(next(input));
        let micros = u64::from_le_bytes(next(input));
        let trace = u64::from_le_bytes(next(input));
        let committed = Committed {
            run: Run(u64::from_le_bytes(next(input))),
            lane: u16::from_le_bytes(next(input)),
            number: u64::from_le_bytes(next(input)),
        };
        let header = Header {
            cluster,
            kind,
            request,
            slice: has(HAS_SLICE).then_some(Slice { partition, replicas }),
            layout,
            epoch,
            time_left: has(HAS_TIME).then_some(Duration::from_micros(micros)),
            trace,
            committed: has(HAS_COMMITTED).then_some(committed),
        };
        (header, body)
    }
}

fn next<const N: usize>(input: &mut &[u8]) -> [u8; N] {
    let (first, rest) = input.split_first_chunk().expect("a header has its length");
    *input = rest;
    *first
}
