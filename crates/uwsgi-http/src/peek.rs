use std::io;
use std::mem::MaybeUninit;

use socket2::SockRef;

/// Asks the system whether something has arrived, without taking it: tokio knows only of
/// what had arrived when it last asked. 0 is the end.
pub(crate) fn peek(socket: SockRef<'_>) -> io::Result<usize> {
    let mut byte = [MaybeUninit::uninit()];
    loop {
        match socket.peek(&mut byte) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            peeked => return peeked,
        }
    }
}
