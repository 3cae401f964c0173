//! Several applications in one server.

use hyper::Request;
use integration_tests::{Connections, Scoter, ScoterBuilder, Site, empty, get, through_nginx};
use serde_json::Value;

/// What the application at a path sees: its name, SCRIPT_NAME and PATH_INFO.
fn seen(reply: &Value) -> [&str; 3] {
    ["name", "SCRIPT_NAME", "PATH_INFO"].map(|key| reply[key].as_str().expect(key))
}

fn serving() -> ScoterBuilder {
    Scoter::serving("mounted").args([
        "--mount",
        "/shop=mounted:shop",
        "--mount",
        "/shop/admin/=mounted:admin",
    ])
}

#[through_nginx]
fn longest_prefix_has_the_request_and_paths_are_below_it(connections: Connections) {
    let site = Site::of(serving(), connections);
    for (path, expected) in [
        ("/", ["app", "", "/"]),
        ("/shop", ["shop", "/shop", ""]),
        ("/shop/", ["shop", "/shop", "/"]),
        ("/shop/tea", ["shop", "/shop", "/tea"]),
        ("/shop/admin", ["admin", "/shop/admin", ""]),
        ("/shop/admin/users", ["admin", "/shop/admin", "/users"]),
        ("/shop/administrator", ["shop", "/shop", "/administrator"]),
        ("/shopping", ["app", "", "/shopping"]),
        ("/SHOP", ["app", "", "/SHOP"]),
        // PEP 3333: the bytes of the path as latin-1.
        ("/shop/caf%C3%A9", ["shop", "/shop", "/caf\u{c3}\u{a9}"]),
        ("/%73hop/tea", ["shop", "/shop", "/tea"]),
        ("/shop/../shop/tea", ["shop", "/shop", "/tea"]),
    ] {
        let reply = site.get(path);
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(seen(&reply.json()), expected, "{path}");
    }
}

/// As in nginx-conf/site.conf, whose comment shows a location for an application below a path.
#[through_nginx]
fn application_is_that_of_the_script_name_which_nginx_sends(connections: Connections) {
    let site = Site::with(serving(), connections, |nginx| {
        nginx.extra(
            "location /shop/ {
                include scoter/uwsgi_params;
                uwsgi_param SCRIPT_NAME /shop;
                uwsgi_pass scoter;
            }",
        )
    });
    for path in ["/shop/tea", "/shop/"] {
        let request = Request::get(path).header("Host", "example.com");
        let reply = site.extra().send(request.body(empty()).expect("valid"));
        let reply = reply.json();
        assert_eq!(reply["name"], "shop", "{path}");
        assert_eq!(reply["SCRIPT_NAME"], "/shop", "{path}");
    }
}

#[test]
fn request_outside_all_mounts_is_answered_404_and_logged() {
    for loading in [&[][..], &["--preload"]] {
        let scoter = Scoter::told_nothing();
        let socket = format!("unix:{}", scoter.folder().join("scoter.sock").display());
        let apps = integration_tests::apps_folder().as_os_str();
        let scoter = scoter
            .args([
                "--workers",
                "1",
                "--mount",
                "/shop=mounted:shop",
                "--bind",
                &socket,
            ])
            .args(["--pythonpath".as_ref(), apps])
            .args(loading)
            .start();
        assert_eq!(
            scoter.connect().packet(&get("/shop/tea")).reply().status,
            200
        );
        let reply = scoter.connect().packet(&get("/shopping")).reply();
        assert_eq!(reply.status, 404);
        let lines = scoter.wait_for_access_log(2);
        assert!(
            lines[1].contains("\"GET /shopping HTTP/1.1\" 404"),
            "{lines:?}"
        );
    }
}

#[test]
fn broken_application_is_named() {
    let broken = || serving().with_file("broken.py", "import nothing_of_this_name\n");
    let mount = ["--mount", "/broken=broken.py"];
    for finished in [
        broken().args(mount).run(),
        broken().args(mount).as_check().run(),
    ] {
        assert_eq!(finished.code, Some(3), "{}", finished.stderr);
        for text in ["/broken", "nothing_of_this_name"] {
            assert!(
                finished.stderr.contains(text),
                "{text}: {}",
                finished.stderr
            );
        }
    }
    for (mount, text) in [
        ("/a=mounted:shop,/a/=mounted", "/a"),
        ("a=mounted", "/"),
        ("/=mounted:shop", "APP"),
        ("/a/../b=mounted", ".."),
    ] {
        let scoter = mount
            .split(',')
            .fold(Scoter::serving("mounted"), |scoter, mount| {
                scoter.args(["--mount", mount])
            });
        let finished = scoter.run();
        assert_eq!(finished.code, Some(2), "{mount}: {}", finished.stderr);
        assert!(
            finished.stderr.contains(text),
            "{mount}: {}",
            finished.stderr
        );
    }
}

#[test]
fn reload_adds_a_mount_and_a_broken_one_changes_nothing() {
    let with = |more: &str| format!("[mount]\n\"/shop\" = \"mounted:shop\"\n{more}");
    let scoter = Scoter::serving("mounted")
        .with_file("scoter.toml", &with(""))
        .start();
    let name = |path: &str| {
        let reply = scoter.connect().packet(&get(path)).reply();
        reply.json()["name"].as_str().expect("a name").to_owned()
    };
    assert_eq!([name("/shop"), name("/admin")], ["shop", "app"]);
    scoter.put("scoter.toml", &with("\"/admin\" = \"mounted:admin\"\n"));
    assert_eq!(scoter.command(["reload"]).code, Some(0));
    assert_eq!([name("/shop"), name("/admin")], ["shop", "admin"]);
    scoter.put("scoter.toml", &with("\"/admin\" = \"mounted:nothing\"\n"));
    let reloaded = scoter.command(["reload"]);
    assert_eq!(reloaded.code, Some(1), "{}", reloaded.stderr);
    assert!(reloaded.stderr.contains("nothing"), "{}", reloaded.stderr);
    assert_eq!([name("/shop"), name("/admin")], ["shop", "admin"]);
}

#[test]
fn application_builds_urls_below_its_mount() {
    let scoter = Scoter::serving("mounted")
        .args(["--mount", "/book=flask_app:app"])
        .start();
    let mut packet = integration_tests::post("/book/sign", 8);
    packet = integration_tests::with(
        packet,
        [
            ("CONTENT_TYPE", "application/x-www-form-urlencoded"),
            ("HTTP_HOST", "example.com"),
        ],
    );
    let reply = scoter.connect().packet(&packet).send("name=Ada").reply();
    assert_eq!(reply.status, 302);
    assert_eq!(reply.header("Location"), Some("/book/"));
}
