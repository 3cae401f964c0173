//! Files that the documents name.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const DOCUMENTS: [&str; 8] = [
    "README.md",
    "OPERATING.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "benchmarks/README.md",
    "crates/README.md",
    "crates/uwsgi-codec/README.md",
    "crates/uwsgi-codec/fuzz/README.md",
];

#[test]
fn documents_name_files_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folders = ["crates", "benchmarks"].map(|folder| sources(&root.join(folder)).unwrap());
    let sources = folders.concat();
    let mut missing = Vec::new();
    for document in DOCUMENTS {
        let text = fs::read_to_string(root.join(document)).unwrap();
        let folder = root.join(document).parent().unwrap().to_owned();
        for target in links(&text).filter(|target| !folder.join(target).exists()) {
            missing.push(format!("{document} links to {target}"));
        }
        for name in rust_files(&text).filter(|name| !sources.iter().any(|it| it.ends_with(name))) {
            missing.push(format!("{document} names {name}"));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn links_and_names_are_found() {
    let text =
        "[a](b/c.md) and [web](https://example.com), [d](e.md#part), `f/g.rs`, `h.rs`, `i()`";
    assert_eq!(links(text).collect::<Vec<_>>(), ["b/c.md", "e.md"]);
    assert_eq!(rust_files(text).collect::<Vec<_>>(), ["f/g.rs", "h.rs"]);
}

/// The targets of relative links, without their fragments.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1);
    let targets = targets.filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
    let targets = targets.map(|target| target.split('#').next().unwrap_or_default());
    targets.filter(|target| !target.is_empty() && !target.contains("://"))
}

/// Source files in code spans.
fn rust_files(text: &str) -> impl Iterator<Item = &str> {
    let is_path = |word: &&str| word.ends_with(".rs") && !word.contains([' ', '*', '{']);
    text.split('`').filter(is_path)
}

fn sources(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && !path.ends_with("target") {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(found)
}
