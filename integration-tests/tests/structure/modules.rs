//! The modules of a crate, and which of them import which.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;

use crate::imports::Imports;

/// A module, by its path within the crate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Module(Vec<String>);

/// The modules of a crate that are not there for tests alone.
#[derive(Debug)]
pub(crate) struct Crate {
    files: BTreeMap<Module, Imports>,
}

/// One module imports from another.
#[derive(Debug, Clone)]
pub(crate) struct Import {
    from: Module,
    to: Module,
}

/// Modules of one folder, and the imports that lead from within one into another.
#[derive(Debug)]
pub(crate) struct Siblings(BTreeMap<String, BTreeMap<String, Import>>);

impl Crate {
    /// Reads the sources in a folder.
    pub(crate) fn read(src: &Path) -> Self {
        let mut texts = Vec::new();
        collect(src, &Module(Vec::new()), &mut texts);
        assert!(!texts.is_empty(), "no sources in {}", src.display());
        Self::parse(&texts)
    }

    pub(crate) fn of<const N: usize>(texts: [(&str, &str); N]) -> Self {
        let texts = texts.map(|(module, text)| (Module::from(module), text.to_owned()));
        Self::parse(&texts)
    }

    fn parse(texts: &[(Module, String)]) -> Self {
        let parse = |(module, text): &(Module, String)| {
            let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{module}: {error}"));
            (module.clone(), file)
        };
        let files: Vec<_> = texts.iter().map(parse).collect();
        let tests: Vec<_> = files
            .iter()
            .flat_map(|(module, file)| test_modules(module, file))
            .collect();
        let is_tested = |module: &Module| tests.iter().any(|test| module.is_in(test));
        let kept = files.into_iter().filter(|(module, _)| !is_tested(module));
        Self {
            files: kept
                .map(|(module, file)| (module, Imports::of(&file)))
                .collect(),
        }
    }

    pub(crate) fn modules(&self) -> impl Iterator<Item = Module> {
        self.files.keys().cloned()
    }

    /// Modules that hold others.
    pub(crate) fn folders(&self) -> BTreeSet<Module> {
        let parents = self.files.keys().filter_map(Module::parent);
        parents.collect()
    }

    /// Whether a module names this crate.
    pub(crate) fn uses_crate(&self, module: &Module, name: &str) -> bool {
        let imports = &self.files[module];
        let exported = imports.exported.iter().map(|(_, path)| path);
        let mut paths = imports.used.iter().chain(exported);
        paths.any(|path| path.first().is_some_and(|first| first == name))
    }

    /// The modules that a module imports from, itself left out.
    fn imported_by(&self, module: &Module) -> BTreeSet<Module> {
        let imports = &self.files[module];
        let exported = imports.exported.iter().map(|(_, path)| path);
        let paths = imports.used.iter().chain(exported);
        let found = paths.filter_map(|path| self.resolve(module, path, 0));
        found.filter(|found| found != module).collect()
    }

    /// A module, and all that it imports from directly or through others.
    pub(crate) fn reachable_from(&self, module: &Module) -> BTreeSet<Module> {
        let mut reached = BTreeSet::new();
        let mut left = vec![module.clone()];
        while let Some(module) = left.pop() {
            if reached.insert(module.clone()) {
                left.extend(self.imported_by(&module));
            }
        }
        reached
    }

    /// The imports between what is in a folder.
    pub(crate) fn siblings(&self, folder: &Module) -> Siblings {
        let mut siblings = BTreeMap::<String, BTreeMap<String, Import>>::new();
        for from in self.files.keys() {
            let Some(one) = from.below(folder) else {
                continue;
            };
            for to in self.used_by(from) {
                let Some(other) = to.below(folder).filter(|other| *other != one) else {
                    continue;
                };
                let import = Import {
                    from: from.clone(),
                    to: to.clone(),
                };
                let imports = siblings.entry(one.to_owned()).or_default();
                imports.entry(other.to_owned()).or_insert(import);
            }
        }
        Siblings(siblings)
    }

    /// As [`Crate::imported_by`], but for what is only passed on.
    fn used_by(&self, module: &Module) -> BTreeSet<Module> {
        let paths = self.files[module].used.iter();
        let found = paths.filter_map(|path| self.resolve(module, path, 0));
        found.filter(|found| found != module).collect()
    }

    /// Where the thing is defined that `path` means in `module`; nothing where that is
    /// another crate.
    fn resolve(&self, module: &Module, path: &[String], depth: u32) -> Option<Module> {
        let mut path = path.iter();
        let mut at = module.clone();
        let mut rest = path.clone();
        match path.next()?.as_str() {
            "crate" => {
                at = Module(Vec::new());
                rest.next();
            }
            "self" | "super" => {
                if rest.clone().next().is_some_and(|part| part == "self") {
                    rest.next();
                }
                while rest.clone().next().is_some_and(|part| part == "super") {
                    at = at.parent()?;
                    rest.next();
                }
            }
            first if self.files.contains_key(&module.child(first)) => {}
            _ => return None,
        }
        while let Some(part) = rest.clone().next() {
            let child = at.child(part);
            if self.files.contains_key(&child) {
                at = child;
                rest.next();
                continue;
            }
            let exported = self.files.get(&at)?.exported.iter();
            let mut exported = exported.filter(|(name, _)| name == part);
            return match exported.next() {
                Some((_, target)) if depth < 8 => self.resolve(&at, target, depth + 1),
                _ => Some(at),
            };
        }
        Some(at)
    }
}

impl Siblings {
    /// The shortest circle, if there is one.
    pub(crate) fn circle(&self) -> Option<Vec<Import>> {
        let circles = self.0.keys().filter_map(|start| self.circle_from(start));
        circles.min_by_key(Vec::len)
    }

    fn circle_from(&self, start: &str) -> Option<Vec<Import>> {
        let mut seen = BTreeSet::new();
        let mut ways = vec![(start, Vec::new())];
        while !ways.is_empty() {
            let mut longer = Vec::new();
            for (at, way) in ways {
                for (next, import) in self.0.get(at).into_iter().flatten() {
                    let mut way: Vec<Import> = way.clone();
                    way.push(import.clone());
                    if next == start {
                        return Some(way);
                    }
                    if seen.insert(next) {
                        longer.push((next.as_str(), way));
                    }
                }
            }
            ways = longer;
        }
        None
    }
}

impl Module {
    fn parent(&self) -> Option<Self> {
        let (_, parent) = self.0.split_last()?;
        Some(Self(parent.to_vec()))
    }

    fn child(&self, name: &str) -> Self {
        Self(self.0.iter().cloned().chain([name.to_owned()]).collect())
    }

    pub(crate) fn is_in(&self, folder: &Self) -> bool {
        self.0.starts_with(&folder.0)
    }

    /// The part of the path that comes next below `folder`.
    fn below(&self, folder: &Self) -> Option<&str> {
        let rest = self.0.strip_prefix(folder.0.as_slice())?;
        rest.first().map(String::as_str)
    }
}

impl From<&str> for Module {
    fn from(path: &str) -> Self {
        let parts = path.split("::").filter(|part| !part.is_empty());
        Self(parts.map(str::to_owned).collect())
    }
}

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("crate")?;
        self.0.iter().try_for_each(|part| write!(f, "::{part}"))
    }
}

impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} imports {}", self.from, self.to)
    }
}

/// The modules that a file declares for tests alone.
fn test_modules(module: &Module, file: &syn::File) -> Vec<Module> {
    let declared = file.items.iter().filter_map(|item| match item {
        syn::Item::Mod(item) if crate::imports::is_test(&item.attrs) => Some(item),
        _ => None,
    });
    declared
        .map(|item| module.child(&item.ident.to_string()))
        .collect()
}

fn collect(folder: &Path, module: &Module, texts: &mut Vec<(Module, String)>) {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for path in entries.iter().map(DirEntry::path) {
        let stem = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
        let inner = match stem {
            "lib" | "main" | "mod" => module.clone(),
            stem => module.child(stem),
        };
        if path.is_dir() {
            collect(&path, &inner, texts);
        } else if path.extension().is_some_and(|extension| extension == "rs") && stem != "main" {
            let text = fs::read_to_string(&path);
            let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            texts.push((inner, text));
        }
    }
}
