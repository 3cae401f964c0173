//! `scoter top` in a terminal.

use std::process::Command;

use integration_tests::{Scoter, Terminal, executable};
use nix::sys::signal::Signal;
use nix::sys::termios::LocalFlags;

/// `scoter top` in a terminal of this size.
fn top(scoter: &Scoter, columns: u16, rows: u16, variables: &[(&str, &str)]) -> Terminal {
    let mut command = Command::new(executable());
    command
        .args(["top", "--control"])
        .arg(scoter.control().socket())
        .env_remove("NO_COLOR")
        .envs(variables.iter().copied());
    Terminal::running(&command, columns, rows)
}

/// Waits for the end, which leaves the terminal as it was, and returns the exit code and what the first
/// screen shows.
#[track_caller]
fn end(terminal: &mut Terminal) -> (Option<i32>, String) {
    let code = terminal.exit_code();
    assert!(is_as_before(terminal));
    let shown = terminal.shown().to_owned();
    let (_, left) = shown
        .rsplit_once(FIRST_SCREEN)
        .unwrap_or_else(|| panic!("{shown:?}"));
    (code, left.to_owned())
}

fn is_as_before(terminal: &Terminal) -> bool {
    terminal
        .modes()
        .contains(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG)
}

const OTHER_SCREEN: &str = "\x1b[?1049h";
const FIRST_SCREEN: &str = "\x1b[?25h\x1b[?1049l";

#[test]
fn screen_follows_keys_and_the_size_of_the_window() {
    let scoter = Scoter::serving("hello")
        .workers("2")
        .args(["--name", "shop"])
        .start();
    let mut terminal = top(&scoter, 120, 30, &[]);
    let first = terminal.wait_for("q quit");
    assert!(first.starts_with(OTHER_SCREEN), "{first:?}");
    for text in [
        "shop (scoter",
        "latency p50",
        "waiting 0 of",
        "\x1b[32mready",
        "MEMORY",
    ] {
        assert!(first.contains(text), "{text:?} in {first:?}");
    }
    assert!(!is_as_before(&terminal));
    // The mark is before the column that workers are sorted by.
    assert!(first.contains(">\x1b[0m\x1b[1m ID"), "{first:?}");
    terminal.press("c");
    terminal.wait_for(">\x1b[0m\x1b[1m CPU");
    // An arrow is none of the letters in its sequence.
    terminal.press("\x1b[C\x1bOqm");
    terminal.wait_for(">\x1b[0m\x1b[1mMEMORY");
    terminal.resize(40, 20);
    let narrow = terminal.wait_for("q quit  sort: w p a n f r b c m");
    assert!(
        !narrow.contains("PID") || narrow.contains("MEMORY"),
        "{narrow:?}"
    );
    terminal.press("q");
    assert_eq!(end(&mut terminal), (Some(0), String::new()));
}

#[test]
fn colours_are_left_out_if_nobody_wants_them() {
    let scoter = Scoter::serving("hello").start();
    let mut terminal = top(&scoter, 120, 30, &[("NO_COLOR", "1")]);
    let shown = terminal.wait_for("q quit");
    assert!(
        shown.contains("ready") && !shown.contains("\x1b[1m"),
        "{shown:?}"
    );
    assert!(!shown.contains("\x1b[32m"), "{shown:?}");
    terminal.press("\x03");
    assert_eq!(end(&mut terminal).0, Some(0));

    let mut dumb = top(&scoter, 120, 30, &[("TERM", "dumb")]);
    let code = dumb.exit_code();
    assert_eq!(code, Some(0));
    let shown = dumb.shown();
    assert!(
        shown.contains("WORKER") && !shown.contains('\x1b'),
        "{shown:?}"
    );
}

#[test]
fn terminal_is_as_before_however_it_ends() {
    let mut scoter = Scoter::serving("hello").start();
    for signal in [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
    ] {
        let mut terminal = top(&scoter, 80, 24, &[]);
        terminal.wait_for("q quit");
        terminal.signal(signal);
        assert_eq!(end(&mut terminal), (Some(0), String::new()), "{signal}");
    }
    let mut terminal = top(&scoter, 80, 24, &[]);
    terminal.wait_for("q quit");
    scoter.stop();
    let (code, left) = end(&mut terminal);
    assert_eq!(code, Some(0));
    assert_eq!(left.trim_end(), "the server has ended");
}
