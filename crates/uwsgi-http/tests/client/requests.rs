//! Requests of HTTP.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Method, Request, Version};
use http_body_util::channel::Channel;
use http_body_util::{BodyExt, Empty, Full};
use uwsgi_codec::PacketBuilder;
use uwsgi_codec::http::{ConnectionInfo, RequestMapping};
use uwsgi_http::client::{Client, ClientError, Exchange, Reason};

use crate::server::Server;

#[tokio::test]
async fn request_arrives_as_variables_and_the_reply_as_a_response() {
    let server = Server::new();
    let mapping = RequestMapping::new().with_script_name("/shop").unwrap();
    let client = Client::new(server.address())
        .with_mapping(mapping)
        .with_var("UWSGI_CHDIR", "/srv")
        .unwrap();
    let request = Request::post("/shop/cart?item=1")
        .header("Host", "example.com")
        .body(Full::<Bytes>::from("hello"))
        .unwrap();
    let connection = ConnectionInfo::new().with_remote("192.0.2.1:5000".parse().unwrap());
    let (response, ()) = tokio::join!(client.send_for(request, &connection), async {
        let mut accepted = server.accept().await;
        let vars = accepted.packet().await;
        for (key, value) in [
            ("REQUEST_METHOD", "POST"),
            ("SCRIPT_NAME", "/shop"),
            ("PATH_INFO", "/cart"),
            ("QUERY_STRING", "item=1"),
            ("CONTENT_LENGTH", "5"),
            ("REMOTE_ADDR", "192.0.2.1"),
            ("HTTP_HOST", "example.com"),
            ("UWSGI_CHDIR", "/srv"),
        ] {
            assert_eq!(vars[key], value, "{key}");
        }
        assert!(!vars.contains_key("UWSGI_KEEP_CONN"));
        assert_eq!(accepted.read(5).await, b"hello");
        accepted
            .write(b"HTTP/1.1 201 Made\r\nX-Id: 7\r\nContent-Length: 2\r\n\r\nok")
            .await;
    });
    let response = response.unwrap();
    assert_eq!(response.status(), 201);
    assert_eq!(response.headers()["x-id"], "7");
    let reason = response.extensions().get().map(Reason::as_bytes);
    assert_eq!(reason, Some(&b"Made"[..]));
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "ok"
    );
}

#[tokio::test]
async fn request_that_cannot_be_mapped_is_not_sent() {
    let server = Server::new();
    let client = Client::new(server.address());
    let unknown = || Channel::<Bytes, Infallible>::new(1).1.boxed();
    let full = || Full::<Bytes>::from("hello").boxed();
    for (request, body, status) in [
        (Request::post("/"), unknown(), 411),
        (
            Request::post("/").header("Transfer-Encoding", "chunked"),
            unknown(),
            411,
        ),
        (Request::post("/").version(Version::HTTP_2), unknown(), 411),
        (
            Request::post("/").header("Content-Length", "4"),
            full(),
            400,
        ),
        (Request::get("/../x"), full(), 400),
        (Request::get("/%00"), full(), 400),
        (
            Request::get("/").header("X-Long", "x".repeat(70_000)),
            full(),
            431,
        ),
        (Request::connect("example.com:443"), full(), 405),
    ] {
        let request = request.body(body).unwrap();
        let error = client.send(request).await.unwrap_err();
        assert_eq!(error.http_status(), status, "{error}");
    }
    assert!(server.has_no_connection());
}

#[tokio::test]
async fn body_has_to_have_the_announced_length() {
    for (parts, announced, expected) in [
        (
            &["hel"][..],
            5,
            "the body of the request has 3 bytes, announced are 5",
        ),
        (
            &["hel", "lo!"],
            5,
            "the body of the request has at least 6 bytes, announced are 5",
        ),
    ] {
        let server = Server::new();
        let client = Client::new(server.address());
        let (mut sender, body) = Channel::<Bytes, Infallible>::new(4);
        for part in parts {
            sender.send_data((*part).into()).await.unwrap();
        }
        drop(sender);
        let request = Request::post("/").header("Content-Length", announced);
        let request = request.body(body).unwrap();
        let (response, received) = tokio::join!(client.send(request), async {
            let mut accepted = server.accept().await;
            accepted.packet().await;
            accepted.rest().await
        });
        let error = response.unwrap_err();
        assert!(matches!(error, ClientError::RequestBodyLength { .. }));
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.http_status(), 400);
        assert_eq!(received, b"hel");
    }
}

#[tokio::test]
async fn reply_to_head_keeps_its_length() {
    let server = Server::new();
    let client = Client::new(server.address());
    let request = Request::builder().method(Method::HEAD).uri("/");
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let (response, ()) = tokio::join!(client.send(request), async {
        let mut accepted = server.accept().await;
        accepted.packet().await;
        accepted
            .write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
            .await;
    });
    let response = response.unwrap();
    assert_eq!(response.headers()["content-length"], "5");
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "");
}

#[test]
fn debug_shows_no_values_of_variables() {
    let client = Client::new("/run/app.sock".parse().unwrap());
    let client = client.with_var("API_KEY", "s3cret").unwrap();
    let shown = format!("{client:?}");
    assert!(shown.contains("API_KEY"), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");

    let mut packet = PacketBuilder::new();
    packet.var("API_KEY", "s3cret").unwrap();
    let exchange = Exchange::new(packet.to_vec().unwrap(), Method::GET);
    let shown = format!("{exchange:?}");
    assert!(!shown.contains("s3cret"), "{shown}");
}
