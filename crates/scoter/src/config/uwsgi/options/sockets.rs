//! Where the server listens.

use super::family::{Family, elsewhere, family, flag, gone, int, list, mapped, nothing, text};
use super::fate::Conversion::{ByCode, Mode, Number, Seconds};
use super::fate::Where::Nginx;
use super::reasons::{HTTP, HTTP_MODIFIERS, TLS};

pub(super) const FAMILIES: &[Family] = &[
    family(
        mapped(
            &["bind", "allow"],
            ByCode,
            "its value is unix:/path, unix:@name or host:port; over TCP, the networks that may \
connect are named with allow",
        ),
        &[list("socket").letter('s'), list("uwsgi-socket").letter('s')],
    ),
    family(
        mapped(
            &["socket-mode"],
            Mode,
            "others than the owner and the group get no access by default; 666 and 777 let every \
local user forge REMOTE_ADDR and REMOTE_USER",
        ),
        &[
            text("chmod-socket").optional().letter('C'),
            text("chmod").optional().letter('C'),
        ],
    ),
    family(
        mapped(
            &["socket-owner", "socket-group"],
            ByCode,
            "user and group have an option each",
        ),
        &[text("chown-socket")],
    ),
    family(
        mapped(
            &["backlog"],
            Number,
            "a value above net.core.somaxconn is no error: the kernel caps it",
        ),
        &[int("listen").letter('l')],
    ),
    family(
        elsewhere(Nginx, HTTP),
        &[list("http-socket"), list("http11-socket")],
    ),
    family(
        elsewhere(Nginx, TLS),
        &[
            list("https-socket"),
            list("suwsgi-socket"),
            list("ssl-socket"),
        ],
    ),
    family(
        gone(HTTP_MODIFIERS),
        &[
            int("http-socket-modifier1"),
            int("http-socket-modifier2"),
            int("https-socket-modifier1"),
            int("https-socket-modifier2"),
        ],
    ),
    family(
        mapped(
            &["bind"],
            ByCode,
            "uwsgi is the only protocol, and needs no option; with http, put nginx in front",
        ),
        &[text("protocol"), text("socket-protocol")],
    ),
    family(
        gone(
            "have the front end speak uwsgi: uwsgi_pass in place of fastcgi_pass or scgi_pass in \
nginx",
        ),
        &[
            list("fastcgi-socket"),
            list("fastcgi-nph-socket"),
            int("fastcgi-modifier1"),
            int("fastcgi-modifier2"),
            list("scgi-socket"),
            list("scgi-nph-socket"),
            int("scgi-modifier1"),
            int("scgi-modifier2"),
        ],
    ),
    family(
        gone("there are no raw sockets; give such a protocol a service of its own"),
        &[
            list("raw-socket"),
            int("raw-modifier1"),
            int("raw-modifier2"),
        ],
    ),
    family(
        gone(
            "bind a uwsgi socket: nginx keeps its connections with the module of \
nginx-conf/keepalive",
        ),
        &[list("puwsgi-socket")],
    ),
    family(
        mapped(
            &["bind"],
            ByCode,
            "a socket that is bound before privileges are dropped is every socket of scoter; name \
it with bind",
        ),
        &[list("shared-socket"), list("undeferred-shared-socket")],
    ),
    family(
        gone("each application has a server of its own, or a prefix of its own with mount"),
        &[list("map-socket")],
    ),
    family(
        nothing("write the name of an abstract socket as unix:@name with bind"),
        &[flag("abstract-socket").letter('a')],
    ),
    family(
        nothing("scoter removes its own sockets and files when it stops"),
        &[flag("vacuum")],
    ),
    family(
        nothing("nginx and the kernel do that well with their defaults"),
        &[
            flag("tcp-nodelay"),
            flag("so-keepalive"),
            flag("no-defer-accept"),
            int("tcp-fast-open"),
            int("tcp-fastopen"),
            flag("tcp-fast-open-client"),
            flag("tcp-fastopen-client"),
            int("socket-sndbuf"),
            int("socket-rcvbuf"),
            flag("no-fd-passing"),
        ],
    ),
    family(
        mapped(&["write-timeout"], Seconds, ""),
        &[
            int("so-send-timeout").bare(),
            int("socket-send-timeout").bare(),
            int("so-write-timeout").bare(),
            int("socket-write-timeout").bare(),
        ],
    ),
    family(
        nothing("all workers accept from one queue"),
        &[flag("reuse-port"), flag("thunder-lock")],
    ),
    family(
        gone(
            "wait for the network with After=network-online.target in the unit, or listen on a \
Unix socket",
        ),
        &[flag("freebind")],
    ),
    family(
        elsewhere(
            Nginx,
            "nginx understands it: listen … proxy_protocol, and set_real_ip_from",
        ),
        &[flag("enable-proxy-protocol")],
    ),
    family(
        nothing(
            "sockets close for new connections as soon as the server stops, unless drain-delay is \
set",
        ),
        &[flag("shutdown-sockets")],
    ),
    family(
        gone("there is no UDP server; give it a service of its own"),
        &[
            text("udp"),
            text("multicast"),
            int("multicast-ttl"),
            int("multicast-loop"),
        ],
    ),
];
