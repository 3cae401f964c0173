//! `docs/uwsgi-options.md`, which is written from the table.

use std::fmt::Write;
use std::path::Path;

use super::family::{Family, TheirOption};
use super::fate::{Fate, Where};
use super::{SUBJECTS, all};

/// The whole document.
fn document() -> String {
    let mut text = format!("{INTRODUCTION}\n");
    let count = all().count();
    text = text.replace("{count}", &count.to_string());
    for subject in SUBJECTS {
        let _ = write!(
            text,
            "\n## {}\n\n| uWSGI | scoter | |\n|---|---|---|\n",
            subject.title
        );
        for family in subject.families {
            text.push_str(&row(family));
        }
    }
    text
}

fn row(family: &Family) -> String {
    let names: Vec<_> = family.options.iter().map(name).collect();
    let (takes_over, advice) = match family.fate {
        Fate::Mapped { to, difference, .. } => {
            let ours: Vec<_> = to.iter().map(|name| format!("`{name}`")).collect();
            let ours = match ours.is_empty() {
                true => "it depends on the value".to_owned(),
                false => ours.join(", "),
            };
            (ours, difference)
        }
        Fate::Read(by) => ("read".to_owned(), by),
        Fate::NothingToDo(reason) => ("nothing to do".to_owned(), reason),
        Fate::Elsewhere(place, advice) => (called(place).to_owned(), advice),
        Fate::Gone(advice) => ("**lost**".to_owned(), advice),
    };
    // A `|` would end the cell.
    let advice = advice.replace('|', "\\|");
    format!("| {} | {takes_over} | {advice} |\n", names.join(", "))
}

fn name(option: &TheirOption) -> String {
    match option.letter {
        Some(letter) => format!("`{}` (`-{letter}`)", option.name),
        None => format!("`{}`", option.name),
    }
}

fn called(place: Where) -> &'static str {
    match place {
        Where::Nginx => "nginx",
        Where::Unit => "the unit, or the container",
        Where::Timer => "a timer",
        Where::Service => "a service of its own",
        Where::Monitoring => "monitoring",
    }
}

const INTRODUCTION: &str = "\
# uWSGI's options

<!-- Written by a test from the table in crates/scoter/src/config/uwsgi/options: see CONTRIBUTING.md. -->

What becomes of each of uWSGI's {count} options when scoter serves from its configuration (`scoter --ini`) or migrates it
(`scoter migrate`). They are those of uWSGI 2.0.31, and of plugins that its usual builds leave out. [From
uWSGI](from-uwsgi.md) is the guide.

- An option's name: this option of scoter takes its place. The last column says how values differ.
- *nothing to do*: scoter does that anyway, or has no need of it.
- *nginx*, *a timer*, …: this program does it. `scoter migrate` writes the lines where it can.
- *read*: a part of the language of the files, which scoter reads as uWSGI does.
- **lost**: there is nothing like it. The last column says what people use instead.";

/// Compares the document with the table. With `WRITE_DOCUMENTS=1` it is written.
#[test]
fn document_is_written_from_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/uwsgi-options.md");
    let expected = document();
    if std::env::var_os("WRITE_DOCUMENTS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "docs/uwsgi-options.md is not what the table says: run this test with WRITE_DOCUMENTS=1"
    );
}
