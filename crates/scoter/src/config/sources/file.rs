//! Options from a TOML file.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{pipe, toml_hint};
use crate::config::error::Problem;
use crate::config::opt::{Arity, Opt};
use crate::config::origin::{Origin, Place};
use crate::config::other_servers::UWSGI_CONFIGURATION;
use crate::config::settings::Setting;
use crate::config::sources::arguments::Arguments;
use crate::config::sources::environment::CONFIG;
use crate::config::sources::process_env::ProcessEnv;
use crate::config::suggestion::suggest;
use crate::config::table::TABLE;

/// The file that is read by default.
const USUAL: &str = "scoter.toml";

/// Reads the file that `--config` or `SCOTER_CONFIG` names, or, if there is one,
/// `scoter.toml` in the working directory.
pub(in crate::config) fn read(
    arguments: &Arguments,
    env: &ProcessEnv,
    problems: &mut Vec<Problem>,
) -> Vec<Setting> {
    let named = named(arguments, env);
    let path = named.map_or_else(|| PathBuf::from(USUAL), PathBuf::from);
    let absolute = env.directory.join(&path);
    match read_text(&absolute) {
        Ok(source) => {
            let folder = absolute.parent().unwrap_or_else(|| Path::new("/"));
            File {
                path,
                source: &source,
                folder,
            }
            .settings(problems)
        }
        Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            problems.push(Problem::Unreadable { path, error });
            Vec::new()
        }
    }
}

/// Reads a regular file or a pipe.
fn read_text(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.file_type().is_fifo() {
        return pipe::read(path);
    }
    fs::read_to_string(path)
}

/// The path of the file, which need not exist.
pub(in crate::config) fn path(arguments: &Arguments, env: &ProcessEnv) -> PathBuf {
    let named = named(arguments, env).map_or_else(|| Path::new(USUAL), Path::new);
    env.directory.join(named)
}

/// The file that is read by default, if it is there.
pub(in crate::config) fn usual(env: &ProcessEnv) -> Option<&'static str> {
    let path = env.directory.join(USUAL);
    path.exists().then_some(USUAL)
}

/// Whether its path does not depend on the working directory.
pub(in crate::config) fn is_named_absolutely(arguments: &Arguments, env: &ProcessEnv) -> bool {
    named(arguments, env).is_some_and(|path| Path::new(path).is_absolute())
}

/// Whether the arguments or the environment name a file.
pub(in crate::config) fn is_named(arguments: &Arguments, env: &ProcessEnv) -> bool {
    named(arguments, env).is_some()
}

fn named<'a>(arguments: &'a Arguments, env: &'a ProcessEnv) -> Option<&'a OsString> {
    let given = arguments.config.as_ref();
    given.or_else(|| env.variable(CONFIG))
}

struct File<'a> {
    /// As the operator named it.
    path: PathBuf,
    source: &'a str,
    /// The directory that its relative paths are resolved against.
    folder: &'a Path,
}

impl File<'_> {
    fn settings(&self, problems: &mut Vec<Problem>) -> Vec<Setting> {
        let (table, errors) = DeTable::parse_recoverable(self.source);
        if !errors.is_empty() {
            // One hint for a file of uWSGI's, in place of one for each of its lines.
            if let Some(start) = self.source.find("[uwsgi]") {
                let name = "uwsgi";
                problems.push(self.table(name, &(start + 1..start + 1 + name.len())));
                return Vec::new();
            }
            let mut lines = BTreeSet::new();
            problems.extend(errors.iter().filter_map(|error| {
                let place = self.place(&error.span().unwrap_or_default());
                // One report per line: a line in another syntax causes several errors.
                lines.insert(place.line).then(|| Problem::Syntax {
                    message: error.message().replace('\n', ", "),
                    hint: self
                        .source
                        .lines()
                        .nth(place.line - 1)
                        .and_then(toml_hint::hint),
                    place,
                })
            }));
            return Vec::new();
        }
        let mut entries: Vec<_> = table.get_ref().iter().collect();
        // In the file's order, not alphabetically.
        entries.sort_by_key(|(key, _)| key.span().start);
        entries
            .into_iter()
            .filter_map(|(key, value)| {
                let setting = self.setting(key.get_ref(), &key.span(), value);
                setting.map_err(|problem| problems.push(problem)).ok()
            })
            .collect()
    }

    fn setting(
        &self,
        key: &str,
        span: &Range<usize>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Setting, Problem> {
        let Some(opt) = TABLE.iter().find(|opt| opt.name == key) else {
            return Err(self.unknown(key, span, value.get_ref()));
        };
        let place = self.place(&value.span());
        if opt.arity == Arity::Pairs {
            return self.pairs(opt, place, value.get_ref());
        }
        match self.texts(opt, value.get_ref()) {
            Ok(texts) => Ok(Setting {
                opt,
                texts,
                origin: Origin::File(place),
            }),
            Err(expected) => Err(Problem::WrongType {
                place,
                name: opt.name,
                expected,
            }),
        }
    }

    /// Reads a table of names and values.
    fn pairs(
        &self,
        opt: &'static Opt,
        place: Place,
        value: &DeValue<'_>,
    ) -> Result<Setting, Problem> {
        let DeValue::Table(table) = value else {
            return Err(Problem::WrongType {
                place,
                name: opt.name,
                expected: "a table, with a line for each name and value",
            });
        };
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let texts = entries.into_iter().map(|(key, value)| {
            let text = pair(key.get_ref(), value.get_ref());
            let text = text.map_err(|reason| Problem::Entry {
                place: self.place(&key.span()),
                name: opt.name,
                key: key.get_ref().to_string(),
                reason,
            })?;
            Ok((opt.relocate)(text.as_ref(), self.folder))
        });
        Ok(Setting {
            opt,
            texts: texts.collect::<Result<_, _>>()?,
            origin: Origin::File(place),
        })
    }

    fn unknown(&self, key: &str, span: &Range<usize>, value: &DeValue<'_>) -> Problem {
        if matches!(value, DeValue::Table(_)) {
            return self.table(key, span);
        }
        Problem::UnknownKey {
            place: self.place(span),
            name: key.to_owned(),
            hint: suggest(key).map(|meant| meant.hint(|opt| opt.name.to_owned())),
        }
    }

    fn table(&self, name: &str, span: &Range<usize>) -> Problem {
        Problem::Table {
            place: self.place(span),
            name: name.to_owned(),
            hint: match name {
                "uwsgi" => UWSGI_CONFIGURATION,
                _ => {
                    "options are not grouped in tables: write `option = value` at the top of the \
                      file"
                }
            },
        }
    }

    fn texts(&self, opt: &Opt, value: &DeValue<'_>) -> Result<Vec<OsString>, &'static str> {
        match value {
            DeValue::Array(values) if opt.arity == Arity::Many => values
                .iter()
                .map(|value| self.text(opt, value.get_ref()))
                .collect(),
            value => Ok(vec![self.text(opt, value)?]),
        }
    }

    fn text(&self, opt: &Opt, value: &DeValue<'_>) -> Result<OsString, &'static str> {
        let text = match value {
            DeValue::String(text) => text.to_string(),
            // `0o660` keeps its prefix, which only permissions accept.
            DeValue::Integer(number) => number.to_string(),
            DeValue::Boolean(value) if opt.arity == Arity::Flag => value.to_string(),
            DeValue::Boolean(true) => "on".to_owned(),
            DeValue::Boolean(false) => "off".to_owned(),
            DeValue::Array(_) => return Err("one value: the option is not repeatable"),
            DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => {
                return Err("a string, a whole number, true or false");
            }
        };
        Ok((opt.relocate)(text.as_ref(), self.folder))
    }

    fn place(&self, span: &Range<usize>) -> Place {
        let before = self.source.get(..span.start).unwrap_or(self.source);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place {
            file: self.path.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

/// An entry of a table, as the command line has it.
fn pair(key: &str, value: &DeValue<'_>) -> Result<String, String> {
    // TOML has no end of a table but the next one.
    if TABLE.iter().any(|opt| opt.name == key) {
        return Err(format!(
            "{key} is an option, but here it is part of the table: move it above the table's header"
        ));
    }
    if key.contains('=') {
        return Err("there is an equals sign in the name".to_owned());
    }
    match value {
        DeValue::String(value) => Ok(format!("{key}={value}")),
        DeValue::Integer(value) => Ok(format!("{key}={value}")),
        // Would it be `true`, `True` or `1`?
        _ => Err("expected a string or a whole number".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Settings;

    /// The errors from reading `source` as `scoter.toml`, including those of its values.
    fn errors(source: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("scoter.toml"), source).unwrap();
        let settings = Settings::of(&["app"], &[], folder.path());
        match settings.and_then(|settings| settings.options()) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (source, expected) in [
            (
                "threads = 2\nworker = 4\n",
                "scoter.toml:2:1: unknown key \"worker\"\nhint: did you mean workers?",
            ),
            (
                "socket_mode = 660\n\n  colour = 'red'\nharakiri = 30\n",
                "scoter.toml:1:1: unknown key \"socket_mode\"\nhint: did you mean socket-mode?\n\
                 scoter.toml:3:3: unknown key \"colour\"\n\
                 scoter.toml:4:1: unknown key \"harakiri\"\nhint: did you mean request-timeout?",
            ),
            (
                "[logging]\nlog-level = 'info'\n",
                "scoter.toml:1:2: unknown table \"logging\"\nhint: options are not grouped in tables: write \
                 `option = value` at the top of the file",
            ),
            (
                "[uwsgi]\nthreads = 4\n",
                "scoter.toml:1:2: unknown table \"uwsgi\"\nhint: scoter --ini FILE serves from \
                 uWSGI's configuration (--yaml, --json); scoter migrate FILE makes a scoter.toml of it",
            ),
            (
                "; mine\n[uwsgi]\nmodule = shop.wsgi ; the app\n",
                "scoter.toml:2:2: unknown table \"uwsgi\"\nhint: scoter --ini FILE serves from \
                 uWSGI's configuration (--yaml, --json); scoter migrate FILE makes a scoter.toml of it",
            ),
            (
                "threads = 4 ; each\napp = shop.wsgi\n",
                "scoter.toml:1:11: string values must be quoted, expected literal string\nhint: \
                 comments begin with #: write threads = 4  # each\n\
                 scoter.toml:2:7: string values must be quoted, expected literal string\nhint: \
                 strings need quotes: write app = \"shop.wsgi\"",
            ),
            (
                "# café\nthreads = 0 # é\n",
                "scoter.toml:2:11: threads = \"0\": expected a whole number from 1 to 1024",
            ),
            (
                "threads = 0\nheader-timeout = 'soon'\n",
                "scoter.toml:1:11: threads = \"0\": expected a whole number from 1 to 1024\n\
                 scoter.toml:2:18: header-timeout = \"soon\": expected a time from 1ms to 30d, such \
                 as 500ms, 30s, 5m, 2h or 7d",
            ),
            (
                "request-timeout = 1.5\n",
                "scoter.toml:1:19: request-timeout: expected a string, a whole number, true or \
                 false",
            ),
            (
                "threads = [1, 2]\n",
                "scoter.toml:1:11: threads: expected one value: the option is not repeatable",
            ),
            (
                "env = ['A=1']\n",
                "scoter.toml:1:7: env: expected a table, with a line for each name and value",
            ),
            (
                "[env]\nA = '1'\nB = true\n",
                "scoter.toml:3:1: env.B: expected a string or a whole number",
            ),
            (
                "[env]\nA = '1'\nthreads = 4\n",
                "scoter.toml:3:1: env.threads: threads is an option, but here it is part of the \
                 table: move it above the table's header",
            ),
            (
                "[env]\n'A=B' = '1'\n",
                "scoter.toml:2:1: env.A=B: there is an equals sign in the name",
            ),
            (
                "[env]\n'1A' = 'secret'\n",
                "scoter.toml:1:1: env = \"1A=\u{2026}\": \"1A\" is not the name of a variable: \
                 letters, digits and _, the first of them not a digit",
            ),
            (
                "[mount]\nshop = 'shop.wsgi'\n",
                "scoter.toml:1:1: mount = \"shop=shop.wsgi\": expected a path and an APP, such as \
                 /shop=shop.wsgi",
            ),
            (
                "preload = 1\n",
                "scoter.toml:1:11: preload = \"1\": expected true or false",
            ),
            (
                "socket-mode = 0x1ff\n",
                "scoter.toml:1:15: socket-mode = \"0x1ff\": expected an octal number from 0 to 777, such as 660",
            ),
        ] {
            assert_eq!(errors(source), expected, "{source}");
        }
    }

    #[test]
    fn syntax_errors_are_named_with_their_place() {
        for (source, place) in [
            ("threads 4\n", "scoter.toml:1:"),
            ("threads = 4\nthreads = 5\n", "scoter.toml:2:1:"),
            ("app = 'x'\nbind = \"unix:/a\n", "scoter.toml:2:"),
        ] {
            let errors = errors(source);
            assert!(errors.starts_with(place), "{source}: {errors}");
            assert!(!errors.contains("unknown"), "{source}: {errors}");
        }
    }

    #[test]
    fn values_have_the_types_that_suit_them() {
        let source = "app = 'x'\nworkers = 4\nthreads = '8'\nsocket-mode = 0o640\numask = 22\n\
                      max-rss = '80%'\nmax-body = 1_000_000\nmax-requests = false\n\
                      access-log = false\nrequest-timeout = 30\nuser = 1000\nbind = 'unix:/a'\n\
                      allow = []\nfactory = true\n";
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("scoter.toml"), source).unwrap();
        let settings = Settings::of(&[], &[], folder.path()).unwrap();
        let printed = format!("{:?}", settings.options().unwrap());
        for value in [
            "workers: Fixed(4)",
            "threads: 8",
            "socket_mode: Mode(416)",
            "umask: Some(Mode(18))",
            "max_rss: Some(Percent(Percent(80)))",
            "max_body: Some(Size(1000000))",
            "max_requests: None",
            "access_log: Off",
            "request_timeout: Some(Span(30s))",
            "user: Some(\"1000\")",
            "bind: [Unix(\"/a\")]",
            "allow: []",
            "factory: true",
        ] {
            assert!(printed.contains(value), "{value} in {printed}");
        }
    }

    #[test]
    fn named_file_must_be_there() {
        let folder = Path::new("/nonexistent");
        assert!(Settings::of(&["app"], &[], folder).is_ok());
        for (arguments, variables) in [
            (&["--config", "mine.toml"][..], &[][..]),
            (&[], &[("SCOTER_CONFIG", "mine.toml")]),
        ] {
            let error = Settings::of(arguments, variables, folder).unwrap_err();
            let error = error.to_string();
            assert!(
                error.starts_with("cannot read the configuration mine.toml: "),
                "{error}"
            );
        }
    }
}
