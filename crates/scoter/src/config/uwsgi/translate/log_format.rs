//! `log-format`: uWSGI's variables in the words of a template of ours.

use super::draft::Draft;
use crate::config::uwsgi::translation::Kind;

pub(super) fn translate(draft: &mut Draft<'_>) {
    let strftime = draft.take("logformat-strftime");
    draft.nothing_to_do(
        &strftime,
        "$time_local and $time_iso8601 have forms of their own",
    );
    let Some(format) = draft.last("log-format") else {
        return;
    };
    let written = format.value.as_deref().unwrap_or_default();
    let template = Template::of(written);
    if template.variables == 0 {
        let text = "without a variable that scoter has: the lines keep the form \"combined\"";
        draft.lost(&[format], text);
        return;
    }
    draft.set("access-log-format", template.text, &[format]);
    if !template.unknown.is_empty() {
        let unknown: Vec<_> = template
            .unknown
            .iter()
            .map(|name| format!("%({name})"))
            .collect();
        draft.lost(
            &[format],
            format!("scoter has no {}: \"-\" in its place", unknown.join(", ")),
        );
    }
    if !template.differing.is_empty() {
        draft.note(Kind::Mapped, &[format], template.differing.join("; "));
    }
}

#[derive(Default)]
struct Template {
    text: String,
    /// Those that are there.
    variables: usize,
    unknown: Vec<String>,
    differing: Vec<&'static str>,
}

impl Template {
    /// `%(name)` is a variable (core/logging.c, uwsgi_build_log_format).
    fn of(format: &str) -> Self {
        let mut template = Self::default();
        let mut rest = format;
        while let Some(start) = rest.find("%(") {
            template.push_text(&rest[..start]);
            let behind = &rest[start + 2..];
            let Some(end) = behind.find(')') else {
                rest = &rest[start..];
                break;
            };
            let following = behind[end + 1..].chars().next();
            template.push_variable(&behind[..end], following);
            rest = &behind[end + 1..];
        }
        template.push_text(rest);
        template
    }

    fn push_text(&mut self, text: &str) {
        self.text.push_str(&text.replace('$', "$$"));
    }

    fn push_variable(&mut self, name: &str, following: Option<char>) {
        let Some((ours, difference)) = variable(name) else {
            self.unknown.push(name.to_owned());
            self.text.push('-');
            return;
        };
        self.variables += 1;
        let joins = following.is_some_and(|it| it.is_ascii_alphanumeric() || it == '_');
        match ours.strip_prefix('$') {
            Some(bare) if joins && !bare.contains('$') => {
                self.text.push_str(&format!("${{{bare}}}"))
            }
            _ => self.text.push_str(&ours),
        }
        if !difference.is_empty() && !self.differing.contains(&difference) {
            self.differing.push(difference);
        }
    }
}

/// Our variable, and how it differs.
fn variable(name: &str) -> Option<(String, &'static str)> {
    if let Some(var) = name.strip_prefix("var.") {
        let header = var
            .strip_prefix("HTTP_")
            .map(|it| format!("$http_{}", it.to_lowercase()));
        return Some((header.unwrap_or_else(|| format!("$var_{var}")), ""));
    }
    let (_, ours, difference) = VARIABLES.iter().find(|(theirs, ..)| *theirs == name)?;
    Some(((*ours).to_owned(), *difference))
}

const TIME: &str = "times have the form of $time_local or $time_iso8601";
const MILLISECONDS: &str = "durations are in milliseconds, or in seconds with the milliseconds behind the \
                            point";

/// core/logging.c of uWSGI 2.0.31, uwsgi_build_log_format.
const VARIABLES: &[(&str, &str, &str)] = &[
    ("addr", "$remote_addr", ""),
    ("cl", "$content_length", ""),
    ("core", "$slot", ""),
    ("ctime", "$time_local", TIME),
    ("epoch", "$time_iso8601", TIME),
    ("ftime", "$time_local", TIME),
    ("host", "$http_host", ""),
    ("ltime", "$time_local", ""),
    ("method", "$request_method", ""),
    ("micros", "$request_time_ms", MILLISECONDS),
    ("msecs", "$request_time_ms", ""),
    ("pid", "$pid", ""),
    ("proto", "$server_protocol", ""),
    ("referer", "$http_referer", ""),
    ("rsize", "$body_bytes_sent", ""),
    ("secs", "$request_time", MILLISECONDS),
    (
        "size",
        "$body_bytes_sent",
        "sizes are those of bodies, without heads",
    ),
    ("status", "$status", ""),
    ("time", "$time_iso8601", TIME),
    ("tmsecs", "$time_iso8601", TIME),
    ("tmicros", "$time_iso8601", TIME),
    ("uagent", "$http_user_agent", ""),
    ("uri", "$request_uri", ""),
    ("user", "$remote_user", ""),
    ("wid", "$worker", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_translated_one_by_one() {
        for (format, expected) in [
            (
                r#"%(addr) - %(user) [%(ltime)] "%(method) %(uri) %(proto)" %(status) %(size) "%(referer)" "%(uagent)""#,
                r#"$remote_addr - $remote_user [$time_local] "$request_method $request_uri $server_protocol" $status $body_bytes_sent "$http_referer" "$http_user_agent""#,
            ),
            ("%(msecs)ms", "${request_time_ms}ms"),
            ("$5 %(status)", "$$5 $status"),
            (
                "%(var.HTTP_X_REQUEST_ID) %(var.MY_PARAM)",
                "$http_x_request_id $var_MY_PARAM",
            ),
            ("%(rssM) %(status)", "- $status"),
            ("%(status) %(open", "$status %(open"),
            ("100% %(wid)/%(core)", "100% $worker/$slot"),
        ] {
            assert_eq!(Template::of(format).text, expected, "{format}");
        }
        assert_eq!(Template::of("%(rssM) %(werr)").unknown, ["rssM", "werr"]);
        assert_eq!(Template::of("plain").variables, 0);
    }

    #[test]
    fn every_template_is_one_of_ours() {
        for (theirs, ours, _) in VARIABLES {
            let parsed = ours.parse::<crate::log::AccessLogFormat>();
            assert!(parsed.is_ok(), "{theirs}: {ours}");
        }
    }
}
