//! The frames of one stream as its bytes come in, and how many of them were not understood.

use bytes::BytesMut;

use super::{ClusterTag, Frame, FrameError, decode, take};
use crate::Body;
use crate::peer::PeerRefusal;

/// Frames that were not taken, by why, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameCounters {
    /// Longer or shorter than frames are: each ended its stream.
    pub unbounded: u64,
    /// Of another cluster.
    pub other_cluster: u64,
    /// Of a kind that is not known here.
    pub unsupported: u64,
    /// Whose body does not decode.
    pub malformed: u64,
}

impl FrameCounters {
    /// Adds those of another stream.
    pub fn add(&mut self, other: &FrameCounters) {
        self.unbounded += other.unbounded;
        self.other_cluster += other.other_cluster;
        self.unsupported += other.unsupported;
        self.malformed += other.malformed;
    }
}

/// One end of a stream.
#[derive(Debug)]
pub struct Reader {
    cluster: ClusterTag,
    received: BytesMut,
    counters: FrameCounters,
}

impl Reader {
    /// A stream of which nothing has come yet.
    #[must_use]
    pub fn new(cluster: ClusterTag) -> Self {
        Reader { cluster, received: BytesMut::new(), counters: FrameCounters::default() }
    }

    /// Bytes have come in.
    pub fn push(&mut self, bytes: &[u8]) {
        self.received.extend_from_slice(bytes);
    }

    /// The next frame; `None` until all of it is there.
    ///
    /// # Errors
    /// [`FrameError`]: the connection is to be closed.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let taken = take(&mut self.received).inspect_err(|_| self.counters.unbounded += 1)?;
        let frame = taken.map(|bytes| decode(self.cluster, &bytes));
        if let Some(Frame::Refused(answer)) = &frame
            && let Body::Refused(refusal) = answer.body
        {
            let counter = if refusal == PeerRefusal::OtherCluster {
                &mut self.counters.other_cluster
            } else if matches!(refusal, PeerRefusal::Unsupported { .. }) {
                &mut self.counters.unsupported
            } else {
                &mut self.counters.malformed
            };
            *counter += 1;
        }
        Ok(frame)
    }

    /// What was not taken so far.
    #[must_use]
    pub fn counters(&self) -> FrameCounters {
        self.counters
    }
}
