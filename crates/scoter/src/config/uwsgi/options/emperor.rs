//! A server of servers.

use super::family::{Family, elsewhere, family, flag, int, list, text};
use super::fate::Where::Unit;
use super::reasons::EMPEROR;

pub(super) const FAMILIES: &[Family] = &[
    family(
        elsewhere(Unit, EMPEROR),
        &[list("emperor"), flag("early-emperor")],
    ),
    family(
        elsewhere(
            Unit,
            "a template unit of systemd has an instance for each server; User= and %i take the \
place of the tyrant",
        ),
        &[
            flag("emperor-tyrant"),
            flag("emperor-tyrant-nofollow"),
            flag("emperor-nofollow"),
            text("emperor-use-clone"),
            text("emperor-cap"),
            text("vassals-cap"),
            text("vassal-cap"),
        ],
    ),
    family(
        elsewhere(
            Unit,
            "a template unit of systemd has an instance for each server; a drop-in has what all \
have in common",
        ),
        &[
            list("vassals-inherit"),
            list("vassals-include"),
            list("vassals-inherit-before"),
            list("vassals-include-before"),
            list("vassals-set"),
            list("vassal-set"),
        ],
    ),
    family(
        elsewhere(Unit, "ExecStartPre= and ExecStopPost= in the template unit"),
        &[
            text("vassals-start-hook"),
            text("vassals-stop-hook"),
            list("exec-as-vassal"),
            list("exec-as-emperor"),
            list("hook-emperor-start"),
            list("hook-emperor-stop"),
            list("hook-emperor-reload"),
            list("hook-emperor-lost"),
            list("hook-as-vassal"),
            list("hook-as-emperor"),
        ],
    ),
    family(
        elsewhere(
            Unit,
            "socket activation of systemd starts a server when the first client comes: see \
systemd/scoter.socket",
        ),
        &[
            text("emperor-on-demand-extension"),
            text("emperor-on-demand-ext"),
            text("emperor-on-demand-directory"),
            text("emperor-on-demand-dir"),
            text("emperor-on-demand-exec"),
        ],
    ),
    family(
        elsewhere(Unit, "Restart= and StartLimitBurst= in the template unit"),
        &[
            int("emperor-freq"),
            int("emperor-throttle"),
            int("emperor-max-throttle"),
            int("emperor-curse-tolerance"),
            flag("emperor-no-blacklist"),
            int("emperor-broodlord"),
            int("vassal-sos"),
            int("vassal-sos-backlog"),
        ],
    ),
    family(
        elsewhere(
            Unit,
            "WatchdogSec= in the template unit: scoter stops notifying systemd when no request \
ends",
        ),
        &[int("heartbeat"), int("emperor-required-heartbeat")],
    ),
    family(
        elsewhere(
            Unit,
            "systemctl status 'scoter@*' in place of the emperor's statistics",
        ),
        &[
            text("emperor-stats"),
            text("emperor-stats-server"),
            text("emperor-pidfile"),
            text("emperor-procname"),
            flag("imperial-monitor-list"),
            flag("imperial-monitors-list"),
        ],
    ),
    family(
        elsewhere(Unit, "systemd does that without an option"),
        &[
            text("emperor-wrapper"),
            list("emperor-wrapper-override"),
            list("emperor-wrapper-fallback"),
            text("emperor-proxy-socket"),
            flag("emperor-magic-exec"),
            list("emperor-extra-extension"),
            list("emperor-extra-ext"),
            flag("emperor-graceful-shutdown"),
        ],
    ),
];
