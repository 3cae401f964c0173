//! `--print-config`: a file with every option and the source of its value.

use std::ffi::OsStr;
use std::fmt::{self, Write as _};

use toml_writer::{ToTomlKey, TomlKeyBuilder, TomlStringBuilder, WriteTomlValue};

use super::opt::Arity;
use super::origin::Origin;
use super::settings::{Setting, Settings};

impl Settings {
    /// All options as a file that yields the same values with `--config`.
    pub(crate) fn print(&self) -> String {
        let mut text = format!(
            "# scoter {}: every option and the source of its value\n",
            env!("CARGO_PKG_VERSION")
        );
        let mut section = "";
        for setting in &self.all {
            if setting.opt.section != section {
                section = setting.opt.section;
                let _ = writeln!(text, "\n# {section}");
            }
            for assignment in assignments(setting) {
                let _ = writeln!(text, "{assignment:ORIGINS$}  # {}", Source(setting));
            }
        }
        if let Some(uwsgi) = &self.uwsgi {
            let _ = writeln!(text, "\n# uWSGI's configuration");
            for line in uwsgi.report.lines() {
                let _ = writeln!(text, "{}", format!("# {line}").trim_end());
            }
        }
        text
    }
}

/// The column of the origins, unless the value is too long.
const ORIGINS: usize = 36;

/// What a setting is in the file: a line, or a line for each entry of a table.
pub(in crate::config) fn assignments(setting: &Setting) -> Vec<String> {
    let name = setting.opt.name;
    let is_utf8 = setting.texts.iter().all(|text| text.to_str().is_some());
    if setting.opt.arity != Arity::Pairs || !is_utf8 {
        return vec![Assignment(setting).to_string()];
    }
    if setting.texts.is_empty() {
        return vec![format!("{name} = {{}}")];
    }
    let mut entries: Vec<(String, String)> = Vec::new();
    for text in &setting.texts {
        let text = text.to_string_lossy();
        let (key, value) = text.split_once('=').unwrap_or((&text, ""));
        let key = TomlKeyBuilder::new(key).as_default().to_toml_key();
        let value = Text(value.as_ref()).to_string();
        // TOML allows each key once; of repeated variables the last counts.
        entries.retain(|(known, _)| *known != key);
        entries.push((key, value));
    }
    let lines = entries.into_iter();
    lines
        .map(|(key, value)| format!("{name}.{key} = {value}"))
        .collect()
}

/// `name = value`. An option without a value is a comment.
struct Assignment<'a>(&'a Setting);

impl fmt::Display for Assignment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Setting { opt, texts, .. } = self.0;
        let name = opt.name;
        if texts.iter().any(|text| text.to_str().is_none()) {
            return write!(f, "# {name} = {texts:?}: not UTF-8, as a file must be");
        }
        match (opt.arity, texts.as_slice()) {
            (Arity::Many, texts) => {
                write!(f, "{name} = [")?;
                for (index, text) in texts.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{}", Text(text))?;
                }
                f.write_str("]")
            }
            (Arity::Flag, [text]) => write!(f, "{name} = {}", text.to_string_lossy()),
            (_, [text, ..]) => write!(f, "{name} = {}", Text(text)),
            (_, []) => write!(f, "# {name} = {:?}", opt.value_name),
        }
    }
}

/// A TOML value: a number if it reads back as the same text, else a string.
struct Text<'a>(&'a OsStr);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string_lossy();
        if text
            .parse::<i64>()
            .is_ok_and(|number| number.to_string() == text)
        {
            return f.write_str(&text);
        }
        // In double quotes, and always on one line.
        TomlStringBuilder::new(&text).as_basic().write_toml_value(f)
    }
}

/// Where a value came from.
struct Source<'a>(&'a Setting);

impl fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.origin {
            Origin::Default if self.0.texts.is_empty() => f.write_str("default: none"),
            Origin::Default => f.write_str("default"),
            Origin::CommandLine => f.write_str("command line"),
            Origin::Environment => f.write_str(&self.0.opt.variable()),
            Origin::Uwsgi(directives) => {
                let places: Vec<_> = directives.iter().map(|it| it.place.to_string()).collect();
                match &places[..] {
                    [] => f.write_str("uWSGI's default"),
                    [first, .., last] if places.len() > MANY => {
                        write!(f, "{}", format!("{first}, …, {last}").escape_debug())
                    }
                    _ => write!(f, "{}", places.join(", ").escape_debug()),
                }
            }
            // A file name may contain a line break.
            Origin::File(place) => write!(f, "{}", place.to_string().escape_debug()),
        }
    }
}

/// So many places are not all named.
const MANY: usize = 4;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::config::directive::Directive;

    #[test]
    fn printed_settings_read_back_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let all_different = [
            "site.wsgi:make",
            "--bind=unix:a b.sock",
            "--bind=127.0.0.1:0",
            "--allow=10.0.0.0/8",
            "--preload",
            "--workers=2..8",
            "--threads=16",
            "--socket-mode=0600",
            "--user=1000",
            "--max-rss=80%",
            "--max-requests=5000",
            "--request-timeout=500ms",
            "--pid-file=quo\"te\\ and\ttab\nand line",
            "--access-log-format=$status # \u{e9} \u{7f}",
            "--mount=/caf\u{e9}=shop:app",
            "--mount=/a b/c=/srv/x.py",
            "--env=A=1",
            "--env=B=quo\"te = \u{e9}",
            "--env=C=",
        ];
        for arguments in [&[][..], &["app"], &all_different] {
            let settings = Settings::of(arguments, &[], Path::new("/srv")).unwrap();
            let printed = settings.print();
            fs::write(folder.path().join("scoter.toml"), &printed).unwrap();
            let again = Settings::of(&[], &[], folder.path());
            let again = again.unwrap_or_else(|error| panic!("{error}\n{printed}"));
            let changed = Settings::changed(&settings, &again);
            assert!(changed.is_empty(), "{changed:?} in {printed}");
        }
    }

    #[test]
    fn every_line_names_the_origin_of_its_value() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("scoter.toml"), "\nchdir = '/srv'\n").unwrap();
        let variables = [("SCOTER_WORKERS", "4"), ("SCOTER_ENV", "A=b,B=1")];
        let settings = Settings::of(&["app", "--preload"], &variables, folder.path()).unwrap();
        let printed = settings.print();
        let lines: Vec<_> = printed
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        for line in [
            "app = \"app\" # command line",
            "preload = true # command line",
            "workers = 4 # SCOTER_WORKERS",
            "chdir = \"/srv\" # scoter.toml:2:9",
            "socket-mode = 660 # default",
            "bind = [] # default: none",
            "# user = \"USER\" # default: none",
            "max-requests = \"off\" # default",
            "env.A = \"b\" # SCOTER_ENV",
            "env.B = 1 # SCOTER_ENV",
            "mount = {} # default: none",
        ] {
            assert!(
                lines.iter().any(|found| found == line),
                "{line} in {printed}"
            );
        }
    }

    #[test]
    fn lines_name_the_directives_of_uwsgi() {
        let directive = |line| Directive {
            key: "socket".to_owned(),
            value: None,
            place: crate::config::directive::Place::File {
                file: "uwsgi.ini".into(),
                line,
            },
        };
        let mut settings = Settings::of(&["app"], &[], Path::new("/srv")).unwrap();
        for setting in &mut settings.all {
            setting.origin = match setting.opt.name {
                "threads" => Origin::Uwsgi(Vec::new()),
                "bind" => Origin::Uwsgi(vec![directive(2), directive(5)]),
                _ => continue,
            };
        }
        let printed = settings.print();
        assert!(
            printed.contains("# uwsgi.ini:2, uwsgi.ini:5\n"),
            "{printed}"
        );
        assert!(printed.contains("# uWSGI's default\n"), "{printed}");
    }

    #[test]
    fn mistakes_name_the_directive_of_the_wrong_value() {
        let directive = |value: &str, line| Directive {
            key: "socket".to_owned(),
            value: Some(value.to_owned()),
            place: crate::config::directive::Place::File {
                file: "uwsgi.ini".into(),
                line,
            },
        };
        let mut settings = Settings::of(&["app"], &[], Path::new("/srv")).unwrap();
        let bind = settings.all.iter_mut().find(|it| it.opt.name == "bind");
        let bind = bind.unwrap();
        bind.texts = vec!["unix:/a".into(), "b".into()];
        bind.origin = Origin::Uwsgi(vec![directive("/a", 2), directive("b", 5)]);
        assert_eq!(
            settings.options().unwrap_err().to_string(),
            "uwsgi.ini:5: socket = b: expected unix:/path, unix:@name, host:port or fd://N"
        );
    }
}
