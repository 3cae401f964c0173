//! What reaches the server, and what comes back.

use uwsgi_http::client::Client;
use uwsgi_http::gateway::Gateway;

use crate::front::{Front, without_date};
use crate::server::Server;

#[tokio::test]
async fn request_and_reply_are_passed_on() {
    let server = Server::new();
    let front = Front::of(server.address()).await;
    let request = "POST /a%20b?c=d HTTP/1.1\r\nHost: example.com\r\nContent-Length: 5\r\n\
        X-Forwarded-For: 192.0.2.1\r\nProxy: x\r\nConnection: close\r\n\r\nhello";
    let (response, ()) = tokio::join!(front.ask(request), async {
        let mut accepted = server.accept().await;
        let vars = accepted.packet().await;
        let port = front.address.port().to_string();
        for (key, value) in [
            ("REQUEST_METHOD", "POST"),
            ("REQUEST_URI", "/a%20b?c=d"),
            ("PATH_INFO", "/a b"),
            ("QUERY_STRING", "c=d"),
            ("CONTENT_LENGTH", "5"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("SERVER_NAME", "example.com"),
            ("SERVER_PORT", &port),
            ("HTTP_HOST", "example.com"),
            ("REMOTE_ADDR", "127.0.0.1"),
            ("HTTP_X_FORWARDED_FOR", "192.0.2.1"),
        ] {
            assert_eq!(vars[key], value, "{key}");
        }
        assert_ne!(vars["REMOTE_PORT"], "");
        assert!(!vars.contains_key("HTTP_PROXY"));
        assert_eq!(accepted.read(5).await, b"hello");
        accepted
            .write(b"HTTP/1.1 201 Made\r\nServer: s\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 2\r\n\r\nok")
            .await;
    });
    assert_eq!(
        without_date(&response),
        "HTTP/1.1 201 Made\nserver: s\nx-a: 1\nx-a: 2\ncontent-length: 2\nconnection: close\n\nok"
    );
}

#[tokio::test]
async fn connection_of_a_client_serves_several_requests() {
    let server = Server::new();
    let front = Front::of(server.address()).await;
    let mut browser = front.connect().await;
    for body in ["one", "two"] {
        browser.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let mut accepted = server.accept().await;
        accepted.packet().await;
        accepted
            .write(format!("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{body}").as_bytes())
            .await;
        browser.until(&format!("\r\n\r\n{body}")).await;
    }
}

#[tokio::test]
async fn responses_without_a_body_have_none() {
    for (method, reply, expected) in [
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 200 OK\ncontent-length: 5\n\n",
        ),
        ("HEAD", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\n\n"),
        (
            "GET",
            "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 204 No Content\n\n",
        ),
        (
            "GET",
            "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 304 Not Modified\netag: \"1\"\n\n",
        ),
        (
            "GET",
            "HTTP/1.1 304 Not Modified\r\n\r\n",
            "HTTP/1.1 304 Not Modified\n\n",
        ),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\ncontent-length: 0\n\n",
        ),
    ] {
        let server = Server::new();
        let front = Front::of(server.address()).await;
        let mut browser = front.connect().await;
        browser
            .write(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes())
            .await;
        let mut accepted = server.accept().await;
        accepted.packet().await;
        accepted.write(reply.as_bytes()).await;
        let head = browser.until("\r\n\r\n").await;
        assert_eq!(without_date(&head), expected);
        // Nothing has followed: the next response begins with its status line.
        drop(accepted);
        browser
            .write(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n")
            .await;
        let next = browser.until("\r\n").await;
        assert_eq!(next, "HTTP/1.1 405 Method Not Allowed\r\n", "{reply}");
    }
}

#[tokio::test]
async fn body_without_a_length_is_chunked_or_ends_with_the_connection() {
    for (version, framing) in [("1.1", true), ("1.0", false)] {
        let server = Server::new();
        let front = Front::of(server.address()).await;
        let request = format!("GET / HTTP/{version}\r\nHost: a\r\nConnection: close\r\n\r\n");
        let (response, ()) = tokio::join!(front.ask(&request), async {
            let mut accepted = server.accept().await;
            accepted.packet().await;
            accepted.write(b"HTTP/1.1 200 OK\r\n\r\nhello").await;
        });
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        assert_eq!(head.contains("transfer-encoding: chunked"), framing);
        let expected = match framing {
            true => "5\r\nhello\r\n0\r\n\r\n",
            false => "hello",
        };
        assert_eq!(body, expected);
    }
}

#[tokio::test]
async fn kept_connections_are_used_again() {
    let server = Server::new();
    let client = Client::new(server.address()).with_kept_connections(Default::default());
    let front = Front::new(Gateway::new(client)).await;
    let mut browser = front.connect().await;
    browser.write(b"GET /0 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut accepted = server.accept().await;
    for turn in 0..5 {
        let vars = accepted.packet().await;
        assert_eq!(vars["PATH_INFO"], format!("/{turn}"));
        accepted
            .write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok")
            .await;
        let response = browser.until("ok").await;
        assert!(!response.contains("keep-alive"), "{response}");
        let next = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", turn + 1);
        browser.write(next.as_bytes()).await;
    }
}
