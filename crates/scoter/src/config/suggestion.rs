//! "Did you mean": the option whose name is closest to a wrong one.

use super::opt::Opt;
use super::table::TABLE;

/// Finds the option that is meant by a name that there is not, in any spelling.
pub(super) fn suggest(name: &str) -> Option<&'static Opt> {
    let name = name.to_lowercase().replace('_', "-");
    let of_another = OTHER_SERVERS.iter().find(|(theirs, _)| *theirs == name);
    if let Some((_, ours)) = of_another {
        return TABLE.iter().find(|opt| opt.name == *ours);
    }
    let similarity = |opt: &Opt| strsim::jaro(opt.name, &name);
    TABLE
        .iter()
        .map(|opt| (similarity(opt), opt))
        .filter(|(similarity, _)| *similarity > MIN_SIMILARITY)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, opt)| opt)
}

/// A letter too few or too many leaves more than 0.9; what uWSGI and gunicorn have and scoter
/// does not ("plugins", "buffer-size", "cheaper") stays below.
const MIN_SIMILARITY: f64 = 0.8;

/// Options of uWSGI and gunicorn that people bring along, by what they are called here.
const OTHER_SERVERS: [(&str, &str); 26] = [
    ("accesslog", "access-log"),
    ("callable", "app"),
    ("chmod-socket", "socket-mode"),
    ("chown-socket", "socket-owner"),
    ("gid", "group"),
    ("harakiri", "request-timeout"),
    ("harakiri-graceful-timeout", "request-grace"),
    ("limit-post", "max-body"),
    ("listen", "backlog"),
    ("logto", "access-log"),
    ("master", "no-master"),
    ("max-requests-delta", "recycle-jitter"),
    ("max-requests-jitter", "recycle-jitter"),
    ("max-worker-lifetime", "max-lifetime"),
    ("module", "app"),
    ("pidfile", "pid-file"),
    ("post-buffering", "body-buffer"),
    ("preload-app", "preload"),
    ("processes", "workers"),
    ("reload-on-rss", "max-rss"),
    ("socket", "bind"),
    ("stats", "control"),
    ("timeout", "request-timeout"),
    ("touch-reload", "reload-on-touch"),
    ("uid", "user"),
    ("wsgi-file", "app"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_names_find_their_option() {
        for (name, expected) in [
            ("worker", Some("workers")),
            ("socket_mode", Some("socket-mode")),
            ("SOCKET_MODE", Some("socket-mode")),
            ("Request-Timeout", Some("request-timeout")),
            ("graceful-time-out", Some("graceful-timeout")),
            ("acess-log", Some("access-log")),
            ("harakiri", Some("request-timeout")),
            ("processes", Some("workers")),
            ("max-reqests", Some("max-requests")),
            ("bnd", Some("bind")),
            ("colour", None),
            ("buffer-size", None),
            ("plugins", None),
            ("cheaper", None),
            ("", None),
        ] {
            let found = suggest(name).map(|opt| opt.name);
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn names_of_other_servers_lead_to_options_that_exist() {
        for (theirs, ours) in OTHER_SERVERS {
            assert!(TABLE.iter().all(|opt| opt.name != theirs), "{theirs}");
            assert_eq!(suggest(theirs).map(|opt| opt.name), Some(ours), "{theirs}");
        }
    }
}
