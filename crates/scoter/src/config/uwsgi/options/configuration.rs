//! Files, placeholders and conditions.

use super::family::{Family, family, flag, gone, list, nothing, read, text};

pub(super) const FAMILIES: &[Family] = &[
    family(
        read("scoter --ini and scoter migrate read it"),
        &[
            list("ini"),
            list("include"),
            list("inherit"),
            list("config"),
            list("yaml").letter('y'),
            list("yml").letter('y'),
            list("json").letter('j'),
            list("js").letter('j'),
            list("xml").letter('x'),
            list("xmlconfig").letter('x'),
            text("fallback-config"),
        ],
    ),
    family(
        read("scoter --ini and scoter migrate evaluate it"),
        &[
            list("set").letter('S'),
            list("set-placeholder"),
            list("set-ph"),
            list("for"),
            list("for-glob"),
            list("for-times"),
            list("for-readline"),
            text("endfor").optional(),
            text("end-for").optional(),
            list("if-opt"),
            list("if-not-opt"),
            list("if-env"),
            list("if-not-env"),
            list("ifenv"),
            list("if-reload").bare(),
            list("if-not-reload").bare(),
            list("if-hostname"),
            list("if-not-hostname"),
            list("if-hostname-match"),
            list("if-not-hostname-match"),
            list("if-exists"),
            list("if-not-exists"),
            list("ifexists"),
            list("if-plugin"),
            list("if-not-plugin"),
            list("ifplugin"),
            list("if-file"),
            list("if-not-file"),
            list("if-dir"),
            list("if-not-dir"),
            list("ifdir"),
            list("if-directory"),
            text("endif").optional(),
            text("end-if").optional(),
        ],
    ),
    family(
        nothing(
            "unknown keys are always an error in scoter.toml; those of uWSGI's files are named",
        ),
        &[flag("strict")],
    ),
    family(nothing("run scoter --print-config"), &[flag("show-config")]),
    family(
        gone("nothing limits which options a file may have"),
        &[
            text("blacklist"),
            text("end-blacklist").bare(),
            text("whitelist"),
            text("end-whitelist").bare(),
        ],
    ),
    family(
        gone("write the options themselves"),
        &[
            list("declare-option"),
            list("declare-option2"),
            text("resolve"),
            list("inject-before"),
            list("inject-after"),
            list("ldap"),
            text("ldap-schema").bare(),
            text("ldap-schema-ldif").bare(),
            list("sqlite3"),
            list("sqlite"),
        ],
    ),
    family(
        nothing("it prints a text while the file is read"),
        &[list("print"), list("iprint")],
    ),
    family(
        gone(
            "a file that must not be used is better without a server: let ExecStartPre= check the \
condition",
        ),
        &[text("exit").optional()],
    ),
    family(
        gone("take the configuration from a file or from the environment"),
        &[text("connect-and-read"), flag("skip-zero")],
    ),
];
