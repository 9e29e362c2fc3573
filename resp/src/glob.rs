//! Patterns of names, as `KEYS`, `SCAN` and the rights of users have them.

/// Whether a pattern matches all of a text.
///
/// `*` is any bytes, `?` any byte, `[a-c]` one of these, `[^a]` none of these, and `\` takes the special meaning from what
/// follows. Takes time in proportion to both lengths multiplied at worst: only the last `*` is ever gone back to.
#[must_use]
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut index) = (0, 0);
    // Where to go on after the last `*`: in the pattern, and in the text.
    let mut star: Option<(usize, usize)> = None;
    loop {
        if let Some(b'*') = pattern.get(at) {
            at += 1;
            star = Some((at, index));
            continue;
        }
        if index == text.len() {
            return at == pattern.len();
        }
        match one(&pattern[at..], text[index]) {
            Some(taken) => {
                at += taken;
                index += 1;
            }
            None => match &mut star {
                Some((after, from)) => {
                    *from += 1;
                    (at, index) = (*after, *from);
                }
                None => return false,
            },
        }
    }
}

/// How much of a pattern's front matches a byte, if it does.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'[', ..] => class(pattern, byte),
        [b'\\', escaped, ..] => (*escaped == byte).then_some(2),
        [plain, ..] => (*plain == byte).then_some(1),
    }
}

/// The same of a class. One that does not end goes on to the end of the pattern, as in Redis.
fn class(pattern: &[u8], byte: u8) -> Option<usize> {
    let negated = pattern.get(1) == Some(&b'^');
    let (mut at, mut found) = (if negated { 2 } else { 1 }, false);
    loop {
        match pattern.get(at..).unwrap_or_default() {
            [] => break,
            [b']', ..] => {
                at += 1;
                break;
            }
            [b'\\', escaped, ..] => {
                found |= *escaped == byte;
                at += 2;
            }
            [from, b'-', to, ..] => {
                found |= (*from.min(to)..=*from.max(to)).contains(&byte);
                at += 3;
            }
            [single, ..] => {
                found |= *single == byte;
                at += 1;
            }
        }
    }
    (found != negated).then_some(at)
}

/// The pattern that matches just the texts that begin with this.
#[must_use]
pub fn prefix(text: &[u8]) -> Vec<u8> {
    let mut pattern = Vec::with_capacity(text.len() + 1);
    for byte in text {
        if matches!(byte, b'*' | b'?' | b'[' | b'\\') {
            pattern.push(b'\\');
        }
        pattern.push(*byte);
    }
    pattern.push(b'*');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_match_as_in_redis() {
        let yes = [
            ("*", ""),
            ("**", "abc"),
            ("h?llo", "hallo"),
            ("h*llo", "heeeello"),
            ("h[ae]llo", "hallo"),
            ("h[^e]llo", "hallo"),
            ("h[a-b]llo", "hbllo"),
            ("h[b-a]llo", "hallo"),
            (r"a\*b", "a*b"),
            (r"a[\]]b", "a]b"),
            ("a*b*c", "axxbxxbc"),
            ("[abc", "a"),
            ("user:*:name", "user:17:name"),
        ];
        for (pattern, text) in yes {
            assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
        let no = [
            ("", "a"),
            ("a", ""),
            ("h?llo", "hllo"),
            ("h[^e]llo", "hello"),
            (r"a\*b", "axb"),
            ("a*b", "abc"),
            ("[", "a"),
            ("?", ""),
        ];
        for (pattern, text) in no {
            assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_exponential_time() {
        let pattern = b"a*".repeat(1_000);
        let text = [vec![b'a'; 5_000], vec![b'b']].concat();
        assert!(!matches(&[&pattern[..], b"c"].concat(), &text));
    }

    /// The plain definition, exponential.
    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], text) => text.is_empty(),
            ([b'*', rest @ ..], text) => {
                (0..=text.len()).any(|skipped| naive(rest, &text[skipped..]))
            }
            (_, []) => false,
            (pattern, [byte, rest @ ..]) => {
                one(pattern, *byte).is_some_and(|taken| naive(&pattern[taken..], rest))
            }
        }
    }

    proptest! {
        #[test]
        fn it_is_the_plain_definition(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(matches(pattern, text), naive(pattern, text));
        }

        #[test]
        fn a_prefix_matches_what_begins_with_it(
            start in prop::collection::vec(any::<u8>(), 0..6),
            rest in prop::collection::vec(any::<u8>(), 0..6),
        ) {
            prop_assert!(matches(&prefix(&start), &[start.clone(), rest].concat()));
        }
    }
}
