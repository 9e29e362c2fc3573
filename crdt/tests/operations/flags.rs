//! Flags, which Redis has not.

use coterie_crdt::Shown;
use coterie_crdt::operation::{FlagKind, FlagOperation, FlagVerb, KeyOperation, Reply};

use crate::support::{Client, Command, WRONG_TYPE, done, integer, set, text};

const KINDS: [FlagKind; 2] = [FlagKind::EnableWins, FlagKind::DisableWins];

fn run(client: &mut Client, kind: FlagKind, verb: FlagVerb) -> Reply {
    client.run(FlagOperation { kind, verb }).unwrap()
}

#[test]
fn a_flag_that_is_not_there_reads_as_disabled() {
    for kind in KINDS {
        assert_eq!(run(&mut Client::new(), kind, FlagVerb::Read), Reply::Integer(0));
    }
}

#[test]
fn a_flag_reads_as_it_was_last_set() {
    for kind in KINDS {
        let mut client = Client::new();
        for _ in 0..2 {
            assert_eq!(run(&mut client, kind, FlagVerb::Enable), Reply::Done);
            assert_eq!(run(&mut client, kind, FlagVerb::Read), Reply::Integer(1));
            assert_eq!(run(&mut client, kind, FlagVerb::Disable), Reply::Done);
            assert_eq!(run(&mut client, kind, FlagVerb::Read), Reply::Integer(0));
        }
    }
}

#[test]
fn an_enabled_flag_is_a_key_and_a_disabled_one_is_not() {
    for kind in KINDS {
        let mut client = Client::new();
        run(&mut client, kind, FlagVerb::Enable);
        assert_eq!(client.run(KeyOperation::Type), Ok(Reply::Type(Shown::Flag)));
        run(&mut client, kind, FlagVerb::Disable);
        assert_eq!(client.run(KeyOperation::Exists), integer(0));
    }
}

#[test]
fn disabling_is_recorded_where_it_wins_and_nowhere_else() {
    let mut client = Client::new();
    run(&mut client, FlagKind::EnableWins, FlagVerb::Disable);
    assert!(client.state.cells().is_empty());
    run(&mut client, FlagKind::DisableWins, FlagVerb::Disable);
    assert_eq!(client.state.cells().len(), 1);
}

#[test]
fn deleting_a_flag_disables_it() {
    for kind in KINDS {
        let mut client = Client::new();
        run(&mut client, kind, FlagVerb::Enable);
        assert_eq!(client.run(KeyOperation::Delete), integer(1));
        assert_eq!(run(&mut client, kind, FlagVerb::Read), Reply::Integer(0));
    }
}

#[test]
fn flag_operations_on_another_type_are_refused() {
    let mut client = Client::new();
    assert_eq!(client.run(set("a")), done());
    for kind in KINDS {
        for verb in [FlagVerb::Enable, FlagVerb::Disable, FlagVerb::Read] {
            assert_eq!(text(client.run(FlagOperation { kind, verb })), WRONG_TYPE);
        }
    }
}

#[test]
fn only_the_winning_side_observes_nothing() {
    let observes = |kind, verb| FlagOperation { kind, verb }.operation().observes();
    assert!(!observes(FlagKind::EnableWins, FlagVerb::Enable));
    assert!(observes(FlagKind::EnableWins, FlagVerb::Disable));
    assert!(observes(FlagKind::DisableWins, FlagVerb::Enable));
    assert!(!observes(FlagKind::DisableWins, FlagVerb::Disable));
    assert!(KINDS.into_iter().all(|kind| observes(kind, FlagVerb::Read)));
}
