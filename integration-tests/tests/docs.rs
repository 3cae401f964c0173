//! The documents are true: the code blocks of README.md are lines of the files that other tests run, its table of
//! options is that of `scoter --help`, and OPERATING.md has every field of the status.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use integration_tests::Scoter;
use serde_json::Value;

#[test]
fn marked_blocks_are_lines_of_the_files_they_name() {
    let readme = read("README.md");
    let blocks = marked_blocks(&readme);
    assert!(
        !blocks.is_empty(),
        "README.md marks no block with <!-- file: … -->"
    );
    for (file, block) in blocks {
        let source = read(file);
        assert!(
            contains(&code(&source), &block),
            "{file} does not have these lines of README.md:\n{}",
            block.join("\n")
        );
    }
}

#[test]
fn option_table_is_that_of_help() {
    let help = Scoter::serving("hello").args(["--help"]).run();
    assert_eq!(help.code, Some(0), "{}", help.stderr);
    let offered = options_of_help(&help.stdout);
    let readme = read("README.md");
    let described = options_of_table(&readme);

    let names = |options: &BTreeMap<&str, _>| {
        options
            .keys()
            .map(|name| name.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&offered), names(&described), "--help, then README.md");
    for (name, default) in &offered {
        let Some(default) = default else { continue };
        assert_eq!(described[name], Some(*default), "default of {name}");
    }
}

#[test]
fn status_table_has_every_field() {
    let scoter = Scoter::serving("hello").start();
    let reloaded = scoter.command(["reload"]);
    assert_eq!(reloaded.code, Some(0), "{}", reloaded.stderr);
    let mut sent = BTreeSet::new();
    add_fields(&scoter.status(), "", &mut sent);
    let operating = read("OPERATING.md");
    let (_, section) = operating.split_once("### The status as JSON").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let mut described = BTreeSet::new();
    for row in rows {
        let names = row.split('|').nth(1).unwrap().split('`').skip(1);
        described.extend(names.step_by(2).map(str::to_owned));
    }
    // Described as a whole too, because it may be null.
    assert!(described.remove("last_reload"));
    assert_eq!(sent, described, "the status, then OPERATING.md");
}

/// Adds the path of every field that is not an object or a list of objects.
fn add_fields(value: &Value, path: &str, fields: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            let dot = if path.is_empty() { "" } else { "." };
            for (name, member) in members {
                add_fields(member, &format!("{path}{dot}{name}"), fields);
            }
        }
        Value::Array(items) => {
            for item in items {
                add_fields(item, &format!("{path}[]"), fields);
            }
        }
        _ => {
            fields.insert(path.to_owned());
        }
    }
}

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

/// Returns every block behind `<!-- file: PATH -->`, with the path.
fn marked_blocks(markdown: &str) -> Vec<(&str, Vec<&str>)> {
    let mut blocks = Vec::new();
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        let marker = line.strip_prefix("<!-- file: ");
        let Some(file) = marker.and_then(|rest| rest.strip_suffix(" -->")) else {
            continue;
        };
        let fence = lines.next();
        assert!(
            fence.is_some_and(|line| line.starts_with("```")),
            "{line} stands before no block"
        );
        blocks.push((
            file,
            lines.by_ref().take_while(|line| *line != "```").collect(),
        ));
    }
    blocks
}

/// Returns the lines of a file without those that are empty or all comment, which a README may leave out.
fn code(source: &str) -> Vec<&str> {
    let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    source.lines().map(str::trim_end).filter(is_code).collect()
}

/// Tells whether `block` is a run of `code`, all of it indented by as much as its first line.
fn contains(code: &[&str], block: &[&str]) -> bool {
    let block: Vec<_> = block
        .iter()
        .copied()
        .filter(|line| !line.is_empty())
        .collect();
    code.windows(block.len()).any(|run| {
        let indent = &run[0][..run[0].len() - run[0].trim_start().len()];
        run.iter()
            .zip(&block)
            .all(|(line, wanted)| line.strip_prefix(indent) == Some(wanted))
    })
}

/// Returns each option with the default that clap prints for it, if any.
fn options_of_help(help: &str) -> BTreeMap<&str, Option<&str>> {
    let mut options = BTreeMap::new();
    let mut current = None;
    for line in help.lines().map(str::trim) {
        let option = line.trim_start_matches("-h, ").trim_start_matches("-V, ");
        if option.starts_with("--") {
            current = option.split_whitespace().next();
            options.extend(current.map(|name| (name, None)));
        }
        if let (Some(name), Some((_, rest))) = (current, line.split_once("[default: ")) {
            options.insert(name, rest.split_once(']').map(|(default, _)| default));
        }
    }
    // Those of every command, and those that the text beside the table is about.
    for name in ["--help", "--version", "--config", "--print-config"] {
        options.remove(name);
    }
    options
}

/// Returns each option of the table whose rows begin with an option, with its second column.
fn options_of_table(markdown: &str) -> BTreeMap<&str, Option<&str>> {
    let rows = markdown.lines().filter(|line| line.starts_with("| `--"));
    rows.filter_map(|row| {
        let mut cells = row
            .trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().trim_matches('`'));
        let name = cells.next()?.split_whitespace().next()?.trim_matches('`');
        Some((name, cells.next()))
    })
    .collect()
}
