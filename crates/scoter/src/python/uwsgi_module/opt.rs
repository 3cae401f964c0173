//! What `uwsgi.opt` says: uWSGI's names for what the server does.

use std::path::Path;

use super::most_workers;
use crate::config::{Options, Source, Target};
use crate::net::Address;

/// An option of uWSGI; without a value it is a flag.
pub(super) type Entry = (String, Option<String>);

/// The server's own options in uWSGI's words. Libraries (Sentry, ddtrace, OpenTelemetry, New Relic)
/// look there whether threads run, who forks and when the application is imported.
pub(super) fn entries(options: &Options, has_master: bool) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut flag = |name: &str| entries.push((name.to_owned(), None));
    // Python's threads run and os.fork() runs all hooks, always.
    flag("enable-threads");
    flag("py-call-osafterfork");
    flag("py-call-uwsgi-fork-hooks");
    flag("single-interpreter");
    // There is no server without an application, and TERM stops it.
    flag("need-app");
    flag("die-on-term");
    if has_master {
        flag("master");
    }
    if !options.preload {
        flag("lazy-apps");
    }
    let mut value = |name: &str, value: String| entries.push((name.to_owned(), Some(value)));
    value("processes", most_workers(options).to_string());
    value("threads", options.threads.to_string());
    for address in &options.bind {
        value("socket", socket(address));
    }
    value("listen", options.backlog.to_string());
    match &options.app {
        Some(Target::Code(code)) => {
            match &code.source {
                Source::Module(module) => value("module", module.clone()),
                Source::File(file) => value("wsgi-file", text(file)),
            }
            if let Some(callable) = &code.callable {
                value("callable", callable.clone());
            }
        }
        Some(Target::Deployment(deployment)) => value("paste", deployment.to_string()),
        None => {}
    }
    for mount in &options.mount {
        value("mount", format!("{}={}", mount.prefix.as_str(), mount.app));
    }
    if let Some(path) = &options.chdir {
        value("chdir", text(path));
    }
    for path in &options.pythonpath {
        value("pythonpath", text(path));
    }
    if let Some(timeout) = options.request_timeout {
        value("harakiri", timeout.0.as_secs_f64().ceil().to_string());
    }
    if let Some(number) = options.max_requests {
        value("max-requests", number.to_string());
    }
    entries
}

/// The entries of `--uwsgi-opt`, in their order.
pub(super) fn given(options: &Options) -> Vec<Entry> {
    let given = options.uwsgi_opt.iter();
    given
        .map(|opt| (opt.key.clone(), opt.value.clone()))
        .collect()
}

/// An address as uWSGI writes it.
fn socket(address: &Address) -> String {
    let address = address.to_string();
    let path = address.strip_prefix("unix:");
    path.map_or_else(|| address.clone(), str::to_owned)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Arguments, Settings};

    fn options(arguments: &[&str]) -> Options {
        let arguments = ["scoter", "shop:app"].iter().chain(arguments);
        let arguments: Vec<_> = arguments.map(Into::into).collect();
        let settings = Settings::with(&Arguments::parse(&arguments).unwrap()).unwrap();
        settings.options().unwrap()
    }

    #[test]
    fn options_have_uwsgis_names() {
        for (arguments, expected) in [
            (&[][..], ("threads", Some("4"))),
            (&["--threads=1"], ("threads", Some("1"))),
            (&[], ("enable-threads", None)),
            (&[], ("module", Some("shop"))),
            (&[], ("callable", Some("app"))),
            (&[], ("lazy-apps", None)),
            (&["--workers=2..8"], ("processes", Some("8"))),
            (&["--bind=unix:/run/s"], ("socket", Some("/run/s"))),
            (&["--bind=unix:@s"], ("socket", Some("@s"))),
            (&["--bind=127.0.0.1:1"], ("socket", Some("127.0.0.1:1"))),
            (&["--request-timeout=1500ms"], ("harakiri", Some("2"))),
            (&["--max-requests=7"], ("max-requests", Some("7"))),
        ] {
            let entries = entries(&options(arguments), true);
            let (key, value) = expected;
            let expected = (key.to_owned(), value.map(str::to_owned));
            assert!(entries.contains(&expected), "{arguments:?}: {entries:?}");
        }
    }

    #[test]
    fn preloaded_application_is_not_lazy() {
        let entries = entries(&options(&["--preload"]), false);
        let has = |name: &str| entries.iter().any(|(key, _)| key == name);
        assert!(!has("lazy-apps") && !has("master") && has("threads"));
    }

    #[test]
    fn given_entries_keep_their_order_and_kind() {
        let options = options(&["--uwsgi-opt=a=1", "--uwsgi-opt=b", "--uwsgi-opt=a=x=y"]);
        let entry = |key: &str, value: Option<&str>| (key.to_owned(), value.map(str::to_owned));
        assert_eq!(
            given(&options),
            [
                entry("a", Some("1")),
                entry("b", None),
                entry("a", Some("x=y"))
            ]
        );
    }
}
