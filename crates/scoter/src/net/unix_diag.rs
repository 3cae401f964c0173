//! What the kernel says about a Unix socket, over netlink (sock_diag(7)).

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

use rustix::fs::fstat;
use rustix::io::Errno;
use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};

/// Returns the two numbers of UNIX_DIAG_RQLEN: for a listening socket the connections that wait to
/// be accepted, and its backlog.
///
/// # Errors
///
/// Those of a kernel or a container that does not offer it, and ENOENT for a socket of another
/// network namespace.
pub(super) fn queue_lengths(socket: impl AsFd) -> io::Result<(u32, u32)> {
    let inode = u32::try_from(fstat(socket)?.st_ino).map_err(io::Error::other)?;
    let kernel = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        Some(SOCK_DIAG),
    )?;
    let to_kernel = SocketAddrNetlink::new(0, 0);
    sendto(&kernel, &request(inode), SendFlags::empty(), &to_kernel)?;
    // The kernel answers before sendto() returns (`netlink_unicast_kernel`).
    let mut buffer = [MaybeUninit::uninit(); MAX_ANSWER];
    let ((answer, _), _) = recv(&kernel, &mut buffer[..], RecvFlags::DONTWAIT)?;
    lengths_of(answer)
}

/// A message with a `struct unix_diag_req` that asks for one socket by its inode.
fn request(inode: u32) -> Vec<u8> {
    let mut message = Vec::with_capacity(HEADER + REQUEST);
    // struct nlmsghdr: length, type, flags, sequence number, port.
    message.extend(((HEADER + REQUEST) as u32).to_ne_bytes());
    message.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    message.extend(NLM_F_REQUEST.to_ne_bytes());
    message.extend([0; 8]);
    // Family, protocol, padding, states: those of one socket do not matter.
    message.extend([AddressFamily::UNIX.as_raw() as u8, 0, 0, 0]);
    message.extend(u32::MAX.to_ne_bytes());
    message.extend(inode.to_ne_bytes());
    message.extend(UDIAG_SHOW_RQLEN.to_ne_bytes());
    // INET_DIAG_NOCOOKIE, twice: the inode is enough.
    message.extend([u8::MAX; 8]);
    message
}

/// Reads the kernel's answer: an error, or a `struct unix_diag_msg` with attributes.
fn lengths_of(answer: &[u8]) -> io::Result<(u32, u32)> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let kind = answer.get(4..6).ok_or_else(invalid)?;
    if kind == NLMSG_ERROR.to_ne_bytes() {
        let code = number_at(answer, HEADER).ok_or_else(invalid)?;
        let code = i32::from_ne_bytes(code.to_ne_bytes());
        let errno = code.checked_neg().ok_or_else(invalid)?;
        return Err(Errno::from_raw_os_error(errno).into());
    }
    let mut attributes = answer.get(HEADER + ANSWER..).ok_or_else(invalid)?;
    // struct nlattr: length with these four bytes, type; padded to four bytes.
    while let Some(&[low, high, kind_low, kind_high]) = attributes.first_chunk() {
        let length = usize::from(u16::from_ne_bytes([low, high]));
        let kind = u16::from_ne_bytes([kind_low, kind_high]);
        let value = attributes.get(ATTRIBUTE..length).ok_or_else(invalid)?;
        if kind == UNIX_DIAG_RQLEN {
            let numbers = number_at(value, 0).zip(number_at(value, 4));
            return numbers.ok_or_else(invalid);
        }
        let next = length.next_multiple_of(4).min(attributes.len());
        attributes = &attributes[next..];
    }
    Err(invalid())
}

fn number_at(bytes: &[u8], at: usize) -> Option<u32> {
    let number = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*number))
}

/// Bytes of the structures.
const HEADER: usize = 16;
const REQUEST: usize = 24;
const ANSWER: usize = 16;
const ATTRIBUTE: usize = 4;

/// An answer has a header, a `struct unix_diag_msg`, and two short attributes.
const MAX_ANSWER: usize = 1_024;

/// From linux/netlink.h, linux/sock_diag.h and linux/unix_diag.h.
const NLM_F_REQUEST: u16 = 1;
const NLMSG_ERROR: u16 = 2;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const UNIX_DIAG_RQLEN: u16 = 4;
const UDIAG_SHOW_RQLEN: u32 = 1 << UNIX_DIAG_RQLEN;

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer with these attributes, each of a type and a value.
    fn answer(attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER + ANSWER];
        bytes[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        for (kind, value) in attributes {
            let length = u16::try_from(ATTRIBUTE + value.len()).unwrap();
            bytes.extend(length.to_ne_bytes());
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(*value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }

    fn lengths(waiting: u32, backlog: u32) -> [u8; 8] {
        let mut value = [0; 8];
        value[..4].copy_from_slice(&waiting.to_ne_bytes());
        value[4..].copy_from_slice(&backlog.to_ne_bytes());
        value
    }

    #[test]
    fn lengths_are_found_behind_any_other_attribute() {
        let lengths = lengths(3, 16);
        for before in [&[][..], &[(5, &[0][..])], &[(1, b"12345"), (5, &[0])]] {
            let attributes = [before, &[(UNIX_DIAG_RQLEN, &lengths)]].concat();
            let found = lengths_of(&answer(&attributes)).unwrap();
            assert_eq!(found, (3, 16), "{before:?}");
        }
    }

    #[test]
    fn error_of_the_kernel_is_returned() {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&NLMSG_ERROR.to_ne_bytes());
        bytes.extend((-Errno::NOENT.raw_os_error()).to_ne_bytes());
        let error = lengths_of(&bytes).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn no_answer_makes_it_panic() {
        let lengths = lengths(3, 16);
        let whole = answer(&[(5, &[0]), (UNIX_DIAG_RQLEN, &lengths)]);
        for end in 0..whole.len() {
            assert!(lengths_of(&whole[..end]).is_err(), "{end}");
        }
        for at in 0..whole.len() {
            for value in [0, 1, 3, 255] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                let _ = lengths_of(&bytes);
            }
        }
    }
}
