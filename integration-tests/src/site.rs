use std::ops::Deref;
use std::thread;

use crate::connections::Connections;
use crate::gateway::Gateway;
use crate::http::Client;
use crate::nginx::{Nginx, NginxBuilder};
use crate::scoter::{Scoter, ScoterBuilder};

/// A complete site: the nginx of `nginx-conf`, or the gateway of uwsgi-http, in front of one scoter. Also a [`Client`]
/// of that front end.
#[derive(Debug)]
pub struct Site {
    client: Client,
    // Dropped first: it must not report that scoter is gone.
    front_end: FrontEnd,
    scoter: Scoter,
    connections: Connections,
    may_be_out_of_step: bool,
}

#[derive(Debug)]
enum FrontEnd {
    Nginx(Nginx),
    Gateway {
        site: Gateway,
        extra: Gateway,
    },
    /// It is the server itself.
    Dev,
}

impl Site {
    /// Starts scoter with `app`, and nginx.
    ///
    /// # Panics
    ///
    /// When either does not start.
    #[track_caller]
    pub fn serving(app: &str, connections: Connections) -> Self {
        Self::of(Scoter::serving(app), connections)
    }

    /// Starts scoter as described, and nginx.
    ///
    /// # Panics
    ///
    /// When either does not start.
    #[track_caller]
    pub fn of(scoter: ScoterBuilder, connections: Connections) -> Self {
        Self::with(scoter, connections, |nginx| nginx)
    }

    /// Starts scoter as described, and nginx after `configure` had a say, which the gateway does not.
    ///
    /// # Panics
    ///
    /// When either does not start.
    #[track_caller]
    pub fn with(
        scoter: ScoterBuilder,
        connections: Connections,
        configure: impl FnOnce(NginxBuilder) -> NginxBuilder,
    ) -> Self {
        let scoter = match connections {
            Connections::Dev => scoter.in_development().start(),
            Connections::Closed | Connections::Kept | Connections::Gateway => scoter.start(),
        };
        let front_end = match connections {
            Connections::Closed | Connections::Kept => {
                FrontEnd::Nginx(configure(Nginx::in_front_of(&scoter, connections)).start())
            }
            Connections::Gateway => FrontEnd::Gateway {
                site: Gateway::in_front_of(&scoter),
                extra: Gateway::unbuffered(&scoter),
            },
            Connections::Dev => FrontEnd::Dev,
        };
        let client = match &front_end {
            FrontEnd::Nginx(nginx) => nginx.site(),
            FrontEnd::Gateway { site, .. } => site.client(),
            FrontEnd::Dev => Client::tcp(scoter.http_address()),
        };
        Self {
            client,
            front_end,
            scoter,
            connections,
            may_be_out_of_step: false,
        }
    }

    /// Says that the test has nginx announce a body and not send it.
    pub fn may_be_out_of_step(&mut self) {
        self.may_be_out_of_step = true;
    }

    /// Returns the server.
    pub fn scoter(&self) -> &Scoter {
        &self.scoter
    }

    /// Returns the server, to stop it or to wait for its end.
    pub fn scoter_mut(&mut self) -> &mut Scoter {
        &mut self.scoter
    }

    /// Returns a client of the site.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Returns a client of the server block that [`NginxBuilder::extra`] filled; of a gateway that buffers no bodies
    /// if the front end is one.
    pub fn extra(&self) -> Client {
        match &self.front_end {
            FrontEnd::Nginx(nginx) => nginx.extra(),
            FrontEnd::Gateway { extra, .. } => extra.client(),
            FrontEnd::Dev => self.client.clone(),
        }
    }

    /// Returns what the front end has logged about requests that failed: nginx's error log if it has an `[error]`, the
    /// gateway's warnings; empty if there was nothing.
    pub fn failures(&self) -> String {
        match &self.front_end {
            FrontEnd::Nginx(nginx) => {
                let log = nginx.error_log();
                match log.contains("[error]") {
                    true => log,
                    false => String::new(),
                }
            }
            FrontEnd::Gateway { site, extra } => site.warnings() + &extra.warnings(),
            FrontEnd::Dev => self.scoter.log_lines("WARN").join("\n"),
        }
    }

    /// Returns the front end.
    ///
    /// # Panics
    ///
    /// When there is no nginx.
    #[track_caller]
    pub fn nginx(&self) -> &Nginx {
        match &self.front_end {
            FrontEnd::Nginx(nginx) => nginx,
            FrontEnd::Gateway { .. } | FrontEnd::Dev => {
                panic!("this test needs nginx: #[through_nginx]")
            }
        }
    }
}

impl Deref for Site {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Site {
    /// Fails the test if connections were to be kept and none was, though the server had no reason to close that many; or
    /// if what came on one was not what nginx had announced.
    fn drop(&mut self) {
        if self.connections == Connections::Closed || thread::panicking() {
            return;
        }
        let Some(status) = self.scoter.status_if_it_runs() else {
            return;
        };
        let kept = &status["totals"]["kept_connections"];
        if let FrontEnd::Nginx(nginx) = &self.front_end {
            let responses = nginx.plain_responses();
            assert!(
                kept["reused"] != 0 || responses <= AT_ONCE,
                "no connection was kept after {responses} responses: {kept}"
            );
        }
        assert!(
            kept["out_of_step"] == 0 || self.may_be_out_of_step,
            "{kept}"
        );
    }
}

/// So many requests may have been under way together, each on a connection of its own. Tests with more clients send
/// hundreds.
const AT_ONCE: usize = 8;
