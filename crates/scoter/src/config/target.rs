//! What `APP` names: a module or a file, and a callable in it.

use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What `APP` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) source: Source,
    /// The attribute to use, which may be dotted; by default the usual names are tried.
    pub(crate) callable: Option<String>,
}

impl FromStr for Target {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let (source, callable) = match text.rsplit_once(':') {
            Some((source, callable)) => (source, Some(callable.to_owned())),
            None => (text, None),
        };
        Ok(Self {
            source: Source::from(source),
            callable,
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)?;
        match &self.callable {
            Some(callable) => write!(f, ":{callable}"),
            None => Ok(()),
        }
    }
}

impl Target {
    /// Resolves a relative file against `folder`.
    pub(crate) fn relocated(self, folder: &Path) -> Self {
        Self {
            source: self.source.relocated(folder),
            ..self
        }
    }

    /// Its file, if it was named by one.
    pub(crate) fn file(&self) -> Option<&Path> {
        match &self.source {
            Source::File(path) => Some(path),
            Source::Module(_) => None,
        }
    }
}

/// Where an application comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// A module on `sys.path`, or else a file with exactly this name in the working directory.
    Module(String),
    /// A file, whatever its name.
    File(PathBuf),
}

impl From<&str> for Source {
    fn from(text: &str) -> Self {
        if text.ends_with(".py") || text.contains('/') {
            Self::File(PathBuf::from(text))
        } else {
            Self::Module(text.to_owned())
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Module(name) => f.write_str(name),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

impl Source {
    /// Resolves a relative file against `folder`.
    fn relocated(self, folder: &Path) -> Self {
        match self {
            Self::File(path) => Self::File(folder.join(path)),
            module @ Self::Module(_) => module,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_and_files_are_told_apart() {
        for (text, source, callable) in [
            ("site.wsgi", Source::Module("site.wsgi".into()), None),
            ("site:app", Source::Module("site".into()), Some("app")),
            ("app.py", Source::File("app.py".into()), None),
            (
                "/srv/app.py:main",
                Source::File("/srv/app.py".into()),
                Some("main"),
            ),
            ("./wsgi", Source::File("./wsgi".into()), None),
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.source, source, "{text}");
            assert_eq!(target.callable.as_deref(), callable, "{text}");
            assert_eq!(target.to_string(), text);
        }
    }
}
