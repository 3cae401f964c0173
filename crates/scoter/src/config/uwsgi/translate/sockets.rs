//! Where the server listens, and who may connect.

use std::ffi::OsString;
use std::net::IpAddr;

use super::draft::Draft;
use super::{Context, Starter};
use crate::config::directive::Directive;
use crate::config::uwsgi::translation::{Kind, Program, Snippet};

pub(super) fn translate(draft: &mut Draft<'_>, context: &Context<'_>) {
    let protocol = draft.last("protocol");
    let speaks_uwsgi = protocol.is_none_or(|it| it.value.as_deref() == Some("uwsgi"));
    let uwsgi = draft.take("socket");
    let shared = draft.take("shared-socket");
    if uwsgi.is_empty() {
        draft.nothing_to_do(&shared, "no socket refers to it");
    }
    let http = http(draft);
    if speaks_uwsgi && !uwsgi.is_empty() {
        if let Some(protocol) = protocol {
            draft.nothing_to_do(&[protocol], "uwsgi is the only protocol");
        }
        bind(draft, &uwsgi, &shared);
        if !http.is_empty() {
            draft.elsewhere(
                &http,
                "scoter speaks uwsgi alone: nginx reaches it by the other socket",
                None,
            );
        }
    } else {
        let addresses: Vec<_> = uwsgi.iter().chain(&http).copied().collect();
        bind_in_place_of_http(draft, protocol, &addresses, &shared);
    }
    permissions(draft, context);
}

/// What makes uWSGI speak HTTP itself, in its workers or in a router.
fn http<'a>(draft: &mut Draft<'a>) -> Vec<&'a Directive> {
    let mut taken = Vec::new();
    for name in ["http-socket", "https-socket", "http"] {
        taken.extend(draft.take(name));
    }
    for name in ["https", "https2"] {
        taken.extend(draft.take_only(name));
    }
    taken
}

fn bind<'a>(draft: &mut Draft<'a>, sockets: &[&'a Directive], shared: &[&'a Directive]) {
    let is_abstract = draft.flag("abstract-socket").is_some();
    let mut texts = Vec::new();
    let mut from = Vec::new();
    let mut open = Vec::new();
    for socket in sockets {
        let mut source = *socket;
        let mut written = socket.value.as_deref().unwrap_or_default();
        // `=0` is the first of the shared sockets (core/socket.c of uWSGI).
        if let Some(index) = written.strip_prefix('=') {
            if let Some(meant) = index.parse().ok().and_then(|it: usize| shared.get(it)) {
                source = meant;
                written = meant.value.as_deref().unwrap_or_default();
            }
        }
        let address = Address::of(written, is_abstract);
        if let Address::NamedLikeAPort = address {
            let text =
                format!("uWSGI makes a Unix socket named {written}: for TCP write :{written}");
            draft.note(Kind::Mapped, &[socket], text);
        }
        if let Address::Open(_) = address {
            open.push(*socket);
        }
        let text = address.text(written, draft);
        if !texts.contains(&text) {
            texts.push(text);
            from.push(source);
        }
    }
    draft.set_all("bind", texts, &from);
    admit(draft, &open);
}

/// An address of uWSGI.
enum Address {
    /// A file.
    Path,
    Abstract(String),
    /// A file, although its name is a number.
    NamedLikeAPort,
    /// TCP, for this machine alone.
    Local(String),
    /// TCP, for other machines, too.
    Open(String),
    /// Inherited, or nothing that is known.
    Other,
}

impl Address {
    /// As `bind_to_unix` and `bind_to_tcp` of uWSGI tell them apart: by the colon.
    fn of(text: &str, is_abstract: bool) -> Self {
        if text.starts_with("fd://") {
            return Self::Other;
        }
        if let Some(name) = text.strip_prefix('@').or_else(|| text.strip_prefix("\\0")) {
            return Self::Abstract(name.to_owned());
        }
        match text.rsplit_once(':') {
            None if text.is_empty() => Self::Other,
            None if is_abstract => Self::Abstract(text.to_owned()),
            None if text.bytes().all(|byte| byte.is_ascii_digit()) => Self::NamedLikeAPort,
            None => Self::Path,
            Some(("" | "*", port)) => Self::Open(format!("0.0.0.0:{port}")),
            Some((host, _)) if is_local(host) => Self::Local(text.to_owned()),
            Some(_) => Self::Open(text.to_owned()),
        }
    }

    fn text(self, written: &str, draft: &Draft<'_>) -> OsString {
        match self {
            Self::Path | Self::NamedLikeAPort => format!("unix:{}", draft.below_chdir(written)),
            Self::Abstract(name) => format!("unix:@{name}"),
            Self::Local(address) | Self::Open(address) => address,
            Self::Other => written.to_owned(),
        }
        .into()
    }
}

fn is_local(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Whoever reaches a uwsgi socket can forge `REMOTE_USER`, so scoter wants to know who may. uWSGI
/// admitted everybody; private networks are where the front ends of such sockets are.
fn admit(draft: &mut Draft<'_>, open: &[&Directive]) {
    if open.is_empty() {
        return;
    }
    let networks = PRIVATE_NETWORKS.iter().map(OsString::from).collect();
    draft.set_all("allow", networks, &[open[0]]);
    draft.note(
        Kind::Mapped,
        open,
        "uWSGI lets everybody connect. Here private networks may: leave in allow the addresses of \
         your front ends alone, because whoever connects can forge REMOTE_ADDR and REMOTE_USER",
    );
}

/// RFC 1918, RFC 4193, RFC 6598 (which clusters use for pods) and link-local addresses of IPv6.
const PRIVATE_NETWORKS: [&str; 6] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "fc00::/7",
    "fe80::/10",
];

/// Without a socket for nginx, the address for HTTP becomes one: nginx's line is what changes then.
fn bind_in_place_of_http<'a>(
    draft: &mut Draft<'a>,
    protocol: Option<&'a Directive>,
    addresses: &[&'a Directive],
    shared: &[&'a Directive],
) {
    let Some(first) = addresses.first() else {
        if let Some(protocol) = protocol {
            draft.nothing_to_do(&[protocol], "uwsgi is the only protocol");
        }
        return;
    };
    // `https` has the certificate and the key behind commas.
    let written = first.value.as_deref().unwrap_or_default();
    let address = written.split(',').next().unwrap_or_default().to_owned();
    let plain = Directive {
        value: Some(address),
        ..(*first).clone()
    };
    bind_plain(draft, first, &plain, shared);
    let bound = draft.get("bind").and_then(|texts| texts.first());
    let bound = bound
        .map(|text| text.to_string_lossy().into_owned())
        .unwrap_or_default();
    let host = match bound.strip_prefix("0.0.0.0:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => bound,
    };
    let about: Vec<_> = protocol
        .into_iter()
        .chain(addresses.iter().copied())
        .collect();
    let is_tls = first.key.starts_with("https");
    let tls = match is_tls {
        true => "; it also speaks TLS there, with ssl_certificate and ssl_certificate_key",
        false => "",
    };
    draft.put_first(
        Kind::Lost,
        &about,
        format!(
            "scoter speaks uwsgi, not HTTP: it needs nginx in front. It listens on the same address, \
             so an nginx that has proxy_pass takes uwsgi_pass in its place{tls}"
        ),
    );
    let snippet = Snippet {
        program: Program::Nginx,
        lines: format!("location / {{\n    include uwsgi_params;\n    uwsgi_pass {host};\n}}\n"),
    };
    draft.elsewhere(
        &[first],
        "uwsgi_pass in place of proxy_pass, or in an nginx of its own",
        Some(snippet),
    );
}

fn bind_plain<'a>(
    draft: &mut Draft<'a>,
    written: &'a Directive,
    plain: &Directive,
    shared: &[&'a Directive],
) {
    let address = plain.value.as_deref().unwrap_or_default();
    let address = match address.strip_prefix('=') {
        Some(index) => {
            let meant = index.parse().ok().and_then(|it: usize| shared.get(it));
            meant.and_then(|it| it.value.as_deref()).unwrap_or(address)
        }
        None => address,
    };
    // `http = 8080` is a port (the router's `uwsgi_corerouter_init` prepends the colon); `http-socket` is
    // read like every socket.
    let is_router = !written.key.contains("socket");
    let is_port = address.bytes().all(|byte| byte.is_ascii_digit());
    let address = match is_router && is_port {
        true => format!(":{address}"),
        false => address.to_owned(),
    };
    let parsed = Address::of(&address, false);
    let is_open = matches!(parsed, Address::Open(_));
    let text = parsed.text(&address, draft);
    draft.set("bind", text, &[written]);
    if is_open {
        admit(draft, &[written]);
    }
}

fn permissions(draft: &mut Draft<'_>, context: &Context<'_>) {
    if let Some(mode) = draft.last("chmod-socket") {
        // A name alone, and 1, are 666 (`uwsgi_opt_chmod_socket`).
        let text = match mode.value.as_deref() {
            None | Some("1" | "") => "666",
            Some(text) => text,
        };
        draft.set("socket-mode", text, &[mode]);
        if text.ends_with(['2', '3', '6', '7']) {
            draft.note(
                Kind::Mapped,
                &[mode],
                format!(
                    "with {text} every local user can connect, and forge REMOTE_ADDR and REMOTE_USER: \
                     better 660, with nginx's group in socket-group"
                ),
            );
        }
    }
    let owner = draft.last("chown-socket");
    if let Some(directive) = owner {
        let value = directive.value.as_deref().unwrap_or_default();
        let (user, group) = value.split_once(':').unwrap_or((value, ""));
        for (option, name) in [("socket-owner", user), ("socket-group", group)] {
            if !name.is_empty() || value.is_empty() {
                draft.set(option, name, &[directive]);
            }
        }
        return;
    }
    // Without `chown-socket` uWSGI drops its privileges first, so that the socket is that user's.
    if context.starter == Starter::Root {
        for (option, theirs) in [("socket-owner", "uid"), ("socket-group", "gid")] {
            if let Some(directive) = draft.peek(theirs) {
                let name = directive.value.clone().unwrap_or_default();
                draft.set(option, name, &[directive]);
            }
        }
    }
}
