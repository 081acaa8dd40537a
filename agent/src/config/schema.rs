//! The JSON schema of the configuration, for editors and for those who generate it.

use super::raw;

/// The JSON schema of the configuration as it is written, indented, with a newline at its end.
pub fn schema() -> String {
    let schema = schemars::schema_for!(raw::Config);
    format!("{:#}\n", schema.as_value())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_described() {
        fn visit(value: &serde_json::Value, name: &str) {
            if let Some(properties) = value.get("properties").and_then(serde_json::Value::as_object) {
                for (key, property) in properties {
                    assert!(property.get("description").is_some(), "{name}.{key} has no description");
                    visit(property, &format!("{name}.{key}"));
                }
                assert_eq!(value["additionalProperties"], false, "{name}");
            }
        }
        let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
        visit(&schema, "the root");
        for (name, definition) in schema["$defs"].as_object().unwrap() {
            visit(definition, name);
        }
    }
}
