//! Options that act as soon as they are read.
//!
//! What comes after them sees what they have done; placeholders in their values are not replaced, for that
//! is done when everything has been read. All others are applied after that.

use super::format::Format;
use super::logic::{Condition, Loop, Test};

/// What an option does that acts at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Immediate {
    /// Reads a file.
    Load(Format),
    /// Reads a file whose name says its form.
    Include,
    /// Begins a block.
    Begin(Test),
    /// Sets an option in its value.
    Set,
    /// Sets a placeholder in its value.
    SetPlaceholder,
    /// Declares an option in its value.
    Declare,
    /// Forbids unknown options.
    Strict,
    /// Restricts the options that follow, which is not done here.
    Restrict,
    /// Nothing that matters here.
    Other,
    /// Something that is not done here; this is to be written in its place.
    Refused(&'static str),
}

impl Immediate {
    /// What the option with this name does, if it acts at once.
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "ini" | "ini-paste" | "ini-paste-logged" => Self::Load(Format::Ini),
            "yaml" | "yml" => Self::Load(Format::Yaml),
            "json" | "js" => Self::Load(Format::Json),
            "xml" | "xmlconfig" => Self::Load(Format::Xml),
            "include" => Self::Include,
            "set" => Self::Set,
            "set-ph" | "set-placeholder" => Self::SetPlaceholder,
            "declare-option" => Self::Declare,
            "strict" => Self::Strict,
            "for" => Self::Begin(Test::Loop(Loop::Words)),
            "for-glob" => Self::Begin(Test::Loop(Loop::Paths)),
            "for-times" => Self::Begin(Test::Loop(Loop::Numbers)),
            "for-readline" => Self::Begin(Test::Loop(Loop::Lines)),
            "if-opt" => Self::Begin(Test::If(Condition::Option)),
            "if-not-opt" => Self::Begin(Test::IfNot(Condition::Option)),
            "if-env" | "ifenv" => Self::Begin(Test::If(Condition::Variable)),
            "if-not-env" => Self::Begin(Test::IfNot(Condition::Variable)),
            "if-reload" => Self::Begin(Test::If(Condition::Reload)),
            "if-not-reload" => Self::Begin(Test::IfNot(Condition::Reload)),
            "if-hostname" => Self::Begin(Test::If(Condition::HostName)),
            "if-not-hostname" => Self::Begin(Test::IfNot(Condition::HostName)),
            "if-exists" | "ifexists" => Self::Begin(Test::If(Condition::Exists)),
            "if-not-exists" => Self::Begin(Test::IfNot(Condition::Exists)),
            "if-plugin" | "ifplugin" => Self::Begin(Test::If(Condition::Plugin)),
            "if-not-plugin" => Self::Begin(Test::IfNot(Condition::Plugin)),
            "if-file" => Self::Begin(Test::If(Condition::File)),
            "if-not-file" => Self::Begin(Test::IfNot(Condition::File)),
            "if-dir" | "ifdir" | "if-directory" => Self::Begin(Test::If(Condition::Directory)),
            "if-not-dir" => Self::Begin(Test::IfNot(Condition::Directory)),
            "blacklist" | "whitelist" => Self::Restrict,
            "if-hostname-match" | "if-not-hostname-match" => {
                Self::Refused("write if-hostname = NAME, or test a variable with if-env")
            }
            "inject-before" | "inject-after" => Self::Refused("write include = FILE"),
            "resolve" => Self::Refused("write the address, or $(NAME) of a variable that has it"),
            "config" => Self::Refused("write ini = FILE, yaml = FILE or json = FILE"),
            "sqlite" | "sqlite3" | "ldap" => Self::Refused("write the options into an ini file"),
            // The rest of those with the flag UWSGI_OPT_IMMEDIATE in uWSGI's tables.
            "autoload" | "binary-append-data" | "build-plugin" | "cflags" | "command-mode"
            | "config-py" | "connect-and-read" | "dlopen" | "dot-h" | "early-envdir"
            | "end-blacklist" | "end-for" | "end-if" | "end-whitelist" | "endfor" | "endif"
            | "exit" | "extract" | "fallback-config" | "flock" | "flock-wait" | "flock-wait2"
            | "flock2" | "help" | "immediate-gid" | "immediate-uid" | "iprint" | "ldap-schema"
            | "ldap-schema-ldif" | "listen" | "need-plugin" | "need-plugins" | "pause"
            | "pcre-jit" | "plugin" | "plugin-dir" | "plugins" | "plugins-dir" | "print-sym"
            | "print-symbol" | "python-version" | "reload" | "resume" | "signal"
            | "spooler-processes" | "stop" | "suspend" | "umask" | "usage" => Self::Other,
            _ => return None,
        })
    }
}
