//! A line of the screen: text with styles, which a terminal without colours shows as text.

use crate::control::client::render::cut;

/// How a part of a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Bold,
    Dim,
    Good,
    Warning,
    Bad,
}

/// A line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Line(Vec<(Style, String)>);

impl Line {
    pub(super) fn new(style: Style, text: impl Into<String>) -> Self {
        Self(vec![(style, text.into())])
    }

    pub(super) fn push(&mut self, style: Style, text: impl Into<String>) {
        self.0.push((style, text.into()));
    }

    /// Its text alone.
    pub(super) fn text(&self) -> String {
        self.0.iter().map(|(_, text)| text.as_str()).collect()
    }

    pub(super) fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| text.chars().count()).sum()
    }

    /// The part of it that fits.
    pub(super) fn fitted(self, mut width: usize) -> Self {
        let parts = self.0.into_iter().map(|(style, text)| {
            let text = cut(&text, width).to_owned();
            width -= text.chars().count();
            (style, text)
        });
        Self(parts.filter(|(_, text)| !text.is_empty()).collect())
    }

    /// The line for a terminal with colours (ECMA-48, SGR).
    pub(super) fn coloured(&self) -> String {
        self.0
            .iter()
            .map(|(style, text)| match style.code() {
                Some(code) => format!("\x1b[{code}m{text}\x1b[0m"),
                None => text.clone(),
            })
            .collect()
    }

    /// Puts facts on as many lines as they need. None is divided; one that is too wide is cut.
    pub(super) fn flow(facts: impl IntoIterator<Item = Self>, width: usize) -> Vec<Self> {
        let mut lines: Vec<Self> = Vec::new();
        for fact in facts {
            match lines.last_mut() {
                Some(line) if line.width() + GAP.len() + fact.width() <= width => {
                    line.push(Style::Plain, GAP);
                    line.0.extend(fact.0);
                }
                _ => lines.push(fact.fitted(width)),
            }
        }
        lines
    }
}

impl Style {
    fn code(self) -> Option<u8> {
        Some(match self {
            Self::Plain => return None,
            Self::Bold => 1,
            Self::Dim => 2,
            Self::Bad => 31,
            Self::Good => 32,
            Self::Warning => 33,
        })
    }
}

/// Between two facts.
const GAP: &str = "  ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_is_cut_by_its_text_and_not_by_its_colours() {
        let mut line = Line::new(Style::Bold, "caf\u{e9}");
        line.push(Style::Plain, " is");
        line.push(Style::Bad, " shut");
        for (width, text, coloured) in [
            (0, "", ""),
            (4, "caf\u{e9}", "\x1b[1mcaf\u{e9}\x1b[0m"),
            (6, "caf\u{e9} i", "\x1b[1mcaf\u{e9}\x1b[0m i"),
            (
                99,
                "caf\u{e9} is shut",
                "\x1b[1mcaf\u{e9}\x1b[0m is\x1b[31m shut\x1b[0m",
            ),
        ] {
            let fitted = line.clone().fitted(width);
            assert_eq!(fitted.text(), text);
            assert_eq!(fitted.coloured(), coloured);
        }
    }

    #[test]
    fn facts_flow_onto_as_many_lines_as_they_need() {
        for (width, expected) in [
            (99, &["one  three  fourteen"][..]),
            (19, &["one  three", "fourteen"]),
            (9, &["one", "three", "fourteen"]),
            (4, &["one", "thre", "four"]),
            (0, &["", "", ""]),
        ] {
            let facts = ["one", "three", "fourteen"].map(|fact| Line::new(Style::Plain, fact));
            let lines = Line::flow(facts, width);
            let texts: Vec<_> = lines.iter().map(Line::text).collect();
            assert_eq!(texts, expected, "{width}");
        }
    }
}
