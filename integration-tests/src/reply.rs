use bytes::Bytes;
use serde_json::Value;

/// More bytes than any test expects in one response, so that an endless one fails it.
pub(crate) const MAX_REPLY: usize = 256 << 20;

/// A complete HTTP response.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The reason phrase.
    pub reason: String,
    /// The header fields in their order; bytes that are not UTF-8 are replaced.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// Parses what scoter answers to a uwsgi packet: a status line, header fields, an empty line, the body.
    ///
    /// Stricter than nginx on purpose: the first byte that HTTP/1.1 does not allow in that place is an error,
    /// and so is a missing reason phrase.
    ///
    /// # Errors
    ///
    /// What is wrong, and where.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let head_len = bytes
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .ok_or_else(|| format!("no end of head in {:?}", String::from_utf8_lossy(bytes)))?;
        let head = &bytes[..head_len];
        if let Some(bad) = head
            .iter()
            .find(|&&byte| byte < b' ' && !b"\r\n\t".contains(&byte))
        {
            return Err(format!("byte {bad:#04x} in the head"));
        }
        let head = String::from_utf8_lossy(head);
        let mut lines = head.split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        let (code, reason) = status_line
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.split_once(' '))
            .ok_or_else(|| format!("status line {status_line:?}"))?;
        if code.len() != 3 || reason.is_empty() {
            return Err(format!("status line {status_line:?}"));
        }
        Ok(Self {
            status: code
                .parse()
                .map_err(|_| format!("status line {status_line:?}"))?,
            reason: reason.to_owned(),
            headers: lines.map(parse_field).collect::<Result<_, _>>()?,
            body: Bytes::copy_from_slice(&bytes[head_len + 4..]),
        })
    }

    /// Returns the value of a header field that must not be there twice, whatever its case.
    ///
    /// # Panics
    ///
    /// When it is there twice.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let values = self.all(name);
        assert!(values.len() < 2, "{name} is there twice: {values:?}");
        values.first().copied()
    }

    /// Returns every value of a header field, in order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// Returns the body as text, bytes that are not UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns the body as JSON.
    ///
    /// # Panics
    ///
    /// When it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        let Ok(value) = serde_json::from_slice(&self.body) else {
            panic!("no JSON: {self:?}");
        };
        value
    }
}

fn parse_field(line: &str) -> Result<(String, String), String> {
    let field = line.split_once(": ").filter(|(name, value)| {
        !name.is_empty() && !format!("{name}{value}").contains(['\r', '\n'])
    });
    let (name, value) = field.ok_or_else(|| format!("header line {line:?}"))?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_split_into_its_parts() {
        let reply = Reply::parse(b"HTTP/1.1 404 Not Found\r\nA: 1\r\na: 2\r\n\r\nbody\r\n\r\n")
            .expect("well-formed");
        assert_eq!((reply.status, reply.reason.as_str()), (404, "Not Found"));
        assert_eq!(reply.all("A"), ["1", "2"]);
        assert_eq!(reply.text(), "body\r\n\r\n");
    }

    #[test]
    fn what_http_does_not_allow_is_an_error() {
        for bytes in [
            &b""[..],
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.0 200 OK\r\n\r\n",
            b"HTTP/1.1 200\r\n\r\n",
            b"HTTP/1.1 200 \r\n\r\n",
            b"HTTP/1.1 20 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n: no name\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: 1\nB: 2\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: \x00\r\n\r\n",
        ] {
            assert!(
                Reply::parse(bytes).is_err(),
                "{}",
                String::from_utf8_lossy(bytes)
            );
        }
    }
}
