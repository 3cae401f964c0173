//! The module of `nginx-conf/keepalive` is installed as its README says.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use integration_tests::{Connections, Nginx, Process, through_nginx, until};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;

/// A system in a folder of its own: the folders of Debian's nginx, without the one for modules.
struct System {
    root: TempDir,
}

impl System {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a folder");
        let prefix = root.path().join("usr/share/nginx");
        fs::create_dir_all(prefix.join("temp")).expect("the test's own folder");
        symlink("../../lib/nginx/modules", prefix.join("modules")).expect("the test's own folder");
        Self { root }
    }

    /// The folder from which nginx takes relative paths.
    fn prefix(&self) -> PathBuf {
        self.root.path().join("usr/share/nginx")
    }

    /// Runs the commands that the README gives for the installation, in this system.
    fn install(&self) {
        let commands = commands_behind("    make nginx-module\n");
        assert!(commands.contains("/usr/lib/nginx/modules"), "{commands}");
        let lib = self.root.path().join("usr/lib").display().to_string();
        let commands = commands.replace("sudo ", "").replace("/usr/lib", &lib);
        let mut shell = Command::new("sh");
        let done = shell.args(["-ec", &commands]).current_dir(repository());
        let done = done.output().expect("there is a shell");
        assert!(done.status.success(), "{commands}: {}", text(&done));
    }

    /// An nginx with the module, as the README says where to name it.
    fn nginx(&self) -> Command {
        let load_module = readme()
            .lines()
            .map(str::trim)
            .find(|line| line.starts_with("load_module"))
            .expect("the README names the module")
            .to_owned();
        let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path temp/{kind};"))
            .join(" ");
        let prefix = self.prefix();
        let configuration = format!(
            "{load_module}\n\
             daemon off; worker_processes 1; pid nginx.pid; error_log stderr notice;\n\
             events {{}}\n\
             http {{\n\
                 {temp} access_log off;\n\
                 upstream scoter {{ server unix:none.sock; keepalive 2; }}\n\
                 server {{\n\
                     listen unix:{}/site.sock;\n\
                     uwsgi_param UWSGI_KEEP_CONN $uwsgi_keep_conn if_not_empty;\n\
                     location / {{ uwsgi_pass scoter; }}\n\
                 }}\n\
             }}\n",
            prefix.display()
        );
        fs::write(prefix.join("nginx.conf"), configuration).expect("the test's own folder");
        let mut nginx = Command::new(Nginx::program());
        nginx.args(["-e", "stderr", "-c", "nginx.conf", "-p"]);
        nginx.arg(&prefix).process_group(0);
        nginx
    }
}

/// The processes of an nginx whose workers nobody finds once the master has crashed: their titles take the place of
/// their environments.
struct Group(Pid);

impl Drop for Group {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Fails only where all have ended.
            let _ = killpg(self.0, Signal::SIGKILL);
        }
    }
}

#[through_nginx(kept)]
fn documented_commands_install_it_where_there_was_no_folder(_: Connections) {
    let system = System::new();
    system.install();
    let tested = system.nginx().arg("-t").output().expect("nginx runs");
    assert!(tested.status.success(), "{}", text(&tested));
}

#[through_nginx(kept)]
fn documented_commands_replace_it_under_a_running_nginx(_: Connections) {
    let system = System::new();
    system.install();
    let mut nginx = Process::spawn(
        "nginx",
        &mut system.nginx(),
        &system.prefix(),
        "the integration tests need nginx: apt-get install nginx",
    );
    let _group = Group(nginx.pid());
    // Before that a signal would end it.
    until("the first worker", || {
        assert_eq!(nginx.exit_status(), None, "{}", nginx.stderr());
        nginx
            .stderr()
            .contains("start worker process ")
            .then_some(())
    });
    for count in 1..=2 {
        system.install();
        nginx.signal(Signal::SIGHUP);
        // After it has loaded the module again, and unloaded the one before.
        until("old workers have ended", || {
            assert_eq!(nginx.exit_status(), None, "{}", nginx.stderr());
            let ended = nginx.stderr().matches("exited with code 0").count();
            (ended == count).then_some(())
        });
    }
    UnixStream::connect(system.prefix().join("site.sock")).expect("it still listens");
    nginx.signal(Signal::SIGTERM);
    assert_eq!(nginx.wait().code, Some(0));
}

#[test]
fn build_names_the_version_and_warns_of_another_nginx() {
    // A copy in which the module is there already, so that nothing is built.
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().canonicalize().expect("it is there");
    let put = |path: &str, content: &str| {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().expect("a file's")).expect("the test's own folder");
        fs::write(path, content).expect("the test's own folder");
    };
    fs::create_dir(folder.join("tools")).expect("the test's own folder");
    let script = "tools/nginx-module";
    fs::copy(repository().join(script), folder.join(script)).expect("the test's own folder");
    put("nginx-conf/keepalive/config", "");
    put("nginx-conf/keepalive/ngx_http_uwsgi_keep_conn_module.c", "");
    put(
        "source/src/core/nginx.h",
        "#define nginx_version      1099009\n#define NGINX_VERSION      \"1.99.9\"\n",
    );
    let source = folder.join("source");
    put(
        "target/nginx-module/made-from",
        &format!("{} 1.99.9\n", source.display()),
    );
    put(
        "bin/nginx",
        "#!/bin/sh\necho \"nginx version: nginx/$INSTALLED (Debian)\" >&2\n",
    );
    let executable = Command::new("chmod")
        .args(["+x", "bin/nginx"])
        .current_dir(&folder)
        .status();
    assert!(executable.expect("chmod runs").success());
    put("target/nginx-module/ngx_http_uwsgi_keep_conn_module.so", "");
    let run = |installed| {
        let path = std::env::var("PATH").expect("tests have one");
        let mut script = Command::new(folder.join("tools/nginx-module"));
        let script = script
            .arg(&source)
            .env("PATH", format!("{}/bin:{path}", folder.display()))
            .env("INSTALLED", installed);
        let done = script.output().expect("there is a shell");
        assert!(done.status.success(), "{}", text(&done));
        text(&done)
    };
    let same = run("1.99.9");
    assert!(same.contains("for nginx 1.99.9"), "{same}");
    assert!(!same.contains("warning"), "{same}");
    let other = run("1.22.1");
    for words in ["for nginx 1.99.9", "warning: the installed nginx is 1.22.1"] {
        assert!(other.contains(words), "{other}");
    }
}

/// The commands of the README's first block that begins with `first`, without that.
fn commands_behind(first: &str) -> String {
    let readme = readme();
    let (_, rest) = readme.split_once(first).expect("the README has the block");
    let (commands, _) = rest.split_once("\n\n").expect("the block has an end");
    commands.to_owned()
}

fn readme() -> String {
    let path = repository().join("nginx-conf/keepalive/README.md");
    fs::read_to_string(path).expect("it is in the repository")
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(output: &Output) -> String {
    let all = [&*output.stdout, &*output.stderr].concat();
    String::from_utf8_lossy(&all).into_owned()
}
