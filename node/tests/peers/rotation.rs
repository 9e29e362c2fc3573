//! Certificates and keys that change while nodes run; files that cannot be used.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use coterie_node::certificates::{Certificates, CertificatesError};
use coterie_node::peers::{Gossip, PeersLimits, Unopened};
use coterie_swim::Address;
use coterie_wire::RequestId;
use tokio::time::timeout;

use super::nodes::{Files, Node, bring, cert, loopback, message, run};

const PATIENCE: Duration = Duration::from_secs(60);

fn text(path: &std::path::Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_certificate_is_renewed_while_traffic_flows() {
    run(async {
        let files = Files::new();
        let (of_one, of_other) = (files.load(1), files.load(2));
        let one = Node::start(of_one.clone(), loopback(0), PeersLimits::default());
        let other = Node::start(of_other.clone(), loopback(0), PeersLimits::default());
        one.knows(&[(other.id, other.address(), 1)]);
        one.send(other.id, message(0, 1));
        other.messages(1).await;

        assert!(of_one.reload_if_changed().is_none());
        let before = of_one.expires();
        let ca = files.ca();
        for node in [1, 2] {
            let out = files.of(node);
            let renewed = ["renew", "--dir", text(&ca), "--out", text(&out), "--days", "9"];
            cert(&renewed).unwrap();
        }
        of_one.reload_if_changed().unwrap().unwrap();
        of_other.reload_if_changed().unwrap().unwrap();
        assert!(of_one.reload_if_changed().is_none());
        assert!(of_one.expires() < before && of_one.expires() > SystemTime::now());

        // The connection that stands goes on; the next one uses the new certificates. Of what was sent meanwhile nothing is
        // lost without being told, and nothing comes twice.
        for number in 1..1_000 {
            one.send(other.id, message(number, 100));
        }
        other.messages(1_000).await;
        assert!(one.told.borrow().lost.is_empty());
        other.peers.disconnect(one.id);
        for number in 1_000..2_000 {
            one.send(other.id, message(number, 100));
        }
        one.until("the loss is told", |node| !node.told.borrow().lost.is_empty()).await;
        for number in 2_000..3_000 {
            one.send(other.id, message(number, 100));
        }
        other
            .until("the last has come", |node| {
                let told = node.told.borrow();
                told.messages.last().is_some_and(|(_, message)| message.request == RequestId(2_999))
            })
            .await;
        let came: Vec<u128> =
            other.told.borrow().messages.iter().map(|(_, message)| message.request.0).collect();
        assert!(came.is_sorted_by(|one, next| one < next));
        assert_eq!(came.iter().filter(|id| **id < 1_000).count(), 1_000);
        let told = one.told.borrow().unreachable.clone();
        for number in 1_000..3_000 {
            let known = came.contains(&number) || told.contains(&(other.id, RequestId(number)));
            assert!(known, "{number} was lost without a word");
        }
        assert_eq!(one.peers.counters().made, 2);
    });
}

#[test]
fn an_authority_is_changed_for_another() {
    run(async {
        let (files, next) = (Files::new(), Files::new());
        // The successor, for the same cluster.
        let cluster = format!("{:032x}", files.load(1).cluster());
        let successor = next.ca().join("successor");
        cert(&["init", "--dir", text(&successor), "--cluster", &cluster]).unwrap();
        let (of_one, of_other) = (files.load(1), files.load(2));
        // First all trust both.
        let both = [files.ca().join("ca.pem"), successor.join("ca.pem")];
        let both = both.map(|path| fs::read_to_string(path).unwrap()).concat();
        for (node, certificates) in [(1, &of_one), (2, &of_other)] {
            fs::write(files.of(node).join("ca.pem"), &both).unwrap();
            certificates.reload().unwrap();
        }
        // Then one is given a certificate of the new one.
        let made = next.ca().join("made");
        let id = format!("{:032x}", 1);
        cert(&["node", "--dir", text(&successor), "--out", text(&made), "--node", &id]).unwrap();
        bring(&made, &files.of(1), &["node.key", "node.pem"]);
        of_one.reload().unwrap();
        let one = Node::start(of_one, loopback(0), PeersLimits::default());
        let other = Node::start(of_other, loopback(0), PeersLimits::default());
        one.knows(&[(other.id, other.address(), 1)]);
        one.send(other.id, message(0, 1));
        other.messages(1).await;
        other.send(one.id, message(1, 1));
        one.messages(1).await;
    });
}

#[test]
fn the_gossip_key_is_changed_in_three_steps_and_packets_always_open() {
    run(async {
        let files = Files::new();
        let nodes: Vec<(Certificates, Gossip, Address)> = [1, 2]
            .map(|node| {
                let certificates = files.load(node);
                let gossip = Gossip::bind(loopback(0), certificates.clone()).unwrap();
                let address = gossip.local_address().unwrap().into();
                (certificates, gossip, address)
            })
            .into();
        let exchange = async || {
            for (from, to) in [(0, 1), (1, 0)] {
                nodes[from].1.send(nodes[to].2, b"packet");
                let (_, opened) = timeout(PATIENCE, nodes[to].1.receive()).await.unwrap();
                opened?;
            }
            Ok::<(), Unopened>(())
        };
        assert_eq!(exchange().await, Ok(()));
        let ca = files.ca();
        for step in ["add", "use", "drop"] {
            cert(&["gossip", step, "--dir", text(&ca)]).unwrap();
            for (node, (certificates, ..)) in [1, 2].into_iter().zip(&nodes) {
                bring(&ca, &files.of(node), &["gossip.key"]);
                certificates.reload_if_changed().unwrap().unwrap();
                assert_eq!(exchange().await, Ok(()), "{step} is known to {node}");
            }
        }
        // Who has slept through it all knows none of the keys.
        let old = Files::new();
        bring(&old.ca(), &files.of(1), &["gossip.key"]);
        nodes[0].0.reload().unwrap();
        assert_eq!(exchange().await, Err(Unopened));
        let shown = cert(&["show", "--dir", text(&ca)]).unwrap();
        assert!(shown.ends_with("gossip keys (the first seals): 2\n"), "{shown}");
    });
}

#[test]
fn files_are_for_their_owner_only_and_never_overwritten() {
    let files = Files::new();
    let (ca, one) = (files.ca(), files.of(1));
    for directory in [&ca, &one] {
        for entry in fs::read_dir(directory).unwrap() {
            let mode = entry.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
    let again = cert(&["init", "--dir", text(&ca)]);
    assert!(matches!(again, Err(CertificatesError::Exists { .. })));
    let again = cert(&["node", "--dir", text(&ca), "--out", text(&one)]);
    assert!(matches!(again, Err(CertificatesError::Exists { .. })));
    let shown = cert(&["show", "--dir", text(&one)]).unwrap();
    assert!(shown.contains(&format!("node {:032x}: holds for 729 more days", 1)), "{shown}");
    let keys = fs::read_to_string(one.join("gossip.key")).unwrap();
    assert!(!shown.contains(keys.lines().nth(1).unwrap().split_once(' ').unwrap().1));
}

#[test]
fn files_that_cannot_be_used_are_named_with_what_to_do() {
    let (files, foreign) = (Files::new(), Files::new());
    let one = files.of(1);
    let certificates = files.load(1);
    let refuse = |damage: &dyn Fn()| {
        let kept: Vec<_> = ["ca.pem", "node.pem", "node.key", "gossip.key"]
            .map(|name| (name, fs::read(one.join(name)).unwrap()))
            .into();
        damage();
        let error = certificates.reload().unwrap_err();
        for (name, bytes) in kept {
            fs::write(one.join(name), bytes).unwrap();
            fs::set_permissions(one.join(name), fs::Permissions::from_mode(0o600)).unwrap();
        }
        certificates.reload().unwrap();
        error
    };
    for name in ["ca.pem", "node.pem", "node.key", "gossip.key"] {
        let missing = refuse(&|| fs::remove_file(one.join(name)).unwrap());
        assert!(matches!(missing, CertificatesError::File { .. }), "{missing}");
        let garbage = refuse(&|| fs::write(one.join(name), "garbage").unwrap());
        assert!(matches!(garbage, CertificatesError::Content { .. }), "{garbage}");
        for error in [missing, garbage] {
            let said = error.to_string();
            assert!(said.contains(name) && said.contains("coterie-node cert"), "{said}");
        }
    }
    let exposed = refuse(&|| {
        fs::set_permissions(one.join("node.key"), fs::Permissions::from_mode(0o644)).unwrap();
    });
    assert!(exposed.to_string().contains("chmod 600"), "{exposed}");
    let mismatch = refuse(&|| bring(&files.of(2), &one, &["node.key"]));
    assert!(matches!(mismatch, CertificatesError::KeyMismatch { .. }), "{mismatch}");
    let untrusted = refuse(&|| bring(&foreign.ca(), &one, &["ca.pem"]));
    assert!(matches!(untrusted, CertificatesError::Refused { .. }), "{untrusted}");
    let unnamed = refuse(&|| {
        fs::copy(one.join("ca.pem"), one.join("node.pem")).unwrap();
    });
    assert!(matches!(unnamed, CertificatesError::Unnamed { .. }), "{unnamed}");
    let of_another = refuse(&|| bring(&files.of(2), &one, &["node.key", "node.pem"]));
    assert!(matches!(of_another, CertificatesError::OtherNode { .. }), "{of_another}");
}
