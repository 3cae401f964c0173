use std::io::{self, Write};

use serde::Serialize;
use uwsgi_tools::Escaped;

use crate::comparison::Difference;
use crate::json::{Line, ReplyFields, Value, reply_fields};
use crate::place::Place;
use crate::printer::{Body, Times};
use crate::reply::{Ending, Reply};
use crate::request::Request;
use crate::secrets::Secrets;
use crate::text::summary;

/// What became of a request that was sent again.
#[derive(Debug)]
pub(crate) struct Replayed<'a> {
    pub(crate) place: &'a Place,
    pub(crate) request: &'a Request,
    /// One or two.
    pub(crate) answers: Vec<Answered>,
    /// `None` if there are not two replies to be compared.
    pub(crate) differences: Option<Vec<Difference>>,
}

/// What a server has answered, or what was saved of it.
#[derive(Debug)]
pub(crate) struct Answered {
    /// Its address, or the file.
    pub(crate) server: String,
    pub(crate) reply: Result<Reply, String>,
    pub(crate) times: Option<Times>,
}

impl Answered {
    pub(crate) fn is_complete(&self) -> bool {
        let reply = self.reply.as_ref();
        reply.is_ok_and(|reply| reply.ending == Ending::Complete)
    }
}

impl Replayed<'_> {
    /// Writes a line for the request, and below it one for each answer and each difference.
    pub(crate) fn text(&self, to: &mut impl Write, secrets: Secrets) -> io::Result<()> {
        write!(to, "{}: {}", self.place, self.request.modifier())?;
        if let Some((method, target)) = self.request.line() {
            write!(to, " {} {}", Escaped(method), Escaped(target))?;
        }
        match self.differences.as_deref() {
            None => writeln!(to)?,
            Some([]) => writeln!(to, ": same")?,
            Some(_) => writeln!(to, ": different")?,
        }
        for answered in &self.answers {
            write!(to, "    {}: ", answered.server)?;
            match &answered.reply {
                Ok(reply) => summary(to, reply, answered.times)?,
                Err(error) => writeln!(to, "error: {error}")?,
            }
        }
        for difference in self.differences.iter().flatten() {
            difference_text(to, difference, secrets)?;
        }
        Ok(())
    }

    /// Makes the line of JSON.
    pub(crate) fn json(&self, secrets: Secrets) -> Line<'_, Fields<'_>> {
        let answers = self.answers.iter().map(|answered| match &answered.reply {
            Ok(reply) => AnswerFields::Reply {
                server: &answered.server,
                reply: Box::new(reply_fields(reply, Body::Counted, answered.times, secrets)),
            },
            Err(error) => AnswerFields::Error {
                server: &answered.server,
                error,
            },
        });
        let differences = self.differences.as_deref();
        let line = self.request.line();
        Line {
            event: "replay",
            place: self.place,
            what: Fields {
                method: line.map(|(method, _)| method.into()),
                target: line.map(|(_, target)| target.into()),
                answers: answers.collect(),
                differences: differences.map(|differences| {
                    let them = differences.iter();
                    them.map(|it| DifferenceFields::of(it, secrets)).collect()
                }),
            },
        }
    }
}

fn difference_text(
    to: &mut impl Write,
    difference: &Difference,
    secrets: Secrets,
) -> io::Result<()> {
    match difference {
        Difference::Status(statuses) => {
            let [first, second] = statuses.map(|status| match status {
                Some(status) => status.as_str().to_owned(),
                None => "none".to_owned(),
            });
            writeln!(to, "    status: {first} and {second}")
        }
        Difference::Header { name, values } => {
            let [first, second] = [&values[0], &values[1]].map(|values| {
                let shown = values.iter().map(|value| {
                    let value = secrets.header(name.as_str().as_bytes(), value);
                    format!("\"{value}\"")
                });
                match values.len() {
                    0 => "none".to_owned(),
                    _ => shown.collect::<Vec<_>>().join(", "),
                }
            });
            writeln!(to, "    header {name}: {first} and {second}")
        }
        Difference::Body { offset, lens } => {
            let [first, second] = lens;
            writeln!(
                to,
                "    body: different from byte {offset}, {first} and {second} bytes"
            )
        }
        Difference::Ending([first, second]) => writeln!(to, "    end: {first} and {second}"),
    }
}

#[derive(Serialize)]
pub(crate) struct Fields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<Value<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Value<'a>>,
    answers: Vec<AnswerFields<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    differences: Option<Vec<DifferenceFields<'a>>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum AnswerFields<'a> {
    Reply {
        server: &'a str,
        #[serde(flatten)]
        reply: Box<ReplyFields<'a>>,
    },
    Error {
        server: &'a str,
        error: &'a str,
    },
}

#[derive(Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
enum DifferenceFields<'a> {
    Status {
        values: [Option<u16>; 2],
    },
    Header {
        name: &'a str,
        values: [Vec<Value<'a>>; 2],
    },
    Body {
        offset: usize,
        bytes: [usize; 2],
    },
    End {
        values: [String; 2],
    },
}

impl<'a> DifferenceFields<'a> {
    fn of(difference: &'a Difference, secrets: Secrets) -> Self {
        match difference {
            Difference::Status(statuses) => Self::Status {
                values: statuses.map(|status| status.map(|status| status.as_u16())),
            },
            Difference::Header { name, values } => Self::Header {
                name: name.as_str(),
                values: [&values[0], &values[1]].map(|values| {
                    let shown = values
                        .iter()
                        .map(|value| secrets.header(name.as_str().as_bytes(), value).into());
                    shown.collect()
                }),
            },
            Difference::Body { offset, lens } => Self::Body {
                offset: *offset,
                bytes: *lens,
            },
            Difference::Ending(endings) => Self::End {
                values: [endings[0].to_string(), endings[1].to_string()],
            },
        }
    }
}
