//! The documents are true: their code blocks are lines of the files that other tests run, their links lead somewhere,
//! README.md's table of options is that of `scoter --help`, OPERATING.md has every field of the status and every metric,
//! and its probe works.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use integration_tests::{Scoter, executable, python, until};
use serde_json::Value;

#[test]
fn marked_blocks_are_lines_of_the_files_they_name() {
    let mut found = 0;
    for document in documents() {
        let text = read(&document);
        for (file, block) in marked_blocks(&text) {
            let source = read(file);
            assert!(
                contains(&code(&source), &block) || contains(&all_but_empty(&source), &block),
                "{file} does not have these lines of {document}:\n{}",
                block.join("\n")
            );
            found += 1;
        }
    }
    assert!(found > 0, "no document marks a block with <!-- file: … -->");
}

#[test]
fn links_lead_somewhere() {
    for document in documents() {
        let text = read(&document);
        let folder = Path::new(&document).parent().expect("a file");
        for link in links(&text) {
            if link.starts_with("http:") || link.starts_with("https:") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => Path::new(&document).to_owned(),
                _ => folder.join(file),
            };
            let path = root().join(&target);
            assert!(path.exists(), "{document}: there is no {file} ({link})");
            if !heading.is_empty() {
                let headings = headings(&read(target.to_str().expect("UTF-8")));
                assert!(
                    headings.contains(heading),
                    "{document}: {link} has no such heading"
                );
            }
        }
    }
}

/// The documents for users.
fn documents() -> Vec<String> {
    let pages = fs::read_dir(root().join("docs")).expect("it is there");
    let pages = pages.filter_map(|page| page.ok()?.file_name().into_string().ok());
    let pages = pages.filter(|page| page.ends_with(".md"));
    let pages = pages.map(|page| format!("docs/{page}"));
    ["README.md", "OPERATING.md", "CONTRIBUTING.md"]
        .map(str::to_owned)
        .into_iter()
        .chain(pages)
        .collect()
}

/// The targets of the links outside of code blocks.
fn links(markdown: &str) -> Vec<&str> {
    outside_of_code(markdown)
        .flat_map(|line| line.split("](").skip(1))
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target)
        .collect()
}

/// The names by which GitHub knows the headings.
fn headings(markdown: &str) -> BTreeSet<String> {
    outside_of_code(markdown)
        .filter_map(|line| {
            line.trim_start_matches('#')
                .strip_prefix(' ')
                .filter(|_| line.starts_with('#'))
        })
        .map(|heading| {
            let heading = heading.trim().to_lowercase();
            let kept = heading
                .chars()
                .filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

fn outside_of_code(markdown: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    markdown.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_fence && !is_code
    })
}

#[test]
fn option_table_is_that_of_help() {
    let help = Scoter::serving("hello").args(["--help"]).run();
    assert_eq!(help.code, Some(0), "{}", help.stderr);
    let offered = options_of_help(&help.stdout);
    let described = options_of_table(&read("README.md"));

    let names = |options: &BTreeMap<String, _>| options.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&offered), names(&described), "--help, then README.md");
    for (name, option) in &offered {
        assert_eq!(option.meaning, described[name].meaning, "meaning of {name}");
        if option.default.is_some() {
            assert_eq!(option.default, described[name].default, "default of {name}");
        }
    }
}

#[test]
fn status_table_has_every_field() {
    let scoter = Scoter::serving("hello").start();
    let reloaded = scoter.command(["reload"]);
    assert_eq!(reloaded.code, Some(0), "{}", reloaded.stderr);
    let mut sent = BTreeSet::new();
    add_fields(&scoter.status(), "", &mut sent);
    let mut described = described_in("### The status as JSON");
    // Described as a whole too, because it may be null.
    assert!(described.remove("last_reload"));
    assert_eq!(sent, described, "the status, then OPERATING.md");
}

#[test]
fn metrics_table_is_what_the_server_says() {
    let scoter = Scoter::serving("hello").start();
    let reloaded = scoter.command(["reload"]);
    assert_eq!(reloaded.code, Some(0), "{}", reloaded.stderr);
    let operating = read("OPERATING.md");
    let (_, section) = operating.split_once("\n## Metrics\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section
        .lines()
        .filter(|line| line.starts_with("| `scoter_"));
    let described: BTreeMap<_, _> = rows
        .map(|row| {
            let cells: Vec<_> = row.split('|').map(str::trim).collect();
            let labels = cells[3]
                .split(',')
                .map(|label| label.trim_matches(&[' ', '`'][..]));
            let labels: BTreeSet<_> = labels.filter(|label| !label.is_empty()).collect();
            (cells[1].trim_matches('`'), (cells[2], labels))
        })
        .collect();
    // A worker's CPU time is known after a second.
    until("every metric, as OPERATING.md has it", || {
        let text = scoter.control().get("/metrics").text();
        (metrics_of(&text) == described).then_some(())
    });
}

#[test]
fn options_of_other_servers_are_answered_as_in_their_tables() {
    let page = read("docs/from-gunicorn.md");
    for table in page.split("<!-- options: ").skip(1) {
        let (table, _) = table
            .split_once("<!-- end of options -->")
            .expect("its end");
        for row in table.lines().filter(|line| line.starts_with("| `--")) {
            let mut cells = row.trim_matches('|').split('|').map(str::trim);
            let theirs = cells.next().expect("their options").split(", ");
            let ours = cells.next().expect("scoter's options").split(", ");
            let ours = ours.map(|name| name.trim_matches('`'));
            for (name, ours) in theirs.zip(ours.chain(std::iter::repeat(""))) {
                let name = name.trim_matches('`');
                let mut command = Command::new(executable());
                let answer = command.args([name, "1", "no-such-application"]).output();
                let answer = answer.expect("make build");
                let answer = String::from_utf8_lossy(&answer.stderr);
                if !answer.contains(&format!("unexpected argument '{name}'")) {
                    assert!(name[2..] == *ours || ours.is_empty(), "{row}\n{answer}");
                    continue;
                }
                assert!(answer.contains("tip: "), "{row}\n{answer}");
                assert!(
                    ours.is_empty() || answer.contains(&format!("'--{ours}'")),
                    "{name} is not {ours}:\n{answer}"
                );
            }
        }
    }
}

/// The type of each metric, and the names of its labels.
fn metrics_of(text: &str) -> BTreeMap<&str, (&str, BTreeSet<&str>)> {
    let types = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    types
        .map(|(name, kind)| {
            let series = text.lines().filter_map(|line| line.strip_prefix(name));
            let labels = series.filter_map(|rest| rest.split_once('{')?.1.split_once('}'));
            let labels = labels.flat_map(|(labels, _)| labels.split(','));
            let labels = labels.filter_map(|label| label.split_once('='));
            let names = labels.map(|(name, _)| name).filter(|name| *name != "le");
            (name, (kind, names.collect()))
        })
        .collect()
}

#[test]
fn stacks_table_has_every_field() {
    let scoter = Scoter::serving("streaming").start();
    let _gate = scoter.gate("a");
    let _peer = scoter.begin("a");
    let found = scoter.command(["stacks", "--json"]);
    let mut found: Value = serde_json::from_str(&found.stdout).unwrap();
    // Described as a whole: the status has it, too.
    for thread in found["workers"][0]["threads"].as_array_mut().unwrap() {
        thread["slot"] = Value::Null;
    }
    let mut sent = BTreeSet::new();
    add_fields(&found, "", &mut sent);
    assert_eq!(
        sent,
        described_in("### Stacks"),
        "the stacks, then OPERATING.md"
    );
}

#[test]
fn probe_without_a_master_tells_whether_a_thread_is_free() {
    let operating = read("OPERATING.md");
    let (_, script) = operating.split_once("      - |\n").unwrap();
    let lines = script
        .lines()
        .map_while(|line| line.strip_prefix("        "));
    let script = lines.collect::<Vec<_>>().join("\n");
    let scoter = Scoter::serving("streaming");
    let mut scoter = scoter.args(["--no-master", "--threads", "1"]).start();
    let socket = scoter.socket().to_str().unwrap().to_owned();
    let script = script.replace("/run/scoter/scoter.sock", &socket);
    let probe = || {
        let mut command = Command::new(python());
        command
            .args(["-c", &script])
            .output()
            .unwrap()
            .status
            .code()
    };
    assert_eq!(probe(), Some(0), "while a thread is idle");
    let gate = scoter.gate("a");
    let mut peer = scoter.begin("a");
    assert_eq!(probe(), Some(1), "while the only thread is busy");
    gate.open();
    assert_eq!(peer.reply().text(), "waited at a");
    scoter.stop();
    assert_eq!(probe(), Some(1), "after the stop");
}

/// The fields that the table of a section of OPERATING.md describes.
fn described_in(heading: &str) -> BTreeSet<String> {
    let operating = read("OPERATING.md");
    let (_, section) = operating.split_once(heading).expect("a section");
    let (section, _) = section.split_once("\n##").expect("it is not the last one");
    let cells = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = cells.filter_map(|cells| cells.split('|').next());
    let names = cells.flat_map(|cell| cell.split('`').step_by(2));
    names.map(str::to_owned).collect()
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

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(file: &str) -> String {
    let path = root().join(file);
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

/// Returns the lines of a file, comments included.
fn all_but_empty(source: &str) -> Vec<&str> {
    let is_empty = |line: &&str| line.trim().is_empty();
    source
        .lines()
        .map(str::trim_end)
        .filter(|line| !is_empty(line))
        .collect()
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

#[derive(Debug)]
struct Described {
    default: Option<String>,
    /// With a small first letter, whatever it is.
    meaning: String,
}

/// Returns each option with the default that clap prints for it, if any.
fn options_of_help(help: &str) -> BTreeMap<String, Described> {
    let mut texts: Vec<(String, Vec<&str>)> = Vec::new();
    for line in help.lines().filter(|line| line.starts_with("  ")) {
        let line = line.trim();
        let option = line.trim_start_matches("-h, ").trim_start_matches("-V, ");
        let mut words = option.split_whitespace().peekable();
        if let Some(name) = words.next_if(|word| word.starts_with("--")) {
            words.next_if(|word| word.starts_with('<'));
            texts.push((name.to_owned(), Vec::new()));
        }
        if let Some((_, text)) = texts.last_mut() {
            text.extend(words);
        }
    }
    // Those of every command, and those that the text beside the table is about.
    let elsewhere = [
        "--help",
        "--version",
        "--config",
        "--ini",
        "--yaml",
        "--json",
        "--print-config",
    ];
    texts.retain(|(name, _)| !elsewhere.contains(&name.as_str()));
    let describe = |(name, words): (String, Vec<&str>)| {
        let text = words.join(" ");
        let (meaning, default) = match text.split_once(" [default: ") {
            Some((meaning, default)) => (meaning, default.strip_suffix(']')),
            None => (&*text, None),
        };
        let described = Described {
            default: default.map(str::to_owned),
            meaning: uncapitalised(meaning),
        };
        (name, described)
    };
    texts.into_iter().map(describe).collect()
}

/// Returns the options of the table whose rows begin with an option.
fn options_of_table(markdown: &str) -> BTreeMap<String, Described> {
    let rows = markdown.lines().filter(|line| line.starts_with("| `--"));
    rows.filter_map(|row| {
        let mut cells = row
            .trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().trim_matches('`'));
        let name = cells.next()?.split_whitespace().next()?.trim_matches('`');
        let described = Described {
            default: cells.next().map(str::to_owned),
            meaning: uncapitalised(cells.next()?),
        };
        Some((name.to_owned(), described))
    })
    .collect()
}

fn uncapitalised(text: &str) -> String {
    text[..1].to_lowercase() + &text[1..]
}
