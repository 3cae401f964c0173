use super::*;

const PRIVATE: &str =
    "10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, fc00::/7, fe80::/10";

#[test]
fn addresses_have_their_scheme() {
    for (lines, expected) in [
        ("socket = /run/app.sock", "unix:/run/app.sock"),
        ("socket = app.sock", "unix:app.sock"),
        (
            "chdir = /srv/app\nsocket = app.sock",
            "unix:/srv/app/app.sock",
        ),
        ("chdir = /srv/app\nsocket = /run/x", "unix:/run/x"),
        ("socket = @app", "unix:@app"),
        ("socket = \\0app", "unix:@app"),
        ("socket = app\nabstract-socket = true", "unix:@app"),
        ("socket = 127.0.0.1:3031", "127.0.0.1:3031"),
        ("socket = localhost:3031", "localhost:3031"),
        ("socket = [::1]:3031", "[::1]:3031"),
        ("socket = 127.0.0.1:0", "127.0.0.1:0"),
        ("socket = :3031", "0.0.0.0:3031"),
        ("socket = 0.0.0.0:3031", "0.0.0.0:3031"),
        ("socket = 3031", "unix:3031"),
        ("socket = fd://3", "fd://3"),
        (
            "uwsgi-socket = /a\nsocket = /b\nsocket = /a",
            "unix:/a, unix:/b",
        ),
        ("shared-socket = /s\nsocket = =0", "unix:/s"),
        ("protocol = uwsgi\nsocket = /a", "unix:/a"),
    ] {
        assert_eq!(value(lines, "bind").as_deref(), Some(expected), "{lines}");
    }
}

#[test]
fn peers_of_open_sockets_are_private_networks() {
    for (lines, expected) in [
        ("socket = :3031", Some(PRIVATE)),
        ("socket = 0.0.0.0:3031", Some(PRIVATE)),
        ("socket = [::]:3031", Some(PRIVATE)),
        ("socket = app.example.com:3031", Some(PRIVATE)),
        ("http = :8000", Some(PRIVATE)),
        ("socket = 127.0.0.1:3031", None),
        ("socket = [::ffff:127.0.0.1]:3031", None),
        ("socket = /run/app.sock", None),
        ("socket = @app", None),
    ] {
        assert_eq!(value(lines, "allow").as_deref(), expected, "{lines}");
    }
    let translation = translated("socket = :3031");
    let note = notes(&translation)[0];
    assert!(note.text.contains("allow"), "{note:?}");
    assert_eq!(note.kind, Kind::Mapped);
}

#[test]
fn modes_and_owners() {
    for (lines, expected) in [
        ("chmod-socket", &["socket-mode = 666"][..]),
        ("chmod-socket = 1", &["socket-mode = 666"]),
        ("chmod-socket = 660", &["socket-mode = 660"]),
        ("chmod = 664", &["socket-mode = 664"]),
        ("chmod-socket = rw", &["socket-mode = rw"]),
        (
            "chown-socket = app:www-data",
            &["socket-group = www-data", "socket-owner = app"],
        ),
        ("chown-socket = app", &["socket-owner = app"]),
        ("chown-socket = :www-data", &["socket-group = www-data"]),
        (
            "uid = app\ngid = web",
            &[
                "group = web",
                "socket-group = web",
                "socket-owner = app",
                "user = app",
            ],
        ),
        (
            "uid = app\nchown-socket = www",
            &["socket-owner = www", "user = app"],
        ),
    ] {
        assert_eq!(settings(&translated(lines)), expected, "{lines}");
    }
    let open = translated("chmod-socket = 666");
    assert!(notes(&open)[0].text.contains("better 660"));
    assert!(notes(&translated("chmod-socket = 660")).is_empty());
    let by_user = translated_for("uid = app\ngid = web", Starter::User);
    assert_eq!(settings(&by_user), [""; 0]);
    assert_eq!(notes(&by_user)[0].kind, Kind::NothingToDo);
}

#[test]
fn http_alone_needs_nginx() {
    for lines in [
        "http = :8000",
        "http = 8000",
        "http-socket = :8000",
        "http11-socket = 0.0.0.0:8000",
        "https = :8000,cert.pem,key.pem",
        "protocol = http\nsocket = :8000",
    ] {
        let translation = translated(lines);
        let first = &translation.notes[0];
        assert_eq!(first.kind, Kind::Lost, "{lines}");
        assert!(first.text.contains("needs nginx in front"), "{lines}");
        assert_eq!(
            value(lines, "bind").as_deref(),
            Some("0.0.0.0:8000"),
            "{lines}"
        );
        let snippet = translation.notes.iter().find_map(|note| match &note.kind {
            Kind::Elsewhere(snippets) => snippets.first().map(|snippet| &snippet.lines),
            _ => None,
        });
        let snippet = snippet.expect(lines);
        assert!(snippet.contains("uwsgi_pass 127.0.0.1:8000;"), "{snippet}");
    }
}

#[test]
fn http_beside_a_socket_is_left_out() {
    let translation = translated("socket = /a\nhttp = :80\nhttp-socket = :81");
    assert_eq!(settings(&translation), ["bind = unix:/a"]);
    let notes = notes(&translation);
    assert_eq!(notes.len(), 1);
    assert_eq!(notes[0].kind, Kind::Elsewhere(Vec::new()));
    assert_eq!(notes[0].directives.len(), 2);
}
