//! Who may be talked to: peers whose clock and wire version fit.

use std::collections::BTreeMap;
use std::time::Duration;

use coterie_ring::NodeId;
use coterie_swim::Now;
use coterie_wire::peer::control::Hello;
use thiserror::Error;

use super::Control;
use super::effects::{ControlAction, ControlEffects};
use super::report::Report;

/// Why a peer is not talked to. To this node it is as if it were down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unfit {
    /// Its wall clock is off. Stamps of one of the two would win over later ones of the others (invariant
    /// 10): set the clocks.
    #[error(
        "its clock is {offset_millis} ms ahead of this node's, more than {bound_millis} ms off"
    )]
    Clock {
        /// How far it is ahead, at least; behind if negative.
        offset_millis: i64,
        /// How far it may be off.
        bound_millis: u64,
    },
    /// There is no wire version that both speak.
    #[error("it speaks wire versions {} to {}, this node {} to {}", .theirs.0, .theirs.1, .own.0, .own.1)]
    Protocol {
        /// Its lowest and highest.
        theirs: (u16, u16),
        /// This node's.
        own: (u16, u16),
    },
}

impl Control {
    /// What this node says first on a new connection.
    #[must_use]
    pub fn hello(&self, now: Now) -> Hello {
        Hello { wall_millis: now.wall_millis, protocols: self.protocols }
    }

    pub(super) fn greet(
        &mut self,
        peer: NodeId,
        hello: Hello,
        round_trip: Duration,
        now: Now,
        effects: &mut ControlEffects,
    ) {
        let verdict = self.judge(hello, round_trip, now);
        match verdict {
            Ok(()) => self.view_changed |= self.unfit.remove(&peer).is_some(),
            Err(reason) => {
                if self.unfit.insert(peer, reason).is_none() {
                    effects.report(Report::Unfit { peer, reason });
                    self.view_changed = true;
                }
            }
        }
        effects.now(ControlAction::Admit { peer, verdict });
    }

    fn judge(&self, hello: Hello, round_trip: Duration, now: Now) -> Result<(), Unfit> {
        let (theirs, own) = (hello.protocols, self.protocols);
        if theirs.1 < own.0 || theirs.0 > own.1 {
            return Err(Unfit::Protocol { theirs, own });
        }
        // What it said was true somewhere between now and a round trip ago: the offset is as near to none as
        // that allows.
        let ahead = i128::from(hello.wall_millis) - i128::from(now.wall_millis);
        let age_max = i128::try_from(round_trip.as_millis()).unwrap_or(i128::MAX);
        let offset = if ahead >= 0 { ahead } else { ahead.saturating_add(age_max).min(0) };
        let bound = self.settings.clock_bound.as_millis();
        if offset.unsigned_abs() > bound {
            return Err(Unfit::Clock {
                offset_millis: i64::try_from(offset).unwrap_or(i64::MAX),
                bound_millis: u64::try_from(bound).unwrap_or(u64::MAX),
            });
        }
        Ok(())
    }

    /// The wire version that all members and this node speak: the least of the highest they announce.
    pub(super) fn protocol(&self) -> u16 {
        let theirs = self.attributes.values().map(|attributes| attributes.protocols.1);
        theirs.fold(self.protocols.1, u16::min).max(self.protocols.0)
    }
}

/// Peers that are not talked to.
pub(super) type UnfitPeers = BTreeMap<NodeId, Unfit>;
