//! What operations answer, for people.

use serde_json::Value;

use crate::output::text;

/// Bytes for people: text as it is, else base64, which says so.
pub(crate) fn value(value: &Value) -> String {
    match value {
        Value::Null => "(nothing)".to_owned(),
        Value::Object(binary) if binary.contains_key("base64") => {
            format!("base64:{}", text(&binary["base64"]))
        }
        other => text(other),
    }
}

/// A reply: one line for each thing in it, fields apart by tabs.
pub(crate) fn human(reply: &Value) -> String {
    match reply {
        Value::Bool(true) => "OK".to_owned(),
        Value::Array(items) if items.is_empty() => "(empty)".to_owned(),
        Value::Array(items) => items.iter().map(item).collect::<Vec<_>>().join("\n"),
        Value::Object(fields) if fields.contains_key("siblings") => {
            let siblings = fields["siblings"].as_array().map(Vec::as_slice).unwrap_or_default();
            let values: Vec<String> = siblings.iter().map(value).collect();
            format!("{}\ncontext: {}", values.join("\n"), text(&fields["context"]))
        }
        Value::Object(fields) if !fields.contains_key("base64") => item(reply),
        other => value(other),
    }
}

fn item(item: &Value) -> String {
    let Value::Object(fields) = item else { return value(item) };
    let two = |first: &str, second: &str| {
        let path = |it: &Value| match it {
            Value::Array(segments) => segments.iter().map(value).collect::<Vec<_>>().join("/"),
            other => value(other),
        };
        (fields.contains_key(first) && fields.contains_key(second))
            .then(|| format!("{}\t{}", path(&fields[first]), value(&fields[second])))
    };
    two("field", "value")
        .or_else(|| two("member", "score"))
        .or_else(|| two("path", "value"))
        .or_else(|| two("rank", "score"))
        .unwrap_or_else(|| value(item))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn replies_are_lines_and_tabs() {
        let cases = [
            (json!(true), "OK"),
            (json!(null), "(nothing)"),
            (json!(7), "7"),
            (json!("a b"), "a b"),
            (json!({"base64": "/w=="}), "base64:/w=="),
            (json!([]), "(empty)"),
            (json!(["a", null, {"base64": "/w=="}]), "a\n(nothing)\nbase64:/w=="),
            (json!([{"field": "f", "value": "v"}]), "f\tv"),
            (json!([{"member": "m", "score": 1.5}]), "m\t1.5"),
            (json!([{"path": ["a", "b"], "value": "v"}]), "a/b\tv"),
            (json!({"rank": 0, "score": 2}), "0\t2"),
            (json!({"siblings": ["a", "b"], "context": "T"}), "a\nb\ncontext: T"),
        ];
        for (reply, shown) in cases {
            assert_eq!(human(&reply), shown);
        }
    }
}
