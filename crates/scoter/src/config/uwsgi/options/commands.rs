//! What the program does in place of serving.

use super::family::{Family, family, flag, gone, list, nothing, text};

pub(super) const FAMILIES: &[Family] = &[
    family(
        nothing("run scoter --help or scoter --version"),
        &[
            text("help").bare().letter('h'),
            text("usage").bare().letter('h'),
            list("version").bare(),
            text("python-version").bare(),
        ],
    ),
    family(
        nothing(
            "run scoter stop, scoter reload or another command, which finds the server by its \
socket",
        ),
        &[text("stop"), text("reload")],
    ),
    family(
        gone("systemctl freeze pauses a service"),
        &[text("pause"), text("suspend"), text("resume")],
    ),
    family(
        nothing("it is a tool for those who build uWSGI"),
        &[
            text("cflags").bare(),
            text("dot-h").bare(),
            text("config-py").bare(),
            text("print-sym"),
            text("print-symbol"),
            text("extract"),
            text("binary-append-data"),
            flag("dump-options"),
            flag("plugins-list"),
            flag("plugin-list"),
            list("get"),
            text("clock"),
            text("pcre-jit").bare(),
        ],
    ),
];
