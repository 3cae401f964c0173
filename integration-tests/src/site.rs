use std::ops::Deref;

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
        }
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
