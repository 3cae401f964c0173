use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::connections::Connections;
use crate::http::Client;
use crate::process::Process;
use crate::scoter::Scoter;
use crate::wait::until;

/// An nginx with the files of `nginx-conf`, on a Unix socket in the test's own folder.
#[derive(Debug)]
pub struct Nginx {
    process: Process,
    folder: PathBuf,
}

/// What to start an [`Nginx`] with.
#[derive(Debug)]
pub struct NginxBuilder {
    folder: PathBuf,
    upstream: PathBuf,
    connections: Connections,
    http: String,
    extra: String,
}

impl Nginx {
    /// Prepares an nginx whose upstream is the first socket of `scoter`.
    pub fn in_front_of(scoter: &Scoter, connections: Connections) -> NginxBuilder {
        Self::prepare(scoter.folder(), scoter.socket(), connections)
    }

    /// Prepares an nginx in `folder` whose upstream is the Unix socket `upstream`.
    pub fn prepare(folder: &Path, upstream: &Path, connections: Connections) -> NginxBuilder {
        NginxBuilder {
            folder: folder.join("nginx"),
            upstream: upstream.to_owned(),
            connections,
            http: String::new(),
            extra: String::new(),
        }
    }

    /// Returns the program: `NGINX`, else the one on the search path.
    pub fn program() -> OsString {
        std::env::var_os("NGINX").unwrap_or_else(|| "nginx".into())
    }

    /// Returns a client of the site that `nginx-conf/site.conf` describes.
    pub fn site(&self) -> Client {
        Client::new(self.folder.join("site.sock"))
    }

    /// Returns a client of the server block that [`NginxBuilder::extra`] filled.
    pub fn extra(&self) -> Client {
        Client::new(self.folder.join("extra.sock"))
    }

    /// Returns the folder that `root` of the site names.
    pub fn root(&self) -> PathBuf {
        self.folder.join("www")
    }

    /// Returns the error log.
    pub fn error_log(&self) -> String {
        self.process.stderr()
    }

    /// Returns how many responses of the server were such that it has no reason to close the connection: complete ones
    /// to GET whose length it announced.
    pub(crate) fn plain_responses(&self) -> usize {
        let log = fs::read_to_string(self.folder.join("lengths.log")).expect("nginx made it");
        let plain = |line: &&str| {
            let rest = line.strip_prefix("GET 200 ");
            let length = rest.and_then(|rest| rest.strip_suffix(" OK"));
            length.is_some_and(|length| length != "-")
        };
        log.lines().filter(plain).count()
    }

    /// Waits until the access log has `count` lines, and returns them: `request-id status`.
    #[track_caller]
    pub fn wait_for_access_log(&self, count: usize) -> Vec<String> {
        until(&format!("{count} lines of nginx's access log"), || {
            let log = self.process.stdout();
            let lines: Vec<_> = log.lines().map(str::to_owned).collect();
            (lines.len() >= count && log.ends_with('\n')).then_some(lines)
        })
    }
}

impl NginxBuilder {
    /// Adds to a second server block, which has nothing in it at first: directives and locations that a test
    /// needs and the site has not.
    #[must_use]
    pub fn extra(mut self, configuration: &str) -> Self {
        self.extra.push_str(configuration);
        self.extra.push('\n');
        self
    }

    /// Adds to the `http` block.
    #[must_use]
    pub fn http(mut self, configuration: &str) -> Self {
        self.http.push_str(configuration);
        self.http.push('\n');
        self
    }

    /// Starts it and waits until it listens.
    ///
    /// # Panics
    ///
    /// When there is no nginx, or when it does not start.
    #[track_caller]
    pub fn start(self) -> Nginx {
        self.write_configuration();
        // -e: Debian's nginx otherwise opens the system's error log before it reads the configuration.
        let mut command = Command::new(Nginx::program());
        command
            .args(["-e", "stderr", "-c", "nginx.conf", "-p"])
            .arg(&self.folder);
        let mut process = Process::spawn(
            "nginx",
            &mut command,
            &self.folder,
            "the integration tests need nginx: apt-get install nginx",
        );
        until("nginx listens", || {
            if let Some(status) = process.exit_status() {
                panic!("nginx did not start: {status}\n{}", process.stderr());
            }
            let connected = |name| UnixStream::connect(self.folder.join(name)).is_ok();
            (connected("site.sock") && connected("extra.sock")).then_some(())
        });
        Nginx {
            process,
            folder: self.folder,
        }
    }

    /// Lays out the folder: the operator's files in `scoter/` as `nginx-conf` has them, but for the lines that
    /// an operator adapts too, and an nginx.conf that includes them.
    fn write_configuration(&self) {
        let write = |path: &str, content: String| {
            fs::write(self.folder.join(path), content).expect("the test's own folder is writable");
        };
        for folder in ["scoter", "temp", "www/static", "www/protected"] {
            fs::create_dir_all(self.folder.join(folder))
                .expect("the test's own folder is writable");
        }
        write(
            "scoter/uwsgi_params",
            self.operators_file("uwsgi_params", &[]),
        );
        let server = format!("server unix:{};", self.upstream.display());
        write(
            "scoter/upstream.conf",
            self.operators_file("upstream.conf", &[("server", server)]),
        );
        let listen = format!("listen unix:{}/site.sock;", self.folder.display());
        let root = format!("root {}/www;", self.folder.display());
        let name = "server_name example.com;".to_owned();
        write(
            "scoter/site.conf",
            self.operators_file(
                "site.conf",
                &[("listen", listen), ("server_name", name), ("root", root)],
            ),
        );
        let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path temp/{kind};"))
            .join("\n    ");
        let load_module = match self.connections.module() {
            Some(module) => format!("load_module {};", module.display()),
            None => String::new(),
        };
        // One process: it is the one that is started and ended, and it keeps the user it was started by.
        write(
            "nginx.conf",
            format!(
                "\
{load_module}
daemon off;
master_process off;
error_log stderr info;
pid nginx.pid;
events {{}}
http {{
    {temp}
    log_format ids '$request_id $status';
    access_log /dev/stdout ids;
    log_format lengths '$request_method $upstream_status $upstream_http_content_length $request_completion';
    access_log lengths.log lengths;
    types {{ text/css css; text/html html; text/plain txt; }}
    include scoter/upstream.conf;
    include scoter/site.conf;
    {http}
    server {{
        listen unix:{folder}/extra.sock;
        {extra}
    }}
}}
",
                folder = self.folder.display(),
                http = self.http,
                extra = self.extra,
            ),
        );
    }

    /// Reads a file of `nginx-conf` as an operator would adapt it: replaces the lines marked `# yours`, each by the
    /// directive given for it, and activates those marked `# keepalive` for [`Connections::Kept`].
    ///
    /// # Panics
    ///
    /// When the marked lines are not exactly the given directives: then this harness tests something else than
    /// what an operator would run.
    fn operators_file(&self, name: &str, yours: &[(&str, String)]) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../nginx-conf")
            .join(name);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let mut yours = yours.iter();
        let mut rendered = String::new();
        for line in text.lines() {
            let directive = line.split_whitespace().next().unwrap_or("#");
            let marked = !directive.starts_with('#') && line.contains("# yours");
            let line = match marked {
                true => {
                    let (name, replacement) =
                        yours.next().expect("a replacement for each marked line");
                    assert_eq!(directive, *name, "{path:?}: {line}");
                    replacement
                }
                false if line.ends_with("# keepalive") && self.connections == Connections::Kept => {
                    line.trim_start().trim_start_matches('#')
                }
                false => line,
            };
            writeln!(rendered, "{line}").expect("a String takes everything");
        }
        assert_eq!(
            yours.next(),
            None,
            "{path:?} has fewer lines marked # yours"
        );
        rendered
    }
}
