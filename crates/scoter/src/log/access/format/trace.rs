/// The position of a request in a distributed trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TraceContext<'a> {
    /// 32 lower-case hexadecimal digits.
    pub(super) trace_id: &'a str,
    /// 16 lower-case hexadecimal digits.
    pub(super) span_id: &'a str,
    /// Two lower-case hexadecimal digits.
    pub(super) flags: &'a str,
}

impl<'a> TraceContext<'a> {
    /// Parses `traceparent`; `None` for anything invalid.
    pub(super) fn parse(traceparent: &'a [u8]) -> Option<Self> {
        // W3C Trace Context, "traceparent Header Field Values": version 00 is
        // 00-<trace-id>-<parent-id>-<flags>, and an id of zeroes is invalid.
        let text = std::str::from_utf8(traceparent).ok()?;
        let mut parts = text.strip_prefix("00-")?.split('-');
        let trace_id = parts.next().filter(|id| is_hex(id, 32))?;
        let span_id = parts.next().filter(|id| is_hex(id, 16))?;
        let flags = parts.next().filter(|flags| is_hex(flags, 2))?;
        let is_zero = |id: &str| id.bytes().all(|digit| digit == b'0');
        if parts.next().is_some() || is_zero(trace_id) || is_zero(span_id) {
            return None;
        }
        Some(Self {
            trace_id,
            span_id,
            flags,
        })
    }
}

fn is_hex(text: &str, length: usize) -> bool {
    let is_digit = |digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    text.len() == length && text.bytes().all(is_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_valid_headers_are_parsed() {
        let parse = |text: &'static str| TraceContext::parse(text.as_bytes());
        assert_eq!(
            parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            Some(TraceContext {
                trace_id: "0af7651916cd43dd8448eb211c80319c",
                span_id: "b7ad6b7169203331",
                flags: "01",
            })
        );
        for invalid in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-00",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333g-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0\u{e9}",
        ] {
            assert_eq!(parse(invalid), None, "{invalid}");
        }
        assert_eq!(TraceContext::parse(b"00-\xff"), None);
    }
}
