//! Limits and times of requests.

use super::draft::Draft;
use super::read::Number;
use crate::config::uwsgi::translation::Kind;

pub(super) fn translate(draft: &mut Draft<'_>) {
    socket_timeout(draft);
    post_buffering(draft);
    buffer_size(draft);
}

/// The time of one read or write (core/reader.c, core/writer.c): for the variables, the body and the response.
fn socket_timeout(draft: &mut Draft<'_>) {
    let Some(timeout) = draft.last("socket-timeout") else {
        return;
    };
    let text = match draft.number(timeout) {
        Number::Negative => timeout.value.clone().unwrap_or_default(),
        number => match number.value().unwrap_or_default() {
            0 => {
                draft.note(
                    Kind::Mapped,
                    &[timeout],
                    "0 waits for nobody in uWSGI; left out",
                );
                return;
            }
            seconds => format!("{seconds}s"),
        },
    };
    draft.set("body-timeout", text.clone(), &[timeout]);
    draft.set("write-timeout", text, &[timeout]);
}

/// uWSGI then reads bodies before the application starts: from this size on into a file.
fn post_buffering(draft: &mut Draft<'_>) {
    let Some(buffering) = draft.last("post-buffering") else {
        return;
    };
    match draft.number(buffering).value() {
        Some(0) | None => draft.nothing_to_do(&[buffering], "0 is off"),
        // The usual cure for responses that get lost when the application leaves a body unread.
        Some(1) => draft.nothing_to_do(
            &[buffering],
            "bodies that the application does not read do no harm",
        ),
        Some(_) => draft.set("buffer-body", "all", &[buffering]),
    }
}

fn buffer_size(draft: &mut Draft<'_>) {
    let sizes = draft.take("buffer-size");
    draft.nothing_to_do(
        &sizes,
        "scoter accepts packets of any size, which is 64 KiB",
    );
}
