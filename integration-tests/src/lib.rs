//! The harness of the integration tests: real nginx in front of the real server.
//!
//! Each test starts what it needs and shares nothing: a private folder, a server on a Unix socket in it, if
//! needed an unprivileged nginx on another. No fixed port is taken, nothing waits by sleeping; everything
//! started ends with the test, what it started itself included, and its logs are printed if the test fails.
//!
//! ```
//! use integration_tests::{Connections, Site, through_nginx};
//!
//! #[through_nginx]
//! fn page_is_served(connections: Connections) {
//!     let site = Site::serving("forms:function", connections);
//!     assert_eq!(site.get("/").status, 200);
//! }
//! ```
//!
//! - [`Site`]: nginx and scoter together, which is what most tests want; [`Scoter`] and [`Nginx`] are its parts;
//! - [`Connections`] and [`through_nginx`]: each test that uses nginx runs twice, `page_is_served::closed` without and
//!   `page_is_served::kept` with the module that keeps nginx's connections to the server. What needs no more of nginx than
//!   HTTP also runs as `page_is_served::gateway`, with the gateway of uwsgi-http in its place;
//! - [`Client`]: an HTTP client for nginx's Unix socket, whole replies or piece by piece;
//! - [`Browser`]: a real one, headless Chromium, for pages that people look at;
//! - [`Collector`]: where applications send spans and errors, in place of OpenTelemetry's collector and Sentry;
//! - [`Crowd`]: many of those clients, busy while something happens to the server;
//! - [`Peer`]: a front end that speaks uwsgi to scoter by hand, as well or as badly as a test likes;
//! - [`Upstream`]: a server that speaks uwsgi to nginx, every byte of whose answers a test writes;
//! - [`Worker`] and [`Running`]: the processes behind the server, as its status names them and as the system does;
//! - [`Manager`] and [`Activation`]: what systemd is to a service, to the letter;
//! - [`Package`]: copies of the server, for other users and other releases;
//! - [`tool`]: the commands of `uwsgi-tools`;
//! - [`Terminal`]: a terminal in which a program runs;
//! - [`real_uwsgi`]: uWSGI itself, where a test compares what both servers do;
//! - [`Gate`] and [`Scoter::wait_for_event`]: how a test and an application take turns without a clock.
//!
//! The server is taken from the environment variable `SCOTER`, else from `.venv/bin/scoter`; nginx from
//! `NGINX`, else from the search path.

mod activation;
mod browser;
mod collector;
mod connections;
mod control;
mod crowd;
mod django;
mod gate;
mod gateway;
mod http;
mod ignored_signals;
mod manager;
mod nginx;
mod package;
mod process;
mod real_uwsgi;
mod reply;
mod running;
mod scoter;
mod site;
mod skip;
mod terminal;
mod tools;
mod upstream;
mod uwsgi;
mod wait;

pub use crate::activation::Activation;
pub use crate::browser::{Browser, ColorScheme};
pub use crate::collector::Collector;
pub use crate::connections::Connections;
pub use crate::control::Worker;
pub use crate::crowd::Crowd;
pub use crate::django::DjangoSite;
pub use crate::gate::Gate;
pub use crate::http::{Body, Client, Completeness, Open, Pattern, empty, whole};
pub use crate::manager::{Manager, Notice};
pub use crate::nginx::{Nginx, NginxBuilder};
pub use crate::package::Package;
pub use crate::process::{Finished, Process};
pub use crate::real_uwsgi::real_uwsgi;
pub use crate::reply::Reply;
pub use crate::running::Running;
pub use crate::scoter::{Scoter, ScoterBuilder, apps_folder, executable, python, says_ready};
pub use crate::site::Site;
pub use crate::skip::skip;
pub use crate::terminal::Terminal;
pub use crate::tools::tool;
pub use crate::upstream::{After, Asked, Upstream};
pub use crate::uwsgi::{
    Ending, Peer, ending_of, exchange, get, keeping, passed_on, post, request, with,
};
pub use crate::wait::{DEADLINE, elapse, until};
pub use integration_tests_macros::through_nginx;
