//! Which application is served.

use std::ffi::OsString;

use super::Context;
use super::draft::Draft;
use crate::config::directive::Directive;
use crate::config::uwsgi::translation::Kind;

pub(super) fn translate(draft: &mut Draft<'_>, _context: &Context<'_>) {
    let callable = draft.last("callable");
    let default = callable
        .and_then(|it| it.value.as_deref())
        .unwrap_or("application");
    let module = draft.last("module");
    let file = draft.last("wsgi-file");
    let pecan = draft.take("pecan");
    let paste = draft.last("ini-paste");
    let mounts = draft.take("mount");
    if !pecan.is_empty() {
        draft.lost(
            &pecan,
            "name a module that calls pecan.deploy.deploy(…) as APP",
        );
    }
    // In this order uWSGI loads them, and the first one is what requests get (python_plugin.c,
    // uwsgi_python_init_apps).
    let app = module
        .map(|it| (it, of_module(it, default)))
        .or_else(|| file.map(|it| (it, format!("{}:{default}", value(it)))))
        .or_else(|| paste.map(|it| (it, of_paste(it))));
    if let Some((directive, text)) = &app {
        let mut from = vec![*directive];
        from.extend(callable.filter(|it| !it.place.eq(&directive.place)));
        report_arguments(draft, directive, text);
        draft.set("app", text.clone(), &from);
        let others: Vec<_> = [module, file, paste]
            .into_iter()
            .flatten()
            .skip(1)
            .collect();
        if !others.is_empty() {
            let text = format!("{} counts: uWSGI takes it first", directive.key);
            draft.note(Kind::Mapped, &others, text);
        }
    }
    if let Some(callable) = callable.filter(|_| app.is_none() && mounts.is_empty()) {
        draft.nothing_to_do(
            &[callable],
            "no module or file is named whose callable it is",
        );
    }
    mount(draft, &mounts, default, app.is_some());
}

/// `module:callable`; unlike uWSGI, scoter would also try other names than `application`.
fn of_module(directive: &Directive, default: &str) -> String {
    let value = value(directive);
    match value.contains(':') {
        true => value.to_owned(),
        false => format!("{value}:{default}"),
    }
}

/// `config:production.ini#name`: uWSGI takes a file, or what PasteDeploy calls a URI.
fn of_paste(directive: &Directive) -> String {
    let value = value(directive);
    let is_file = directive.key.starts_with("ini-paste");
    match is_file && !value.starts_with("config:") {
        true => format!("config:{value}"),
        false => value.to_owned(),
    }
}

fn mount<'a>(draft: &mut Draft<'a>, mounts: &[&'a Directive], default: &str, has_app: bool) {
    let manages = draft.flag("manage-script-name");
    let mut texts: Vec<OsString> = Vec::new();
    let mut from: Vec<&Directive> = Vec::new();
    for mount in mounts {
        let written = value(mount);
        let Some((prefix, app)) = written.split_once('=') else {
            // An application without a prefix is one more of the kind that `module` names.
            draft.lost(&[mount], "expected /prefix=module:callable");
            continue;
        };
        let app = of_mounted(app, default);
        report_arguments(draft, mount, &app);
        let prefix = match prefix.trim_end_matches('/') {
            "" => "/",
            prefix => prefix,
        };
        if prefix == "/" && !has_app {
            draft.set("app", app, &[mount]);
            continue;
        }
        if !prefix.starts_with('/') {
            let text = "uWSGI compares it with UWSGI_APPID or the host: use a server of its own for each host";
            draft.lost(&[mount], text);
            continue;
        }
        let same = texts.iter().position(|text| {
            let text = text.to_string_lossy();
            text.split_once('=')
                .is_some_and(|(other, _)| other == prefix)
        });
        if let Some(index) = same {
            texts.remove(index);
            from.remove(index);
        }
        texts.push(format!("{prefix}={app}").into());
        from.push(mount);
    }
    if !texts.is_empty() {
        draft.set_all("mount", texts, &from);
    }
    let no_default = draft.last("no-default-app");
    if let Some(no_default) = no_default {
        draft.nothing_to_do(
            &[no_default],
            "without a match of mount and without APP the response is 404",
        );
    } else if !from.is_empty() && draft.get("app").is_none() {
        draft.note(
            Kind::Mapped,
            &from,
            "what is below no prefix gets 404; uWSGI gives it to the application that it loads first",
        );
    }
    if let Some(manages) = manages {
        let text = "with mount, SCRIPT_NAME and PATH_INFO are always set as PEP 3333 says";
        draft.nothing_to_do(&[manages], text);
    } else if !mounts.is_empty() {
        draft.note(
            Kind::Mapped,
            mounts,
            "without manage-script-name uWSGI looks for the prefix in SCRIPT_NAME alone, and leaves it in \
             PATH_INFO; scoter finds it in PATH_INFO, too, and moves it to SCRIPT_NAME",
        );
    }
}

/// What `uwsgi_mount_loader` of uWSGI takes: a file of Python or of PasteDeploy by its name's end, else a
/// module.
fn of_mounted(app: &str, default: &str) -> String {
    if app.ends_with(".py") || app.ends_with(".wsgi") {
        return format!("{app}:{default}");
    }
    match app {
        paste if paste.ends_with(".ini") => format!("config:{paste}"),
        module if module.contains(':') => module.to_owned(),
        module => format!("{module}:{default}"),
    }
}

/// A factory gets no arguments, not in uWSGI either: `app:create("x")` is not found there.
fn report_arguments(draft: &mut Draft<'_>, directive: &Directive, app: &str) {
    if app.ends_with(')') && !app.ends_with("()") {
        draft.lost(
            &[directive],
            "uWSGI looks for a callable of exactly this name: write a function without arguments, and \
             name that",
        );
    }
}

fn value(directive: &Directive) -> &str {
    directive.value.as_deref().unwrap_or_default()
}
