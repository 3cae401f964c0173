//! Options that have no effect because of others. None of this keeps a server from serving, so it is
//! a warning; a mistake of this kind otherwise shows only when the option is needed.

use std::time::Duration;

use crate::config::error::Written;
use crate::config::opt::OFF;
use crate::config::origin::Origin;
use crate::config::settings::Settings;
use crate::config::table::Options;
use crate::config::values::BufferBody;
use crate::log::{AccessLogTo, LogFormat};
use crate::net::Address;
use crate::request_head::MAX_START_AGE;

impl Settings {
    /// Names every option that was set and cannot do what it is for, with the reason. `options` are
    /// the values of these settings.
    pub(crate) fn without_effect(&self, options: &Options) -> Vec<String> {
        let request_timeout = options.request_timeout.map(|span| span.0);
        let is_at_least = |span: Option<Duration>, limit: Option<Duration>| matches!((span, limit), (Some(span), Some(limit)) if span >= limit);
        let keeps_none = options.keep_alive == 0;
        let recycles = options.max_requests.is_some() || options.max_lifetime.is_some();
        let never_larger = options
            .max_body
            .is_some_and(|max| max <= options.body_buffer);
        [
            (
                "slow-request",
                is_at_least(options.slow_request.map(|span| span.0), request_timeout),
                "--request-timeout ends requests before they are that slow: set it to less",
            ),
            (
                "queue-timeout",
                is_at_least(options.queue_timeout.map(|span| span.0), Some(MAX_START_AGE)),
                "time stamps of nginx that are more than ten minutes old are ignored: set it to less",
            ),
            (
                "request-grace",
                request_timeout.is_none(),
                "it begins after --request-timeout, which is off",
            ),
            (
                "keep-alive-requests",
                keeps_none,
                "--keep-alive 0 keeps no connections",
            ),
            (
                "keep-alive-timeout",
                keeps_none,
                "--keep-alive 0 keeps no connections",
            ),
            (
                "keep-alive",
                !keeps_none && options.keep_alive_requests == 1,
                "--keep-alive-requests 1 closes every connection after its first request",
            ),
            (
                "recycle-jitter",
                !recycles,
                "it lengthens --max-requests and --max-lifetime, and both are off",
            ),
            (
                "buffer-body",
                options.buffer_body == BufferBody::All && never_larger,
                "no body is larger than --body-buffer, because --max-body is not",
            ),
            (
                "uwsgi-opt",
                !options.uwsgi_module,
                "--uwsgi-module, whose uwsgi.opt it is for, is off",
            ),
            (
                "metrics-allow",
                !options.readers().any(|(_, address)| matches!(address, Address::Tcp(_))),
                "neither --metrics nor --uwsgi-stats names a TCP address",
            ),
            (
                "access-log-format",
                options.access_log == AccessLogTo::Off,
                ACCESS_LOG_IS_OFF,
            ),
            (
                "log-application",
                options.log_format != LogFormat::Json,
                "--log-format is not json",
            ),
            (
                "access-log-skip",
                options.access_log == AccessLogTo::Off,
                ACCESS_LOG_IS_OFF,
            ),
            (
                "access-log-sample",
                options.access_log == AccessLogTo::Off,
                ACCESS_LOG_IS_OFF,
            ),
        ]
        .into_iter()
        .filter(|(_, is_useless, _)| *is_useless)
        .filter_map(|(name, _, reason)| Some((self.written(name)?, reason)))
        .map(|(written, reason)| format!("{written}: has no effect: {reason}"))
        .collect()
    }

    /// An option as it was written, unless it has its default value.
    fn written(&self, name: &str) -> Option<Written> {
        let setting = self.get(name);
        if setting.origin == Origin::Default || setting.texts == setting.opt.default_texts() {
            return None;
        }
        let text = setting.texts.first().filter(|text| *text != OFF)?;
        Some(Written::new(
            setting.opt,
            0,
            &text.to_string_lossy(),
            &setting.origin,
        ))
    }
}

const ACCESS_LOG_IS_OFF: &str = "--access-log is off";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn without_effect(arguments: &[&str]) -> Vec<String> {
        let arguments = [&["app"], arguments].concat();
        let settings = Settings::of(&arguments, &[], Path::new("/")).unwrap();
        settings.without_effect(&settings.options().unwrap())
    }

    #[test]
    fn options_that_another_one_defeats_are_named() {
        for (arguments, expected) in [
            (
                &["--slow-request=5m", "--request-timeout=1s"][..],
                "--slow-request 5m",
            ),
            (
                &["--slow-request=1s", "--request-timeout=1s"],
                "--slow-request 1s",
            ),
            (&["--queue-timeout=10m"], "--queue-timeout 10m"),
            (&["--request-grace=5s"], "--request-grace 5s"),
            (
                &["--keep-alive=0", "--keep-alive-requests=9"],
                "--keep-alive-requests 9",
            ),
            (
                &["--keep-alive=0", "--keep-alive-timeout=9"],
                "--keep-alive-timeout 9",
            ),
            (
                &["--keep-alive=9", "--keep-alive-requests=1"],
                "--keep-alive 9",
            ),
            (&["--metrics-allow=::1"], "--metrics-allow ::1"),
            (
                &["--uwsgi-stats=unix:/s", "--metrics-allow=::1"],
                "--metrics-allow ::1",
            ),
            (
                &["--metrics=unix:/m", "--metrics-allow=::1"],
                "--metrics-allow ::1",
            ),
            (&["--recycle-jitter=20%"], "--recycle-jitter 20%"),
            (&["--buffer-body=all", "--max-body=1M"], "--buffer-body all"),
            (
                &["--access-log=off", "--access-log-format=json"],
                "--access-log-format json",
            ),
            (&["--uwsgi-opt=a=1"], "--uwsgi-opt a=1"),
            (&["--log-application=all"], "--log-application all"),
            (
                &["--access-log=off", "--access-log-skip=path:/health"],
                "--access-log-skip path:/health",
            ),
            (
                &["--access-log=off", "--access-log-sample=10%"],
                "--access-log-sample 10%",
            ),
        ] {
            let found = without_effect(arguments);
            assert_eq!(found.len(), 1, "{arguments:?}: {found:?}");
            let expected = format!("{expected}: has no effect: ");
            assert!(found[0].starts_with(&expected), "{arguments:?}: {found:?}");
        }
    }

    #[test]
    fn options_that_have_an_effect_are_not_named() {
        for arguments in [
            &[][..],
            &["--slow-request=1s"],
            &[
                "--slow-request=999ms",
                "--request-timeout=1s",
                "--request-grace=5s",
            ],
            &["--queue-timeout=9m"],
            &["--keep-alive=0"],
            &["--keep-alive-requests=1"],
            &["--keep-alive-timeout=9", "--keep-alive-requests=9"],
            &["--recycle-jitter=20%", "--max-requests=9"],
            &["--recycle-jitter=20%", "--max-lifetime=1h"],
            &["--buffer-body=all", "--max-body=2M"],
            &["--buffer-body=auto", "--max-body=1M"],
            &["--access-log=off", "--access-log-format=combined"],
            &["--access-log=off", "--access-log-sample=off"],
            &["--uwsgi-stats=http://127.0.0.1:0", "--metrics-allow=::1"],
            &["--log-application=off"],
            &["--log-format=json", "--log-application=stderr"],
            &["--access-log-skip=path:/health", "--access-log-sample=10%"],
            // The default, written down.
            &["--access-log=off", "--request-grace=10s"],
        ] {
            assert_eq!(without_effect(arguments), [""; 0], "{arguments:?}");
        }
    }

    #[test]
    fn place_is_named() {
        let variables = [("SCOTER_REQUEST_GRACE", "5s")];
        let settings = Settings::of(&["app"], &variables, Path::new("/")).unwrap();
        assert_eq!(
            settings.without_effect(&settings.options().unwrap()),
            [
                "SCOTER_REQUEST_GRACE=5s: has no effect: it begins after --request-timeout, which is off"
            ]
        );
    }
}
