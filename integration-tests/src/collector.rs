use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::Process;
use crate::scoter::python;
use crate::wait::until;

/// What applications report their spans to, by OpenTelemetry's protocol, and their errors, by Sentry's: a server on
/// this machine in place of the real ones.
#[derive(Debug)]
pub struct Collector {
    process: Process,
    port: u16,
    _folder: TempDir,
}

impl Collector {
    /// Starts it.
    ///
    /// # Panics
    ///
    /// When the packages of `requirements.txt` are not installed next to scoter.
    #[track_caller]
    pub fn start() -> Self {
        let folder =
            TempDir::with_prefix("scoter-").expect("there is a folder for temporary files");
        let mut command = Command::new(python());
        command
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/src/collector.py"))
            .env("PYTHONDONTWRITEBYTECODE", "1");
        let hint = "there has to be a Python next to scoter";
        let mut process = Process::spawn("collector", &mut command, folder.path(), hint);
        let port = until("the collector's port", || {
            if process.exit_status().is_some() {
                let said = process.stderr();
                panic!("install integration-tests/requirements.txt next to scoter\n{said}");
            }
            let output = process.stdout();
            output.split_once('\n')?.0.parse().ok()
        });
        Self {
            process,
            port,
            _folder: folder,
        }
    }

    /// Returns the value of `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns the value of `SENTRY_DSN`.
    pub fn dsn(&self) -> String {
        format!("http://key@127.0.0.1:{}/1", self.port)
    }

    /// Returns the spans that have come so far.
    pub fn spans(&self) -> Vec<Value> {
        self.entries()
            .into_iter()
            .filter(|entry| entry.get("span").is_some())
            .collect()
    }

    /// Returns Sentry's events that have come so far.
    pub fn events(&self) -> Vec<Value> {
        let entries = self.entries().into_iter();
        entries
            .filter_map(|mut entry| entry.get_mut("event").map(Value::take))
            .collect()
    }

    fn entries(&self) -> Vec<Value> {
        let output = self.process.stdout();
        // The last line may not be whole yet.
        let lines = output.split_inclusive('\n').skip(1);
        lines
            .filter(|line| line.ends_with('\n'))
            .map(|line| serde_json::from_str(line).expect("the collector writes JSON"))
            .collect()
    }
}
