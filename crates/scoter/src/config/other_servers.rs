//! Options of uWSGI, gunicorn, granian and uvicorn: their names in scoter, and what else there is to
//! say.
//!
//! Whatever somebody types or keeps from another server is looked up here: on the command line, in
//! the environment and in the file.

/// The name elsewhere, the option of scoter that it corresponds to, and further advice: how values
/// differ, or what to do if there is no such option.
pub(super) type Row = (&'static str, Option<&'static str>, &'static str);

/// The hint for users who have uWSGI's configuration in a place where it is not read.
pub(crate) const UWSGI_CONFIGURATION: &str = "scoter --ini FILE serves from uWSGI's configuration (--yaml, \
     --json); scoter migrate FILE makes a scoter.toml of it";

/// Long options. Where servers disagree, the more common one counts.
pub(super) const LONG: &[Row] = &[
    ("access-log-fmt", Some("access-log-format"), GUNICORN_FORMAT),
    ("access-logfile", Some("access-log"), ""),
    (
        "access-logformat",
        Some("access-log-format"),
        GUNICORN_FORMAT,
    ),
    ("accesslog", Some("access-log"), ""),
    ("app-dir", Some("chdir"), ""),
    ("async", None, THREADS),
    ("asyncio", None, THREADS),
    ("attach-daemon", None, SERVICE),
    ("attach-daemon2", None, SERVICE),
    ("auto-procname", None, ANYWAY),
    ("backpressure", None, THREADS),
    ("blocking-threads", Some("threads"), ""),
    (
        "buffer-size",
        None,
        "leave it out: scoter accepts packets of any size (64 KiB)",
    ),
    ("callable", Some("app"), MODULE),
    ("capture-output", None, ANYWAY),
    ("certfile", None, TLS),
    (
        "cheaper",
        Some("workers"),
        "its value MIN..MAX follows the load",
    ),
    ("cheaper-algo", Some("workers"), CHEAPER),
    ("cheaper-initial", Some("workers"), CHEAPER),
    ("cheaper-overload", Some("workers"), CHEAPER),
    ("cheaper-step", Some("workers"), CHEAPER),
    ("check-config", None, "run scoter check"),
    ("check-static", None, STATIC),
    ("chmod-socket", Some("socket-mode"), ""),
    (
        "chown-socket",
        Some("socket-owner"),
        "the group has an option of its own, socket-group",
    ),
    ("cron", None, TIMER),
    ("cron2", None, TIMER),
    ("daemon", None, DAEMON),
    ("daemonize", None, DAEMON),
    ("daemonize2", None, DAEMON),
    ("die-on-term", None, ANYWAY),
    ("disable-logging", Some("access-log"), "its value is off"),
    ("disable-write-exception", None, ANYWAY),
    (
        "emperor",
        None,
        "use a template unit of systemd, with an instance for each server",
    ),
    ("enable-threads", None, ANYWAY),
    ("env-files", Some("env-file"), ""),
    ("error-logfile", Some("error-log"), ""),
    ("errorlog", Some("error-log"), ""),
    ("evil-reload-on-rss", Some("max-rss"), BYTES),
    (
        "exec-pre-app",
        None,
        "run it before scoter (ExecStartPre= in a systemd unit)",
    ),
    ("farm", None, SERVICE),
    ("file", Some("app"), ""),
    ("forwarded-allow-ips", None, REAL_IP),
    ("fs-reload", Some("reload-on-touch"), ""),
    ("gevent", None, THREADS),
    ("gid", Some("group"), ""),
    ("harakiri", Some("request-timeout"), ""),
    ("harakiri-graceful-timeout", Some("request-grace"), ""),
    ("harakiri-verbose", None, ANYWAY),
    ("home", None, VENV),
    (
        "hook-post-fork",
        None,
        "register a function with scoter.hooks.post_fork in the application",
    ),
    (
        "hook-pre-app",
        None,
        "run it before scoter (ExecStartPre= in a systemd unit)",
    ),
    ("host", Some("bind"), HOST_PORT),
    ("http", None, HTTP),
    ("http-keepalive", None, HTTP),
    ("http-socket", None, HTTP),
    ("http-timeout", None, HTTP),
    ("http11-socket", None, HTTP),
    ("https", None, HTTP),
    ("https-socket", None, HTTP),
    ("ignore-sigpipe", None, ANYWAY),
    ("ignore-write-errors", None, ANYWAY),
    ("ini", None, UWSGI_CONFIGURATION),
    ("ini-paste", Some("app"), PASTE),
    ("ini-paste-logged", Some("app"), PASTE),
    ("interface", None, "leave it out: scoter serves WSGI"),
    ("json", None, UWSGI_CONFIGURATION),
    ("keepalive", Some("keep-alive-timeout"), ""),
    ("keyfile", None, TLS),
    ("lazy", None, ANYWAY),
    ("lazy-apps", None, ANYWAY),
    ("lifespan", None, "leave it out: scoter serves WSGI"),
    ("limit-post", Some("max-body"), ""),
    ("limit-request-field-size", None, HEADERS),
    ("limit-request-fields", Some("max-vars"), ""),
    ("limit-request-line", None, HEADERS),
    ("listen", Some("backlog"), ""),
    (
        "log-4xx",
        Some("access-log-skip"),
        "it leaves out lines of successes and keeps those of failures",
    ),
    (
        "log-5xx",
        Some("access-log-skip"),
        "it leaves out lines of successes and keeps those of failures",
    ),
    ("log-config", None, "configure logging in the application"),
    ("log-date", None, ANYWAY),
    ("log-file", Some("error-log"), ""),
    ("log-x-forwarded-for", None, REAL_IP),
    ("logfile", Some("error-log"), ""),
    (
        "logformat",
        Some("access-log-format"),
        "nginx's variables, such as $status, take the place of %(status)",
    ),
    ("logger", Some("error-log"), ""),
    ("logto", Some("error-log"), ""),
    ("logto2", Some("error-log"), ""),
    ("loop", None, THREADS),
    ("manage-script-name", None, ANYWAY),
    ("master", None, MASTER),
    (
        "master-fifo",
        None,
        "run scoter reload or another command in its place",
    ),
    ("max-requests-delta", Some("recycle-jitter"), JITTER),
    ("max-requests-jitter", Some("recycle-jitter"), JITTER),
    ("max-worker-lifetime", Some("max-lifetime"), ""),
    ("max-worker-lifetime-delta", Some("recycle-jitter"), JITTER),
    (
        "memory-report",
        None,
        "leave it out, and run scoter status: it shows the memory of each worker",
    ),
    ("module", Some("app"), MODULE),
    ("mule", None, SERVICE),
    ("mules", None, SERVICE),
    ("need-app", None, ANYWAY),
    ("no-access-log", Some("access-log"), "its value is off"),
    ("no-orphans", None, ANYWAY),
    ("offload-threads", None, ANYWAY),
    ("paste", Some("app"), PASTE),
    ("pid", Some("pid-file"), ""),
    ("pidfile", Some("pid-file"), ""),
    ("pidfile2", Some("pid-file"), ""),
    ("plugin", None, "leave it out: scoter needs no plugins"),
    ("plugins", None, "leave it out: scoter needs no plugins"),
    ("port", Some("bind"), HOST_PORT),
    (
        "post-buffering",
        Some("buffer-body"),
        "its value \"all\" has whole bodies received first, on disk beyond body-buffer",
    ),
    ("pp", Some("pythonpath"), ""),
    ("preload-app", Some("preload"), ""),
    ("proc-name", Some("name"), ""),
    ("process-name", Some("name"), ""),
    ("processes", Some("workers"), ""),
    ("procname", Some("name"), ""),
    ("procname-prefix", Some("name"), ""),
    ("procname-prefix-spaced", Some("name"), ""),
    ("protocol", None, "leave it out: scoter speaks uwsgi"),
    ("proxy-headers", None, REAL_IP),
    ("py-auto-reload", Some("reload-on-touch"), AUTORELOAD),
    ("py-autoreload", Some("reload-on-touch"), AUTORELOAD),
    ("pyhome", None, VENV),
    ("python-autoreload", Some("reload-on-touch"), AUTORELOAD),
    ("python-path", Some("pythonpath"), ""),
    ("reload", Some("reload-on-touch"), AUTORELOAD),
    ("reload-mercy", Some("graceful-timeout"), ""),
    ("reload-on-as", Some("max-rss"), BYTES),
    ("reload-on-rss", Some("max-rss"), BYTES),
    (
        "req-logger",
        Some("access-log"),
        "its value is stdout, stderr or a file",
    ),
    ("respawn-failed-workers", None, ANYWAY),
    (
        "reuse-port",
        None,
        "leave it out: all workers accept from one queue",
    ),
    ("root-path", None, SCRIPT_NAME),
    ("route", None, "use a location of nginx"),
    ("route-if", None, "use a location of nginx"),
    ("runtime-blocking-threads", Some("threads"), ""),
    ("runtime-mode", None, THREADS),
    ("runtime-threads", None, THREADS),
    ("show-config", None, "run scoter --print-config"),
    ("single-interpreter", None, ANYWAY),
    ("smart-attach-daemon", None, SERVICE),
    ("socket", Some("bind"), ADDRESS),
    ("socket-timeout", Some("write-timeout"), SOCKET_TIMEOUT),
    ("spooler", None, SERVICE),
    ("ssl-certfile", None, TLS),
    ("ssl-certificate", None, TLS),
    ("ssl-keyfile", None, TLS),
    ("static-expires", None, STATIC),
    ("static-map", None, STATIC),
    ("static-path-mount", None, STATIC),
    ("static-path-route", None, STATIC),
    (
        "stats",
        Some("control"),
        "it is on by default: run scoter status",
    ),
    (
        "statsd-host",
        None,
        "let Prometheus read the address of --metrics",
    ),
    ("strict", None, ANYWAY),
    ("task-impl", None, THREADS),
    ("thunder-lock", None, ANYWAY),
    ("timeout", Some("request-timeout"), ""),
    ("touch-chain-reload", Some("reload-on-touch"), ""),
    ("touch-logreopen", None, "send USR1 to the master"),
    ("touch-reload", Some("reload-on-touch"), ""),
    ("uds", Some("bind"), "its value is unix:/path"),
    ("uds-permissions", Some("socket-mode"), ""),
    ("uid", Some("user"), ""),
    ("unique-cron", None, TIMER),
    ("url-path-prefix", None, SCRIPT_NAME),
    ("uwsgi-socket", Some("bind"), ADDRESS),
    ("vacuum", None, ANYWAY),
    ("venv", None, VENV),
    ("virtualenv", None, VENV),
    ("worker-class", None, THREADS),
    ("worker-connections", None, THREADS),
    ("worker-reload-mercy", Some("graceful-timeout"), ""),
    (
        "worker-tmp-dir",
        None,
        "leave it out: workers report to the master without a file",
    ),
    ("workers-kill-timeout", Some("graceful-timeout"), ""),
    ("workers-lifetime", Some("max-lifetime"), ""),
    ("workers-max-rss", Some("max-rss"), BYTES),
    ("working-dir", Some("chdir"), ""),
    (
        "ws",
        None,
        "leave it out: scoter serves WSGI, without WebSockets",
    ),
    ("wsgi", Some("app"), MODULE),
    ("wsgi-app", Some("app"), MODULE),
    ("wsgi-file", Some("app"), ""),
    ("xml", None, UWSGI_CONFIGURATION),
    ("yaml", None, UWSGI_CONFIGURATION),
];

/// Options of one letter, which scoter has not, except -h and -V.
pub(super) const SHORT: &[Row] = &[
    ("-C", Some("socket-mode"), ""),
    ("-D", None, DAEMON),
    ("-H", None, VENV),
    ("-L", Some("access-log"), "its value is off"),
    ("-M", None, MASTER),
    ("-R", Some("max-requests"), ""),
    ("-T", None, ANYWAY),
    ("-b", Some("bind"), ADDRESS),
    (
        "-c",
        None,
        "--config takes a scoter.toml; configurations of other servers are not read",
    ),
    ("-d", None, DAEMON),
    ("-e", Some("env"), ""),
    ("-g", Some("group"), ""),
    ("-i", None, ANYWAY),
    ("-j", None, UWSGI_CONFIGURATION),
    ("-k", None, THREADS),
    ("-l", Some("backlog"), ""),
    ("-m", Some("umask"), ""),
    ("-n", Some("name"), ""),
    ("-p", Some("workers"), "gunicorn's -p is --pid-file"),
    ("-s", Some("bind"), ADDRESS),
    ("-t", Some("request-timeout"), ""),
    ("-u", Some("user"), ""),
    (
        "-w",
        Some("workers"),
        "uWSGI's -w is APP, whose value is module:callable",
    ),
    ("-x", None, UWSGI_CONFIGURATION),
    ("-y", None, UWSGI_CONFIGURATION),
    ("-z", Some("write-timeout"), SOCKET_TIMEOUT),
];

/// Options that have no counterpart in scoter, but whose names resemble an option's.
pub(super) const WITHOUT_COUNTERPART: [&str; 13] = [
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
    "worker-exec",
];

/// All advice.
#[cfg(test)]
pub(crate) fn notes() -> impl Iterator<Item = &'static str> {
    LONG.iter().chain(SHORT).map(|&(_, _, note)| note)
}

const ADDRESS: &str = "its value is unix:/path or host:port";
const ANYWAY: &str = "leave it out: scoter does that anyway";
const AUTORELOAD: &str =
    "for development, scoter dev APP reloads on save; a server reloads when such a file is touched";
const BYTES: &str = "without a unit its value is in bytes: \"512M\"";
const CHEAPER: &str = "its value MIN..MAX follows the load, and needs no further options";
const DAEMON: &str = "leave it out: scoter stays in the foreground, for a service manager";
const GUNICORN_FORMAT: &str = "nginx's variables, such as $status, take the place of %(s)s";
const HEADERS: &str = "limit that in nginx: large_client_header_buffers";
const HOST_PORT: &str = "its value is host:port";
const HTTP: &str =
    "bind a socket for nginx's uwsgi_pass; for development, scoter dev APP speaks HTTP itself";
const JITTER: &str = "its value is a percentage";
const MASTER: &str = "leave it out: there is a master unless no-master is set";
const MODULE: &str = "its value is module:callable";
const PASTE: &str = "its value is config:file.ini, or config:file.ini#name";
const REAL_IP: &str = "addresses are nginx's business: set_real_ip_from and real_ip_header; \
                       trust-forwarded-proto is for the scheme";
const SCRIPT_NAME: &str = "set SCRIPT_NAME and PATH_INFO in nginx, as nginx-conf/site.conf does";
const SERVICE: &str = "give it a service of its own, beside scoter";
const SOCKET_TIMEOUT: &str = "the time for request bodies has an option of its own, body-timeout";
const STATIC: &str = "let nginx serve files, as nginx-conf/site.conf does";
const THREADS: &str = "leave it out: workers run threads, as many as threads says";
const TIMER: &str = "use a timer of systemd, or cron";
const TLS: &str = "nginx speaks TLS: set ssl_certificate and ssl_certificate_key there";
const VENV: &str =
    "install scoter into that environment, and start the scoter of its bin directory";
