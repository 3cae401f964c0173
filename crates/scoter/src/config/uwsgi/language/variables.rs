//! The environment: options in `UWSGI_…`, and what `$(NAME)` means.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// The variables of the process.
pub(super) struct Variables<'a> {
    by_name: HashMap<&'a [u8], &'a OsStr>,
    /// Whether uWSGI would take this start for a reload.
    pub(super) is_reload: bool,
}

/// Those that uWSGI does not take for options: it sets them itself.
const OWN: [&[u8]; 8] = [
    b"UWSGI_RELOADS",
    b"UWSGI_VASSALS_DIR",
    b"UWSGI_EMPEROR_FD",
    b"UWSGI_BROODLORD_NUM",
    b"UWSGI_EMPEROR_FD_CONFIG",
    b"UWSGI_EMPEROR_PROXY",
    b"UWSGI_JAIL_PID",
    b"UWSGI_ORIGINAL_PROC_NAME",
];

const RELOADS: &[u8] = b"UWSGI_RELOADS";

impl<'a> Variables<'a> {
    pub(super) fn new(environment: &'a [(OsString, OsString)]) -> Self {
        let variables = environment.iter().rev();
        let mut by_name: HashMap<_, _> = variables
            .map(|(name, value)| (name.as_bytes(), value.as_os_str()))
            .collect();
        let is_reload = by_name.contains_key(RELOADS);
        // uWSGI sets it before it reads anything.
        by_name.entry(RELOADS).or_insert_with(|| OsStr::new("0"));
        Self { by_name, is_reload }
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a OsStr> {
        self.by_name.get(name.as_bytes()).copied()
    }
}

/// The option that a variable sets.
pub(super) fn option(name: &OsStr) -> Option<String> {
    let name = name.as_bytes();
    let key = name.strip_prefix(b"UWSGI_")?;
    if OWN.contains(&name) {
        return None;
    }
    let key = key.iter().map(|byte| match byte.to_ascii_lowercase() {
        b'_' => b'-',
        byte => byte,
    });
    // A name that is not UTF-8 is no option's.
    String::from_utf8(key.collect()).ok()
}
