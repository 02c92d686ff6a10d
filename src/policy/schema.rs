//! The language of the law as JSON Schema. It is made of the document types themselves; only their tests are here.

use serde_json::Value;

use super::document::PolicyText;
use crate::yaml::schema as document;

/// The schema of one file of the law (JSON Schema, draft 2020-12).
pub fn schema() -> Value {
    document::<PolicyText>("A file of a law of sekisho", "urn:sekisho:law:1")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use serde_json::Value;

    use super::schema;
    use crate::policy::document::parse;
    use crate::yaml::{Faults, SourceFile};

    /// A key that nothing is called like.
    const NOBODY: &str = "qqqqqqqqqqqqqqqqqqqqqqqqqqq";

    /// The keys that the reader knows where `around` puts a mapping; it tells them when it meets one it does not know.
    fn known(around: &str) -> BTreeSet<String> {
        let text = around.replace("HERE", &format!("{{ {NOBODY}: 1 }}"));
        let file = SourceFile { name: Arc::from("a.yaml"), bytes: text.as_bytes().into() };
        let mut faults = Faults::new();
        drop(parse(&file, &mut faults));
        let told = faults.0.iter().find(|fault| fault.message.contains(NOBODY));
        let remedy = told
            .and_then(|fault| fault.remedy.clone())
            .unwrap_or_else(|| panic!("{text}: {faults:?}"));
        remedy.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    fn properties(shape: &Value) -> BTreeSet<String> {
        shape["properties"].as_object().unwrap().keys().cloned().collect()
    }

    /// Compares every mapping under `shape` with the reader; gives how many there were.
    fn compare(shape: &Value, around: &str) -> usize {
        if let Some(own) = shape["properties"].as_object() {
            assert_eq!(properties(shape), known(around), "{around}");
            let below = own.iter().map(|(key, shape)| {
                compare(shape, &around.replace("HERE", &format!("{{ {key}: HERE }}")))
            });
            return 1 + below.sum::<usize>();
        }
        if shape["additionalProperties"].is_object() {
            let inside = around.replace("HERE", "{ a-name: HERE }");
            return compare(&shape["additionalProperties"], &inside);
        }
        if shape["items"].is_object() {
            return compare(&shape["items"], &around.replace("HERE", "[HERE]"));
        }
        0
    }

    #[test]
    fn every_key_that_one_of_schema_and_reader_knows_is_known_to_the_other() {
        assert_eq!(compare(&schema(), "HERE"), 23);
    }

    #[test]
    fn every_mapping_is_closed_and_every_key_is_explained() {
        fn look(shape: &Value) {
            if let Some(own) = shape["properties"].as_object() {
                assert_eq!(shape["additionalProperties"], false);
                for (key, below) in own {
                    assert!(below["description"].as_str().is_some_and(|it| it.len() > 3), "{key}");
                    look(below);
                }
            }
            for inside in ["items", "additionalProperties"] {
                if shape[inside].is_object() {
                    look(&shape[inside]);
                }
            }
        }
        look(&schema());
    }

    #[test]
    fn the_schemas_beside_the_shipped_laws_are_these() {
        let shipped = include_str!("../../policies/law.schema.json");
        assert_eq!(
            shipped,
            format!("{:#}\n", schema()),
            "sekisho schema > policies/law.schema.json"
        );
        let shipped = include_str!("../../policies/box.schema.json");
        let made = crate::appliance::schema();
        assert_eq!(shipped, format!("{made:#}\n"), "sekisho schema box > policies/box.schema.json");
    }
}
