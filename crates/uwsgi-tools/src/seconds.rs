use std::time::Duration;

/// Reads a number of seconds above 0 of a command line, with or without a fraction.
///
/// # Errors
///
/// Says what is expected.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok();
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "not a number of seconds above 0".to_owned())
}
