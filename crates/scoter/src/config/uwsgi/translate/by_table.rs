//! Everything that has no code of its own: as the table says.

use std::ffi::OsString;

use super::draft::{Draft, is_off};
use super::read::{Number, is_on};
use crate::config::directive::Directive;
use crate::config::opt::Arity;
use crate::config::table::TABLE;
use crate::config::uwsgi::options::{Conversion, Fate, find};
use crate::config::uwsgi::translation::Kind;

pub(super) fn translate(draft: &mut Draft<'_>) {
    while let Some(directive) = draft.next() {
        let Some((_, family)) = find(&directive.key) else {
            continue;
        };
        match family.fate {
            Fate::Mapped {
                conversion: Conversion::ByCode,
                difference,
                ..
            } => draft.note(Kind::Mapped, &[directive], difference),
            Fate::Mapped { to, conversion, .. } => {
                let later = draft.take(&directive.key);
                let all: Vec<_> = [directive].into_iter().chain(later).collect();
                map(draft, to, conversion, &all);
            }
            Fate::Read(_) => {}
            Fate::NothingToDo(reason) => draft.nothing_to_do(&[directive], reason),
            Fate::Elsewhere(..) | Fate::Gone(_) if is_off(directive) => {
                draft.nothing_to_do(&[directive], "it is off");
            }
            Fate::Elsewhere(_, advice) => draft.elsewhere(&[directive], advice, None),
            Fate::Gone(advice) => draft.lost(&[directive], advice),
        }
    }
}

fn map<'a>(
    draft: &mut Draft<'a>,
    to: &[&str],
    conversion: Conversion,
    directives: &[&'a Directive],
) {
    let opt = to
        .first()
        .and_then(|name| TABLE.iter().find(|opt| opt.name == *name));
    let Some(opt) = opt else {
        debug_assert!(false, "{to:?} is in the table");
        return;
    };
    if matches!(opt.arity, Arity::Many) {
        let texts = directives
            .iter()
            .filter_map(|it| text(draft, opt.arity, conversion, it));
        let texts: Vec<OsString> = texts.collect();
        draft.set_all(opt.name, texts, directives);
        return;
    }
    let Some(last) = draft.last_of(directives) else {
        return;
    };
    if let Some(text) = text(draft, opt.arity, conversion, last) {
        draft.set(opt.name, text, &[last]);
    }
}

/// The value in our words. `None` if there is nothing to set.
fn text(
    draft: &mut Draft<'_>,
    arity: Arity,
    conversion: Conversion,
    directive: &Directive,
) -> Option<OsString> {
    let written = directive.value.clone().unwrap_or_default();
    let unit = match conversion {
        Conversion::Text | Conversion::Name | Conversion::Mode | Conversion::ByCode => {
            return Some(written.into());
        }
        Conversion::Path => return Some(written.into()),
        Conversion::Number | Conversion::Bytes => "",
        Conversion::Seconds => "s",
        Conversion::Megabytes => "M",
    };
    if arity == Arity::Flag {
        return Some(is_on(directive.value.as_deref()).to_string().into());
    }
    match draft.number(directive) {
        // uWSGI does not start with it, and neither does scoter.
        Number::Negative => Some(written.into()),
        number => match (number.value().unwrap_or_default(), arity) {
            (0, Arity::Off) => Some("off".into()),
            (0, _) => {
                draft.nothing_to_do(&[directive], "0 leaves it at the default");
                None
            }
            (value, _) => Some(format!("{value}{unit}").into()),
        },
    }
}
