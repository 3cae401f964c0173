//! Keys that uWSGI does not know, and ignores.

use super::Context;
use super::draft::Draft;
use crate::config::uwsgi::options::{all, find};
use crate::config::uwsgi::translation::Kind;

/// A key that uWSGI does not know is a placeholder for other values. One that no other value uses is most
/// likely a mistake.
pub(super) fn translate(draft: &mut Draft<'_>, context: &Context<'_>) {
    for directive in draft.take_unknown() {
        if context.placeholders.contains(&directive.key) {
            continue;
        }
        match meant(&directive.key) {
            Some(name) => draft.note(
                Kind::Misspelt(name),
                &[directive],
                format!(
                    "uWSGI has no option {}, and ignores it: {name} was probably meant",
                    directive.key
                ),
            ),
            None => draft.note(
                Kind::Unknown,
                &[directive],
                format!("uWSGI has no option {}, and ignores it", directive.key),
            ),
        }
    }
}

/// The option that was probably meant.
pub(super) fn meant(key: &str) -> Option<&'static str> {
    let key = key.to_ascii_lowercase().replace('_', "-");
    if let Some((option, _)) = find(&key) {
        return Some(option.name);
    }
    if let Some((_, name)) = USUAL.iter().find(|(wrong, _)| *wrong == key) {
        return Some(name);
    }
    let most = match key.len() {
        0..4 => return None,
        4..8 => 1,
        _ => 2,
    };
    let distances = all().map(|(option, _)| (strsim::osa_distance(option.name, &key), option.name));
    let near = distances.filter(|(distance, _)| *distance <= most);
    near.min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Mistakes in public configurations whose spelling alone does not tell what was meant.
const USUAL: &[(&str, &str)] = &[
    ("chown", "chown-socket"),
    ("group", "gid"),
    ("guid", "gid"),
    ("log", "logto"),
    ("log-file", "logto"),
    ("logfile", "logto"),
    ("pid", "pidfile"),
    ("pid-file", "pidfile"),
    ("process", "processes"),
    ("thread", "threads"),
    ("user", "uid"),
    ("worker", "workers"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_found() {
        for (key, expected) in [
            ("vaccum", Some("vacuum")),
            ("process", Some("processes")),
            ("guid", Some("gid")),
            ("chown", Some("chown-socket")),
            ("chmod_socket", Some("chmod-socket")),
            ("python_path", Some("python-path")),
            ("no-orphan", Some("no-orphans")),
            ("Master", Some("master")),
            ("max-request", Some("max-requests")),
            ("harakri", Some("harakiri")),
            ("enable-thread", Some("enable-threads")),
            ("base", None),
            ("project", None),
            ("domain", None),
            ("uwsgi_app", None),
            ("git", None),
            ("", None),
        ] {
            assert_eq!(meant(key), expected, "{key}");
        }
    }
}
