//! The settings for the application's `import uwsgi`.

use std::ffi::OsString;

use super::directive::Directive;
use crate::config::origin::Origin;
use crate::config::settings::Setting;
use crate::config::table::TABLE;

/// Gives the application uWSGI's module, with these directives as `uwsgi.opt`.
pub(super) fn module_settings<'a>(
    directives: impl IntoIterator<Item = &'a Directive>,
) -> Vec<Setting> {
    let directives: Vec<_> = directives.into_iter().collect();
    let mut settings = vec![setting(MODULE, vec!["true".into()], Vec::new())];
    if !directives.is_empty() {
        let texts = directives.iter().map(|directive| entry(directive).into());
        let origins = directives.iter().copied().cloned().collect();
        settings.push(setting(OPT, texts.collect(), origins));
    }
    settings
}

/// An entry of `uwsgi.opt`. Flags of the command line have no value there, flags in a file an empty one.
fn entry(Directive { key, value, .. }: &Directive) -> String {
    match value {
        Some(value) => format!("{key}={value}"),
        None => key.clone(),
    }
}

fn setting(name: &str, texts: Vec<OsString>, directives: Vec<Directive>) -> Setting {
    let opt = TABLE.iter().find(|opt| opt.name == name);
    Setting {
        opt: opt.expect("names come from the table"),
        texts,
        origin: Origin::Uwsgi(directives),
    }
}

const MODULE: &str = "uwsgi-module";
const OPT: &str = "uwsgi-opt";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::directive::Place;

    #[test]
    fn entries_are_those_of_uwsgi() {
        let file = Place::File {
            file: "uwsgi.ini".into(),
            line: 2,
        };
        let directive = |key: &str, value: Option<&str>, place: &Place| Directive {
            key: key.to_owned(),
            value: value.map(str::to_owned),
            place: place.clone(),
        };
        let directives = [
            directive("vacuum", Some(""), &file),
            directive("master", Some("true"), &file),
            directive("master", None, &Place::Argument),
        ];
        let settings = module_settings(&directives);
        assert_eq!(settings[0].texts, ["true"]);
        assert_eq!(settings[1].texts, ["vacuum=", "master=true", "master"]);
        assert_eq!(module_settings(&[]).len(), 1);
    }
}
