//! A folder of `integration-tests/uwsgi`: files of uWSGI, an application, and what to expect.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use integration_tests::{Package, executable, python};
use tempfile::TempDir;
use toml::{Table, Value};

/// What `case.toml` says. Everything has a usual value.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) name: String,
    /// How uWSGI is called.
    pub(super) command: Vec<String>,
    pub(super) environment: BTreeMap<String, String>,
    /// Where it is called, below the folder of the application.
    pub(super) directory: PathBuf,
    /// The socket that is asked, below the folder of the application; `None` for one on TCP.
    pub(super) socket: Option<PathBuf>,
    /// What is asked: `/path?query`, with a method other than GET before it. POST sends a body.
    pub(super) requests: Vec<String>,
    /// What uWSGI does, and scoter.
    pub(super) under_uwsgi: Outcome,
    pub(super) under_scoter: Outcome,
    /// What the log of scoter says, too, and `scoter migrate`.
    pub(super) says: Vec<String>,
    /// The exit code of `scoter migrate`.
    pub(super) migrate: i32,
    /// Whether it takes root.
    pub(super) root: bool,
}

/// What becomes of a start.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    Serves,
    /// It ends, with this in its log.
    Refuses(String),
    /// It is not started: the reason why.
    Unasked,
}

impl Case {
    /// Reads all of them.
    pub(super) fn all() -> Vec<Self> {
        let entries = fs::read_dir(cases()).expect("part of the checkout");
        let mut cases: Vec<_> = entries
            .map(|entry| entry.expect("readable").path())
            .filter(|path| path.join("case.toml").exists())
            .map(|path| Self::read(&path))
            .collect();
        cases.sort_by(|one, other| one.name.cmp(&other.name));
        cases
    }

    /// Tells whether other users than root can run what is under test.
    pub(super) fn others_can_run() -> bool {
        Package::within_reach_of(NOBODY, NOBODY).is_some()
    }

    fn read(folder: &Path) -> Self {
        let name = folder.file_name().expect("a folder has a name");
        let name = name.to_string_lossy().into_owned();
        let text = fs::read_to_string(folder.join("case.toml")).expect("just seen");
        assert!(
            text.starts_with("# "),
            "{name}: the first line says what it stands for"
        );
        let mut table: Table = text
            .parse()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut take = |key: &str| table.remove(key);
        let command = take("command").map_or_else(|| "uwsgi --ini uwsgi.ini".into(), text_of);
        let case = Self {
            command: command
                .split_whitespace()
                .skip(1)
                .map(str::to_owned)
                .collect(),
            environment: match take("environment") {
                Some(Value::Table(table)) => table
                    .into_iter()
                    .map(|(key, value)| (key, text_of(value)))
                    .collect(),
                _ => BTreeMap::new(),
            },
            directory: take("directory").map_or_else(PathBuf::new, |it| text_of(it).into()),
            socket: match take("socket").map_or_else(|| "app.sock".into(), text_of) {
                tcp if tcp == "tcp" => None,
                path => Some(path.into()),
            },
            requests: match take("requests") {
                Some(requests) => texts_of(requests),
                None => USUAL_REQUESTS.map(str::to_owned).into(),
            },
            under_uwsgi: Outcome::of(take("uwsgi")),
            under_scoter: Outcome::of(take("scoter")),
            says: take("says").map_or_else(Vec::new, texts_of),
            migrate: take("migrate").map_or(0, number_of),
            root: take("root").is_some(),
            name,
        };
        assert!(table.is_empty(), "{}: {:?}", case.name, table);
        case
    }

    /// Copies the folder to a place of its own, as somebody deploys it.
    pub(super) fn deploy(&self) -> Deployment {
        let folder =
            TempDir::with_prefix("scoter-").expect("there is a folder for temporary files");
        // Other users than root take part.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("just made");
        let package = self
            .root
            .then(|| Package::within_reach_of(NOBODY, NOBODY))
            .flatten();
        let deployment = Deployment { folder, package };
        fs::create_dir(deployment.path("run")).expect("just made");
        fs::create_dir(deployment.path("gates")).expect("just made");
        deployment.copy(&cases().join(&self.name), &deployment.path("app"));
        fs::create_dir(deployment.path("lib")).expect("just made");
        fs::copy(cases().join("seen.py"), deployment.path("lib/seen.py"))
            .expect("part of the checkout");
        let venv = python()
            .parent()
            .and_then(Path::parent)
            .expect("in bin")
            .to_owned();
        let venv = venv.canonicalize().expect("made by make build");
        symlink(venv, deployment.path("app/venv")).expect("just made");
        fs::create_dir(deployment.path("bin")).expect("just made");
        match &deployment.package {
            Some(package) => package.write_script(&deployment.path("bin/scoter")),
            None => {
                let scoter = executable().canonicalize().expect("made by make build");
                for name in ["bin/scoter", "bin/uwsgi"] {
                    symlink(&scoter, deployment.path(name)).expect("just made");
                }
            }
        }
        deployment
    }
}

impl Outcome {
    fn of(value: Option<Value>) -> Self {
        match value {
            None => Self::Serves,
            Some(Value::Boolean(false)) => Self::Unasked,
            Some(value) => Self::Refuses(text_of(value)),
        }
    }
}

/// A copy of a case's folder. Files say `/srv/app` for it, and `/run/app` for a folder beside it.
#[derive(Debug)]
pub(super) struct Deployment {
    folder: TempDir,
    /// The package that other users can run, of a case that has some.
    package: Option<Package>,
}

impl Deployment {
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where uWSGI finds Python's library after it has become another user, who may not read the usual place.
    pub(super) fn python_home(&self) -> Option<PathBuf> {
        let python = self.package.as_ref()?.python();
        python.starts_with("/usr").then(|| "/usr".into())
    }

    /// Replaces the paths that files of the case name by those of this copy, and their ports by free ones.
    pub(super) fn localize(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (named, here) in &PLACES[..2] {
            text = text.replace(named, &self.path(here).to_string_lossy());
        }
        for port in PORTS {
            text = text.replace(port, ":0");
        }
        text
    }

    /// The other way round, so that what two copies say can be compared.
    pub(super) fn generalize(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (named, here) in PLACES {
            let here = self.path(here);
            text = text.replace(here.to_string_lossy().trim_end_matches('/'), named);
        }
        text
    }

    fn copy(&self, from: &Path, to: &Path) {
        fs::create_dir_all(to).expect("a folder of our own");
        for entry in fs::read_dir(from).expect("part of the checkout") {
            let entry = entry.expect("part of the checkout");
            let target = to.join(entry.file_name());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.copy(&entry.path(), &target);
            } else if entry.file_name() != "case.toml" {
                let bytes = fs::read(entry.path()).expect("part of the checkout");
                let content = match String::from_utf8(bytes) {
                    Ok(text) => self.localize(&text).into_bytes(),
                    Err(error) => error.into_bytes(),
                };
                fs::write(target, content).expect("a folder of our own");
            }
        }
    }
}

fn text_of(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => panic!("no text: {other:?}"),
    }
}

fn number_of(value: Value) -> i32 {
    let number = value.as_integer().and_then(|number| number.try_into().ok());
    number.unwrap_or_else(|| panic!("no number: {value:?}"))
}

fn texts_of(value: Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.into_iter().map(text_of).collect(),
        other => vec![text_of(other)],
    }
}

/// The folder of the cases, and of `seen.py`, which most of them serve.
pub(super) fn cases() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/uwsgi"))
}

const PLACES: [(&str, &str); 3] = [("/srv/app", "app"), ("/run/app", "run"), ("/srv", "")];

/// Ports of files; uWSGI takes 0 for any that is free, too.
const PORTS: [&str; 4] = [":3031", ":8000", ":8080", ":9191"];

/// A user and group without rights, as the kernel has them.
const NOBODY: u32 = 65534;

const USUAL_REQUESTS: [&str; 3] = ["/page?headers", "POST /form", "/gone/?status=404"];
