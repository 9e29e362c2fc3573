//! Records merge: a join that does not care for order, grouping or repetition.

use std::net::Ipv4Addr;

use coterie_swim::{
    Accusers, Address, Attributes, Evidence, Generation, Incarnation, Instance, Label, NodeId,
    Rank, Record,
};
use proptest::prelude::*;

/// Few distinct values, so that ties are common.
fn record() -> impl Strategy<Value = Record> {
    let rank =
        prop_oneof![Just(Rank::Alive), Just(Rank::Suspect), Just(Rank::Down), Just(Rank::Left)];
    let accusers = proptest::collection::vec(0..8_u128, 0..6);
    let attributes = proptest::option::of((0..3_u64, 0..3_u32, 0..3_u64, 0..3_u16));
    (0..3_u64, 0..3_u32, rank, accusers, 0..3_u32, attributes).prop_map(
        |(generation, incarnation, rank, accusers, age_seconds, attributes)| {
            let evidence = Evidence {
                generation: Generation(generation),
                incarnation: Incarnation(incarnation),
                rank,
            };
            let accusers: Accusers = match rank {
                Rank::Suspect => accusers.into_iter().map(NodeId).collect(),
                Rank::Alive | Rank::Down | Rank::Left => Accusers::default(),
            };
            let age_seconds = if rank >= Rank::Down { age_seconds } else { 0 };
            let attributes = attributes.map(|(generation, version, instance, port)| {
                let address = Address::from((Ipv4Addr::LOCALHOST, port));
                Attributes {
                    generation: Generation(generation),
                    version,
                    instance: Instance(instance),
                    gossip: address,
                    peer: address,
                    resp: address,
                    http: address,
                    lanes: 1,
                    weight: 1,
                    protocols: (1, 1),
                    region: Label::new("r").expect("short"),
                    zone: Label::new("z").expect("short"),
                }
            });
            Record { id: NodeId(1), evidence, accusers, age_seconds, attributes }
        },
    )
}

fn joined(a: &Record, b: &Record) -> Record {
    let mut joined = a.clone();
    joined.join(b);
    joined
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_096, failure_persistence: None, ..Default::default() })]

    #[test]
    fn join_is_idempotent(a in record()) {
        prop_assert_eq!(joined(&a, &a), a);
    }

    #[test]
    fn join_is_commutative(a in record(), b in record()) {
        prop_assert_eq!(joined(&a, &b), joined(&b, &a));
    }

    #[test]
    fn join_is_associative(a in record(), b in record(), c in record()) {
        prop_assert_eq!(joined(&joined(&a, &b), &c), joined(&a, &joined(&b, &c)));
    }

    #[test]
    fn join_never_lowers_evidence(a in record(), b in record()) {
        let joined = joined(&a, &b);
        prop_assert_eq!(joined.evidence, a.evidence.max(b.evidence));
        prop_assert_eq!(joined.attributes, a.attributes.max(b.attributes));
    }

    #[test]
    fn any_order_with_repetitions_ends_the_same(
        history in proptest::collection::vec(record(), 1..8),
        order in proptest::collection::vec(any::<proptest::sample::Index>(), 0..16),
    ) {
        let in_order = history.iter().skip(1).fold(history[0].clone(), |held, record| joined(&held, record));
        let shuffled = order.iter().map(|index| index.get(&history)).chain(history.iter().rev());
        let shuffled = shuffled.fold(history[history.len() - 1].clone(), |held, r| joined(&held, r));
        prop_assert_eq!(shuffled, in_order);
    }

    #[test]
    fn left_is_final_for_its_generation(a in record(), b in record()) {
        let joined = joined(&a, &b);
        let left = |record: &Record| record.evidence.rank == Rank::Left;
        if left(&a) && b.evidence.generation <= a.evidence.generation {
            prop_assert!(left(&joined));
        }
    }
}
