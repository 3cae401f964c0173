//! The table of all options.

use std::path::PathBuf;

use ipnet::IpNet;

use super::Settings;
use super::error::Problem;
use super::opt::{Arity, Change, Opt, dashed, options};
use super::text::{FromText, Reader, within};
use super::units::{Percent, Size, Span};
use super::values::{
    AccessLogFormat, AccessLogTo, BufferBody, Control, LogFormat, LogLevel, MaxRss, Mode, UriPath,
    Workers,
};
use crate::application::Target;
use crate::listen::Address;

options! {
    "Sockets" {
        bind: many Address, "ADDRESS", restart,
            "Where to listen: unix:/path, unix:@abstract, host:port or fd://N (repeatable)";
        socket_mode: one Mode = "660", "MODE", restart,
            "Permissions of a Unix socket, octal";
        socket_owner: maybe String, "USER", restart,
            "Owner of a Unix socket, name or number; without it, who starts scoter";
        socket_group: maybe String, "GROUP", restart,
            "Group of a Unix socket, name or number; without it, that of who starts scoter";
        backlog: one u32 [1..=i32::MAX.unsigned_abs()] = "1024", "N", restart,
            "Connections that may wait in the kernel, at most net.core.somaxconn";
        allow: many IpNet, "CIDR", reload,
            "Network that may connect over TCP besides this machine (repeatable)";
    }
    "Application" {
        app: required Target, "APP", reload,
            "module[:callable] or path/to/file.py[:callable]; callable: application, else app";
        factory: flag bool, "", reload,
            "Call the callable once, without arguments, to get the application";
        chdir: maybe PathBuf, "DIR", reload,
            "Change to this directory before the application is imported";
        pythonpath: many PathBuf, "DIR", reload,
            "Put this directory in front of sys.path (repeatable)";
        preload: flag bool, "", reload,
            "Import the application once, before workers are forked, not in each of them";
        warm_up: off UriPath, "PATH", reload,
            "A GET for this path must be answered below 500 before a worker counts as ready";
    }
    "Processes" {
        workers: one Workers = "auto", "N", reload,
            "Processes: a number, MIN..MAX by load, or auto: one per CPU allowed (affinity, cgroup)";
        threads: one u16 [1..=1024] = "4", "N", reload,
            "Requests that run at the same time in each worker";
        no_master: flag bool, "", restart,
            "Serve in this one process: no reload, no replacement, no limits on workers";
        user: maybe String, "USER", restart,
            "Run as this user, name or number, once the sockets are bound";
        group: maybe String, "GROUP", restart,
            "Run as this group, name or number; without it, the group of --user";
        umask: maybe Mode, "OCTAL", restart,
            "Permissions that new files do not get; without it, as inherited";
        pid_file: maybe PathBuf, "FILE", restart,
            "Write the process ID of the master there";
        reload_on_touch: many PathBuf, "FILE", reload,
            "Reload when the time stamp of this file changes (repeatable)";
        control: one Control = "auto", "PATH", restart,
            "Socket for scoter status, reload, …; auto: the first Unix socket's + .control; or off";
    }
    "Requests" {
        body_buffer: one Size = "1M", "SIZE", reload,
            "Request body that is complete in memory before the application starts";
        buffer_body: one BufferBody = "auto", "WHEN", reload,
            "A larger body: auto reads it while the application runs, all spools it to disk first";
        max_body: off Size [Size(1)..], "SIZE", reload,
            "Longest request body; a longer one is answered 413";
        max_vars: one usize [1..=65_535] = "1000", "N", reload,
            "Most variables in a request; more are answered 400";
        max_pending: one u32 [1..=65_536] = "1024", "N", reload,
            "Requests that may wait for their rest, and responses for slow readers, per worker";
        trust_forwarded_proto: flag bool, "", reload,
            "Take the scheme from X-Forwarded-Proto; only where a proxy of yours sets it";
    }
    "Recycling" {
        max_requests: off u64 [1..], "N", reload,
            "Replace a worker after so many requests";
        max_lifetime: off Span, "TIME", reload,
            "Replace a worker of this age";
        max_rss: off MaxRss, "SIZE", reload,
            "Replace a worker that holds more memory: SIZE, or % of the cgroup's limit";
        recycle_jitter: one Percent = "10%", "PERCENT", reload,
            "Lengthen max-requests and max-lifetime of each worker by up to so much, at random";
    }
    "Timeouts" {
        header_timeout: one Span = "10s", "TIME", reload,
            "For the whole var block to arrive, from accept";
        body_timeout: one Span = "60s", "TIME", reload,
            "Longest wait for the next bytes of a request body";
        write_timeout: one Span = "60s", "TIME", reload,
            "Longest wait for the peer to take more of a response";
        request_timeout: off Span, "TIME", reload,
            "For the application to answer; then 504, stacks in the log, the request is ended";
        request_grace: one Span = "10s", "TIME", reload,
            "For a request to end after --request-timeout before its worker is replaced";
        queue_timeout: off Span, "TIME", reload,
            "A request that has waited longer for a thread is answered 503";
        start_timeout: one Span = "2m", "TIME", reload,
            "For a worker to become ready: import and --warm-up";
        graceful_timeout: one Span = "30s", "TIME", reload,
            "For running requests to end when a worker stops or is replaced";
        drain_delay: off Span, "TIME", reload,
            "Go on accepting for this long after TERM or INT, while status says not ready";
    }
    "Logging" {
        access_log: one AccessLogTo = "on", "WHERE", reload,
            "One line per request to: on (stdout), off, stdout, stderr, or a file to append to";
        access_log_format: one AccessLogFormat = "combined", "FORMAT", reload,
            "combined (with the time taken), json, or a template";
        slow_request: off Span, "TIME", reload,
            "Log a warning for a request that took longer";
        log_level: one LogLevel = "info", "LEVEL", reload,
            "Least severe message on stderr: trace, debug, info, warn or error";
        log_format: one LogFormat = "text", "FORMAT", reload,
            "Of those messages: text or json";
    }
}
