//! When workers are replaced, and how the server reloads and stops.

use super::draft::Draft;
use super::read::{Number, is_on};
use crate::config::uwsgi::translation::Kind;

pub(super) fn translate(draft: &mut Draft<'_>) {
    jitter(draft);
    address_space(draft);
    termination(draft);
    touches(draft);
    autoreload(draft);
}

/// Worker N of uWSGI lives N-1 deltas longer (core/utils.c, master_checks.c). Here the lengthening is a share,
/// at random.
fn jitter(draft: &mut Draft<'_>) {
    let mut most: Option<(u64, Vec<_>)> = None;
    for (delta, limit) in [
        ("max-requests-delta", "max-requests"),
        ("max-worker-lifetime-delta", "max-worker-lifetime"),
    ] {
        let taken = draft.take_only(delta);
        let Some(directive) = draft.last_of(&taken) else {
            continue;
        };
        let limit = draft.peek(limit);
        let (Some(delta), Some(limit)) = (
            draft.number(directive).value(),
            limit.and_then(|it| super::read::number(it.value.as_deref()).value()),
        ) else {
            draft.nothing_to_do(&[directive], "there is no limit that it is added to");
            continue;
        };
        if limit == 0 {
            draft.nothing_to_do(&[directive], "there is no limit that it is added to");
            continue;
        }
        let workers = most_workers(draft);
        let percent = delta
            .saturating_mul(workers.saturating_sub(1))
            .saturating_mul(100);
        let percent = percent.div_ceil(limit).min(100);
        match &mut most {
            Some((known, from)) => {
                *known = percent.max(*known);
                from.push(directive);
            }
            None => most = Some((percent, vec![directive])),
        }
    }
    if let Some((percent, from)) = most {
        draft.set("recycle-jitter", format!("{percent}%"), &from);
        draft.note(
            Kind::Mapped,
            &from,
            "a share by which limits are lengthened at random, up to what uWSGI's last worker has",
        );
    }
}

fn most_workers(draft: &Draft<'_>) -> u64 {
    let text = draft.get("workers").and_then(|texts| texts.first());
    let text = text
        .map(|text| text.to_string_lossy().into_owned())
        .unwrap_or_default();
    let most = text.rsplit("..").next().unwrap_or_default();
    most.parse().unwrap_or(1)
}

fn address_space(draft: &mut Draft<'_>) {
    let Some(limit) = draft.last("reload-on-as") else {
        return;
    };
    if draft.peek("reload-on-rss").is_some() {
        draft.nothing_to_do(&[limit], "reload-on-rss limits the memory");
        return;
    }
    match draft.number(limit) {
        Number::Negative => draft.set("max-rss", limit.value.clone().unwrap_or_default(), &[limit]),
        number => {
            let megabytes = number.value().unwrap_or_default();
            if megabytes == 0 {
                draft.nothing_to_do(&[limit], "0 is off");
                return;
            }
            draft.set("max-rss", format!("{megabytes}M"), &[limit]);
            draft.note(
                Kind::Mapped,
                &[limit],
                "uWSGI limits the address space, which is larger than the memory in use; max-rss limits \
                 that memory: choose less",
            );
        }
    }
}

fn termination(draft: &mut Draft<'_>) {
    let die = draft.take("die-on-term");
    let hooks = draft.take("hook-master-start");
    let (graceful, others): (Vec<_>, Vec<_>) = hooks.into_iter().partition(|it| {
        let value = it.value.as_deref().unwrap_or_default();
        let words: Vec<_> = value.split_whitespace().collect();
        words == ["unix_signal:15", "gracefully_kill_them_all"]
    });
    draft.nothing_to_do(&graceful, "TERM stops the server once requests have ended");
    for hook in &others {
        draft.lost(
            &[hook],
            "nothing runs in the master; ExecStartPost= in the unit runs beside it",
        );
    }
    let is_on = die.last().is_some_and(|it| is_on(it.value.as_deref()));
    draft.nothing_to_do(
        &die,
        "TERM always stops the server, once requests have ended",
    );
    if !is_on && graceful.is_empty() {
        draft.note(
            Kind::Mapped,
            &[],
            "TERM stops the server once requests have ended; uWSGI reloads at once, without die-on-term",
        );
    }
}

fn touches(draft: &mut Draft<'_>) {
    let touches = draft.take("touch-reload");
    if touches.is_empty() {
        return;
    }
    let paths = touches.iter().map(|it| {
        let written = it.value.as_deref().unwrap_or_default();
        draft.below_chdir(written).into()
    });
    let paths = paths.collect();
    draft.set_all("reload-on-touch", paths, &touches);
}

fn autoreload(draft: &mut Draft<'_>) {
    for directive in draft.take("py-autoreload") {
        let is_off =
            directive.key.ends_with("ignore") || draft.number(directive).value() == Some(0);
        match is_off {
            true => draft.nothing_to_do(&[directive], "a server reloads when it is told to"),
            false => draft.elsewhere(
                &[directive],
                "for development, scoter dev APP reloads on save; a server reloads with scoter reload, or \
                 with reload-on-touch",
                None,
            ),
        }
    }
}
