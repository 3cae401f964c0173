//! Patterns of `--access-log-skip`.

use memchr::memmem;

/// A text in which each `*` stands for any bytes, or none. All others stand for themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    /// Between the asterisks; one if there is none.
    parts: Vec<String>,
}

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        Self {
            parts: text.split('*').map(str::to_owned).collect(),
        }
    }

    /// Whether the whole of `text` matches.
    pub(super) fn matches(&self, text: &[u8]) -> bool {
        let (first, others) = match &self.parts[..] {
            [] => return text.is_empty(),
            [only] => return text == only.as_bytes(),
            [first, others @ ..] => (first, others),
        };
        let Some(mut rest) = text.strip_prefix(first.as_bytes()) else {
            return false;
        };
        // The leftmost place for each part leaves the most for the next ones.
        let (last, between) = match others {
            [] => return true,
            [between @ .., last] => (last, between),
        };
        for part in between {
            match memmem::find(rest, part.as_bytes()) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn asterisks_stand_for_anything() {
        for (pattern, text, expected) in [
            ("/health", "/health", true),
            ("/health", "/health/", false),
            ("/health", "/healt", false),
            ("/health*", "/health", true),
            ("/health*", "/healthz", true),
            ("/static/*", "/static/", true),
            ("/static/*", "/static/a/b", true),
            ("/static/*", "/static", false),
            ("*.css", "/a/b.css", true),
            ("*.css", "/a/b.css.map", false),
            ("*bot*", "Mozilla/5.0 (compatible; bot/1)", true),
            ("*bot*", "Mozilla/5.0", false),
            ("*", "", true),
            ("*", "anything", true),
            ("**", "x", true),
            ("/a*b*c", "/abc", true),
            ("/a*b*c", "/a.b.b.c", true),
            ("/a*b*c", "/acb", false),
            // Both ends need bytes of their own.
            ("/aa*aa", "/aaa", false),
            ("a*a", "a", false),
            // No other character is special.
            ("/a?[b]", "/a?[b]", true),
            ("/a?[b]", "/ax[b]", false),
            ("/a.c", "/abc", false),
        ] {
            let matches = Pattern::new(pattern).matches(text.as_bytes());
            assert_eq!(matches, expected, "{pattern} {text}");
        }
    }

    fn slowly(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => (0..=text.len()).any(|at| slowly(rest, &text[at..])),
            ([one, pattern @ ..], [other, text @ ..]) => one == other && slowly(pattern, text),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn same_texts_match_as_by_trying_everything(pattern in "[ab*]{0,7}", text in "[ab]{0,9}") {
            let expected = slowly(pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(Pattern::new(&pattern).matches(text.as_bytes()), expected);
        }
    }
}
