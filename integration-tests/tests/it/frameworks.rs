//! What Flask, Pyramid and Django know of a request without any setting for proxies: nginx's variables say it.

use hyper::Request;
use integration_tests::{Connections, Site, empty, through_nginx};

use crate::shop::serving;

#[through_nginx]
fn scheme_host_and_address_are_those_of_the_client(connections: Connections) {
    for shop in [
        "shop.flask_app:app",
        "shop.pyramid_wsgi",
        "django_shop.wsgi",
    ] {
        let site = Site::with(serving(shop), connections, |nginx| {
            nginx.extra(
                "set_real_ip_from unix:;
                real_ip_header X-Forwarded-For;
                location / {
                    include scoter/uwsgi_params;
                    uwsgi_param HTTPS on;
                    uwsgi_pass scoter;
                }",
            )
        });
        let forged = [("X-Forwarded-Proto", "http"), ("X-Forwarded-Host", "evil")];
        let request = forged.iter().fold(
            Request::get("/seen").header("Host", "example.com"),
            |request, (name, value)| request.header(*name, *value),
        );
        let request = request.header("X-Forwarded-For", "203.0.113.7");
        let request = request.body(empty()).expect("valid");
        let reply = site.extra().send(request);
        assert_eq!(reply.status, 200, "{shop}: {}", reply.text());
        let seen = reply.json();
        assert_eq!(seen["url"], "https://example.com/seen", "{shop}");
        assert_eq!(seen["secure"], true, "{shop}");
        assert_eq!(seen["client"], "203.0.113.7", "{shop}");
    }
}
