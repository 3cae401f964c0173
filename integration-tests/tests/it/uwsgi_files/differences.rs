//! The table of intended differences, in `docs/from-uwsgi.md`: what is not in it is a fault, and what is in it and
//! never seen is one, too.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

/// The rows of the table.
#[derive(Debug)]
pub(super) struct Differences {
    rows: Vec<Row>,
    seen: Mutex<BTreeSet<usize>>,
}

/// One row: what differs, and how. `*` in the name stands for anything.
#[derive(Debug)]
struct Row {
    name: String,
    uwsgi: Cell,
    scoter: Cell,
}

/// What a cell says of the value: words leave it open.
#[derive(Debug)]
enum Cell {
    Absent,
    Is(String),
    Words,
}

impl Differences {
    /// Reads the tables of the section "What differs".
    pub(super) fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/from-uwsgi.md");
        let text = fs::read_to_string(path).expect("part of the checkout");
        let (_, section) = text.split_once(HEADING).expect("the page has the section");
        let section = section.split("\n## ").next().unwrap_or_default();
        let rows = section.lines().filter_map(Row::parse).collect();
        Self {
            rows,
            seen: Mutex::default(),
        }
    }

    /// Tells whether it is intended that `name` has one value under uWSGI and another here.
    pub(super) fn allow(&self, name: &str, uwsgi: Option<&str>, scoter: Option<&str>) -> bool {
        let position = self.rows.iter().position(|row| {
            matches(&row.name, name) && row.uwsgi.covers(uwsgi) && row.scoter.covers(scoter)
        });
        let Some(position) = position else {
            return false;
        };
        self.seen
            .lock()
            .expect("nothing panics with it")
            .insert(position);
        true
    }

    /// Returns the rows that nothing has needed.
    pub(super) fn unneeded(&self) -> Vec<String> {
        let seen = self.seen.lock().expect("nothing panics with it");
        let rows = self.rows.iter().enumerate();
        rows.filter(|(position, _)| !seen.contains(position))
            .map(|(_, row)| format!("{row:?}"))
            .collect()
    }
}

impl Row {
    /// Reads a row whose first cell begins with a name in backticks.
    fn parse(line: &str) -> Option<Self> {
        let cells = line.strip_prefix('|')?.trim_end().strip_suffix('|')?;
        let cells: Vec<_> = cells.split(" | ").map(str::trim).collect();
        let name = cells[0].strip_prefix('`')?.split('`').next()?.to_owned();
        assert!(cells.len() >= 3, "{line}");
        Some(Self {
            name,
            uwsgi: Cell::parse(cells[1]),
            scoter: Cell::parse(cells[2]),
        })
    }
}

impl Cell {
    fn parse(text: &str) -> Self {
        let code = text.strip_prefix('`').and_then(|it| it.strip_suffix('`'));
        match code {
            _ if text == "absent" => Self::Absent,
            Some(code) if !code.contains('`') => Self::Is(code.into()),
            _ => Self::Words,
        }
    }

    fn covers(&self, value: Option<&str>) -> bool {
        match (self, value) {
            (Self::Absent, None) | (Self::Words, _) => true,
            (Self::Is(expected), Some(value)) => matches(expected, value),
            (Self::Absent | Self::Is(_), _) => false,
        }
    }
}

/// Compares with a pattern in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            (0..=text.len())
                .filter(|&end| text.is_char_boundary(end))
                .any(|end| matches(rest, &text[end..]))
        }),
    }
}

const HEADING: &str = "\n## What differs\n";
