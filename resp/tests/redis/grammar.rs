//! Commands made at random from templates.
//!
//! A template is words: literal ones, `{x}` for a word of that kind, `{x}+` for one to three of them, and
//! `[a|b c|]` for one of some alternatives, which may be of several words or none.

use bytes::Bytes;

use crate::templates::{TEMPLATES, WORDS};

/// Source: Steele, Lea and Flood 2014, SplitMix64.
pub(crate) struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    fn choose<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// The command of a seed.
pub(crate) fn command(seed: u64) -> Vec<Bytes> {
    let mut random = Random(seed);
    let template = random.choose(TEMPLATES);
    let mut words = Vec::new();
    expand(template, &mut random, &mut words);
    if random.one_in(60) {
        words.push(Bytes::from("surplus"));
    }
    if random.one_in(60) && words.len() > 1 {
        words.pop();
    }
    words
}

/// A command for people.
pub(crate) fn text(words: &[Bytes]) -> String {
    let quoted = |word: &Bytes| {
        let plain = !word.is_empty() && word.iter().all(u8::is_ascii_graphic);
        let text = word.escape_ascii();
        if plain { text.to_string() } else { format!("\"{text}\"") }
    };
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

fn expand(template: &'static str, random: &mut Random, words: &mut Vec<Bytes>) {
    let mut rest = template.trim_start();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let end = after.find(']').expect("what opens closes");
            let alternatives: Vec<&'static str> = after[..end].split('|').collect();
            expand(random.choose(&alternatives), random, words);
            rest = after[end + 1..].trim_start();
            continue;
        }
        let end = rest.find([' ', '[']).unwrap_or(rest.len());
        let word = &rest[..end];
        rest = rest[end..].trim_start();
        let repeated = word.strip_suffix('+').filter(|word| word.ends_with('}'));
        let times = if repeated.is_some() { 1 + random.below(3) } else { 1 };
        for _ in 0..times {
            for part in repeated.unwrap_or(word).split_inclusive('}') {
                let made = one(part, random);
                words.push(Bytes::copy_from_slice(made.as_bytes()));
            }
        }
    }
}

/// One word.
fn one(word: &'static str, random: &mut Random) -> &'static str {
    let kind = word.strip_prefix('{').and_then(|word| word.strip_suffix('}'));
    let Some(kind) = kind else { return word };
    let (_, words) = WORDS.iter().find(|(name, _)| *name == kind).expect("a kind of words");
    // Keys are mostly of the type that the command is for.
    let any_key = kind.len() == 1 && "shzlS".contains(kind) && random.one_in(10);
    if any_key { random.choose(&["s1", "h1", "S1", "z1", "l1"]) } else { random.choose(words) }
}
