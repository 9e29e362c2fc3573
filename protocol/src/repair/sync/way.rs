//! How the cells of a key come to the side that lacks them: compared, or all of one side's in order.

use coterie_crdt::{Address, Context};
use coterie_wire::peer::sync::Cursor;

use super::cells::Measured;
use crate::replica::large::INDEXED_ABOVE;

/// All cells of one side are sent where it has so many times those of the other, and at least as many as an
/// index is kept for: next to everything differs then, and comparing would find out no more than that.
const LOPSIDED: u64 = 16;

/// How the cells of a key come to the side that lacks them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// They are compared, and those that differ go both ways.
    Compare,
    /// All of the peer's come here, those after one address.
    Fetch(Option<Address>),
    /// All of this node's go to the peer, those after one address.
    Send(Option<Address>),
    /// This node is in the middle of receiving those of a replica that has seen more than the peer.
    Later,
}

/// What the peer has said of its side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer<'a> {
    pub(super) context: &'a Context,
    pub(super) rows: u64,
    pub(super) transfer: Option<&'a Cursor>,
}

/// What a session has transferred already: what is still lopsided then is so for other reasons.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Done {
    pub(super) fetched: bool,
    pub(super) sent: bool,
}

impl Way {
    /// Chooses between them: what was interrupted goes on first.
    pub(super) fn choose(mine: &Measured, peer: Peer<'_>, done: Done) -> Way {
        if let Some(transfer) = &mine.transfer {
            return if peer.context.covers(&transfer.context) {
                Way::Fetch(transfer.cursor.clone())
            } else {
                Way::Later
            };
        }
        if let Some(cursor) = peer.transfer {
            return Way::Send(cursor.after.clone());
        }
        let most = mine.rows.max(peer.rows);
        if most <= INDEXED_ABOVE || mine.rows.min(peer.rows) > most / LOPSIDED {
            return Way::Compare;
        }
        let has_more = mine.rows == most;
        let (many, few) =
            if has_more { (&mine.context, peer.context) } else { (peer.context, &mine.context) };
        // Who has fewer and has seen all of the other's knows that the rest of them are dead.
        let sends = has_more != few.covers(many);
        match (sends, done) {
            (true, Done { sent: false, .. }) => Way::Send(None),
            (false, Done { fetched: false, .. }) => Way::Fetch(None),
            (true | false, _) => Way::Compare,
        }
    }
}

#[cfg(test)]
mod tests {
    use coterie_crdt::{Actor, Dot, Kind, Transfer};

    use super::*;

    fn seen(upto: u64) -> Context {
        (1..=upto).map(|sequence| Dot::new(Actor(1), sequence)).collect()
    }

    fn mine(rows: u64, upto: u64, transfer: Option<Transfer>) -> Measured {
        Measured { context: seen(upto), rows, sums: None, transfer }
    }

    fn way(mine: &Measured, (rows, upto): (u64, u64), transfer: Option<&Cursor>) -> Way {
        let peer = Peer { context: &seen(upto), rows, transfer };
        Way::choose(mine, peer, Done::default())
    }

    #[test]
    fn all_cells_go_only_where_one_side_has_next_to_nothing_of_a_large_key() {
        assert_eq!(way(&mine(0, 0, None), (100_000, 9), None), Way::Fetch(None));
        assert_eq!(way(&mine(100_000, 9, None), (0, 0), None), Way::Send(None));
        assert_eq!(way(&mine(6_250, 5, None), (100_000, 9), None), Way::Fetch(None));
        assert_eq!(way(&mine(6_251, 5, None), (100_000, 9), None), Way::Compare);
        assert_eq!(way(&mine(0, 0, None), (4_096, 9), None), Way::Compare);
    }

    #[test]
    fn who_has_seen_the_rest_die_sends_what_is_left() {
        assert_eq!(way(&mine(3, 9, None), (100_000, 8), None), Way::Send(None));
        assert_eq!(way(&mine(100_000, 8, None), (3, 9), None), Way::Fetch(None));
    }

    #[test]
    fn a_transfer_goes_on_with_whoever_has_seen_its_context_and_waits_for_it() {
        let cursor = Some(Address::new(Kind::Member, &b"m"[..]));
        let transfer = Transfer { context: seen(7), cursor: cursor.clone() };
        let mine = mine(50_000, 3, Some(transfer));
        assert_eq!(way(&mine, (60_000, 7), None), Way::Fetch(cursor.clone()));
        assert_eq!(way(&mine, (60_000, 6), None), Way::Later);
        let whole = Measured { transfer: None, ..mine };
        let told = Cursor { after: cursor.clone() };
        assert_eq!(way(&whole, (50_000, 1), Some(&told)), Way::Send(cursor));
    }

    #[test]
    fn what_was_sent_once_in_a_session_is_compared() {
        let (mine, theirs) = (mine(100_000, 9, None), seen(0));
        let peer = Peer { context: &theirs, rows: 0, transfer: None };
        let done = Done { sent: true, fetched: false };
        assert_eq!(Way::choose(&mine, peer, done), Way::Compare);
    }
}
