//! What the checkers say of everything that was recorded.

use coterie_check::linearizable::Budget;
use coterie_check::{Bucket, Check, History, Judgement, Limits, Record};

use crate::judged::removed::removed_stays_removed;
use crate::report::OfChecker;

use super::DemoError;
use super::book::{Book, Noted};
use super::column::{BUCKETS, Column, REPLICAS};
use super::owners::FinalKey;
use super::story::ColumnVerdict;

/// Violations and open questions that are shown.
const SHOWN_MAX: usize = 10;

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
        let (mut judgement, mut count) = (Judgement::default(), 0);
        let (mut removals, mut back) = (0, Vec::new());
        let ids = [column.carts().id, column.ledger().id];
        for (bucket, name) in keys.iter().filter(|(bucket, _)| ids.contains(bucket)) {
            let Some(key) = history.take(*bucket, name) else { continue };
            match removed_stays_removed(&key) {
                Ok(count) => removals += count,
                Err(violation) => back.push(violation),
            }
            judgement.add(&key, Budget::default());
            count += 1;
        }
        let mut told = told(column, count, &judgement);
        told.checkers.push(OfChecker {
            checker: "removed".to_owned(),
            promise: "what was taken out at intersecting quorums stays out".to_owned(),
            operations: removals,
            claims: removals,
            excused: 0,
        });
        told.violations.extend(back.into_iter().take(SHOWN_MAX));
        verdicts.push(told);
    }
    if let Some(first) = verdicts.first_mut() {
        let strange = book.all_strange().into_iter();
        first.violations.extend(strange.map(|text| format!("an answer nobody should get: {text}")));
    }
    Ok(verdicts)
}

fn told(column: Column, keys: u64, judgement: &Judgement) -> ColumnVerdict {
    let checkers = Check::ALL.into_iter().map(|check| {
        let judged = judgement.judged.get(&check).copied().unwrap_or_default();
        OfChecker {
            checker: format!("{check:?}").to_lowercase(),
            promise: promise(check).to_owned(),
            operations: judged.operations,
            claims: judged.claims.max(judged.states),
            excused: judged.excused,
        }
    });
    let broken = judgement.violations.iter().map(|(check, it)| format!("{check:?}: {it}"));
    let open = judgement.undecided.iter();
    let open = open.map(|open| format!("{:?}, key {}: {}", open.check, open.key, open.why));
    ColumnVerdict {
        column,
        keys,
        checkers: checkers.collect(),
        violations: broken.take(SHOWN_MAX).collect(),
        undecided: open.take(SHOWN_MAX).collect(),
    }
}

fn promise(check: Check) -> &'static str {
    match check {
        Check::Lost => "nothing acknowledged is lost, nothing comes from nowhere, owners agree",
        Check::Counters => "counters lie between what was acknowledged and what may have happened",
        Check::Quorums => "reads see what was acknowledged before, where quorums intersect",
        Check::Sessions => "a connection sees what it wrote itself",
        Check::Linearizable => "some order of the linearizable operations explains every answer",
    }
}
