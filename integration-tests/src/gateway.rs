use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use tokio::net::UnixListener;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tracing::level_filters::LevelFilter;
use uwsgi_http::Address;
use uwsgi_http::client::{Client as UwsgiClient, KeptConnections};
use uwsgi_http::gateway;

use crate::http::Client;
use crate::scoter::Scoter;

/// The gateway of uwsgi-http on a Unix socket in the test's own folder, in a thread, with the limits of `nginx-conf`.
#[derive(Debug)]
pub(crate) struct Gateway {
    socket: PathBuf,
    warnings: Arc<Mutex<Vec<u8>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Gateway {
    /// Starts a gateway whose server is the first socket of `scoter`, and that receives whole bodies before it asks it.
    pub(crate) fn in_front_of(scoter: &Scoter) -> Self {
        Self::start(scoter, "gateway.sock", MAX_BODY)
    }

    /// The same for a gateway that passes bodies on as they arrive, and refuses chunked ones.
    pub(crate) fn unbuffered(scoter: &Scoter) -> Self {
        Self::start(scoter, "unbuffered.sock", 0)
    }

    fn start(scoter: &Scoter, name: &str, buffered_body: usize) -> Self {
        let socket = scoter.folder().join(name);
        let client = UwsgiClient::new(Address::Unix(scoter.socket().to_owned()))
            .with_kept_connections(KeptConnections::new())
            // As nginx says it of a client on a Unix socket.
            .with_var("REMOTE_ADDR", "unix:")
            .expect("a short value");
        let gateway = gateway::Gateway::new(client)
            .with_max_body(MAX_BODY as u64)
            .with_buffered_body(buffered_body);
        let (stop, stopped) = oneshot::channel::<()>();
        let listener =
            std::os::unix::net::UnixListener::bind(&socket).expect("the test's own folder");
        listener.set_nonblocking(true).expect("a listener can be");
        let warnings = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&warnings);
        let thread = thread::spawn(move || {
            let log = tracing_subscriber::fmt()
                .with_max_level(LevelFilter::WARN)
                .with_writer(move || Log(Arc::clone(&log)))
                .finish();
            let _of_this_thread = tracing::subscriber::set_default(log);
            let runtime = Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime needs an epoll instance only");
            runtime.block_on(async {
                let listener = UnixListener::from_std(listener).expect("it does not block");
                tokio::select! {
                    () = gateway.serve(listener, std::future::pending()) => {}
                    // The test is over: nobody waits for what is under way.
                    _ = stopped => {}
                }
            });
        });
        Self {
            socket,
            warnings,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Returns a client of the gateway.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.socket)
    }

    /// Returns what it has logged as warnings and errors.
    pub(crate) fn warnings(&self) -> String {
        let warnings = self.warnings.lock().expect("nothing panics with it");
        String::from_utf8_lossy(&warnings).into_owned()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(
                ended.is_ok() || thread::panicking(),
                "the gateway has panicked"
            );
        }
    }
}

struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .expect("nothing panics with it")
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `client_max_body_size` of `nginx-conf/site.conf`.
const MAX_BODY: usize = 128 << 20;
