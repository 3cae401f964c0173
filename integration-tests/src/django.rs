use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::process::Process;
use crate::scoter::{Scoter, ScoterBuilder, apps_folder, executable};

/// The Django project of `apps/django_site`, with its database, static files and an administrator.
#[derive(Debug)]
pub struct DjangoSite;

impl DjangoSite {
    /// The administrator's name.
    pub const USER: &'static str = "admin";
    /// The administrator's password.
    pub const PASSWORD: &'static str = "correct horse battery staple";

    /// Prepares a server of the project, with data of its own where [`Nginx`](crate::Nginx) has its root.
    ///
    /// # Panics
    ///
    /// When Django is not installed next to scoter.
    pub fn serving() -> ScoterBuilder {
        let scoter = Scoter::serving("project.wsgi");
        let data = scoter.folder().join("nginx");
        for (path, content) in prepared() {
            let path = data.join(path);
            fs::create_dir_all(path.parent().expect("joined above"))
                .expect("the test's own folder");
            fs::write(path, content).expect("the test's own folder is writable");
        }
        fs::create_dir_all(data.join("www/protected")).expect("the test's own folder is writable");
        scoter
            .args(["--pythonpath".into(), project()])
            .env("DJANGO_SITE_DATA", data)
    }
}

/// Returns what `manage.py prepare` makes, by path. It takes two seconds, so all tests share it.
fn prepared() -> &'static [(PathBuf, Vec<u8>)] {
    static PREPARED: OnceLock<Vec<(PathBuf, Vec<u8>)>> = OnceLock::new();
    PREPARED.get_or_init(|| {
        let folder =
            TempDir::with_prefix("scoter-").expect("there is a folder for temporary files");
        let data = folder.path().join("data");
        let mut command = Command::new(executable().with_file_name("python"));
        command
            .arg(project().join("manage.py"))
            .arg("prepare")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("DJANGO_SITE_DATA", &data)
            .env("DJANGO_SITE_PASSWORD", DjangoSite::PASSWORD);
        let hint = "there has to be a Python next to scoter";
        let finished = Process::spawn("manage.py", &mut command, folder.path(), hint).wait();
        assert_eq!(
            finished.code,
            Some(0),
            "install integration-tests/requirements.txt next to scoter\n{}",
            finished.stderr
        );
        let mut files = Vec::new();
        read_tree(&data, Path::new(""), &mut files);
        files
    })
}

fn project() -> PathBuf {
    apps_folder().join("django_site")
}

fn read_tree(root: &Path, folder: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(root.join(folder)).expect("just made") {
        let entry = entry.expect("just made");
        let path = folder.join(entry.file_name());
        match entry.file_type().expect("just made").is_dir() {
            true => read_tree(root, &path, files),
            false => files.push((path, fs::read(entry.path()).expect("just made"))),
        }
    }
}
