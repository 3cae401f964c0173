//! Why a client command failed.

use std::io;
use std::path::{Path, PathBuf};

use hyper::StatusCode;
use thiserror::Error;

/// Why a command failed.
#[derive(Debug, Error)]
pub(super) enum ClientError {
    /// There is no socket.
    #[error(
        "no server at {}: there is no such socket\nhint: is scoter running? its control socket is \
         the first Unix socket's path + .control, or the path set by --control; with --no-master \
         there is none",
        path.display()
    )]
    Missing { path: PathBuf },
    /// No server was found.
    #[error(
        "no running server{} was found\nhint: a server is found by its control socket, which is next \
         to its first Unix socket, or where --control says, and then needs a name that ends in \
         .control; with --no-master there is none{}{}",
        of(wanted.as_deref()), sudo(*of_others), more(*not_asked)
    )]
    NoServer {
        wanted: Option<String>,
        of_others: usize,
        not_asked: usize,
    },
    /// Other servers run.
    #[error("no server {wanted} is running; these are:\n{}", list.trim_end())]
    NoSuchServer { wanted: String, list: String },
    /// Several servers have the same name.
    #[error(
        "{count} servers {wanted} are running\nhint: give the process ID of one in place of its \
         name:\n{}", list.trim_end()
    )]
    SameName {
        count: usize,
        wanted: String,
        list: String,
    },
    /// The command is not told which server it is for.
    #[error(
        "nothing says which server is meant\nhint: --name takes the name or the process ID of one of \
         these:\n{}", list.trim_end()
    )]
    Unnamed { list: String },
    /// There is a socket, but no process listens on it.
    #[error(
        "no server at {}: the server that created this socket has ended\nhint: start scoter; it \
         replaces the socket", path.display()
    )]
    Ended { path: PathBuf },
    /// The file system does not let this user connect.
    #[error(
        "cannot connect to {}: permission denied\nhint: only root and the owner of the socket may \
         send commands; try sudo", path.display()
    )]
    Denied { path: PathBuf },
    /// Another program listens there.
    #[error(
        "{} is not scoter's control socket{}\nhint: --control names the control socket, --bind \
         the one for nginx", path.display(), said(answer)
    )]
    NotScoter { path: PathBuf, answer: String },
    /// The server accepts connections, but does not respond.
    #[error(
        "the server at {} does not answer\nhint: its log may say why; `kill -TERM PID` stops it",
        path.display()
    )]
    NoAnswer { path: PathBuf },
    /// The server ended or replaced itself before it responded.
    #[error("the server ended before it answered\nhint: its log says why")]
    ConnectionLost,
    /// The server refused the command.
    #[error("{text}")]
    Refused { text: String },
    /// This client does not understand the response.
    #[error(
        "cannot parse the response of the server at {}: {error}\nhint: it may be another version; \
         `scoter status --json` prints the response", path.display()
    )]
    Unreadable {
        path: PathBuf,
        error: serde_json::Error,
    },
    /// The user pressed Ctrl-C.
    #[error("interrupted{}", if *is_ordered { ": the server continues" } else { "" })]
    Interrupted { is_ordered: bool },
    /// Anything else.
    #[error("{path}: {error}", path = path.display())]
    System { path: PathBuf, error: io::Error },
}

impl ClientError {
    /// Classifies an error of connect(2).
    pub(super) fn from_connect(path: &Path, error: io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Missing { path },
            io::ErrorKind::ConnectionRefused => Self::Ended { path },
            io::ErrorKind::PermissionDenied => Self::Denied { path },
            // The socket's queue is full.
            io::ErrorKind::WouldBlock => Self::NoAnswer { path },
            _ => Self::System { path, error },
        }
    }

    /// A refusal in the server's own words.
    pub(super) fn refused(status: StatusCode, text: &str) -> Self {
        let text = text.trim_end();
        let text = match text.is_empty() {
            true => format!("refused: {status}"),
            false => super::render::printable(text),
        };
        Self::Refused { text }
    }

    /// Puts `what` before the server's message.
    pub(super) fn about(self, what: &str) -> Self {
        match self {
            Self::Refused { text } => Self::Refused {
                text: format!("{what}{text}"),
            },
            other => other,
        }
    }

    /// Whether the error means that no server is running.
    pub(super) fn is_absence(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::Ended { .. })
    }

    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::NoServer { .. }
            | Self::NoSuchServer { .. }
            | Self::SameName { .. }
            | Self::Unnamed { .. }
            | Self::Missing { .. }
            | Self::Ended { .. }
            | Self::Denied { .. }
            | Self::NotScoter { .. }
            | Self::NoAnswer { .. }
            | Self::System { .. } => 2,
            Self::ConnectionLost | Self::Refused { .. } | Self::Unreadable { .. } => 1,
            // The exit code that shells report for SIGINT.
            Self::Interrupted { .. } => 130,
        }
    }
}

fn of(wanted: Option<&str>) -> String {
    wanted.map_or_else(String::new, |wanted| format!(" {wanted}"))
}

fn more(not_asked: usize) -> String {
    match not_asked {
        0 => String::new(),
        _ => format!(
            "; {not_asked} more sockets were not asked, as others did not answer in time: name the \
             server's with --control"
        ),
    }
}

fn sudo(of_others: usize) -> String {
    match of_others {
        0 => String::new(),
        1 => "; one control socket belongs to another user: try sudo".to_owned(),
        _ => format!("; {of_others} control sockets belong to other users: try sudo"),
    }
}

fn said(answer: &str) -> String {
    let line = answer.lines().next().unwrap_or_default();
    let line = super::render::printable(super::render::cut(line, MAX_ANSWER));
    match line.is_empty() {
        true => String::new(),
        false => format!("; it answered: {line}"),
    }
}

/// Characters to print of an unknown server's response.
const MAX_ANSWER: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_errors_say_what_to_check() {
        for (kind, says, hints, code) in [
            (
                io::ErrorKind::NotFound,
                "no such socket",
                "is scoter running?",
                2,
            ),
            (
                io::ErrorKind::ConnectionRefused,
                "has ended",
                "start scoter",
                2,
            ),
            (
                io::ErrorKind::PermissionDenied,
                "permission denied",
                "try sudo",
                2,
            ),
            (io::ErrorKind::WouldBlock, "does not answer", "its log", 2),
        ] {
            let error = ClientError::from_connect(Path::new("/run/c"), kind.into());
            let text = error.to_string();
            let (first, hint) = text.split_once("\nhint: ").unwrap();
            assert!(first.contains("/run/c") && first.contains(says), "{text}");
            assert!(hint.contains(hints), "{text}");
            assert_eq!(error.exit_code(), code, "{text}");
        }
    }

    #[test]
    fn refusal_is_in_the_words_of_the_server_without_escape_sequences() {
        let error = ClientError::refused(StatusCode::CONFLICT, "busy\x1b[2J\nwait\n");
        assert_eq!(error.to_string(), "busy?[2J\nwait");
        assert_eq!(error.exit_code(), 1);
        let error = ClientError::refused(StatusCode::BAD_GATEWAY, "").about("reload: ");
        assert_eq!(error.to_string(), "reload: refused: 502 Bad Gateway");
    }

    #[test]
    fn interruption_says_whether_the_server_continues() {
        for (is_ordered, expected) in [
            (true, "interrupted: the server continues"),
            (false, "interrupted"),
        ] {
            let error = ClientError::Interrupted { is_ordered };
            assert_eq!(error.to_string(), expected);
            assert_eq!(error.exit_code(), 130);
        }
    }
}
