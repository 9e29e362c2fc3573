//! The description of all that is served, made of the tables of routes and operations.

use axum::Json;
use serde_json::{Map, Value as Json_, json};

use super::door::Need;
use super::operation::{Described, OPERATIONS};
use super::routes::{ROUTES, Route};
use super::value::Value;

/// Query parameters and headers: where, and what they say.
pub(super) const PARAMETERS: &[(&str, &str, &str)] = &[
    (
        "level",
        "query",
        "How many owners must take part: any, one, two, three, quorum, all, local_one, local_quorum, each_quorum or linearizable. Left out: the bucket's.",
    ),
    ("read_level", "query", "How many owners a read asks, and a write that observes asks first."),
    ("timeout", "query", "How long to wait, such as 500ms or 5s."),
    ("ttl", "query", "How long the key lives, such as 60s."),
    ("if", "query", "absent or present: write only then; 412 if not."),
    ("cursor", "query", "Where the last page ended; left out to begin."),
    ("count", "query", "About how many keys."),
    ("prefix", "query", "Only keys that begin so."),
    ("type", "query", "Only keys of this type."),
    ("Coterie-Context", "header", "The context that was read with the register."),
    (
        "Coterie-Session",
        "header",
        "The session's last token; new or monotonic-reads begins one. The response has the next token.",
    ),
    (
        "Coterie-Request-Id",
        "header",
        "32 hexadecimal digits drawn at random. A repeated request bears the same, and is done once where the coordinator remembers it.",
    ),
];

/// `GET /v1/openapi.json`
pub(super) async fn served() -> Json<Json_> {
    Json(document())
}

/// The description.
pub(super) fn document() -> Json_ {
    let mut paths: Map<String, Json_> = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path.to_owned()).or_insert_with(|| json!({}));
        path[route.method.to_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Coterie",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Health, metrics, administration and data of a Coterie node. Keys and values are text where they are UTF-8, else {\"base64\": \"…\"}; in paths, bytes are escaped with %.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "password": {"type": "http", "scheme": "basic"},
            },
        },
    })
}

fn operation(route: &Route) -> Json_ {
    let in_path =
        route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Json_> = in_path
        .map(|name| {
            json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}})
        })
        .collect();
    for name in route.looks_at {
        let known = PARAMETERS.iter().find(|(known, ..)| known == name);
        let (name, place, about) = known.expect("the table of parameters has all");
        let schema = json!({"type": "string"});
        parameters.push(json!({"name": name, "in": place, "description": about, "schema": schema}));
    }
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.about,
        "parameters": parameters,
        "responses": {
            route.status.to_string(): {"description": "Done, or asked for."},
            "default": {
                "description": "What went wrong.",
                "content": {"application/json": {"schema": reference("Problem")}},
            },
        },
    });
    if let Some(body) = route.body {
        operation["requestBody"] = if body == "bytes" {
            json!({"required": true, "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}})
        } else {
            json!({"required": true, "content": {"application/json": {"schema": reference(body)}}})
        };
    }
    if route.need != Need::Nothing {
        operation["security"] = json!([{"token": []}, {"password": []}, {}]);
    }
    operation
}

/// A name of its own for each: the method and the words of the path.
fn operation_id(route: &Route) -> String {
    let words = route.path.split(['/', '{', '}', '.', '-']).filter(|word| !word.is_empty());
    words.fold(route.method.to_lowercase(), |id, word| id + "_" + word)
}

fn reference(schema: &str) -> Json_ {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

fn object(required: &[&str], properties: Json_) -> Json_ {
    json!({"type": "object", "additionalProperties": false, "required": required, "properties": properties})
}

fn schemas() -> Json_ {
    let node = json!({"type": "string", "pattern": "^[0-9a-f]{32}$"});
    let replicas = json!({"type": "integer", "minimum": 1});
    let level = json!({"type": "string"});
    let lost = json!({"type": "boolean", "const": true, "description": "The operator knows that data may be lost."});
    let operations: Vec<Json_> = OPERATIONS
        .iter()
        .map(|it| {
            let (mut required, mut properties) = (vec!["operation"], Map::new());
            properties.insert("operation".to_owned(), json!({"const": it.name}));
            for (name, schema, is_required) in (it.fields)() {
                properties.insert(name.to_owned(), schema);
                if is_required {
                    required.push(name);
                }
            }
            let mut schema = object(&required, Json_::Object(properties));
            schema["description"] = json!(it.about);
            schema
        })
        .collect();
    json!({
        "Problem": {
            "type": "object",
            "required": ["error", "outcome", "detail", "what_to_do"],
            "properties": {
                "error": {"type": "string", "description": "A word for programs."},
                "outcome": {"type": "string", "enum": ["refused", "unavailable", "unknown"], "description": "refused and unavailable changed nothing; unknown may yet take effect."},
                "detail": {"type": "string"},
                "what_to_do": {"type": "string"},
            },
        },
        "Value": {
            "description": "Bytes: text where they are UTF-8, else an object with base64.",
            "oneOf": [
                {"type": "string"},
                object(&["base64"], json!({"base64": {"type": "string", "contentEncoding": "base64"}})),
            ],
        },
        "Placement": object(&["replicas", "spread"], json!({
            "replicas": replicas,
            "spread": {"type": "string", "enum": ["nodes", "zones", "regions"]},
        })),
        "NodeChange": object(&[], json!({
            "weight": {"type": "integer", "minimum": 0},
            "zone": {"type": "string", "description": "REGION/ZONE"},
        })),
        "Replacement": object(&["by", "data_may_be_lost"], json!({"by": node, "data_may_be_lost": lost})),
        "Nodes": object(&["nodes", "data_may_be_lost"], json!({
            "nodes": {"type": "array", "items": node},
            "data_may_be_lost": lost,
        })),
        "GiveUp": object(&["owners"], json!({"owners": {"type": "integer", "minimum": 0}})),
        "Bucket": object(&[], json!({
            "kind": {"type": "string", "enum": ["strict", "sloppy", "strong"]},
            "replicas": replicas,
            "write": level,
            "read": level,
            "expiry": {"type": "string", "description": "How long keys live, such as 1d; 0s for ever."},
        })),
        "Operations": object(&["bucket", "key", "operations"], json!({
            "bucket": {"type": "string"},
            "key": Value::schema(),
            "operations": {"type": "array", "minItems": 1, "items": reference("Operation")},
            "level": level,
            "read_level": level,
            "timeout": {"type": "string"},
            "explain": {"type": "boolean"},
        })),
        "Operation": {"oneOf": operations},
        "Backup": object(&["name"], json!({
            "name": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"},
        })),
        "Barrier": object(&["scope"], json!({
            "scope": {"oneOf": [
                object(&["key"], json!({"key": object(&["bucket", "key"], json!({"bucket": {"type": "string"}, "key": Value::schema()}))})),
                object(&["slice"], json!({"slice": object(&["partition", "replicas"], json!({"partition": {"type": "integer", "minimum": 0}, "replicas": replicas}))})),
                object(&["all"], json!({"all": object(&[], json!({}))})),
            ]},
            "wait": {"type": "string", "description": "Such as 10s; at most 600s."},
        })),
    })
}
