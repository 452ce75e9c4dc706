//! What all fakes are: somebody's knowledge behind a [`Server`].

use std::{fmt, io, sync::Arc};

use axum::Router;

use crate::{
    faults::Faults,
    server::{Counts, Dialect, Listen, Server},
};

/// A vendor's service that can be faked.
pub trait Vendor: fmt::Debug + Send + Sync + Sized + 'static {
    /// How the service behaves.
    type Settings: Default;
    /// What there is at first.
    type Contents: Default;
    /// How its operations are called and its errors look.
    const DIALECT: Dialect;

    /// A service that knows what `contents` says.
    fn new(listen: &Listen, settings: Self::Settings, contents: Self::Contents) -> Self;
    /// What its clients see.
    fn service(self: Arc<Self>) -> Router;
    /// What a test or a demo may do to it from another process, below `/_fake/`.
    fn controls(self: Arc<Self>) -> Router;
}

/// A running fake. It goes down when it is dropped.
#[derive(Debug)]
pub struct Fake<V> {
    pub(crate) vendor: Arc<V>,
    server: Server,
}

impl<V: Vendor> Fake<V> {
    /// An empty fake at a free port of this machine.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn start() -> io::Result<Self> {
        Self::start_with(Listen::default(), V::Settings::default(), V::Contents::default())
    }

    /// A fake made to measure.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn start_with(listen: Listen, settings: V::Settings, contents: V::Contents) -> io::Result<Self> {
        let vendor = Arc::new(V::new(&listen, settings, contents));
        let (service, controls) = (Arc::clone(&vendor).service(), Arc::clone(&vendor).controls());
        let server = Server::start(listen, V::DIALECT, service, controls)?;
        Ok(Self { vendor, server })
    }

    /// Its address, without a path. It stands for the addresses of all services of the vendor.
    pub fn url(&self) -> &str {
        self.server.url()
    }

    /// Calls by operation; what is none counts as `unknown`.
    pub fn counts(&self) -> &Counts {
        self.server.counts()
    }

    /// What goes wrong, by operation.
    pub fn faults(&self) -> &Faults {
        self.server.faults()
    }

    /// The server, to take it down and up.
    pub fn server(&self) -> &Server {
        &self.server
    }
}
