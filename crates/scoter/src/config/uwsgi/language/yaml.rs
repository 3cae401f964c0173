//! Options in a YAML file.
//!
//! uWSGI is built with libyaml, as distributions do, or with a reader of its own, as PyPI's package is.
//! The latter knows lines `key: value` and nothing else: it ends at the first list, and quotes belong to
//! the value. What both read means the same here; for the rest the YAML is meant.

use std::borrow::Cow;

use saphyr_parser::{Event, Parser, StrInput};

use super::entry::{Entries, Entry, utf8};
use super::error::Mistake;
use super::magic::Text;

/// The options in the mapping with this name.
pub(super) fn entries(text: &Text, section: &str) -> Result<Entries, (usize, Mistake)> {
    let mut nodes = Nodes {
        events: Parser::new_from_str(utf8(text)?),
        text,
    };
    let mut entries = Entries::default();
    // Documents after the first are not read.
    if !matches!(nodes.next()?, Some(Node::Mapping { .. })) {
        return Ok(entries);
    }
    while let Some(key) = nodes.next()? {
        let is_section = match key {
            Node::End => break,
            Node::Scalar { text, .. } => text == section,
            key => {
                nodes.skip(&key)?;
                false
            }
        };
        match nodes.next()? {
            Some(Node::Mapping { .. }) if is_section => {
                nodes.options(&mut entries)?;
                break;
            }
            Some(value) => nodes.skip(&value)?,
            None => break,
        }
    }
    Ok(entries)
}

/// The nodes of a document.
struct Nodes<'t> {
    events: Parser<'t, StrInput<'t>>,
    text: &'t Text,
}

enum Node<'t> {
    Scalar {
        text: Cow<'t, str>,
        line: usize,
        /// Whether there is nothing where it is.
        is_absent: bool,
    },
    Sequence {
        line: usize,
    },
    Mapping {
        line: usize,
    },
    Alias {
        line: usize,
    },
    /// Of a sequence or a mapping.
    End,
}

impl<'t> Nodes<'t> {
    fn next(&mut self) -> Result<Option<Node<'t>>, (usize, Mistake)> {
        while let Some(event) = self.events.next() {
            let (event, span) = event.map_err(|error| {
                let message = error.info().to_owned();
                (
                    self.text.line(error.marker().line()),
                    Mistake::Syntax { message },
                )
            })?;
            let line = self.text.line(span.start.line());
            return Ok(Some(match event {
                Event::Scalar(text, ..) => Node::Scalar {
                    text,
                    line,
                    is_absent: span.start.index() == span.end.index(),
                },
                Event::SequenceStart(..) => Node::Sequence { line },
                Event::MappingStart(..) => Node::Mapping { line },
                Event::SequenceEnd | Event::MappingEnd => Node::End,
                Event::Alias(_) => Node::Alias { line },
                Event::StreamEnd | Event::DocumentEnd => return Ok(None),
                Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => continue,
            }));
        }
        Ok(None)
    }

    /// Reads on to the end of a node.
    fn skip(&mut self, node: &Node<'_>) -> Result<(), (usize, Mistake)> {
        let mut depth = usize::from(node.has_parts());
        while depth > 0 {
            match self.next()? {
                Some(Node::End) => depth -= 1,
                Some(node) => depth += usize::from(node.has_parts()),
                None => break,
            }
        }
        Ok(())
    }

    /// Reads options to the end of the mapping.
    fn options(&mut self, entries: &mut Entries) -> Result<(), (usize, Mistake)> {
        while let Some(key) = self.next()? {
            let (key, line) = match key {
                Node::End => break,
                Node::Scalar { text, line, .. } => (text, line),
                key => return Err(key.refused()),
            };
            match self.next()? {
                Some(Node::Scalar {
                    is_absent: true, ..
                }) => entries.skipped.push((
                    line,
                    format!("{key} has no value, so uWSGI ignores it: write {key}: true"),
                )),
                Some(Node::Scalar { text, .. }) => entries.push(&key, &text, line),
                Some(Node::Sequence { .. }) => self.items(&key, entries)?,
                Some(node) => return Err(node.refused()),
                None => break,
            }
        }
        Ok(())
    }

    /// Reads the values of an option to the end of the sequence.
    fn items(&mut self, key: &str, entries: &mut Entries) -> Result<(), (usize, Mistake)> {
        while let Some(item) = self.next()? {
            match item {
                Node::End => break,
                Node::Scalar {
                    is_absent: true, ..
                } => {}
                Node::Scalar { text, line, .. } => entries.push(key, &text, line),
                item => return Err(item.refused()),
            }
        }
        Ok(())
    }
}

impl Node<'_> {
    fn has_parts(&self) -> bool {
        matches!(self, Self::Sequence { .. } | Self::Mapping { .. })
    }

    /// What an option cannot consist of.
    fn refused(&self) -> (usize, Mistake) {
        let (line, what) = match self {
            Self::Sequence { line } => (*line, "a list"),
            Self::Mapping { line } => (*line, "a mapping"),
            Self::Alias { line } => (*line, "an alias"),
            Self::Scalar { line, .. } => (*line, "a text"),
            Self::End => (1, "the end"),
        };
        let message = format!("expected an option or a value, found {what}");
        (line, Mistake::Syntax { message })
    }
}

impl Entries {
    fn push(&mut self, key: &str, value: &str, line: usize) {
        self.list.push(Entry {
            key: key.as_bytes().to_vec(),
            value: value.as_bytes().to_vec(),
            line,
        });
    }
}
