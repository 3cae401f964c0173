//! How many processes and threads there are, and whose.

use super::family::{Family, elsewhere, family, flag, gone, int, list, mapped, nothing, text};
use super::fate::Conversion::{ByCode, Mode, Name, Number, Path};
use super::fate::Where::Unit;

pub(super) const FAMILIES: &[Family] = &[
    family(
        mapped(
            &["workers"],
            Number,
            "uWSGI starts one process unless told otherwise, scoter one for each CPU",
        ),
        &[int("processes").letter('p'), int("workers").letter('p')],
    ),
    family(
        mapped(
            &["threads"],
            Number,
            "uWSGI starts one thread unless told otherwise, scoter four",
        ),
        &[int("threads")],
    ),
    family(
        nothing("there is a master unless no-master is set"),
        &[flag("master").letter('M')],
    ),
    family(
        nothing("threads always run"),
        &[flag("enable-threads").letter('T')],
    ),
    family(
        mapped(
            &["preload"],
            ByCode,
            "scoter imports the application in each worker unless preload is set",
        ),
        &[flag("lazy-apps"), flag("lazy")],
    ),
    family(mapped(&["user"], Name, ""), &[text("uid")]),
    family(mapped(&["group"], Name, ""), &[text("gid")]),
    family(
        mapped(
            &["workers"],
            ByCode,
            "its value MIN..MAX follows the load, and needs no further options",
        ),
        &[int("cheaper")],
    ),
    family(
        nothing("workers = MIN..MAX follows the load, and needs no further options"),
        &[
            int("cheaper-initial"),
            text("cheaper-algo"),
            int("cheaper-step"),
            int("cheaper-overload"),
            int("cheaper-busyness-max"),
            int("cheaper-busyness-min"),
            int("cheaper-busyness-multiplier"),
            int("cheaper-busyness-penalty"),
            flag("cheaper-busyness-verbose"),
            int("cheaper-busyness-backlog-alert"),
            int("cheaper-busyness-backlog-multiplier"),
            int("cheaper-busyness-backlog-step"),
            int("cheaper-busyness-backlog-nonzero"),
        ],
    ),
    family(
        gone("limit the memory of a worker with max-rss"),
        &[int("cheaper-rss-limit-soft"), int("cheaper-rss-limit-hard")],
    ),
    family(
        elsewhere(
            Unit,
            "scoter stays in the foreground, for a service manager: write the output to a file \
with error-log, or leave it to the journal",
        ),
        &[text("daemonize").letter('d'), text("daemonize2")],
    ),
    family(
        mapped(&["pid-file"], Path, ""),
        &[
            text("pidfile"),
            text("pidfile2"),
            text("safe-pidfile"),
            text("safe-pidfile2"),
        ],
    ),
    family(mapped(&["umask"], Mode, ""), &[text("umask")]),
    family(
        nothing("workers die with their master"),
        &[flag("no-orphans")],
    ),
    family(
        mapped(
            &["name"],
            ByCode,
            "ps shows each process under the server's name, with its part",
        ),
        &[
            text("procname-prefix"),
            text("procname-prefix-spaced"),
            text("procname"),
            text("procname-append"),
            text("procname-master"),
        ],
    ),
    family(
        nothing("ps shows each process under the server's name, with its part"),
        &[flag("auto-procname")],
    ),
    family(
        gone("have the application change the directory itself, in scoter.hooks.post_fork"),
        &[text("chdir2")],
    ),
    family(
        nothing("scoter re-enters the working directory by its name when it reloads"),
        &[text("force-cwd")],
    ),
    family(
        elsewhere(Unit, "SupplementaryGroups= in the unit"),
        &[list("add-gid")],
    ),
    family(
        elsewhere(Unit, "User= and Group= in the unit"),
        &[text("immediate-uid"), text("immediate-gid")],
    ),
    family(
        gone("the user's groups are always taken"),
        &[flag("no-initgroups")],
    ),
    family(
        nothing("the sockets are bound first; then the whole server runs as the user"),
        &[
            flag("master-as-root"),
            flag("drop-after-init"),
            flag("drop-after-apps"),
        ],
    ),
    family(
        gone(
            "threading.stack_size() in the application sets it for its own threads; LimitSTACK= in \
the unit for all",
        ),
        &[
            int("thread-stacksize"),
            int("threads-stacksize"),
            int("thread-stack-size"),
            int("threads-stack-size"),
        ],
    ),
    family(
        nothing("threads finish their requests, for as long as graceful-timeout says"),
        &[flag("no-threads-wait")],
    ),
    family(
        elsewhere(
            Unit,
            "socket activation of systemd starts a server when the first client comes: see \
systemd/scoter.socket",
        ),
        &[flag("cheap"), int("idle"), flag("die-on-idle")],
    ),
    family(
        nothing("the master reaps every child that it gets"),
        &[flag("reaper").letter('r')],
    ),
    family(
        nothing("descriptors of scoter are never inherited"),
        &[
            flag("close-on-exec"),
            flag("close-on-exec2"),
            list("safe-fd"),
            list("fd-safe"),
        ],
    ),
    family(
        gone("the standard input is not read"),
        &[flag("honour-stdin"), flag("daemons-honour-stdin")],
    ),
    family(
        elsewhere(
            Unit,
            "start one service for each file: systemd keeps a second instance from starting",
        ),
        &[
            text("flock"),
            text("flock-wait"),
            text("flock2"),
            text("flock-wait2"),
        ],
    ),
    family(
        nothing(
            "a worker that fails again and again is started less and less often, and the others \
are not kept waiting",
        ),
        &[int("forkbomb-delay")],
    ),
    family(
        nothing("the master waits for events, and looks at no interval"),
        &[int("check-interval")],
    ),
    family(
        gone("a reload starts the code anew, in new processes"),
        &[
            flag("refork"),
            flag("re-fork"),
            flag("refork-as-root"),
            flag("re-fork-as-root"),
            flag("refork-post-jail"),
            flag("re-fork-post-jail"),
        ],
    ),
];
