//! Actions on sorted sets.

use bytes::Bytes;
use coterie_crdt::operation::{
    AddCondition, RangeLimit, Reply, SortedSetOperation, SortedSetRange,
};
use coterie_crdt::{Direction, Kind, Score};

use crate::actions::{Action, Meaning, name};
use crate::model::{Content, Effect, Model, Place, View};

fn score(score: i64) -> Score {
    Score::new(score as f64).expect("a number")
}

pub(super) fn operation(action: Action) -> SortedSetOperation {
    match action {
        Action::ScoreSet(n, to) => SortedSetOperation::Add {
            members: vec![(name(n), score(to))],
            condition: AddCondition::Always,
            count_changed: false,
        },
        Action::ScoreIncrement(n, by) => SortedSetOperation::Increment {
            member: name(n),
            by: score(by),
            condition: AddCondition::Always,
        },
        Action::ScoreRemove(n) => SortedSetOperation::Remove(vec![name(n)]),
        Action::Scores => SortedSetOperation::Scores(vec![name(0), name(1)]),
        Action::Ranked => SortedSetOperation::Range {
            range: SortedSetRange::Ranks { start: 0, stop: -1 },
            direction: Direction::Forward,
            limit: RangeLimit::NONE,
        },
        Action::CountScored => SortedSetOperation::Count,
        other => unreachable!("{other:?} is not on sorted sets"),
    }
}

pub(super) fn meaning(action: Action, model: &Model, view: &View) -> Meaning {
    let place = |n| Place(Kind::Scored, n);
    let read = |n| {
        model.at(view, place(n)).next()?;
        let base = match model.winner(view, place(n)).map(|write| write.content) {
            Some(Content::Score(score)) => score,
            _ => 0.0,
        };
        Score::new(base + model.sum(view, place(n)))
    };
    let (reply, effects) = match action {
        Action::ScoreSet(n, to) => {
            let put = Effect::Put(place(n), Content::Score(to as f64));
            (Reply::count(usize::from(read(n).is_none())), vec![Effect::Reset(place(n)), put])
        }
        Action::ScoreIncrement(n, by) => {
            let sum = read(n).unwrap_or_default().get() + by as f64;
            (
                Reply::Score(Score::new(sum).expect("a number")),
                vec![Effect::Add(place(n), by as f64)],
            )
        }
        Action::ScoreRemove(n) if read(n).is_some() => {
            (Reply::Integer(1), vec![Effect::Remove(place(n))])
        }
        Action::ScoreRemove(_) => (Reply::Integer(0), vec![]),
        Action::Scores => (Reply::Scores(vec![read(0), read(1)]), vec![]),
        Action::Ranked => {
            let mut ranked: Vec<(Score, Bytes)> =
                (0..6).filter_map(|n| Some((read(n)?, name(n)))).collect();
            ranked.sort();
            (Reply::Scored(ranked.into_iter().map(|(score, name)| (name, score)).collect()), vec![])
        }
        Action::CountScored => (Reply::count(model.count(view, Kind::Scored)), vec![]),
        other => unreachable!("{other:?} is not on sorted sets"),
    };
    (Ok(reply), effects)
}
