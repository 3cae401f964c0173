//! Many clients at once: nobody gets a byte that belongs to another.

use std::thread;

use hyper::Request;
use integration_tests::{Connections, Scoter, Site, get, through_nginx, until, whole, with};

const CLIENTS: usize = 16;
const REQUESTS: usize = 40;

#[through_nginx(gateway)]
fn requests_through_nginx_never_mix(connections: Connections) {
    let site = Site::with(
        Scoter::serving("tokens").args(["--threads", "4"]),
        connections,
        |nginx| {
            nginx.extra(
            "client_max_body_size 0;
             location / { include scoter/uwsgi_params; uwsgi_request_buffering off; uwsgi_pass scoter; }",
        )
        },
    );
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let http = match client % 2 {
                0 => site.client().clone(),
                _ => site.extra(),
            };
            scope.spawn(move || {
                for number in 0..REQUESTS {
                    let token = format!("{client}-{number}-{}", "t".repeat(number * 7));
                    let mut request = Request::post(format!("/{token}?{token}"))
                        .header("X-Token", &token)
                        .header("Cookie", format!("c={token}"))
                        .header("Content-Type", format!("text/{token}"));
                    let sometimes = match number % 3 {
                        0 => "-",
                        _ => {
                            request = request.header("X-Sometimes", &token);
                            &token
                        }
                    };
                    let body = token.repeat(1 + number * 20);
                    let reply = http.send(request.body(whole(body.clone())).expect("well-formed"));
                    let expected = format!(
                        "/{token}\n{token}\n{token}\nc={token}\n{sometimes}\ntext/{token}\n{body}"
                    );
                    assert!(reply.text() == expected, "{token}");
                    assert_eq!(reply.header("X-Token"), Some(&*token));
                }
            });
        }
    });
    let served = site.scoter().wait_for_access_log(CLIENTS * REQUESTS).len();
    assert_eq!(served, CLIENTS * REQUESTS);
}

#[test]
fn packets_of_changing_shape_never_mix() {
    let scoter = Scoter::serving("echo").args(["--threads", "4"]).start();
    thread::scope(|scope| {
        for client in 0..8 {
            let scoter = &scoter;
            scope.spawn(move || {
                for number in 0..60 {
                    let token = format!("{client}-{number}");
                    // Keys come, go and change places; values are empty, long, the same as before.
                    let mut vars = vec![("HTTP_X_SAME".to_owned(), "same".to_owned())];
                    for key in 0..(client + number) % 7 {
                        vars.push((format!("HTTP_X_{key}"), token.clone()));
                    }
                    if number % 2 == 0 {
                        vars.reverse();
                    }
                    vars.push(("QUERY_STRING".to_owned(), token.repeat(number % 5)));
                    let seen = scoter
                        .connect()
                        .packet(&with(
                            get("/"),
                            vars.iter().map(|(key, value)| (key, value)),
                        ))
                        .reply()
                        .json();
                    for (key, value) in &vars {
                        assert_eq!(seen["environ"][key], *value, "{token} {key}");
                    }
                    let headers = seen["environ"].as_object().expect("an object");
                    let headers = headers
                        .keys()
                        .filter(|key| key.starts_with("HTTP_X_"))
                        .count();
                    assert_eq!(headers, vars.len() - 1, "{token}");
                }
            });
        }
    });
}

#[test]
fn as_many_requests_run_at_once_as_there_are_threads() {
    let scoter = Scoter::serving("streaming")
        .args(["--threads", "3"])
        .start();
    let gate = scoter.gate("all");
    let mut peers: Vec<_> = (0..5).map(|_| scoter.connect()).collect();
    for peer in &mut peers {
        peer.packet(&with(get("/waits"), [("QUERY_STRING", "all")]));
    }
    let begun = || {
        scoter
            .events()
            .iter()
            .filter(|event| *event == "begun all")
            .count()
    };
    until("three have begun", || (begun() == 3).then_some(()));
    gate.open_for(5);
    for peer in &mut peers {
        assert_eq!(peer.reply().text(), "waited at all");
    }
    assert_eq!(begun(), 5);
}

/// Has one connection to a database, which belongs to the thread that has made it.
const ONE_CONNECTION: &str = "def connect():\n    \
                                  global connection\n    \
                                  connection = sqlite3.connect(':memory:')\n\
                              def application(environ, start_response):\n    \
                                  try:\n        \
                                      text = str(connection.execute('select 1').fetchone())\n    \
                                  except sqlite3.Error:\n        \
                                      if environ['PATH_INFO'] == '/raises':\n            \
                                          raise\n        \
                                      text = traceback.format_exc()\n        \
                                      environ['wsgi.errors'].write(text)\n    \
                                  start_response('200 OK', [])\n    \
                                  return [text.encode()]\n\
                              import sqlite3, threading, traceback\n";

#[test]
fn application_that_is_not_made_for_threads_is_hinted_at_once() {
    let source = format!(
        "{ONE_CONNECTION}\
         made = threading.Event()\n\
         def make():\n    \
             connect()\n    \
             made.set()\n    \
             # Its number would be that of another thread once it has ended.\n    \
             threading.Event().wait()\n\
         threading.Thread(target=make, daemon=True).start()\n\
         made.wait()\n"
    );
    for path in ["/raises", "/catches"] {
        let mut scoter = Scoter::serving("one_connection")
            .with_file("one_connection.py", &source)
            .args(["--threads", "2"])
            .start();
        for _ in 0..5 {
            scoter.connect().packet(&get(path)).ending();
        }
        let log = scoter.stop().stderr;
        assert_eq!(log.matches("SQLite objects created").count(), 5, "{log}");
        assert_eq!(log.matches("--threads 1").count(), 1, "{log}");
    }
}

#[test]
fn one_thread_is_the_one_that_has_imported_the_application() {
    let source = format!("{ONE_CONNECTION}connect()\n");
    for arguments in [&["--threads", "1"][..], &["--threads", "1", "--no-master"]] {
        let scoter = Scoter::serving("one_connection")
            .with_file("one_connection.py", &source)
            .args(arguments)
            .start();
        for _ in 0..10 {
            let reply = scoter.connect().packet(&get("/raises")).reply();
            assert_eq!(reply.text(), "(1,)");
        }
    }
}
