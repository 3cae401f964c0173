//! The list of running servers, and the choice of one of them.

use std::path::PathBuf;

use super::discovery::{Discovery, FoundServer};
use super::error::ClientError;
use super::render::{cut, printable};
use crate::control::ServerSelector;

/// What to do with the servers that were found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// Use the one with this control socket.
    One(PathBuf),
    /// Show all of them.
    List(String),
}

/// What a command does if it is not told which server it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WithoutName {
    /// It takes the only one, or shows the list.
    List,
    /// It takes the only one.
    Only,
    /// It does nothing: it would change a server that may not be meant.
    Refuse,
}

/// Chooses a server.
///
/// # Errors
///
/// [`ClientError`] lists the servers that there are, if none or several are meant.
pub(super) fn choose(
    selector: &ServerSelector,
    without_name: WithoutName,
    found: &Discovery,
) -> Result<Choice, ClientError> {
    let matches: Vec<_> = found
        .servers
        .iter()
        .filter(|server| is_meant(selector, server))
        .collect();
    let list = || list(&found.servers);
    let is_any = matches!(selector, ServerSelector::Any);
    if found.servers.is_empty() {
        return Err(ClientError::NoServer {
            wanted: wanted(selector),
            of_others: found.of_others,
            not_asked: found.not_asked,
        });
    }
    match (&*matches, without_name) {
        (_, WithoutName::Refuse) if is_any => Err(ClientError::Unnamed { list: list() }),
        ([one], _) => Ok(Choice::One(one.path.clone())),
        ([], _) => Err(ClientError::NoSuchServer {
            wanted: wanted(selector).unwrap_or_default(),
            list: list(),
        }),
        (_, WithoutName::List) if is_any => Ok(Choice::List(listing(found))),
        _ if is_any => Err(ClientError::Unnamed { list: list() }),
        (several, _) => Err(ClientError::SameName {
            count: several.len(),
            wanted: wanted(selector).unwrap_or_default(),
            list: list(),
        }),
    }
}

fn is_meant(selector: &ServerSelector, server: &FoundServer) -> bool {
    let status = server.status.as_ref();
    match selector {
        ServerSelector::Any => true,
        ServerSelector::Path(path) => server.path == *path,
        ServerSelector::Pid(pid) => server.pid == *pid,
        ServerSelector::Name(name) => {
            status.is_some_and(|status| status.name.as_ref() == Some(name))
        }
    }
}

fn wanted(selector: &ServerSelector) -> Option<String> {
    match selector {
        ServerSelector::Any | ServerSelector::Path(_) => None,
        ServerSelector::Pid(pid) => Some(format!("with the process ID {pid}")),
        ServerSelector::Name(name) => Some(format!("called {name}")),
    }
}

/// The output of `scoter status` if there are several servers.
fn listing(found: &Discovery) -> String {
    let mut text = list(&found.servers);
    text.push_str("\nscoter status NAME shows one of them; NAME may be a process ID.\n");
    if found.not_asked > 0 {
        text.push_str(&format!(
            "There are {} more sockets with the name of a control socket, which were not asked.\n",
            found.not_asked
        ));
    }
    text
}

/// A line for each server, under a head.
fn list(servers: &[FoundServer]) -> String {
    let has_users = servers.iter().any(|server| server.user.is_some());
    let mut rows =
        vec![["NAME", "PID", "USER", "VERSION", "STATE", "LISTENING"].map(str::to_owned)];
    rows.extend(servers.iter().map(row));
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or_default()
    };
    let widths: Vec<_> = (0..COLUMNS).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.filter(|(column, _)| has_users || *column != USER);
        let line: String = cells
            .map(|(column, (cell, &width))| match column {
                PID => format!("{cell:>width$}  "),
                _ => format!("{cell:<width$}  "),
            })
            .collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn row(server: &FoundServer) -> [String; COLUMNS] {
    let dash = || "-".to_owned();
    let short = |text: &str| cut(&printable(text).replace(['\n', '\t'], "?"), MAX_CELL).to_owned();
    let pid = match &server.status {
        Some(status) if server.pid == 0 => status.pid,
        _ => server.pid,
    };
    let user = server.user.as_deref().map_or_else(dash, short);
    let Some(status) = &server.status else {
        let path = short(&server.path.display().to_string());
        let state = "does not answer".to_owned();
        return [dash(), pid.to_string(), user, dash(), state, path];
    };
    let state = match status.ready {
        true => format!("{}, ready", status.phase),
        false => format!("{}, not ready", status.phase),
    };
    let listeners = status.listeners.iter();
    let addresses: Vec<_> = listeners.map(|listener| short(&listener.address)).collect();
    let addresses = match addresses.len() {
        0 => dash(),
        _ => addresses.join(", "),
    };
    [
        status.name.as_deref().map_or_else(dash, short),
        pid.to_string(),
        user,
        short(&status.version),
        state,
        addresses,
    ]
}

const COLUMNS: usize = 6;
const PID: usize = 1;
const USER: usize = 2;

/// A path of a socket has 107 bytes at most.
const MAX_CELL: usize = 120;

#[cfg(test)]
mod tests {
    use super::super::fixture::busy_status;
    use super::*;
    use crate::control::{Phase, Status};

    fn server(name: Option<&str>, pid: i32) -> FoundServer {
        FoundServer {
            path: format!("/run/{pid}.control").into(),
            pid,
            user: None,
            status: Some(Status {
                name: name.map(str::to_owned),
                ..busy_status()
            }),
        }
    }

    fn found(servers: Vec<FoundServer>) -> Discovery {
        Discovery {
            servers,
            ..Discovery::default()
        }
    }

    fn named(name: &str) -> ServerSelector {
        ServerSelector::Name(name.to_owned())
    }

    #[test]
    fn each_server_is_a_line() {
        let mut servers = vec![
            server(Some("shop"), 4_242),
            server(None, 17),
            server(None, 99),
        ];
        let starting = servers[1].status.as_mut().unwrap();
        starting.phase = Phase::Starting;
        starting.ready = false;
        starting.listeners.extend(starting.listeners.clone());
        for (listener, address) in starting
            .listeners
            .iter_mut()
            .zip(["unix:/run/a.sock", "127.0.0.1:9000"])
        {
            address.clone_into(&mut listener.address);
        }
        servers[2].status = None;
        assert_eq!(
            list(&servers),
            "\
NAME   PID  VERSION  STATE                LISTENING
shop  4242  1.0.0    running, ready       unix:/run/app.sock
-       17  1.0.0    starting, not ready  unix:/run/a.sock, 127.0.0.1:9000
-       99  -        does not answer      /run/99.control
"
        );
        servers.truncate(1);
        servers[0].user = Some("www-data".to_owned());
        assert_eq!(
            list(&servers),
            "\
NAME   PID  USER      VERSION  STATE           LISTENING
shop  4242  www-data  1.0.0    running, ready  unix:/run/app.sock
"
        );
    }

    #[test]
    fn servers_cannot_send_control_sequences_or_lines() {
        let mut hostile = server(Some("a\nroot 1 \x1b[2J"), 1);
        let status = hostile.status.as_mut().unwrap();
        status.version = "9\t\u{9b}".repeat(1_000);
        let text = list(&[hostile]);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(!text.contains(['\x1b', '\t', '\u{9b}']), "{text}");
        assert!(text.lines().all(|line| line.len() < 400), "{text}");
    }

    #[test]
    fn only_server_is_taken_if_the_command_changes_nothing() {
        use WithoutName::{List, Only, Refuse};
        let (one, two) = (server(Some("shop"), 1), server(Some("blog"), 2));
        let any = ServerSelector::Any;
        let choice = Choice::One(one.path.clone());
        let taken = Ok(&choice);
        for (selector, without_name, servers, expected) in [
            (&any, List, vec![&one], taken),
            (&any, Only, vec![&one], taken),
            (&any, Refuse, vec![&one], Err("nothing says which server")),
            (&any, Refuse, vec![], Err("no running server")),
            (
                &any,
                Only,
                vec![&one, &two],
                Err("nothing says which server"),
            ),
            (&any, List, vec![], Err("no running server")),
            (&named("shop"), Refuse, vec![&one, &two], taken),
            (&ServerSelector::Pid(1), Refuse, vec![&one, &two], taken),
            (
                &named("sho"),
                List,
                vec![&one, &two],
                Err("no server called sho is"),
            ),
            (
                &named("shop"),
                List,
                vec![],
                Err("no running server called shop"),
            ),
            (
                &ServerSelector::Pid(3),
                List,
                vec![&one],
                Err("no server with the process ID 3 is"),
            ),
            (
                &named("shop"),
                Refuse,
                vec![&one, &one],
                Err("2 servers called shop are running"),
            ),
        ] {
            let found = found(servers.into_iter().cloned().collect());
            match (choose(selector, without_name, &found), expected) {
                (Ok(choice), Ok(expected)) => assert_eq!(choice, *expected),
                (Err(error), Err(expected)) => {
                    let text = error.to_string();
                    assert!(text.contains(expected), "{expected} in {text}");
                    assert_eq!(error.exit_code(), 2, "{text}");
                    for server in &found.servers {
                        assert!(text.contains(&format!(" {}  ", server.pid)), "{text}");
                    }
                }
                (other, _) => panic!("{selector:?} {without_name:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn several_servers_are_listed() {
        let mut found = found(vec![server(Some("shop"), 1), server(None, 2)]);
        found.not_asked = 3;
        match choose(&ServerSelector::Any, WithoutName::List, &found) {
            Ok(Choice::List(text)) => {
                assert!(text.starts_with("NAME"), "{text}");
                assert!(text.contains("scoter status NAME shows one"), "{text}");
                assert!(text.contains("3 more sockets"), "{text}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn sockets_that_were_not_asked_are_mentioned_where_no_server_is_found() {
        for (not_asked, expected) in [(0, false), (7, true)] {
            let found = Discovery {
                not_asked,
                ..Discovery::default()
            };
            let error = choose(&named("shop"), WithoutName::List, &found).unwrap_err();
            let mentions = error.to_string().contains("7 more sockets were not asked");
            assert_eq!(mentions, expected, "{error}");
        }
    }

    #[test]
    fn sockets_of_other_users_are_a_reason_to_try_sudo() {
        for (of_others, expected) in [(0, false), (2, true)] {
            let found = Discovery {
                of_others,
                ..Discovery::default()
            };
            let error = choose(&ServerSelector::Any, WithoutName::List, &found).unwrap_err();
            assert_eq!(error.to_string().contains("try sudo"), expected, "{error}");
        }
    }
}
