//! Paths in a file that may move together with what it names.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::config::settings::Setting;

/// The setting with paths below `directory` written relative to it, as a file there may name them.
pub(super) fn relative_to(setting: &Setting, directory: &Path) -> Setting {
    let texts = setting.texts.iter();
    let texts =
        texts.map(|text| relative(setting, text, directory).unwrap_or_else(|| text.clone()));
    Setting {
        texts: texts.collect(),
        ..setting.clone()
    }
}

/// The shorter text from which the same one would be read.
fn relative(setting: &Setting, text: &OsStr, directory: &Path) -> Option<OsString> {
    // At the root everything would be relative, and nothing move.
    directory.parent()?;
    let text = text.to_str()?;
    let directory_text = directory.to_str()?;
    let candidate = if Path::new(text) == directory {
        ".".to_owned()
    } else {
        text.replacen(&format!("{directory_text}/"), "", 1)
    };
    if candidate == text {
        return None;
    }
    let read = (setting.opt.relocate)(candidate.as_ref(), directory);
    (Path::new(&read) == Path::new(text)).then(|| candidate.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::table::TABLE;

    #[test]
    fn only_paths_below_the_directory_become_relative() {
        for (name, text, expected) in [
            ("chdir", "/srv/shop", "."),
            ("chdir", "/srv/shop/", "."),
            ("chdir", "/srv/shop/src", "src"),
            ("chdir", "/srv/shopping", "/srv/shopping"),
            ("bind", "unix:/srv/shop/app.sock", "unix:app.sock"),
            ("bind", "unix:/run/shop.sock", "unix:/run/shop.sock"),
            ("bind", "127.0.0.1:3031", "127.0.0.1:3031"),
            ("app", "/srv/shop/wsgi.py:app", "wsgi.py:app"),
            ("pid-file", "/srv/shop/run/pid", "run/pid"),
            ("access-log", "/srv/shop/on", "/srv/shop/on"),
            ("access-log-format", "/srv/shop/x", "/srv/shop/x"),
        ] {
            let opt = TABLE.iter().find(|opt| opt.name == name).unwrap();
            let mut setting = Setting::default_of(opt);
            setting.texts = vec![text.into()];
            let found = relative_to(&setting, Path::new("/srv/shop"));
            assert_eq!(found.texts, [expected], "{name} {text}");
            let found = relative_to(&setting, Path::new("/"));
            assert_eq!(found.texts, [text], "{name} {text}");
        }
    }
}
