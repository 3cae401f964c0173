//! The parts of the page, from what is needed first to what is needed least.

use std::cmp::Reverse;
use std::fmt::{Formatter, Result};

use jiff::Timestamp;

use super::attention::attention;
use super::text::{Text, count, grouped};
use crate::control::human::{precise, short, size};
use crate::control::protocol::{
    KeptConnections, Percentiles, Phase, ReloadStatus, SlotPhase, SlotStatus, Status, Totals,
    WorkerPhase, WorkerStatus,
};
use crate::sys::durations::millis;

/// What the server is called.
pub(super) fn name(status: &Status) -> &str {
    status.name.as_deref().unwrap_or("scoter")
}

/// Writes everything that changes.
pub(super) fn write(f: &mut Formatter<'_>, status: &Status) -> Result {
    headline(f, status)?;
    needs_attention(f, status)?;
    figures(f, status)?;
    let reload = status.last_reload.as_ref();
    if let Some(reload) = reload.filter(|reload| !reload.ok) {
        last_reload(f, reload, status)?;
    }
    requests(f, status)?;
    workers(f, status)?;
    listeners(f, status)?;
    if let Some(reload) = reload.filter(|reload| reload.ok) {
        last_reload(f, reload, status)?;
    }
    totals(f, &status.totals, status.keep_alive)?;
    footer(f, status)
}

fn headline(f: &mut Formatter<'_>, status: &Status) -> Result {
    let (mood, state) = match (status.phase, status.ready) {
        (Phase::Running, true) => ("good", "running".to_owned()),
        (Phase::Running, false) => ("bad", "not ready".to_owned()),
        (phase, true) => ("busy", format!("{phase}, ready")),
        (phase, false) => ("busy", format!("{phase}, not ready")),
    };
    write!(
        f,
        "<header>\n\
         <h1>{}</h1>\n\
         <p class=\"state {mood}\">{state}</p>\n\
         <p class=\"facts\"><span>scoter {}</span> <span>pid {}</span> <span>generation {}</span> \
         <span>up {}</span></p>\n\
         </header>\n",
        Text(name(status)),
        Text(&status.version),
        status.pid,
        status.generation,
        short(status.uptime_ms),
    )
}

/// The list is there even if it is empty, so that what is added to it is read out.
fn needs_attention(f: &mut Formatter<'_>, status: &Status) -> Result {
    f.write_str("<ul class=\"attention\" role=\"status\" aria-label=\"Needs attention\">\n")?;
    for sentence in attention(status) {
        writeln!(f, "<li>{}</li>", Text(&sentence))?;
    }
    f.write_str("</ul>\n")
}

fn figures(f: &mut Formatter<'_>, status: &Status) -> Result {
    let workers = || status.workers.iter();
    let (busy, slots) = status.busy_slots();
    f.write_str("<dl class=\"figures\">\n")?;
    let rate = format!("{:.1}", status.requests_per_second);
    figure(f, "Requests per second", &rate, "")?;
    let of_slots = format!("of {}", grouped(slots as u64));
    figure(f, "Busy threads", &grouped(busy as u64), &of_slots)?;
    if let Some((waiting, capacity)) = waiting(status) {
        let rest = format!("of {}", grouped(capacity));
        figure(f, "Waiting connections", &grouped(waiting), &rest)?;
    }
    percentiles(f, "Median latency", status.latency)?;
    percentiles(f, "Median queue time", status.queue)?;
    let ready = workers().filter(|worker| worker.phase == WorkerPhase::Ready);
    let wanted = match status.workers_range {
        Some([least, most]) => {
            format!("ready of {} ({least} to {most})", status.workers_wanted)
        }
        None => format!("ready of {}", status.workers_wanted),
    };
    figure(f, "Workers", &ready.count().to_string(), &wanted)?;
    let cpu = workers().filter_map(|worker| worker.cpu_ratio);
    if let Some(cpu) = cpu.reduce(|one, other| one + other) {
        figure(f, "CPU", &percent(cpu), "of one core")?;
    }
    let memory = workers().filter_map(|worker| worker.rss_bytes);
    if let Some(memory) = memory.reduce(|one, other| one + other) {
        figure(f, "Memory", &size(memory), "")?;
    }
    f.write_str("</dl>\n")
}

/// The connections that wait for all sockets whose queue is known, and how many may.
fn waiting(status: &Status) -> Option<(u64, u64)> {
    let queues = status.listeners.iter();
    let queues = queues.filter_map(|listener| listener.waiting.zip(listener.capacity));
    queues
        .map(|(waiting, capacity)| (u64::from(waiting), u64::from(capacity)))
        .reduce(|one, other| (one.0 + other.0, one.1 + other.1))
}

fn percentiles(f: &mut Formatter<'_>, term: &str, times: Percentiles) -> Result {
    let number = times.p50_ms.map_or_else(|| "–".to_owned(), precise);
    let rest = times.p99_ms.map(|time| format!("p99 {}", precise(time)));
    figure(f, term, &number, &rest.unwrap_or_default())
}

fn percent(ratio: f64) -> String {
    format!("{:.0}%", ratio * 100.0)
}

/// One number that is seen from afar, and what explains it.
fn figure(f: &mut Formatter<'_>, term: &str, number: &str, rest: &str) -> Result {
    writeln!(
        f,
        "<div><dt>{term}</dt><dd><b>{number}</b> <span>{rest}</span></dd></div>"
    )
}

/// The requests that run, the longest first. Idle slots are in the workers' numbers.
fn requests(f: &mut Formatter<'_>, status: &Status) -> Result {
    let mut running: Vec<_> = status.workers.iter().flat_map(busy_slots).collect();
    running.sort_by_key(|(_, slot)| Reverse(slot.age_ms));
    f.write_str(
        "<section aria-labelledby=\"requests\">\n<h2 id=\"requests\">Running requests</h2>\n",
    )?;
    if running.is_empty() {
        f.write_str("<p class=\"none\">None.</p>\n")?;
    } else {
        table(f, "requests", &["For", "Request", "Thread", "Id"])?;
        for (worker, slot) in running.iter().take(MAX_REQUESTS) {
            let part =
                |text: &'_ Option<String>| Text(text.as_deref().unwrap_or_default()).to_string();
            let timed_out = match slot.phase {
                SlotPhase::TimedOut => " <em>timed out</em>",
                SlotPhase::Idle | SlotPhase::Running => "",
            };
            row(
                f,
                &[
                    (
                        "number",
                        "For",
                        short(slot.age_ms.unwrap_or_default()) + timed_out,
                    ),
                    (
                        "request",
                        "Request",
                        format!("<b>{}</b> {}", part(&slot.method), part(&slot.uri)),
                    ),
                    (
                        "thread",
                        "Thread",
                        format!("worker {}, thread {}", worker.id, slot.slot),
                    ),
                    ("id", "Id", part(&slot.request_id)),
                ],
            )?;
        }
        f.write_str(TABLE_END)?;
        rest(f, running.len(), MAX_REQUESTS, "request")?;
    }
    f.write_str("</section>\n")
}

fn busy_slots(worker: &WorkerStatus) -> impl Iterator<Item = (&WorkerStatus, &SlotStatus)> {
    let busy = worker.slots.iter().filter(|slot| slot.is_busy());
    busy.map(move |slot| (worker, slot))
}

fn workers(f: &mut Formatter<'_>, status: &Status) -> Result {
    f.write_str("<section aria-labelledby=\"workers\">\n<h2 id=\"workers\">Workers</h2>\n")?;
    if status.workers.is_empty() {
        f.write_str("<p class=\"none\">None.</p>\n")?;
    } else {
        table(
            f,
            "workers",
            &[
                "Worker",
                "State",
                "Busy threads",
                "Req/s",
                "CPU",
                "Memory",
                "Requests",
                "Failed",
                "Age",
                "PID",
                "Generation",
            ],
        )?;
        // Those that are not as they should be are never among the rest.
        let mut workers: Vec<_> = status.workers.iter().collect();
        if workers.len() > MAX_WORKERS {
            workers.sort_by_key(|worker| worker.phase == WorkerPhase::Ready);
        }
        for worker in workers.iter().take(MAX_WORKERS) {
            let busy = busy_slots(worker).count();
            let mood = match worker.phase {
                WorkerPhase::Ready => "good",
                WorkerPhase::Starting | WorkerPhase::Retiring => "busy",
                WorkerPhase::Stuck | WorkerPhase::Unresponsive => "bad",
            };
            row(
                f,
                &[
                    ("number", "Worker", worker.id.to_string()),
                    (
                        "phase",
                        "State",
                        format!("<span class=\"state {mood}\">{}</span>", worker.phase),
                    ),
                    (
                        "number",
                        "Busy threads",
                        format!(
                            "{}{busy} of {}",
                            bar(busy, worker.slots.len()),
                            worker.slots.len()
                        ),
                    ),
                    (
                        "number",
                        "Req/s",
                        format!("{:.1}", worker.requests_per_second),
                    ),
                    (
                        "number",
                        "CPU",
                        worker.cpu_ratio.map_or_else(|| "–".to_owned(), percent),
                    ),
                    (
                        "number",
                        "Memory",
                        worker.rss_bytes.map_or_else(|| "–".to_owned(), size),
                    ),
                    ("number", "Requests", grouped(worker.requests)),
                    ("number", "Failed", grouped(worker.failed)),
                    ("number", "Age", short(worker.age_ms)),
                    ("number", "PID", worker.pid.to_string()),
                    ("number", "Generation", worker.generation.to_string()),
                ],
            )?;
        }
        f.write_str(TABLE_END)?;
        rest(f, workers.len(), MAX_WORKERS, "worker")?;
    }
    f.write_str("</section>\n")
}

fn listeners(f: &mut Formatter<'_>, status: &Status) -> Result {
    f.write_str("<section aria-labelledby=\"sockets\">\n<h2 id=\"sockets\">Sockets</h2>\n")?;
    if status.listeners.is_empty() {
        f.write_str("<p class=\"none\">None.</p>\n")?;
    } else {
        table(f, "sockets", &["Address", "Waiting connections"])?;
        for listener in &status.listeners {
            let waiting = match listener.waiting.zip(listener.capacity) {
                Some((waiting, capacity)) => format!("{waiting} of {capacity}"),
                None => "unknown".to_owned(),
            };
            let address = Text(&listener.address).to_string();
            row(
                f,
                &[
                    ("request", "Address", address),
                    ("number", "Waiting connections", waiting),
                ],
            )?;
        }
        f.write_str(TABLE_END)?;
    }
    f.write_str("</section>\n")
}

fn last_reload(f: &mut Formatter<'_>, reload: &ReloadStatus, status: &Status) -> Result {
    // By the server's clock, not the reader's.
    let age = now(status).duration_since(reload.at).unsigned_abs();
    let age = short(millis(age));
    f.write_str("<section aria-labelledby=\"reload\">\n<h2 id=\"reload\">Last reload</h2>\n")?;
    let outcome = match reload.ok {
        true => "<span class=\"state good\">succeeded</span>",
        false => "<span class=\"state bad\">failed</span>",
    };
    writeln!(
        f,
        "<p>{outcome} <time datetime=\"{:.0}\">{age} ago</time>, generation {}</p>",
        reload.at, reload.generation
    )?;
    if !reload.ok {
        let error = reload.error.as_deref().unwrap_or("no reason given");
        // It can be focused to be scrolled with the keyboard.
        writeln!(
            f,
            "<pre tabindex=\"0\" role=\"region\" aria-label=\"Why the reload failed\">{}</pre>",
            Text(error.trim_end())
        )?;
    }
    f.write_str("</section>\n")
}

fn totals(f: &mut Formatter<'_>, totals: &Totals, keep_alive: Option<u32>) -> Result {
    f.write_str(
        "<section aria-labelledby=\"totals\">\n<h2 id=\"totals\">Since the start</h2>\n\
         <dl class=\"totals\">\n",
    )?;
    let responses = &totals.responses;
    for (term, number) in [
        ("Requests", totals.requests),
        ("Responses 2xx", responses.successful),
        ("Responses 3xx", responses.redirection),
        ("Responses 4xx", responses.client_error),
        ("Responses 5xx", responses.server_error),
        ("Refused", totals.refused),
        ("Timeouts", totals.timeouts),
        ("Peers disconnected", totals.peers_gone),
        ("Workers crashed", totals.crashed),
        ("Workers replaced", totals.replaced),
    ] {
        total(f, term, &grouped(number))?;
    }
    let KeptConnections {
        idle,
        reused,
        passed_on,
        out_of_step,
    } = totals.kept_connections;
    match keep_alive {
        Some(0) => total(f, "Kept connections", "off")?,
        _ => {
            for (term, number) in [
                ("Kept connections, idle", idle),
                ("Requests on kept ones", reused),
                ("Kept ones passed on", passed_on),
                ("Kept ones out of step", out_of_step),
            ] {
                total(f, term, &grouped(number))?;
            }
        }
    }
    f.write_str("</dl>\n</section>\n")
}

fn total(f: &mut Formatter<'_>, term: &str, value: &str) -> Result {
    writeln!(f, "<div><dt>{term}</dt><dd>{value}</dd></div>")
}

fn footer(f: &mut Formatter<'_>, status: &Status) -> Result {
    let now = now(status);
    write!(
        f,
        "<footer>\n<p>As of <time datetime=\"{now:.0}\">{}</time>. <a href=\"status\">As JSON</a></p>\n</footer>\n",
        now.strftime("%Y-%m-%d %H:%M:%S UTC")
    )
}

/// When the status was taken.
fn now(status: &Status) -> Timestamp {
    let uptime = jiff::SignedDuration::from_millis(status.uptime_ms.try_into().unwrap_or(i64::MAX));
    status
        .started_at
        .saturating_add(uptime)
        .unwrap_or(Timestamp::MAX)
}

/// Begins a table. On a phone the style makes a block of each row, which would no longer be a table to
/// a screen reader without the roles.
fn table(f: &mut Formatter<'_>, id: &str, columns: &[&str]) -> Result {
    write!(
        f,
        "<table role=\"table\" class=\"{id}\" aria-labelledby=\"{id}\">\n\
         <thead role=\"rowgroup\"><tr role=\"row\">"
    )?;
    for column in columns {
        write!(f, "<th role=\"columnheader\" scope=\"col\">{column}</th>")?;
    }
    f.write_str("</tr></thead>\n<tbody role=\"rowgroup\">\n")
}

/// A row of cells: class, column, and content, which is HTML.
fn row(f: &mut Formatter<'_>, cells: &[(&str, &str, String)]) -> Result {
    f.write_str("<tr role=\"row\">")?;
    for (class, column, content) in cells {
        write!(
            f,
            "<td role=\"cell\" class=\"{class}\" data-column=\"{column}\">{content}</td>"
        )?;
    }
    f.write_str("</tr>\n")
}

const TABLE_END: &str = "</tbody>\n</table>\n";

/// Says how many rows a table has left out.
fn rest(f: &mut Formatter<'_>, all: usize, shown: usize, noun: &str) -> Result {
    match all.saturating_sub(shown) {
        0 => Ok(()),
        left => writeln!(f, "<p class=\"none\">And {} more.</p>", count(left, noun)),
    }
}

/// A bar that is as full as `part` is of `whole`. The numbers beside it say the same.
fn bar(part: usize, whole: usize) -> String {
    let width = match whole {
        0 => 0,
        _ => part * 100 / whole,
    };
    format!(
        "<svg class=\"bar\" viewBox=\"0 0 100 1\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <rect width=\"{width}\" height=\"1\"/></svg>"
    )
}

/// Rows of requests: what one reads, and 256 workers of 64 threads may run 16,384.
const MAX_REQUESTS: usize = 100;

/// Rows of workers.
const MAX_WORKERS: usize = 256;
