//! Advice for applications that import modules that exist only inside uWSGI.

/// The advice if the missing module is one of uWSGI's, on a line of its own.
pub(super) fn advice(module: &str) -> Option<String> {
    let package = module.split('.').next().unwrap_or(module);
    if !MODULES.contains(&package) {
        return None;
    }
    let replaced: Vec<_> = REPLACED
        .iter()
        .map(|(theirs, ours)| format!("{ours} for {theirs}"))
        .collect();
    Some(format!(
        "\nhint: the module {package} exists only inside uWSGI. --uwsgi-module gives the \
         application one, without spooler, mules, caches and RPC: docs/uwsgi-module.md says what \
         it has. An application for scoter alone has {}",
        replaced.join(", ")
    ))
}

/// What uWSGI's own Python has.
const MODULES: [&str; 2] = ["uwsgi", "uwsgidecorators"];

/// What is most used of them, and what takes its place.
const REPLACED: [(&str, &str); 5] = [
    ("uwsgi.worker_id()", "scoter.worker_id()"),
    ("uwsgidecorators.postfork", "@scoter.hooks.post_fork"),
    ("uwsgi.atexit", "@scoter.hooks.on_worker_exit"),
    ("uwsgi.reload()", "the command scoter reload"),
    ("uwsgi.workers()", "scoter status --json"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_of_uwsgi_are_known() {
        for (module, is_known) in [
            ("uwsgi", true),
            ("uwsgidecorators", true),
            ("uwsgi.cache", true),
            ("uwsgi_tools", false),
            ("flask", false),
        ] {
            assert_eq!(advice(module).is_some(), is_known, "{module}");
        }
    }
}
