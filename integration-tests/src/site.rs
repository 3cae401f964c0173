use std::ops::Deref;

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
    pub fn serving(app: &str) -> Self {
        Self::of(Scoter::serving(app))
    }

    /// Starts scoter as described, and nginx.
    ///
    /// # Panics
    ///
    /// When either does not start.
    #[track_caller]
    pub fn of(scoter: ScoterBuilder) -> Self {
        Self::with(scoter, |nginx| nginx)
    }

    /// Starts scoter as described, and nginx after `configure` had a say.
    ///
    /// # Panics
    ///
    /// When either does not start.
    #[track_caller]
    pub fn with(
        scoter: ScoterBuilder,
        configure: impl FnOnce(NginxBuilder) -> NginxBuilder,
    ) -> Self {
        let scoter = scoter.start();
        let nginx = configure(Nginx::in_front_of(&scoter)).start();
        Self {
            client: nginx.site(),
            nginx,
            scoter,
        }
    }

    /// Starts scoter as described, and nginx with the module of `nginx-conf/keepalive`.
    ///
    /// Without the module says that the test is skipped and returns nothing.
    ///
    /// # Panics
    ///
    /// When either does not start, and as [`skip`](crate::skip).
    #[track_caller]
    pub fn with_keepalive_module(scoter: ScoterBuilder) -> Option<Self> {
        let scoter = scoter.start();
        let nginx = Nginx::in_front_of(&scoter).with_keepalive_module()?.start();
        Some(Self {
            client: nginx.site(),
            nginx,
            scoter,
        })
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
