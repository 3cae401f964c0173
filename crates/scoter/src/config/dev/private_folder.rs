//! The directory of the sockets of `scoter dev`.

use std::env;
use std::path::{Path, PathBuf};

/// The directory of this process, which only its user may enter: in the user's runtime directory,
/// or among temporary files. It is the same at each reload.
pub(crate) fn private_folder() -> PathBuf {
    let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    place(runtime, env::temp_dir()).join(format!("{PREFIX}{}", std::process::id()))
}

/// Where the directory is: a path that leaves room for the names of sockets.
fn place(runtime: Option<PathBuf>, temporary: PathBuf) -> PathBuf {
    let is_fine =
        |path: &PathBuf| path.is_absolute() && path.as_os_str().len() <= MAX_PLACE && path.is_dir();
    let places = runtime.into_iter().chain([temporary]);
    let mut fitting = places.filter(is_fine);
    fitting
        .next()
        .unwrap_or_else(|| Path::new("/tmp").to_owned())
}

/// The socket for requests in it; the control socket is next to it.
pub(crate) const SOCKET: &str = "scoter.sock";

/// In front of the process ID in its name.
const PREFIX: &str = "scoter-dev-";

/// unix(7): a socket's path has up to 107 bytes.
const MAX_PLACE: usize = 107 - "/scoter-dev-1234567890/scoter.sock.control.lock".len();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtime_directory_comes_first_if_sockets_fit_in_it() {
        let there = PathBuf::from("/proc");
        let temporary = PathBuf::from("/dev");
        for (runtime, expected) in [
            (Some(there.clone()), &there),
            (Some("relative".into()), &temporary),
            (Some("/missing".into()), &temporary),
            (Some(format!("/{}", "x".repeat(200)).into()), &temporary),
            (None, &temporary),
        ] {
            assert_eq!(
                place(runtime.clone(), temporary.clone()),
                *expected,
                "{runtime:?}"
            );
        }
        assert_eq!(place(None, "/missing".into()), Path::new("/tmp"));
    }
}
