//! The description says what is served, and what is served is described.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json, json};

use super::super::openapi::document;
use super::super::operation::{Given, OPERATIONS};
use super::super::routes::ROUTES;
use super::access::filled;
use super::fake::{Answers, Fake};

#[tokio::test]
async fn every_route_is_described_and_everything_described_is_routed() {
    let fake = Fake::new(Answers::default());
    let document = fake.call("GET", "/v1/openapi.json").await.json();
    let paths = document["paths"].as_object().unwrap();
    let described: BTreeSet<(String, String)> = paths
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(|method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    let routed: BTreeSet<(String, String)> =
        ROUTES.iter().map(|it| (it.method.to_owned(), it.path.to_owned())).collect();
    assert_eq!(described, routed);
    for (method, path) in described {
        let said = fake.call(&method, &filled(&path)).await;
        let words = ["no_such_path", "method"];
        let word = serde_json::from_slice::<Json>(&said.body).ok();
        let word = word.and_then(|it| it["error"].as_str().map(str::to_owned));
        assert!(!word.is_some_and(|it| words.contains(&it.as_str())), "{method} {path}: {said:?}");
    }
}

#[test]
fn the_description_is_complete_in_itself() {
    let document = document();
    let (mut ids, mut references) = (BTreeSet::new(), BTreeSet::new());
    collect(&document, &mut references);
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{id} twice");
            assert!(!operation["summary"].as_str().unwrap().is_empty());
            let parameters = operation["parameters"].as_array().unwrap();
            let in_path: BTreeSet<&str> = parameters
                .iter()
                .filter(|it| it["in"] == "path")
                .map(|it| it["name"].as_str().unwrap())
                .collect();
            let braces: BTreeSet<&str> =
                path.split('/').filter_map(|it| it.strip_prefix('{')?.strip_suffix('}')).collect();
            assert_eq!(in_path, braces, "{method} {path}");
            assert!(operation["responses"]["default"].is_object());
        }
    }
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

fn collect(value: &Json, references: &mut BTreeSet<String>) {
    match value {
        Json::Object(fields) => {
            if let Some(Json::String(reference)) = fields.get("$ref") {
                references.insert(reference.clone());
            }
            fields.values().for_each(|it| collect(it, references));
        }
        Json::Array(items) => items.iter().for_each(|it| collect(it, references)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

/// Something that a schema allows.
fn sample(schema: &Json) -> Json {
    if let Some(first) = schema["enum"].as_array().and_then(|it| it.first()) {
        return first.clone();
    }
    if let Some(first) = schema["oneOf"].as_array().and_then(|it| it.first()) {
        return sample(first);
    }
    if schema["$ref"] == "#/components/schemas/Value" {
        return json!({"base64": "/w=="});
    }
    match schema["type"].as_str() {
        Some("string") => json!("x"),
        Some("boolean") => json!(true),
        Some("integer" | "number") => json!(1),
        Some("array") => json!([sample(&schema["items"])]),
        Some("object") => {
            let fields = schema["properties"].as_object().unwrap().iter();
            let count = if schema["maxProperties"] == 1 { 1 } else { usize::MAX };
            Json::Object(fields.take(count).map(|(k, v)| (k.clone(), sample(v))).collect())
        }
        other => panic!("{other:?} of {schema}"),
    }
}

#[test]
fn every_operation_is_read_as_it_is_described() {
    let mut names = BTreeSet::new();
    for operation in OPERATIONS {
        assert!(names.insert(operation.name), "{} twice", operation.name);
        assert!(operation.about.ends_with('.'), "{}", operation.name);
        let fields = (operation.fields)();
        let given = |only_required: bool| -> Map<String, Json> {
            let fields = fields.iter().filter(|(_, _, required)| *required || !only_required);
            let mut given: Map<String, Json> =
                fields.map(|(name, schema, _)| ((*name).to_owned(), sample(schema))).collect();
            given.insert("operation".to_owned(), json!(operation.name));
            given
        };
        let read = |given: Map<String, Json>| serde_json::from_value::<Given>(Json::Object(given));
        for only_required in [true, false] {
            let read = read(given(only_required));
            assert!(read.is_ok(), "{}: {read:?}", operation.name);
        }
        for (name, _, required) in &fields {
            let mut less = given(false);
            less.remove(*name);
            assert_eq!(read(less).is_err(), *required, "{} without {name}", operation.name);
        }
        let mut more = given(false);
        more.insert("unknown".to_owned(), json!(1));
        assert!(read(more).is_err(), "{} with more", operation.name);
    }
}
