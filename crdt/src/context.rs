//! Contexts: the dots that a state has seen.

use smallvec::SmallVec;

use crate::dot::{Actor, Dot};

/// So many are added or looked for one by one; more are worth a pass over the whole.
const SINGLE_DOTS_MAX: usize = 8;

/// The dots a state has seen: a version vector plus a cloud of dots past it.
///
/// Always folded: a cloud dot that continues its actor's vector entry is in the vector. Two contexts
/// with the same dots are therefore equal, and so are their encodings and digests (invariant 20).
///
/// Source: Almeida et al. 2018, "Delta state replicated data types", §7.2 (causal contexts).
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub struct Context {
    /// Actor → n: dots 1..=n are seen. Sorted by actor; n is never 0.
    vector: SmallVec<[(Actor, u64); 4]>,
    /// Dots past their actor's vector entry, and not next to it. Sorted.
    cloud: SmallVec<[Dot; 2]>,
}

impl Context {
    /// No dots.
    pub fn new() -> Self {
        Context::default()
    }

    /// From parts that may come from elsewhere: `None` unless they are sorted, without zeros and folded.
    pub fn from_parts(
        vector: impl IntoIterator<Item = (Actor, u64)>,
        cloud: impl IntoIterator<Item = Dot>,
    ) -> Option<Self> {
        let context =
            Context { vector: vector.into_iter().collect(), cloud: cloud.into_iter().collect() };
        let sorted = context.vector.windows(2).all(|pair| pair[0].0 < pair[1].0)
            && context.cloud.windows(2).all(|pair| pair[0] < pair[1]);
        let folded = context
            .cloud
            .iter()
            .all(|dot| dot.sequence.checked_sub(1).is_some_and(|n| n > context.upto(dot.actor)));
        (sorted && folded && context.vector.iter().all(|entry| entry.1 > 0)).then_some(context)
    }

    /// Actor → n, sorted: each actor's dots 1..=n are seen.
    pub fn vector(&self) -> &[(Actor, u64)] {
        &self.vector
    }

    /// The dots seen past the vector, sorted.
    pub fn cloud(&self) -> &[Dot] {
        &self.cloud
    }

    /// Whether no dot is seen.
    pub fn is_empty(&self) -> bool {
        self.vector.is_empty() && self.cloud.is_empty()
    }

    /// Whether `dot` is seen. O(log actors + log cloud).
    pub fn contains(&self, dot: Dot) -> bool {
        dot.sequence <= self.upto(dot.actor)
            || (!self.cloud.is_empty() && self.cloud.binary_search(&dot).is_ok())
    }

    /// The greatest sequence seen of `actor`, cloud included; 0 where none is.
    pub fn greatest(&self, actor: Actor) -> u64 {
        let from = self.cloud.partition_point(|dot| dot.actor <= actor);
        match self.cloud[..from].last() {
            Some(dot) if dot.actor == actor => dot.sequence,
            Some(_) | None => self.upto(actor),
        }
    }

    /// Every actor that has a dot here, each once, in order.
    pub fn actors(&self) -> impl Iterator<Item = Actor> {
        let mut actors: SmallVec<[Actor; 6]> = self.vector.iter().map(|entry| entry.0).collect();
        actors.extend(self.cloud.iter().map(|dot| dot.actor));
        actors.sort_unstable();
        actors.dedup();
        actors.into_iter()
    }

    /// Adds one dot.
    ///
    /// # Panics
    /// If the sequence is 0: such a dot is never minted, and decoders refuse it.
    pub fn insert(&mut self, dot: Dot) {
        assert!(dot.sequence > 0, "sequences start at 1");
        match self.vector.binary_search_by_key(&dot.actor, |entry| entry.0) {
            Ok(at) if dot.sequence <= self.vector[at].1 => {}
            Ok(at) if dot.sequence - 1 == self.vector[at].1 => {
                self.vector[at].1 = dot.sequence;
                self.fold(dot.actor);
            }
            Err(at) if dot.sequence == 1 => {
                self.vector.insert(at, (dot.actor, 1));
                self.fold(dot.actor);
            }
            Ok(_) | Err(_) => {
                if let Err(at) = self.cloud.binary_search(&dot) {
                    self.cloud.insert(at, dot);
                }
            }
        }
    }

    /// Adds every dot of `other`: the least upper bound of both. Linear in both.
    pub fn join(&mut self, other: &Context) {
        if self.is_empty() {
            self.clone_from(other);
            return;
        }
        if other.vector.len() + other.cloud.len() > SINGLE_DOTS_MAX {
            self.merge(&other.vector, &other.cloud);
            return;
        }
        for &(actor, upto) in &other.vector {
            match self.vector.binary_search_by_key(&actor, |entry| entry.0) {
                Ok(at) if upto <= self.vector[at].1 => continue,
                Ok(at) => self.vector[at].1 = upto,
                Err(at) => self.vector.insert(at, (actor, upto)),
            }
            self.fold(actor);
        }
        for &dot in &other.cloud {
            self.insert(dot);
        }
    }

    /// The dots that are in both.
    #[must_use]
    pub fn common(&self, other: &Context) -> Context {
        let least = |&(actor, upto): &(Actor, u64)| (actor, upto.min(other.upto(actor)));
        let vector = self.vector.iter().map(least).filter(|entry| entry.1 > 0).collect();
        let mut common = Context { vector, cloud: SmallVec::new() };
        let mine = self.cloud.iter().filter(|dot| other.contains(**dot));
        let theirs = other.cloud.iter().filter(|dot| self.contains(**dot));
        common.extend(mine.chain(theirs).copied());
        common
    }

    /// The dots that are seen here and not in `other`. Lazy.
    pub fn beyond<'a>(&'a self, other: &'a Context) -> impl Iterator<Item = Dot> + 'a {
        let past = |&(actor, upto): &(Actor, u64)| {
            let from = other.upto(actor).saturating_add(1);
            (from..=upto).map(move |sequence| Dot::new(actor, sequence))
        };
        let dots = self.vector.iter().flat_map(past).chain(self.cloud.iter().copied());
        dots.filter(|dot| !other.contains(*dot))
    }

    /// Whether every dot of `other` is seen here.
    pub fn covers(&self, other: &Context) -> bool {
        let vector = other.vector.iter().all(|&(actor, upto)| {
            // A vector may also be covered by vector and cloud together, but then the cloud would
            // have been folded.
            upto <= self.upto(actor)
        });
        vector && other.cloud.iter().all(|&dot| self.contains(dot))
    }

    fn upto(&self, actor: Actor) -> u64 {
        // Few actors own a key: a linear search over sorted neighbours beats a binary one.
        let found = if self.vector.len() <= SINGLE_DOTS_MAX {
            self.vector.iter().find(|entry| entry.0 == actor)
        } else {
            let at = self.vector.binary_search_by_key(&actor, |entry| entry.0);
            at.ok().map(|at| &self.vector[at])
        };
        found.map_or(0, |entry| entry.1)
    }

    /// Adds a vector and a cloud, both sorted, in one pass over all.
    fn merge(&mut self, vector: &[(Actor, u64)], cloud: &[Dot]) {
        let Context { vector: my_vector, cloud: my_cloud } = std::mem::take(self);
        let mut entries = merged(&my_vector, vector).peekable();
        let mut dots = merged(&my_cloud, cloud).peekable();
        loop {
            let next = [entries.peek().map(|entry| entry.0), dots.peek().map(|dot| dot.actor)];
            let Some(actor) = next.into_iter().flatten().min() else { return };
            let mut upto = 0;
            // Of two entries of one actor the greater comes last.
            while let Some((_, entry)) = entries.next_if(|entry| entry.0 == actor) {
                upto = entry;
            }
            while let Some(dot) = dots.next_if(|dot| dot.actor == actor) {
                if dot.sequence == upto.saturating_add(1) {
                    upto = dot.sequence;
                } else if dot.sequence > upto && self.cloud.last() != Some(&dot) {
                    self.cloud.push(dot);
                }
            }
            if upto > 0 {
                self.vector.push((actor, upto));
            }
        }
    }

    /// Moves cloud dots of `actor` that its vector entry has reached into the vector.
    fn fold(&mut self, actor: Actor) {
        if self.cloud.is_empty() {
            return;
        }
        let Ok(entry) = self.vector.binary_search_by_key(&actor, |entry| entry.0) else {
            return;
        };
        let upto = &mut self.vector[entry].1;
        self.cloud.retain(|dot| {
            if dot.actor != actor || dot.sequence > upto.saturating_add(1) {
                return true;
            }
            *upto = (*upto).max(dot.sequence);
            false
        });
    }
}

impl Clone for Context {
    fn clone(&self) -> Self {
        // Contexts are cloned with every operation, and small vectors clone entry by entry.
        Context {
            vector: SmallVec::from_slice(&self.vector),
            cloud: SmallVec::from_slice(&self.cloud),
        }
    }
}

/// Two sorted lists as one, duplicates kept.
fn merged<'a, T: Ord + Copy>(left: &'a [T], right: &'a [T]) -> impl Iterator<Item = T> + 'a {
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    std::iter::from_fn(move || {
        let left_first = match (left.peek(), right.peek()) {
            (Some(left), Some(right)) => left <= right,
            (left, _) => left.is_some(),
        };
        if left_first { left.next().copied() } else { right.next().copied() }
    })
}

impl Extend<Dot> for Context {
    /// Adds many dots in any order, sorted and merged once: n of them cost O(n log n) and one pass over
    /// what is here, where n single insertions may cost as many passes.
    ///
    /// # Panics
    /// As [`Context::insert`].
    fn extend<I: IntoIterator<Item = Dot>>(&mut self, dots: I) {
        let mut dots = dots.into_iter();
        dots.by_ref().take(SINGLE_DOTS_MAX).for_each(|dot| self.insert(dot));
        let mut more: Vec<Dot> = dots.collect();
        if more.is_empty() {
            return;
        }
        assert!(more.iter().all(|dot| dot.sequence > 0), "sequences start at 1");
        more.sort_unstable();
        self.merge(&[], &more);
    }
}

impl FromIterator<Dot> for Context {
    fn from_iter<I: IntoIterator<Item = Dot>>(dots: I) -> Self {
        let mut context = Context::new();
        context.extend(dots);
        context
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn dots() -> impl Strategy<Value = Vec<Dot>> {
        prop::collection::vec((0u64..3, 1u64..8).prop_map(|(a, s)| Dot::new(Actor(a), s)), 0..24)
    }

    proptest! {
        #[test]
        fn context_is_the_set_of_its_dots(a in dots(), b in dots()) {
            let (left, right): (Context, Context) =
                (a.iter().copied().collect(), b.iter().copied().collect());
            let mut joined = left.clone();
            joined.join(&right);
            let model: BTreeSet<Dot> = a.iter().chain(&b).copied().collect();
            for actor in 0..3 {
                let greatest =
                    model.iter().filter(|d| d.actor == Actor(actor)).map(|d| d.sequence).max();
                prop_assert_eq!(joined.greatest(Actor(actor)), greatest.unwrap_or(0));
                for sequence in 1..9 {
                    let dot = Dot::new(Actor(actor), sequence);
                    prop_assert_eq!(joined.contains(dot), model.contains(&dot));
                }
            }
            prop_assert_eq!(&joined, &model.iter().rev().copied().collect::<Context>());
            let mut one_by_one = Context::new();
            a.iter().chain(&b).for_each(|&dot| one_by_one.insert(dot));
            prop_assert_eq!(&joined, &one_by_one);
            let mut extended = left.clone();
            extended.extend(b.iter().copied());
            prop_assert_eq!(&joined, &extended);
            prop_assert!(joined.covers(&left) && joined.covers(&right));
            let right_dots: BTreeSet<_> = b.into_iter().collect();
            let left_dots: BTreeSet<_> = a.into_iter().collect();
            let common: Context = left_dots.intersection(&right_dots).copied().collect();
            prop_assert_eq!(left.common(&right), common);
            prop_assert_eq!(left.covers(&right), right_dots.is_subset(&left_dots));
            let (vector, cloud) = (joined.vector().to_vec(), joined.cloud().to_vec());
            prop_assert_eq!(Context::from_parts(vector, cloud), Some(joined));
        }
    }

    /// Added one at a time, each of these dots would move all behind it.
    #[test]
    fn a_large_cloud_is_added_in_one_pass() {
        let odd = |actors: std::ops::Range<u64>| {
            let dots = (1..=100_000).rev().map(|n| Dot::new(Actor(n % 7), 2 * n));
            dots.filter(move |dot| actors.contains(&dot.actor.0))
        };
        let mut context: Context = odd(0..4).collect();
        context.join(&odd(2..7).collect());
        assert_eq!(context, odd(0..7).collect());
        assert_eq!(context.cloud().len(), 100_000);
        let actors: Context = (0..100_000).map(|actor| Dot::new(Actor(actor), 1)).collect();
        context.join(&actors);
        assert!(context.covers(&actors));
        assert_eq!(context.vector().len(), 100_000);
        let (vector, cloud) = (context.vector().to_vec(), context.cloud().to_vec());
        assert_eq!(Context::from_parts(vector, cloud), Some(context));
    }

    #[test]
    fn parts_that_are_not_folded_are_refused() {
        let a = Actor(7);
        assert_eq!(Context::from_parts([(a, 0)], []), None);
        assert_eq!(Context::from_parts([(a, 2), (a, 3)], []), None);
        assert_eq!(Context::from_parts([(a, 2)], [Dot::new(a, 3)]), None);
        assert_eq!(Context::from_parts([], [Dot::new(a, 1)]), None);
        assert_eq!(Context::from_parts([], [Dot::new(a, 0)]), None);
        assert!(Context::from_parts([(a, 2)], [Dot::new(a, 4)]).is_some());
    }
}
