//! "Did you mean": what to use in place of an option that there is not.

use super::opt::Opt;
use super::table::TABLE;

/// What to use instead of an option that does not exist.
#[derive(Debug, Clone, Copy)]
pub(super) struct Suggestion {
    /// The option that was probably meant.
    pub(super) opt: Option<&'static Opt>,
    /// Further advice: how values differ, or what to do if there is no such option.
    pub(super) note: Option<&'static str>,
}

impl Suggestion {
    /// The hint; `spelt` spells the option as in the source of the mistake.
    pub(super) fn hint(self, spelt: impl Fn(&'static Opt) -> String) -> String {
        let did_you_mean = self.opt.map(|opt| format!("did you mean {}?", spelt(opt)));
        let parts = [did_you_mean.as_deref(), self.note];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        parts.join(" ")
    }
}

/// Finds out what an unknown name means, in any spelling.
pub(super) fn suggest(name: &str) -> Option<Suggestion> {
    let name = name.to_lowercase().replace('_', "-");
    let of_another = ELSEWHERE.iter().find(|(theirs, ..)| *theirs == name);
    if let Some(&(_, ours, note)) = of_another {
        return Some(Suggestion {
            opt: TABLE.iter().find(|opt| Some(opt.name) == ours),
            note: (!note.is_empty()).then_some(note),
        });
    }
    if WITHOUT_COUNTERPART.contains(&&*name) {
        return None;
    }
    let similarity = |opt: &Opt| strsim::jaro(opt.name, &name);
    TABLE
        .iter()
        .map(|opt| (similarity(opt), opt))
        .filter(|(similarity, _)| *similarity > MIN_SIMILARITY)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, opt)| Suggestion {
            opt: Some(opt),
            note: None,
        })
}

/// The hint for users who pass an ini file.
pub(crate) const UWSGI_CONFIGURATION: &str = "scoter does not read uWSGI's configuration: name the application, as in scoter \
     module:callable, and write options into scoter.toml, by their names in scoter --help";

/// One letter too few or too many scores above 0.9. Most options of uWSGI and gunicorn that scoter
/// lacks ("plugins", "route", "queue") score below this.
const MIN_SIMILARITY: f64 = 0.8;

/// Options of uWSGI, gunicorn and granian, their names in scoter, and further advice.
const ELSEWHERE: [(&str, Option<&str>, &str); 78] = [
    ("access-logfile", Some("access-log"), ""),
    (
        "access-logformat",
        Some("access-log-format"),
        "nginx's variables, such as $status, take the place of %(s)s",
    ),
    ("accesslog", Some("access-log"), ""),
    ("app-dir", Some("chdir"), ""),
    ("blocking-threads", Some("threads"), ""),
    (
        "buffer-size",
        None,
        "leave it out: scoter accepts packets of any size (64 KiB)",
    ),
    ("callable", Some("app"), "its value is module:callable"),
    (
        "cheaper",
        Some("workers"),
        "its value MIN..MAX follows the load",
    ),
    ("chmod-socket", Some("socket-mode"), ""),
    (
        "chown-socket",
        Some("socket-owner"),
        "the group has an option of its own, socket-group",
    ),
    ("daemon", None, DAEMON),
    ("daemonize", None, DAEMON),
    ("die-on-term", None, ANYWAY),
    ("enable-threads", None, ANYWAY),
    (
        "env",
        None,
        "set it in the environment that scoter is started in (Environment= in a systemd unit)",
    ),
    ("error-logfile", None, STDERR),
    ("errorlog", None, STDERR),
    ("fs-reload", Some("reload-on-touch"), ""),
    ("gid", Some("group"), ""),
    ("harakiri", Some("request-timeout"), ""),
    ("harakiri-graceful-timeout", Some("request-grace"), ""),
    ("home", None, VENV),
    ("host", Some("bind"), "its value is host:port"),
    ("http", None, HTTP),
    ("http-socket", None, HTTP),
    ("http-timeout", None, HTTP),
    ("ini", None, UWSGI_CONFIGURATION),
    ("json", None, UWSGI_CONFIGURATION),
    ("lazy-apps", None, ANYWAY),
    ("limit-post", Some("max-body"), ""),
    ("limit-request-fields", Some("max-vars"), ""),
    ("listen", Some("backlog"), ""),
    ("log-file", None, STDERR),
    ("logfile", None, STDERR),
    (
        "logformat",
        Some("access-log-format"),
        "nginx's variables, such as $status, take the place of %(status)",
    ),
    ("logto", None, STDERR),
    (
        "master",
        None,
        "leave it out: there is a master unless no-master is set",
    ),
    (
        "max-requests-delta",
        Some("recycle-jitter"),
        "its value is a percentage",
    ),
    (
        "max-requests-jitter",
        Some("recycle-jitter"),
        "its value is a percentage",
    ),
    ("max-worker-lifetime", Some("max-lifetime"), ""),
    (
        "max-worker-lifetime-delta",
        Some("recycle-jitter"),
        "its value is a percentage",
    ),
    ("module", Some("app"), "its value is module:callable"),
    (
        "mount",
        None,
        "set SCRIPT_NAME and PATH_INFO in nginx, as nginx-conf/site.conf does",
    ),
    ("need-app", None, ANYWAY),
    ("no-orphans", None, ANYWAY),
    ("pidfile", Some("pid-file"), ""),
    ("port", Some("bind"), "its value is host:port"),
    (
        "post-buffering",
        Some("buffer-body"),
        "its value \"all\" has whole bodies received first, on disk beyond body-buffer",
    ),
    ("preload-app", Some("preload"), ""),
    ("processes", Some("workers"), ""),
    (
        "py-autoreload",
        Some("reload-on-touch"),
        "scoter does not watch the code: touch such a file, or run scoter reload",
    ),
    ("pyhome", None, VENV),
    (
        "python-autoreload",
        Some("reload-on-touch"),
        "scoter does not watch the code: touch such a file, or run scoter reload",
    ),
    (
        "reload",
        Some("reload-on-touch"),
        "scoter does not watch the code: touch such a file, or run scoter reload",
    ),
    (
        "reload-on-as",
        Some("max-rss"),
        "without a unit its value is in bytes: \"512M\"",
    ),
    (
        "reload-on-rss",
        Some("max-rss"),
        "without a unit its value is in bytes: \"512M\"",
    ),
    ("single-interpreter", None, ANYWAY),
    (
        "socket",
        Some("bind"),
        "its value is unix:/path or host:port",
    ),
    (
        "socket-timeout",
        Some("write-timeout"),
        "the time for request bodies has an option of its own, body-timeout",
    ),
    (
        "static-map",
        None,
        "let nginx serve files, as nginx-conf/site.conf does",
    ),
    (
        "stats",
        Some("control"),
        "it is on by default: run scoter status",
    ),
    ("strict", None, ANYWAY),
    ("thunder-lock", None, ANYWAY),
    ("timeout", Some("request-timeout"), ""),
    ("touch-reload", Some("reload-on-touch"), ""),
    ("uds", Some("bind"), "its value is unix:/path"),
    ("uid", Some("user"), ""),
    (
        "uwsgi-socket",
        Some("bind"),
        "its value is unix:/path or host:port",
    ),
    ("vacuum", None, ANYWAY),
    ("venv", None, VENV),
    ("virtualenv", None, VENV),
    (
        "worker-class",
        None,
        "leave it out: workers run threads, as many as threads says",
    ),
    ("workers-lifetime", Some("max-lifetime"), ""),
    (
        "workers-max-rss",
        Some("max-rss"),
        "without a unit its value is in bytes: \"512M\"",
    ),
    ("working-dir", Some("chdir"), ""),
    ("wsgi-file", Some("app"), ""),
    ("xml", None, UWSGI_CONFIGURATION),
    ("yaml", None, UWSGI_CONFIGURATION),
];

const ANYWAY: &str = "leave it out: scoter does that anyway";
const DAEMON: &str = "leave it out: scoter stays in the foreground, for a service manager";
const HTTP: &str = "scoter does not speak HTTP: bind a socket for nginx's uwsgi_pass";
const STDERR: &str = "messages go to standard error: redirect it, or leave them to the journal; \
                      access-log has the requests";
const VENV: &str =
    "install scoter into that environment, and start the scoter of its bin directory";

/// Their options that have no counterpart in scoter.
const WITHOUT_COUNTERPART: [&str; 14] = [
    "initgroups",
    "log-master",
    "max-apps",
    "mime-file",
    "no-threads-wait",
    "reload-dir",
    "reload-on-exception",
    "reload-on-fd",
    "socket-rcvbuf",
    "socket-sndbuf",
    "thread-stacksize",
    "threads-stacksize",
    "worker-connections",
    "worker-exec",
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
            ("plugins", None),
            // Options of uWSGI and gunicorn, for which the spelling alone would mislead.
            ("master", None),
            ("thread-stacksize", None),
            ("worker-class", None),
            ("post-buffering", Some("buffer-body")),
            ("reload", Some("reload-on-touch")),
            ("logformat", Some("access-log-format")),
            ("", None),
        ] {
            let found = suggest(name).and_then(|meant| meant.opt);
            assert_eq!(found.map(|opt| opt.name), expected, "{name}");
        }
    }

    #[test]
    fn names_of_other_servers_lead_to_options_that_exist() {
        for (theirs, ours, note) in ELSEWHERE {
            assert!(TABLE.iter().all(|opt| opt.name != theirs), "{theirs}");
            let found = suggest(theirs).unwrap();
            assert_eq!(found.opt.map(|opt| opt.name), ours, "{theirs}");
            assert!(ours.is_some() || !note.is_empty(), "{theirs}");
        }
        for name in WITHOUT_COUNTERPART {
            assert!(TABLE.iter().all(|opt| opt.name != name), "{name}");
        }
    }

    #[test]
    fn hints_say_what_differs() {
        for (theirs, expected) in [
            (
                "post_buffering",
                "did you mean buffer-body? its value \"all\" has whole bodies received first, on \
                 disk beyond body-buffer",
            ),
            (
                "master",
                "leave it out: there is a master unless no-master is set",
            ),
            ("harakiri", "did you mean request-timeout?"),
        ] {
            let hint = suggest(theirs).unwrap().hint(|opt| opt.name.to_owned());
            assert_eq!(hint, expected);
        }
    }
}
