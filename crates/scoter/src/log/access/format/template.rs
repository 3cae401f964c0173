//! Line formats defined by the operator, in the syntax of nginx's `log_format`.

mod variable;
mod write;

use thiserror::Error;

use variable::{Known, Variable};

/// Text with `$variables`; `${name}` if letters follow, `$$` for a dollar sign.
///
/// | variable | value |
/// |---|---|
/// | `$request` | method, URI and protocol |
/// | `$request_uri` | as sent, or else path and query |
/// | `$status`, `$body_bytes_sent` | of the response |
/// | `$request_time` | seconds from the accept to the last byte out, `1.042` |
/// | `$request_time_ms`, `$queue_time_ms` | milliseconds, `1042.250`; the wait until the application began, or until `--queue-timeout` |
/// | `$time_local`, `$time_iso8601` | `22/Nov/2026:06:30:00 +0000`, `2026-11-22T06:30:00+00:00` |
/// | `$request_id` | the id of the request: `X-Request-ID`, or made |
/// | `$trace_id`, `$span_id` | of a valid `traceparent` |
/// | `$worker`, `$pid`, `$slot` | who served the request |
/// | `$sample_rate` | `1`, or that of `--access-log-sample` for a success |
/// | `$http_NAME` | a request header, as nginx names it: `$http_x_forwarded_for` |
/// | `$remote_addr`, `$server_name`, … | another variable of nginx's `uwsgi_params`, in lower case |
/// | `$var_NAME` | any `uwsgi_param`, whatever its case |
/// | `$logvar_NAME` | what the application has said with `uwsgi.set_logvar`, in the case of its name |
///
/// Absent and empty values are written as `-`. In values, `"`, `\`, control characters and all
/// non-ASCII bytes are written as `\xXX`, as nginx does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    pieces: Vec<Piece>,
    /// The names of the request variables that pieces refer to.
    names: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Known(Known),
    /// The request variable with this index in the names.
    Var(usize),
    /// What the application says under this name.
    LogVar(String),
}

/// An error in a template and its position; columns count characters from 1.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub(crate) enum TemplateError {
    /// An unknown name.
    #[error(
        "column {column}: unknown variable ${name}\nhint: {}",
        variable::hint(name)
    )]
    Unknown {
        /// The column of the dollar sign.
        column: usize,
        /// The name as written, without the dollar sign.
        name: String,
    },
    /// A dollar sign without a name after it.
    #[error("column {column}: no name after the dollar sign\nhint: $$ writes a dollar sign")]
    NoName {
        /// The column of the dollar sign.
        column: usize,
    },
    /// `${` without `}`.
    #[error("column {column}: no }} after the name\nhint: as in ${{status}}")]
    Unclosed {
        /// The column of the dollar sign.
        column: usize,
    },
    /// A control character, which could end or corrupt the line.
    #[error("column {column}: control character {found:?}\nhint: scoter itself ends each line")]
    Control {
        /// The column of the character.
        column: usize,
        /// The character.
        found: char,
    },
    /// There are no variables: every line would be the same.
    #[error(
        "no variable in {text:?}\nhint: use combined, json, json-otel, or a template such as \
         '$remote_addr \"$request\" $status'"
    )]
    Constant {
        /// The whole template.
        text: String,
    },
    /// Too many variables.
    #[error("more than {MAX_NAMES} request variables")]
    TooMany,
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    ///
    /// The leftmost [`TemplateError`].
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut template = Self {
            pieces: Vec::new(),
            names: Vec::new(),
        };
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let column = text[..text.len() - rest.len()].chars().count() + 1;
            rest = match first {
                '$' if rest.starts_with("$$") => {
                    template.push_text('$');
                    &rest[2..]
                }
                '$' => {
                    let (name, behind) = split_name(&rest[1..], column)?;
                    template.push_variable(name, column)?;
                    behind
                }
                found if found.is_control() && found != '\t' => {
                    return Err(TemplateError::Control { column, found });
                }
                other => {
                    template.push_text(other);
                    &rest[other.len_utf8()..]
                }
            };
        }
        let is_text = |piece: &Piece| matches!(piece, Piece::Text(_));
        if template.pieces.iter().all(is_text) {
            let text = text.to_owned();
            return Err(TemplateError::Constant { text });
        }
        Ok(template)
    }

    fn push_text(&mut self, character: char) {
        if let Some(Piece::Text(text)) = self.pieces.last_mut() {
            text.push(character);
        } else {
            self.pieces.push(Piece::Text(character.to_string()));
        }
    }

    fn push_variable(&mut self, name: &str, column: usize) -> Result<(), TemplateError> {
        let piece = match Variable::of(name) {
            Some(Variable::Known(known)) => Piece::Known(known),
            Some(Variable::Var(name)) => Piece::Var(self.index_of(name)?),
            Some(Variable::LogVar(name)) => Piece::LogVar(name.to_owned()),
            None => {
                let name = name.to_owned();
                return Err(TemplateError::Unknown { column, name });
            }
        };
        self.pieces.push(piece);
        Ok(())
    }

    fn index_of(&mut self, name: &str) -> Result<usize, TemplateError> {
        let is_name = |known: &String| known.eq_ignore_ascii_case(name);
        if let Some(index) = self.names.iter().position(is_name) {
            return Ok(index);
        }
        if self.names.len() == MAX_NAMES {
            return Err(TemplateError::TooMany);
        }
        self.names.push(name.to_owned());
        Ok(self.names.len() - 1)
    }
}

/// Splits a variable's name off the text after its dollar sign.
fn split_name(text: &str, column: usize) -> Result<(&str, &str), TemplateError> {
    let (name, behind) = if let Some(braced) = text.strip_prefix('{') {
        let end = braced.find('}').ok_or(TemplateError::Unclosed { column })?;
        (&braced[..end], &braced[end + 1..])
    } else {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let end = text.bytes().position(|byte| !is_part(byte));
        text.split_at(end.unwrap_or(text.len()))
    };
    if name.is_empty() {
        return Err(TemplateError::NoName { column });
    }
    Ok((name, behind))
}

/// Request variables in one template: three times as many as nginx sends by default.
const MAX_NAMES: usize = 64;

#[cfg(test)]
mod tests {
    use super::super::fixture::{entry, line_of};
    use super::*;

    fn line(template: &str, vars: &[(&str, &str)]) -> String {
        let template = Template::parse(template).unwrap();
        line_of(&entry(vars.iter().copied()), |line, record| {
            template.write(line, record);
        })
    }

    #[test]
    fn variables_are_replaced() {
        let vars = [
            ("REQUEST_METHOD", "GET"),
            ("REQUEST_URI", "/a?b=c"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("REMOTE_ADDR", "10.0.0.1"),
            ("HTTP_X_FORWARDED_FOR", "192.0.2.7, 10.0.0.1"),
            ("HTTP_X_REQUEST_ID", "abc-1"),
            (
                "HTTP_TRACEPARENT",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            ),
            ("app_stage", "blue"),
        ];
        for (template, expected) in [
            (
                "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent",
                "10.0.0.1 - - [22/Nov/2026:06:30:00 +0000] \"GET /a?b=c HTTP/1.1\" 200 10",
            ),
            (
                "$request_method $request_uri $server_protocol",
                "GET /a?b=c HTTP/1.1",
            ),
            (
                "$request_time $request_time_ms $queue_time_ms",
                "1.042 1042.250 1.500",
            ),
            ("$time_iso8601", "2026-11-22T06:30:00+00:00"),
            (
                "$request_id $trace_id $span_id",
                "abc-1 0af7651916cd43dd8448eb211c80319c b7ad6b7169203331",
            ),
            ("$worker/$pid/$slot $sample_rate", "2/4242/3 1"),
            ("$http_x_forwarded_for", "192.0.2.7, 10.0.0.1"),
            ("$var_app_stage $var_APP_STAGE $var_other", "blue blue -"),
            ("${status}ms costs $$5\t\u{e9}$$", "200ms costs $5\t\u{e9}$"),
            ("$status$status", "200200"),
        ] {
            assert_eq!(line(template, &vars), expected, "{template}");
        }
    }

    #[test]
    fn repeated_headers_are_logged_as_the_application_sees_them() {
        let vars = [
            ("HTTP_X_FORWARDED_FOR", "192.0.2.7"),
            ("HTTP_HOST", "included.example"),
            ("HTTP_COOKIE", "a=1"),
            ("http_x_list", "lower"),
            ("HTTP_X_LIST", "1"),
            ("HTTP_COOKIE", "b=2"),
            ("HTTP_HOST", "example.com:8443"),
            ("HTTP_X_LIST", ""),
            ("HTTP_X_FORWARDED_FOR", "10.0.0.1"),
            ("HTTP_X_LIST", "3"),
            ("REMOTE_ADDR", "::1"),
            ("REMOTE_ADDR", ""),
        ];
        for (template, expected) in [
            ("$http_x_forwarded_for", "192.0.2.7, 10.0.0.1"),
            ("$http_host", "example.com:8443"),
            ("$http_cookie", "a=1; b=2"),
            ("$http_x_list", "1, , 3"),
            ("$remote_addr", "-"),
        ] {
            assert_eq!(line(template, &vars), expected, "{template}");
        }
    }

    #[test]
    fn path_and_query_stand_in_for_the_uri() {
        let vars = [("PATH_INFO", "/p"), ("QUERY_STRING", "q")];
        assert_eq!(line("$request_uri", &vars), "/p?q");
        assert_eq!(line("$request", &vars), "- /p?q -");
        assert_eq!(line("$request_uri $trace_id", &[("X", "")]), "- -");
    }

    #[test]
    fn values_cannot_forge_lines_or_fields() {
        let hostile = "a\"b\\c\nd\u{e9}\x1b$status";
        let escaped = "a\\x22b\\x5Cc\\x0Ad\\xC3\\xA9\\x1B$status";
        for (template, key) in [
            ("$http_user_agent", "HTTP_USER_AGENT"),
            ("$var_anything", "ANYTHING"),
            ("$request_uri", "REQUEST_URI"),
        ] {
            assert_eq!(line(template, &[(key, hostile)]), escaped, "{template}");
        }
        let made = line("$request_id", &[("HTTP_X_REQUEST_ID", hostile)]);
        assert_eq!(made.len(), 32, "{made}");
    }

    #[test]
    fn errors_name_the_position_and_the_remedy() {
        for (template, expected) in [
            (
                "$status $remote_adr",
                "column 9: unknown variable $remote_adr\nhint: did you mean $remote_addr?",
            ),
            (
                "\u{e9} ${Status}",
                "column 3: unknown variable $Status\nhint: did you mean $status?",
            ),
            (
                "$my_param",
                "column 1: unknown variable $my_param\nhint: $var_my_param for a uwsgi_param \
                 of your own, $http_my_param for a request header",
            ),
            (
                "$status $",
                "column 9: no name after the dollar sign\nhint: $$ writes a dollar sign",
            ),
            (
                "costs $-5",
                "column 7: no name after the dollar sign\nhint: $$ writes a dollar sign",
            ),
            (
                "$status ${}",
                "column 9: no name after the dollar sign\nhint: $$ writes a dollar sign",
            ),
            (
                "${status",
                "column 1: no } after the name\nhint: as in ${status}",
            ),
            (
                "$status\n",
                "column 8: control character '\\n'\nhint: scoter itself ends each line",
            ),
            (
                "jsn",
                "no variable in \"jsn\"\nhint: use combined, json, json-otel, or a template such as \
                 '$remote_addr \"$request\" $status'",
            ),
        ] {
            let error = Template::parse(template).unwrap_err();
            assert_eq!(error.to_string(), expected, "{template}");
        }
        let many: String = (0..65).map(|index| format!("$var_{index} ")).collect();
        assert_eq!(Template::parse(&many), Err(TemplateError::TooMany));
    }
}
