//! The columns of the table of workers: what is in them, which are shown, and the order of the rows.

use super::line::{Line, Style};
use crate::control::human::{short, size};
use crate::control::{WorkerPhase, WorkerStatus};

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Id,
    Pid,
    Generation,
    Phase,
    Age,
    Requests,
    Failed,
    Rate,
    Busy,
    Cpu,
    Memory,
    Slots,
}

/// The order of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) by: Column,
    pub(super) is_descending: bool,
}

impl Default for Order {
    fn default() -> Self {
        Self {
            by: Column::Id,
            is_descending: false,
        }
    }
}

impl Order {
    /// The order after a key: by its column, numbers of which the largest matter first. The same
    /// key again reverses it.
    pub(super) fn after(self, key: char) -> Self {
        let Some(&(_, by, _)) = SORT_KEYS.iter().find(|(letter, ..)| *letter == key) else {
            return self;
        };
        Self {
            by,
            is_descending: match by == self.by {
                true => !self.is_descending,
                false => !matches!(by, Column::Id | Column::Pid),
            },
        }
    }

    pub(super) fn sort(self, workers: &mut [&WorkerStatus]) {
        workers.sort_by(|one, other| {
            let order = self.by.number(one).total_cmp(&self.by.number(other));
            let order = match self.is_descending {
                true => order.reverse(),
                false => order,
            };
            order.then(one.id.cmp(&other.id))
        });
    }
}

/// Keys, the columns that they sort by, and words for them.
pub(super) const SORT_KEYS: [(char, Column, &str); 9] = [
    ('w', Column::Id, "worker"),
    ('p', Column::Pid, "pid"),
    ('a', Column::Age, "age"),
    ('n', Column::Requests, "requests"),
    ('f', Column::Failed, "failed"),
    ('r', Column::Rate, "req/s"),
    ('b', Column::Busy, "busy"),
    ('c', Column::Cpu, "CPU"),
    ('m', Column::Memory, "memory"),
];

/// The columns from left to right.
const ALL: [Column; 12] = [
    Column::Id,
    Column::Pid,
    Column::Generation,
    Column::Phase,
    Column::Age,
    Column::Requests,
    Column::Failed,
    Column::Rate,
    Column::Busy,
    Column::Cpu,
    Column::Memory,
    Column::Slots,
];

/// The columns in the order in which a narrow window keeps them.
const BY_IMPORTANCE: [Column; 12] = [
    Column::Id,
    Column::Phase,
    Column::Rate,
    Column::Busy,
    Column::Cpu,
    Column::Memory,
    Column::Slots,
    Column::Pid,
    Column::Age,
    Column::Failed,
    Column::Requests,
    Column::Generation,
];

impl Column {
    fn title(self) -> &'static str {
        match self {
            Self::Id => "ID",
            Self::Pid => "PID",
            Self::Generation => "GEN",
            Self::Phase => "PHASE",
            Self::Age => "AGE",
            Self::Requests => "REQUESTS",
            Self::Failed => "FAILED",
            Self::Rate => "REQ/S",
            Self::Busy => "BUSY",
            Self::Cpu => "CPU",
            Self::Memory => "MEMORY",
            Self::Slots => "SLOTS",
        }
    }

    /// A width that suits most values, so that columns stay where they are.
    fn usual_width(self) -> usize {
        match self {
            Self::Id => 3,
            Self::Pid => 7,
            Self::Generation => 3,
            Self::Phase => 8,
            Self::Age => 6,
            Self::Requests => 9,
            Self::Failed => 6,
            Self::Rate => 7,
            Self::Busy | Self::Cpu => 4,
            Self::Memory => 6,
            Self::Slots => 5,
        }
    }

    fn cell(self, worker: &WorkerStatus) -> String {
        let percent = |ratio: f64| format!("{:.0}%", ratio * 100.0);
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        match self {
            Self::Id => worker.id.to_string(),
            Self::Pid => worker.pid.to_string(),
            Self::Generation => worker.generation.to_string(),
            Self::Phase => worker.phase.to_string(),
            Self::Age => short(worker.age_ms),
            Self::Requests => worker.requests.to_string(),
            Self::Failed => worker.failed.to_string(),
            Self::Rate => format!("{:.1}", worker.requests_per_second),
            Self::Busy => percent(worker.busy_ratio),
            Self::Cpu => or_dash(worker.cpu_ratio.map(percent)),
            Self::Memory => or_dash(worker.rss_bytes.map(size)),
            Self::Slots => format!("{}/{}", busy(worker), worker.slots.len()),
        }
    }

    /// What rows are sorted by. What is unknown is less than everything else.
    fn number(self, worker: &WorkerStatus) -> f64 {
        match self {
            Self::Id => f64::from(worker.id),
            Self::Pid => f64::from(worker.pid),
            Self::Generation => f64::from(worker.generation),
            Self::Phase => f64::from(u8::from(worker.phase != WorkerPhase::Ready)),
            Self::Age => worker.age_ms as f64,
            Self::Requests => worker.requests as f64,
            Self::Failed => worker.failed as f64,
            Self::Rate => worker.requests_per_second,
            Self::Busy => worker.busy_ratio,
            Self::Cpu => worker.cpu_ratio.unwrap_or(-1.0),
            Self::Memory => worker.rss_bytes.map_or(-1.0, |bytes| bytes as f64),
            Self::Slots => busy(worker) as f64,
        }
    }

    fn style(self, worker: &WorkerStatus) -> Style {
        let is_high = |ratio: f64| ratio >= HIGH;
        match self {
            Self::Phase => match worker.phase {
                WorkerPhase::Ready => Style::Good,
                WorkerPhase::Starting | WorkerPhase::Retiring => Style::Warning,
                WorkerPhase::Stuck | WorkerPhase::Unresponsive => Style::Bad,
            },
            Self::Busy if is_high(worker.busy_ratio) => Style::Warning,
            Self::Cpu if worker.cpu_ratio.is_some_and(is_high) => Style::Warning,
            Self::Failed if worker.failed > 0 => Style::Warning,
            _ => Style::Plain,
        }
    }
}

/// The head of the table, and a line for each worker, in their order. The head marks the column that
/// they are sorted by.
pub(super) fn table(workers: &[&WorkerStatus], order: Order, width: usize) -> (Line, Vec<Line>) {
    let columns = shown(workers, width);
    let mut head = Line::default();
    for &(column, column_width) in &columns {
        let mark = if column == order.by { ">" } else { " " };
        head.push(Style::Bold, mark);
        head.push(Style::Bold, aligned(column, column.title(), column_width));
    }
    let rows = workers.iter().map(|worker| {
        let mut line = Line::default();
        for &(column, column_width) in &columns {
            line.push(Style::Plain, " ");
            let cell = aligned(column, &column.cell(worker), column_width);
            line.push(column.style(worker), cell);
        }
        line
    });
    (head, rows.collect())
}

/// The columns for which there is room, and their widths, each with a space before it.
fn shown(workers: &[&WorkerStatus], width: usize) -> Vec<(Column, usize)> {
    let width_of = |column: Column| {
        let cells = workers.iter().map(|worker| column.cell(worker).len());
        cells
            .chain([column.title().len(), column.usual_width()])
            .max()
            .unwrap_or_default()
    };
    let mut room = width;
    let mut chosen = Vec::new();
    for column in BY_IMPORTANCE {
        let needed = width_of(column) + 1;
        if needed <= room {
            room -= needed;
            chosen.push(column);
        }
    }
    let columns = ALL.into_iter().filter(|column| chosen.contains(column));
    columns.map(|column| (column, width_of(column))).collect()
}

fn aligned(column: Column, text: &str, width: usize) -> String {
    match column {
        Column::Phase => format!("{text:<width$}"),
        _ => format!("{text:>width$}"),
    }
}

fn busy(worker: &WorkerStatus) -> usize {
    worker.slots.iter().filter(|slot| slot.is_busy()).count()
}

/// The share from which a worker has little left.
const HIGH: f64 = 0.9;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::client::fixture::busy_status;

    fn texts(width: usize) -> Vec<String> {
        let status = busy_status();
        let workers: Vec<_> = status.workers.iter().collect();
        let (head, rows) = table(&workers, Order::default(), width);
        [head].iter().chain(&rows).map(Line::text).collect()
    }

    #[test]
    fn narrow_windows_keep_what_is_most_important() {
        assert_eq!(
            texts(99),
            [
                "> ID     PID GEN PHASE       AGE  REQUESTS FAILED   REQ/S BUSY  CPU MEMORY SLOTS",
                "   1    4243   3 ready     5m00s     30125      2   101.2  50%  25%  64.0M   2/3",
                "   2    4250   4 starting    0ms         0      0     0.0   0%    -      -   0/0",
            ]
        );
        assert_eq!(
            texts(39),
            [
                "> ID PHASE      REQ/S BUSY  CPU MEMORY",
                "   1 ready      101.2  50%  25%  64.0M",
                "   2 starting     0.0   0%    -      -",
            ]
        );
        for width in 0..120 {
            assert!(
                texts(width).iter().all(|line| line.len() <= width),
                "{width}"
            );
        }
    }

    #[test]
    fn keys_sort_and_the_same_key_reverses() {
        let mut status = busy_status();
        status.workers[1].rss_bytes = Some(1 << 30);
        status.workers.push(status.workers[0].clone());
        status.workers[2].id = 3;
        status.workers[2].rss_bytes = None;
        status.workers[2].pid = 1;
        for (keys, expected) in [
            ("", [1, 2, 3]),
            ("w", [3, 2, 1]),
            ("ww", [1, 2, 3]),
            ("m", [2, 1, 3]),
            ("mm", [3, 1, 2]),
            ("mw", [1, 2, 3]),
            ("p", [3, 1, 2]),
            // Equal ones by their number.
            ("r", [1, 3, 2]),
            ("rr", [2, 1, 3]),
            ("x", [1, 2, 3]),
        ] {
            let order = keys.chars().fold(Order::default(), Order::after);
            let mut workers: Vec<_> = status.workers.iter().collect();
            order.sort(&mut workers);
            let ids: Vec<_> = workers.iter().map(|worker| worker.id).collect();
            assert_eq!(ids, expected, "{keys}");
            let (head, _) = table(&workers, order, 99);
            assert!(head.text().contains('>'), "{keys}");
        }
    }
}
