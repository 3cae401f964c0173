//! What other programs do in place of the server, with the lines that make them do it.

use std::fmt::Write;

use super::calendar::{Schedule, cron, cron2};
use super::draft::Draft;
use crate::config::directive::Directive;
use crate::config::uwsgi::translation::{Kind, Program, Snippet};

pub(super) fn translate(draft: &mut Draft<'_>) {
    static_files(draft);
    timers(draft);
    daemons(draft);
    commands_before_the_start(draft);
    plugins(draft);
}

/// `static-map = /static=/srv/static`: nginx has the files at hand, and can cache and compress them.
fn static_files(draft: &mut Draft<'_>) {
    // `static-map2` keeps the prefix in the path of the file (core/static.c).
    for (name, keeps_prefix) in [("static-map", false), ("static-map2", true)] {
        for directive in draft.take_only(name) {
            let value = directive.value.as_deref().unwrap_or_default();
            let Some((prefix, folder)) = value.split_once('=') else {
                draft.lost(
                    &[directive],
                    "expected /prefix=/folder: uWSGI serves nothing for it",
                );
                continue;
            };
            let lines = location(prefix, &draft.below_chdir(folder), keeps_prefix);
            let program = Program::Nginx;
            let text = "nginx serves the files: put the location beside that of uwsgi_pass";
            draft.elsewhere(&[directive], text, Some(Snippet { program, lines }));
        }
    }
}

fn location(prefix: &str, folder: &str, keeps_prefix: bool) -> String {
    let prefix = prefix.trim_end_matches('/');
    let folder = folder.trim_end_matches('/');
    let is_file = |path: &str| {
        path.rsplit('/')
            .next()
            .is_some_and(|name| name.contains('.'))
    };
    // ngx_http_core_module, `alias`: it takes the place of what the location matches.
    if !keeps_prefix && is_file(prefix) && is_file(folder) {
        return format!("location = {prefix} {{\n    alias {folder};\n}}\n");
    }
    let (directive, end) = if keeps_prefix {
        ("root", "")
    } else {
        ("alias", "/")
    };
    format!("location {prefix}/ {{\n    {directive} {folder}{end};\n}}\n")
}

/// `cron = 59 2 -1 -1 -1 command`: a service that runs once, and a timer for it.
fn timers(draft: &mut Draft<'_>) {
    let mut number = 0;
    for name in ["cron", "cron2", "unique-cron"] {
        for directive in draft.take_only(name) {
            let value = directive.value.as_deref().unwrap_or_default();
            let read = match name {
                "cron2" => cron2(value),
                _ => cron(value),
            };
            let Some((calendar, command)) = read
                .and_then(|(schedule, command)| Some((Schedule::on_calendar(schedule)?, command)))
            else {
                let text = "expected minute, hour, day, month, day of the week and a command: uWSGI never runs \
                            this";
                draft.note(Kind::NothingToDo, &[directive], text);
                continue;
            };
            number += 1;
            let service = format!(
                "{}ExecStart={}\n",
                service_head(draft, "oneshot"),
                shell(command)
            );
            let timer = calendar
                .iter()
                .fold("[Timer]\n".to_owned(), |mut lines, elapses| {
                    let _ = writeln!(lines, "OnCalendar={elapses}");
                    lines
                });
            let timer = format!("{timer}\n[Install]\nWantedBy=timers.target\n");
            let text = format!(
                "a timer of systemd runs it, on each machine: systemctl enable --now cron-{number}.timer"
            );
            let files = [("service", service), ("timer", timer)];
            let snippets = files.map(|(ending, lines)| Snippet {
                program: Program::OwnUnit(format!("cron-{number}.{ending}")),
                lines,
            });
            draft.elsewhere_in_files(&[directive], text, snippets.into());
        }
    }
}

/// `attach-daemon = celery …`: a service that starts and stops with the server's.
fn daemons(draft: &mut Draft<'_>) {
    let names = [
        "attach-daemon",
        "smart-attach-daemon",
        "attach-daemon2",
        "smart-attach-daemon2",
    ];
    let mut number = 0;
    for name in names {
        for directive in draft.take_only(name) {
            let value = directive.value.as_deref().unwrap_or_default();
            let command = match (name.ends_with('2'), name.starts_with("smart")) {
                // `cmd=…,pidfile=…` (core/daemons.c).
                (true, _) => value.split(',').find_map(|pair| pair.strip_prefix("cmd=")),
                // The PID file comes first.
                (false, true) => value
                    .split_once(' ')
                    .map(|(_, command)| command.trim_start()),
                (false, false) => Some(value),
            };
            let Some(command) = command.filter(|command| !command.is_empty()) else {
                draft.note(Kind::NothingToDo, &[directive], "there is no command in it");
                continue;
            };
            number += 1;
            let lines = format!(
                "[Unit]\nPartOf=scoter.service\n\n{}ExecStart={}\nRestart=always\n\n[Install]\n\
                 WantedBy=scoter.service\n",
                service_head(draft, "exec"),
                shell(command)
            );
            let program = Program::OwnUnit(format!("daemon-{number}.service"));
            let text = format!(
                "a service of its own, that starts and stops with the server's: systemctl enable \
                 daemon-{number}.service"
            );
            draft.elsewhere(&[directive], text, Some(Snippet { program, lines }));
        }
    }
}

/// `exec-pre-app = command`, `hook-pre-app = exec:command`: before the application is loaded.
fn commands_before_the_start(draft: &mut Draft<'_>) {
    for name in ["exec-asap", "exec-pre-app", "hook-asap", "hook-pre-app"] {
        for directive in draft.take_only(name) {
            let value = directive.value.as_deref().unwrap_or_default();
            let command = match name.starts_with("hook") {
                true => value.strip_prefix("exec:"),
                false => Some(value),
            };
            let text = "run it before the server: in the unit, or in the entrypoint of the image";
            let snippet = command.map(|command| Snippet {
                program: Program::Unit,
                lines: format!("ExecStartPre={}\n", shell(command)),
            });
            draft.elsewhere(&[directive], text, snippet);
        }
    }
}

/// Plugins that make uWSGI serve something else than Python.
fn plugins(draft: &mut Draft<'_>) {
    for directive in draft.peek_all("plugins") {
        let value = directive.value.as_deref().unwrap_or_default();
        let mut names = value
            .split(',')
            .map(|name| name.trim().trim_start_matches("0:"));
        let other = names.find(|name| LANGUAGES.iter().any(|other| is_version_of(name, other)));
        if let Some(other) = other {
            draft.remove(directive);
            let text = format!("scoter serves Python alone: {other} needs a server of its own");
            draft.lost(&[directive], text);
        }
    }
}

/// `php7` and `psgi5.36` are PHP and Perl.
fn is_version_of(name: &str, language: &str) -> bool {
    let version = name.strip_prefix(language);
    version.is_some_and(|it| {
        it.chars()
            .all(|it| it.is_ascii_digit() || ".-_".contains(it))
    })
}

/// Plugins for programs in other languages, by their names in uWSGI's folder `plugins`.
const LANGUAGES: [&str; 14] = [
    "cgi", "gccgo", "jvm", "jwsgi", "lua", "mono", "perl", "php", "psgi", "rack", "ruby", "ring",
    "v8", "xslt",
];

fn service_head(draft: &Draft<'_>, kind: &str) -> String {
    let mut lines = format!("[Service]\nType={kind}\n");
    for (name, key) in [
        ("uid", "User"),
        ("gid", "Group"),
        ("chdir", "WorkingDirectory"),
    ] {
        let value = draft.peek(name).and_then(|it| it.value.as_deref());
        if let Some(value) = value {
            let _ = writeln!(lines, "{key}={}", value.replace('%', "%%"));
        }
    }
    lines
}

/// A command of a shell as a line of a unit, in which `%` and `$` have a meaning (systemd.service(5), "Command
/// lines").
fn shell(command: &str) -> String {
    let mut escaped = String::new();
    for letter in command.chars() {
        match letter {
            '\\' | '"' => escaped.extend(['\\', letter]),
            '%' | '$' => escaped.extend([letter, letter]),
            _ => escaped.push(letter),
        }
    }
    format!("/bin/sh -c \"{escaped}\"")
}

/// The folder or file that a directive names as an argument of a rule that leaves requests out of the log, as a
/// rule of `access-log-skip`: `^/health donotlog:` (plugins/router_basicauth and core/routing.c).
pub(super) fn not_logged(directive: &Directive) -> Option<String> {
    let kind = match directive.key.as_str() {
        "route" | "route-uri" => "path",
        "route-user-agent" => "agent",
        _ => return None,
    };
    let value = directive.value.as_deref()?;
    let (expression, action) = value.split_once(' ')?;
    if action.trim() != "donotlog:" {
        return None;
    }
    let text = |expression: &str| {
        // What these mean depends on what stands around them; a `.` rarely does.
        let has_meaning = |letter| "\\[](){}|*+?^$".contains(letter);
        (!expression.is_empty() && !expression.contains(has_meaning)).then(|| expression.to_owned())
    };
    let (before, expression) = match expression.strip_prefix('^') {
        Some(expression) => ("", expression),
        None => ("*", expression),
    };
    let (expression, after) = match expression.strip_suffix('$') {
        Some(expression) => (expression, ""),
        None => (expression, "*"),
    };
    Some(format!("{kind}:{before}{}{after} all", text(expression)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations() {
        for (prefix, folder, keeps_prefix, expected) in [
            (
                "/static",
                "/srv/static",
                false,
                "location /static/ {\n    alias /srv/static/;\n}\n",
            ),
            (
                "/static/",
                "/srv/static/",
                false,
                "location /static/ {\n    alias /srv/static/;\n}\n",
            ),
            (
                "/",
                "/srv/www",
                false,
                "location / {\n    alias /srv/www/;\n}\n",
            ),
            (
                "/favicon.ico",
                "/srv/favicon.ico",
                false,
                "location = /favicon.ico {\n    alias /srv/favicon.ico;\n}\n",
            ),
            (
                "/img",
                "/srv/www",
                true,
                "location /img/ {\n    root /srv/www;\n}\n",
            ),
        ] {
            assert_eq!(location(prefix, folder, keeps_prefix), expected);
        }
    }

    #[test]
    fn commands_keep_their_meaning() {
        for (command, expected) in [
            ("date >> log", r#"/bin/sh -c "date >> log""#),
            (
                r#"echo "100%" $HOME"#,
                r#"/bin/sh -c "echo \"100%%\" $$HOME""#,
            ),
            (r"printf '\n'", r#"/bin/sh -c "printf '\\n'""#),
        ] {
            assert_eq!(shell(command), expected);
        }
    }
}
