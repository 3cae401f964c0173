//! How uWSGI would be called.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use crate::config::error::APP;
use crate::config::settings::Setting;

/// The arguments that uWSGI would be started with: a whole command line of its, or the files that were
/// named to us.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct UwsgiCall {
    pub(crate) arguments: Vec<OsString>,
}

/// The options that name a file of uWSGI's, here as there.
pub(crate) const FILE_OPTIONS: [&str; 3] = ["ini", "yaml", "json"];

impl UwsgiCall {
    /// A call with these files: options without dashes, and their values.
    pub(crate) fn with_files<'a>(files: impl IntoIterator<Item = (&'a str, OsString)>) -> Self {
        let words = files.into_iter();
        let words = words.flat_map(|(option, file)| [format!("--{option}").into(), file]);
        Self {
            arguments: words.collect(),
        }
    }

    /// A call with these files, whose names say what they are.
    pub(crate) fn with_unmarked_files(files: Vec<OsString>) -> Self {
        Self::with_files(files.into_iter().map(|file| (format_of(&file), file)))
    }

    /// Both, one after the other.
    pub(crate) fn followed_by(mut self, other: Self) -> Self {
        self.arguments.extend(other.arguments);
        self
    }

    /// The first file that is named.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        self.files().next()
    }

    /// Whether it names nothing but files, by absolute paths.
    pub(crate) fn is_absolute(&self) -> bool {
        let files: Vec<_> = self.files().collect();
        2 * files.len() == self.arguments.len() && files.iter().all(|file| file.is_absolute())
    }

    fn files(&self) -> impl Iterator<Item = PathBuf> {
        let pairs = self.arguments.windows(2);
        pairs.filter_map(|pair| {
            let option = pair[0].to_str()?.strip_prefix("--")?;
            FILE_OPTIONS
                .contains(&option)
                .then(|| PathBuf::from(&pair[1]))
        })
    }

    /// Whether a setting is an APP that is a file of uWSGI's.
    pub(crate) fn is_app(setting: &Setting, directory: &Path) -> bool {
        let text = setting.texts.first();
        setting.opt.name == APP && text.is_some_and(|text| Self::of_app(text, directory).is_some())
    }

    /// A call with the file that was named as APP, if that is one of uWSGI's: an ini file with a
    /// section `[uwsgi]`. PasteDeploy's files have the same ending.
    pub(crate) fn of_app(app: &OsStr, directory: &Path) -> Option<Self> {
        let file = Path::new(app);
        let ends_in_ini = file.extension().is_some_and(|extension| extension == "ini");
        let path = directory.join(file);
        if !ends_in_ini || !path.is_file() {
            return None;
        }
        let text = fs::read(path).ok()?;
        let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        lines
            .any(|line| line == b"[uwsgi]")
            .then(|| Self::with_files([("ini", app.to_owned())]))
    }
}

/// The option for a file with this name, which a section may follow: `uwsgi.ini:production`.
fn format_of(file: &OsStr) -> &'static str {
    let name = file.to_string_lossy();
    let before_section = name.rsplit_once(':').map_or(&*name, |(before, _)| before);
    let ends_in = |ending| name.ends_with(ending) || before_section.ends_with(ending);
    if ends_in(".yaml") || ends_in(".yml") {
        "yaml"
    } else if ends_in(".json") || ends_in(".js") {
        "json"
    } else {
        "ini"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ini_files_with_the_section_are_of_uwsgi() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text, is_of_uwsgi) in [
            ("uwsgi.ini", "[uwsgi]\nmaster = true\n", true),
            ("windows.ini", "; mine\r\n  [uwsgi]  \r\nmaster\r\n", true),
            ("both.ini", "[app:main]\nuse = egg:shop\n[uwsgi]\n", true),
            ("paste.ini", "[app:main]\nuse = egg:shop\n", false),
            ("comment.ini", "# [uwsgi]\n[app:main]\n", false),
            ("uwsgi.txt", "[uwsgi]\n", false),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
            let call = UwsgiCall::of_app(name.as_ref(), folder.path());
            assert_eq!(call.is_some(), is_of_uwsgi, "{name}");
        }
        fs::create_dir(folder.path().join("folder.ini")).unwrap();
        for name in ["folder.ini", "missing.ini", "shop.wsgi:app"] {
            assert_eq!(
                UwsgiCall::of_app(name.as_ref(), folder.path()),
                None,
                "{name}"
            );
        }
        let call = UwsgiCall::of_app("uwsgi.ini".as_ref(), folder.path()).unwrap();
        assert_eq!(call.arguments, ["--ini", "uwsgi.ini"]);
    }

    #[test]
    fn format_is_in_the_name() {
        for (name, expected) in [
            ("uwsgi.ini", "--ini"),
            ("uwsgi.ini:production", "--ini"),
            ("uwsgi", "--ini"),
            ("a.yaml", "--yaml"),
            ("a.yml:b", "--yaml"),
            ("a.json", "--json"),
        ] {
            let call = UwsgiCall::with_unmarked_files(vec![name.into()]);
            assert_eq!(call.arguments, [expected, name]);
        }
    }

    #[test]
    fn only_absolute_files_are_independent_of_the_directory() {
        let call = |arguments: &[&str]| UwsgiCall {
            arguments: arguments.iter().map(OsString::from).collect(),
        };
        for (arguments, is_absolute) in [
            (&["--ini", "/a.ini"][..], true),
            (&["--ini", "/a.ini", "--yaml", "/b.yaml"], true),
            (&["--ini", "a.ini"], false),
            (&["--ini", "/a.ini", "--yaml", "b.yaml"], false),
            (&["--ini", "/a.ini", "--socket", "x"], false),
        ] {
            assert_eq!(call(arguments).is_absolute(), is_absolute, "{arguments:?}");
        }
        let file = call(&["--socket", "x", "--ini", "a.ini"]).file();
        assert_eq!(file, Some("a.ini".into()));
    }
}
