use uwsgi_codec::{Var, Vars};

use super::Param;

/// The positions of the variables that the server reads, recorded while their block is checked:
/// another pass over the block would take longer than using them. The last of repeated ones counts,
/// as everywhere.
#[derive(Debug, Default)]
pub(super) struct Index {
    params: [Place; Param::COUNT],
}

/// The position of a value in its block, which is at most 65,535 bytes long; 0, where no value can
/// be, if there is none.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    start: u16,
    len: u16,
}

impl Index {
    /// Records the next variable.
    pub(super) fn note(&mut self, var: Var<'_>) {
        // Comparing whole keys takes a load or two; a pattern would be compared byte by byte.
        let param = match var.key.len() {
            17 if var.key == b"HTTP_X_REQUEST_ID" => Param::RequestId,
            9 if var.key == b"HTTP_HOST" => Param::Host,
            12 if var.key == b"HTTP_REFERER" => Param::Referer,
            16 if var.key == b"HTTP_TRACEPARENT" => Param::Traceparent,
            15 if var.key == b"HTTP_USER_AGENT" => Param::UserAgent,
            20 if var.key == b"HTTP_X_REQUEST_START" => Param::RequestStart,
            9 if var.key == b"PATH_INFO" => Param::Path,
            12 if var.key == b"QUERY_STRING" => Param::Query,
            11 if var.key == b"REMOTE_ADDR" => Param::RemoteAddr,
            11 if var.key == b"REMOTE_USER" => Param::RemoteUser,
            14 if var.key == b"REQUEST_METHOD" => Param::Method,
            11 if var.key == b"REQUEST_URI" => Param::Uri,
            15 if var.key == b"SERVER_PROTOCOL" => Param::Protocol,
            15 if var.key == b"UWSGI_KEEP_CONN" => Param::KeepConn,
            _ => return,
        };
        self.params[param as usize] = Place::of(var);
    }

    /// Whether a recorded variable is there, and not empty.
    pub(super) fn has(&self, param: Param) -> bool {
        self.params[param as usize].len > 0
    }

    /// The value of a recorded variable, unless it is absent or empty.
    pub(super) fn value<'a>(&self, param: Param, vars: &'a Vars) -> Option<&'a [u8]> {
        let value = self.params[param as usize].of_block(vars.as_bytes());
        (!value.is_empty()).then_some(value)
    }
}

impl Place {
    fn of(var: Var<'_>) -> Self {
        let within = |number| u16::try_from(number).expect("blocks have 65,535 bytes at most");
        Self {
            start: within(var.offset),
            len: within(var.value.len()),
        }
    }

    /// The value in its block.
    fn of_block(self, block: &[u8]) -> &[u8] {
        let start = usize::from(self.start);
        &block[start..start + usize::from(self.len)]
    }
}

#[cfg(test)]
mod tests {
    use wsgi_environ::Repeated;

    use super::super::RequestHead;
    use super::*;

    #[test]
    fn every_param_is_found_by_its_name() {
        for (name, param) in [
            ("HTTP_HOST", Param::Host),
            ("REQUEST_METHOD", Param::Method),
            ("PATH_INFO", Param::Path),
            ("SERVER_PROTOCOL", Param::Protocol),
            ("QUERY_STRING", Param::Query),
            ("HTTP_REFERER", Param::Referer),
            ("REMOTE_ADDR", Param::RemoteAddr),
            ("REMOTE_USER", Param::RemoteUser),
            ("UWSGI_KEEP_CONN", Param::KeepConn),
            ("HTTP_X_REQUEST_ID", Param::RequestId),
            ("HTTP_X_REQUEST_START", Param::RequestStart),
            ("HTTP_TRACEPARENT", Param::Traceparent),
            ("REQUEST_URI", Param::Uri),
            ("HTTP_USER_AGENT", Param::UserAgent),
        ] {
            let head = RequestHead::of([("A", "before"), (name, "value"), ("B", "behind")]);
            assert_eq!(head.param(param), Some(&b"value"[..]), "{name}");
            let head = RequestHead::of([(name, "value"), (name, "")]);
            assert_eq!(head.param(param), None, "{name}");
            // What the application sees.
            assert_eq!(Repeated::of(name.as_bytes()), Repeated::Last, "{name}");
            let other = name.to_lowercase();
            assert_eq!(
                RequestHead::of([(other, "value")]).param(param),
                None,
                "{name}"
            );
        }
    }

    #[test]
    fn value_may_stand_at_the_very_end_of_the_largest_block() {
        // Two lengths of two bytes for each of both.
        let uri = "/last";
        let filling = 65_535 - "A".len() - "REQUEST_URI".len() - uri.len() - 8;
        let head = RequestHead::of([("A", "x".repeat(filling)), ("REQUEST_URI", uri.to_owned())]);
        assert_eq!(head.vars().as_bytes().len(), 65_535);
        assert_eq!(head.uri(), Some(uri.as_bytes()));

        let empty = RequestHead::of([
            ("A", "x".repeat(filling + uri.len())),
            ("REQUEST_URI", String::new()),
        ]);
        assert_eq!(empty.uri(), None);
    }
}
