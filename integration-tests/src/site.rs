use std::ops::Deref;
use std::thread;

use crate::connections::Connections;
use crate::http::Client;
use crate::nginx::{Nginx, NginxBuilder};
use crate::scoter::{Scoter, ScoterBuilder};

/// A complete site: the nginx of `nginx-conf` in front of one scoter. Also a [`Client`] of that nginx.
#[derive(Debug)]
pub struct Site {
    client: Client,
    // Dropped first: nginx must not report that scoter is gone.
    nginx: Nginx,
    scoter: Scoter,
    connections: Connections,
    may_be_out_of_step: bool,
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

    /// Starts scoter as described, and nginx after `configure` had a say.
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
        let scoter = scoter.start();
        let nginx = configure(Nginx::in_front_of(&scoter, connections)).start();
        Self {
            client: nginx.site(),
            nginx,
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

    /// Returns the front end.
    pub fn nginx(&self) -> &Nginx {
        &self.nginx
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
        let responses = self.nginx.plain_responses();
        let Some(status) = self.scoter.status_if_it_runs() else {
            return;
        };
        let kept = &status["totals"]["kept_connections"];
        assert!(
            kept["reused"] != 0 || responses <= AT_ONCE,
            "no connection was kept after {responses} responses: {kept}"
        );
        assert!(
            kept["out_of_step"] == 0 || self.may_be_out_of_step,
            "{kept}"
        );
    }
}

/// So many requests may have been under way together, each on a connection of its own. Tests with more clients send
/// hundreds.
const AT_ONCE: usize = 8;
