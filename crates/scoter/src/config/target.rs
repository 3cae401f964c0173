//! What `APP` names: a callable of a module or a file, or an application of a PasteDeploy file.

use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What `APP` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// Python code.
    Code(Code),
    /// A file of PasteDeploy, which says what the application is made of.
    Deployment(Deployment),
}

/// A module or a file, and a callable in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Code {
    pub(crate) source: Source,
    /// The attribute to use, which may be dotted; by default the usual names are tried.
    pub(crate) callable: Option<String>,
    /// Whether `()` follows the attribute: it is a factory, also without `--factory`.
    pub(crate) is_called: bool,
}

/// A file of PasteDeploy, and an application in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deployment {
    pub(crate) file: PathBuf,
    /// The name of its section without the prefix; by default `main`.
    pub(crate) name: Option<String>,
}

impl FromStr for Target {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        if let Some(deployment) = Deployment::of(text) {
            return Ok(Self::Deployment(deployment));
        }
        let (source, callable) = match text.rsplit_once(':') {
            Some((source, callable)) => (source, Some(callable)),
            None => (text, None),
        };
        let (callable, is_called) = match callable.and_then(|it| it.strip_suffix("()")) {
            Some(factory) => (Some(factory), true),
            None => (callable, false),
        };
        Ok(Self::Code(Code {
            source: Source::from(source),
            callable: callable.map(str::to_owned),
            is_called,
        }))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => code.fmt(f),
            Self::Deployment(deployment) => deployment.fmt(f),
        }
    }
}

impl Target {
    /// Resolves a relative file against `folder`.
    pub(crate) fn relocated(self, folder: &Path) -> Self {
        match self {
            Self::Code(code) => Self::Code(Code {
                source: code.source.relocated(folder),
                ..code
            }),
            Self::Deployment(deployment) => Self::Deployment(Deployment {
                file: folder.join(deployment.file),
                ..deployment
            }),
        }
    }

    /// Its file, if it was named by one.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::Code(Code {
                source: Source::File(path),
                ..
            }) => Some(path),
            Self::Code(_) => None,
            Self::Deployment(deployment) => Some(&deployment.file),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)?;
        if let Some(callable) = &self.callable {
            write!(f, ":{callable}")?;
        }
        if self.is_called {
            f.write_str("()")?;
        }
        Ok(())
    }
}

impl Deployment {
    /// Reads PasteDeploy's own form, `config:production.ini#name`, or the file alone.
    fn of(text: &str) -> Option<Self> {
        let (path, name) = match text.split_once('#') {
            Some((path, name)) => (path, Some(name.to_owned())),
            None => (text, None),
        };
        let file = match path.strip_prefix(SCHEME) {
            Some(file) => file,
            None if path.ends_with(".ini") => path,
            None => return None,
        };
        Some(Self {
            file: file.into(),
            name,
        })
    }
}

impl fmt::Display for Deployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.file.display())?;
        match &self.name {
            Some(name) => write!(f, "#{name}"),
            None => Ok(()),
        }
    }
}

/// PasteDeploy, "Config URIs".
const SCHEME: &str = "config:";

/// Where code comes from.
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
        for (text, source, callable, is_called) in [
            ("site.wsgi", Source::Module("site.wsgi".into()), None, false),
            (
                "site:app",
                Source::Module("site".into()),
                Some("app"),
                false,
            ),
            (
                "site:make()",
                Source::Module("site".into()),
                Some("make"),
                true,
            ),
            ("app.py", Source::File("app.py".into()), None, false),
            (
                "/srv/app.py:main",
                Source::File("/srv/app.py".into()),
                Some("main"),
                false,
            ),
            ("./wsgi", Source::File("./wsgi".into()), None, false),
        ] {
            let target: Target = text.parse().unwrap();
            let code = Code {
                source,
                callable: callable.map(str::to_owned),
                is_called,
            };
            assert_eq!(target, Target::Code(code), "{text}");
            assert_eq!(target.to_string(), text);
        }
    }

    #[test]
    fn files_of_paste_deploy_are_recognised() {
        for (text, file, name, shown) in [
            ("config:a.ini", "a.ini", None, "config:a.ini"),
            (
                "config:a.ini#admin",
                "a.ini",
                Some("admin"),
                "config:a.ini#admin",
            ),
            (
                "config:/etc/a.conf",
                "/etc/a.conf",
                None,
                "config:/etc/a.conf",
            ),
            ("a.ini", "a.ini", None, "config:a.ini"),
            ("a.ini#b", "a.ini", Some("b"), "config:a.ini#b"),
        ] {
            let target: Target = text.parse().unwrap();
            let deployment = Deployment {
                file: file.into(),
                name: name.map(str::to_owned),
            };
            assert_eq!(target, Target::Deployment(deployment), "{text}");
            assert_eq!(target.to_string(), shown);
            assert_eq!(target.file(), Some(Path::new(file)));
            let again: Target = shown.parse().unwrap();
            assert_eq!(again, target, "{shown}");
        }
    }
}
