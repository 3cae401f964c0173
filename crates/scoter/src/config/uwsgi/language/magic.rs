//! Magic variables: `%d` in a file, and the like.
//!
//! uWSGI replaces them in the text of a file before it looks at its lines. A percent sign and any byte that
//! is no variable vanish; if the byte is the end of the line, the next line becomes part of this one.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::budget::{Budget, Exhausted};
use super::system::{Host, System};

/// The release of uWSGI that is read as.
const VERSION: &str = "2.0.31";

/// The values of all variables, by the byte after the percent sign.
pub(super) struct MagicTable {
    values: Vec<Vec<u8>>,
    directory: PathBuf,
    /// Whether there was a file that the upper-case variables describe.
    has_first: bool,
}

/// Whether a file is the one that the upper-case variables describe, if there is none yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rank {
    First,
    /// An argument without option, `include` or `inherit`.
    Included,
}

/// The text of a file, in which the variables are replaced.
pub(super) struct Text {
    pub(super) bytes: Vec<u8>,
    /// For each line of it, the number of the file's line with which it begins.
    pub(super) lines: Vec<usize>,
    /// The bytes that vanished together with a percent sign, with the number of their line.
    pub(super) dropped: Vec<(usize, u8)>,
}

impl MagicTable {
    pub(super) fn new(host: &Host) -> Self {
        let mut values = vec![Vec::new(); 256];
        let mut set = |name: u8, value: &[u8]| values[usize::from(name)] = value.to_vec();
        set(b'%', b"%");
        set(b'(', b"%(");
        set(b'[', b"\x1b");
        set(b'v', host.directory.as_os_str().as_bytes());
        set(b'h', host.name.as_bytes());
        set(b't', (host.started / 1_000_000).to_string().as_bytes());
        set(b'T', host.started.to_string().as_bytes());
        set(b'V', VERSION.as_bytes());
        set(b'k', host.processors.to_string().as_bytes());
        set(b'u', host.user_id.to_string().as_bytes());
        set(b'U', host.user.as_bytes());
        set(b'g', host.group_id.to_string().as_bytes());
        set(b'G', host.group.as_bytes());
        Self {
            values,
            directory: host.directory.clone(),
            has_first: false,
        }
    }

    /// Makes them describe a file, whose name may end in `:SECTION`.
    ///
    /// # Errors
    ///
    /// If there is no such file.
    pub(super) fn describe(
        &mut self,
        name: &str,
        rank: Rank,
        system: &dyn System,
    ) -> io::Result<()> {
        let (file, section) = name.rsplit_once(':').unwrap_or((name, ""));
        // A section of the file before: what describes that one remains.
        if !name.starts_with(':') || !file.is_empty() {
            self.describe_path(Path::new(file), system)?;
        }
        self.set(b'o', file.as_bytes());
        self.set(b'x', section.as_bytes());
        if rank == Rank::First && !self.has_first {
            self.has_first = true;
            for name in b"odspcenxij" {
                self.values[usize::from(name.to_ascii_uppercase())] =
                    self.values[usize::from(*name)].clone();
            }
        }
        Ok(())
    }

    fn describe_path(&mut self, path: &Path, system: &dyn System) -> io::Result<()> {
        let entry = system.entry(path);
        // A link is described by where it is, not by where it leads to.
        let full = match entry {
            Some(entry) if entry.is_link && path.is_absolute() => path.to_owned(),
            Some(entry) if entry.is_link => {
                let mut full = self.directory.as_os_str().to_owned();
                full.push("/");
                full.push(path);
                full.into()
            }
            _ => system.real_path(path)?,
        };
        let inode = system.entry(&full).map(|entry| entry.inode);
        let full = full.as_os_str().as_bytes();
        let slash = full.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        let (directory, file) = (&full[..slash], &full[(slash + 1).min(full.len())..]);
        let dot = file.iter().rposition(|byte| *byte == b'.');
        self.set(b'p', full);
        self.set(b'j', hash(full).as_bytes());
        self.set(b's', file);
        self.set(b'd', &full[..(slash + 1).min(full.len())]);
        self.set(b'e', dot.map_or(&[][..], |dot| &file[dot + 1..]));
        self.set(b'n', &file[..dot.unwrap_or(file.len())]);
        let last = directory.iter().rposition(|byte| *byte == b'/');
        self.set(b'c', last.map_or(&[][..], |last| &directory[last + 1..]));
        // uWSGI keeps it in an int.
        if let Some(inode) = inode {
            self.set(b'i', (inode as i32).to_string().as_bytes());
        }
        let mut parts = directory.split(|byte| *byte == b'/');
        let mut parts = parts.by_ref().filter(|part| !part.is_empty());
        for name in b'0'..=b'9' {
            self.set(name, parts.next().unwrap_or_default());
        }
        Ok(())
    }

    fn set(&mut self, name: u8, value: &[u8]) {
        self.values[usize::from(name)] = value.to_vec();
    }

    /// Replaces the variables in a file's content.
    pub(super) fn replace(&self, source: &[u8], budget: &mut Budget) -> Result<Text, Exhausted> {
        let mut text = Text {
            bytes: Vec::with_capacity(source.len()),
            lines: vec![1],
            dropped: Vec::new(),
        };
        let mut line = 1;
        let mut source = source.iter().copied();
        while let Some(byte) = source.next() {
            if byte != b'%' {
                line += usize::from(byte == b'\n');
                text.push(&[byte], line);
                continue;
            }
            // At the end of the file there is the NUL that ends it.
            let name = source.next().unwrap_or(0);
            let value = &self.values[usize::from(name)];
            if value.is_empty() && !is_variable(name) {
                text.dropped.push((line, name));
            }
            budget.text(value.len())?;
            line += usize::from(name == b'\n');
            text.push(value, line);
        }
        budget.text(text.bytes.len())?;
        Ok(text)
    }
}

impl Text {
    fn push(&mut self, bytes: &[u8], line: usize) {
        self.bytes.extend_from_slice(bytes);
        let ends = bytes.iter().filter(|byte| **byte == b'\n').count();
        self.lines.extend(std::iter::repeat_n(line, ends));
    }

    /// The file's line with which a line begins, both counted from 1.
    pub(super) fn line(&self, line: usize) -> usize {
        let last = self.lines.last().copied().unwrap_or(1);
        self.lines.get(line - 1).copied().unwrap_or(last)
    }
}

/// Whether a variable has this name, and be it empty.
fn is_variable(name: u8) -> bool {
    name.is_ascii_digit() || b"ODSPCENXIJodspcenxijbvhtTVkuUgG%([".contains(&name)
}

/// The djb33x hash, its bytes from the lowest to the highest, in hexadecimal.
fn hash(text: &[u8]) -> String {
    let hash = text.iter().fold(5381_u32, |hash, byte| {
        // uWSGI's char has a sign.
        (hash << 5).wrapping_add(hash) ^ (*byte as i8 as u32)
    });
    hash.to_le_bytes()
        .map(|byte| format!("{byte:02X}"))
        .concat()
}
