//! What the application finds: its environment, its directory, its modules.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use super::Context;
use super::draft::Draft;
use crate::config::directive::Directive;
use crate::config::uwsgi::translation::{Kind, Program, Snippet};

pub(super) fn translate(draft: &mut Draft<'_>, context: &Context<'_>) {
    variables(draft);
    home(draft, context);
    python_path(draft, context);
    if let Some(strict) = draft.flag("strict") {
        draft.nothing_to_do(&[strict], "an unknown key is an error here, too");
    }
}

fn variables(draft: &mut Draft<'_>) {
    let mut texts: Vec<OsString> = Vec::new();
    let mut from: Vec<&Directive> = Vec::new();
    for variable in draft.take("env") {
        let value = variable.value.as_deref().unwrap_or_default();
        let Some((name, _)) = value.split_once('=') else {
            // putenv(3) removes it then.
            let text =
                "without \"=\" the variable is removed: leave it out of the service's environment";
            let snippet = Snippet {
                program: Program::Unit,
                lines: format!("UnsetEnvironment={value}\n"),
            };
            draft.elsewhere(&[variable], text, Some(snippet));
            continue;
        };
        let prefix = format!("{name}=");
        let same = texts
            .iter()
            .position(|it| it.to_string_lossy().starts_with(&prefix));
        if let Some(index) = same {
            texts.remove(index);
            from.remove(index);
        }
        texts.push(value.into());
        from.push(variable);
    }
    if !texts.is_empty() {
        draft.set_all("env", texts, &from);
    }
    if let Some(optimize) = draft.last("optimize") {
        let level = draft.number(optimize).value().unwrap_or_default();
        if level > 0 {
            let snippet = Snippet {
                program: Program::Unit,
                lines: format!("Environment=PYTHONOPTIMIZE={level}\n"),
            };
            let text = "Python reads this variable before anything else runs";
            draft.elsewhere(&[optimize], text, Some(snippet));
        } else {
            draft.nothing_to_do(&[optimize], "Python's default");
        }
    }
    for directory in draft.take("envdir") {
        let text = "write the variables into one file, a line NAME=VALUE for each, and name that with \
                    env-file";
        draft.lost(&[directory], text);
    }
}

fn home(draft: &mut Draft<'_>, context: &Context<'_>) {
    let Some(home) = draft.last("home") else {
        return;
    };
    let value = home.value.as_deref().unwrap_or_default();
    if context
        .prefix
        .is_some_and(|prefix| is_same(prefix, Path::new(value)))
    {
        draft.nothing_to_do(&[home], "scoter runs in this environment");
        return;
    }
    let bin = value.trim_end_matches('/');
    draft.elsewhere(
        &[home],
        format!(
            "a server runs in the environment that it is installed in: {bin}/bin/pip install scoter, and \
             start {bin}/bin/scoter"
        ),
        None,
    );
}

fn is_same(one: &Path, other: &Path) -> bool {
    one == other
        || match (fs::canonicalize(one), fs::canonicalize(other)) {
            (Ok(one), Ok(other)) => one == other,
            _ => false,
        }
}

/// uWSGI puts each before those that are there, so that the last one comes first in `sys.path`
/// (`PyList_Insert` in init_pyargv and init_uwsgi_embedded_module); of a pattern all that it matches.
fn python_path(draft: &mut Draft<'_>, context: &Context<'_>) {
    let mut texts: Vec<OsString> = Vec::new();
    let mut from: Vec<&Directive> = Vec::new();
    for entry in draft.take("pythonpath").into_iter().rev() {
        let pattern = entry.value.as_deref().unwrap_or_default();
        let is_pattern = pattern.contains(['*', '?', '[']);
        let found = match is_pattern {
            true => (context.glob)(pattern),
            false => Vec::new(),
        };
        if is_pattern && !found.is_empty() {
            let text = "the directories that it matches now; later ones are not found";
            draft.note(Kind::Mapped, &[entry], text);
        }
        let paths = match found.is_empty() {
            true => vec![OsString::from(pattern)],
            false => found.into_iter().rev().map(OsString::from).collect(),
        };
        for path in paths {
            texts.push(path);
            from.push(entry);
        }
    }
    if !texts.is_empty() {
        draft.set_all("pythonpath", texts, &from);
    }
}
