//! The page of metrics.

use std::sync::Arc;

use opentelemetry_sdk::Resource;

use super::metrics::{Extent, Published};
use super::prometheus::{Format, text};
use super::resource::resource;

/// What there is to read, at any moment.
#[derive(Clone)]
pub(super) struct Page {
    published: Published,
    extent: Extent,
    resource: Arc<Resource>,
}

impl Page {
    /// The page of what is published.
    pub(super) fn new(published: Published, extent: Extent) -> Self {
        Self { published, extent, resource: Arc::new(resource()) }
    }

    /// What all read.
    pub(super) fn text(&self) -> String {
        self.text_as(Format::Text)
    }

    /// The same in a format.
    pub(super) fn text_as(&self, format: Format) -> String {
        text(&self.published.load(), &self.resource, self.extent.detail(), format)
    }
}
