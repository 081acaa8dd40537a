//! Who speaks: the resource of all telemetry (OpenTelemetry semantic conventions).

use std::collections::BTreeMap;

use opentelemetry::{KeyValue, Value};
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::{common, resource::v1::Resource as Encoded};
use opentelemetry_sdk::Resource;

use crate::host::identity::name;

/// `false` where nothing vouches for the times, and absent where something does.
pub(super) const VERIFIED: &str = "time.verified";

/// The resource as it is known at the start. `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME` win.
pub fn resource() -> Resource {
    let own = [
        KeyValue::new("service.name", "skewguard"),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("host.name", name()),
    ];
    // The SDK calls a service that nobody named by a name of its own; that must not win.
    let is_given = |key: &str, value: &Value| key != "service.name" || !value.as_str().starts_with("unknown_service");
    let by_environment = Resource::builder().build();
    let given = by_environment
        .iter()
        .filter(|(key, value)| is_given(key.as_str(), value))
        .map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    Resource::builder_empty().with_attributes(own).with_attributes(given).build()
}

/// Adds what was learnt later to an encoded resource; what is there already wins.
pub(super) fn complete(resource: &mut Encoded, host: &BTreeMap<String, String>) {
    for (key, value) in host {
        if !resource.attributes.iter().any(|attribute| attribute.key == *key) {
            push(resource, key, any_value::Value::StringValue(value.clone()));
        }
    }
}

/// Says that all times in what this resource sends are the system clock's, right or wrong. Without this attribute they are
/// true.
pub(super) fn mark_unverified(resource: &mut Encoded) {
    push(resource, VERIFIED, any_value::Value::BoolValue(false));
}

fn push(resource: &mut Encoded, key: &str, value: any_value::Value) {
    let value = Some(AnyValue { value: Some(value) });
    resource.attributes.push(common::v1::KeyValue { key: key.to_owned(), value, ..Default::default() });
}
