//! The fields of operations: how each is read from JSON, and described.

use std::ops::Bound;

use bytes::Bytes;
use coterie_crdt::Score;
use coterie_crdt::operation::{
    AddCondition, Condition, Expire, FlagKind, ListEnd, PivotSide, SetCondition, SetKind,
};
use serde::{Deserialize, Deserializer, de};
use serde_json::{Value as Json, json};

use super::super::value::Value;

/// A type of field.
pub(in super::super) trait Described {
    /// Its schema, as OpenAPI has it.
    fn schema() -> Json;

    /// Whether it has to be given.
    fn required() -> bool {
        true
    }
}

macro_rules! described {
    ($($type:ty => $schema:expr;)+) => {
        $(impl Described for $type {
            fn schema() -> Json {
                $schema
            }
        })+
    };
}

described! {
    Value => json!({"$ref": "#/components/schemas/Value"});
    String => json!({"type": "string"});
    bool => json!({"type": "boolean"});
    i64 => json!({"type": "integer", "format": "int64"});
    u64 => json!({"type": "integer", "format": "int64", "minimum": 0});
    ScoreGiven => json!({"description": "A number, or \"inf\" or \"-inf\".", "oneOf": [{"type": "number"}, {"type": "string"}]});
    DecimalGiven => json!({"description": "A decimal; as text it loses nothing.", "oneOf": [{"type": "number"}, {"type": "string"}]});
    Pair => json!({"type": "object", "required": ["field", "value"], "properties": {"field": Value::schema(), "value": Value::schema()}});
    Scored => json!({"type": "object", "required": ["member", "score"], "properties": {"member": Value::schema(), "score": ScoreGiven::schema()}});
}

impl<T: Described> Described for Vec<T> {
    fn schema() -> Json {
        json!({"type": "array", "items": T::schema()})
    }
}

impl<T: Described> Described for Option<T> {
    fn schema() -> Json {
        T::schema()
    }

    fn required() -> bool {
        false
    }
}

/// A word of a few, each for one value.
macro_rules! words {
    ($name:ident for $type:ty { $($word:literal => $value:expr),+ $(,)? }) => {
        #[derive(Clone, Copy, Debug)]
        pub(in super::super) struct $name(pub(in super::super) $type);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = String::deserialize(deserializer)?;
                match word.as_str() {
                    $($word => Ok($name($value)),)+
                    _ => Err(de::Error::unknown_variant(&word, &[$($word),+])),
                }
            }
        }

        impl Described for $name {
            fn schema() -> Json {
                json!({"type": "string", "enum": [$($word),+]})
            }
        }
    };
}

words!(ExpiryCondition for Condition {
    "always" => Condition::Always,
    "if_never" => Condition::IfNever,
    "if_any" => Condition::IfAny,
    "if_later" => Condition::IfLater,
    "if_earlier" => Condition::IfEarlier,
});

words!(WriteCondition for SetCondition {
    "always" => SetCondition::Always,
    "if_absent" => SetCondition::IfAbsent,
    "if_present" => SetCondition::IfPresent,
});

words!(FlagKindGiven for FlagKind {
    "enable_wins" => FlagKind::EnableWins,
    "disable_wins" => FlagKind::DisableWins,
});

words!(SetKindGiven for SetKind {
    "add_wins" => SetKind::AddWins,
    "remove_wins" => SetKind::RemoveWins,
    "grow_only" => SetKind::GrowOnly,
});

words!(ScoreCondition for AddCondition {
    "always" => AddCondition::Always,
    "if_absent" => AddCondition::IfAbsent,
    "if_present" => AddCondition::IfPresent,
    "if_greater" => AddCondition::IfGreater,
    "if_present_and_greater" => AddCondition::IfPresentAndGreater,
    "if_less" => AddCondition::IfLess,
    "if_present_and_less" => AddCondition::IfPresentAndLess,
});

words!(End for ListEnd {
    "left" => ListEnd::Left,
    "right" => ListEnd::Right,
});

words!(Side for PivotSide {
    "before" => PivotSide::Before,
    "after" => PivotSide::After,
});

/// A score: a number, or an infinity in words.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct ScoreGiven(pub(in super::super) Score);

#[derive(Deserialize)]
#[serde(untagged, expecting = "a number, or \"inf\" or \"-inf\"")]
enum NumberOrText {
    Number(serde_json::Number),
    Text(String),
}

impl<'de> Deserialize<'de> for ScoreGiven {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = match NumberOrText::deserialize(deserializer)? {
            NumberOrText::Number(number) => number.as_f64(),
            NumberOrText::Text(text) => match text.as_str() {
                "inf" | "+inf" => Some(f64::INFINITY),
                "-inf" => Some(f64::NEG_INFINITY),
                _ => None,
            },
        };
        let score = number.and_then(Score::new).map(ScoreGiven);
        score.ok_or_else(|| de::Error::custom("a score is a number, or \"inf\" or \"-inf\""))
    }
}

/// A decimal, in text as it was given: an increment loses nothing.
#[derive(Clone, Debug)]
pub(in super::super) struct DecimalGiven(pub(in super::super) Bytes);

impl<'de> Deserialize<'de> for DecimalGiven {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match NumberOrText::deserialize(deserializer)? {
            NumberOrText::Number(number) => number.to_string(),
            NumberOrText::Text(text) => text,
        };
        Ok(DecimalGiven(text.into_bytes().into()))
    }
}

/// A field of a hash with its value.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Pair {
    pub(in super::super) field: Value,
    pub(in super::super) value: Value,
}

/// A member of a sorted set with its score.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Scored {
    pub(in super::super) member: Value,
    pub(in super::super) score: ScoreGiven,
}

/// One end of a range: `{"from": x}` includes x, `{"beyond": x}` does not. Left out there is no end.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(in super::super) enum BoundGiven<T> {
    From(T),
    Beyond(T),
}

impl<T> BoundGiven<T> {
    /// The bound, with its value turned into another type.
    pub(in super::super) fn bound<U>(given: Option<Self>, turn: impl FnOnce(T) -> U) -> Bound<U> {
        match given {
            Some(BoundGiven::From(value)) => Bound::Included(turn(value)),
            Some(BoundGiven::Beyond(value)) => Bound::Excluded(turn(value)),
            None => Bound::Unbounded,
        }
    }
}

impl<T: Described> Described for BoundGiven<T> {
    fn schema() -> Json {
        json!({
            "description": "from includes its value, beyond does not.",
            "type": "object", "minProperties": 1, "maxProperties": 1,
            "properties": {"from": T::schema(), "beyond": T::schema()},
        })
    }
}

/// What becomes of a key's expiry: a word, or a time from now.
#[derive(Clone, Debug)]
pub(in super::super) enum ExpiryGiven {
    /// As it is, or never.
    Word(Expire),
    /// At a time, in milliseconds since 1970.
    At(u64),
}

impl<'de> Deserialize<'de> for ExpiryGiven {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "\"keep\", \"never\", or milliseconds since 1970")]
        enum Either {
            Word(String),
            At(u64),
        }
        match Either::deserialize(deserializer)? {
            Either::At(millis) => Ok(ExpiryGiven::At(millis)),
            Either::Word(word) if word == "keep" => Ok(ExpiryGiven::Word(Expire::Keep)),
            Either::Word(word) if word == "never" => Ok(ExpiryGiven::Word(Expire::Never)),
            Either::Word(word) => Err(de::Error::unknown_variant(&word, &["keep", "never"])),
        }
    }
}

impl ExpiryGiven {
    /// What it says.
    pub(in super::super) fn expire(&self) -> Expire {
        match self {
            ExpiryGiven::Word(expire) => *expire,
            ExpiryGiven::At(millis) => Expire::At(*millis),
        }
    }
}

impl Described for ExpiryGiven {
    fn schema() -> Json {
        json!({
            "description": "\"keep\", \"never\", or a time in milliseconds since 1970.",
            "oneOf": [{"type": "string", "enum": ["keep", "never"]}, {"type": "integer", "format": "int64"}],
        })
    }
}
