use uwsgi_http::Address;

/// Reads an [`Address`] of a command line.
///
/// # Errors
///
/// Says what an address looks like; of a URL, where it belongs.
pub fn address(text: &str) -> Result<Address, String> {
    // A path to most, with its slashes; no socket is called that.
    if text.starts_with("http://") || text.starts_with("https://") {
        return Err(
            "this is a URL, not an ADDRESS: a path with a slash, unix:PATH or HOST:PORT".to_owned(),
        );
    }
    text.parse()
        .map_err(|error: uwsgi_http::InvalidAddress| error.to_string())
}
