//! An event as text: the first line has the beginning of the message and every field that fits
//! on a line, so that `grep` finds them together. Further lines follow.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;

/// Collects an event's message and fields as text.
#[derive(Debug, Default)]
pub(super) struct EventText {
    message: String,
    /// Fields that fit on one line.
    fields: String,
    /// Fields of several lines, such as tracebacks.
    long_fields: Vec<String>,
}

impl EventText {
    pub(super) fn of(fields: impl RecordFields) -> Self {
        let mut this = Self::default();
        fields.record(&mut this);
        this
    }
}

impl Visit for EventText {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let name = field.name();
        if name == "message" {
            self.message = format!("{value:?}");
            return;
        }
        let name = name.strip_prefix("r#").unwrap_or(name);
        let text = format!("{name}={value:?}");
        if text.contains('\n') {
            self.long_fields.push(text);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(self.fields, " {text}");
        }
    }
}

impl fmt::Display for EventText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, rest) = match self.message.split_once('\n') {
            Some((first, rest)) => (first, Some(rest)),
            None => (&*self.message, None),
        };
        write!(f, "{first}{}", self.fields)?;
        let mut separator = ' ';
        if let Some(rest) = rest {
            write!(f, "\n{rest}")?;
            separator = '\n';
        }
        for field in &self.long_fields {
            write!(f, "{separator}{field}")?;
            separator = '\n';
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::{Event, Subscriber, error};
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

    use super::*;

    struct Capture(Arc<Mutex<String>>);

    impl<S: Subscriber> Layer<S> for Capture {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            *self.0.lock().unwrap() = EventText::of(event).to_string();
        }
    }

    fn text_of(log: impl FnOnce()) -> String {
        let text = Arc::default();
        let subscriber = tracing_subscriber::registry().with(Capture(Arc::clone(&text)));
        tracing::subscriber::with_default(subscriber, log);
        text.lock().unwrap().clone()
    }

    #[test]
    fn single_line_fields_are_on_the_first_line() {
        let problem = "app could not be imported\nTraceback\n  File\nNameError: x\nhint: y";
        let traceback = "\nTraceback\nNameError: x";
        for (text, expected) in [
            (
                text_of(|| error!(worker = 1, reason = "HUP \"x\"\n", "a worker left")),
                "a worker left worker=1 reason=\"HUP \\\"x\\\"\\n\"",
            ),
            (
                text_of(|| error!(generation = 2, "reload failed: {problem}")),
                "reload failed: app could not be imported generation=2\nTraceback\n  File\n\
                 NameError: x\nhint: y",
            ),
            (
                text_of(|| error!(%traceback, r#in = "call", "raised")),
                "raised in=\"call\" traceback=\nTraceback\nNameError: x",
            ),
            (
                text_of(|| error!(%traceback, id = 1, "failed:\nfirst")),
                "failed: id=1\nfirst\ntraceback=\nTraceback\nNameError: x",
            ),
        ] {
            assert_eq!(text, expected);
        }
    }
}
