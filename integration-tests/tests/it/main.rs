//! What an operator and a user would notice, a module per behaviour.
//!
//! Each test has its own server and, where nginx matters, its own nginx: see the harness. What scoter sends is
//! looked at through nginx where nginx's opinion counts, and at scoter's socket where every byte counts.

mod accel;
mod access_log;
mod activation;
mod bodies;
mod browser;
mod cache;
mod commands;
mod concurrency;
mod configuration;
mod content_length;
mod control;
mod django;
mod environ;
mod error_log;
mod failures;
mod file_wrapper;
mod flask;
mod forms;
mod inert_vars;
mod large;
mod late_readers;
mod limits;
mod logs;
mod malformed;
mod methods;
mod nginx_conf;
mod nginx_errors;
mod overlaps;
mod paths;
mod pid1;
mod pid_file;
mod preload;
mod privileges;
mod processes;
mod recycling;
mod reload;
mod request_headers;
mod request_id;
mod response_heads;
mod scaling;
mod slow_peers;
mod sockets;
mod startup;
mod stop;
mod streaming;
mod supervision;
mod systemd;
mod timeouts;
mod unit;
mod unread_bodies;
mod upgrade;
mod validate;
mod warm_up;
