//! `cron`: when a timer of systemd elapses.

/// When, as five numbers: minute, hour, day of the month, month, day of the week. -1 is any, -N every Nth
/// (core/master_utils.c, uwsgi_cron_task_needs_execution).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Schedule {
    pub(super) minute: i64,
    pub(super) hour: i64,
    pub(super) day: i64,
    pub(super) month: i64,
    pub(super) week_day: i64,
}

impl Schedule {
    /// `OnCalendar=` values of systemd.time(7). Two if a day of the month and one of the week are named: then
    /// either counts. `None` if no time is meant, such as minute 75.
    pub(super) fn on_calendar(self) -> Option<Vec<String>> {
        let time = format!(
            "{}:{}:00",
            part(self.hour, 0, 23)?,
            part(self.minute, 0, 59)?
        );
        let month = part(self.month, 1, 12)?;
        let day = part(self.day, 1, 31)?;
        let week_days = week_days(self.week_day)?;
        let line = |week_days: &str, day: &str| {
            let space = if week_days.is_empty() { "" } else { " " };
            format!("{week_days}{space}*-{month}-{day} {time}")
        };
        Some(match self.day >= 0 && self.week_day >= 0 {
            true => vec![line("", &day), line(&week_days, "*")],
            false => vec![line(&week_days, &day)],
        })
    }
}

/// A number of the range, or those that the step divides.
fn part(number: i64, first: i64, last: i64) -> Option<String> {
    let two = |number: i64| format!("{number:02}");
    match number {
        -1 => Some("*".to_owned()),
        ..0 => {
            let step = number.unsigned_abs();
            let start = i64::try_from(step).ok()?;
            match first {
                // 0 is a multiple of every step.
                0 if start > last => Some(two(0)),
                0 => Some(format!("00/{step}")),
                _ if start > last => None,
                _ => Some(format!("{}/{step}", two(start))),
            }
        }
        _ if (first..=last).contains(&number) => Some(two(number)),
        _ => None,
    }
}

/// Sunday is 0 and 7.
fn week_days(number: i64) -> Option<String> {
    const NAMES: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    match number {
        -1 => Some(String::new()),
        ..0 => {
            let step = usize::try_from(number.unsigned_abs()).ok()?;
            let names: Vec<_> = NAMES.into_iter().step_by(step).collect();
            Some(names.join(","))
        }
        _ => Some((*NAMES.get(usize::try_from(number).ok()? % 7)?).to_owned())
            .filter(|_| number <= 7),
    }
}

/// A schedule and a command: `59 2 -1 -1 -1 command`.
pub(super) fn cron(value: &str) -> Option<(Schedule, &str)> {
    let mut rest = value.trim_start();
    let mut numbers = [0; 5];
    for number in &mut numbers {
        let end = rest.find(char::is_whitespace)?;
        *number = rest[..end].parse().ok()?;
        rest = rest[end..].trim_start();
    }
    let [minute, hour, day, month, week_day] = numbers;
    let schedule = Schedule {
        minute,
        hour,
        day,
        month,
        week_day,
    };
    Some((schedule, rest)).filter(|(_, command)| !command.is_empty())
}

/// `minute=59,hour=2 command`: numbers that are not named are -1. A command alone runs each minute.
pub(super) fn cron2(value: &str) -> Option<(Schedule, &str)> {
    let mut schedule = Schedule {
        minute: -1,
        hour: -1,
        day: -1,
        month: -1,
        week_day: -1,
    };
    let (pairs, command) = match value.split_once(' ') {
        Some((pairs, command)) if pairs.contains('=') => (pairs, command.trim_start()),
        _ => return Some((schedule, value)),
    };
    for pair in pairs.split(',') {
        let (key, value) = pair.split_once('=')?;
        let number = value.parse();
        match key {
            "minute" => schedule.minute = number.ok()?,
            "hour" => schedule.hour = number.ok()?,
            "day" => schedule.day = number.ok()?,
            "month" => schedule.month = number.ok()?,
            "week" => schedule.week_day = number.ok()?,
            _ => {}
        }
    }
    Some((schedule, command)).filter(|(_, command)| !command.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules() {
        for (value, expected) in [
            ("59 2 -1 -1 -1 x", &["*-*-* 02:59:00"][..]),
            ("-1 -1 -1 -1 -1 x", &["*-*-* *:*:00"]),
            ("-5 -1 -1 -1 -1 x", &["*-*-* *:00/5:00"]),
            ("0 -2 -1 -1 -1 x", &["*-*-* 00/2:00:00"]),
            ("0 0 1 -1 -1 x", &["*-*-01 00:00:00"]),
            ("0 0 -2 -3 -1 x", &["*-03/3-02/2 00:00:00"]),
            ("0 4 -1 -1 1 x", &["Mon *-*-* 04:00:00"]),
            ("0 4 -1 -1 7 x", &["Sun *-*-* 04:00:00"]),
            ("0 4 -1 -1 -2 x", &["Sun,Tue,Thu,Sat *-*-* 04:00:00"]),
            // Either of the two days counts.
            ("0 4 15 -1 1 x", &["*-*-15 04:00:00", "Mon *-*-* 04:00:00"]),
            ("-90 -1 -1 -1 -1 x", &["*-*-* *:00:00"]),
        ] {
            let (schedule, command) = cron(value).unwrap();
            assert_eq!(schedule.on_calendar().unwrap(), expected, "{value}");
            assert_eq!(command, "x");
        }
        for value in ["", "1 2 3 4 5", "a 2 3 4 5 x", "1 2 3 4 x"] {
            assert_eq!(cron(value), None, "{value}");
        }
        for value in [
            "75 -1 -1 -1 -1 x",
            "0 24 -1 -1 -1 x",
            "0 0 0 -1 -1 x",
            "0 0 -1 -1 8 x",
        ] {
            assert_eq!(cron(value).unwrap().0.on_calendar(), None, "{value}");
        }
    }

    #[test]
    fn named_numbers() {
        let (schedule, command) = cron2("minute=-2,hour=3,unique=1 sleep 130").unwrap();
        assert_eq!(schedule.on_calendar().unwrap(), ["*-*-* 03:00/2:00"]);
        assert_eq!(command, "sleep 130");
        let (schedule, command) = cron2("touch x").unwrap();
        assert_eq!(schedule.on_calendar().unwrap(), ["*-*-* *:*:00"]);
        assert_eq!(command, "touch x");
        assert_eq!(cron2("minute=x touch"), None);
    }
}
