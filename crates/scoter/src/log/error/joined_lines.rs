//! Makes records of what an application prints in pieces.

use std::collections::TryReserveError;
use std::mem;

/// What a thread has printed to one stream and is no record yet: a line without its end, or a
/// traceback without its last line.
///
/// Each line is a record. Lines of a traceback belong together, and empty ones say nothing.
#[derive(Debug, Default)]
pub(super) struct JoinedLines {
    text: Vec<u8>,
    /// The beginning of the last line in it, which has no end yet.
    last_line: usize,
    /// Whether the lines before that are of a traceback.
    in_traceback: bool,
}

impl JoinedLines {
    /// Adds text, which may be as long as memory allows, and returns what is a record now, without
    /// its last line feed.
    ///
    /// # Errors
    ///
    /// If memory does not suffice, the text is lost.
    pub(super) fn push(&mut self, text: &[u8]) -> Result<Vec<Vec<u8>>, TryReserveError> {
        self.text.try_reserve(text.len())?;
        let mut unread = self.text.len();
        self.text.extend_from_slice(text);
        let mut records = Vec::new();
        let mut begin = 0;
        while let Some(at) = memchr::memchr(b'\n', &self.text[unread..]) {
            let end = unread + at;
            let line = trimmed(&self.text[self.last_line..end]);
            self.in_traceback = if self.in_traceback {
                continues_traceback(line)
            } else {
                begin = self.last_line;
                begins_traceback(line)
            };
            if !self.in_traceback {
                put(&mut records, &self.text[begin..end])?;
                begin = end + 1;
            }
            self.last_line = end + 1;
            unread = end + 1;
        }
        if self.text.len() - begin >= MAX_PENDING {
            put(&mut records, &self.text[begin..])?;
            begin = self.text.len();
            self.in_traceback = false;
        }
        self.text.drain(..begin);
        self.last_line = match self.in_traceback {
            true => self.last_line - begin,
            false => 0,
        };
        Ok(records)
    }

    /// Returns what there is, as a record.
    pub(super) fn finish(&mut self) -> Option<Vec<u8>> {
        let text = mem::take(self).text;
        let text = trimmed(&text);
        (!text.is_empty()).then(|| text.to_owned())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

fn put(records: &mut Vec<Vec<u8>>, text: &[u8]) -> Result<(), TryReserveError> {
    let text = trimmed(text);
    if text.is_empty() {
        return Ok(());
    }
    let mut record = Vec::new();
    record.try_reserve_exact(text.len())?;
    record.extend_from_slice(text);
    records.push(record);
    Ok(())
}

/// The text without line ends behind it.
fn trimmed(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., b'\n' | b'\r'] = text {
        text = rest;
    }
    text
}

/// CPython, `Lib/traceback.py`, `threading.excepthook` and `sys.unraisablehook`.
fn begins_traceback(line: &[u8]) -> bool {
    line == TRACEBACK
        || line.starts_with(b"Exception in thread ")
        || line.starts_with(b"Exception ignored in")
}

/// Whether more lines of a traceback follow this one: the last one is `ValueError: text`, with no
/// space before it.
fn continues_traceback(line: &[u8]) -> bool {
    line == TRACEBACK || line.is_empty() || line.starts_with(b" ") || line.starts_with(b"\t")
}

const TRACEBACK: &[u8] = b"Traceback (most recent call last):";

/// What has this length is a record without waiting for its end.
const MAX_PENDING: usize = 64 * 1_024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The records of texts that are printed one after the other, and at the end what is left.
    fn records<T: AsRef<[u8]>>(texts: &[T]) -> Vec<String> {
        let mut lines = JoinedLines::default();
        let mut records = Vec::new();
        for text in texts {
            records.extend(lines.push(text.as_ref()).unwrap());
        }
        records.extend(lines.finish());
        assert!(lines.is_empty());
        let text = |record| String::from_utf8(record).unwrap();
        records.into_iter().map(text).collect()
    }

    #[test]
    fn lines_are_records_however_they_are_printed() {
        for (texts, expected) in [
            (&["one\n"][..], &["one"][..]),
            (&["one\ntwo\n"], &["one", "two"]),
            (&["one", " ", "line", "\n"], &["one line"]),
            (&["one\ntw", "o\n"], &["one", "two"]),
            (&["no end"], &["no end"]),
            (&["one\n\n\r\ntwo\r\n"], &["one", "two"]),
            (&["", "\n"], &[]),
            (&["  indented\n"], &["  indented"]),
        ] {
            assert_eq!(records(texts), expected, "{texts:?}");
        }
    }

    #[test]
    fn traceback_is_one_record() {
        let traceback = "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n    \
                         g()\n    ^^^\nValueError: text";
        let in_thread = format!("Exception in thread Thread-1 (f):\n{traceback}");
        let in_group = "  + Exception Group Traceback (most recent call last):\n  | ...";
        for (text, expected) in [
            (format!("{traceback}\n"), vec![traceback]),
            (
                format!("before\n{traceback}\nafter\n"),
                vec!["before", traceback, "after"],
            ),
            (format!("{in_thread}\n"), vec![&*in_thread]),
            (
                format!("{traceback}\n\nDuring handling of the above:\n\n{traceback}\n"),
                vec![traceback, "During handling of the above:", traceback],
            ),
            (format!("{in_group}\n"), in_group.lines().collect()),
        ] {
            assert_eq!(records(&[&text]), expected);
            let pieces: Vec<_> = text.as_bytes().chunks(1).collect();
            assert_eq!(records(&pieces), expected);
            let lines: Vec<_> = text.split_inclusive('\n').collect();
            assert_eq!(records(&lines), expected);
        }
    }

    #[test]
    fn neither_a_line_nor_a_traceback_is_kept_for_ever() {
        let mut lines = JoinedLines::default();
        let long = vec![b'x'; MAX_PENDING];
        assert_eq!(lines.push(&long).unwrap(), [long]);
        assert!(lines.is_empty());
        let mut text = [TRACEBACK, b"\n"].concat();
        text.extend(b"  File\n".repeat(MAX_PENDING / 7));
        let [record] = &lines.push(&text).unwrap()[..] else {
            panic!("one record");
        };
        assert!(record.ends_with(b"  File"));
        assert_eq!(lines.push(b"behind\n").unwrap(), [b"behind"]);
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            text in "(Traceback \\(most recent call last\\):\n|  File\n|E: x\n|word|\r?\n){0,12}",
            size in 1..9_usize,
        ) {
            let pieces: Vec<_> = text.as_bytes().chunks(size).collect();
            let whole = records(&[&text]);
            prop_assert_eq!(records(&pieces), &whole[..]);
            let kept: usize = whole.iter().map(String::len).sum();
            let said = text.lines().map(str::len).sum::<usize>();
            prop_assert!(kept >= said, "{}: {:?}", text, whole);
        }
    }
}
