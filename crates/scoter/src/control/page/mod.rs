//! The status page: a [`Status`] as HTML for people, on a phone at night as well as on a desk.
//!
//! This is the only renderer. The page's script asks for the page again and changes what is shown to
//! what it gets, so that readers with and without JavaScript see the same. Nothing is loaded from
//! elsewhere: style and script are part of the page, and the browser is told to run no others.

mod attention;
mod sections;
mod text;

use std::fmt;

use self::text::Text;
use super::protocol::Status;

/// The status page of a server.
pub(super) struct Page<'a>(pub(super) &'a Status);

/// What a browser may do with the page. URIs, which strangers choose, are on it: if one ever got past
/// [`Text`], it still could not run, load or send anything. The hashes are of [`STYLE`] and
/// [`SCRIPT`].
pub(super) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; \
    style-src 'sha256-HgX9l2rE6fQtNPV/JoNVoDF6WFfF+GTmSfT2t7GYdK0='; \
    script-src 'sha256-noLvxy6XdjXw8W/dCJhcFvLLmJh9jWUpfoO3puM9z8w='; \
    connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(status) = self;
        let (busy, slots) = status.busy_slots();
        let name = sections::name(status);
        write!(
            f,
            "<!doctype html>\n\
             <html lang=\"en\">\n\
             <head>\n\
             <meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <noscript><meta http-equiv=\"refresh\" content=\"{REFRESH_SECONDS}\"></noscript>\n\
             <link rel=\"icon\" href=\"data:,\">\n\
             <title>{busy}/{slots} busy · {} · {}</title>\n\
             <style>{STYLE}</style>\n\
             </head>\n\
             <body>\n\
             <p id=\"lost\" role=\"status\"></p>\n\
             <main>\n",
            status.phase,
            Text(name)
        )?;
        sections::write(f, status)?;
        write!(
            f,
            "</main>\n\
             <noscript><p class=\"hint\">Without JavaScript the page is loaded again every \
             {REFRESH_SECONDS} seconds.</p></noscript>\n\
             <script>{SCRIPT}</script>\n\
             </body>\n\
             </html>\n"
        )
    }
}

const STYLE: &str = include_str!("style.css");

const SCRIPT: &str = include_str!("script.js");

/// How often a browser without JavaScript loads the page: it flickers, and forgets what was unfolded.
const REFRESH_SECONDS: u32 = 5;

#[cfg(test)]
mod fixture;

#[cfg(test)]
mod tests;
