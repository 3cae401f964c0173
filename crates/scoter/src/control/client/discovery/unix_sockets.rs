//! The table of Unix sockets in `/proc/net/unix` (proc_net_unix(5)).

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The paths of listening sockets that are named like a control socket, each once.
///
/// Others are not connected to: that alone starts a service whose socket its manager holds.
pub(super) fn control_sockets(table: &[u8]) -> BTreeSet<PathBuf> {
    let lines = table.split(|byte| *byte == b'\n').skip(1);
    let paths = lines.filter_map(listening_path);
    let paths = paths.filter(|path| path.is_absolute() && is_named_like_one(path));
    paths.map(Path::to_owned).collect()
}

/// The path of a line, if the socket listens and has one. A path may contain spaces, and even line
/// breaks: the rest of it is then no line.
fn listening_path(line: &[u8]) -> Option<&Path> {
    let mut rest = line;
    let mut fields = [&[][..]; FIELDS];
    for field in &mut fields {
        rest = rest.trim_ascii_start();
        let end = rest.iter().position(|byte| *byte == b' ')?;
        (*field, rest) = rest.split_at(end);
    }
    let [_, _, _, flags, kind, _, _] = fields;
    let flags = u32::from_str_radix(std::str::from_utf8(flags).ok()?, 16).ok()?;
    let listens = flags & ACCEPTS != 0 && kind == STREAM;
    let path = rest.strip_prefix(b" ").filter(|path| !path.is_empty());
    path.filter(|_| listens)
        .map(|path| Path::new(OsStr::from_bytes(path)))
}

/// `--control auto` makes `….control`; `scoter.socket`, the unit, needs a path of one's own, and its
/// example is `/run/scoter/control`.
fn is_named_like_one(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_bytes();
    name == b"control" || name.ends_with(b".control")
}

/// Fields before the path: number, references, protocol, flags, type, state, inode.
const FIELDS: usize = 7;

/// `__SO_ACCEPTCON` among the flags.
const ACCEPTS: u32 = 0x1_0000;

/// `SOCK_STREAM`.
const STREAM: &[u8] = b"0001";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_sockets_with_the_name_of_a_control_socket_are_found() {
        let table = b"\
Num       RefCount Protocol Flags    Type St Inode Path
00000000f42d22ef: 00000003 00000000 00000000 0001 03 283030522
0000000000000000: 00000002 00000000 00010000 0001 01 26155 /run/shop/scoter.sock
0000000000000000: 00000002 00000000 00010000 0001 01 26156 /run/shop/scoter.sock.control
0000000000000000: 00000003 00000000 00000000 0001 03 26157 /run/accepted/scoter.sock.control
0000000000000000: 00000002 00000000 00010000 0005 01 26158 /run/udev/control
0000000000000000: 00000002 00000000 00010000 0001 01   159 /run/scoter/control
0000000000000000: 00000002 00000000 00010000 0001 01 26160 /run/my site/a.control
0000000000000000: 00000002 00000000 00010000 0001 01 26161 @abstract.control
0000000000000000: 00000002 00000000 00010000 0001 01 26162 relative.control
0000000000000000: 00000002 00000000 00010000 0001 01 26163 /run/shop/scoter.sock.control
0000000000000000: 00000002 00000000 00010000 0001 01 26164 /run/uncontrol
0000000000000000: 00000002 00000000 zz 0001 01 26165 /run/wrong.control
0000000000000000: 00000002 00000000 00010000 0001 01 26166 /run/\xff.control
short
";
        let found: Vec<_> = control_sockets(table).into_iter().collect();
        let expected: [&[u8]; 4] = [
            b"/run/my site/a.control",
            b"/run/scoter/control",
            b"/run/shop/scoter.sock.control",
            b"/run/\xff.control",
        ];
        assert_eq!(
            found,
            expected.map(|path| Path::new(OsStr::from_bytes(path)))
        );
        assert!(control_sockets(b"").is_empty());
    }

    #[test]
    fn this_machine_lists_sockets_like_that() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("here.control");
        let before = std::fs::read("/proc/net/unix").unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let after = std::fs::read("/proc/net/unix").unwrap();
        assert!(!control_sockets(&before).contains(&path));
        assert!(control_sockets(&after).contains(&path));
    }
}
