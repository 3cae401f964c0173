//! What is logged, and where.

use std::ffi::OsString;

use super::draft::Draft;
use super::{log_format, other_programs};
use crate::config::directive::Directive;
use crate::config::uwsgi::translation::{Kind, Program, Snippet};

pub(super) fn translate(draft: &mut Draft<'_>) {
    let error_log = destinations(draft);
    requests(draft, error_log);
    encoders(draft);
    log_format::translate(draft);
    addresses(draft);
}

/// Where messages go: to a file, in which uWSGI writes a line for each request, too.
fn destinations<'a>(draft: &mut Draft<'a>) -> Option<&'a Directive> {
    let mut files = Vec::new();
    for directive in draft
        .take("daemonize")
        .into_iter()
        .chain(draft.take("logto"))
    {
        files.push((directive, directive.value.clone().unwrap_or_default()));
    }
    for directive in draft.take("logger") {
        if let Some(path) = logger_file(draft, directive) {
            files.push((directive, path));
        }
    }
    let (directive, path) = files.pop()?;
    // `logto = host:port` sends the log over UDP (core/logging.c).
    if path.contains(':') && !path.contains('/') {
        draft.lost(
            &[directive],
            "scoter logs to standard error or a file; let a collector send it on",
        );
        return None;
    }
    // Python's /dev/null and Docker's /dev/stdout are what uWSGI would open, too.
    if is_standard(&path) {
        draft.nothing_to_do(
            &[directive],
            "messages go to standard error, requests to standard output",
        );
        return None;
    }
    draft.set("error-log", path.clone(), &[directive]);
    draft.set("access-log", path, &[directive]);
    let others: Vec<_> = files.into_iter().map(|(directive, _)| directive).collect();
    if !others.is_empty() {
        let text = format!("{} counts: there is one file", directive.key);
        draft.note(Kind::Mapped, &others, text);
    }
    Some(directive)
}

fn is_standard(path: &str) -> bool {
    let prefixes = ["/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/self/fd/"];
    prefixes.iter().any(|prefix| path.starts_with(prefix))
}

/// The file of `[NAME ]PLUGIN[:ARGUMENTS]` (core/logging.c, create_logpipe; plugins/logfile).
fn logger_file(draft: &mut Draft<'_>, directive: &Directive) -> Option<String> {
    let value = directive.value.as_deref().unwrap_or_default();
    let unnamed = match value.split_once(' ') {
        Some((name, rest)) if !name.contains(':') => rest.trim_start(),
        _ => value,
    };
    let (plugin, arguments) = unnamed.split_once(':').unwrap_or((unnamed, ""));
    match plugin {
        "file" | "logfile" => Some(file_of(arguments).to_owned()),
        "stdio" | "fd" => {
            let text = "messages go to standard error, requests to standard output";
            draft.nothing_to_do(&[directive], text);
            None
        }
        "syslog" | "rsyslog" => {
            let text = "systemd's journal takes the output, and passes it on to syslog";
            draft.elsewhere(&[directive], text, None);
            None
        }
        _ => {
            let text = "log to the standard output, and let a collector such as Vector or Fluent Bit pass \
                        it on";
            draft.lost(&[directive], text);
            None
        }
    }
}

/// A path, or `logfile=PATH,maxsize=…`.
fn file_of(arguments: &str) -> &str {
    let mut pairs = arguments.split(',');
    let named = pairs.find_map(|pair| pair.strip_prefix("logfile="));
    named.unwrap_or(arguments)
}

/// Takes the rules for routing that only keep requests out of the log.
fn not_logged<'a>(draft: &mut Draft<'a>) -> (Vec<&'a Directive>, Vec<OsString>) {
    let mut directives = Vec::new();
    let mut rules = Vec::new();
    for directive in draft.peek_all("route") {
        if let Some(rule) = other_programs::not_logged(directive) {
            draft.remove(directive);
            directives.push(directive);
            rules.push(rule.into());
        }
    }
    (directives, rules)
}

/// Lines for requests: without `disable-logging` all have one, with it those that the options below name.
fn requests(draft: &mut Draft<'_>, error_log: Option<&Directive>) {
    for directive in draft.take("req-logger") {
        if let Some(path) = logger_file(draft, directive) {
            match is_standard(&path) {
                true => draft.set("access-log", "on", &[directive]),
                false => draft.set("access-log", path, &[directive]),
            }
        } else if error_log.is_some() {
            draft.set("access-log", "on", &[directive]);
        }
    }
    let (routes, mut skipped) = not_logged(draft);
    let disable = draft.flag("disable-logging");
    let log_4xx = draft.take_only("log-4xx");
    let log_5xx = draft.take_only("log-5xx");
    let slow = draft.last("log-slow");
    let others = draft.take("log-zero");
    let errors = draft.take("log-ioerror");
    let Some(disable) = disable else {
        let text = "all requests have a line";
        for these in [&log_4xx, &log_5xx, &others, &errors] {
            draft.nothing_to_do(these, text);
        }
        draft.nothing_to_do(&slow.into_iter().collect::<Vec<_>>(), text);
        if !skipped.is_empty() {
            draft.set_all("access-log-skip", skipped, &routes);
        }
        return;
    };
    let is_on = |these: &[&Directive]| {
        let last = these.last();
        last.is_some_and(|it| super::read::is_on(it.value.as_deref()))
    };
    let (keeps_4xx, keeps_5xx) = (is_on(&log_4xx), is_on(&log_5xx));
    let slow = slow.and_then(|it| {
        let milliseconds = draft.number(it).value().filter(|it| *it > 0)?;
        Some((it, milliseconds))
    });
    let named: Vec<_> = log_4xx.iter().chain(&log_5xx).copied().collect();
    if !others.is_empty() {
        draft.lost(
            &others,
            "there is no rule for that: access-log-skip knows paths, statuses and agents",
        );
    }
    draft.nothing_to_do(&errors, "responses that were cut are logged as errors");
    if !keeps_4xx && !keeps_5xx && slow.is_none() {
        draft.nothing_to_do(&named, "it is off");
        draft.nothing_to_do(&routes, "no request has a line");
        draft.set("access-log", "off", &[disable]);
        return;
    }
    let statuses = [
        ("status:1xx", false),
        ("status:2xx", false),
        ("status:3xx", false),
        ("status:4xx", keeps_4xx),
        ("status:5xx", keeps_5xx),
    ];
    let unnamed = statuses.into_iter().filter(|(_, keeps)| !keeps);
    skipped.extend(unnamed.map(|(rule, _)| rule.into()));
    // One directive for each value.
    let mut origin = routes;
    origin.resize(skipped.len(), disable);
    draft.set_all("access-log-skip", skipped, &origin);
    if !named.is_empty() {
        draft.note(
            Kind::Mapped,
            &named,
            "access-log-skip leaves out the other statuses; responses that were cut keep their line",
        );
    }
    if let Some((directive, milliseconds)) = slow {
        draft.set("slow-request", format!("{milliseconds}ms"), &[directive]);
        draft.note(
            Kind::Mapped,
            &[directive],
            "slow requests keep their line, and have a warning while they run",
        );
    }
}

fn encoders(draft: &mut Draft<'_>) {
    for (directive, option) in draft
        .take("log-encoder")
        .into_iter()
        .map(|it| match it.key.contains("req") {
            true => (it, "access-log-format"),
            false => (it, "log-format"),
        })
        .collect::<Vec<_>>()
    {
        let value = directive.value.as_deref().unwrap_or_default();
        let name = value.split([' ', ':']).next().unwrap_or_default();
        match name {
            "json" => {
                draft.set(option, "json", &[directive]);
                let text = "JSON with scoter's own names; json-otel has those of OpenTelemetry";
                draft.note(Kind::Mapped, &[directive], text);
            }
            "nl" => draft.nothing_to_do(&[directive], "each message ends its line"),
            _ => draft.lost(
                &[directive],
                "messages are text or JSON: log-format = \"json\"",
            ),
        }
    }
}

fn addresses(draft: &mut Draft<'_>) {
    if let Some(directive) = draft.flag("log-x-forwarded-for") {
        draft.elsewhere(
            &[directive],
            "nginx then knows the client's address: for the log, for the application and for its own limits",
            Some(Snippet {
                program: Program::Nginx,
                lines: "set_real_ip_from 10.0.0.0/8;  # the proxies before nginx\n\
                        real_ip_header X-Forwarded-For;\n"
                    .to_owned(),
            }),
        );
    }
}
