//! The metrics on this host, for those who come and read them: Prometheus, and node_exporter.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio_util::sync::CancellationToken;

use super::metrics::{Extent, Published};
use super::page::Page;
use super::settings::Telemetry;
use super::{scrape, textfile};
use crate::time::Span;
use crate::vitals::{Ailment, Task};

/// All places where the metrics can be read.
pub struct Exposition {
    page: Page,
    listener: Option<(SocketAddr, Task)>,
    file: Option<(PathBuf, Task, CancellationToken)>,
}

impl Exposition {
    /// None yet.
    pub fn new(published: Published, extent: Extent) -> Self {
        Self { page: Page::new(published, extent), listener: None, file: None }
    }

    /// Has the metrics be read where these settings say, and nowhere else.
    pub async fn adopt(&mut self, settings: &Telemetry) {
        if self.listener.as_ref().map(|(address, _)| *address) != settings.listen {
            self.end_listener();
            self.listener = settings.listen.map(|address| {
                let page = self.page.clone();
                (address, Task::spawn("metrics page", |pulse| scrape::serve(address, page, pulse)))
            });
        }
        if self.file.as_ref().map(|(path, ..)| path) != settings.textfile.as_ref() {
            self.end_file().await;
            self.file = settings.textfile.clone().map(|path| {
                let (page, end) = (self.page.clone(), CancellationToken::new());
                let write = |pulse| textfile::write(path.clone(), page, end.clone(), pulse);
                let task = Task::spawn("metrics file", write);
                (path, task, end)
            });
        }
    }

    /// What is wrong with the tasks at `now`.
    pub fn ailment(&self, now: Span) -> Option<Ailment> {
        let listener = self.listener.as_ref().and_then(|(_, task)| task.ailment(now));
        listener.or_else(|| self.file.as_ref().and_then(|(_, task, _)| task.ailment(now)))
    }

    /// Has the metrics be read nowhere any more.
    pub async fn end(mut self) {
        self.end_listener();
        self.end_file().await;
    }

    fn end_listener(&mut self) {
        if let Some((_, task)) = self.listener.take() {
            task.abort();
        }
    }

    async fn end_file(&mut self) {
        if let Some((_, task, end)) = self.file.take() {
            end.cancel();
            task.join().await;
        }
    }
}
