//! What a migration writes, for translations made by hand.

use std::path::Path;

use super::*;
use crate::config::directive::{Directive, Place};
use crate::config::origin::Origin;
use crate::config::settings::Setting;
use crate::config::table::TABLE;
use crate::config::uwsgi::translation::{Note, Program, Snippet};

fn directive(line: usize, text: &str) -> Directive {
    let (key, value) = match text.split_once(" = ") {
        Some((key, value)) => (key, Some(value.to_owned())),
        None => (text, None),
    };
    Directive {
        key: key.to_owned(),
        value,
        place: place(line),
    }
}

fn place(line: usize) -> Place {
    Place::File {
        file: "/srv/shop/uwsgi.ini".into(),
        line,
    }
}

fn setting(name: &str, directives: &[&Directive], texts: &[&str]) -> Setting {
    let opt = TABLE.iter().find(|opt| opt.name == name);
    Setting {
        texts: texts.iter().map(Into::into).collect(),
        origin: Origin::Uwsgi(directives.iter().copied().cloned().collect()),
        ..Setting::default_of(opt.expect("a name of the table"))
    }
}

fn note(directives: &[&Directive], kind: Kind, text: &str) -> Note {
    Note {
        directives: directives.iter().copied().cloned().collect(),
        kind,
        text: text.to_owned(),
    }
}

fn migration() -> Migration {
    let directives = [
        directive(2, "module = shop"),
        directive(3, "callable = app"),
        directive(4, "socket = app.sock"),
        directive(5, "harakiri = 30"),
        directive(6, "vacuum"),
        directive(7, "vaccum = 1"),
        directive(8, "mule = work.py"),
        directive(9, "static-map = /static=/srv/static"),
        directive(10, "master = true"),
    ];
    let [
        module,
        callable,
        socket,
        harakiri,
        vacuum,
        vaccum,
        mule,
        static_map,
        master,
    ] = &directives;
    let nginx = Kind::Elsewhere(vec![Snippet {
        program: Program::Nginx,
        lines: "location /static {\n    alias /srv/static;\n}".to_owned(),
    }]);
    let notes = vec![
        note(
            &[vacuum, master],
            Kind::NothingToDo,
            "scoter does that anyway",
        ),
        note(
            &[harakiri],
            Kind::Mapped,
            "only the request ends, not its worker",
        ),
        note(&[vaccum], Kind::Misspelt("vacuum"), ""),
        note(&[mule], Kind::Lost, "give it a service of its own"),
        note(&[static_map], nginx, "let nginx serve files"),
    ];
    let translated = vec![
        setting("app", &[module, callable], &["shop:app"]),
        setting("bind", &[socket], &["unix:app.sock"]),
        setting("request-timeout", &[harakiri], &["30s"]),
        setting("threads", &[], &["1"]),
    ];
    Migration {
        settings: Settings::layered([translated], Path::new("/srv/shop")),
        configuration: UwsgiConfiguration {
            directives: directives.to_vec(),
            notes,
            files: vec!["/srv/shop/uwsgi.ini".into()],
            ..UwsgiConfiguration::default()
        },
    }
}

#[test]
fn file_says_where_its_lines_come_from() {
    let files = migration().files(Path::new("/srv/shop"));
    let expected = "\
# Made of /srv/shop/uwsgi.ini by scoter migrate. Paths are relative to this file.

# /srv/shop/uwsgi.ini:4: socket = app.sock
bind = [\"unix:app.sock\"]

# /srv/shop/uwsgi.ini:2: module = shop
# /srv/shop/uwsgi.ini:3: callable = app
app = \"shop:app\"

# uWSGI's default
threads = 1

# /srv/shop/uwsgi.ini:5: harakiri = 30
# only the request ends, not its worker
request-timeout = \"30s\"

# Not taken over:
# /srv/shop/uwsgi.ini:7: vaccum = 1
#     did you mean vacuum?
# /srv/shop/uwsgi.ini:8: mule = work.py
#     give it a service of its own
# /srv/shop/uwsgi.ini:9: static-map = /static=/srv/static
#     let nginx serve files
";
    assert_eq!(files[0].text, expected);
    assert_eq!(files[0].name, "scoter.toml");
    let elsewhere = migration().files(Path::new("/etc"));
    assert!(elsewhere[0].text.contains("[\"unix:/srv/shop/app.sock\"]"));
    assert!(
        migration()
            .absolute_toml()
            .contains("[\"unix:/srv/shop/app.sock\"]")
    );
}

#[test]
fn report_begins_with_what_is_most_urgent() {
    let migration = migration();
    let expected = "\
/srv/shop/uwsgi.ini: 4 taken over, 2 need nothing, 1 to do elsewhere, 1 lost, 1 unknown to uWSGI, too

Lost:
  /srv/shop/uwsgi.ini:8: mule = work.py
      give it a service of its own

Misspelt, and ignored by uWSGI:
  /srv/shop/uwsgi.ini:7: vaccum = 1
      did you mean vacuum?

To do elsewhere:
  /srv/shop/uwsgi.ini:9: static-map = /static=/srv/static
      let nginx serve files

Differs:
  /srv/shop/uwsgi.ini:5: harakiri = 30
      only the request ends, not its worker

Nothing to do:
  /srv/shop/uwsgi.ini:6: vacuum
  /srv/shop/uwsgi.ini:10: master = true
      scoter does that anyway
";
    assert_eq!(migration.report(), expected);
    assert!(migration.loses_behaviour());
}

#[test]
fn lines_for_other_programs_are_files_of_their_own() {
    let files = migration().files(Path::new("/srv/shop"));
    let nginx = &files[1];
    assert_eq!(nginx.name, "nginx.conf");
    let lines = "\n# /srv/shop/uwsgi.ini:9: static-map = /static=/srv/static\nlocation /static {\n    alias /srv/static;\n}\n";
    assert!(nginx.text.contains(lines), "{}", nginx.text);
}
