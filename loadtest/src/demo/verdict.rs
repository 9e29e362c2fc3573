//! What the checkers say of everything that was recorded.

use coterie_check::{Bucket, History, Limits, Record};

use crate::judged::Found;

use super::DemoError;
use super::book::{Book, Noted};
use super::column::{BUCKETS, Column, REPLICAS};
use super::owners::FinalKey;
use super::story::ColumnVerdict;

/// Judges every key by all checkers.
pub(crate) fn judge(
    book: &Book,
    noted: &[Noted],
    finals: &[FinalKey],
) -> Result<Vec<ColumnVerdict>, DemoError> {
    let mut history = History::new(Limits::default());
    for bucket in &BUCKETS {
        let declared = Bucket { bucket: bucket.id, replicas: REPLICAS, kind: bucket.kind };
        history.push(Record::Bucket(declared))?;
    }
    for session in book.all_sessions() {
        history.push(session)?;
    }
    for it in noted {
        history.push(Record::Operation(it.operation.clone()))?;
    }
    for state in finals.iter().flat_map(FinalKey::states) {
        history.push(Record::Final(state))?;
    }
    let keys: Vec<_> = history.keys().map(|(bucket, key)| (bucket, key.clone())).collect();
    let mut verdicts = Vec::new();
    for column in Column::ALL {
        let (mut found, mut count) = (Found::default(), 0);
        let ids = [column.carts().id, column.ledger().id];
        for (bucket, name) in keys.iter().filter(|(bucket, _)| ids.contains(bucket)) {
            let Some(key) = history.take(*bucket, name) else { continue };
            found.add(&key);
            count += 1;
        }
        verdicts.push(ColumnVerdict {
            column,
            keys: count,
            checkers: found.checkers(),
            violations: found.violations(),
            undecided: found.undecided(),
        });
    }
    if let Some(first) = verdicts.first_mut() {
        let strange = book.all_strange().into_iter();
        first.violations.extend(strange.map(|text| format!("an answer nobody should get: {text}")));
    }
    Ok(verdicts)
}
