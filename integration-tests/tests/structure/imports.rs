//! The paths that a source file names.

use syn::visit::{self, Visit};
use syn::{Attribute, File, Item, ItemMod, ItemUse, Macro, UseTree, Visibility};

/// What a file imports, and what it exports of others.
#[derive(Debug, Default)]
pub(crate) struct Imports {
    /// Paths that it uses.
    pub(crate) used: Vec<Vec<String>>,
    /// Paths that it exports, each with the name that it gives to it.
    pub(crate) exported: Vec<(String, Vec<String>)>,
    /// How many modules of the file itself what is visited is in.
    depth: usize,
}

impl Imports {
    pub(crate) fn of(file: &File) -> Self {
        let mut imports = Self::default();
        imports.visit_file(file);
        imports
    }

    fn use_path(&mut self, path: Vec<String>) {
        let path = self.seen_from_the_file(path);
        self.used.push(path);
    }

    /// `super` leads out of a module within the file first.
    fn seen_from_the_file(&self, path: Vec<String>) -> Vec<String> {
        let supers = path.iter().take_while(|part| *part == "super").count();
        let inner = supers.min(self.depth);
        if inner == 0 {
            return path;
        }
        let rest = path.into_iter().skip(inner);
        std::iter::once("self".to_owned()).chain(rest).collect()
    }
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        self.depth += 1;
        visit::visit_item_mod(self, module);
        self.depth -= 1;
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let mut leaves = Vec::new();
        spread(&item.tree, &mut Vec::new(), &mut leaves);
        for (name, path) in leaves {
            match item.vis {
                Visibility::Inherited => self.use_path(path),
                _ => {
                    let path = self.seen_from_the_file(path);
                    self.exported.push((name, path));
                }
            }
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter();
        self.use_path(segments.map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    /// `pub(in path)` imports nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    /// Arguments of a macro are tokens, which are printed with spaces between them. The `crate`
    /// of `pub(crate)` is among them.
    fn visit_macro(&mut self, invoked: &'ast Macro) {
        let text = invoked.tokens.to_string().replace(" :: ", "::");
        let is_of_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        let paths = text.split(|c| !is_of_path(c));
        for path in paths.filter(|path| path.contains("::")) {
            self.use_path(path.split("::").map(str::to_owned).collect());
        }
        visit::visit_macro(self, invoked);
    }
}

/// The paths of a `use`, each with the name that it brings.
fn spread(tree: &UseTree, before: &mut Vec<String>, leaves: &mut Vec<(String, Vec<String>)>) {
    let mut leaf = |last: Option<String>, name: String| {
        let path = before.iter().cloned().chain(last).collect();
        leaves.push((name, path));
    };
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            spread(&path.tree, before, leaves);
            before.pop();
        }
        UseTree::Group(group) => {
            for tree in &group.items {
                spread(tree, before, leaves);
            }
        }
        UseTree::Name(name) if name.ident == "self" => {
            leaf(None, before.last().cloned().unwrap_or_default());
        }
        UseTree::Name(name) => leaf(Some(name.ident.to_string()), name.ident.to_string()),
        UseTree::Rename(rename) => leaf(Some(rename.ident.to_string()), rename.rename.to_string()),
        UseTree::Glob(_) => leaf(None, "*".to_owned()),
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether something is there for tests alone.
pub(crate) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let is_cfg = attribute.path().is_ident("cfg");
        is_cfg
            && attribute.meta.require_list().is_ok_and(|list| {
                list.tokens
                    .to_string()
                    .split(&[' ', '(', ')', ','][..])
                    .any(|word| word == "test")
            })
    })
}
