//! When workers are replaced, and how the server reloads and stops.

use super::family::{Family, elsewhere, family, flag, gone, int, list, mapped, nothing, text};
use super::fate::Conversion::{ByCode, Megabytes, Number, Path, Seconds};
use super::fate::Where::Unit;

pub(super) const FAMILIES: &[Family] = &[
    family(
        mapped(&["max-requests"], Number, ""),
        &[int("max-requests").letter('R')],
    ),
    family(
        mapped(&["recycle-jitter"], ByCode, "its value is a percentage"),
        &[int("max-requests-delta"), int("max-worker-lifetime-delta")],
    ),
    family(
        mapped(&["max-lifetime"], Seconds, ""),
        &[int("max-worker-lifetime")],
    ),
    family(
        nothing(
            "a worker is replaced as soon as it has served its requests; one that never gets ready \
is started less and less often",
        ),
        &[int("min-worker-lifetime")],
    ),
    family(
        mapped(
            &["max-rss"],
            Megabytes,
            "without a unit its value is in bytes: \"512M\"",
        ),
        &[int("reload-on-rss"), int("evil-reload-on-rss")],
    ),
    family(
        mapped(
            &["max-rss"],
            ByCode,
            "it limits the resident memory; without a unit its value is in bytes: \"512M\"",
        ),
        &[int("reload-on-as"), int("evil-reload-on-as")],
    ),
    family(
        nothing("memory is looked at often enough"),
        &[int("mem-collector-freq")],
    ),
    family(
        mapped(&["graceful-timeout"], Seconds, ""),
        &[int("reload-mercy"), int("worker-reload-mercy")],
    ),
    family(
        nothing("TERM always stops the server, once requests have ended; HUP reloads it"),
        &[flag("die-on-term")],
    ),
    family(
        mapped(&["reload-on-touch"], Path, ""),
        &[
            list("touch-reload"),
            list("touch-workers-reload"),
            list("touch-chain-reload"),
            list("fs-reload"),
            list("fs-brutal-reload"),
        ],
    ),
    family(
        mapped(
            &["reload-on-touch"],
            ByCode,
            "for development, scoter dev APP reloads on save; a server reloads when such a file is \
touched",
        ),
        &[
            int("py-autoreload"),
            int("py-auto-reload"),
            int("python-autoreload"),
            int("python-auto-reload"),
            list("py-auto-reload-ignore"),
        ],
    ),
    family(
        elsewhere(
            Unit,
            "Restart=always in the unit, and systemctl restart in place of a reload",
        ),
        &[flag("exit-on-reload")],
    ),
    family(
        nothing("run scoter reload or another command in its place"),
        &[list("master-fifo")],
    ),
    family(
        nothing("exit handlers run, but never longer than graceful-timeout"),
        &[flag("skip-atexit"), flag("skip-atexit-teardown")],
    ),
    family(
        gone("watch the number of descriptors from outside, and run scoter reload"),
        &[list("reload-on-fd"), list("brutal-reload-on-fd")],
    ),
    family(
        elsewhere(
            Unit,
            "a path unit of systemd starts a command when a file changes",
        ),
        &[
            list("touch-exec"),
            list("touch-signal"),
            list("fs-signal"),
            list("hook-touch"),
        ],
    ),
    family(
        gone("let the application look at the mount point, and --warm-up at the application"),
        &[
            list("check-mountpoint"),
            list("mountpoint-check"),
            list("check-mount"),
            list("mount-check"),
            flag("propagate-touch"),
        ],
    ),
    family(
        nothing("a new release of scoter takes over without a restart: scoter reload --upgrade"),
        &[
            text("binary-path"),
            text("privileged-binary-patch"),
            text("unprivileged-binary-patch"),
            text("privileged-binary-patch-arg"),
            text("unprivileged-binary-patch-arg"),
        ],
    ),
];
