//! Data: siblings and contexts, levels and sessions, outcomes and replies.

use axum::body::Body;
use axum::http::{Request as Http, StatusCode};
use bytes::Bytes;
use coterie_crdt::operation::{
    KeyOperation, OpError, Operation, Reply, SetCondition, SetVerb, StringOperation,
};
use coterie_crdt::{Actor, Context, Dot, Score, Shown};
use coterie_ring::{KeyHash, Level};
use coterie_wire::{
    Answered, ChangedDots, LevelRefused, ListFrom, Listed, ListedKey, Outcome, Page, QuorumCount,
    Refused, RequestId, Unavailable,
};
use serde_json::json;

use super::fake::{Answers, Fake, Said, done};

fn context() -> Context {
    [Dot::new(Actor(7), 1), Dot::new(Actor(8), 3)].into_iter().collect()
}

fn siblings(values: &'static [&'static str]) -> Answers {
    Answers::to_requests(|request| match &request.operations[..] {
        [Operation::String(StringOperation::GetSiblings)] => {
            let values = values.iter().map(|it| Bytes::from_static(it.as_bytes())).collect();
            done(vec![Ok(Reply::Siblings(values, context()))])
        }
        _ => done(vec![Ok(Reply::Done)]),
    })
}

async fn get_bytes(fake: &Fake, path: &str) -> Said {
    let request = Http::builder().uri(path).header("accept", "application/octet-stream");
    fake.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn siblings_are_visible_and_resolved_by_their_context() {
    let fake = Fake::new(siblings(&["one", "two"]));
    let said = fake.call("GET", "/v1/keys/db0/k?level=one").await;
    assert_eq!(said.json()["siblings"], json!(["one", "two"]));
    assert_eq!(fake.last_request().levels.read, Some(Level::One));
    let token = said.header("coterie-context").unwrap().to_owned();
    assert_eq!(said.json()["context"], json!(token));

    let said = get_bytes(&fake, "/v1/keys/db0/k").await;
    assert_eq!((said.status, said.error().as_str()), (StatusCode::CONFLICT, "siblings"));
    assert_eq!(said.header("coterie-context"), Some(&token[..]));

    let put = |key: &str, query: &str| {
        let request = Http::builder().method("PUT").uri(format!("/v1/keys/db0/{key}{query}"));
        fake.send(request.header("coterie-context", &token).body(Body::from("both")).unwrap())
    };
    assert_eq!(put("k", "").await.status, StatusCode::OK);
    let expected = StringOperation::PutSibling { value: "both".into(), replaces: context() };
    assert_eq!(fake.last_request().operations, [Operation::String(expected)]);
    for (key, query) in [("other", ""), ("k", "?ttl=5s"), ("k", "?if=absent")] {
        assert_eq!(put(key, query).await.status, StatusCode::BAD_REQUEST, "{key}{query}");
    }
}

#[tokio::test]
async fn one_value_is_its_bytes_and_none_is_not_found() {
    let fake = Fake::new(siblings(&["one"]));
    let said = get_bytes(&fake, "/v1/keys/db0/a%2F%FF").await;
    assert_eq!((said.status, &said.body[..]), (StatusCode::OK, &b"one"[..]));
    assert_eq!(fake.last_request().key.name(), &b"a/\xff"[..]);
    let fake = Fake::new(siblings(&[]));
    let said = fake.call("GET", "/v1/keys/db0/k").await;
    assert_eq!((said.status, said.error().as_str()), (StatusCode::NOT_FOUND, "no_such_key"));
}

#[tokio::test]
async fn a_strong_key_is_read_without_siblings() {
    let fake = Fake::new(Answers::to_requests(|_| done(vec![Ok(Reply::Value("v".into()))])));
    let said = fake.call("GET", "/v1/keys/strong/k").await;
    assert_eq!(said.json()["siblings"], json!(["v"]));
    assert_eq!(fake.last_request().operations, [Operation::String(StringOperation::Get)]);
}

#[tokio::test]
async fn a_write_bears_its_condition_its_lifetime_its_levels_and_its_id() {
    let fake = Fake::new(Answers::to_requests(|_| done(vec![Ok(Reply::Nothing)])));
    let path = "/v1/keys/db0/k?if=absent&ttl=1m&level=all&read_level=one&timeout=1s";
    let request = Http::builder().method("PUT").uri(path);
    let request = request.header("coterie-request-id", format!("{:032x}", 77));
    let said = fake.send(request.body(Body::from("v")).unwrap()).await;
    assert_eq!(
        (said.status, said.error().as_str()),
        (StatusCode::PRECONDITION_FAILED, "condition")
    );
    let asked = fake.last_request();
    assert_eq!(asked.id, RequestId(77));
    assert_eq!((asked.levels.write, asked.levels.read), (Some(Level::All), Some(Level::One)));
    assert_eq!(asked.time_left.as_millis(), 1_000);
    let [Operation::String(StringOperation::Set { condition, expire, .. })] = &asked.operations[..]
    else {
        panic!("{asked:?}")
    };
    assert_eq!(*condition, SetCondition::IfAbsent);
    assert!(matches!(expire, coterie_crdt::operation::Expire::At(_)));
}

#[tokio::test]
async fn every_outcome_has_its_status_and_says_what_is_known() {
    let count = QuorumCount { have: 1, need: 2 };
    let unknown = Outcome::Unknown { count, changed: ChangedDots::default() };
    let too_large = Refused::Key(OpError::TooLong);
    let cases = [
        (Outcome::Refused(Refused::Empty), 400, "refused"),
        (Outcome::Refused(Refused::NoSuchBucket), 404, "refused"),
        (Outcome::Refused(too_large), 413, "refused"),
        (Outcome::Refused(Refused::Level(LevelRefused::AnyRead)), 400, "refused"),
        (Outcome::Refused(Refused::NeedsStrong), 409, "refused"),
        (Outcome::Refused(Refused::OnlyRegisters), 409, "refused"),
        (Outcome::Refused(Refused::StrongValue { bytes: 2, bytes_max: 1 }), 413, "refused"),
        (Outcome::Refused(Refused::TooLarge { bytes_max: 1 }), 413, "refused"),
        (Outcome::Refused(Refused::DiskFull), 507, "refused"),
        (Outcome::Refused(Refused::Busy), 429, "refused"),
        (Outcome::Refused(Refused::Expired), 503, "refused"),
        (Outcome::Refused(Refused::NotServing), 503, "refused"),
        (Outcome::Unavailable(Unavailable::Owners(count)), 503, "unavailable"),
        (Outcome::Unavailable(Unavailable::HintsFull), 503, "unavailable"),
        (unknown, 504, "unknown"),
    ];
    for (outcome, status, known) in cases {
        let what = format!("{outcome:?}");
        let fake = Fake::new(Answers::to_requests(move |_| outcome.clone()));
        let said = fake.call("DELETE", "/v1/keys/db0/k").await;
        assert_eq!(
            (said.status.as_u16(), &said.json()["outcome"]),
            (status, &json!(known)),
            "{what}"
        );
        said.error();
        assert_eq!(said.header("retry-after").is_some(), status == 429, "{what}");
    }
    let fake = Fake::new(Answers::to_requests(|_| done(vec![Err(OpError::WrongType)])));
    let said = fake.call("GET", "/v1/keys/db0/k").await;
    assert_eq!((said.status, said.error().as_str()), (StatusCode::CONFLICT, "wrong_type"));
}

#[tokio::test]
async fn operations_are_read_and_replies_and_errors_answered_in_order() {
    let fake = Fake::new(Answers::to_requests(|_| {
        done(vec![
            Ok(Reply::Integer(1)),
            Ok(Reply::Values(vec![Some("a".into()), None, Some(b"\xff"[..].into())])),
            Err(OpError::WrongType),
            Ok(Reply::Scored(vec![("m".into(), Score::new(f64::INFINITY).unwrap())])),
        ])
    }));
    let body = json!({
        "bucket": "db0",
        "key": {"base64": "/w=="},
        "level": "quorum",
        "operations": [
            {"operation": "set.add", "members": ["a", {"base64": "/w=="}]},
            {"operation": "hash.get", "fields": ["a", "b", "c"]},
            {"operation": "string.increment", "by": 9_007_199_254_740_993_i64},
            {"operation": "sorted_set.by_score", "min": {"beyond": 1}, "max": {"from": "inf"}},
        ],
    });
    let said = fake.json("POST", "/v1/operations", &body.to_string()).await;
    assert_eq!(said.status, StatusCode::OK, "{said:?}");
    let replies = &said.json()["replies"];
    assert_eq!(replies[0], json!({"reply": 1}));
    assert_eq!(replies[1], json!({"reply": ["a", null, {"base64": "/w=="}]}));
    assert_eq!(replies[2]["error"]["error"], json!("wrong_type"));
    assert_eq!(replies[3], json!({"reply": [{"member": "m", "score": "inf"}]}));
    let asked = fake.last_request();
    assert_eq!(asked.key.name(), &b"\xff"[..]);
    assert_eq!(asked.levels.write, Some(Level::Quorum));
    let Operation::Set(set) = &asked.operations[0] else { panic!("{asked:?}") };
    assert_eq!(set.verb, SetVerb::Add(vec!["a".into(), b"\xff"[..].into()]));
    let increment = StringOperation::IncrementBy(9_007_199_254_740_993);
    assert_eq!(asked.operations[2], Operation::String(increment));
}

#[tokio::test]
async fn a_session_sees_what_it_wrote_also_where_nobody_knows_whether_it_was_done() {
    let dot = Dot::new(Actor(9), 4);
    let changed = ChangedDots { minted: vec![dot], observed: Context::new(), epoch: 2 };
    let fake = Fake::new(Answers::to_requests(move |request| {
        if request.operations[0].writes() {
            let count = QuorumCount { have: 1, need: 2 };
            return Outcome::Unknown { count, changed: changed.clone() };
        }
        done(vec![Ok(Reply::Siblings(vec!["v".into()], Context::new()))])
    }));
    let send = |method: &str, token: &str| {
        let request = Http::builder().method(method).uri("/v1/keys/db0/k");
        fake.send(request.header("coterie-session", token).body(Body::from("v")).unwrap())
    };
    let said = send("PUT", "new").await;
    assert_eq!(said.status, StatusCode::GATEWAY_TIMEOUT);
    let token = said.header("coterie-session").unwrap().to_owned();
    let said = send("GET", &token).await;
    assert_eq!(said.status, StatusCode::OK);
    assert!(said.header("coterie-session").is_some());
    let asked = fake.last_request().session;
    assert!(asked.dots.contains(dot) && asked.epoch == 2);
    assert_eq!(fake.call("GET", "/v1/keys/db0/k").await.header("coterie-session"), None);
    assert!(!fake.last_request().session.dots.contains(dot));
}

#[tokio::test]
async fn a_listing_goes_on_over_partitions_until_its_page_is_full() {
    let key = |name: &str, shown| ListedKey { name: Bytes::from(name.to_owned()), shown };
    let fake = Fake::new(Answers {
        list: Box::new(move |list| {
            let number = list.from.hash >> 61;
            let next = (number < 7).then(|| ListFrom { hash: (number + 1) << 61, after: None });
            let keys = vec![
                key(&format!("a{number}"), Shown::String),
                key(&format!("b{number}"), Shown::Set),
            ];
            Listed::Page(Page { keys, next, owners: Vec::new() })
        }),
        ..Answers::default()
    });
    let (mut cursor, mut pages) = (String::new(), Vec::new());
    loop {
        let path = format!("/v1/scan/db0?count=3&prefix=a{cursor}");
        let page = fake.call("GET", &path).await.json();
        pages.push(page["keys"].as_array().unwrap().len());
        let Some(next) = page["cursor"].as_str() else { break };
        assert_eq!(KeyHash(u64::from_str_radix(next, 16).unwrap()).0.trailing_zeros() / 61, 1);
        cursor = format!("&cursor={next}");
    }
    assert_eq!(pages, [3, 3, 2]);
    let sets = fake.call("GET", "/v1/scan/db0?type=set&count=100").await.json();
    assert_eq!(sets["keys"].as_array().unwrap().len(), 8);
    assert_eq!(sets["keys"][0], json!({"key": "b0", "type": "set"}));
}

#[tokio::test]
async fn an_explanation_is_asked_for_and_shown() {
    let fake = Fake::new(Answers::to_requests(|request| {
        assert!(request.explain);
        let Outcome::Done(answered) = done(vec![Ok(Reply::Type(Shown::Set))]) else {
            unreachable!()
        };
        let explanation = coterie_wire::Explanation {
            dots: vec![("cell".into(), vec![Dot::new(Actor(1), 2)])],
            ..coterie_wire::Explanation::default()
        };
        let explanation = Some(Box::new(explanation));
        Outcome::Done(Box::new(Answered { explanation, ..*answered }))
    }));
    let said = fake.call("GET", "/v1/explain/db0/k").await.json();
    assert_eq!(said["type"], json!("set"));
    assert_eq!(said["explanation"]["dots"][0]["dots"][0], json!("0000000000000001:2"));
    assert_eq!(fake.last_request().operations, [Operation::Key(KeyOperation::Type)]);
}
