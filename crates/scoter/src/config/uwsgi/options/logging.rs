//! What is logged, and where.

use super::family::{Family, elsewhere, family, flag, gone, int, list, mapped, nothing, text};
use super::fate::Conversion::{ByCode, Path};
use super::fate::Where::{Nginx, Unit};

pub(super) const FAMILIES: &[Family] = &[
    family(
        mapped(&["error-log"], Path, ""),
        &[text("logto"), text("logto2")],
    ),
    family(
        mapped(&["access-log"], ByCode, "its value is off"),
        &[flag("disable-logging").letter('L')],
    ),
    family(
        mapped(
            &["access-log-format"],
            ByCode,
            "nginx's variables, such as $status, take the place of %(status)",
        ),
        &[text("log-format"), text("logformat")],
    ),
    family(
        mapped(
            &["access-log-format"],
            ByCode,
            "$time_local and $time_iso8601 have forms of their own",
        ),
        &[flag("logformat-strftime"), flag("log-format-strftime")],
    ),
    family(
        mapped(&["error-log", "access-log"], ByCode, "its value is a file"),
        &[list("logger")],
    ),
    family(
        mapped(
            &["access-log"],
            ByCode,
            "its value is stdout, stderr or a file",
        ),
        &[list("req-logger"), list("logger-req")],
    ),
    family(
        mapped(
            &["access-log-skip"],
            ByCode,
            "it leaves out lines of successes and keeps those of failures",
        ),
        &[flag("log-4xx"), flag("log-5xx")],
    ),
    family(
        mapped(
            &["slow-request"],
            ByCode,
            "such requests have a warning while they run and one when they end",
        ),
        &[int("log-slow")],
    ),
    family(
        gone(
            "the access log has all requests, those that access-log-skip and access-log-sample \
leave out excepted",
        ),
        &[
            flag("log-zero"),
            int("log-big"),
            flag("log-sendfile").required(),
        ],
    ),
    family(
        nothing("requests that fail are always logged"),
        &[flag("log-ioerror").required()],
    ),
    family(
        nothing("every line has its time"),
        &[
            text("log-date").optional(),
            text("logdate").optional(),
            text("log-prefix").optional(),
        ],
    ),
    family(
        nothing(
            "the time of a request is logged in milliseconds, or in seconds with as many digits",
        ),
        &[flag("log-micros")],
    ),
    family(
        elsewhere(
            Nginx,
            "addresses are nginx's business: set_real_ip_from and real_ip_header",
        ),
        &[flag("log-x-forwarded-for")],
    ),
    family(
        nothing("each process writes whole lines"),
        &[
            flag("log-master"),
            int("log-master-bufsize"),
            flag("log-master-stream"),
            flag("log-master-req-stream"),
            flag("threaded-logger"),
        ],
    ),
    family(
        nothing("send USR1 to the master when a file was moved: logrotate does both"),
        &[
            flag("log-reopen"),
            list("touch-logreopen"),
            list("touch-logrotate"),
            flag("log-truncate"),
        ],
    ),
    family(
        elsewhere(
            Unit,
            "logrotate rotates files, and sends USR1 to the master",
        ),
        &[int("log-maxsize"), text("log-backupname")],
    ),
    family(
        elsewhere(
            Unit,
            "UMask= in the unit and the directory of the file say who may read it",
        ),
        &[flag("logfile-chown"), text("logfile-chmod")],
    ),
    family(
        mapped(
            &["log-format", "access-log-format"],
            ByCode,
            "json has every message and every request as JSON",
        ),
        &[list("log-encoder"), list("log-req-encoder")],
    ),
    family(
        elsewhere(
            Unit,
            "systemd's journal takes the output, and passes it on to syslog",
        ),
        &[
            list("log-syslog").optional(),
            int("rsyslog-packet-size"),
            flag("rsyslog-split-messages"),
        ],
    ),
    family(
        gone(
            "log to the standard output, and let a collector such as Vector or Fluent Bit pass it \
on",
        ),
        &[
            list("log-socket"),
            list("log-zeromq"),
            list("log-drain"),
            list("log-filter"),
            list("log-route"),
            list("log-req-route"),
        ],
    ),
    family(
        nothing("run scoter --help"),
        &[flag("logger-list"), flag("loggers-list")],
    ),
    family(
        nothing("a crash is logged with the stacks of all threads"),
        &[flag("use-abort")],
    ),
];
