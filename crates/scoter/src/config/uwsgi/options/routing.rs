//! Rules for requests.

use super::family::{Family, elsewhere, family, flag, list, nothing, text};
use super::fate::Where::Nginx;
use super::reasons::ROUTE;

pub(super) const FAMILIES: &[Family] = &[
    family(
        elsewhere(Nginx, ROUTE),
        &[
            list("route"),
            list("route-host"),
            list("route-uri"),
            list("route-qs"),
            list("route-remote-addr"),
            list("route-user-agent"),
            list("route-remote-user"),
            list("route-referer"),
            list("route-label"),
            list("route-if"),
            list("route-if-not"),
            list("route-run"),
        ],
    ),
    family(
        elsewhere(
            Nginx,
            "nginx changes headers and responses: add_header, error_page, map",
        ),
        &[
            list("final-route"),
            list("final-route-status"),
            list("final-route-host"),
            list("final-route-uri"),
            list("final-route-qs"),
            list("final-route-remote-addr"),
            list("final-route-user-agent"),
            list("final-route-remote-user"),
            list("final-route-referer"),
            list("final-route-label"),
            list("final-route-if"),
            list("final-route-if-not"),
            list("final-route-run"),
            list("error-route"),
            list("error-route-status"),
            list("error-route-host"),
            list("error-route-uri"),
            list("error-route-qs"),
            list("error-route-remote-addr"),
            list("error-route-user-agent"),
            list("error-route-remote-user"),
            list("error-route-referer"),
            list("error-route-label"),
            list("error-route-if"),
            list("error-route-if-not"),
            list("error-route-run"),
            list("response-route"),
            list("response-route-status"),
            list("response-route-host"),
            list("response-route-uri"),
            list("response-route-qs"),
            list("response-route-remote-addr"),
            list("response-route-user-agent"),
            list("response-route-remote-user"),
            list("response-route-referer"),
            list("response-route-label"),
            list("response-route-if"),
            list("response-route-if-not"),
            list("response-route-run"),
        ],
    ),
    family(
        nothing("it lists what uWSGI can do"),
        &[flag("router-list"), flag("routers-list")],
    ),
    family(
        elsewhere(
            Nginx,
            "the geoip2 module of nginx sets variables by address",
        ),
        &[
            text("geoip-country"),
            text("geoip-city"),
            flag("geoip-use-disk"),
        ],
    ),
];
