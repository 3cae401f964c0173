//! Warns that no front end says when it passes requests on.

use tracing::warn;

/// Logs a warning for `--queue-timeout`, which then sees only a part of the wait.
pub(crate) fn warn_of_missing_clock() {
    warn!(
        "--queue-timeout does not see how long requests wait in the kernel's queue: none of the \
         first had a time in HTTP_X_REQUEST_START: add `uwsgi_param HTTP_X_REQUEST_START \
         \"t=${{msec}}\";` to the nginx location with this uwsgi_pass (logged once)"
    );
}
