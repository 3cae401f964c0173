//! The WebDriver protocol (W3C, "WebDriver"), as far as the tests need it: JSON over HTTP.

use std::net::SocketAddr;

use hyper::Request;
use hyper::http::Method;
use serde_json::{Value, json};

use crate::http::{Body, Client, empty, whole};

/// The name of an element's reference in JSON (WebDriver, "web element identifier").
pub(super) const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser that a driver has started. It is told to close when this is dropped.
#[derive(Debug)]
pub(super) struct Session {
    driver: Client,
    path: String,
}

impl Session {
    /// Has the driver at `address` start a browser.
    #[track_caller]
    pub(super) fn start(address: SocketAddr, capabilities: Value) -> Self {
        let driver = Client::tcp(address);
        let started = send(&driver, Method::POST, "/session", Some(capabilities));
        let started = started.unwrap_or_else(|error| panic!("no browser: {error}"));
        let id = started["sessionId"].as_str().expect("a new session has it");
        Self {
            driver,
            path: format!("/session/{id}"),
        }
    }

    #[track_caller]
    pub(super) fn get(&self, command: &str) -> Value {
        let path = format!("{}/{command}", self.path);
        send(&self.driver, Method::GET, &path, None)
            .unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    #[track_caller]
    pub(super) fn post(&self, command: &str, parameters: Value) -> Value {
        let path = format!("{}/{command}", self.path);
        send(&self.driver, Method::POST, &path, Some(parameters))
            .unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// Gives a command of the Chrome DevTools Protocol, for what WebDriver has no word for.
    #[track_caller]
    pub(super) fn devtools(&self, command: &str, params: Value) -> Value {
        let parameters = json!({ "cmd": command, "params": params });
        self.post("goog/cdp/execute", parameters)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // After a failure the driver may have gone too; whoever holds it ends it in any case.
        if !std::thread::panicking() {
            let closed = send(&self.driver, Method::DELETE, &self.path, None);
            closed.expect("the driver runs as long as its session");
        }
    }
}

/// Returns the `value` of the answer, or the error in it.
#[track_caller]
fn send(
    driver: &Client,
    method: Method,
    path: &str,
    parameters: Option<Value>,
) -> Result<Value, String> {
    let body: Body = match parameters {
        Some(parameters) => whole(parameters.to_string()),
        None => empty(),
    };
    let request = Request::builder()
        .method(method)
        .uri(path)
        // chromedriver refuses names that are not this machine's.
        .header("Host", "localhost")
        .body(body)
        .expect("the paths of the protocol are well-formed");
    let reply = driver.send(request);
    let mut answer = reply.json();
    let value = answer["value"].take();
    match reply.status {
        200 => Ok(value),
        _ => Err(format!("{}: {}", value["error"], value["message"])),
    }
}
