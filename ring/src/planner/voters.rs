//! Who decides on the next layout.

use crate::intent::NodeState;
use crate::layout::{Member, VOTERS_MAX};
use crate::node::NodeId;

/// An odd number of active members, at most [`VOTERS_MAX`], by ascending id.
///
/// Chosen one by one from the region, then the zone, with the fewest voters so far, so that with
/// three zones none holds a majority; `present` voters are preferred to others, then smaller ids.
/// `members` are ordered by id and one of them is active.
pub(super) fn voters(members: &[Member], present: &[NodeId]) -> Vec<NodeId> {
    let mut candidates: Vec<&Member> =
        members.iter().filter(|member| member.state == NodeState::Active).collect();
    let most = candidates.len().min(VOTERS_MAX);
    let count = most - usize::from(most.is_multiple_of(2));
    let mut chosen: Vec<&Member> = Vec::with_capacity(count);
    for _ in 0..count {
        let crowd = |member: &Member| {
            let region = member.place.region();
            let in_region = chosen.iter().filter(|other| other.place.region() == region).count();
            let in_zone = chosen.iter().filter(|other| other.place == member.place).count();
            (in_region, in_zone, !present.contains(&member.id), member.id)
        };
        let next = (0..candidates.len())
            .min_by_key(|&index| crowd(candidates[index]))
            .expect("no more voters than candidates");
        chosen.push(candidates.remove(next));
    }
    let mut voters: Vec<NodeId> = chosen.iter().map(|member| member.id).collect();
    voters.sort_unstable();
    voters
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::Place;

    fn member(id: u128, zone: &str) -> Member {
        let place = Place::new("r", zone).unwrap();
        Member { id: NodeId(id), state: NodeState::Active, weight: 1, place }
    }

    #[test]
    fn voters_are_odd_in_number() {
        for (nodes, voters_expected) in [(1, 1), (2, 1), (3, 3), (4, 3), (6, 5), (7, 7), (50, 7)] {
            let members: Vec<Member> = (0..nodes).map(|id| member(id, "a")).collect();
            assert_eq!(voters(&members, &[]).len(), voters_expected);
        }
    }

    #[test]
    fn no_zone_of_three_has_a_majority_and_present_voters_stay() {
        let members: Vec<Member> = (0..30)
            .map(|id| member(id, ["a", "b", "c"][usize::try_from(id / 10).unwrap()]))
            .collect();
        let present: Vec<NodeId> = [5, 15, 25].map(NodeId).to_vec();
        let voters = voters(&members, &present);
        assert!(present.iter().all(|voter| voters.contains(voter)));
        for zone in [0..10, 10..20, 20..30] {
            assert!(voters.iter().filter(|voter| zone.contains(&voter.0)).count() <= 3);
        }
    }

    #[test]
    fn draining_nodes_do_not_vote() {
        let mut members: Vec<Member> = (0..4).map(|id| member(id, "a")).collect();
        members[0].state = NodeState::Draining;
        assert_eq!(voters(&members, &[NodeId(0)]), [1, 2, 3].map(NodeId));
    }
}
