//! An environment variable.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use serde::{Deserialize, Serialize};

use crate::config::from_text::FromText;

/// A variable and its value.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EnvVar {
    pub(crate) name: String,
    pub(crate) value: OsString,
}

impl fmt::Debug for EnvVar {
    /// Leaves out the value, which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=…", self.name)
    }
}

impl EnvVar {
    /// A variable with a name that is fine.
    ///
    /// # Errors
    ///
    /// What is wrong with the name or the value, without the value.
    pub(in crate::config) fn new(name: &str, value: OsString) -> Result<Self, String> {
        if !is_name(name) {
            return Err(format!(
                "{name:?} is not the name of a variable: letters, digits and _, the first of them \
                 not a digit"
            ));
        }
        if name.starts_with(OURS) {
            return Err(format!(
                "{name}: scoter's own options cannot be set here: write them into scoter.toml"
            ));
        }
        if value.as_bytes().contains(&0) {
            return Err(format!(
                "{name}: a variable cannot contain a null character"
            ));
        }
        Ok(Self {
            name: name.to_owned(),
            value,
        })
    }
}

impl FromText for EnvVar {
    fn from_text(text: &OsStr) -> Result<Self, String> {
        let bytes = text.as_bytes();
        let equals = bytes.iter().position(|byte| *byte == b'=');
        let Some(equals) = equals.filter(|equals| *equals > 0) else {
            return Err("expected NAME=VALUE".to_owned());
        };
        let name = String::from_utf8_lossy(&bytes[..equals]);
        Self::new(&name, OsString::from_vec(bytes[equals + 1..].to_vec()))
    }
}

/// Whether it is a name by IEEE Std 1003.1, "Environment Variables", in either case. systemd accepts no
/// other.
pub(in crate::config) fn is_name(name: &str) -> bool {
    let is_first = |letter: char| letter.is_ascii_alphabetic() || letter == '_';
    let is_other = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    name.starts_with(is_first) && name.chars().all(is_other)
}

/// The beginning of variables that are read before these are set.
const OURS: &str = "SCOTER_";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_behind_the_first_equals_sign_is_the_value() {
        for (text, name, value) in [
            ("TZ=UTC", "TZ", "UTC"),
            ("_a9=", "_a9", ""),
            ("A==b= c ", "A", "=b= c "),
            ("A='b'", "A", "'b'"),
        ] {
            let variable = EnvVar::from_text(text.as_ref()).expect(text);
            assert_eq!((&*variable.name, &*variable.value), (name, value.as_ref()));
        }
        let latin1 = OsStr::from_bytes(b"A=\xe9");
        assert_eq!(EnvVar::from_text(latin1).unwrap().value.as_bytes(), b"\xe9");
    }

    #[test]
    fn other_texts_are_refused_without_showing_the_value() {
        for (text, reason) in [
            ("", "expected NAME=VALUE"),
            ("TZ", "expected NAME=VALUE"),
            ("=secret", "expected NAME=VALUE"),
            ("1A=secret", "is not the name of a variable"),
            ("A B=secret", "is not the name of a variable"),
            ("a.b=secret", "is not the name of a variable"),
            ("\u{e9}=secret", "is not the name of a variable"),
            ("SCOTER_THREADS=secret", "cannot be set here"),
            ("A=secret\0", "null character"),
        ] {
            let error = EnvVar::from_text(text.as_ref()).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
            assert!(!error.contains("secret"), "{text}: {error}");
        }
    }
}
