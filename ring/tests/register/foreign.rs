//! Messages from elsewhere: whatever the bytes, nothing panics and nothing wedges.

use super::model::{Id, Operation, Writes};
use bolero::check;
use coterie_ring::register::{
    Accepted, Acceptor, Ballot, Decided, Effect, Electorate, Event, NextPrepare, Proposer, Reply,
    Request, Settings, Wire,
};
use proptest::prelude::*;
use std::time::Duration;

const SETTINGS: Settings = Settings {
    phase_timeout: Duration::from_millis(500),
    backoff_min: Duration::from_millis(10),
    backoff_max: Duration::from_secs(2),
    next_prepare: NextPrepare::Piggyback,
};

fn electorate() -> Electorate<Id> {
    Electorate::single(&[Id(0), Id(1), Id(2)]).unwrap()
}

#[test]
fn arbitrary_bytes_decode_or_are_refused() {
    check!().with_iterations(20_000).for_each(|bytes: &[u8]| {
        let mut versioned = vec![1];
        versioned.extend_from_slice(bytes);
        for bytes in [bytes, &versioned] {
            if let Ok(request) = Request::<Id, Vec<u8>>::decode(bytes) {
                assert_eq!(request.encode(), bytes);
            }
            if let Ok(reply) = Reply::<Id, Vec<u8>>::decode(bytes) {
                assert_eq!(reply.encode(), bytes);
            }
            if let Ok(acceptor) = Acceptor::<Id, Vec<u8>>::decode(bytes) {
                assert_eq!(acceptor.encode(), bytes);
            }
        }
    });
}

fn ballots() -> impl Strategy<Value = Ballot<Id>> {
    let round = prop_oneof![0_u64..5, Just(u64::MAX), Just(1 << 32), any::<u64>()];
    (round, 0_u8..4, 0_u64..3).prop_map(|(round, proposer, session)| Ballot {
        round,
        proposer: Id(proposer),
        session,
    })
}

fn votes() -> impl Strategy<Value = Option<Accepted<Id, Writes>>> {
    let vote = (ballots(), any::<u8>());
    proptest::option::of(vote.prop_map(|(ballot, bits)| Accepted { ballot, value: Writes(bits) }))
}

fn requests() -> impl Strategy<Value = Request<Id, Writes>> {
    prop_oneof![
        ballots().prop_map(|ballot| Request::Prepare { ballot }),
        (ballots(), any::<u8>(), proptest::option::of(ballots()))
            .prop_map(|(ballot, bits, next)| Request::Accept { ballot, value: Writes(bits), next }),
        any::<u64>().prop_map(|nonce| Request::Read { nonce }),
    ]
}

fn replies() -> impl Strategy<Value = Reply<Id, Writes>> {
    prop_oneof![
        (ballots(), votes()).prop_map(|(ballot, accepted)| Reply::Promised { ballot, accepted }),
        (ballots(), proptest::option::of(ballots()))
            .prop_map(|(ballot, next)| Reply::Accepted { ballot, next }),
        (any::<u64>(), votes()).prop_map(|(nonce, accepted)| Reply::State { nonce, accepted }),
        (ballots(), ballots()).prop_map(|(ballot, promised)| Reply::Conflict { ballot, promised }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_messages_never_panic(
        request in requests(),
        reply in replies(),
        place in any::<prop::sample::Index>(),
        flip in 1_u8..,
    ) {
        prop_assert_eq!(&Request::decode(&request.encode()).unwrap(), &request);
        prop_assert_eq!(&Reply::decode(&reply.encode()).unwrap(), &reply);
        let end = place.index(request.encode().len());
        prop_assert!(Request::<Id, Writes>::decode(&request.encode()[..end]).is_err());
        let end = place.index(reply.encode().len());
        prop_assert!(Reply::<Id, Writes>::decode(&reply.encode()[..end]).is_err());
        for mut bytes in [request.encode(), reply.encode()] {
            let place = place.index(bytes.len());
            bytes[place] ^= flip;
            if let Ok(request) = Request::<Id, Writes>::decode(&bytes) {
                prop_assert_eq!(&request.encode(), &bytes);
            }
            if let Ok(reply) = Reply::<Id, Writes>::decode(&bytes) {
                prop_assert_eq!(&reply.encode(), &bytes);
            }
        }
    }

    /// Garbage from one acceptor and one proposer, then a change by honest ones still gets through.
    #[test]
    fn no_message_wedges_the_register(
        senders in proptest::collection::vec((0_u8..5, requests()), 0..8),
        garbage in proptest::collection::vec(replies(), 0..8),
    ) {
        let mut acceptors: Vec<Acceptor<Id, Writes>> = vec![Acceptor::default(); 3];
        for (from, request) in senders {
            for acceptor in &mut acceptors {
                let _answer = acceptor.handle(Id(from), request.clone());
            }
        }
        let mut proposer = Proposer::new(Id(2), 99, electorate(), SETTINGS);
        let mut effects = Vec::new();
        let mut now = Duration::ZERO;
        proposer.handle(Event::Change(Operation::Add(1)), now, &mut effects);
        for _step in 0..100 {
            for reply in &garbage {
                let event = Event::Reply { from: Id(0), reply: reply.clone() };
                proposer.handle(event, now, &mut effects);
            }
            for effect in std::mem::take(&mut effects) {
                match effect {
                    // Acceptor 0 answers with garbage only.
                    Effect::Send { to: Id(0), .. } | Effect::Delayed(_) => {}
                    Effect::Send { to, request } => {
                        let reply = acceptors[usize::from(to.0)].handle(Id(2), request).reply;
                        proposer.handle(Event::Reply { from: to, reply }, now, &mut effects);
                    }
                    Effect::Decided(Decided { current, .. }) => {
                        prop_assert_eq!(current.unwrap().value.0 & 1, 1);
                        return Ok(());
                    }
                }
            }
            if effects.iter().all(|effect| matches!(effect, Effect::Delayed(_))) {
                now = proposer.next_deadline().expect("it has a task");
                proposer.handle(Event::Tick, now, &mut effects);
            }
        }
        prop_assert!(false, "no decision in 100 steps");
    }
}

#[test]
fn a_steady_proposer_needs_one_round_trip_for_each_change() {
    let mut acceptors: Vec<Acceptor<Id, Writes>> = vec![Acceptor::default(); 3];
    let mut proposer = Proposer::new(Id(0), 7, electorate(), SETTINGS);
    for (change, expected_round_trips) in [(1, 2), (2, 1), (4, 1)] {
        let mut effects = Vec::new();
        proposer.handle(Event::Change(Operation::Add(change)), Duration::ZERO, &mut effects);
        let mut round_trips = 0;
        while !proposer.is_idle() {
            round_trips += 1;
            for effect in std::mem::take(&mut effects) {
                let Effect::Send { to, request } = effect else { continue };
                let reply = acceptors[usize::from(to.0)].handle(Id(0), request).reply;
                proposer.handle(Event::Reply { from: to, reply }, Duration::ZERO, &mut effects);
            }
        }
        assert_eq!(round_trips, expected_round_trips);
    }
}

#[test]
fn an_acceptor_has_these_bytes() {
    let mut acceptor: Acceptor<Id, Vec<u8>> = Acceptor::default();
    assert_eq!(acceptor.encode(), [1, 0, 0]);
    let ballot = Ballot { round: 300, proposer: Id(7), session: 2 };
    let value = b"value".to_vec();
    assert!(acceptor.handle(Id(7), Request::Accept { ballot, value, next: None }).persist);
    let ballot = [0xac, 2, 7, 2, 0, 0, 0, 0, 0, 0, 0];
    let mut expected = vec![1, 1];
    expected.extend(ballot);
    expected.push(1);
    expected.extend(ballot);
    expected.extend(*b"\x05value");
    assert_eq!(acceptor.encode(), expected);
    assert_eq!(Acceptor::decode(&expected), Ok(acceptor));
}
