//! Applications below paths: which of them a request is for, and what is left of its path.

use std::borrow::Cow;

use crate::environ::ScriptName;

/// The paths below which applications are mounted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountPoints {
    /// The longest comes first, each with its place in the order in which it was given.
    points: Vec<(Box<[u8]>, usize)>,
}

/// Where a request is: the variables of its packet, each empty if it is absent.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestPath<'a> {
    /// `SCRIPT_NAME`
    pub script_name: &'a [u8],
    /// `PATH_INFO`
    pub path_info: &'a [u8],
    /// `REQUEST_URI`
    pub request_uri: &'a [u8],
    /// Whether `PATH_INFO` is known to begin with `SCRIPT_NAME`.
    pub handling: ScriptName<'a>,
}

/// The mount point that a request is below, and the variables for its application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounted<'a> {
    /// Which of the mount points, in the order in which they were given.
    pub index: usize,
    /// `SCRIPT_NAME`: it ends with the mount point.
    pub script_name: Cow<'a, [u8]>,
    /// `PATH_INFO`: what follows. It is empty or begins with a slash.
    pub path_info: Cow<'a, [u8]>,
}

impl MountPoints {
    /// Takes paths without a slash at the end. `None` if one does not begin with a slash, or ends
    /// with one.
    pub fn new<P: AsRef<[u8]>>(paths: impl IntoIterator<Item = P>) -> Option<Self> {
        let mut points: Vec<(Box<[u8]>, usize)> = Vec::new();
        for (index, path) in paths.into_iter().enumerate() {
            let path = path.as_ref();
            if !path.starts_with(b"/") || path.ends_with(b"/") {
                return None;
            }
            points.push((Box::from(path), index));
        }
        points.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
        Some(Self { points })
    }

    /// Finds the longest mount point that a request is below. `/foo` is above `/foo` and `/foo/bar`,
    /// and not above `/foobar`.
    ///
    /// PEP 3333 has the path of a request in two parts, `SCRIPT_NAME` and `PATH_INFO`. If the front end
    /// sends the first, the mount point is looked for in the whole path, so that `SCRIPT_NAME` selects the
    /// application, as it does in uWSGI; then in what follows `SCRIPT_NAME`, for a server all of which
    /// is below that path.
    ///
    /// Many configurations of nginx send `SCRIPT_NAME` and leave it in `PATH_INFO` as well, where uWSGI
    /// removes it (`manage-script-name`). It is removed here, too, unless `REQUEST_URI` shows that the
    /// path has it twice.
    pub fn find<'a>(&'a self, request: &RequestPath<'a>) -> Option<Mounted<'a>> {
        let (above, below) = request.parts();
        if above.is_empty() {
            return self.first(|point| {
                let rest = rest_below(point, below)?;
                Some((Cow::Borrowed(point), Cow::Borrowed(rest)))
            });
        }
        let in_whole_path = self.first(|point| {
            let rest = match point.strip_prefix(above) {
                Some(end) => Cow::Borrowed(rest_below(end, below)?),
                None => {
                    let between = rest_below(point, above)?;
                    rest_below(b"", below)?;
                    Cow::Owned([between, below].concat())
                }
            };
            Some((Cow::Borrowed(point), rest))
        });
        in_whole_path.or_else(|| {
            self.first(|point| {
                let rest = rest_below(point, below)?;
                Some((Cow::Owned([above, point].concat()), Cow::Borrowed(rest)))
            })
        })
    }

    /// The longest mount point for which there are paths.
    fn first<'a>(
        &'a self,
        paths: impl Fn(&'a [u8]) -> Option<(Cow<'a, [u8]>, Cow<'a, [u8]>)>,
    ) -> Option<Mounted<'a>> {
        self.points.iter().find_map(|(point, index)| {
            let (script_name, path_info) = paths(point)?;
            Some(Mounted {
                index: *index,
                script_name,
                path_info,
            })
        })
    }
}

impl<'a> RequestPath<'a> {
    /// The path in two parts: what the front end calls `SCRIPT_NAME`, without a slash at the end, and what
    /// follows.
    fn parts(&self) -> (&'a [u8], &'a [u8]) {
        let (above, below) = (self.script_name, self.path_info);
        let above = above.strip_suffix(b"/").unwrap_or(above);
        // A name that does not begin with a slash is part of no path.
        if above.is_empty() || !above.starts_with(b"/") {
            return match below {
                b"" => (b"", b"/"),
                below => (b"", below),
            };
        }
        match rest_below(above, below) {
            Some(rest) if !self.repeats(above) => (above, rest),
            _ => (above, below),
        }
    }

    /// Whether the client asked for a path that begins with `above` and goes on with all of
    /// `PATH_INFO`, which begins with it, too.
    fn repeats(&self, above: &[u8]) -> bool {
        if self.handling == ScriptName::Strip {
            return false;
        }
        let path = self.request_uri.split(|byte| *byte == b'?').next();
        decoded(path.unwrap_or_default()).eq(above.iter().chain(self.path_info).copied())
    }
}

/// What of `path` follows `point`, if that is its beginning in whole segments.
fn rest_below<'a>(point: &[u8], path: &'a [u8]) -> Option<&'a [u8]> {
    let rest = path.strip_prefix(point)?;
    (rest.is_empty() || rest.starts_with(b"/")).then_some(rest)
}

/// The bytes of a percent-encoded path.
fn decoded(path: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = path;
    std::iter::from_fn(move || {
        let (first, behind) = rest.split_first()?;
        if let (b'%', Some(([high, low], behind))) = (first, behind.split_first_chunk()) {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            if let Some((high, low)) = digit(*high).zip(digit(*low)) {
                rest = behind;
                return u8::try_from(high * 16 + low).ok();
            }
        }
        rest = behind;
        Some(*first)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The paths for an application, with the mount point's index: `0 /foo /bar`.
    fn found(points: &[&str], script_name: &str, path_info: &str) -> String {
        found_with(points, script_name, path_info, "", ScriptName::AsSent)
    }

    fn found_with(
        points: &[&str],
        script_name: &str,
        path_info: &str,
        request_uri: &str,
        handling: ScriptName<'_>,
    ) -> String {
        let points = MountPoints::new(points).unwrap();
        let request = RequestPath {
            script_name: script_name.as_bytes(),
            path_info: path_info.as_bytes(),
            request_uri: request_uri.as_bytes(),
            handling,
        };
        let Some(mounted) = points.find(&request) else {
            return "none".to_owned();
        };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let (script_name, path_info) = (text(&mounted.script_name), text(&mounted.path_info));
        format!("{} {script_name} {path_info}", mounted.index)
    }

    #[test]
    fn longest_mount_point_wins_in_whole_segments() {
        let points = ["/foo", "/foo/bar", "/caf\u{e9}", "/a b"];
        for (path_info, expected) in [
            ("/foo", "0 /foo "),
            ("/foo/", "0 /foo /"),
            ("/foo//", "0 /foo //"),
            ("/foo/baz", "0 /foo /baz"),
            ("/foo/barn", "0 /foo /barn"),
            ("/foo/bar", "1 /foo/bar "),
            ("/foo/bar/x", "1 /foo/bar /x"),
            ("/caf\u{e9}/x", "2 /caf\u{e9} /x"),
            ("/a b/c", "3 /a b /c"),
            ("/foobar", "none"),
            ("/fo", "none"),
            ("/FOO", "none"),
            ("//foo", "none"),
            ("/x/foo", "none"),
            ("/", "none"),
            ("", "none"),
            ("*", "none"),
            ("foo", "none"),
            ("http://a/foo", "none"),
        ] {
            assert_eq!(found(&points, "", path_info), expected, "{path_info:?}");
            assert_eq!(found(&points, "/", path_info), expected, "{path_info:?}");
        }
    }

    #[test]
    fn script_name_selects_the_application() {
        let points = ["/foo", "/foo/bar", "/baz"];
        for (script_name, path_info, expected) in [
            // nginx has removed it.
            ("/foo", "/x", "0 /foo /x"),
            ("/foo", "/", "0 /foo /"),
            ("/foo", "", "0 /foo "),
            ("/foo/", "/x", "0 /foo /x"),
            ("/foo", "/bar/x", "1 /foo/bar /x"),
            ("/foo", "/bar", "1 /foo/bar "),
            ("/foo", "/barn", "0 /foo /barn"),
            ("/foo/bar", "/x", "1 /foo/bar /x"),
            ("/foo/sub", "/x", "0 /foo /sub/x"),
            ("/foo", "/baz", "0 /foo /baz"),
            // nginx has left it there.
            ("/foo", "/foo/x", "0 /foo /x"),
            ("/foo", "/foo", "0 /foo "),
            ("/foo", "/foo/bar/x", "1 /foo/bar /x"),
            ("/foo/bar", "/foo/bar/x", "1 /foo/bar /x"),
            // All of the server is below it.
            ("/site", "/foo/x", "0 /site/foo /x"),
            ("/site", "/site/foo/x", "0 /site/foo /x"),
            ("/site", "/x", "none"),
            ("/foobar", "/x", "none"),
            // These are no paths.
            ("foo", "/foo/x", "0 /foo /x"),
            ("foo", "/x", "none"),
            ("/foo", "*", "none"),
            ("/foo", "x", "none"),
            ("/foo", "foo", "none"),
        ] {
            let found = found(&points, script_name, path_info);
            assert_eq!(found, expected, "{script_name:?} {path_info:?}");
        }
    }

    #[test]
    fn request_uri_tells_whether_the_path_has_it_twice() {
        let as_sent = ScriptName::AsSent;
        for (path_info, request_uri, handling, expected) in [
            ("/foo/x", "/foo/x", as_sent, "0 /foo /x"),
            ("/foo/x", "/foo/foo/x", as_sent, "0 /foo /foo/x"),
            ("/foo/x", "/foo/foo/x?a=/b", as_sent, "0 /foo /foo/x"),
            ("/foo/x", "/f%6Fo/foo/%78", as_sent, "0 /foo /foo/x"),
            ("/foo/x", "/foo/foo/x", ScriptName::Strip, "0 /foo /x"),
            ("/foo/x", "", as_sent, "0 /foo /x"),
            ("/foo/x", "/rewritten", as_sent, "0 /foo /x"),
            ("/foo/x", "/foo/foo/x%", as_sent, "0 /foo /x"),
            ("/foo", "/foo/foo", as_sent, "0 /foo /foo"),
        ] {
            let found = found_with(&["/foo"], "/foo", path_info, request_uri, handling);
            assert_eq!(found, expected, "{path_info:?} {request_uri:?}");
        }
    }

    #[test]
    fn other_paths_are_no_mount_points() {
        for path in ["", "/", "foo", "/foo/", "foo/"] {
            assert_eq!(MountPoints::new([path]), None, "{path:?}");
        }
        assert!(MountPoints::new([""; 0]).is_some());
    }

    #[test]
    fn paths_are_decoded_as_nginx_does() {
        for (path, expected) in [
            (&b"/a%20b"[..], &b"/a b"[..]),
            (b"/%C3%a9", b"/\xc3\xa9"),
            (b"/%", b"/%"),
            (b"/%2", b"/%2"),
            (b"/%zz", b"/%zz"),
            (b"/%252f", b"/%2f"),
        ] {
            assert_eq!(decoded(path).collect::<Vec<_>>(), expected, "{path:?}");
        }
    }

    /// Segments that often match, and sometimes are nothing that a path has.
    fn paths() -> impl Strategy<Value = Vec<u8>> {
        let parts: [&[u8]; 6] = [b"/", b"/a", b"/b", b"a", b"\xff", b"%61"];
        let part = proptest::sample::select(parts.to_vec());
        proptest::collection::vec(part, 0..6).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn nothing_of_a_path_is_lost_or_invented(
            points in proptest::collection::vec(paths(), 0..4),
            script_name in paths(),
            path_info in paths(),
            request_uri in paths(),
            strips: bool,
        ) {
            let points: Vec<_> = points
                .into_iter()
                .filter(|point| point.starts_with(b"/") && !point.ends_with(b"/"))
                .collect();
            let all = MountPoints::new(&points).unwrap();
            let handling = if strips { ScriptName::Strip } else { ScriptName::AsSent };
            let request = RequestPath {
                script_name: &script_name,
                path_info: &path_info,
                request_uri: &request_uri,
                handling,
            };
            let (above, below) = request.parts();
            let Some(mounted) = all.find(&request) else {
                // Then it is below none.
                for point in &points {
                    prop_assert_eq!(rest_below(point, below), None);
                }
                return Ok(());
            };
            prop_assert!(mounted.script_name.ends_with(&points[mounted.index]));
            prop_assert!(mounted.path_info.is_empty() || mounted.path_info.starts_with(b"/"));
            let whole = [&*mounted.script_name, &*mounted.path_info].concat();
            prop_assert_eq!(whole, [above, below].concat());
        }
    }
}
