//! A node of channels: tests say what its lanes and control answer.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request as Http, StatusCode};
use bytes::Bytes;
use coterie_crdt::Context;
use coterie_crdt::operation::{OpError, Reply};
use coterie_protocol::View;
use coterie_protocol::control::{Answer, Command, CommandError, Status, SyncPolicy};
use coterie_protocol::repair::barrier;
use coterie_ring::decision::bootstrap;
use coterie_ring::{
    BucketKind, BucketName, BucketPolicy, Intent, NodeId, NodeIntent, NodeState, Partitioner, Place,
};
use coterie_wire::{
    Answered, ChangedDots, Incarnation, List, Listed, Outcome, Page, Request, Response,
};
use serde_json::Value as Json;
use tokio::sync::mpsc::unbounded_channel;
use tower::ServiceExt;

use super::super::door::{Behind, Door};
use super::super::routes::router;
use crate::config::UsersFile;
use crate::engine::gateway::{Gateway, LaneFacts, NodeAddresses, NodeFacts};
use crate::engine::inbox::{AnswerTo, Asked, ControlInput, LaneInput};
use crate::engine::memory::ClientMemory;
use crate::metrics::{LaneMetrics, Metrics};

/// This node.
pub(super) const ME: NodeId = NodeId(1);

type OnRequest = Box<dyn FnMut(Request) -> Outcome + Send>;
type OnCommand = Box<dyn FnMut(Command) -> Result<Answer, CommandError> + Send>;

/// What the fake node answers.
pub(super) struct Answers {
    pub(super) request: OnRequest,
    pub(super) command: OnCommand,
    pub(super) list: Box<dyn FnMut(List) -> Listed + Send>,
    pub(super) barrier: Box<dyn FnMut(barrier::Scope) -> barrier::Outcome + Send>,
}

impl Default for Answers {
    fn default() -> Self {
        Answers {
            request: Box::new(|_request| done(vec![Ok(Reply::Done)])),
            command: Box::new(|command| match command {
                Command::Status => Ok(Answer::Status(status())),
                Command::Plan => {
                    let layout = view().decision.layout().clone();
                    Ok(Answer::Plan(coterie_ring::plan(&layout, layout.snapshot())?))
                }
                _ => Ok(Answer::Asked),
            }),
            list: Box::new(|_list| Listed::Page(Page::default())),
            barrier: Box::new(|_scope| barrier::Outcome::Done),
        }
    }
}

impl Answers {
    /// Requests are answered so.
    pub(super) fn to_requests(answer: impl FnMut(Request) -> Outcome + Send + 'static) -> Self {
        Answers { request: Box::new(answer), ..Answers::default() }
    }

    /// Commands are answered so.
    pub(super) fn to_commands(
        answer: impl FnMut(Command) -> Result<Answer, CommandError> + Send + 'static,
    ) -> Self {
        Answers { command: Box::new(answer), ..Answers::default() }
    }
}

/// Everything went well.
pub(super) fn done(replies: Vec<Result<Reply, OpError>>) -> Outcome {
    Outcome::Done(Box::new(Answered {
        replies,
        changed: ChangedDots::default(),
        seen: (Context::new(), 0),
        owners: vec![ME],
        fallbacks: Vec::new(),
        everywhere: false,
        explanation: None,
    }))
}

/// How a cluster is of which nothing is known.
fn status() -> Status {
    Status {
        cluster: 7,
        me: ME,
        incarnation: Incarnation(1),
        amnesiac: false,
        abstains: false,
        isolated: false,
        unanswered: Vec::new(),
        members: Vec::new(),
        tip: None,
        voters: Vec::new(),
        moving: 0,
        done: 0,
        progress: BTreeMap::new(),
        overruled: 0,
        pending: false,
        refused: None,
        warnings: Vec::new(),
    }
}

/// A view of three nodes with `db0`, a sloppy bucket and a strong one.
pub(super) fn view() -> View {
    let mut intent = Intent::new();
    for node in 1..=3 {
        let place = Place::new("eu", &format!("z{node}")).unwrap();
        let wanted = NodeIntent { state: NodeState::Active, weight: 1, place };
        intent.set_node(NodeId(node), wanted).unwrap();
    }
    let buckets = [
        ("db0", BucketKind::Strict),
        ("sloppy", BucketKind::Sloppy),
        ("strong", BucketKind::Strong),
    ];
    for (name, kind) in buckets {
        let policy = BucketPolicy { kind, ..BucketPolicy::default() };
        intent.set_bucket(BucketName::new(name).unwrap(), policy).unwrap();
    }
    let first = bootstrap(7, Partitioner::new(8).unwrap(), &intent).unwrap();
    View::new(ME, Incarnation(1), Arc::new(first))
}

/// A door to a fake node.
pub(super) struct Fake {
    pub(super) gateway: Gateway,
    pub(super) metrics: Arc<Metrics>,
    /// What clients hold.
    pub(super) memory: ClientMemory,
    pub(super) router: Router,
    /// Requests that lanes were asked.
    pub(super) requests: Arc<Mutex<Vec<Request>>>,
    /// Commands that control was given.
    pub(super) commands: Arc<Mutex<Vec<Command>>>,
}

impl Fake {
    /// A node in a cluster with two lanes that run, and a door without secrets.
    pub(super) fn new(answers: Answers) -> Fake {
        let fake = Fake::outside(answers, None);
        fake.gateway.show(Arc::new(view()));
        for lane in 0..2 {
            fake.gateway.publish(LaneFacts {
                lane,
                metrics: LaneMetrics::new(1).snapshot(),
                ..LaneFacts::default()
            });
        }
        fake
    }

    /// As [`Fake::new`], with users.
    pub(super) fn guarded(answers: Answers, users: UsersFile) -> Fake {
        let fake = Fake::outside(answers, Some(users));
        fake.gateway.show(Arc::new(view()));
        fake
    }

    /// A node in no cluster.
    pub(super) fn outside(answers: Answers, users: Option<UsersFile>) -> Fake {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let facts = NodeFacts {
            cluster: 7,
            node: ME,
            version: "test",
            place: Place::new("eu", "z1").unwrap(),
            lanes: 2,
            sync: SyncPolicy::Always,
            started: SystemTime::now(),
            addresses: NodeAddresses { resp: any, http: any, gossip: any, peers: any },
        };
        let (control, mut commands_in) = unbounded_channel();
        let (mut lanes, mut inboxes) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let (sender, receiver) = unbounded_channel();
            lanes.push(sender);
            inboxes.push(receiver);
        }
        let gateway = Gateway::new(facts, crate::engine::inbox::Router::new(lanes, control));
        let metrics = Arc::new(Metrics::new(gateway.clone(), &["GET"]));
        let memory = ClientMemory::new(64 << 20);
        let door = Door::new(Behind {
            gateway: gateway.clone(),
            backups: None,
            metrics: Arc::clone(&metrics),
            users,
            host: "node-1".to_owned(),
            request_timeout: Duration::from_secs(5),
            value_bytes_max: 1 << 20,
            memory: memory.clone(),
        });
        let fake = Fake {
            gateway,
            metrics,
            memory,
            router: router(door),
            requests: Arc::default(),
            commands: Arc::default(),
        };
        let answers = Arc::new(Mutex::new(answers));
        for mut inbox in inboxes {
            let (answers, seen) = (Arc::clone(&answers), Arc::clone(&fake.requests));
            tokio::spawn(async move {
                while let Some(input) = inbox.recv().await {
                    answer(&mut answers.lock().unwrap(), &seen, input);
                }
            });
        }
        let seen = Arc::clone(&fake.commands);
        tokio::spawn(async move {
            while let Some(input) = commands_in.recv().await {
                let ControlInput::Command(command, sender) = input else {
                    panic!("only commands come by a gateway")
                };
                seen.lock().unwrap().push((*command).clone());
                let answer = (answers.lock().unwrap().command)(*command);
                drop(sender.send(answer));
            }
        });
        fake
    }

    /// Sends a request.
    pub(super) async fn send(&self, request: Http<Body>) -> Said {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Said { status: head.status, headers: head.headers, body }
    }

    /// Sends a request without a body.
    pub(super) async fn call(&self, method: &str, path: &str) -> Said {
        let request = Http::builder().method(method).uri(path).body(Body::empty()).unwrap();
        self.send(request).await
    }

    /// Sends JSON.
    pub(super) async fn json(&self, method: &str, path: &str, body: &str) -> Said {
        let request = Http::builder().method(method).uri(path);
        let request = request.header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    /// The last request that a lane was asked.
    pub(super) fn last_request(&self) -> Request {
        self.requests.lock().unwrap().last().expect("a lane was asked").clone()
    }
}

fn answer(answers: &mut Answers, seen: &Mutex<Vec<Request>>, input: LaneInput) {
    match input {
        LaneInput::Ask(Asked::Request(request), AnswerTo::Response(sender)) => {
            seen.lock().unwrap().push((*request).clone());
            drop(sender.send(Response { outcome: (answers.request)(*request) }));
        }
        LaneInput::Ask(Asked::List(list), AnswerTo::Listed(sender)) => {
            drop(sender.send((answers.list)(*list)));
        }
        LaneInput::Barrier(scope, _wait, sender) => drop(sender.send((answers.barrier)(scope))),
        other => panic!("a gateway does not send {other:?}"),
    }
}

/// A response.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Said {
    /// Its body of JSON.
    pub(super) fn json(&self) -> Json {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    /// Its error's word.
    pub(super) fn error(&self) -> String {
        let json = self.json();
        for field in ["error", "outcome", "detail", "what_to_do"] {
            assert!(json[field].is_string(), "{field} of {json}");
        }
        json["error"].as_str().unwrap().to_owned()
    }

    /// One of its headers.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}
