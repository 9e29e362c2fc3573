//! What numbers of owners promise: arithmetic of quorums, without a cluster.

use clap::ValueEnum;
use serde_json::{Value, json};

/// A bucket's kind, as far as quorums count in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// Only owners count.
    Strict,
    /// Others stand in for owners that are down.
    Sloppy,
}

/// How many owners take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// A fallback's hint is enough for a write.
    Any,
    Count(u8),
    Quorum,
    All,
    Linearizable,
}

/// A level by its name, or a number of owners.
pub(super) fn level(text: &str) -> Result<Level, String> {
    match text.to_ascii_lowercase().as_str() {
        "any" => Ok(Level::Any),
        "one" => Ok(Level::Count(1)),
        "two" => Ok(Level::Count(2)),
        "three" => Ok(Level::Count(3)),
        "quorum" => Ok(Level::Quorum),
        "all" => Ok(Level::All),
        "linearizable" => Ok(Level::Linearizable),
        number => match number.parse() {
            Ok(count @ 1..) => Ok(Level::Count(count)),
            Ok(0) | Err(_) => Err(format!(
                "{text:?} is neither a number of owners nor one of any, one, two, three, quorum, all, linearizable"
            )),
        },
    }
}

impl Level {
    fn count(self, n: u8) -> u8 {
        match self {
            Level::Any => 1,
            Level::Count(count) => count,
            Level::Quorum | Level::Linearizable => n / 2 + 1,
            Level::All => n,
        }
    }
}

/// What numbers of owners promise.
#[derive(Clone, Copy, Debug)]
pub(super) struct Promise {
    kind: Kind,
    n: u8,
    write: Level,
    read: Level,
    w: u8,
    r: u8,
    down: u8,
    nodes: u16,
}

impl Promise {
    /// What `n` owners promise of which a write waits for `write` and a read asks `read`, while `down` of them are down in
    /// a cluster of so many nodes.
    pub(super) fn new(
        kind: Kind,
        n: u8,
        write: Level,
        read: Level,
        down: u8,
        nodes: u16,
    ) -> Result<Promise, String> {
        let (w, r) = (write.count(n), read.count(n));
        if w > n || r > n {
            return Err(format!("of {n} owners no {} can take part", w.max(r)));
        }
        if down > n {
            return Err(format!("of {n} owners no {down} can be down"));
        }
        if nodes < u16::from(n) {
            return Err(format!("{nodes} nodes have no {n} owners for a key"));
        }
        if read == Level::Any {
            return Err("any is a level of writes: a read asks one owner at least".to_owned());
        }
        Ok(Promise { kind, n, write, read, w, r, down, nodes })
    }

    /// What a bucket of that kind promises with these levels; nothing where regions are counted.
    pub(super) fn of_bucket(kind: &str, n: &str, write: &str, read: &str) -> Option<Promise> {
        let n: u8 = n.parse().ok()?;
        if kind == "strong" {
            let level = Level::Linearizable;
            return Promise::new(Kind::Strict, n, level, level, 0, u16::from(n)).ok();
        }
        let kind = if kind == "sloppy" { Kind::Sloppy } else { Kind::Strict };
        Promise::new(kind, n, level(write).ok()?, level(read).ok()?, 0, u16::from(n)).ok()
    }

    /// Every set of owners that answers a read meets every one that acknowledged a write.
    fn intersects(self) -> bool {
        self.w + self.r > self.n
    }

    fn linearizable(self) -> bool {
        self.write == Level::Linearizable && self.read == Level::Linearizable
    }

    /// What a read sees, in a few words.
    pub(super) fn verdict(self) -> &'static str {
        match (self.kind, self.intersects()) {
            _ if self.linearizable() => "the order in which things happened (linearizable)",
            _ if self.write == Level::Any => "acknowledged writes, once they have spread",
            (Kind::Strict, true) => "every acknowledged write",
            (Kind::Sloppy, true) => {
                "every acknowledged write, while owners are up; else once they have spread"
            }
            (Kind::Strict | Kind::Sloppy, false) => "acknowledged writes, once they have spread",
        }
    }

    fn live(self) -> u8 {
        self.n - self.down
    }

    /// Nodes that can take part: owners that are up, and who stands in for the others.
    fn able(self, level: Level) -> u16 {
        let others = self.nodes - u16::from(self.n);
        let stand_in = others.min(u16::from(self.down));
        match (self.kind, level) {
            // What asks a majority counts owners only.
            (_, Level::Linearizable) | (Kind::Strict, _) => u16::from(self.live()),
            (Kind::Sloppy, _) => u16::from(self.live()) + stand_in,
        }
    }

    fn writable(self) -> bool {
        match self.write {
            // Whoever is up keeps a hint.
            Level::Any => self.nodes > u16::from(self.down),
            _ => self.able(self.write) >= u16::from(self.w),
        }
    }

    fn readable(self) -> bool {
        self.able(self.read) >= u16::from(self.r)
    }

    pub(super) fn json(self) -> Value {
        json!({
            "kind": match self.kind { Kind::Strict => "strict", Kind::Sloppy => "sloppy" },
            "n": self.n, "w": self.w, "r": self.r, "down": self.down, "nodes": self.nodes,
            "reads_see_every_acknowledged_write": self.intersects() && self.kind == Kind::Strict && self.write != Level::Any,
            "linearizable": self.linearizable(),
            "a_read_sees": self.verdict(),
            "writes_available": self.writable(),
            "reads_available": self.readable(),
            "writes_survive_owners_down": self.spare(self.w, self.write),
            "reads_survive_owners_down": self.spare(self.r, self.read),
            "acknowledged_survives_owners_lost": self.w - 1,
        })
    }

    /// How many owners may be down without a request being unavailable.
    fn spare(self, needs: u8, level: Level) -> u8 {
        let may = |down: u8| Promise { down, ..self }.able(level) >= u16::from(needs);
        match level {
            Level::Any if self.nodes > u16::from(self.n) => self.n,
            _ => (0..=self.n).rev().find(|down| may(*down)).unwrap_or(0),
        }
    }

    pub(super) fn human(self) -> String {
        let Promise { n, w, r, down, .. } = self;
        let owners =
            |count: u8| if count == 1 { "1 owner".to_owned() } else { format!("{count} owners") };
        let mut said = vec![format!(
            "N = {n}, W = {w}, R = {r}: a write waits for {}, a read asks {}.",
            owners(w),
            owners(r)
        )];
        said.push(format!("A read sees {}.", self.verdict()));
        said.push(if self.linearizable() {
            "Every two majorities meet, and a read waits until a majority shows the same.".to_owned()
        } else if self.intersects() {
            format!("R + W = {} > N = {n}: whoever answers a read has met whoever acknowledged a write.", w + r)
        } else {
            format!("R + W = {} <= N = {n}: who answers a read may not have heard of a write that others acknowledged. Nothing is lost: owners become equal by themselves.", w + r)
        });
        if self.kind == Kind::Sloppy {
            said.push("Sloppy: where an owner is down, another node keeps its writes as hints, and counts. Reads ask those too, as far as they are reached.".to_owned());
        }
        said.push(match w {
            1 if self.write == Level::Any => "An acknowledged write may be on one node only, an owner or another, until it has spread.".to_owned(),
            1 => "An acknowledged write may be on one owner only, until it has spread: with that disk it is lost.".to_owned(),
            _ => format!("An acknowledged write survives the loss of any {}.", owners(w - 1)),
        });
        said.push(format!(
            "Writes stay available while at most {} are down, reads while at most {} are.",
            owners(self.spare(w, self.write)),
            owners(self.spare(r, self.read)),
        ));
        if down > 0 {
            let is = |available: bool| {
                if available { "available" } else { "UNAVAILABLE (nothing is stored)" }
            };
            said.push(format!(
                "With {} down: writes are {}, reads are {}.",
                owners(down),
                is(self.writable()),
                is(self.readable())
            ));
        }
        said.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sets of owners, as bits, of that size.
    fn sets(n: u8, size: u8) -> impl Iterator<Item = u32> + Clone {
        (0..1_u32 << n).filter(move |set| set.count_ones() == u32::from(size))
    }

    #[test]
    fn what_is_said_of_strict_buckets_is_so_of_every_set_of_owners() {
        for n in 1..=6 {
            for (w, r) in (1..=n).flat_map(|w| (1..=n).map(move |r| (w, r))) {
                let of = |down| {
                    let (write, read) = (Level::Count(w), Level::Count(r));
                    Promise::new(Kind::Strict, n, write, read, down, u16::from(n) + 2).unwrap()
                };
                let meet = sets(n, w).all(|write| sets(n, r).all(|read| write & read != 0));
                assert_eq!(of(0).intersects(), meet, "{n} {w} {r}");
                for down in 0..=n {
                    let up = ((1_u32 << n) - 1) >> down;
                    let among = |size| sets(n, size).any(|set| set & up == set);
                    assert_eq!(of(down).writable(), among(w), "{n} {w} {down}");
                    assert_eq!(of(down).readable(), among(r), "{n} {r} {down}");
                    assert_eq!(of(0).spare(w, Level::Count(w)) >= down, among(w), "{n} {w} {down}");
                }
            }
        }
    }

    #[test]
    fn others_stand_in_in_sloppy_buckets_but_not_for_what_is_linearizable() {
        let of = |write, down, nodes| {
            Promise::new(Kind::Sloppy, 3, write, Level::Quorum, down, nodes).unwrap().writable()
        };
        assert!(!of(Level::Quorum, 2, 3));
        assert!(of(Level::Quorum, 2, 4));
        assert!(of(Level::All, 3, 6));
        assert!(!of(Level::Linearizable, 2, 9));
        let strict = |down, nodes| {
            Promise::new(Kind::Strict, 3, Level::Any, Level::Quorum, down, nodes).unwrap()
        };
        assert!(strict(3, 4).writable());
        assert!(!strict(3, 3).writable());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let of = |n, w, r, down, nodes| Promise::new(Kind::Strict, n, w, r, down, nodes);
        assert!(of(3, Level::Count(4), Level::Quorum, 0, 3).is_err());
        assert!(of(3, Level::Quorum, Level::Any, 0, 3).is_err());
        assert!(of(3, Level::Quorum, Level::Quorum, 4, 3).is_err());
        assert!(of(3, Level::Quorum, Level::Quorum, 0, 2).is_err());
        assert!(level("0").is_err());
        assert!(level("local_quorum").is_err());
    }

    #[test]
    fn the_example_of_the_manual_is_explained() {
        let promise =
            Promise::new(Kind::Strict, 5, Level::Count(2), Level::Count(3), 1, 5).unwrap();
        let said = promise.human();
        assert!(said.contains("R + W = 5 <= N = 5"), "{said}");
        assert!(
            said.contains("With 1 owner down: writes are available, reads are available."),
            "{said}"
        );
        assert!(said.contains("Writes stay available while at most 3 owners are down, reads while at most 2 owners are."), "{said}");
        assert_eq!(
            Promise::of_bucket("strict", "3", "quorum", "quorum").unwrap().verdict(),
            "every acknowledged write"
        );
        assert!(Promise::of_bucket("strict", "3", "local_quorum", "one").is_none());
    }
}
