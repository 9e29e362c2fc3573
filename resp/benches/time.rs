//! How long a connection takes for pipelines of SET and GET: parsing, planning, and encoding replies, without a store.
#![expect(clippy::unwrap_used, reason = "a benchmark stops where something is not as it should be")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coterie_crdt::Context;
use coterie_crdt::operation::Reply;
use coterie_protocol::View;
use coterie_resp::ask::Answer;
use coterie_resp::connection::Connection;
use coterie_resp::door::{Door, DoorSettings, Surroundings};
use coterie_resp::memory::Memory;
use coterie_resp::parse::ParseLimits;
use coterie_resp::users::Users;
use coterie_ring::decision;
use coterie_ring::{
    BucketName, BucketPolicy, Intent, NodeId, NodeIntent, NodeState, Partitioner, Place,
};
use coterie_wire::{Answered, ChangedDots, Incarnation, Outcome};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn view() -> Arc<View> {
    let mut intent = Intent::new();
    let place = Place::new("r", "z").unwrap();
    let node = NodeIntent { state: NodeState::Active, weight: 1, place };
    intent.set_node(NodeId(1), node).unwrap();
    intent.set_bucket(BucketName::new("db0").unwrap(), BucketPolicy::default()).unwrap();
    let decision = decision::bootstrap(7, Partitioner::default(), &intent).unwrap();
    Arc::new(View::new(NodeId(1), Incarnation(1), Arc::new(decision)))
}

fn door() -> Door {
    let settings = DoorSettings {
        limits: ParseLimits::default(),
        deadline: Duration::from_secs(5),
        authentication: Duration::from_secs(5),
        debug: false,
        address: SocketAddr::from(([127, 0, 0, 1], 7_379)),
        version: "0.1.0".to_owned(),
        seed: 7,
    };
    Door::new(settings, Arc::new(Users::default()))
}

fn answer(reply: Reply) -> Answer {
    Answer::Outcome(Outcome::Done(Box::new(Answered {
        replies: vec![Ok(reply)],
        changed: ChangedDots::default(),
        seen: (Context::new(), 0),
        owners: vec![NodeId(1), NodeId(2)],
        fallbacks: Vec::new(),
        everywhere: false,
        explanation: None,
    })))
}

fn pipelines(criterion: &mut Criterion) {
    let (view, mut door) = (view(), door());
    let memory = Memory { held: 0, most: 128 << 20 };
    let around = Surroundings { view: &view, now: Duration::from_secs(1), wall_millis: 1, memory };
    let address = SocketAddr::from(([127, 0, 0, 1], 50_000));
    let value = "v".repeat(100);
    let mut group = criterion.benchmark_group("pipeline");
    for depth in [1_usize, 16] {
        let set =
            |n: usize| format!("*3\r\n$3\r\nSET\r\n$16\r\nkey:{n:012}\r\n$100\r\n{value}\r\n");
        let get = |n: usize| format!("*2\r\n$3\r\nGET\r\n$16\r\nkey:{n:012}\r\n");
        let sets: String = (0..depth).map(set).collect();
        let gets: String = (0..depth).map(get).collect();
        let read = Reply::Value(Bytes::from(value.clone()));
        let cases = [("set", sets, answer(Reply::Done)), ("get", gets, answer(read))];
        for (name, said, answer) in cases {
            let mut connection = Connection::new(1, address, address, around.now, &door);
            group.throughput(Throughput::Elements(depth as u64));
            group.bench_function(format!("{name}/{depth}"), |bencher| {
                bencher.iter(|| {
                    connection.input().extend_from_slice(said.as_bytes());
                    connection.go_on(&mut door, &around);
                    while let Some((id, _)) = connection.next_ask() {
                        connection.answered(id, answer.clone(), &mut door, &around);
                    }
                    let output = connection.output().len();
                    connection.wrote(output, &mut door, &around);
                    output
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, pipelines);
criterion_main!(benches);
