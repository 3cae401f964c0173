//! The application of a directory, where none is named.

use std::fs;
use std::path::Path;

/// What `scoter dev` without APP serves from `folder`: the WSGI module that belongs to Django's
/// `manage.py`, or else `wsgi.py` or `app.py`.
pub(super) fn find(folder: &Path) -> Option<String> {
    let manage = fs::read_to_string(folder.join("manage.py")).ok();
    let settings = manage.as_deref().and_then(settings_module);
    let django = settings.and_then(|settings| wsgi_module(folder, settings));
    django.or_else(|| {
        let usual = ["wsgi", "app"].into_iter();
        let mut there = usual.filter(|name| folder.join(name).with_extension("py").is_file());
        there.next().map(str::to_owned)
    })
}

/// `shop.settings` of `os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")`.
fn settings_module(manage: &str) -> Option<&str> {
    let (_, rest) = manage.split_once("DJANGO_SETTINGS_MODULE")?;
    let rest = rest.get(1..)?;
    let start = rest.find(['"', '\''])?;
    let quote = rest[start..].chars().next()?;
    let (module, _) = rest[start + 1..].split_once(quote)?;
    Some(module)
}

/// The module `wsgi` in the package of the settings, or in one that this is in: settings may be a
/// package themselves.
fn wsgi_module(folder: &Path, settings: &str) -> Option<String> {
    let packages = std::iter::successors(settings.rsplit_once('.'), |(package, _)| {
        package.rsplit_once('.')
    });
    let mut modules = packages.map(|(package, _)| format!("{package}.wsgi"));
    modules.find(|module| {
        let file = folder.join(module.replace('.', "/")).with_extension("py");
        file.is_file()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANAGE: &str = "import os\n\ndef main():\n    \
        os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n";

    #[test]
    fn application_is_found_by_the_files_of_its_framework() {
        for (files, expected) in [
            (&[][..], None),
            (&[("main.py", "")], None),
            (&[("app.py", "")], Some("app")),
            (&[("app.py", ""), ("wsgi.py", "")], Some("wsgi")),
            (
                &[("manage.py", MANAGE), ("shop/wsgi.py", ""), ("app.py", "")],
                Some("shop.wsgi"),
            ),
            (&[("manage.py", MANAGE), ("app.py", "")], Some("app")),
            (
                &[
                    (
                        "manage.py",
                        "environ[\"DJANGO_SETTINGS_MODULE\"] = \"a.b.settings.local\"",
                    ),
                    ("a/b/wsgi.py", ""),
                ],
                Some("a.b.wsgi"),
            ),
            (&[("manage.py", "DJANGO_SETTINGS_MODULE")], None),
            (&[("manage.py", "DJANGO_SETTINGS_MODULE', '")], None),
        ] {
            let folder = tempfile::tempdir().unwrap();
            for (name, text) in files {
                let file = folder.path().join(name);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, text).unwrap();
            }
            assert_eq!(find(folder.path()).as_deref(), expected, "{files:?}");
        }
    }
}
