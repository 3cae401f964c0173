//! What is generated for shells and for man(1).

use std::io::Write;
use std::process::{Command, Stdio};

use integration_tests::{Scoter, skip};

/// What `scoter` prints.
#[track_caller]
fn printed(words: &[&str]) -> String {
    let finished = Scoter::told_nothing().args(words).run();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(finished.stderr, "", "{finished:?}");
    finished.stdout
}

fn is_there(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output();
    found.is_ok_and(|found| found.status.success())
}

#[test]
fn bash_completes_commands_and_options() {
    if !is_there("bash") {
        return skip("no bash");
    }
    let script = printed(&["completion", "bash"]);
    for (words, expected, unexpected) in [
        (
            &["scoter", "st"][..],
            &["status", "stop", "stacks"][..],
            "scale",
        ),
        (
            &["scoter", "--request-t"],
            &["--request-timeout"],
            "--threads",
        ),
        (&["scoter", "reload", "--u"], &["--upgrade"], "--user"),
        (&["scoter", "status", "--n"], &["--name"], "--no-master"),
        (
            &["scoter", "completion", ""],
            &["bash", "zsh", "fish"],
            "elvish",
        ),
    ] {
        let last = words.len() - 1;
        let (word, before) = (words[last], words[last - 1]);
        let quoted: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
        let ask = format!(
            "{script}\ncomplete -p scoter >&2\nCOMP_WORDS=({})\nCOMP_CWORD={last}\n\
             _scoter scoter '{word}' '{before}'\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"",
            quoted.join(" ")
        );
        let done = Command::new("bash").args(["--norc", "-c", &ask]).output();
        let done = done.expect("it is there");
        let registered = String::from_utf8_lossy(&done.stderr);
        assert!(registered.contains("-F _scoter scoter"), "{registered}");
        let replies = String::from_utf8_lossy(&done.stdout);
        let replies: Vec<_> = replies.lines().collect();
        for reply in expected {
            assert!(replies.contains(reply), "{words:?}: {reply} in {replies:?}");
        }
        assert!(!replies.contains(&unexpected), "{words:?}: {replies:?}");
    }
}

#[test]
fn man_pages_are_formatted_without_a_warning() {
    if !is_there("groff") {
        return skip("no groff");
    }
    for (words, expected) in [
        (&["man"][..], &["--request-timeout", "scoter-status(1)"][..]),
        (&["man", "status"], &["--json", "--name"]),
        (&["man", "scale"], &["from 1 to 1024"]),
    ] {
        let page = printed(words);
        let mut command = Command::new("groff");
        command.args(["-k", "-man", "-ww", "-Tutf8", "-P-cbou"]);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.stderr(Stdio::piped()).spawn().expect("it is there");
        let mut input = child.stdin.take().expect("piped");
        let sender = std::thread::spawn(move || input.write_all(page.as_bytes()));
        let done = child.wait_with_output().expect("it ends");
        sender.join().expect("no panic").expect("it reads");
        assert_eq!(String::from_utf8_lossy(&done.stderr), "", "{words:?}");
        let text = String::from_utf8_lossy(&done.stdout);
        for part in expected {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
