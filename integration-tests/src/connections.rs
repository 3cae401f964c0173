use std::path::Path;

use crate::skip::skip;

/// What nginx does with its connection to the server after a response.
///
/// Whatever starts an nginx asks for it, so a test has to say it; [`through_nginx`](crate::through_nginx) runs the test
/// with both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// Closes it, as nginx does by itself.
    Closed,
    /// Keeps it where both agree: with the module of `nginx-conf/keepalive`, which `make nginx-module` builds.
    Kept,
    /// There is no nginx: the gateway of uwsgi-http is in its place, and keeps its connections where both agree.
    Gateway,
    /// There is no nginx: `scoter dev` speaks HTTP itself.
    Dev,
}

impl Connections {
    /// Runs a test, or says that it is skipped because there is no module.
    ///
    /// # Panics
    ///
    /// As the test, and as [`skip`].
    #[track_caller]
    pub fn run(self, test: impl FnOnce(Self)) {
        match self {
            Self::Kept if !self.module().is_some_and(Path::exists) => {
                skip("the module of nginx-conf/keepalive is not built: make nginx-module");
            }
            Self::Closed | Self::Kept | Self::Gateway | Self::Dev => test(self),
        }
    }

    /// Returns the module that nginx has to load.
    pub(crate) fn module(self) -> Option<&'static Path> {
        match self {
            Self::Closed | Self::Gateway | Self::Dev => None,
            Self::Kept => Some(Path::new(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../target/nginx-module/ngx_http_uwsgi_keep_conn_module.so"
            ))),
        }
    }
}
