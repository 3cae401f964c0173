//! What the server says of itself.

use super::draft::Draft;
use crate::config::uwsgi::translation::Kind;

pub(super) fn translate(draft: &mut Draft<'_>) {
    let http = draft.flag("stats-http");
    let Some(stats) = draft.last("stats") else {
        if let Some(http) = http {
            draft.nothing_to_do(&[http], "there are no statistics without stats");
        }
        return;
    };
    let written = stats.value.as_deref().unwrap_or_default();
    // The forms of `socket`; scoter names the scheme of a Unix socket, and binds to this machine unless told
    // otherwise.
    let address = match written.rsplit_once(':') {
        Some(("" | "*" | "0.0.0.0", port)) => {
            draft.note(
                Kind::Mapped,
                &[stats],
                "uWSGI shows the statistics to everybody who can connect; scoter to this machine",
            );
            format!("127.0.0.1:{port}")
        }
        Some(_) => written.to_owned(),
        None => match written.strip_prefix('@') {
            Some(name) => format!("unix:@{name}"),
            None => format!("unix:{}", draft.below_chdir(written)),
        },
    };
    let (address, from) = match http {
        Some(http) => (format!("http://{address}"), vec![stats, http]),
        None => (address, vec![stats]),
    };
    draft.set("uwsgi-stats", address, &from);
}
