//! Who had a part in a request and what they said, for people who ask.

use bytes::Bytes;
use coterie_ring::NodeId;

/// What each node said, in the order of arrival, where that was asked for.
#[derive(Debug, Default)]
pub(super) struct Answers(Option<Vec<(NodeId, Bytes)>>);

impl Answers {
    /// Kept only where `explain` says so.
    pub(super) fn new(explain: bool) -> Self {
        Answers(explain.then(Vec::new))
    }

    /// A node said something.
    pub(super) fn note(&mut self, node: NodeId, word: &'static str) {
        if let Some(answers) = &mut self.0 {
            answers.push((node, Bytes::from_static(word.as_bytes())));
        }
    }
}
