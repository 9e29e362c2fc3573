//! What clients ask for.

use std::num::NonZeroI64;

use bytes::Bytes;
use coterie_check::{Action, Condition, Name, Part, Strong};
use coterie_crdt::operation::{
    Expire, FlagKind, FlagOperation, FlagVerb, KeyOperation, Operation, SetCondition, SetOperation,
    SetVerb, StringOperation,
};
use coterie_ring::Level;
use coterie_wire::Key;

use super::{Mix, others};
use crate::random::Random;

/// A bucket of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bucket {
    /// Only owners count.
    Strict = 0,
    /// Fallbacks count.
    Sloppy = 1,
    /// Registers.
    Strong = 2,
}

impl Bucket {
    /// All of them.
    pub const ALL: [Bucket; 3] = [Bucket::Strict, Bucket::Sloppy, Bucket::Strong];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Bucket::Strict => "strict",
            Bucket::Sloppy => "sloppy",
            Bucket::Strong => "strong",
        }
    }
}

/// What a key is used as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sort {
    /// A set.
    Set,
    /// A counter.
    Counter,
    /// A register.
    Register,
    /// A flag.
    Flag,
    /// A set to which elements are only added, linearizably.
    LinearAdds,
    /// A set, linearizably.
    LinearSet,
    /// A register, linearizably.
    LinearRegister,
    /// A flag, linearizably.
    LinearFlag,
    /// A compare-and-set register.
    Strong,
}

impl Sort {
    /// All of them.
    pub const ALL: [Sort; 9] = [
        Sort::Set,
        Sort::Counter,
        Sort::Register,
        Sort::Flag,
        Sort::LinearAdds,
        Sort::LinearSet,
        Sort::LinearRegister,
        Sort::LinearFlag,
        Sort::Strong,
    ];

    pub(super) fn prefix(self) -> &'static str {
        match self {
            Sort::Set => "set",
            Sort::Counter => "counter",
            Sort::Register => "register",
            Sort::Flag => "flag",
            Sort::LinearAdds => "linear-adds",
            Sort::LinearSet => "linear-set",
            Sort::LinearRegister => "linear-register",
            Sort::LinearFlag => "linear-flag",
            Sort::Strong => "strong",
        }
    }

    /// Whether such keys may be deleted whole.
    fn may_be_deleted(self) -> bool {
        matches!(self, Sort::Set | Sort::Counter | Sort::Register | Sort::Flag)
    }

    /// Whether all that is done to such keys is to be linearizable.
    #[must_use]
    pub fn is_linear(self) -> bool {
        matches!(self, Sort::LinearAdds | Sort::LinearSet | Sort::LinearRegister | Sort::LinearFlag)
    }
}

/// One operation that a client asks for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// In which bucket.
    pub bucket: Bucket,
    /// On which key.
    pub key: Key,
    /// In the words of the checkers, if they know it.
    pub action: Option<Action>,
    /// What the store is asked.
    pub operation: Operation,
    /// What a write waits for.
    pub write: Option<Level>,
    /// What a read asks.
    pub read: Option<Level>,
}

/// Levels of writes that nobody could lose but by losing two nodes.
const SAFE: [Level; 4] = [Level::Two, Level::Quorum, Level::Quorum, Level::All];
const READS: [Level; 7] = [
    Level::One,
    Level::Two,
    Level::Quorum,
    Level::Quorum,
    Level::All,
    Level::LocalQuorum,
    Level::EachQuorum,
];

impl Asked {
    /// The operation of this number: on one of `keys` keys of some sort; where nodes may lose data, its level
    /// is one at which one copy is not enough.
    pub(super) fn draw(
        random: &mut Random,
        number: u64,
        (mix, names, keys): (&Mix, &[String], u64),
        loses: bool,
    ) -> Self {
        let writes: &[Level] = if loses { &SAFE } else { &mix.writes };
        let (write, read) = (*random.pick(writes), *random.pick(&READS));
        if random.chance(mix.others_permille) {
            return others::draw(random, number, mix, (write, read));
        }
        let sort = *random.pick(&mix.sorts);
        let bucket = match sort {
            Sort::Strong => Bucket::Strong,
            _ if random.chance(mix.sloppy_permille) => Bucket::Sloppy,
            _ => Bucket::Strict,
        };
        let chosen = random.below(0, keys);
        // Deletes and re-adds make few keys busy; linearizable histories have to stay short.
        let chosen = if sort.is_linear() { chosen + keys * random.below(0, 2) } else { chosen };
        let numbered = || format!("{}{chosen}", sort.prefix());
        let named = usize::try_from(chosen).ok().and_then(|chosen| names.get(chosen));
        let key = Key::new(bucket.name(), named.cloned().unwrap_or_else(numbered));
        let action = action(random, sort, number, mix);
        let operation = operation(&action);
        let linear = sort.is_linear() && !(sort == Sort::LinearAdds && random.chance(50));
        let (write, read) = match sort {
            Sort::Strong => (None, None),
            _ if linear => (Some(Level::Linearizable), Some(Level::Linearizable)),
            _ => (Some(write), Some(read)),
        };
        Asked { bucket, key, action: Some(action), operation, write, read }
    }

    /// A read of all of a key at quorum, as a healed cluster has to answer it.
    #[must_use]
    pub fn last_read(bucket: Bucket, key: Key) -> Self {
        let sort =
            Sort::ALL.into_iter().find(|sort| key.name().starts_with(sort.prefix().as_bytes()));
        let action = match sort {
            Some(Sort::Strong) => Action::Strong(Strong::Get),
            Some(Sort::Counter) => Action::Read(Part::Counter),
            Some(Sort::Register | Sort::LinearRegister) => Action::Read(Part::Register),
            Some(Sort::Flag | Sort::LinearFlag) => Action::Read(Part::Flag),
            Some(Sort::Set | Sort::LinearAdds | Sort::LinearSet) | None => Action::Read(Part::Set),
        };
        let level = match sort {
            Some(Sort::Strong) => None,
            Some(sort) if sort.is_linear() => Some(Level::Linearizable),
            Some(_) | None => Some(Level::Quorum),
        };
        let operation = operation(&action);
        Asked { bucket, key, action: Some(action), operation, write: level, read: level }
    }

    /// The level at which a write sees what there is, in the words of the checkers. One at `any` may be coordinated by a node that
    /// sees none of it.
    #[must_use]
    pub fn observes(&self) -> Option<coterie_check::Level> {
        let reads = matches!(self.action, Some(Action::Read(_)));
        let sees = !reads && self.write != Some(Level::Any);
        self.read.filter(|_| sees).map(super::level)
    }

    /// The level of what it does, in the words of the checkers.
    #[must_use]
    pub fn level(&self) -> coterie_check::Level {
        let reads = matches!(self.action, Some(Action::Read(_)));
        let level = if reads { self.read } else { self.write };
        level.map_or(coterie_check::Level::Linearizable, super::level)
    }
}

fn action(random: &mut Random, sort: Sort, number: u64, mix: &Mix) -> Action {
    let fresh = || Name::from(format!("e{number}").as_str());
    let reads = random.chance(mix.reads_permille);
    if !reads && sort.may_be_deleted() && random.chance(mix.deletes_permille) {
        return Action::Delete;
    }
    match sort {
        // Twins are to have the same, as far as may be.
        Sort::Set if mix.twins && !reads => Action::Add { element: Name::from("one") },
        Sort::Set | Sort::LinearSet => match random.below(0, 10) {
            _ if reads => Action::Read(Part::Set),
            0..5 => Action::Add { element: fresh() },
            5..7 => Action::Add { element: few(random) },
            7..9 => Action::Remove { element: few(random) },
            _ if sort == Sort::Set => Action::Delete,
            _ => Action::Remove { element: few(random) },
        },
        Sort::LinearAdds if reads => Action::Read(Part::Set),
        Sort::LinearAdds => Action::Add { element: fresh() },
        Sort::Counter => match random.below(0, 20) {
            _ if reads => Action::Read(Part::Counter),
            0..14 => Action::Increment { by: amount(random) },
            14..19 => Action::Increment { by: -amount(random) },
            _ => Action::Delete,
        },
        Sort::Register | Sort::LinearRegister => match random.below(0, 20) {
            _ if reads => Action::Read(Part::Register),
            0 if sort == Sort::Register => Action::Delete,
            _ => Action::Assign { value: fresh() },
        },
        Sort::Flag | Sort::LinearFlag => match random.below(0, 20) {
            _ if reads => Action::Read(Part::Flag),
            0 if sort == Sort::Flag => Action::Delete,
            1..10 => Action::Disable,
            _ => Action::Enable,
        },
        Sort::Strong => Action::Strong(match random.below(0, 10) {
            0..3 => Strong::Get,
            3..5 => Strong::Set { value: fresh(), condition: Condition::Always },
            5 => Strong::Set { value: fresh(), condition: Condition::IfAbsent },
            6 => Strong::Set { value: fresh(), condition: Condition::IfPresent },
            7 => Strong::GetDelete,
            8 => Strong::Increment { by: 1 },
            _ => Strong::Delete,
        }),
    }
}

/// One of a few elements that are added and removed again and again.
fn few(random: &mut Random) -> Name {
    Name::from(format!("few{}", random.below(0, 4)).as_str())
}

fn amount(random: &mut Random) -> i64 {
    let amount = NonZeroI64::new(i64::try_from(random.below(1, 10)).expect("it is small"));
    amount.map_or(1, NonZeroI64::get)
}

fn bytes(name: &Name) -> Bytes {
    Bytes::copy_from_slice(name.as_bytes())
}

/// What the store is asked for an action of the checkers.
fn operation(action: &Action) -> Operation {
    let set = |verb| Operation::Set(SetOperation::new(verb));
    let flag = |verb| Operation::Flag(FlagOperation { kind: FlagKind::EnableWins, verb });
    let assign = |value: &Name, condition, get| {
        let (value, expire) = (bytes(value), Expire::Never);
        Operation::String(StringOperation::Set { value, condition, get, expire })
    };
    match action {
        Action::Add { element } => set(SetVerb::Add(vec![bytes(element)])),
        Action::Remove { element } => set(SetVerb::Remove(vec![bytes(element)])),
        Action::Increment { by } | Action::Strong(Strong::Increment { by }) => {
            Operation::String(StringOperation::IncrementBy(*by))
        }
        Action::Assign { value } => assign(value, SetCondition::Always, false),
        Action::Enable => flag(FlagVerb::Enable),
        Action::Disable => flag(FlagVerb::Disable),
        Action::Delete | Action::Strong(Strong::Delete) => Operation::Key(KeyOperation::Delete),
        Action::Read(Part::Set | Part::Whole) => set(SetVerb::Members),
        Action::Read(Part::Counter | Part::Register) | Action::Strong(Strong::Get) => {
            Operation::String(StringOperation::Get)
        }
        Action::Read(Part::Flag) => flag(FlagVerb::Read),
        Action::Strong(Strong::Set { value, condition }) => {
            let condition = match condition {
                Condition::IfAbsent => SetCondition::IfAbsent,
                Condition::IfPresent => SetCondition::IfPresent,
                Condition::Always | Condition::IfEqual(_) => SetCondition::Always,
            };
            assign(value, condition, true)
        }
        Action::Strong(Strong::GetDelete) => Operation::String(StringOperation::GetDelete),
    }
}
