//! Bad input: what is malformed, too large, of the wrong kind.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use bytes::Bytes;
use coterie_crdt::operation::Reply;

use super::fake::{Answers, Fake, done};
use crate::engine::memory::Part;

#[tokio::test]
async fn malformed_json_is_refused_with_what_is_wrong_and_nothing_is_asked() {
    let fake = Fake::new(Answers::default());
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    let bodies = [
        "",
        "{",
        "null",
        "{\"bucket\": \"db0\"}",
        "{\"bucket\": \"db0\", \"key\": 1, \"operations\": []}",
        "{\"bucket\": \"db0\", \"key\": {\"base64\": \"%\"}, \"operations\": []}",
        "{\"bucket\": \"db0\", \"key\": \"k\", \"operations\": [{\"operation\": \"set.eat\"}]}",
        "{\"bucket\": \"db0\", \"key\": \"k\", \"operations\": [{\"operation\": \"key.type\", \"x\": 1}]}",
        "{\"bucket\": \"db0\", \"key\": \"k\", \"operations\": [{\"operation\": \"map.get\", \"path\": []}]}",
        "{\"bucket\": \"db0\", \"key\": \"k\", \"operations\": [], \"level\": \"most\"}",
        "{\"bucket\": \"db0\", \"key\": \"k\", \"operations\": [], \"timeout\": \"1h\"}",
        &deep,
    ];
    for body in bodies {
        let said = fake.json("POST", "/v1/operations", body).await;
        assert_eq!(said.status, StatusCode::BAD_REQUEST, "{body}: {said:?}");
        assert_eq!(said.error(), "bad_request");
    }
    assert!(fake.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused_by_its_type() {
    let fake = Fake::new(Answers::default());
    for kind in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
        let mut request = Request::builder().method("POST").uri("/v1/operations");
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        let said = fake.send(request.body(Body::from("{}")).unwrap()).await;
        assert_eq!(said.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind:?}");
    }
}

#[tokio::test]
async fn oversized_bodies_and_names_are_refused() {
    let fake = Fake::new(Answers::default());
    let put = |bytes: usize| {
        let request = Request::builder().method("PUT").uri("/v1/keys/db0/k");
        fake.send(request.body(Body::from(vec![b'v'; bytes])).unwrap())
    };
    assert_eq!(put(1 << 20).await.status, StatusCode::OK);
    let said = put((1 << 20) + 1).await;
    assert_eq!(said.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(said.error(), "too_large");
    let said = fake.json("POST", "/v1/operations", &" ".repeat((16 << 20) + 1)).await;
    assert_eq!(said.status, StatusCode::PAYLOAD_TOO_LARGE);
    let long = format!("/v1/keys/{}/k", "b".repeat(256));
    assert_eq!(fake.call("GET", &long).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(fake.requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn bodies_and_answers_that_there_is_no_memory_for_are_refused() {
    let value = Bytes::from(vec![b'v'; 500_000]);
    let shown = move |_request| done(vec![Ok(Reply::Value(value.clone()))]);
    let fake = Fake::new(Answers::to_requests(shown));
    let put = |bytes: usize| {
        let request = Request::builder().method("PUT").uri("/v1/keys/db0/k");
        fake.send(request.body(Body::from(vec![b'v'; bytes])).unwrap())
    };
    let others: Vec<Part> = (0..2).map(|_| fake.memory.part()).collect();
    others.iter().for_each(|part| part.take(24 << 20).unwrap());
    let said = put(500_000).await;
    assert_eq!(said.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(said.error(), "no_memory");
    assert!(fake.requests.lock().unwrap().is_empty());
    assert_eq!(put(10_000).await.status, StatusCode::OK, "there is room for what is little");
    let said = fake.call("GET", "/v1/keys/db0/k").await;
    assert_eq!(said.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(said.error(), "no_memory");
    drop(others);
    assert_eq!(put(500_000).await.status, StatusCode::OK);
    assert_eq!(fake.call("GET", "/v1/keys/db0/k").await.status, StatusCode::OK);
    assert_eq!(fake.memory.now().held, 0);
}

#[tokio::test]
async fn malformed_paths_queries_and_headers_are_refused() {
    let fake = Fake::new(Answers::default());
    for path in [
        "/v1/keys/db0/%zz",
        "/v1/keys/db0/k?level=most",
        "/v1/keys/db0/k?timeout=soon",
        "/v1/keys/db0/k?timeout=61s",
        "/v1/scan/db0?count=0",
        "/v1/scan/db0?cursor=x",
        "/v1/scan/%ff",
    ] {
        let said = fake.call("GET", path).await;
        assert_eq!(said.status, StatusCode::BAD_REQUEST, "{path}: {said:?}");
    }
    for (name, value) in [
        ("coterie-session", "!"),
        ("coterie-session", "AAAA"),
        ("coterie-request-id", "1"),
        ("coterie-context", "AAAA"),
    ] {
        let request = Request::builder().method("PUT").uri("/v1/keys/db0/k").header(name, value);
        let said = fake.send(request.body(Body::from("v")).unwrap()).await;
        assert_eq!(said.status, StatusCode::BAD_REQUEST, "{name}: {said:?}");
    }
    assert_eq!(fake.call("GET", "/v2").await.error(), "no_such_path");
    let said = fake.call("POST", "/healthz").await;
    assert_eq!((said.status, said.error().as_str()), (StatusCode::METHOD_NOT_ALLOWED, "method"));
    assert!(fake.requests.lock().unwrap().is_empty());
}
