//! What the gateway answers itself.

use std::time::Duration;

use uwsgi_http::client::{Client, Timeouts};
use uwsgi_http::gateway::Gateway;

use crate::front::Front;
use crate::server::Server;

fn status(response: &str) -> &str {
    response.split(' ').nth(1).unwrap_or_default()
}

#[tokio::test]
async fn request_that_is_not_valid_is_refused() {
    let server = Server::new();
    let gateway = Gateway::new(Client::new(server.address())).with_max_head(1_000);
    let front = Front::new(gateway).await;
    let long = format!("X-Long: {}", "x".repeat(1_000));
    for (line, header, expected) in [
        ("GET / HTTP/1.1", "X-No-Host: 1", "400"),
        ("GET /../x HTTP/1.1", "Host: a", "400"),
        ("GET /%00 HTTP/1.1", "Host: a", "400"),
        ("GET / HTTP/1.1", "Host: a b", "400"),
        ("GET / HTTP/1.1", "no colon", "400"),
        ("no request", "Host: a", "400"),
        ("CONNECT a:1 HTTP/1.1", "Host: a:1", "405"),
        ("GET / HTTP/1.1", &long, "431"),
    ] {
        let request = format!("{line}\r\n{header}\r\nConnection: close\r\n\r\n");
        let response = front.ask(&request).await;
        assert_eq!(status(&response), expected, "{request}{response}");
    }
    assert!(server.has_no_connection());
}

#[tokio::test]
async fn head_that_does_not_fit_in_a_packet_is_refused() {
    let server = Server::new();
    let gateway = Gateway::new(Client::new(server.address())).with_max_head(200_000);
    let front = Front::new(gateway).await;
    let long = "x".repeat(70_000);
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\nConnection: close\r\n\r\n");
    let response = front.ask(&request).await;
    assert_eq!(status(&response), "431", "{response}");
}

#[tokio::test]
async fn no_server_is_a_bad_gateway_that_does_not_say_where() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("nobody");
    let front = Front::of(path.to_str().unwrap().parse().unwrap()).await;
    let response = front
        .ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!(status(&response), "502");
    assert!(response.contains("content-type: text/plain"), "{response}");
    assert!(response.ends_with(
        "\r\n\r\n502 Bad Gateway\n\nThe server behind this gateway has not answered.\n"
    ));
    assert!(!response.contains("nobody"), "{response}");
}

#[tokio::test]
async fn server_that_does_not_reply_is_a_bad_gateway() {
    for (reply, text) in [
        ("", "has not answered"),
        ("HTTP/1.1 200", "has sent no valid response"),
        ("<html>\r\n\r\n", "has sent no valid response"),
        (
            "HTTP/1.1 101 Switching\r\n\r\n",
            "has sent no valid response",
        ),
    ] {
        let server = Server::new();
        let front = Front::of(server.address()).await;
        let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let (response, ()) = tokio::join!(front.ask(request), async {
            let mut accepted = server.accept().await;
            accepted.packet().await;
            accepted.write(reply.as_bytes()).await;
        });
        assert_eq!(status(&response), "502", "{reply}");
        assert!(response.contains(text), "{reply}: {response}");
    }
}

#[tokio::test]
async fn server_that_takes_too_long_is_a_gateway_timeout() {
    let server = Server::new();
    let timeouts = Timeouts::new().with_head(Duration::from_millis(50));
    let client = Client::new(server.address()).with_timeouts(timeouts);
    let front = Front::new(Gateway::new(client)).await;
    let response = front
        .ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!(status(&response), "504");
}

#[tokio::test]
async fn chunked_body_needs_a_length_or_a_buffer() {
    let request = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\
        Connection: close\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
    for (buffer, max_body, expected) in [
        (0, u64::MAX, "411"),
        (4, u64::MAX, "413"),
        (5, 4, "413"),
        (5, u64::MAX, "200"),
    ] {
        let server = Server::new();
        let gateway = Gateway::new(Client::new(server.address()))
            .with_max_body(max_body)
            .with_buffered_body(buffer);
        let front = Front::new(gateway).await;
        let serving = async {
            if expected != "200" {
                return;
            }
            let mut accepted = server.accept().await;
            let vars = accepted.packet().await;
            assert_eq!(vars["CONTENT_LENGTH"], "5");
            assert!(!vars.contains_key("HTTP_TRANSFER_ENCODING"));
            assert_eq!(accepted.read(5).await, b"hello");
            accepted.write(b"HTTP/1.1 200 OK\r\n\r\n").await;
        };
        let (response, ()) = tokio::join!(front.ask(request), serving);
        assert_eq!(status(&response), expected, "{buffer} {max_body}");
        assert!(server.has_no_connection());
    }
}

#[tokio::test]
async fn body_beyond_the_limit_is_refused_and_not_asked_for() {
    let server = Server::new();
    let gateway = Gateway::new(Client::new(server.address())).with_max_body(4);
    let front = Front::new(gateway).await;
    let request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\
        Expect: 100-continue\r\nConnection: close\r\n\r\n";
    let response = front.ask(request).await;
    assert_eq!(status(&response), "413", "{response}");
    assert!(server.has_no_connection());
}

#[tokio::test]
async fn transfer_codings_other_than_chunked_are_refused() {
    let server = Server::new();
    let gateway = Gateway::new(Client::new(server.address())).with_buffered_body(100);
    let front = Front::new(gateway).await;
    for codings in [
        "gzip, chunked",
        "identity\r\nTransfer-Encoding: chunked",
        "chunked\r\nTransfer-Encoding: chunked",
    ] {
        let request = format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {codings}\r\n\
            Connection: close\r\n\r\n0\r\n\r\n"
        );
        let mut browser = front.connect().await;
        browser.write(request.as_bytes()).await;
        let response = browser.until("\r\n").await;
        assert_eq!(status(&response), "501", "{codings}: {response}");
    }
    assert!(server.has_no_connection());
}
