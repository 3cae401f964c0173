//! The little of a browser that most tests of the two real applications need: cookies, forms, uploads.

use std::cell::RefCell;
use std::collections::BTreeMap;

use hyper::Request;
use hyper::http::request::Builder;
use integration_tests::{Body, Client, Reply, empty, whole};

/// What the client calls the site; with a port, which redirects and CSRF checks depend on.
pub(crate) const HOST: &str = "example.com:8080";

/// A client that keeps cookies.
pub(crate) struct CookieClient {
    client: Client,
    cookies: RefCell<BTreeMap<String, String>>,
}

impl CookieClient {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            cookies: RefCell::default(),
        }
    }

    /// Gets a page.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Reply {
        self.send(Request::get(path), empty())
    }

    /// Sends a form as it is sent from a page of the same site.
    #[track_caller]
    pub(crate) fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let encoded: Vec<_> = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", form_encode(value)))
            .collect();
        let request =
            Request::post(path).header("Content-Type", "application/x-www-form-urlencoded");
        self.send(request, whole(encoded.join("&")))
    }

    /// Sends a form with a file.
    #[track_caller]
    pub(crate) fn upload(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        name: &str,
        file: &[u8],
    ) -> Reply {
        let boundary = "----boundary";
        let mut body = Vec::new();
        for (field, value) in fields {
            body.extend(
                format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n")
                    .bytes(),
            );
        }
        body.extend(
            format!(
                "--{boundary}\r\n\
                 Content-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
                 Content-Type: application/octet-stream\r\n\r\n"
            )
            .bytes(),
        );
        body.extend(file);
        body.extend(format!("\r\n--{boundary}--\r\n").bytes());
        let request = Request::post(path).header(
            "Content-Type",
            format!("multipart/form-data; boundary={boundary}"),
        );
        self.send(request, whole(body))
    }

    /// Returns the value of a cookie.
    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.borrow().get(name).cloned()
    }

    #[track_caller]
    pub(crate) fn send(&self, request: Builder, body: Body) -> Reply {
        let mut request = request.header("Host", HOST);
        let has_origin = |headers: &hyper::HeaderMap| headers.contains_key("Origin");
        if !request.headers_ref().is_some_and(has_origin) {
            request = request.header("Origin", format!("http://{HOST}"));
        }
        // One header each, as HTTP/2 clients send them.
        for (name, value) in self.cookies.borrow().iter() {
            request = request.header("Cookie", format!("{name}={value}"));
        }
        let reply = self.client.send(request.body(body).expect("well-formed"));
        for cookie in reply.all("Set-Cookie") {
            let (name, value) = cookie.split_once('=').expect("a name");
            let value = value.split(';').next().unwrap_or_default();
            self.cookies
                .borrow_mut()
                .insert(name.to_owned(), value.to_owned());
        }
        reply
    }
}

/// Returns the value of a form field of a page.
#[track_caller]
pub(crate) fn field(page: &Reply, name: &str) -> String {
    let text = page.text();
    let start = format!("name=\"{name}\" value=\"");
    let value = text
        .split_once(&start)
        .unwrap_or_else(|| panic!("no {name} in {text}"))
        .1;
    value.split('"').next().unwrap_or_default().to_owned()
}

fn form_encode(value: &str) -> String {
    value
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            b' ' => "+".to_owned(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
