//! How a line that is not TOML is written in TOML. People bring along the syntax of ini files.

/// Says what to write, if the line alone shows it.
pub(super) fn hint(line: &str) -> Option<String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('[') {
        return None;
    }
    if line.starts_with(';') {
        return Some("comments begin with #".to_owned());
    }
    let Some((name, rest)) = line.split_once('=') else {
        return Some("write option = value".to_owned());
    };
    let (name, rest) = (name.trim(), rest.trim());
    let is_quoted = rest.starts_with(['"', '\'', '[', '{']);
    let (value, comment) = if is_quoted {
        // The comment after the value, which may contain a semicolon itself.
        let end = rest.rfind(" ;")?;
        (&rest[..end], Some(&rest[end + 2..]))
    } else {
        match rest.split_once(';').or_else(|| rest.split_once(" #")) {
            Some((value, comment)) => (value, Some(comment)),
            None => (rest, None),
        }
    };
    let value = value.trim();
    let written = match value.to_ascii_lowercase().as_str() {
        "" => return Some(format!("write {name} = value")),
        "true" | "yes" | "on" => "true".to_owned(),
        "false" | "no" | "off" => "false".to_owned(),
        _ if is_quoted || is_number(value) => value.to_owned(),
        _ => format!("{value:?}"),
    };
    let needs_quotes = !is_quoted && written.starts_with('"');
    let reasons = [
        needs_quotes.then_some("strings need quotes"),
        rest.contains(';').then_some("comments begin with #"),
    ];
    let mut reason: String = reasons.into_iter().flatten().collect::<Vec<_>>().join(", ");
    if !reason.is_empty() {
        reason += ": ";
    }
    let comment = comment.map(|comment| format!("  # {}", comment.trim()));
    Some(format!(
        "{reason}write {name} = {written}{}",
        comment.unwrap_or_default()
    ))
}

/// Permissions such as `0660` are not numbers in TOML.
fn is_number(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_digit()) && (value == "0" || !value.starts_with('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syntax_of_ini_files_is_written_as_toml() {
        for (line, expected) in [
            ("; a comment", "comments begin with #"),
            (
                "threads = 4 ; each",
                "comments begin with #: write threads = 4  # each",
            ),
            (
                "threads=4;each",
                "comments begin with #: write threads = 4  # each",
            ),
            (
                "app = shop.wsgi:app",
                "strings need quotes: write app = \"shop.wsgi:app\"",
            ),
            (
                "  bind = unix:/a # here",
                "strings need quotes: write bind = \"unix:/a\"  # here",
            ),
            (
                "bind = unix:/a ; here",
                "strings need quotes, comments begin with #: write bind = \"unix:/a\"  # here",
            ),
            (
                "bind = \"unix:/a;b\" ; here",
                "comments begin with #: write bind = \"unix:/a;b\"  # here",
            ),
            (
                "request-timeout = 30s",
                "strings need quotes: write request-timeout = \"30s\"",
            ),
            ("umask = 022", "strings need quotes: write umask = \"022\""),
            ("preload = True", "write preload = true"),
            ("preload = no", "write preload = false"),
            ("app =", "write app = value"),
            ("threads 4", "write option = value"),
        ] {
            assert_eq!(hint(line).as_deref(), Some(expected), "{line}");
        }
        for line in ["", "[uwsgi", "app = 'x", "app = \"x\" y"] {
            assert_eq!(hint(line), None, "{line}");
        }
    }
}
