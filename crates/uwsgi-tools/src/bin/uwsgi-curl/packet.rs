use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, HeaderValue, USER_AGENT,
};
use http::{HeaderMap, Method, Request};
use uwsgi_codec::PacketBuilder;
use uwsgi_codec::http::{BodyLength, ConnectionInfo, RequestMapping, UnsafeNames};

use crate::command::Command;
use crate::data::Data;
use crate::failure::Failure;
use crate::target::Url;
use crate::{header_option, var_option};

/// Makes the packet of a request.
pub(crate) fn packet(command: &Command, url: &Url, data: &Data) -> Result<PacketBuilder, Failure> {
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = method(command, data);
    parts.uri = url.path.clone();
    parts.headers = headers(command, url, data)?;

    let mut connection = ConnectionInfo::new().with_scheme(url.scheme);
    // Many applications rely on it, and the request is made here.
    connection.remote_addr = Some([127, 0, 0, 1].into());
    let body = data.len().map_or(BodyLength::Absent, BodyLength::Known);
    let mapping = RequestMapping::new().with_unsafe_names(UnsafeNames::Refuse);
    let mut packet = PacketBuilder::new();
    packet
        .modifier1(command.modifier1)
        .modifier2(command.modifier2);
    mapping.to_vars(&parts, &connection, body, &mut packet)?;
    Ok(var_option::apply(&command.var, packet.build()?.as_ref())?)
}

fn method(command: &Command, data: &Data) -> Method {
    match (&command.request, data) {
        (Some(method), _) => method.clone(),
        (None, _) if command.head => Method::HEAD,
        (None, _) if command.upload_file.is_some() => Method::PUT,
        (None, Data::None) => Method::GET,
        (None, _) => Method::POST,
    }
}

/// The headers that curl sends, and those of the user.
fn headers(command: &Command, url: &Url, data: &Data) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    let host = HeaderValue::from_str(&url.host);
    let host = host.map_err(|_| Failure::Url(format!("{:?} is no host", url.host)))?;
    headers.insert(HOST, host);
    let agent = command.user_agent.clone();
    let agent = agent.unwrap_or(HeaderValue::from_static(AGENT));
    headers.insert(USER_AGENT, agent);
    let is_json = !command.json.is_empty();
    let accept = if is_json { JSON } else { "*/*" };
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    if let Some(credentials) = &command.user {
        headers.insert(AUTHORIZATION, credentials.clone());
    }
    if !command.cookie.is_empty() {
        let cookies = HeaderValue::from_str(&command.cookie.join("; "));
        let cookies = cookies.map_err(|error| Failure::Usage(error.to_string()))?;
        headers.insert(COOKIE, cookies);
    }
    if let Some(len) = data.len() {
        headers.insert(CONTENT_LENGTH, len.into());
        if command.upload_file.is_none() {
            let content_type = if is_json { JSON } else { FORM };
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
    }
    header_option::apply(&command.header, &mut headers);
    Ok(headers)
}

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const AGENT: &str = concat!("uwsgi-curl/", env!("CARGO_PKG_VERSION"));
