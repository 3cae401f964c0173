//! Commands at the stages of a start.

use super::family::{Family, elsewhere, family, flag, gone, int, list, mapped};
use super::fate::Conversion::ByCode;
use super::fate::Where::Unit;

pub(super) const FAMILIES: &[Family] = &[
    family(
        elsewhere(
            Unit,
            "run it before scoter: ExecStartPre= in the unit, or the entrypoint of the container",
        ),
        &[
            list("exec-asap"),
            list("exec-pre-jail"),
            list("exec-post-jail"),
            list("exec-in-jail"),
            list("exec-as-root"),
            list("exec-as-user"),
            list("exec-pre-app"),
            list("hook-asap"),
            list("hook-pre-jail"),
            list("hook-post-jail"),
            list("hook-in-jail"),
            list("hook-as-root"),
            list("hook-as-user"),
            list("hook-pre-app"),
        ],
    ),
    family(
        elsewhere(Unit, "run it after scoter: ExecStopPost= in the unit"),
        &[list("exec-as-user-atexit"), list("hook-as-user-atexit")],
    ),
    family(
        elsewhere(
            Unit,
            "ExecStartPost= in the unit runs once the workers are ready; scoter.hooks has \
functions for each worker",
        ),
        &[
            list("exec-post-app"),
            list("hook-post-app"),
            list("hook-accepting-once"),
            list("hook-accepting1-once"),
        ],
    ),
    family(
        mapped(
            &[],
            ByCode,
            "unix_signal:15 gracefully_kill_them_all is what TERM does anyway; for others, \
ExecStartPost= in the unit",
        ),
        &[list("hook-master-start")],
    ),
    family(
        gone("register a function with scoter.hooks.post_fork in the application"),
        &[
            list("hook-post-fork"),
            list("hook-accepting"),
            list("hook-accepting1"),
            list("symcall-post-fork"),
        ],
    ),
    family(
        gone("call it in the application, after its response: in a close() of the iterable"),
        &[list("after-request-hook"), list("after-request-call")],
    ),
    family(
        elsewhere(
            Unit,
            "let the unit mount it: a mount unit, BindPaths= or TemporaryFileSystem=",
        ),
        &[
            list("mount-asap"),
            list("mount-pre-jail"),
            list("mount-post-jail"),
            list("mount-in-jail"),
            list("mount-as-root"),
            list("mount-as-vassal"),
            list("mount-as-emperor"),
            list("umount-asap"),
            list("umount-pre-jail"),
            list("umount-post-jail"),
            list("umount-in-jail"),
            list("umount-as-root"),
            list("umount-as-vassal"),
            list("umount-as-emperor"),
        ],
    ),
    family(
        elsewhere(
            Unit,
            "After= and Requires= in the unit, RequiresMountsFor= for directories, or wait in \
ExecStartPre=",
        ),
        &[
            list("wait-for-interface"),
            int("wait-for-interface-timeout"),
            list("wait-interface"),
            int("wait-interface-timeout"),
            list("wait-for-iface"),
            int("wait-for-iface-timeout"),
            list("wait-iface"),
            int("wait-iface-timeout"),
            list("wait-for-fs"),
            list("wait-for-file"),
            list("wait-for-dir"),
            list("wait-for-mountpoint"),
            int("wait-for-fs-timeout"),
            list("wait-for-socket"),
            int("wait-for-socket-timeout"),
        ],
    ),
    family(
        gone("there are no functions of plugins to be called"),
        &[
            list("call-asap"),
            list("call-pre-jail"),
            list("call-post-jail"),
            list("call-in-jail"),
            list("call-as-root"),
            list("call-as-user"),
            list("call-as-user-atexit"),
            list("call-pre-app"),
            list("call-post-app"),
            list("call-as-vassal"),
            list("call-as-vassal1"),
            list("call-as-vassal3"),
            list("call-as-emperor"),
            list("call-as-emperor1"),
            list("call-as-emperor2"),
            list("call-as-emperor4"),
            list("symcall"),
            flag("symcall-use-next"),
            list("symcall-register-rpc"),
            list("hook-as-gateway"),
        ],
    ),
];
