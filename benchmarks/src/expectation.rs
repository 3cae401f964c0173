use crate::fault::Fault;

/// What every reply has to be.
#[derive(Debug)]
pub(crate) struct Expectation {
    pub(crate) status: u16,
    pub(crate) size: Option<u64>,
    text: Option<Repeated>,
}

impl Expectation {
    /// Without `size`, the body is `text` once.
    pub(crate) fn new(status: u16, text: Option<&str>, size: Option<u64>) -> Self {
        let once = text.map(|text| text.len() as u64);
        Self {
            status,
            size: size.or(once),
            text: text
                .filter(|text| !text.is_empty())
                .map(|text| Repeated::new(text.as_bytes())),
        }
    }

    /// Compares a piece of a body that begins `offset` bytes into it.
    pub(crate) fn compare(&self, offset: u64, piece: &[u8]) -> Result<(), Fault> {
        let end = offset + piece.len() as u64;
        let fitting = match self.size {
            Some(size) if end > size => &piece[..size.saturating_sub(offset) as usize],
            _ => piece,
        };
        if let Some(text) = &self.text {
            text.compare(offset, fitting)?;
        }
        match self.size {
            Some(size) if end > size => Err(Fault::Larger {
                expected: size,
                surplus: excerpt(&piece[fitting.len()..]),
            }),
            _ => Ok(()),
        }
    }

    /// Compares the size of a body that is complete.
    pub(crate) fn compare_size(&self, received: u64) -> Result<(), Fault> {
        match self.size {
            Some(expected) if expected != received => Err(Fault::Smaller { expected, received }),
            _ => Ok(()),
        }
    }
}

/// A text over and over, so long that most pieces are compared at once.
#[derive(Debug)]
pub(crate) struct Repeated {
    bytes: Vec<u8>,
    period: usize,
}

impl Repeated {
    /// # Panics
    ///
    /// If `text` is empty.
    pub(crate) fn new(text: &[u8]) -> Self {
        assert!(!text.is_empty(), "nothing can be repeated");
        Self {
            bytes: text.repeat(2 + MAX_PIECE / text.len()),
            period: text.len(),
        }
    }

    /// Returns what stands `offset` bytes into the repetitions: `len` bytes,
    /// or as many as there are in one piece, but at least one.
    pub(crate) fn piece(&self, offset: u64, len: u64) -> &[u8] {
        let begin = (offset % self.period as u64) as usize;
        let len = usize::try_from(len).map_or(MAX_PIECE, |len| len.min(MAX_PIECE));
        &self.bytes[begin..begin + len]
    }

    fn compare(&self, mut offset: u64, mut piece: &[u8]) -> Result<(), Fault> {
        while !piece.is_empty() {
            let expected = self.piece(offset, piece.len() as u64);
            let (got, rest) = piece.split_at(expected.len());
            if got != expected {
                let differing = got.iter().zip(expected).take_while(|(a, b)| a == b).count();
                return Err(Fault::Body {
                    offset: offset + differing as u64,
                    expected: excerpt(&expected[differing..]),
                    got: excerpt(&piece[differing..]),
                });
            }
            offset += got.len() as u64;
            piece = rest;
        }
        Ok(())
    }
}

/// Returns the beginning of `bytes` as it can be shown in one line.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    const SHOWN: usize = 60;
    let shown = &bytes[..bytes.len().min(SHOWN)];
    let dots = if bytes.len() > SHOWN { "…" } else { "" };
    format!("\"{}{dots}\"", shown.escape_ascii())
}

const MAX_PIECE: usize = 256 * 1024;
