//! The table of all options.

use std::path::PathBuf;

use ipnet::IpNet;

use super::env_var::EnvVar;
use super::error::Problem;
use super::from_text::FromText;
use super::mount::Mount;
use super::opt::{Arity, Change, Opt, dashed, options};
use super::read::{Reader, within};
use super::settings::Settings;
use super::target::Target;
use super::units::{Percent, Size, Span};
use super::values::{
    BufferBody, LogApplication, MaxRss, Mode, ServerName, UriPath, UwsgiOpt, Workers,
};
use crate::control::{ControlLocation, MetricsAddress, UwsgiStatsAddress};
use crate::log::{AccessLogFormat, AccessLogTo, LogFormat, LogLevel, SampleRate, SkipRule};
use crate::net::Address;

options! {
    "Sockets" {
        bind: many Address, "ADDRESS", restart,
            "Listen on unix:/path, unix:@abstract, host:port or fd://N (repeatable)";
        socket_mode: one Mode = "660", "MODE", restart,
            "Unix socket permissions, octal";
        socket_owner: maybe String, "USER", restart,
            "Unix socket owner, name or number; default: the user scoter starts as";
        socket_group: maybe String, "GROUP", restart,
            "Unix socket group, name or number; default: the group scoter starts as";
        backlog: one u32 [1..=i32::MAX.unsigned_abs()] = "1024", "N", restart,
            "Maximum connections waiting in the kernel, capped by net.core.somaxconn";
        allow: many IpNet, "CIDR", reload,
            "Network allowed to connect over TCP, besides this machine (repeatable)";
    }
    "Application" {
        app: maybe Target, "APP", reload,
            "module[:callable], path/to/file.py[:callable] or config:file.ini[#name]; callable: application, else app";
        factory: flag bool, "", reload,
            "Call each callable once, without arguments, to get the application; for one: callable()";
        mount: pairs Mount, "/PREFIX=APP", reload,
            "Serve another application below this path (repeatable)";
        chdir: maybe PathBuf, "DIR", reload,
            "Change to this directory before importing the application";
        pythonpath: many PathBuf, "DIR", reload,
            "Prepend this directory to sys.path (repeatable)";
        env: pairs EnvVar, "NAME=VALUE", reload,
            "Set an environment variable before the application is imported (repeatable)";
        env_file: many PathBuf, "FILE", reload,
            "Set the variables of this file, a NAME=VALUE a line; --env overrides it (repeatable)";
        preload: flag bool, "", reload,
            "Import the application once before forking workers, instead of in each worker";
        warm_up: off UriPath, "PATH", reload,
            "Path that must answer a GET with a status below 500 before a worker is ready";
        uwsgi_module: flag bool, "", reload,
            "Give the application the modules uwsgi and uwsgidecorators";
        uwsgi_opt: many UwsgiOpt, "KEY[=VALUE]", reload,
            "Entry of uwsgi.opt, with --uwsgi-module (repeatable)";
    }
    "Processes" {
        workers: one Workers = "auto", "N", reload,
            "Number of processes: N, MIN..MAX by load, or auto: one per CPU allowed (affinity, cgroup)";
        threads: one u16 [1..=1024] = "4", "N", reload,
            "Threads per worker; each runs one request at a time";
        no_master: flag bool, "", restart,
            "Serve in a single process: no reload, no worker replacement, no worker limits";
        user: maybe String, "USER", restart,
            "Run as this user, name or number, once the sockets are bound";
        group: maybe String, "GROUP", restart,
            "Run as this group, name or number; default: the group of --user";
        umask: maybe Mode, "OCTAL", restart,
            "Umask, octal; default: inherited";
        pid_file: maybe PathBuf, "FILE", restart,
            "Write the master's process ID to this file; each server needs its own";
        reload_on_touch: many PathBuf, "FILE", reload,
            "Reload when this file's modification time changes (repeatable)";
        control: one ControlLocation = "auto", "PATH", restart,
            "Socket for scoter status, reload, …; auto: the first Unix socket's path + .control; or off";
        metrics: off MetricsAddress, "ADDRESS", restart,
            "Serve metrics and status for reading, over HTTP, on host:port or unix:/path";
        metrics_allow: many IpNet, "CIDR", restart,
            "Network allowed to read --metrics and --uwsgi-stats over TCP, besides this machine (repeatable)";
        uwsgi_stats: off UwsgiStatsAddress, "ADDRESS", restart,
            "Serve uWSGI's stats JSON on host:port or unix:/path; with http:// before it, over HTTP";
        name: maybe ServerName, "NAME", reload,
            "Name in scoter status and ps, by which commands find the server";
    }
    "Requests" {
        body_buffer: one Size = "1M", "SIZE", reload,
            "Request bodies up to this size are received before the application starts";
        buffer_body: one BufferBody = "auto", "WHEN", reload,
            "Larger bodies: auto reads them while the application runs, all spools them to disk first";
        max_body: off Size [Size(1)..], "SIZE", reload,
            "Largest request body; larger ones are answered 413";
        max_vars: one usize [1..=65_535] = "1000", "N", reload,
            "Maximum variables in a request; more are answered 400";
        max_pending: one u32 [1..=65_536] = "1024", "N", reload,
            "Maximum incomplete requests, and responses waiting for slow readers, per worker; fewer at a low file limit";
        response_buffer: one Size = "64M", "SIZE", reload,
            "Memory for responses waiting for slow readers, per worker; beyond it, threads wait";
        keep_alive: one u32 [0..=65_536] = "512", "N", reload,
            "Maximum connections kept for nginx's next requests, per worker, if it asks for that; fewer at a low file limit";
        keep_alive_requests: one u32 [1..=u32::MAX] = "1000", "N", reload,
            "Requests on a kept connection before it is closed";
        trust_forwarded_proto: flag bool, "", reload,
            "Take the scheme from X-Forwarded-Proto; only behind a proxy of yours that sets it";
    }
    "Recycling" {
        max_requests: off u64 [1..=u64::MAX], "N", reload,
            "Replace a worker after this many requests";
        max_lifetime: off Span, "TIME", reload,
            "Replace a worker at this age";
        max_rss: off MaxRss, "SIZE", reload,
            "Replace a worker that uses more memory: SIZE, or % of the cgroup's limit";
        recycle_jitter: one Percent = "10%", "PERCENT", reload,
            "Lengthen each worker's max-requests and max-lifetime at random, by up to this much";
    }
    "Timeouts" {
        header_timeout: one Span = "10s", "TIME", reload,
            "Time from accept, or from a request's first byte, until all its variables have arrived";
        body_timeout: one Span = "60s", "TIME", reload,
            "Longest wait for more of a request body";
        write_timeout: one Span = "60s", "TIME", reload,
            "Longest wait for the peer to accept more of a response";
        request_timeout: off Span, "TIME", reload,
            "Longest run of a request; then 504, stacks in the log, and the request is ended";
        request_grace: one Span = "10s", "TIME", reload,
            "Time for a request to end after --request-timeout, before its worker is replaced";
        queue_timeout: off Span, "TIME", reload,
            "Longest wait for a thread, from nginx's time stamp if it sends one; then 503";
        keep_alive_timeout: one Span = "75s", "TIME", reload,
            "Longest wait for the next request on a kept connection; let nginx's be shorter";
        start_timeout: one Span = "2m", "TIME", reload,
            "Time for a worker to become ready: import and --warm-up";
        graceful_timeout: one Span = "30s", "TIME", reload,
            "Time for running requests to finish when a worker stops or is replaced";
        drain_delay: off Span, "TIME", reload,
            "Keep accepting for this long after TERM, INT or QUIT, while status says not ready";
    }
    "Logging" {
        access_log: one AccessLogTo = "on", "WHERE", reload,
            "One line per request: on (stdout), off, stdout, stderr, or a file to append to";
        access_log_format: one AccessLogFormat = "combined", "FORMAT", reload,
            "combined (with the time taken), json, json-otel, terminal (short), or a template";
        access_log_skip: many SkipRule, "RULE", reload,
            "Leave out successes that match, such as path:/health or agent:kube-probe/* (repeatable)";
        access_log_sample: off SampleRate, "PERCENT", reload,
            "Leave out all but this share of successes";
        error_log: maybe PathBuf, "FILE", restart,
            "Append messages, and all that is printed to stderr, to this file instead";
        slow_request: off Span, "TIME", reload,
            "Log a warning for requests that take this long, while they run and when they end";
        log_level: one LogLevel = "info", "LEVEL", reload,
            "Least severe level logged to stderr: trace, debug, info, warn or error";
        log_format: one LogFormat = "text", "FORMAT", reload,
            "Format of messages on stderr: text or json";
        log_application: off LogApplication, "WHAT", reload,
            "With --log-format json, wrap what the application logs and prints: stderr, or all with stdout";
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_default_is_a_value() {
        let settings = Settings::of(&["app"], &[], Path::new("/")).unwrap();
        let options = settings.options().unwrap();
        assert_eq!(options.threads, 4);
        assert_eq!(options.body_buffer, Size(1 << 20));
        assert_eq!(options.workers, Workers::Auto);
        assert_eq!(options.request_timeout, None);
    }

    #[test]
    fn names_are_unique_and_can_be_written_everywhere() {
        for (index, opt) in TABLE.iter().enumerate() {
            let is_fine = |letter: char| letter.is_ascii_lowercase() || letter == '-';
            assert!(opt.name.chars().all(is_fine), "{}", opt.name);
            assert!(!TABLE[..index].contains(opt), "{}", opt.name);
            assert!(!["config", "print-config", "help", "version"].contains(&opt.name));
            assert_eq!(
                opt.value_name.is_empty(),
                opt.arity == Arity::Flag,
                "{}",
                opt.name
            );
        }
    }

    #[test]
    fn values_out_of_range_are_refused() {
        for (argument, reason) in [
            ("--threads=0", "expected a whole number from 1 to 1024"),
            ("--threads=1025", "expected a whole number from 1 to 1024"),
            ("--threads=99999", "expected a whole number from 1 to 1024"),
            ("--threads=many", "expected a whole number from 1 to 1024"),
            ("--threads=-1", "expected a whole number from 1 to 1024"),
            ("--threads=+1", "expected a whole number from 1 to 1024"),
            (
                "--backlog=0",
                "expected a whole number from 1 to 2147483647",
            ),
            (
                "--max-vars=65536",
                "expected a whole number from 1 to 65535",
            ),
            (
                "--keep-alive=65537",
                "expected a whole number from 0 (off) to 65536",
            ),
            (
                "--keep-alive=off",
                "expected a whole number from 0 (off) to 65536",
            ),
            (
                "--keep-alive-requests=0",
                "expected a whole number from 1 to 4294967295",
            ),
            (
                "--keep-alive-timeout=0",
                "expected a time from 1ms to 30d, such as 500ms, 30s, 5m, 2h or 7d",
            ),
            ("--max-pending=0", "expected a whole number from 1 to 65536"),
            (
                "--max-requests=0",
                "expected a whole number from 1 to 18446744073709551615, or off",
            ),
            (
                "--max-body=0",
                "expected a size from 1 byte, such as 65536, 64K, 1M or 2G, or off",
            ),
            (
                "--body-buffer=1T",
                "expected a size such as 65536, 64K, 1M or 2G",
            ),
            (
                "--max-rss=0",
                "expected a size such as 500M, or from 1% to 100% of the cgroup's limit, or off",
            ),
            (
                "--max-rss=0%",
                "expected a size such as 500M, or from 1% to 100% of the cgroup's limit, or off",
            ),
            (
                "--max-rss=101%",
                "expected a size such as 500M, or from 1% to 100% of the cgroup's limit, or off",
            ),
            (
                "--recycle-jitter=101%",
                "expected a percentage from 0% to 100%",
            ),
            (
                "--request-grace=0",
                "expected a time from 1ms to 30d, such as 500ms, 30s, 5m, 2h or 7d",
            ),
            (
                "--slow-request=0s",
                "expected a time from 1ms to 30d, such as 500ms, 30s, 5m, 2h or 7d, or off",
            ),
            (
                "--drain-delay=never",
                "expected a time from 1ms to 30d, such as 500ms, 30s, 5m, 2h or 7d, or off",
            ),
            (
                "--header-timeout=off",
                "expected a time from 1ms to 30d, such as 500ms, 30s, 5m, 2h or 7d",
            ),
            (
                "--max-lifetime=31d",
                "expected a time from 1ms to 30d, such as 500ms, 30s, 5m, 2h or 7d, or off",
            ),
            (
                "--socket-mode=1777",
                "expected an octal number from 0 to 777, such as 660",
            ),
            (
                "--socket-mode=888",
                "expected an octal number from 0 to 777, such as 660",
            ),
            (
                "--umask=+22",
                "expected an octal number from 0 to 777, such as 660",
            ),
            (
                "--workers=0",
                "expected auto, a number from 1 to 1024, or a range of them such as 2..8",
            ),
            (
                "--workers=0..4",
                "expected auto, a number from 1 to 1024, or a range of them such as 2..8",
            ),
            (
                "--workers=8..2",
                "the first number of the range is larger than the second",
            ),
            (
                "--warm-up=health",
                "expected a percent-encoded path such as /health, or off",
            ),
            ("--buffer-body=some", "expected auto or all"),
            ("--log-format=xml", "expected text or json"),
            ("--log-application=on", "expected stderr or all, or off"),
            (
                "--access-log-skip=",
                "expected a condition such as path:/health, status:2xx or agent:kube-probe/*",
            ),
            (
                "--access-log-sample=0%",
                "expected a percentage from 0.001% to 100%, such as 10% or 0.5%, or off",
            ),
            ("--user=", "expected a name or a number"),
            ("--pid-file=", "expected a path"),
            (
                "--access-log=",
                "expected on, off, stdout, stderr or the path of a file",
            ),
            ("--control=", "expected auto, off or a path"),
            ("--preload=maybe", "expected true or false"),
            (
                "--log-level=warning",
                "expected trace, debug, info, warn or error",
            ),
            (
                "--allow=everybody",
                "expected a network such as 10.0.0.0/8 or one address",
            ),
        ] {
            let settings = Settings::of(&["app", argument], &[], Path::new("/srv")).unwrap();
            let error = settings.options().unwrap_err().to_string();
            assert_eq!(
                error,
                format!("{}: {reason}", argument.replacen('=', " ", 1))
            );
        }
    }

    #[test]
    fn every_option_says_what_it_accepts() {
        let takes_anything = |opt: &Opt| match opt.name {
            "app" | "access-log" | "control" | "uwsgi-opt" => true,
            _ => matches!(opt.value_name, "DIR" | "FILE" | "GROUP" | "USER"),
        };
        for opt in TABLE.iter().filter(|opt| !takes_anything(opt)) {
            for value in ["?", "-1", "99999999999999999999999"] {
                let argument = format!("--{}={value}", opt.name);
                let settings = Settings::of(&["app", &argument], &[], Path::new("/")).unwrap();
                let error = settings.options().unwrap_err().to_string();
                let says = ["expected ", "use "];
                assert!(says.iter().any(|says| error.contains(says)), "{error}");
                let is_off = opt.arity == Arity::Off;
                assert_eq!(is_off, error.ends_with(", or off"), "{error}");
            }
        }
    }

    #[test]
    fn values_at_the_ends_of_ranges_are_taken() {
        for argument in [
            "--threads=1",
            "--threads=1024",
            "--workers=1024",
            "--workers=1..1024",
            "--workers=3..3",
            "--max-rss=100%",
            "--recycle-jitter=0%",
            "--body-buffer=0",
            "--keep-alive=0",
            "--keep-alive=65536",
            "--max-lifetime=30d",
            "--max-requests=off",
            "--warm-up=off",
            "--control=auto",
            "--allow=10.1.2.3",
        ] {
            let settings = Settings::of(&["app", argument], &[], Path::new("/")).unwrap();
            assert!(settings.options().is_ok(), "{argument}");
        }
    }
}
