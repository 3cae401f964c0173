//! Options that `--no-master` excludes.

use crate::config::error::{ConfigError, Problem, Written};
use crate::config::opt::OFF;
use crate::config::origin::Origin;
use crate::config::settings::Settings;

/// Options that need the master process.
const NEED_IT: [&str; 14] = [
    "preload",
    "workers",
    "pid-file",
    "reload-on-touch",
    "control",
    "metrics",
    "metrics-allow",
    "uwsgi-stats",
    "start-timeout",
    "drain-delay",
    "max-requests",
    "max-lifetime",
    "max-rss",
    "recycle-jitter",
];

/// Refuses options that would silently do nothing. Turning one of them off, or asking for one
/// worker, does not contradict `--no-master`.
pub(in crate::config) fn refuse_what_needs_it(settings: &Settings) -> Result<(), ConfigError> {
    let problems: Vec<_> = NEED_IT
        .into_iter()
        .map(|name| settings.get(name))
        .filter(|setting| setting.origin != Origin::Default)
        .filter(|setting| setting.texts != setting.opt.default_texts())
        .filter_map(|setting| Some((setting, setting.texts.first()?)))
        .filter(|(setting, text)| *text != OFF && !(setting.opt.name == "workers" && *text == "1"))
        .map(|(setting, text)| Problem::NeedsMaster {
            written: Written::new(setting.opt, 0, &text.to_string_lossy(), &setting.origin),
        })
        .collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(ConfigError::Problems(problems))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn options_that_need_the_master_are_refused_without_it() {
        for (argument, is_fine) in [
            ("--threads=8", true),
            ("--request-timeout=30s", true),
            ("--workers=auto", true),
            ("--workers=1", true),
            ("--preload=false", true),
            ("--control=off", true),
            ("--max-requests=off", true),
            ("--workers=2", false),
            ("--workers=1..2", false),
            ("--preload", false),
            ("--max-requests=100", false),
            ("--max-lifetime=1h", false),
            ("--max-rss=1G", false),
            ("--recycle-jitter=20%", false),
            ("--reload-on-touch=/a", false),
            ("--control=/a", false),
            ("--metrics=off", true),
            ("--metrics=127.0.0.1:0", false),
            ("--uwsgi-stats=127.0.0.1:0", false),
        ] {
            let arguments = ["app", "--no-master", argument];
            let settings = Settings::of(&arguments, &[], Path::new("/")).unwrap();
            let options = settings.options().map_err(|error| error.to_string());
            assert_eq!(options.is_ok(), is_fine, "{argument}");
            if let Err(error) = options {
                assert!(error.ends_with(": needs the master process, which --no-master disables"));
            }
            let arguments = ["app", argument];
            let settings = Settings::of(&arguments, &[], Path::new("/")).unwrap();
            assert!(settings.options().is_ok(), "{argument}");
        }
    }
}
