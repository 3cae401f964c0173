//! The thread that learns of changed files: from inotify(7), or by looking at them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use notify::event::{AccessKind, AccessMode, MetadataKind, ModifyKind};
use notify::{Config, ErrorKind, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tracing::{debug, warn};

use super::debounce::Burst;
use super::poll::Poll;
use super::watch_list::{Depth, WatchList, folders_in};
use crate::supervisor::core::Event;
use crate::supervisor::link::Events;
use crate::sys::signals::kept_from;

/// A watch, which ends when it is dropped.
#[derive(Debug)]
pub(super) struct Watch(SyncSender<Message>);

/// What the thread is told.
#[derive(Debug)]
enum Message {
    /// By the system.
    Event(notify::Result<notify::Event>),
    /// By a worker.
    Imported(Vec<PathBuf>),
    Broken(bool),
    End,
}

impl Watch {
    /// Begins to report changes as [`Event::Touched`]. With `polls` it looks at the files itself.
    ///
    /// # Errors
    ///
    /// System errors, if no threads are available.
    pub(super) fn begin(list: WatchList, polls: bool, events: Events) -> io::Result<Self> {
        let (sender, messages) = sync_channel(MESSAGES);
        let source = match polls {
            true => looking_at(&list),
            false => Source::of_system(&sender).unwrap_or_else(|error| {
                warn_of_polling(&error);
                looking_at(&list)
            }),
        };
        let watched = Watched {
            list,
            source,
            places: BTreeMap::new(),
            since: a_moment_ago(),
        };
        let thread = thread::Builder::new().name("scoter-watch".to_owned());
        kept_from(|| thread.spawn(move || watched.run(&messages, &events)))?;
        Ok(Self(sender))
    }

    /// Adds imported files.
    pub(super) fn add(&self, files: &[String]) {
        self.tell(Message::Imported(files.iter().map(PathBuf::from).collect()));
    }

    /// The code does not load, or does again.
    pub(super) fn set_broken(&self, is_broken: bool) {
        self.tell(Message::Broken(is_broken));
    }

    /// Never waits: the master's thread calls it.
    fn tell(&self, message: Message) {
        if let Err(error) = self.0.try_send(message) {
            warn!(%error, "some imported files are not watched: too many files change at once");
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.0.try_send(Message::End);
    }
}

/// What is watched, and with what.
struct Watched {
    list: WatchList,
    source: Source,
    /// The directories that are watched.
    places: BTreeMap<PathBuf, Depth>,
    /// When the code that is about to be imported was not imported yet.
    since: SystemTime,
}

/// Where changes are learned from.
enum Source {
    System(RecommendedWatcher),
    Files(Poll),
}

impl Watched {
    fn run(mut self, messages: &Receiver<Message>, events: &Events) {
        self.watch();
        let mut burst: Option<Burst> = None;
        loop {
            let wait = match (&burst, &self.source) {
                (Some(burst), _) => burst.ends().saturating_duration_since(Instant::now()),
                (None, Source::System(_)) => LOOK_AGAIN,
                (None, Source::Files(_)) => POLL_INTERVAL,
            };
            let changed = match messages.recv_timeout(wait) {
                Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Message::Event(Ok(event))) => self.changed(&event),
                Ok(Message::Event(Err(error))) => self.failed(&error),
                Ok(Message::Imported(files)) => self.add(&files),
                Ok(Message::Broken(is_broken)) => {
                    self.list.set_broken(is_broken);
                    None
                }
                Err(RecvTimeoutError::Timeout) => match burst.take() {
                    Some(over) => {
                        self.since = a_moment_ago();
                        let changed = Event::Touched(over.into_first());
                        if events.blocking_send(changed).is_err() {
                            return;
                        }
                        None
                    }
                    None => self.watch(),
                },
            };
            if let Some(path) = changed {
                let now = Instant::now();
                match &mut burst {
                    Some(burst) => burst.note(now),
                    None => burst = Some(Burst::begin(path, now)),
                }
            }
        }
    }

    /// Watches the directories that are not watched yet. Returns one that has appeared, or a file
    /// that has changed.
    fn watch(&mut self) -> Option<PathBuf> {
        let watcher = match &mut self.source {
            Source::System(watcher) => watcher,
            Source::Files(poll) => return poll.look(&self.list),
        };
        let mut appeared = None;
        for (path, &depth) in self.list.places() {
            let watched = self.places.get(path);
            if watched.is_some_and(|watched| *watched >= depth) || !path.is_dir() {
                continue;
            }
            let folders = match depth {
                Depth::One => vec![path.clone()],
                Depth::All => folders_in(path),
            };
            for folder in folders {
                match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                    Ok(()) => {
                        if self.places.insert(folder.clone(), depth).is_none() {
                            appeared.get_or_insert(folder);
                        }
                    }
                    Err(error) if matches!(error.kind, ErrorKind::MaxFilesWatch) => {
                        return self.failed(&error);
                    }
                    // It has gone since: it is tried again.
                    Err(error) => debug!(%error, path = %folder.display(), "cannot be watched"),
                }
            }
        }
        appeared
    }

    /// Adds imported files. Returns one that was saved after the import had begun and before it was
    /// watched.
    fn add(&mut self, files: &[PathBuf]) -> Option<PathBuf> {
        // inotify(7) reports changes of a link where the file is that it leads to.
        let links = files.iter().filter(|file| file.is_symlink());
        let targets: Vec<_> = links.flat_map(|link| link.canonicalize()).collect();
        let files = files.iter().chain(&targets);
        let new: Vec<_> = files.filter(|file| self.list.add(file)).collect();
        let mut changed = new.into_iter().filter(|file| is_newer(file, self.since));
        let changed = changed.next().cloned();
        match &mut self.source {
            Source::System(_) => drop(self.watch()),
            // They are no changes only because they are new to it.
            Source::Files(poll) => drop(poll.look(&self.list)),
        }
        changed
    }

    /// The file of an event that matters.
    fn changed(&mut self, event: &notify::Event) -> Option<PathBuf> {
        if event.need_rescan() {
            return event
                .paths
                .first()
                .cloned()
                .or_else(|| self.places.keys().next().cloned());
        }
        let mut found = None;
        for path in &event.paths {
            // A watched directory that is removed or renamed is watched no more.
            let has_gone = matches!(
                event.kind,
                EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))
            );
            if has_gone && self.places.remove(path).is_some() {
                debug!(path = %path.display(), "a watched directory has gone");
            }
            if self.list.has(path) {
                found.get_or_insert_with(|| path.clone());
            }
        }
        self.enter_new(&event.paths);
        found.or_else(|| self.reappeared(&event.paths))
    }

    /// Watches directories that have been made in one that is watched whole.
    fn enter_new(&mut self, paths: &[PathBuf]) {
        let is_new = |path: &&PathBuf| {
            let is_whole = |place: &Path| self.places.get(place) == Some(&Depth::All);
            path.parent().is_some_and(is_whole) && !self.places.contains_key(*path) && path.is_dir()
        };
        let new: Vec<_> = paths.iter().filter(is_new).cloned().collect();
        for place in new {
            // Looking at its parent says whether it is one to be entered.
            let parent = place.parent().map(folders_in).unwrap_or_default();
            let within = parent
                .into_iter()
                .filter(|folder| folder.starts_with(&place));
            self.enter(within.collect());
        }
    }

    fn enter(&mut self, folders: Vec<PathBuf>) {
        for folder in folders {
            if let Source::System(watcher) = &mut self.source {
                match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                    Ok(()) => drop(self.places.insert(folder, Depth::All)),
                    Err(error) => drop(self.failed(&error)),
                }
            }
        }
    }

    /// A directory to be watched that is there again.
    fn reappeared(&mut self, paths: &[PathBuf]) -> Option<PathBuf> {
        let is_missing =
            |path: &PathBuf| !self.places.contains_key(path) && self.list.leads_to_place(path);
        match paths.iter().any(is_missing) {
            true => self.watch(),
            false => None,
        }
    }

    fn failed(&mut self, error: &notify::Error) -> Option<PathBuf> {
        if matches!(error.kind, ErrorKind::MaxFilesWatch) {
            warn_of_polling(error);
            self.source = looking_at(&self.list);
        } else {
            debug!(%error, "while watching files");
        }
        None
    }
}

impl Source {
    /// inotify(7).
    fn of_system(sender: &SyncSender<Message>) -> notify::Result<Self> {
        let sender = sender.clone();
        let report = move |event: notify::Result<notify::Event>| {
            // Most events are of no interest, but the system waits for nobody.
            if event.as_ref().map_or(true, is_change) {
                let _ = sender.send(Message::Event(event));
            }
        };
        kept_from(|| RecommendedWatcher::new(report, Config::default())).map(Self::System)
    }
}

fn looking_at(list: &WatchList) -> Source {
    let mut poll = Poll::default();
    poll.look(list);
    Source::Files(poll)
}

fn warn_of_polling(error: &notify::Error) {
    let limit = match error.kind {
        ErrorKind::MaxFilesWatch => "fs.inotify.max_user_watches",
        _ => "fs.inotify.max_user_instances",
    };
    warn!(
        %error,
        "inotify cannot watch these files: looking at them twice a second (sysctl {limit} may be \
         too low)"
    );
}

/// Files have the time of the system's last tick.
fn a_moment_ago() -> SystemTime {
    SystemTime::now() - Duration::from_millis(20)
}

/// Whether a file's content may have changed.
fn is_change(event: &notify::Event) -> bool {
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        EventKind::Modify(ModifyKind::Metadata(kind)) => kind == MetadataKind::WriteTime,
        _ => true,
    }
}

fn is_newer(file: &Path, than: SystemTime) -> bool {
    let modified = file.metadata().and_then(|it| it.modified());
    modified.is_ok_and(|modified| modified > than)
}

/// Messages that may be pending: a checkout of another branch changes hundreds of files.
const MESSAGES: usize = 4_096;

const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// How often directories that are missing are looked for.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::fs;

    use tokio::sync::mpsc;

    use super::*;

    fn next(events: &mut mpsc::Receiver<Event>) -> PathBuf {
        match events.blocking_recv() {
            Some(Event::Touched(path)) => path,
            other => panic!("{other:?}"),
        }
    }

    /// Whatever an editor does to save a file is one change.
    #[test]
    fn every_way_of_saving_is_seen_once() {
        for polls in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let at = |name: &str| folder.path().join(name);
            fs::write(at("app.py"), "1").unwrap();
            let mut list = WatchList::new(folder.path(), at("scoter.toml"));
            list.add(&at("app.py"));
            let (sender, mut events) = mpsc::channel(8);
            let watch = Watch::begin(list, polls, sender).unwrap();
            // A file that is new to it and newer than its beginning has changed: from then on it
            // watches.
            fs::write(at("views.py"), "1").unwrap();
            watch.add(&[at("views.py").to_str().unwrap().to_owned()]);
            assert_eq!(next(&mut events), at("views.py"));

            fs::write(at("app.py"), "in place").unwrap();
            assert_eq!(next(&mut events), at("app.py"), "polls: {polls}");
            fs::write(at("new"), "moved over it").unwrap();
            fs::rename(at("new"), at("app.py")).unwrap();
            assert_eq!(next(&mut events), at("app.py"), "polls: {polls}");
            fs::rename(at("app.py"), at("app.py~")).unwrap();
            fs::write(at("app.py"), "written anew").unwrap();
            assert_eq!(next(&mut events), at("app.py"), "polls: {polls}");
            fs::write(at("unimportant.py"), "").unwrap();
            fs::write(at("scoter.toml"), "").unwrap();
            assert_eq!(next(&mut events), at("scoter.toml"), "polls: {polls}");
            assert!(events.try_recv().is_err());
        }
    }

    #[test]
    fn imported_file_is_watched_in_a_directory_that_is_not_entered() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(".generated/models.py");
        fs::create_dir(file.parent().unwrap()).unwrap();
        let mut list = WatchList::new(folder.path(), folder.path().join("scoter.toml"));
        list.add_asked_for(folder.path());
        let (sender, mut events) = mpsc::channel(8);
        let watch = Watch::begin(list, false, sender).unwrap();
        fs::write(&file, "1").unwrap();
        watch.add(&[file.to_str().unwrap().to_owned()]);
        assert_eq!(next(&mut events), file);
        fs::write(&file, "2").unwrap();
        assert_eq!(next(&mut events), file);
    }

    #[test]
    fn link_is_followed_to_the_file_that_it_leads_to() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().canonicalize().unwrap().join(name);
        for name in ["app", "shared"] {
            fs::create_dir(at(name)).unwrap();
        }
        let link = at("app/settings.py");
        std::os::unix::fs::symlink(at("shared/one.py"), &link).unwrap();
        let list = WatchList::new(&at("app"), at("app/scoter.toml"));
        let (sender, mut events) = mpsc::channel(8);
        let watch = Watch::begin(list, false, sender).unwrap();
        for name in ["shared/one.py", "shared/two.py"] {
            fs::write(at(name), "1").unwrap();
        }
        let imported = || watch.add(&[link.to_str().unwrap().to_owned()]);
        imported();
        assert!(next(&mut events).ends_with("settings.py"));
        fs::write(at("shared/one.py"), "2").unwrap();
        assert_eq!(next(&mut events), at("shared/one.py"));
        fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(at("shared/two.py"), &link).unwrap();
        assert_eq!(next(&mut events), link);
        // The worker of the next generation reports it again.
        imported();
        fs::write(at("shared/two.py"), "2").unwrap();
        assert_eq!(next(&mut events), at("shared/two.py"));
    }

    /// An application's own log and database are often beside its code.
    #[test]
    fn files_that_do_not_matter_cost_little_in_a_large_project() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("app.py"), "1").unwrap();
        let mut list = WatchList::new(folder.path(), at("scoter.toml"));
        list.add(&at("app.py"));
        for module in 0..20_000 {
            list.add(&at(&format!("part{}/{module}.py", module / 10)));
        }
        let (sender, messages) = sync_channel(1);
        let source = Source::of_system(&sender).unwrap();
        let mut watched = Watched {
            list,
            source,
            places: BTreeMap::new(),
            since: SystemTime::now(),
        };
        drop(messages);
        watched.watch();
        let log = notify::Event::new(EventKind::Any).add_path(at("debug.log"));
        let start = thread_time();
        for _ in 0..1_000 {
            assert_eq!(watched.changed(&log), None);
        }
        let took = thread_time() - start;
        assert!(took < Duration::from_millis(500), "{took:?}");
    }

    /// Processor time, which other processes have no part in.
    fn thread_time() -> Duration {
        let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        let nanoseconds = text.split(' ').next().unwrap().parse().unwrap();
        Duration::from_nanos(nanoseconds)
    }

    #[test]
    fn directories_made_later_are_watched_at_any_depth() {
        let folder = tempfile::tempdir().unwrap();
        let templates = folder.path().join("templates");
        fs::create_dir(&templates).unwrap();
        let mut list = WatchList::new(folder.path(), folder.path().join("scoter.toml"));
        list.add_asked_for(&templates);
        let (sender, mut events) = mpsc::channel(8);
        let watch = Watch::begin(list, false, sender).unwrap();
        let begun = folder.path().join("begun.py");
        fs::write(&begun, "").unwrap();
        watch.add(&[begun.to_str().unwrap().to_owned()]);
        assert_eq!(next(&mut events), begun);
        for path in [templates.join("shop"), templates.join("shop/mails")] {
            fs::create_dir(&path).unwrap();
            assert_eq!(next(&mut events), path);
            fs::write(path.join("a.html"), "").unwrap();
            assert_eq!(next(&mut events), path.join("a.html"));
        }
    }

    #[test]
    fn directory_that_is_replaced_is_watched_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("shop/views.py");
        let put = |text: &str| {
            fs::create_dir(folder.path().join("shop")).unwrap();
            fs::write(&file, text).unwrap();
        };
        put("1");
        let mut list = WatchList::new(folder.path(), folder.path().join("scoter.toml"));
        list.add(&file);
        let (sender, mut events) = mpsc::channel(8);
        let watch = Watch::begin(list, false, sender).unwrap();
        let other = folder.path().join("other.py");
        fs::write(&other, "").unwrap();
        watch.add(&[other.to_str().unwrap().to_owned()]);
        assert_eq!(next(&mut events), other);
        fs::remove_dir_all(folder.path().join("shop")).unwrap();
        assert_eq!(next(&mut events), file);
        put("2");
        next(&mut events);
        fs::write(&file, "3").unwrap();
        assert_eq!(next(&mut events), file);
    }
}
