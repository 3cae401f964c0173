/// The meaning of a name in a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variable<'a> {
    /// A value that scoter knows or composes itself.
    Known(Known),
    /// The request variable with this name, regardless of case.
    Var(&'a str),
    /// What the application says under this name.
    LogVar(&'a str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    BodyBytesSent,
    Pid,
    QueueTimeMs,
    Request,
    RequestId,
    RequestTime,
    RequestTimeMs,
    RequestUri,
    SampleRate,
    Slot,
    SpanId,
    Status,
    TimeIso8601,
    TimeLocal,
    TraceId,
    Worker,
}

impl<'a> Variable<'a> {
    pub(super) fn of(name: &'a str) -> Option<Self> {
        if let Some((_, known)) = KNOWN.iter().find(|(known, _)| *known == name) {
            return Some(Self::Known(*known));
        }
        let is_header = |name: &str| {
            let is_part = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
            !name.is_empty() && name.bytes().all(is_part)
        };
        if let Some(own) = name.strip_prefix("logvar_").filter(|own| !own.is_empty()) {
            return Some(Self::LogVar(own));
        }
        match (name.strip_prefix("http_"), name.strip_prefix("var_")) {
            (Some(header), _) if is_header(header) => Some(Self::Var(name)),
            (_, Some(own)) if !own.is_empty() => Some(Self::Var(own)),
            _ if PARAMS.contains(&name) => Some(Self::Var(name)),
            _ => None,
        }
    }
}

/// Suggests what may have been meant.
pub(super) fn hint(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let names = KNOWN.iter().map(|(name, _)| *name);
    let closest = names
        .chain(PARAMS.iter().copied())
        .map(|known| (strsim::jaro_winkler(known, &lower), known))
        .filter(|(similarity, _)| *similarity > MIN_SIMILARITY)
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    match closest {
        Some((_, known)) => format!("did you mean ${known}?"),
        None if lower.starts_with("http_") => {
            "headers are named in lower case, as in $http_user_agent".to_owned()
        }
        None => {
            format!("$var_{name} for a uwsgi_param of your own, $http_{lower} for a request header")
        }
    }
}

/// "stats" and "status" score 0.96, unrelated names up to 0.8.
const MIN_SIMILARITY: f64 = 0.85;

const KNOWN: &[(&str, Known)] = &[
    ("body_bytes_sent", Known::BodyBytesSent),
    ("pid", Known::Pid),
    ("queue_time_ms", Known::QueueTimeMs),
    ("request", Known::Request),
    ("request_id", Known::RequestId),
    ("request_time", Known::RequestTime),
    ("request_time_ms", Known::RequestTimeMs),
    ("request_uri", Known::RequestUri),
    ("sample_rate", Known::SampleRate),
    ("slot", Known::Slot),
    ("span_id", Known::SpanId),
    ("status", Known::Status),
    ("time_iso8601", Known::TimeIso8601),
    ("time_local", Known::TimeLocal),
    ("trace_id", Known::TraceId),
    ("worker", Known::Worker),
];

/// The variables in nginx's `uwsgi_params`, and further ones of CGI.
const PARAMS: &[&str] = &[
    "auth_type",
    "content_length",
    "content_type",
    "document_root",
    "document_uri",
    "https",
    "path_info",
    "query_string",
    "remote_addr",
    "remote_port",
    "remote_user",
    "request_method",
    "request_scheme",
    "script_name",
    "server_addr",
    "server_name",
    "server_port",
    "server_protocol",
    "uwsgi_scheme",
];
