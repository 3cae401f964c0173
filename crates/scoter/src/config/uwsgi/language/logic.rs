//! Blocks: `if-…` to `endif`, and `for…` to `endfor`.
//!
//! uWSGI tests the condition for each option in the block, and repeats each option of a loop by itself:
//! `for = a b`, `x = %(_)`, `y = %(_)` is `x = a`, `x = b`, `y = a`, `y = b`. There are no blocks in blocks,
//! and there is no `else`.

use crate::config::uwsgi::directive::Place;

/// A block that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    /// The option that began it.
    pub(super) option: String,
    pub(super) place: Place,
    pub(super) test: Test,
    /// What is tested, or gone through.
    pub(super) argument: String,
}

/// How often the options of a block are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Test {
    If(Condition),
    IfNot(Condition),
    Loop(Loop),
}

/// What may be so, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// An option was set before, `NAME=VALUE`: to this value.
    Option,
    /// A variable is there, `NAME=VALUE`: with this value.
    Variable,
    Reload,
    HostName,
    /// A path that may be read.
    Exists,
    File,
    Directory,
    Plugin,
}

/// What is gone through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loop {
    Words,
    Paths,
    Numbers,
    Lines,
}

/// What `%(_)` means in a block.
pub(super) const ITEM: &str = "%(_)";

/// Whether an option ends a block, of whichever kind.
pub(super) fn ends(name: &str) -> bool {
    matches!(name, "end" | "endfor" | "endif" | "end-for" | "end-if")
}

/// Splits what may be `NAME=VALUE`.
pub(super) fn name_and_value(argument: &str) -> (&str, Option<&str>) {
    match argument.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (argument, None),
    }
}

/// Lines as uWSGI reads them: into a buffer of 1024 bytes, whose last is a NUL.
pub(super) fn lines(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    const MOST: usize = 1023;
    let lines = content.split_inclusive(|byte| *byte == b'\n');
    let pieces = lines.flat_map(|line| line.chunks(MOST));
    pieces.map(|mut piece| {
        while let [rest @ .., b'\r' | b'\n'] = piece {
            piece = rest;
        }
        piece
    })
}
