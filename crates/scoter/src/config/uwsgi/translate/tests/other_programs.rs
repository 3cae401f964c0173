use super::*;
use crate::config::uwsgi::translation::{Program, Snippet};

/// The lines for other programs, with their file.
fn snippets(lines: &str) -> Vec<(String, String)> {
    let translation = translated(lines);
    let notes = translation.notes.into_iter();
    notes
        .flat_map(|note| match note.kind {
            Kind::Elsewhere(snippets) => snippets,
            _ => Vec::new(),
        })
        .map(|Snippet { program, lines }| {
            let file = match program {
                Program::Nginx => "nginx".to_owned(),
                Program::Unit => "unit".to_owned(),
                Program::OwnUnit(name) => name,
            };
            (file, lines)
        })
        .collect()
}

#[test]
fn lines_for_other_programs() {
    for (lines, expected) in [
        (
            "static-map = /static=/srv/static",
            &[("nginx", "location /static/ {\n    alias /srv/static/;\n}\n")][..],
        ),
        (
            "chdir = /srv\nstatic-map = /static=public",
            &[("nginx", "location /static/ {\n    alias /srv/public/;\n}\n")],
        ),
        (
            "cron = 59 2 -1 -1 -1 date >> log",
            &[
                (
                    "cron-1.service",
                    "[Service]\nType=oneshot\nExecStart=/bin/sh -c \"date >> log\"\n",
                ),
                (
                    "cron-1.timer",
                    "[Timer]\nOnCalendar=*-*-* 02:59:00\n\n[Install]\nWantedBy=timers.target\n",
                ),
            ],
        ),
        (
            "attach-daemon = celery -A shop worker\nuid = www-data\nchdir = /srv/shop",
            &[(
                "daemon-1.service",
                "[Unit]\nPartOf=scoter.service\n\n[Service]\nType=exec\nUser=www-data\n\
                 WorkingDirectory=/srv/shop\nExecStart=/bin/sh -c \"celery -A shop worker\"\n\
                 Restart=always\n\n[Install]\nWantedBy=scoter.service\n",
            )],
        ),
        (
            "exec-pre-app = python manage.py migrate",
            &[(
                "unit",
                "ExecStartPre=/bin/sh -c \"python manage.py migrate\"\n",
            )],
        ),
        (
            "hook-pre-app = exec:./wait",
            &[("unit", "ExecStartPre=/bin/sh -c \"./wait\"\n")],
        ),
        ("hook-pre-app = mount:proc none /proc", &[]),
    ] {
        let found = snippets(lines);
        let found: Vec<_> = found
            .iter()
            .map(|(file, text)| (&**file, &**text))
            .collect();
        assert_eq!(found, expected, "{lines}");
    }
    assert_eq!(snippets("log-x-forwarded-for = true").len(), 1);
    assert_eq!(
        snippets("smart-attach-daemon = /tmp/a.pid memcached -d").len(),
        1
    );
    assert_eq!(
        snippets("attach-daemon2 = cmd=redis-server,freq=3").len(),
        1
    );
}

#[test]
fn plugins_are_needless_or_another_language() {
    for (line, is_lost) in [
        ("plugins = python3", false),
        ("plugin = http,python", false),
        ("plugins = router_uwsgi", false),
        ("plugins = php", true),
        ("plugin = python,cgi", true),
        ("plugins = php7", true),
        ("plugins = psgi5.36", true),
        ("plugins = phpstorm", false),
    ] {
        assert_eq!(kind_of(line) == Some(Kind::Lost), is_lost, "{line}");
    }
}

#[test]
fn variables_and_mounts() {
    for (lines, expected) in [
        ("env = A=1\nenv = B=x=y", "env = A=1, B=x=y"),
        (
            "mount = /a=shop:app\nmount = /b/=b.py\nmanage-script-name",
            "mount = /a=shop:app, /b=b.py:application",
        ),
    ] {
        let found = settings(&translated(lines));
        assert!(found.contains(&expected.to_owned()), "{lines}: {found:?}");
    }
}

#[test]
fn recycling_requests_and_statistics() {
    for (lines, name, expected) in [
        ("harakiri = 30", "request-timeout", "30s"),
        ("max-requests = 1000", "max-requests", "1000"),
        ("reload-on-rss = 512 # mb", "max-rss", "512M"),
        ("max-worker-lifetime = 3600", "max-lifetime", "3600s"),
        ("worker-reload-mercy = 60", "graceful-timeout", "60s"),
        ("limit-post = 1048576", "max-body", "1048576"),
        ("listen = 512", "backlog", "512"),
        ("stats = 127.0.0.1:9191", "uwsgi-stats", "127.0.0.1:9191"),
        (
            "stats = /tmp/stats.sock",
            "uwsgi-stats",
            "unix:/tmp/stats.sock",
        ),
    ] {
        assert_eq!(value(lines, name).as_deref(), Some(expected), "{lines}");
    }
}
