//! The JSON, with the keys, their order and their types as in uWSGI's `uwsgi_master_generate_stats`: what it
//! writes as a number is an integer here.

use serde::Serialize;

#[derive(Debug, Serialize)]
pub(super) struct Server {
    pub(super) version: &'static str,
    pub(super) listen_queue: u32,
    pub(super) listen_queue_errors: u64,
    pub(super) signal_queue: u64,
    pub(super) load: u32,
    pub(super) pid: i32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) cwd: String,
    /// uWSGI's names of locks with the process that holds each.
    pub(super) locks: [(); 0],
    pub(super) sockets: Vec<Socket>,
    pub(super) workers: Vec<Worker>,
}

#[derive(Debug, Serialize)]
pub(super) struct Socket {
    pub(super) name: String,
    pub(super) proto: &'static str,
    pub(super) queue: u32,
    pub(super) max_queue: u32,
    pub(super) shared: u8,
    pub(super) can_offload: u8,
}

#[derive(Debug, Serialize)]
pub(super) struct Worker {
    pub(super) id: u32,
    pub(super) pid: i32,
    pub(super) accepting: u8,
    pub(super) requests: u64,
    /// Those of the present process.
    pub(super) delta_requests: u64,
    pub(super) exceptions: u64,
    pub(super) harakiri_count: u64,
    pub(super) signals: u64,
    pub(super) signal_queue: u64,
    pub(super) status: &'static str,
    /// In bytes, as is `vsz`.
    pub(super) rss: u64,
    pub(super) vsz: u64,
    /// In microseconds, as is `avg_rt`.
    pub(super) running_time: u64,
    /// In seconds since 1970.
    pub(super) last_spawn: i64,
    pub(super) respawn_count: u64,
    pub(super) tx: u64,
    pub(super) avg_rt: u64,
    pub(super) apps: [App; 1],
    pub(super) cores: Vec<Core>,
}

#[derive(Debug, Serialize)]
pub(super) struct App {
    pub(super) id: u32,
    pub(super) modifier1: u8,
    pub(super) mountpoint: &'static str,
    /// In seconds.
    pub(super) startup_time: u64,
    pub(super) requests: u64,
    pub(super) exceptions: u64,
    pub(super) chdir: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct Core {
    pub(super) id: u32,
    pub(super) requests: u64,
    pub(super) static_requests: u64,
    pub(super) routed_requests: u64,
    pub(super) offloaded_requests: u64,
    pub(super) write_errors: u64,
    pub(super) read_errors: u64,
    pub(super) in_request: u8,
    /// uWSGI has the variables of the running request here, with cookies and credentials.
    pub(super) vars: [(); 0],
    pub(super) req_info: Nothing,
}

/// An empty object.
#[derive(Debug, Serialize)]
pub(super) struct Nothing {}
