//! Listing the keys of a bucket, page by page.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use bytes::Bytes;
use coterie_wire::{LIST_KEYS_MAX, List, ListFrom, Listed, ListedKey};
use serde::Deserialize;
use serde_json::{Value as Json_, json};

use super::data::fresh_id;
use super::door::{Door, Who};
use super::extract::{Asked, LastInPath, Worth};
use super::problem::Problem;
use super::value::{Value, from_header, to_header};

/// Keys on a page unless told otherwise.
const COUNT: u32 = 100;

/// The most keys on a page.
const COUNT_MAX: u32 = 10_000;

/// The query of a listing.
#[derive(Debug, Deserialize)]
pub(super) struct ScanAsked {
    #[serde(flatten)]
    worth: Worth,
    /// Where the last page ended.
    cursor: Option<String>,
    /// About how many keys.
    count: Option<String>,
    /// Only keys that begin so.
    prefix: Option<String>,
    /// Only keys of this type.
    r#type: Option<String>,
}

/// `GET /v1/scan/{bucket}`
pub(super) async fn scan(
    State(door): State<Door>,
    who: Who,
    LastInPath(bucket): LastInPath,
    Asked(asked): Asked<ScanAsked>,
) -> Result<Json<Json_>, Problem> {
    let prefix = asked.prefix.clone().unwrap_or_default().into_bytes();
    who.check_list(bucket.as_bytes(), &prefix)?;
    let count = match &asked.count {
        None => COUNT,
        Some(count) => count
            .parse()
            .ok()
            .filter(|it| (1..=COUNT_MAX).contains(it))
            .ok_or_else(|| Problem::bad(format!("count={count}: give 1 to {COUNT_MAX}")))?,
    };
    let wanted = |key: &ListedKey| {
        let type_fits = asked.r#type.as_ref().is_none_or(|it| it == key.shown.redis_name());
        type_fits && key.name.starts_with(&prefix)
    };
    let read = asked.worth.of_read()?.read;
    let until = Instant::now() + asked.worth.time(door.request_timeout())?;
    let (mut from, mut keys) = (read_cursor(asked.cursor.as_deref())?, Vec::new());
    // Partitions have a page each, which may be empty: on until the page is full, or half the time is gone.
    let half = Instant::now() + asked.worth.time(door.request_timeout())? / 2;
    loop {
        let missing = count - u32::try_from(keys.len()).unwrap_or(count);
        let list = List {
            id: fresh_id()?,
            bucket: Bytes::from(bucket.clone()),
            from,
            keys_max: missing.clamp(1, LIST_KEYS_MAX),
            read,
            time_left: until.saturating_duration_since(Instant::now()),
        };
        let page = match door.gateway().list(list).await {
            Listed::Page(page) => page,
            Listed::Refused(refused) => return Err((&refused).into()),
            Listed::Unavailable(unavailable) => return Err((&unavailable).into()),
        };
        keys.extend(page.keys.into_iter().filter(&wanted));
        let Some(next) = page.next else {
            return Ok(Json(shown(&keys, None)));
        };
        if keys.len() >= count as usize || Instant::now() >= half {
            return Ok(Json(shown(&keys, Some(&next))));
        }
        from = next;
    }
}

fn shown(keys: &[ListedKey], next: Option<&ListFrom>) -> Json_ {
    let keys: Vec<Json_> = keys
        .iter()
        .map(|key| json!({"key": Value(key.name.clone()), "type": key.shown.redis_name()}))
        .collect();
    json!({"keys": keys, "cursor": next.map(cursor)})
}

/// A place as a client carries it: the hash, and after a dot the name that it goes on after.
fn cursor(from: &ListFrom) -> String {
    match &from.after {
        None => format!("{:016x}", from.hash),
        Some(after) => format!("{:016x}.{}", from.hash, to_header(after)),
    }
}

fn read_cursor(cursor: Option<&str>) -> Result<ListFrom, Problem> {
    let Some(cursor) = cursor else { return Ok(ListFrom::default()) };
    let (hash, after) = match cursor.split_once('.') {
        None => (cursor, None),
        Some((hash, after)) => (hash, Some(from_header(after))),
    };
    let hash = (hash.len() == 16).then(|| u64::from_str_radix(hash, 16).ok()).flatten();
    match (hash, after) {
        (Some(hash), None) => Ok(ListFrom { hash, after: None }),
        (Some(hash), Some(Some(after))) => Ok(ListFrom { hash, after: Some(after) }),
        (None, _) | (_, Some(None)) => {
            Err(Problem::bad("cursor: give the one that the last page has, or none to begin"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_nothing_else_is() {
        for after in [None, Some(Bytes::from_static(b"a\xff.b"))] {
            let from = ListFrom { hash: 0x0123_4567_89ab_cdef, after };
            assert_eq!(read_cursor(Some(&cursor(&from))).unwrap(), from);
        }
        assert_eq!(read_cursor(None).unwrap(), ListFrom::default());
        for foreign in ["", "1", "0123456789abcdeg", "0123456789abcdef.!"] {
            assert!(read_cursor(Some(foreign)).is_err(), "{foreign}");
        }
    }
}
