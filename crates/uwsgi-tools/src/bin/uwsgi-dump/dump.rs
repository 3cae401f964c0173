use std::io;

use crate::capture::{self, Capture, CaptureError};
use crate::command::Dump;
use crate::place::Place;
use crate::printer::{Body, Format, Printer};
use crate::reply::Ending;
use crate::reply_stream::Bodies;
use crate::trouble::Trouble;

/// Prints captures. What cannot be read is an error, but not the end: other files follow.
pub(crate) fn run(command: &Dump) -> Result<Outcome, Trouble> {
    let bodies = match command.bodies {
        true => Bodies::Keep,
        false => Bodies::Count,
    };
    let paths = capture::paths(&command.files)?;
    let format = command.output.format();
    let to = io::BufWriter::new(io::stdout().lock());
    let mut dumper = Dumper {
        printer: Printer::new(to, format, command.output.secrets()),
        format,
        bodies,
        outcome: Outcome::AllRead,
    };
    for path in paths {
        dumper.dump(Capture::open(&path, bodies)?)?;
    }
    dumper.printer.flush()?;
    Ok(dumper.outcome)
}

/// Whether everything could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    AllRead,
    SomeNotRead,
}

struct Dumper<W> {
    printer: Printer<W>,
    format: Format,
    bodies: Bodies,
    outcome: Outcome,
}

impl<W: io::Write> Dumper<W> {
    fn dump(&mut self, mut capture: Capture) -> Result<(), Trouble> {
        while let Some(next) = capture.next(self.bodies) {
            match next {
                Ok(captured) => {
                    let place = Place::File {
                        file: capture.name.clone(),
                        offset: captured.request.offset,
                    };
                    let body = match captured.body_cut_short() {
                        Some(received) if self.bodies == Bodies::Count => Body::CutShort(received),
                        _ => self.body(&captured.body),
                    };
                    self.printer.request(&place, &captured.request, body)?;
                    if let Some(error) = captured.error {
                        self.error(&capture, &error.into())?;
                    }
                }
                Err(error) => {
                    self.error(&capture, &error)?;
                    capture.expect_refusal();
                }
            }
            self.reply(&mut capture)?;
        }
        // There is none, unless a server sent more than it was asked for.
        self.reply(&mut capture)
    }

    fn reply(&mut self, capture: &mut Capture) -> Result<(), Trouble> {
        let reply = match capture.next_reply() {
            Ok(reply) => reply,
            Err(error) => return self.error(capture, &error.into()),
        };
        let Some((file, reply)) = reply else {
            return Ok(());
        };
        if reply.ending != Ending::Complete {
            self.outcome = Outcome::SomeNotRead;
        }
        let place = Place::File {
            file,
            offset: reply.offset,
        };
        let body = self.body(&reply.body);
        Ok(self.printer.reply(&place, &reply, body, None)?)
    }

    fn body<'a>(&self, bytes: &'a [u8]) -> Body<'a> {
        match self.bodies {
            Bodies::Keep => Body::Kept(bytes),
            Bodies::Count => Body::Counted,
        }
    }

    #[expect(clippy::print_stderr, reason = "errors are not part of the output")]
    fn error(&mut self, capture: &Capture, error: &CaptureError) -> Result<(), Trouble> {
        self.outcome = Outcome::SomeNotRead;
        if self.format == Format::Text {
            // In its place among what was read, if both are one stream.
            self.printer.flush()?;
            eprintln!("uwsgi-dump: {}: {error}", capture.name);
            return Ok(());
        }
        let place = Place::File {
            file: capture.name.clone(),
            offset: error.offset(),
        };
        match error {
            CaptureError::Stream(error) => self.printer.stream_error(&place, error)?,
            CaptureError::Io(error) => self.printer.error(&place, error.to_string())?,
        }
        Ok(())
    }
}
