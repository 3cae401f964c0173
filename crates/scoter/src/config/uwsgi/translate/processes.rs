//! How many processes and threads there are, and whose.

use super::draft::Draft;
use super::read::Number;
use super::{Context, Starter};
use crate::config::uwsgi::translation::{Kind, Program, Snippet};

pub(super) fn translate(draft: &mut Draft<'_>, context: &Context<'_>) {
    let workers = workers(draft);
    threads(draft);
    preload(draft, workers);
    identity(draft, context);
    name(draft);
    daemonize(draft);
    pid_file(draft);
}

/// Returns how many there are at most.
fn workers(draft: &mut Draft<'_>) -> u64 {
    let processes = draft.last("processes");
    let count = processes.map(|directive| (directive, draft.number(directive)));
    let most = match &count {
        None => Some(1),
        Some((_, number)) => number.value().filter(|count| *count > 0),
    };
    let cheaper = draft.last("cheaper");
    let least = cheaper.and_then(|directive| match draft.number(directive) {
        Number::Negative => Some((directive, directive.value.clone()?)),
        number if number.value() == Some(0) => {
            draft.nothing_to_do(&[directive], "it is off");
            None
        }
        number => Some((directive, number.value()?.to_string())),
    });
    match (count, least, most) {
        (Some((processes, _)), Some((cheaper, least)), most) => {
            let written = || processes.value.clone().unwrap_or_default();
            let most = most.map_or_else(written, |most| most.to_string());
            draft.set("workers", format!("{least}..{most}"), &[processes, cheaper]);
        }
        (None, Some((cheaper, least)), _) => {
            // uWSGI does not start: the number must be lower than that of processes, which is 1.
            draft.set("workers", format!("{least}..1"), &[cheaper]);
        }
        (Some((processes, _)), None, Some(most)) => {
            draft.set("workers", most.to_string(), &[processes]);
        }
        // No number, or 0, with which no worker serves: what was written is reported.
        (Some((processes, _)), None, None) => {
            let written = processes.value.clone().unwrap_or_default();
            draft.set("workers", written, &[processes]);
        }
        (None, None, _) => draft.set("workers", "1", &[]),
    }
    most.unwrap_or(1)
}

fn threads(draft: &mut Draft<'_>) {
    let Some(threads) = draft.last("threads") else {
        draft.set("threads", "1", &[]);
        return;
    };
    // Observed with 2.0.31: with 0 there is one thread.
    let text = match draft.number(threads) {
        Number::Negative => threads.value.clone().unwrap_or_default(),
        number => number.value().unwrap_or_default().max(1).to_string(),
    };
    draft.set("threads", text, &[threads]);
}

/// Without `lazy-apps` uWSGI imports the application before it forks. A single process without a master
/// forks nothing: there, threads that the import starts go on.
fn preload(draft: &mut Draft<'_>, workers: u64) {
    let lazy = draft.flag("lazy-apps");
    let master = draft.take("master");
    let is_master_on = master
        .last()
        .is_some_and(|it| super::read::is_on(it.value.as_deref()));
    draft.nothing_to_do(&master, "there is a master unless no-master is set");
    match lazy {
        Some(lazy) => draft.set("preload", "false", &[lazy]),
        None if is_master_on || workers > 1 => draft.set("preload", "true", &[]),
        None => draft.set("preload", "false", &[]),
    }
}

fn identity(draft: &mut Draft<'_>, context: &Context<'_>) {
    for (theirs, ours) in [("uid", "user"), ("gid", "group")] {
        let Some(directive) = draft.last(theirs) else {
            continue;
        };
        match context.starter {
            Starter::Root => {
                let name = directive.value.clone().unwrap_or_default();
                draft.set(ours, name, &[directive]);
            }
            Starter::User => {
                let text = "only root can change it: uWSGI keeps the user that starts it, too";
                draft.nothing_to_do(&[directive], text);
            }
        }
    }
}

/// What `ps` shows. A name of ours has no spaces, and is not the title of one process alone.
fn name(draft: &mut Draft<'_>) {
    let names: Vec<_> = ["procname-prefix-spaced", "procname-prefix", "procname"]
        .into_iter()
        .flat_map(|name| draft.take_only(name))
        .collect();
    let others: Vec<_> = ["procname-append", "procname-master"]
        .into_iter()
        .flat_map(|name| draft.take_only(name))
        .collect();
    draft.nothing_to_do(
        &others,
        "ps shows each process under the server's name, with its part",
    );
    let Some(directive) = names.first() else {
        return;
    };
    let written = directive.value.as_deref().unwrap_or_default();
    let trimmed = written.trim_matches(|it: char| !it.is_ascii_alphanumeric());
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "-_.@".contains(letter);
    let name: String = trimmed
        .chars()
        .map(|it| if allowed(it) { it } else { '-' })
        .skip_while(|it| !it.is_ascii_alphabetic())
        .take(32)
        .collect();
    if name.is_empty() {
        draft.nothing_to_do(&names, "ps shows scoter and the part of each process");
        return;
    }
    draft.set("name", name.clone(), &[directive]);
    if name != written.trim() {
        let text = format!("{name} is what scoter status and ps show");
        draft.note(Kind::Mapped, &names, text);
    }
}

fn daemonize(draft: &mut Draft<'_>) {
    // Its file is read again for the logs.
    let daemonize: Vec<_> = draft.peek_all("daemonize");
    if !daemonize.is_empty() {
        draft.elsewhere(
            &daemonize,
            "scoter stays in the foreground, for a service manager",
            Some(Snippet {
                program: Program::Unit,
                lines: "Type=notify\n".to_owned(),
            }),
        );
    }
}

/// `pidfile` and `safe-pidfile` are written where uWSGI starts, the others in the directory that it has
/// changed to (core/uwsgi.c, uwsgi_start). A process has one here.
fn pid_file(draft: &mut Draft<'_>) {
    let files = draft.take("pidfile");
    let Some(last) = draft.last_of(&files) else {
        return;
    };
    let written = last.value.as_deref().unwrap_or_default();
    let path = match last.key.ends_with('2') {
        true => draft.below_chdir(written),
        false => written.to_owned(),
    };
    draft.set("pid-file", path, &[last]);
}
