//! Who is let through to what.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use coterie_crdt::operation::Reply;

use super::super::door::Need;
use super::super::routes::ROUTES;
use super::fake::{Answers, Fake, done};
use crate::config::{Token, UsersFile};

fn users(rights: &[(&Token, &str)]) -> UsersFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut text = String::new();
    for (number, (token, rights)) in rights.iter().enumerate() {
        let hash = token.hash();
        text += &format!(
            "[[user]]\nname = \"u{number}\"\ntoken_sha256 = \"{hash}\"\nrights = [{rights}]\n"
        );
    }
    std::fs::write(file.path(), text).unwrap();
    UsersFile::load(file.path()).unwrap()
}

/// A path with something in place of its parameters.
pub(super) fn filled(path: &str) -> String {
    path.replace("{bucket}", "db0").replace("{key}", "cart:1").replace("{node}", &"0".repeat(32))
}

async fn status(fake: &Fake, method: &str, path: &str, token: Option<&Token>) -> StatusCode {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {}", token.secret()));
    }
    fake.send(request.body(Body::empty()).unwrap()).await.status
}

#[tokio::test]
async fn each_route_is_open_to_those_who_may_use_it_and_to_nobody_else() {
    let [reader, admin, stranger] = std::array::from_fn(|_| Token::draw().unwrap());
    let users = users(&[
        (&reader, "{ verbs = [\"read\"], bucket = \"db0\", prefix = \"cart:\" }"),
        (&admin, "{ verbs = [\"admin\"] }"),
    ]);
    let fake = Fake::guarded(Answers::default(), users);
    for route in ROUTES {
        let path = filled(route.path);
        let with = |token| status(&fake, route.method, &path, token);
        let (none, wrong) = (with(None).await, with(Some(&stranger)).await);
        let (reads, administers) = (with(Some(&reader)).await, with(Some(&admin)).await);
        let what = format!("{} {}", route.method, route.path);
        let is_open = route.need == Need::Nothing;
        assert_eq!(none != StatusCode::UNAUTHORIZED, is_open, "{what}: {none}");
        assert_eq!(wrong != StatusCode::UNAUTHORIZED, is_open, "{what}: {wrong}");
        let refused = reads == StatusCode::FORBIDDEN;
        let writes = route.path.starts_with("/v1/keys") && route.method != "GET";
        // Its prefix is not all of the bucket.
        let lists = route.path.starts_with("/v1/scan");
        assert_eq!(refused, route.need == Need::Admin || writes || lists, "{what}: {reads}");
        let is_data = ["/v1/keys", "/v1/explain", "/v1/scan", "/v1/ring/owners"];
        let is_data = is_data.iter().any(|prefix| route.path.starts_with(prefix));
        assert_eq!(administers == StatusCode::FORBIDDEN, is_data, "{what}: {administers}");
    }
}

#[tokio::test]
async fn rights_are_looked_at_key_by_key_and_operation_by_operation() {
    let [reads, updates, both] = std::array::from_fn(|_| Token::draw().unwrap());
    let users = users(&[
        (&reads, "{ verbs = [\"read\"], bucket = \"db0\" }"),
        (&updates, "{ verbs = [\"update\"], bucket = \"db0\" }"),
        (&both, "{ verbs = [\"read\", \"update\"], bucket = \"db0\", prefix = \"a\" }"),
    ]);
    let answers = Answers::to_requests(|request| {
        done(request.operations.iter().map(|_| Ok(Reply::Integer(1))).collect())
    });
    let fake = Fake::guarded(answers, users);
    let cases = [
        ("db0", "a", "key.exists", [true, false, true]),
        ("db0", "a", "key.delete", [false, true, true]),
        ("db0", "a", "string.get_delete", [false, false, true]),
        ("db0", "b", "key.exists", [true, false, false]),
        ("sloppy", "a", "key.exists", [false, false, false]),
    ];
    for (bucket, key, operation, allowed) in cases {
        for (token, allowed) in [&reads, &updates, &both].into_iter().zip(allowed) {
            let body = format!(
                "{{\"bucket\": \"{bucket}\", \"key\": \"{key}\", \"operations\": [{{\"operation\": \"{operation}\"}}]}}"
            );
            let request = Request::builder()
                .method("POST")
                .uri("/v1/operations")
                .header("content-type", "application/json")
                .header("authorization", format!("bearer {}", token.secret()))
                .body(Body::from(body))
                .unwrap();
            let said = fake.send(request).await;
            let expected = if allowed { StatusCode::OK } else { StatusCode::FORBIDDEN };
            assert_eq!(said.status, expected, "{bucket} {key} {operation}: {said:?}");
        }
    }
}

#[tokio::test]
async fn a_door_without_secrets_is_no_door_for_foreign_pages() {
    let fake = Fake::new(Answers::default());
    let cases = [
        (vec![], true),
        (vec![("host", "127.0.0.1:7380")], true),
        (vec![("host", "[::1]:7380")], true),
        (vec![("host", "localhost")], true),
        (vec![("host", "node-1:7380")], true),
        (vec![("host", "evil.example")], false),
        (vec![("host", "localhost"), ("origin", "http://localhost:7380")], true),
        (vec![("host", "localhost"), ("origin", "http://evil.example")], false),
        (vec![("host", "localhost"), ("origin", "null")], false),
        (vec![("origin", "http://localhost")], false),
    ];
    for (headers, allowed) in cases {
        let mut request = Request::builder().uri("/v1/ring");
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        let said = fake.send(request.body(Body::empty()).unwrap()).await;
        let expected = if allowed { StatusCode::OK } else { StatusCode::FORBIDDEN };
        assert_eq!(said.status, expected, "{headers:?}");
    }
}

#[tokio::test]
async fn a_name_with_a_secret_opens_the_door_too() {
    let token = Token::draw().unwrap();
    let users = users(&[(&token, "{ verbs = [\"read\"] }")]);
    let fake = Fake::guarded(Answers::default(), users);
    let ask = async |authorization: String| {
        let request = Request::builder().uri("/v1/ring").header("authorization", authorization);
        fake.send(request.body(Body::empty()).unwrap()).await.status
    };
    let basic =
        |name: &str, secret: &str| format!("Basic {}", STANDARD.encode(format!("{name}:{secret}")));
    assert_eq!(ask(basic("u0", token.secret())).await, StatusCode::OK);
    assert_eq!(ask(basic("u0", "other")).await, StatusCode::UNAUTHORIZED);
    assert_eq!(ask(basic("u1", token.secret())).await, StatusCode::UNAUTHORIZED);
    assert_eq!(ask("Basic %".to_owned()).await, StatusCode::UNAUTHORIZED);
    assert_eq!(ask("Digest x".to_owned()).await, StatusCode::UNAUTHORIZED);
}
