//! The module of `nginx-conf/keepalive` in the installed nginx, in front of servers that speak its protocol well and
//! badly. What a connection is kept for is seen from which connection the next request takes.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, mpsc};

use http_body_util::BodyExt as _;
use hyper::Request;
use integration_tests::{
    After, Asked, Connections, DEADLINE, Nginx, NginxBuilder, Pattern, Upstream, empty,
    through_nginx, until, whole,
};

/// What a server sends, by path.
type Answers = Vec<(&'static str, Vec<u8>)>;

/// What nginx does with the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Kept,
    Closed,
}

fn response(head: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = head.replace('\n', "\r\n").into_bytes();
    bytes.extend_from_slice(b"\r\n\r\n");
    bytes.extend_from_slice(body);
    bytes
}

fn agreed(status: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let fields = if fields.is_empty() {
        String::new()
    } else {
        format!("\n{fields}")
    };
    response(
        &format!("HTTP/1.1 {status}\nConnection: keep-alive{fields}"),
        body,
    )
}

fn ok(body: &[u8]) -> Vec<u8> {
    agreed("200 OK", &format!("Content-Length: {}", body.len()), body)
}

/// Reads the body, sends the answer of the path and keeps the connection, as a server does that trusts itself.
/// What is asked for with another path gets a small page.
fn scripted(answers: Answers) -> impl Fn(&Asked, &mut UnixStream) -> io::Result<After> {
    let page = ok(b"page");
    move |asked, stream| {
        asked.read_body(stream)?;
        let path = asked.var("PATH_INFO");
        let answer = answers.iter().find(|(known, _)| *known == path);
        let answer = answer.map_or(&page, |(_, answer)| answer);
        stream.write_all(answer)?;
        Ok(After::Keep)
    }
}

fn nginx(upstream: &Upstream, connections: Connections) -> NginxBuilder {
    Nginx::prepare(upstream.folder(), upstream.socket(), connections)
}

/// Says what became of the connection of the last request: gets one more page.
#[track_caller]
fn fate(upstream: &Upstream, nginx: &Nginx) -> Fate {
    let before = last(upstream);
    assert_eq!(nginx.site().get("/probe").text(), "page");
    match last(upstream).connection == before.connection {
        true => Fate::Kept,
        false => Fate::Closed,
    }
}

fn last(upstream: &Upstream) -> Asked {
    upstream.asked().pop().expect("the server was asked")
}

#[through_nginx(kept)]
fn connection_is_kept_after_a_response_whose_end_is_known(connections: Connections) {
    let megabyte: Vec<u8> = Pattern::with_length(1 << 20).flatten().collect();
    let answers = vec![
        ("/body", ok(b"hello")),
        ("/empty", ok(b"")),
        ("/large", ok(&megabyte)),
        ("/204", agreed("204 No Content", "A: b", b"")),
        ("/304", agreed("304 Not Modified", "ETag: \"a\"", b"")),
        (
            "/404",
            agreed("404 Not Found", "Content-Length: 4", b"gone"),
        ),
        ("/500", agreed("500 Error", "Content-Length: 4", b"sick")),
        (
            "/case",
            response(
                "HTTP/1.1 200 OK\nCONNECTION: Keep-Alive\nContent-Length: 1",
                b"x",
            ),
        ),
        (
            "/status",
            response(
                "Status: 200 OK\nConnection: keep-alive\nContent-Length: 1",
                b"x",
            ),
        ),
    ];
    let paths: Vec<_> = answers.iter().map(|(path, _)| *path).collect();
    let upstream = Upstream::answering(scripted(answers));
    let nginx = nginx(&upstream, connections);
    let nginx = nginx
        .extra("include scoter/uwsgi_params; uwsgi_pass_request_headers on;")
        .extra("location / { uwsgi_buffering off; uwsgi_pass scoter; }")
        .start();
    for (how, client) in [("buffered", nginx.site()), ("unbuffered", nginx.extra())] {
        for path in &paths {
            let reply = client.get(path);
            // nginx's own, once: what the server says of its connection is not passed on.
            assert_eq!(reply.header("Connection"), Some("keep-alive"));
            if *path == "/large" {
                assert!(reply.body == megabyte, "{how}");
            }
            assert_eq!(fate(&upstream, &nginx), Fate::Kept, "{how} {path}");
        }
    }
    assert_eq!(last(&upstream).connection, 0);
}

#[through_nginx(kept)]
fn connection_is_kept_after_head(connections: Connections) {
    let head = |fields| agreed("200 OK", fields, b"");
    let answers = vec![
        ("/length", head("Content-Length: 100")),
        ("/none", head("A: b")),
    ];
    let upstream = Upstream::answering(scripted(answers));
    let nginx = nginx(&upstream, connections);
    let nginx = nginx
        .http("uwsgi_cache_path temp/cache keys_zone=pages:1m;")
        .extra("include scoter/uwsgi_params;")
        .extra("location / { uwsgi_buffering off; uwsgi_pass scoter; }")
        .extra(
            "location /cached {
                 rewrite /cached(.*) $1 break;
                 uwsgi_cache pages; uwsgi_cache_key $request_method$uri; uwsgi_cache_valid 1h;
                 uwsgi_pass scoter;
             }",
        )
        .start();
    for path in ["/length", "/none"] {
        for client in [nginx.site(), nginx.extra()] {
            let request = Request::head(path).body(empty()).expect("a request");
            assert_eq!(client.send(request).status, 200);
            assert_eq!(last(&upstream).var("UWSGI_KEEP_CONN"), "HEAD");
            assert_eq!(fate(&upstream, &nginx), Fate::Kept, "{path}");
        }
        // nginx reads on for its cache, which must not wait for a close that does not come: the next request of
        // this client would wait too.
        let mut client = nginx.extra().connect();
        let head = format!("HEAD /cached{path} HTTP/1.1\r\nHost: a\r\n\r\n");
        let get = "GET /probe HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        client
            .write_all(format!("{head}{get}").as_bytes())
            .expect("nginx reads");
        let mut replies = String::new();
        client.read_to_string(&mut replies).expect("two responses");
        assert!(replies.ends_with("\r\n\r\npage"), "{replies}");
    }
    assert_eq!(last(&upstream).connection, 0);
}

#[through_nginx(kept)]
fn connection_is_closed_after_anything_else(connections: Connections) {
    let answers = vec![
        ("/trailing", ok_and(b"hello", b"!")),
        ("/second-response", ok_and(b"hello", &ok(b"forged"))),
        ("/empty-trailing", ok_and(b"", b"!")),
        ("/204-body", agreed("204 No Content", "A: b", b"body")),
        ("/304-body", agreed("304 Not Modified", "A: b", b"body")),
        (
            "/no-agreement",
            response("HTTP/1.1 200 OK\nContent-Length: 1", b"x"),
        ),
        (
            "/close",
            response(
                "HTTP/1.1 200 OK\nConnection: close\nContent-Length: 1",
                b"x",
            ),
        ),
        (
            "/list",
            response(
                "HTTP/1.1 200 OK\nConnection: keep-alive, x\nContent-Length: 1",
                b"x",
            ),
        ),
        (
            "/both",
            response(
                "HTTP/1.1 200 OK\nConnection: close\nConnection: keep-alive\nContent-Length: 1",
                b"x",
            ),
        ),
    ];
    let paths: Vec<_> = answers.iter().map(|(path, _)| *path).collect();
    let upstream = Upstream::answering(scripted(answers));
    let nginx = nginx(&upstream, connections);
    let nginx = nginx
        .extra("include scoter/uwsgi_params;")
        .extra("location / { uwsgi_buffering off; uwsgi_pass scoter; }")
        .start();
    for (how, client) in [("buffered", nginx.site()), ("unbuffered", nginx.extra())] {
        for path in &paths {
            client.get(path);
            assert_eq!(fate(&upstream, &nginx), Fate::Closed, "{how} {path}");
        }
        let request = Request::head("/trailing").body(empty()).expect("a request");
        client.send(request);
        assert_eq!(
            fate(&upstream, &nginx),
            Fate::Closed,
            "{how} HEAD with a body"
        );
    }
}

fn ok_and(body: &[u8], trailing: &[u8]) -> Vec<u8> {
    [ok(body), trailing.to_vec()].concat()
}

#[through_nginx(kept)]
fn server_that_closes_is_not_waited_for_nor_kept(connections: Connections) {
    let upstream = Upstream::answering(|asked, stream| {
        let answer = match asked.var("PATH_INFO") {
            "/endless" => agreed("200 OK", "A: b", b"until the close"),
            "/chunked" => agreed(
                "200 OK",
                "Transfer-Encoding: chunked",
                b"3\r\nabc\r\n0\r\n\r\n",
            ),
            "/short" => agreed("200 OK", "Content-Length: 10", b"short"),
            "/head" => b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Le".to_vec(),
            _ => ok(b"page"),
        };
        stream.write_all(&answer)?;
        Ok(After::Close)
    });
    let nginx = nginx(&upstream, connections);
    let nginx = nginx.start();
    for path in ["/endless", "/chunked", "/short", "/head", "/page"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        nginx.site().raw(request.as_bytes());
        assert_eq!(fate(&upstream, &nginx), Fate::Closed, "{path}");
    }
}

#[through_nginx(kept)]
fn agreement_is_ignored_where_nginx_did_not_ask(connections: Connections) {
    let upstream = Upstream::answering(scripted(Vec::new()));
    let nginx = nginx(&upstream, connections);
    let nginx = nginx
        .extra("location / { uwsgi_param REQUEST_METHOD GET; uwsgi_pass scoter; }")
        .start();
    assert_eq!(nginx.extra().get("/").text(), "page");
    assert_eq!(fate(&upstream, &nginx), Fate::Closed);
}

#[through_nginx(kept)]
fn upgraded_connection_is_not_kept(connections: Connections) {
    let upstream = Upstream::answering(|asked, stream| {
        if asked.var("PATH_INFO") != "/upgrade" {
            stream.write_all(&ok(b"page"))?;
            return Ok(After::Keep);
        }
        stream.write_all(&agreed(
            "101 Switching",
            "Upgrade: x\nContent-Length: 0",
            b"hi",
        ))?;
        Ok(After::Close)
    });
    let nginx = nginx(&upstream, connections);
    let nginx = nginx.start();
    let request = "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    assert!(nginx.site().raw(request.as_bytes()).ends_with("hi"));
    assert_eq!(fate(&upstream, &nginx), Fate::Closed);
}

#[through_nginx(kept)]
fn request_says_how_much_follows_it(connections: Connections) {
    let answers = vec![
        ("/auth", ok(b"")),
        (
            "/send",
            agreed("200 OK", "X-Accel-Redirect: /again\nContent-Length: 0", b""),
        ),
    ];
    let upstream = Upstream::answering({
        let answer = scripted(answers);
        move |asked, stream| match asked.var("PATH_INFO") {
            // These announce a body that nginx does not send.
            "/off" | "/check" | "/refused" => {
                stream.write_all(&response("HTTP/1.1 200 OK\nContent-Length: 4", b"page"))?;
                Ok(After::Close)
            }
            _ => answer(asked, stream),
        }
    });
    let nginx = nginx(&upstream, connections);
    let nginx = nginx
        .extra("include scoter/uwsgi_params; error_page 413 = /refused;")
        .extra("location / { uwsgi_pass scoter; }")
        .extra("location /off { uwsgi_pass_request_body off; uwsgi_pass scoter; }")
        .extra("location /unbuffered { uwsgi_request_buffering off; uwsgi_pass scoter; }")
        .extra("location /guarded { auth_request /check; uwsgi_pass scoter; }")
        .extra("location /check { internal; uwsgi_pass_request_body off; uwsgi_pass scoter; }")
        .extra("location /mirrored { mirror /copy; uwsgi_pass scoter; }")
        // The client has its response and leaves while the copy may still be under way.
        .extra("location /copy { internal; uwsgi_ignore_client_abort on; uwsgi_pass scoter; }")
        .extra("location /again { internal; uwsgi_pass scoter; }")
        .extra("location /limited { client_max_body_size 1; uwsgi_pass scoter; }")
        .start();
    let client = nginx.extra();
    let body = vec![b'x'; 100_000];
    for (path, expected) in [
        ("/", vec![("/", "100000")]),
        ("/off", vec![("/off", "0")]),
        ("/unbuffered", vec![("/unbuffered", "100000")]),
        ("/guarded", vec![("/check", "0"), ("/guarded", "100000")]),
        (
            "/mirrored",
            vec![("/copy", "100000"), ("/mirrored", "100000")],
        ),
        ("/send", vec![("/send", "100000"), ("/again", "100000")]),
        ("/limited", vec![("/refused", "0")]),
    ] {
        let before = upstream.asked().len();
        client.post(path, body.clone());
        // The response to the client does not wait for the copy.
        let asked = until("all requests", || {
            let asked = upstream.asked();
            (asked.len() >= before + expected.len()).then_some(asked)
        });
        let mut said: Vec<_> = asked[before..]
            .iter()
            .map(|asked| (asked.var("PATH_INFO"), asked.var("UWSGI_KEEP_CONN")))
            .collect();
        // Nobody says in which order a request and its copy arrive.
        if path == "/mirrored" {
            said.sort_unstable();
        }
        assert_eq!(said, expected, "{path}");
        for asked in &asked[before..] {
            assert_eq!(asked.var("CONTENT_LENGTH"), "100000", "{path}");
        }
    }
    assert_eq!(client.get("/").text(), "page");
    assert_eq!(last(&upstream).var("UWSGI_KEEP_CONN"), "0");
    let chunked = Request::post("/").body(Pattern::chunked(5_000).boxed());
    client.send(chunked.expect("a request"));
    assert_eq!(last(&upstream).var("UWSGI_KEEP_CONN"), "5000");
    let head = Request::head("/").body(whole("body")).expect("a request");
    client.send(head);
    assert_eq!(
        last(&upstream).var("UWSGI_KEEP_CONN"),
        "",
        "HEAD with a body"
    );
}

#[through_nginx(kept)]
fn connection_is_kept_though_nginx_answers_something_else(connections: Connections) {
    let answers = vec![
        (
            "/accel",
            agreed("200 OK", "X-Accel-Redirect: /page\nContent-Length: 0", b""),
        ),
        (
            "/accel-body",
            agreed(
                "200 OK",
                "X-Accel-Redirect: /page\nContent-Length: 4",
                b"body",
            ),
        ),
        ("/error", agreed("500 Error", "Content-Length: 4", b"sick")),
        (
            "/accel-cut",
            agreed(
                "200 OK",
                "X-Accel-Redirect: /page\nContent-Length: 9",
                b"body",
            ),
        ),
        (
            "/error-cut",
            agreed("500 Error", "Content-Length: 9", b"sick"),
        ),
        (
            "/accel-more",
            agreed(
                "200 OK",
                "X-Accel-Redirect: /page\nContent-Length: 3",
                b"body",
            ),
        ),
        (
            "/error-more",
            agreed("500 Error", "Content-Length: 3", b"sick"),
        ),
    ];
    let upstream = Upstream::answering(scripted(answers));
    let nginx = nginx(&upstream, connections);
    let nginx = nginx
        .extra("include scoter/uwsgi_params; uwsgi_intercept_errors on; error_page 500 /page;")
        .extra("location / { uwsgi_pass scoter; }")
        .extra("location /page { return 200 static; }")
        .start();
    for (path, expected) in [
        ("/accel", Fate::Kept),
        ("/accel-body", Fate::Kept),
        ("/error", Fate::Kept),
        // The rest of the body, which comes later or never, would be taken for the next response.
        ("/accel-cut", Fate::Closed),
        ("/error-cut", Fate::Closed),
        ("/accel-more", Fate::Closed),
        ("/error-more", Fate::Closed),
    ] {
        assert_eq!(nginx.extra().get(path).text(), "static", "{path}");
        assert_eq!(fate(&upstream, &nginx), expected, "{path}");
    }
}

#[through_nginx(kept)]
fn response_that_a_filter_refuses_is_not_kept(connections: Connections) {
    // The filter makes a 412 of it, and nginx forgets the contexts of all modules.
    let upstream = Upstream::answering(scripted(vec![(
        "/",
        agreed(
            "200 OK",
            "Content-Length: 100000\nLast-Modified: Mon, 02 Jan 2023 00:00:00 GMT",
            b"first",
        ),
    )]));
    let nginx = nginx(&upstream, connections);
    let nginx = nginx
        .http("uwsgi_cache_path temp/cache keys_zone=pages:1m;")
        .extra("include scoter/uwsgi_params; uwsgi_cache pages; uwsgi_cache_key $uri;")
        .extra("uwsgi_cache_valid 1h;")
        .extra("location / { uwsgi_pass scoter; }")
        .start();
    let request = Request::get("/")
        .header("If-Unmodified-Since", "Sun, 01 Jan 2023 00:00:00 GMT")
        .body(empty());
    let reply = nginx.extra().send(request.expect("a request"));
    assert_eq!(reply.status, 412);
    assert_eq!(fate(&upstream, &nginx), Fate::Closed);
}

#[through_nginx(kept)]
fn revalidated_response_is_served_from_the_cache(connections: Connections) {
    let upstream = Upstream::answering(|asked, stream| {
        let body: &[u8] = match asked.var("PATH_INFO") {
            "/probe" => b"page",
            "/empty" => b"",
            _ => b"cached",
        };
        let fields = format!("ETag: \"a\"\nContent-Length: {}", body.len());
        stream.write_all(&match asked.var("HTTP_IF_NONE_MATCH") {
            "" => agreed("200 OK", &fields, body),
            _ => agreed("304 Not Modified", &fields, b"!"),
        })?;
        Ok(After::Keep)
    });
    let nginx = nginx(&upstream, connections);
    let nginx = nginx
        .http("uwsgi_cache_path temp/cache keys_zone=pages:1m;")
        .extra("include scoter/uwsgi_params; uwsgi_cache pages; uwsgi_cache_key $uri;")
        .extra("uwsgi_cache_valid any 1s; uwsgi_cache_revalidate on;")
        .extra("location / { uwsgi_pass scoter; }")
        .start();
    for (path, body) in [("/", "cached"), ("/empty", "")] {
        assert_eq!(nginx.extra().get(path).text(), body);
        assert_eq!(fate(&upstream, &nginx), Fate::Kept, "{path} was stored");
        // It is valid for a second.
        until("revalidation", || {
            assert_eq!(nginx.extra().get(path).text(), body);
            (last(&upstream).var("HTTP_IF_NONE_MATCH") == "\"a\"").then_some(())
        });
        // What nginx then knows of the response is what the cache has: nothing of the byte too much.
        assert_eq!(
            fate(&upstream, &nginx),
            Fate::Closed,
            "{path} was revalidated"
        );
    }
}

#[through_nginx(kept)]
fn failed_response_is_followed_by_another_connection(connections: Connections) {
    let upstream = Upstream::answering(scripted(vec![(
        "/503",
        agreed("503 Busy", "Content-Length: 4", b"busy"),
    )]));
    let nginx = nginx(&upstream, connections);
    let socket = upstream.socket().display();
    let nginx = nginx
        .http(&format!(
            "upstream two {{
                 server unix:{socket} max_fails=0; server unix:{socket} max_fails=0; keepalive 4;
             }}"
        ))
        .extra("include scoter/uwsgi_params; uwsgi_next_upstream http_503;")
        .extra("location / { uwsgi_pass two; }")
        .start();
    let reply = nginx.extra().get("/503");
    assert_eq!((reply.status, &*reply.text()), (503, "busy"));
    let connections: Vec<_> = upstream
        .asked()
        .iter()
        .map(|asked| asked.connection)
        .collect();
    assert_eq!(connections, [0, 1]);
    // Only the last response was read to its end.
    assert_eq!(nginx.extra().get("/").text(), "page");
    assert_eq!(last(&upstream).connection, 1);
}

#[through_nginx(kept)]
fn bytes_after_a_complete_response_close_the_connection(connections: Connections) {
    let (complete, nginx_has_it) = mpsc::channel();
    let (closed, was_closed) = mpsc::channel();
    let nginx_has_it = Mutex::new(nginx_has_it);
    let upstream = Upstream::answering(move |asked, stream| {
        stream.write_all(&ok(b"page"))?;
        if asked.var("PATH_INFO") != "/late" {
            return Ok(After::Keep);
        }
        let nginx_has_it = nginx_has_it.lock().expect("nobody panics");
        nginx_has_it
            .recv_timeout(DEADLINE)
            .map_err(io::Error::other)?;
        stream.write_all(&ok(b"forged"))?;
        // A reset, as nginx did not read it all.
        let packet = matches!(stream.read(&mut [0]), Ok(1));
        closed.send(packet).map_err(io::Error::other)?;
        Ok(After::Close)
    });
    let nginx = nginx(&upstream, connections);
    let nginx = nginx.start();
    assert_eq!(nginx.site().get("/late").text(), "page");
    complete.send(()).expect("the server waits");
    assert_eq!(was_closed.recv_timeout(DEADLINE), Ok(false));
    assert_eq!(fate(&upstream, &nginx), Fate::Closed);
}

#[through_nginx(kept)]
fn response_before_the_end_of_the_request_closes_the_connection(connections: Connections) {
    let (rest, read) = mpsc::channel();
    let upstream = Upstream::answering(move |asked, stream| {
        stream.write_all(&ok(b"page"))?;
        if asked.var("PATH_INFO") == "/early" {
            let mut unread = Vec::new();
            // Reset or end: nginx does not send the rest of it.
            let _ = stream.read_to_end(&mut unread);
            rest.send(unread.len()).map_err(io::Error::other)?;
            return Ok(After::Close);
        }
        Ok(After::Keep)
    });
    let nginx = nginx(&upstream, connections);
    let nginx = nginx
        .extra("include scoter/uwsgi_params; uwsgi_request_buffering off;")
        .extra("location / { uwsgi_pass scoter; }")
        .start();
    let len = 8 << 20;
    // Buffered: more than the socket takes.
    let body: Vec<u8> = Pattern::with_length(len).flatten().collect();
    assert_eq!(nginx.site().post("/early", body).text(), "page");
    assert!(read.recv_timeout(DEADLINE).expect("the server counts") < len as usize);
    assert_eq!(fate(&upstream, &nginx), Fate::Closed, "buffered");
    // Unbuffered: more than the client has sent.
    let mut client = nginx.extra().connect();
    let head = "POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nfirst";
    client.write_all(head.as_bytes()).expect("nginx reads");
    assert_eq!(read.recv_timeout(DEADLINE), Ok(5));
    assert_eq!(fate(&upstream, &nginx), Fate::Closed, "unbuffered");
}

#[through_nginx(kept)]
fn client_that_leaves_closes_the_connection(connections: Connections) {
    let (closed, was_closed) = mpsc::channel();
    let upstream = Upstream::answering(move |asked, stream| {
        let answer = ok(b"complete");
        let sent = match asked.var("PATH_INFO") {
            "/head" => &answer[..10],
            "/body" => &answer[..answer.len() - 3],
            _ => {
                stream.write_all(&ok(b"page"))?;
                return Ok(After::Keep);
            }
        };
        // nginx may be gone before this.
        let packet = stream.write_all(sent).is_ok() && matches!(stream.read(&mut [0]), Ok(1));
        closed.send(packet).map_err(io::Error::other)?;
        Ok(After::Close)
    });
    let nginx = nginx(&upstream, connections);
    let nginx = nginx
        .extra("include scoter/uwsgi_params; uwsgi_buffering off;")
        .extra("location / { uwsgi_pass scoter; }")
        .start();
    for path in ["/head", "/body"] {
        let mut client = nginx.extra().connect();
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        client.write_all(request.as_bytes()).expect("nginx reads");
        if path == "/body" {
            let mut read = Vec::new();
            while !read.ends_with(b"compl") {
                let mut byte = [0];
                client.read_exact(&mut byte).expect("nginx passes it on");
                read.push(byte[0]);
            }
        }
        until("the request", || {
            (upstream.asked().last()?.var("PATH_INFO") == path).then_some(())
        });
        client.shutdown(Shutdown::Both).expect("it is open");
        assert_eq!(was_closed.recv_timeout(DEADLINE), Ok(false), "{path}");
        assert_eq!(fate(&upstream, &nginx), Fate::Closed, "{path}");
    }
}

#[through_nginx(kept)]
fn request_on_a_connection_that_was_closed_under_it_is_repeated_if_that_is_harmless(
    connections: Connections,
) {
    let upstream = Upstream::answering(|asked, stream| {
        let repeated = asked.var("HTTP_X_CLOSE").is_empty() || asked.connection % 2 == 1;
        if !repeated {
            return Ok(After::Close);
        }
        asked.read_body(stream)?;
        stream.write_all(&ok(b"page"))?;
        Ok(match asked.var("HTTP_X_CLOSE") {
            "" => After::Keep,
            _ => After::Close,
        })
    });
    let nginx = nginx(&upstream, connections);
    let nginx = nginx.start();
    let send = |method, path| {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("X-Close", "1");
        nginx.site().send(request.body(empty()).expect("a request"))
    };
    for (method, status, requests) in [("GET", 200, 2), ("PUT", 200, 2), ("POST", 502, 1)] {
        nginx.site().get("/");
        let before = upstream.asked().len();
        assert_eq!(send(method, "/").status, status, "{method}");
        assert_eq!(upstream.asked().len(), before + requests, "{method}");
    }
}
