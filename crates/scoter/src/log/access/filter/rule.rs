//! Rules of `--access-log-skip`.

use std::str::FromStr;

use thiserror::Error;

use super::Facts;
use super::pattern::Pattern;

/// A rule: conditions separated by spaces, all of which must hold.
///
/// | condition | holds for |
/// |---|---|
/// | `path:/health`, `path:/static/*` | this path, as the client sent it, without the query |
/// | `status:2xx`, `status:304` | these statuses |
/// | `agent:kube-probe/*` | this `User-Agent` |
/// | `all` | failures and slow responses, too |
///
/// `*` stands for anything, spaces and commas included. Failures are statuses from 400 up and
/// responses that were cut; those with a status that the rule itself names are skipped, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SkipRule {
    path: Option<Pattern>,
    status: Option<StatusPattern>,
    agent: Option<Pattern>,
    extent: Extent,
}

/// What a rule skips of the responses that it is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Extent {
    #[default]
    Ordinary,
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StatusPattern {
    /// Its first digit.
    Class(u16),
    One(u16),
}

/// A mistake in a rule.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub(crate) enum RuleError {
    /// A word that is no condition.
    #[error(
        "expected path:, status:, agent: or all, not {0:?}\nhint: such as 'path:/health', \
         'path:/static/* status:2xx' or 'agent:kube-probe/*'; in a pattern * stands for anything, \
         spaces and commas included"
    )]
    Word(String),
    /// No condition.
    #[error("expected a condition such as path:/health, status:2xx or agent:kube-probe/*")]
    Empty,
    /// Two conditions of one kind.
    #[error(
        "expected {0}: once, because all conditions of a rule must hold\nhint: write two rules"
    )]
    Twice(&'static str),
    /// A path that no request has.
    #[error("expected a path that begins with / or *, not {0:?}")]
    Path(String),
    /// A path with a query.
    #[error("expected a path without a query, not {0:?}\nhint: queries are not compared")]
    Query(String),
    /// Not a status.
    #[error("expected a status from 100 to 599 or a class such as 2xx, not {0:?}")]
    Status(String),
    /// A pattern of nothing.
    #[error("expected a user agent after agent:, such as kube-probe/*")]
    Agent,
    /// A rule that skips every line.
    #[error("expected a condition beside all\nhint: --access-log off has no lines at all")]
    AllAlone,
}

impl SkipRule {
    /// Whether a response has no line by this rule.
    pub(super) fn skips(&self, facts: &Facts<'_>) -> bool {
        let holds = |pattern: &Option<Pattern>, text| {
            pattern.as_ref().is_none_or(|pattern| pattern.matches(text))
        };
        let is_meant = self.status.is_none_or(|status| status.is(facts.status))
            && holds(&self.path, facts.path)
            && holds(&self.agent, facts.user_agent);
        is_meant && (self.extent == Extent::All || !self.has_to_keep(facts))
    }

    fn has_to_keep(&self, facts: &Facts<'_>) -> bool {
        let is_named = self.status.is_some();
        facts.is_cut || facts.is_slow || facts.is_error_status() && !is_named
    }
}

impl StatusPattern {
    fn is(self, status: u16) -> bool {
        match self {
            Self::Class(digit) => status / 100 == digit,
            Self::One(one) => status == one,
        }
    }
}

impl FromStr for StatusPattern {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let is_short = text.bytes().all(|byte| byte.is_ascii_digit());
        let pattern = match text.strip_suffix("xx") {
            Some(class) => class.parse().ok().map(Self::Class),
            None => text.parse().ok().map(Self::One),
        };
        pattern
            .filter(|pattern| match pattern {
                Self::Class(digit) => (1..=5).contains(digit) && text.len() == "2xx".len(),
                Self::One(status) => (100..=599).contains(status) && is_short,
            })
            .ok_or_else(|| RuleError::Status(text.to_owned()))
    }
}

impl FromStr for SkipRule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let mut rule = Self {
            path: None,
            status: None,
            agent: None,
            extent: Extent::Ordinary,
        };
        for word in text.split_ascii_whitespace() {
            match word.split_once(':') {
                Some(("path", path)) => put(&mut rule.path, "path", path_pattern(path)?)?,
                Some(("status", status)) => put(&mut rule.status, "status", status.parse()?)?,
                Some(("agent", "")) => return Err(RuleError::Agent),
                Some(("agent", agent)) => put(&mut rule.agent, "agent", Pattern::new(agent))?,
                None if word == "all" => rule.extent = Extent::All,
                _ => return Err(RuleError::Word(word.to_owned())),
            }
        }
        let is_empty = rule.path.is_none() && rule.status.is_none() && rule.agent.is_none();
        match rule.extent {
            Extent::All if is_empty => Err(RuleError::AllAlone),
            Extent::Ordinary if is_empty => Err(RuleError::Empty),
            _ => Ok(rule),
        }
    }
}

fn path_pattern(text: &str) -> Result<Pattern, RuleError> {
    if !text.starts_with(['/', '*']) {
        return Err(RuleError::Path(text.to_owned()));
    }
    if text.contains('?') {
        return Err(RuleError::Query(text.to_owned()));
    }
    Ok(Pattern::new(text))
}

fn put<T>(place: &mut Option<T>, name: &'static str, value: T) -> Result<(), RuleError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(RuleError::Twice(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            ("", RuleError::Empty),
            ("  ", RuleError::Empty),
            ("all", RuleError::AllAlone),
            ("/health", RuleError::Word("/health".to_owned())),
            ("paths:/health", RuleError::Word("paths:/health".to_owned())),
            (
                "agent:Mozilla/5.0 (compatible;",
                RuleError::Word("(compatible;".to_owned()),
            ),
            ("path:health", RuleError::Path("health".to_owned())),
            ("path:", RuleError::Path(String::new())),
            ("path:/a?b=*", RuleError::Query("/a?b=*".to_owned())),
            ("status:", RuleError::Status(String::new())),
            ("status:ok", RuleError::Status("ok".to_owned())),
            ("status:2XX", RuleError::Status("2XX".to_owned())),
            ("status:02xx", RuleError::Status("02xx".to_owned())),
            ("status:6xx", RuleError::Status("6xx".to_owned())),
            ("status:0xx", RuleError::Status("0xx".to_owned())),
            ("status:99", RuleError::Status("99".to_owned())),
            ("status:600", RuleError::Status("600".to_owned())),
            ("status:+200", RuleError::Status("+200".to_owned())),
            ("status:200-299", RuleError::Status("200-299".to_owned())),
            ("agent:", RuleError::Agent),
            ("path:/a path:/b", RuleError::Twice("path")),
            ("status:2xx status:3xx", RuleError::Twice("status")),
        ] {
            assert_eq!(text.parse::<SkipRule>(), Err(expected), "{text}");
        }
    }

    #[test]
    fn messages_say_what_to_write() {
        let error = "/health".parse::<SkipRule>().unwrap_err().to_string();
        assert!(
            error.starts_with("expected path:, status:, agent: or all, not \"/health\"\nhint: "),
            "{error}"
        );
    }

    #[test]
    fn order_and_spaces_do_not_matter() {
        let rule = |text: &str| text.parse::<SkipRule>().unwrap();
        assert_eq!(
            rule("path:/a status:2xx all"),
            rule("  all  status:2xx path:/a ")
        );
        assert_ne!(rule("path:/a status:2xx all"), rule("path:/a status:2xx"));
    }
}
