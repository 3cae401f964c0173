use super::*;

#[test]
fn applications() {
    for (lines, expected) in [
        ("module = site.wsgi", Some("site.wsgi:application")),
        ("wsgi = site.wsgi:app", Some("site.wsgi:app")),
        ("module = site.wsgi:create()", Some("site.wsgi:create()")),
        ("module = site\ncallable = app", Some("site:app")),
        ("module = site:app\ncallable = other", Some("site:app")),
        ("wsgi-file = app.py", Some("app.py:application")),
        ("file = app.py\ncallable = app", Some("app.py:app")),
        (
            "wsgi-file = app.py\nmodule = site",
            Some("site:application"),
        ),
        ("module = one\nwsgi = two", Some("two:application")),
        ("ini-paste = production.ini", Some("config:production.ini")),
        ("ini-paste-logged = /srv/p.ini", Some("config:/srv/p.ini")),
        (
            "paste = config:/srv/p.ini#main",
            Some("config:/srv/p.ini#main"),
        ),
        ("mount = /=site:app", Some("site:app")),
        ("mount = /=app.py\ncallable = app", Some("app.py:app")),
        ("callable = app", None),
    ] {
        assert_eq!(value(lines, "app").as_deref(), expected, "{lines}");
    }
}

#[test]
fn python_path_keeps_its_order() {
    for (lines, expected) in [
        ("pythonpath = /a", "/a"),
        // The last one comes first in `sys.path`: observed with 2.0.31.
        ("pythonpath = /a\npp = /b\npython-path = /c", "/c, /b, /a"),
        ("pythonpath = /srv/lib/*", "/srv/lib/b/, /srv/lib/a/"),
        ("pythonpath = /none/*", "/none/*"),
        ("chdir = /srv\npythonpath = lib", "lib"),
    ] {
        assert_eq!(
            value(lines, "pythonpath").as_deref(),
            Some(expected),
            "{lines}"
        );
    }
}

#[test]
fn environment_that_scoter_runs_in() {
    for (home, expected) in [
        ("/srv/venv", Kind::NothingToDo),
        ("/srv/venv/", Kind::NothingToDo),
        ("/other", Kind::Elsewhere(Vec::new())),
        ("venv", Kind::Elsewhere(Vec::new())),
    ] {
        assert_eq!(kind_of(&format!("home = {home}")), Some(expected), "{home}");
    }
    let translation = translated("virtualenv = /other/");
    let text = &notes(&translation)[0].text;
    assert!(text.contains("start /other/bin/scoter"), "{text}");
}
