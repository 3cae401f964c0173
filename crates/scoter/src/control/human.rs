//! Durations and sizes for people, who read them in a terminal or on the status page.

/// A duration in human-readable form: at most two units.
pub(in crate::control) fn short(millis: u64) -> String {
    let seconds = millis / 1_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0 => format!("{millis}ms"),
        1..10 => format!("{seconds}.{}s", millis % 1_000 / 100),
        10..60 => format!("{seconds}s"),
        60..3_600 => format!("{minutes}m{:02}s", seconds % 60),
        3_600..86_400 => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

/// A short time in human-readable form: two digits below 10 ms, where [`short`] would have one or none.
pub(in crate::control) fn precise(millis: f64) -> String {
    match millis {
        ..0.995 => format!("{millis:.2}ms"),
        ..9.95 => format!("{millis:.1}ms"),
        ..999.5 => format!("{millis:.0}ms"),
        _ => short(millis as u64),
    }
}

/// A size in human-readable form, in powers of 1024 as in the options.
pub(in crate::control) fn size(bytes: u64) -> String {
    let mut unit = 'K';
    let mut tenths = bytes.saturating_mul(10) / 1_024;
    for larger in ['M', 'G', 'T'] {
        // What would round to 1024 of a unit is one of the next.
        if tenths < 10_240 {
            break;
        }
        tenths /= 1_024;
        unit = larger;
    }
    match tenths {
        0..1_000 => format!("{}.{}{unit}", tenths / 10, tenths % 10),
        _ => format!("{}{unit}", tenths / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        for (millis, expected) in [
            (0, "0ms"),
            (999, "999ms"),
            (1_000, "1.0s"),
            (9_999, "9.9s"),
            (10_000, "10s"),
            (59_999, "59s"),
            (192_000, "3m12s"),
            (3_600_000, "1h00m"),
            (86_399_999, "23h59m"),
            (90_000_000, "1d01h"),
            (u64::MAX, "213503982334d14h"),
        ] {
            assert_eq!(short(millis), expected, "{millis}");
        }
    }

    #[test]
    fn short_times_have_two_digits() {
        for (millis, expected) in [
            (0.0, "0.00ms"),
            (0.054, "0.05ms"),
            (0.996, "1.0ms"),
            (3.54, "3.5ms"),
            (9.96, "10ms"),
            (999.4, "999ms"),
            (999.9, "999ms"),
            (1_234.5, "1.2s"),
            (f64::INFINITY, "213503982334d14h"),
        ] {
            assert_eq!(precise(millis), expected, "{millis}");
        }
    }

    #[test]
    fn sizes_have_three_digits() {
        for (bytes, expected) in [
            (0, "0.0K"),
            (1_536, "1.5K"),
            ((1 << 20) - 1, "1023K"),
            (64 << 20, "64.0M"),
            (512 << 20, "512M"),
            (3 << 29, "1.5G"),
            (u64::MAX, "1677721T"),
        ] {
            assert_eq!(size(bytes), expected, "{bytes}");
        }
    }
}
