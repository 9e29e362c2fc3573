//! What a proposer does to the value it finds.

/// A change of a register's value, as a function of the value before it.
///
/// A proposer whose attempt lost cannot know whether its value was chosen after all, and applies the
/// change again to whatever it finds next. A change that must take effect once therefore has to
/// recognise its own earlier effect in the value (by a request id the value carries) and answer
/// [`Applied::Keep`] then. One that cannot is abandoned at the first [`Delay`](super::Delay) that says
/// it was sent.
pub trait Change<V> {
    /// The value to write over `current`, which is `None` if nothing was ever written.
    fn apply(&self, current: Option<&V>) -> Applied<V>;

    /// A wrong way to treat values of different ballots, for tests that show it is wrong.
    #[cfg(feature = "mutants")]
    fn join_across_ballots(&self, greatest: V, _other: V) -> V {
        greatest
    }
}

/// What a [`Change`] made of the current value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Applied<V> {
    /// Replace it.
    Write(V),
    /// Leave it as it is: a condition failed, the change is already in, or it is only read.
    Keep,
}

/// Writes its value if there is none, and keeps what is there otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProposeOnce<V>(pub V);

impl<V: Clone> Change<V> for ProposeOnce<V> {
    fn apply(&self, current: Option<&V>) -> Applied<V> {
        match current {
            Some(_) => Applied::Keep,
            None => Applied::Write(self.0.clone()),
        }
    }
}
