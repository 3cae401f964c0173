//! HTTP without a web server in front.

use super::family::{Family, elsewhere, family, flag, gone, int, list, nothing, text};
use super::fate::Where::Nginx;
use super::reasons::{HTTP, TLS};

pub(super) const FAMILIES: &[Family] = &[
    family(elsewhere(Nginx, HTTP), &[list("http"), list("httprouter")]),
    family(
        elsewhere(Nginx, TLS),
        &[
            list("https"),
            list("https2"),
            flag("https-export-cert"),
            text("https-session-context"),
            text("http-to-https"),
            flag("ssl-verbose"),
            int("ssl-verify-depth").optional(),
            text("ssl-sessions-use-cache").optional(),
            text("ssl-session-use-cache").optional(),
            int("ssl-sessions-timeout"),
            int("ssl-session-timeout"),
            list("sni"),
            text("sni-dir"),
            text("sni-dir-ciphers"),
            list("sni-regexp"),
            flag("ssl-enable3"),
            flag("ssl-enable-sslv3"),
            flag("ssl-enable-tlsv1"),
            list("ssl-option").bare(),
            text("ssl-tmp-dir"),
        ],
    ),
    family(
        elsewhere(
            Nginx,
            "nginx has the connections to browsers: keepalive_timeout, client_body_timeout, \
uwsgi_read_timeout, uwsgi_connect_timeout",
        ),
        &[
            int("http-timeout"),
            int("http-headers-timeout"),
            int("http-connect-timeout"),
            int("http-keepalive").optional(),
        ],
    ),
    family(
        nothing("nginx does that"),
        &[
            flag("http-auto-chunked"),
            int("http-manage-expect").optional(),
            flag("http-chunked-input"),
            flag("http-raw-body"),
            int("http-buffer-size"),
            int("http-events"),
            int("http-processes"),
            int("http-workers"),
            int("http-harakiri"),
            int("http-gracetime"),
            flag("http-quiet").required(),
            flag("http-cheap"),
            text("http-uid"),
            text("http-gid"),
            flag("http-manage-source"),
            flag("http-server-name-as-http-host").required(),
        ],
    ),
    family(
        elsewhere(Nginx, "gzip on in nginx compresses responses"),
        &[flag("http-auto-gzip")],
    ),
    family(
        gone("there are no WebSockets: serve them with an ASGI server, in a location of its own"),
        &[flag("http-websockets"), flag("http-manage-rtsp")],
    ),
    family(
        elsewhere(Nginx, "uwsgi_param in nginx sets variables"),
        &[
            list("http-var"),
            int("http-modifier1"),
            int("http-modifier2"),
        ],
    ),
    family(
        elsewhere(
            Nginx,
            "nginx knows where its servers are: upstream, with several servers and backup",
        ),
        &[
            list("http-to"),
            list("http-zerg"),
            list("http-fallback"),
            text("http-use-cache").optional(),
            text("http-use-pattern"),
            text("http-use-base"),
            text("http-use-code-string"),
            text("http-use-socket").optional(),
            text("http-subscription-server"),
            text("http-subscription-fallback-key"),
            list("http-resubscribe"),
        ],
    ),
    family(
        elsewhere(Nginx, "stub_status in nginx counts its connections"),
        &[
            text("http-stats"),
            text("http-stats-server"),
            text("http-ss"),
        ],
    ),
    family(
        elsewhere(
            Nginx,
            "nginx understands it: listen … proxy_protocol, and set_real_ip_from",
        ),
        &[
            flag("http-enable-proxy-protocol").optional(),
            list("http-stud-prefix"),
        ],
    ),
    family(
        nothing("there are no gateways that a master could be for"),
        &[flag("force-gateway")],
    ),
];
