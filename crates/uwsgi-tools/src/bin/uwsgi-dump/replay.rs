use std::io::{self, Write};

use http::HeaderName;
use http::header::DATE;
use uwsgi_http::Address;

use crate::capture::{self, Capture, Captured};
use crate::command::{Other, Replay};
use crate::comparison::differences;
use crate::exchange::{ExchangeError, exchange};
use crate::place::Place;
use crate::printer::Printer;
use crate::replayed::{Answered, Replayed};
use crate::reply_stream::Bodies;
use crate::trouble::Trouble;

/// Sends captured requests, one after another.
pub(crate) async fn run(command: Replay) -> Result<Outcome, Trouble> {
    let bodies = match command.compare {
        Some(Other::Saved) => Bodies::Keep,
        _ => Bodies::Count,
    };
    let mut ignored = command.ignore.clone();
    ignored.extend([DATE, HeaderName::from_static("x-request-id")]);
    let to = io::stdout().lock();
    let printer = Printer::new(to, command.output.format(), command.output.secrets());
    let paths = capture::paths(&command.files)?;
    let mut player = Player {
        command,
        ignored,
        printer,
        outcome: Outcome::default(),
    };
    for path in paths {
        player.play(Capture::open(&path, bodies)?).await?;
    }
    Ok(player.outcome)
}

/// What became of all requests.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) differ: bool,
    /// A request could not be read or sent, or had no complete reply.
    pub(crate) failed: bool,
}

struct Player<W> {
    command: Replay,
    ignored: Vec<HeaderName>,
    printer: Printer<W>,
    outcome: Outcome,
}

impl<W: Write> Player<W> {
    async fn play(&mut self, mut capture: Capture) -> Result<(), Trouble> {
        while let Some(next) = capture.next(Bodies::Count) {
            let captured = match next {
                Ok(captured) => captured,
                Err(error) => {
                    let place = place(&capture, error.offset());
                    self.fail(
                        &place,
                        format!("this and what follows is not sent: {error}"),
                    )?;
                    return Ok(());
                }
            };
            let place = place(&capture, captured.request.offset);
            if let Some(error) = &captured.error {
                self.fail(&place, format!("not sent: {error}"))?;
                return Ok(());
            }
            self.play_one(&place, &captured, &mut capture).await?;
        }
        Ok(())
    }

    async fn play_one(
        &mut self,
        place: &Place,
        captured: &Captured,
        capture: &mut Capture,
    ) -> Result<(), Trouble> {
        let mut answers = vec![self.ask(&self.command.to, captured, capture).await];
        match &self.command.compare {
            None => {}
            Some(Other::Server(address)) => {
                answers.push(self.ask(address, captured, capture).await);
            }
            Some(Other::Saved) => answers.push(saved(capture)),
        }
        let differences = match answers.as_slice() {
            [
                Answered {
                    reply: Ok(first), ..
                },
                Answered {
                    reply: Ok(second), ..
                },
            ] => Some(differences([first, second], &self.ignored)),
            _ => None,
        };
        self.outcome.failed |= answers.iter().any(|answered| !answered.is_complete());
        self.outcome.differ |= differences.as_ref().is_some_and(|them| !them.is_empty());
        let replayed = Replayed {
            place,
            request: &captured.request,
            answers,
            differences,
        };
        self.printer.replayed(&replayed)?;
        Ok(self.printer.flush()?)
    }

    async fn ask(&self, server: &Address, captured: &Captured, capture: &Capture) -> Answered {
        let request = &captured.request;
        let answer = match capture.body(request) {
            Ok(body) => exchange(server, request, body, self.command.timeout).await,
            Err(error) => Err(ExchangeError::Body(error)),
        };
        let (reply, times) = match answer {
            Ok(answer) => (Ok(answer.reply), Some(answer.times)),
            Err(error) => (Err(error.to_string()), None),
        };
        Answered {
            server: server.to_string(),
            reply,
            times,
        }
    }

    fn fail(&mut self, place: &Place, error: String) -> Result<(), Trouble> {
        self.outcome.failed = true;
        self.printer.error(place, error)?;
        Ok(self.printer.flush()?)
    }
}

fn saved(capture: &mut Capture) -> Answered {
    let (server, reply) = match capture.next_reply() {
        Ok(Some((file, reply))) => (file, Ok(reply)),
        Ok(None) => ("saved".to_owned(), Err("no reply was saved".to_owned())),
        Err(error) => ("saved".to_owned(), Err(error.to_string())),
    };
    Answered {
        server,
        reply,
        times: None,
    }
}

fn place(capture: &Capture, offset: u64) -> Place {
    Place::File {
        file: capture.name.clone(),
        offset,
    }
}
