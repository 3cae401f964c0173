//! The structure of the crates, as `crates/README.md` describes it.

mod documents;
mod imports;
mod modules;

use std::collections::BTreeSet;
use std::path::Path;

use modules::{Crate, Module};

const CRATES: [&str; 3] = ["uwsgi-codec", "wsgi-environ", "scoter"];

/// What runs in the master, which must live on whatever an application does to Python.
const OF_THE_MASTER: [&str; 10] = [
    "config",
    "control",
    "ipc",
    "log",
    "net",
    "program",
    "request_head",
    "start",
    "supervisor",
    "sys",
];

fn read(name: &str) -> Crate {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    Crate::read(&folder.join(name).join("src"))
}

/// Modules of one folder may import each other in one direction only, whatever is inside them.
/// What a folder's own `mod.rs` holds is there for all files of the folder.
#[test]
fn imports_of_modules_form_no_circle() {
    for name in CRATES {
        let modules = read(name);
        for folder in modules.folders() {
            let siblings = modules.siblings(&folder);
            if let Some(circle) = siblings.circle() {
                let steps: Vec<_> = circle
                    .iter()
                    .map(|import| format!("\n  {import}"))
                    .collect();
                panic!(
                    "{name}: a circle of imports in `{folder}`:{}",
                    steps.concat()
                );
            }
        }
    }
}

#[test]
fn nothing_that_the_master_runs_imports_python() {
    let modules = read("scoter");
    let imports_python: BTreeSet<_> = modules
        .modules()
        .filter(|module| modules.uses_crate(module, "pyo3"))
        .collect();
    assert!(
        imports_python.contains(&Module::from("python::traceback")),
        "the search finds nothing"
    );
    for root in OF_THE_MASTER {
        let root = Module::from(root);
        assert!(modules.modules().any(|module| module == root), "{root}");
        for module in modules.modules().filter(|module| module.is_in(&root)) {
            for reached in modules.reachable_from(&module) {
                assert!(
                    !imports_python.contains(&reached),
                    "{module} runs in the master and imports {reached}, which imports pyo3"
                );
            }
        }
    }
}

#[test]
fn circle_is_found() {
    let modules = Crate::of([
        ("", "mod a; mod b;"),
        ("a", "mod deep;"),
        ("a::deep", "use crate::b::Thing;"),
        ("b", "mod inner; pub(crate) use inner::Thing;"),
        ("b::inner", "fn f() { super::super::a::call(); }"),
    ]);
    let circle = modules.siblings(&Module::from("")).circle();
    let circle: Vec<_> = circle.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(circle.len(), 2, "{circle:?}");
    assert!(
        circle.iter().any(|step| step.contains("a::deep")),
        "{circle:?}"
    );
    assert!(
        circle.iter().any(|step| step.contains("b::inner")),
        "{circle:?}"
    );
}

#[test]
fn imports_of_tests_and_of_the_folder_itself_are_no_circle() {
    let modules = Crate::of([
        ("", "mod a; mod b; struct Shared;"),
        ("a", "use crate::Shared; use crate::b::Thing;"),
        (
            "b",
            "use crate::Shared; #[cfg(test)] mod tests { use crate::a::X; }",
        ),
    ]);
    assert!(modules.siblings(&Module::from("")).circle().is_none());
}

#[test]
fn imports_are_found_wherever_they_stand() {
    for text in [
        "use crate::b::{self, Thing};",
        "use crate::{b::Thing as Other, c};",
        "fn f() { crate::b::call() }",
        "struct S(crate::b::Thing);",
        "fn f() { assert_eq!(1, crate::b::VALUE); }",
        "use super::b::*;",
        "use crate::c::Exported;",
    ] {
        let modules = Crate::of([
            ("", "mod a; mod b; mod c;"),
            ("a", text),
            ("b", ""),
            ("c", "pub(crate) use crate::b::Exported;"),
        ]);
        let reached = modules.reachable_from(&Module::from("a"));
        assert!(reached.contains(&Module::from("b")), "{text}");
    }
}
