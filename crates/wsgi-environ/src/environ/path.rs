use super::ScriptName;

/// How the two variables of a path become entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathHandling {
    AsSent,
    Strip,
}

impl PathHandling {
    /// `None` if the entries are not made of the variables.
    pub(super) fn of(script_name: ScriptName<'_>) -> Option<Self> {
        match script_name {
            ScriptName::AsSent => Some(Self::AsSent),
            ScriptName::Strip => Some(Self::Strip),
            ScriptName::Given { .. } => None,
        }
    }
}

/// Returns `SCRIPT_NAME` and `PATH_INFO` for the application.
///
/// One of them is not empty: PEP 3333 allows either to be so, but a URL has at
/// least a `/`.
pub(super) fn paths<'a>(
    script_name: &'a [u8],
    path_info: &'a [u8],
    handling: PathHandling,
) -> (&'a [u8], &'a [u8]) {
    let (script_name, path_info) = match handling {
        PathHandling::AsSent => (script_name, path_info),
        PathHandling::Strip => strip(script_name, path_info),
    };
    if script_name.is_empty() && path_info.is_empty() {
        (b"", b"/")
    } else {
        (script_name, path_info)
    }
}

/// Takes a mount point off the front of a path, if it is there as a whole number
/// of segments.
fn strip<'a>(script_name: &'a [u8], path_info: &'a [u8]) -> (&'a [u8], &'a [u8]) {
    // A mount point `/foo/` would leave `bar` of `/foo/bar`, which PEP 3333 does
    // not allow, and `/foo` would not be under it.
    let mount = script_name.strip_suffix(b"/").unwrap_or(script_name);
    match path_info.strip_prefix(mount) {
        Some(rest) if rest.is_empty() || rest.starts_with(b"/") => (mount, rest),
        _ => (script_name, path_info),
    }
}
