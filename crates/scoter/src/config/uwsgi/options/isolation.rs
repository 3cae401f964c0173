//! What the kernel and the service manager can do.

use super::family::{Family, elsewhere, family, flag, gone, int, list, nothing, text};
use super::fate::Where::Unit;

pub(super) const FAMILIES: &[Family] = &[
    family(
        elsewhere(
            Unit,
            "LimitAS= in the unit, or MemoryMax= for the service as a whole; max-rss replaces a \
worker before",
        ),
        &[int("limit-as")],
    ),
    family(
        elsewhere(Unit, "TasksMax= in the unit"),
        &[int("limit-nproc")],
    ),
    family(elsewhere(Unit, "Nice= in the unit"), &[int("prio")]),
    family(
        elsewhere(
            Unit,
            "CPUAffinity= in the unit for the server as a whole; workers are as many as CPUs are \
left",
        ),
        &[int("cpu-affinity")],
    ),
    family(
        elsewhere(Unit, "RootDirectory= in the unit, or a container"),
        &[text("chroot"), text("pivot-root"), text("pivot_root")],
    ),
    family(
        elsewhere(
            Unit,
            "CapabilityBoundingSet= and AmbientCapabilities= in the unit",
        ),
        &[text("cap")],
    ),
    family(
        elsewhere(Unit, "CPUQuota=, MemoryMax= and the like in the unit"),
        &[list("cgroup"), list("cgroup-opt"), text("cgroup-dir-mode")],
    ),
    family(
        elsewhere(
            Unit,
            "PrivateNetwork=, PrivateMounts= and the like in the unit, or a container",
        ),
        &[
            text("unshare"),
            text("unshare2"),
            text("setns-socket"),
            list("setns-socket-skip"),
            list("setns-skip"),
            text("setns"),
            flag("setns-preopen"),
            text("namespace"),
            text("ns"),
            list("namespace-keep-mount"),
            text("namespace-net"),
            text("ns-net"),
        ],
    ),
    family(
        elsewhere(Unit, "the service manager of that system has jails"),
        &[
            flag("jailed"),
            text("jail"),
            list("jail-ip4"),
            list("jail-ip6"),
            text("jidfile"),
            text("jid-file"),
            list("jail2"),
            list("libjail"),
            text("jail-attach"),
        ],
    ),
    family(
        elsewhere(Unit, "MemorySwapMax=0 in the unit"),
        &[flag("never-swap")],
    ),
    family(
        nothing("memory is shared between workers with preload"),
        &[int("ksm").optional()],
    ),
    family(
        elsewhere(Unit, "PAMName= in the unit"),
        &[text("pam"), text("pam-user")],
    ),
    family(
        gone("a network of its own is the container's or systemd's business"),
        &[
            list("tuntap-router"),
            list("tuntap-device"),
            text("tuntap-use-credentials").optional(),
            text("tuntap-router-firewall-in"),
            text("tuntap-router-firewall-out"),
            text("tuntap-router-route"),
            text("tuntap-router-stats"),
            list("tuntap-device-rule"),
        ],
    ),
];
