//! An application below a path.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::from_text::FromText;
use super::target::Target;

/// An application below a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) prefix: Prefix,
    pub(crate) app: Target,
}

/// A path as nginx sends it in `PATH_INFO`: decoded, and without `.`, `..` and empty segments. It
/// begins with a slash and ends with none, so that `/` is empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Prefix(String);

impl Prefix {
    /// Its text, which is empty for `/`.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is `/`, below which everything is.
    pub(crate) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    fn read(text: &str) -> Result<Self, String> {
        let Some(below) = text.strip_prefix('/') else {
            return Err(EXPECTED.to_owned());
        };
        let below = below.strip_suffix('/').unwrap_or(below);
        if below.is_empty() {
            return match text {
                "/" => Ok(Self(String::new())),
                _ => Err("a path has no empty segments, because nginx merges slashes".to_owned()),
            };
        }
        for segment in below.split('/') {
            match segment {
                "" => {
                    return Err(
                        "a path has no empty segments, because nginx merges slashes".to_owned()
                    );
                }
                "." | ".." => {
                    return Err(
                        "a path has no . and .. segments, because nginx resolves them".to_owned(),
                    );
                }
                _ => {}
            }
        }
        if below.contains(['%', '?', '#']) || below.contains(char::is_control) {
            return Err(
                "the path is compared after decoding, without the query: write /caf\u{e9}, not \
                 /caf%C3%A9"
                    .to_owned(),
            );
        }
        Ok(Self(format!("/{below}")))
    }
}

impl FromText for Mount {
    fn from_text(text: &OsStr) -> Result<Self, String> {
        let text = text.to_str().ok_or_else(|| "is not UTF-8".to_owned())?;
        let (prefix, app) = text.split_once('=').ok_or_else(|| EXPECTED.to_owned())?;
        Ok(Self {
            prefix: Prefix::read(prefix)?,
            app: Target::from_text(app.as_ref())?,
        })
    }

    fn relocated(text: &OsStr, folder: &Path) -> OsString {
        let Some((prefix, app)) = text.to_str().and_then(|text| text.split_once('=')) else {
            return text.to_owned();
        };
        let mut relocated = OsString::from(format!("{prefix}="));
        relocated.push(<Target as FromText>::relocated(app.as_ref(), folder));
        relocated
    }
}

const EXPECTED: &str = "expected a path and an APP, such as /shop=shop.wsgi";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_plain_paths_without_a_slash_at_the_end() {
        for (text, prefix, app) in [
            ("/shop=shop.wsgi", "/shop", "shop.wsgi"),
            ("/shop/=shop.wsgi", "/shop", "shop.wsgi"),
            ("/=shop.wsgi", "", "shop.wsgi"),
            ("/a/b-c/d.e=/srv/x.py:app", "/a/b-c/d.e", "/srv/x.py:app"),
            ("/caf\u{e9} au lait=x", "/caf\u{e9} au lait", "x"),
            ("/...=x", "/...", "x"),
            ("/a=config:/a=b.ini#x", "/a", "config:/a=b.ini#x"),
        ] {
            let mount = Mount::from_text(text.as_ref()).expect(text);
            assert_eq!(mount.prefix.as_str(), prefix, "{text}");
            assert_eq!(mount.app.to_string(), app, "{text}");
            assert_eq!(mount.prefix.is_root(), prefix.is_empty(), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_mounts() {
        for (text, reason) in [
            ("", "expected a path and an APP"),
            ("shop.wsgi", "expected a path and an APP"),
            ("=shop.wsgi", "expected a path and an APP"),
            ("shop=shop.wsgi", "expected a path and an APP"),
            ("/shop", "expected a path and an APP"),
            ("/shop=", "expected module:callable"),
            ("//=x", "no empty segments"),
            ("/a//b=x", "no empty segments"),
            ("/a//=x", "no empty segments"),
            ("//a=x", "no empty segments"),
            ("/../a=x", "no . and .. segments"),
            ("/a/.=x", "no . and .. segments"),
            ("/caf%C3%A9=x", "after decoding"),
            ("/a?b=x", "after decoding"),
            ("/a#b=x", "after decoding"),
            ("/a\n=x", "after decoding"),
        ] {
            let error = Mount::from_text(text.as_ref()).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn files_are_resolved_against_the_folder() {
        for (text, expected) in [
            ("/a=app.py:x", "/a=/srv/app.py:x"),
            ("/a=app:x", "/a=app:x"),
            ("/a=p.ini", "/a=config:/srv/p.ini"),
            ("/a", "/a"),
        ] {
            let relocated = Mount::relocated(text.as_ref(), Path::new("/srv"));
            assert_eq!(relocated, expected, "{text}");
        }
    }
}
