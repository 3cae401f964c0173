use super::*;

/// The settings about logs.
fn logs(lines: &str) -> Vec<String> {
    let names = ["access-log", "error-log", "log-format", "slow-request"];
    let about = |line: &String| names.iter().any(|name| line.starts_with(name));
    settings(&translated(lines))
        .into_iter()
        .filter(about)
        .collect()
}

#[test]
fn lines_for_requests() {
    let unless_4xx = "access-log-skip = status:1xx, status:2xx, status:3xx, status:5xx";
    for (lines, expected) in [
        ("log-4xx = true", &[][..]),
        ("disable-logging", &["access-log = off"]),
        ("disable-logging = true", &["access-log = off"]),
        ("disable-logging = false", &[]),
        ("disable-logging\nlog-ioerror = true", &["access-log = off"]),
        ("disable-logging\nlog-4xx = false", &["access-log = off"]),
        ("disable-logging\nlog-4xx = true", &[unless_4xx]),
        (
            "disable-logging\nlog-4xx = true\nlog-5xx = true",
            &["access-log-skip = status:1xx, status:2xx, status:3xx"],
        ),
        (
            "disable-logging\nlog-slow = 2500",
            &[
                "access-log-skip = status:1xx, status:2xx, status:3xx, status:4xx, status:5xx",
                "slow-request = 2500ms",
            ],
        ),
        (
            "req-logger = file:/var/log/r.log",
            &["access-log = /var/log/r.log"],
        ),
        ("req-logger = stdio", &[]),
        ("logger = mine stdio", &[]),
        ("log-encoder = json", &["log-format = json"]),
        ("log-req-encoder = json {}", &["access-log-format = json"]),
    ] {
        assert_eq!(logs(lines), expected, "{lines}");
    }
}

#[test]
fn messages_and_requests_share_a_file() {
    let both = |path: &str| {
        vec![
            format!("access-log = {path}"),
            format!("error-log = {path}"),
        ]
    };
    for (lines, path) in [
        ("logto = /var/log/a.log", "/var/log/a.log"),
        ("logto2 = /var/log/a.log", "/var/log/a.log"),
        ("daemonize = /var/log/a.log", "/var/log/a.log"),
        ("logger = file:/var/log/a.log", "/var/log/a.log"),
        (
            "logger = file:logfile=/var/log/a.log,maxsize=100000",
            "/var/log/a.log",
        ),
        ("logger = mine file:/var/log/a.log", "/var/log/a.log"),
    ] {
        assert_eq!(logs(lines), both(path), "{lines}");
    }
    assert!(logs("logto = /dev/stdout").is_empty());
    assert_eq!(
        logs("logto = /var/log/a.log\ndisable-logging"),
        ["access-log = off", "error-log = /var/log/a.log"]
    );
    assert_eq!(
        logs("logto = /var/log/a.log\nreq-logger = file:/var/log/r.log"),
        ["access-log = /var/log/r.log", "error-log = /var/log/a.log"]
    );
    assert_eq!(kind_of("logto = 192.0.2.1:1717"), Some(Kind::Lost));
    assert_eq!(
        kind_of("logger = syslog:shop"),
        Some(Kind::Elsewhere(Vec::new()))
    );
}

#[test]
fn requests_that_routes_leave_out() {
    for (line, expected) in [
        (
            "route = ^/healthz donotlog:",
            Some("access-log-skip = path:/healthz* all"),
        ),
        (
            "route = ^/healthz$ donotlog:",
            Some("access-log-skip = path:/healthz all"),
        ),
        (
            "route-uri = /ping donotlog:",
            Some("access-log-skip = path:*/ping* all"),
        ),
        (
            "route-user-agent = ^kube-probe donotlog:",
            Some("access-log-skip = agent:kube-probe* all"),
        ),
        // Expressions of which a pattern of ours says something else.
        ("route = ^/(a|b) donotlog:", None),
        ("route = ^/admin break:403", None),
        ("route-host = ^a$ donotlog:", None),
    ] {
        assert_eq!(logs(line), Vec::from_iter(expected), "{line}");
    }
    assert_eq!(
        logs("route = ^/health donotlog:\ndisable-logging\nlog-5xx = true"),
        ["access-log-skip = path:/health* all, status:1xx, status:2xx, status:3xx, status:4xx"]
    );
}

#[test]
fn every_rule_is_one_of_ours() {
    let translation = translated(
        "route = ^/health donotlog:\nroute-user-agent = probe donotlog:\ndisable-logging\nlog-slow = 5\nlog-5xx = 1",
    );
    for setting in &translation.settings {
        let rules = setting
            .texts
            .iter()
            .filter(|_| setting.opt.name == "access-log-skip");
        for rule in rules {
            let parsed = rule.to_string_lossy().parse::<crate::log::SkipRule>();
            assert!(parsed.is_ok(), "{rule:?}: {parsed:?}");
        }
    }
}
