//! The names of our processes, as `ps -o comm` and `top` show them.

use std::ffi::CString;

use rustix::thread::set_name;

/// Names this process, if called on its first thread: `scoter-master` for the role `master`, or
/// `shop-master` if the server is called `shop`.
pub(crate) fn set_process_name(server: Option<&str>, role: &str) {
    set(&process_name(server.unwrap_or("scoter"), role));
}

/// Names a process that is a whole server.
pub(crate) fn set_server_name(server: &str) {
    set(&cut(server, MAX_LENGTH));
}

fn set(name: &str) {
    // It is for people only.
    let _ = set_name(&CString::new(name).unwrap_or_default());
}

/// The role is complete, so that a server's processes can be told apart.
fn process_name(server: &str, role: &str) -> String {
    let server = cut(server, MAX_LENGTH.saturating_sub(role.len() + 1));
    format!("{server}-{role}")
}

/// A name that is cut ends in a letter or a digit.
fn cut(name: &str, length: usize) -> String {
    if name.len() <= length {
        return name.to_owned();
    }
    let name: String = name.chars().take(length).collect();
    name.trim_end_matches(|it: char| !it.is_alphanumeric())
        .to_owned()
}

/// PR_SET_NAME(2const): 16 bytes, with the NUL.
const MAX_LENGTH: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_the_server_is_cut_but_not_the_role() {
        for (server, role, expected) in [
            ("scoter", "master", "scoter-master"),
            ("scoter", "launcher", "scoter-launcher"),
            ("scoter", "w1024", "scoter-w1024"),
            ("shop", "master", "shop-master"),
            ("customer-portal", "w1", "customer-por-w1"),
            ("customer-portal", "master", "customer-master"),
            ("customer-portal", "launcher", "custom-launcher"),
            ("shop-eu.de", "launcher", "shop-e-launcher"),
            ("shop--eu", "launcher", "shop-launcher"),
        ] {
            let name = process_name(server, role);
            assert_eq!(name, expected);
            assert!(name.len() <= MAX_LENGTH, "{name}");
        }
        assert_eq!(
            cut("customer-portal-of-2026", MAX_LENGTH),
            "customer-portal"
        );
    }
}
