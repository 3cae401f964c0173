//! What the name means that the program is called by.

use std::ffi::OsString;
use std::path::Path;

/// The arguments of `scoter`, whatever the program is called: under the name `uwsgi` it is the command
/// `scoter uwsgi`. So a restart, which runs another file, does the same.
pub(crate) fn by_name(arguments: Vec<OsString>) -> Vec<OsString> {
    let name = arguments
        .first()
        .and_then(|path| Path::new(path).file_name());
    let command = name.filter(|name| *name == UWSGI).map(OsString::from);
    let given = arguments.into_iter().skip(1);
    [OsString::from("scoter")]
        .into_iter()
        .chain(command)
        .chain(given)
        .collect()
}

const UWSGI: &str = "uwsgi";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_uwsgi_is_a_command() {
        for (arguments, expected) in [
            (
                &["/srv/venv/bin/uwsgi", "--ini", "a.ini"][..],
                &["scoter", "uwsgi", "--ini", "a.ini"][..],
            ),
            (&["uwsgi"], &["scoter", "uwsgi"]),
            (&["/srv/venv/bin/scoter", "app"], &["scoter", "app"]),
            (
                &["/lib/scoter/__main__.py", "uwsgi", "-M"],
                &["scoter", "uwsgi", "-M"],
            ),
            (&["/srv/uwsgi/bin/scoter", "app"], &["scoter", "app"]),
            (&[], &["scoter"]),
        ] {
            let arguments = arguments.iter().map(OsString::from).collect();
            assert_eq!(by_name(arguments), expected);
        }
    }
}
