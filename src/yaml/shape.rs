//! What may stand in a file as JSON Schema (draft 2020-12), for editors. It is made of the same lists of keys and words
//! that the reader goes by; what a pattern cannot say the reader alone knows.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use serde_json::{Map, Value, json};

use super::read::{At, Named, Nullable};
use super::value::{Count, Moment, Size, Version, Word};
use crate::flow::{Host, Identity, Method, Name};

/// What has a schema.
pub(crate) trait Shape {
    /// Its schema.
    fn shape() -> Value;
}

/// One key of a mapping.
#[derive(Debug)]
pub(crate) struct KeyShape {
    /// The key.
    pub(crate) key: &'static str,
    /// `required` or `optional`.
    pub(crate) need: &'static str,
    /// What it says, as the documentation comment has it.
    pub(crate) note: &'static str,
    /// What may stand there.
    pub(crate) shape: Value,
}

/// A whole document's schema.
pub(crate) fn document<T: Shape>(title: &str, id: &str) -> Value {
    let mut schema = T::shape();
    if let Some(object) = schema.as_object_mut() {
        object.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        object.insert("$id".to_owned(), json!(id));
        object.insert("title".to_owned(), json!(title));
    }
    schema
}

/// A mapping with these keys and no others.
pub(crate) fn mapping_shape(doc: &str, keys: Vec<KeyShape>) -> Value {
    let required: Vec<_> =
        keys.iter().filter(|it| it.need == "required").map(|it| it.key).collect();
    let properties: Map<String, Value> =
        keys.into_iter().map(|it| (it.key.to_owned(), described(it.shape, it.note))).collect();
    let mut schema = json!({
        "type": "object",
        "description": doc.trim(),
        "properties": properties,
        "additionalProperties": false,
    });
    if let Some(object) = schema.as_object_mut().filter(|_| !required.is_empty()) {
        object.insert("required".to_owned(), json!(required));
    }
    schema
}

/// The words at a key say more than those of its kind.
fn described(mut shape: Value, note: &str) -> Value {
    if let Some(object) = shape.as_object_mut() {
        object.insert("description".to_owned(), json!(note.trim()));
    }
    shape
}

/// A text of this form.
pub(crate) fn text(description: &str, pattern: &str) -> Value {
    json!({ "type": "string", "description": description, "pattern": pattern })
}

impl<T: Shape> Shape for At<T> {
    fn shape() -> Value {
        T::shape()
    }
}

impl<T: Shape> Shape for Vec<T> {
    fn shape() -> Value {
        json!({ "type": "array", "items": T::shape(), "minItems": 1 })
    }
}

impl<T: Shape> Shape for Nullable<T> {
    fn shape() -> Value {
        json!({ "anyOf": [T::shape(), { "type": "null" }] })
    }
}

impl<T: Shape> Shape for Named<T> {
    fn shape() -> Value {
        json!({
            "type": "object",
            "propertyNames": { "pattern": NAME },
            "additionalProperties": T::shape(),
        })
    }
}

impl<W: Word> Shape for W {
    fn shape() -> Value {
        let words: Vec<_> = W::WORDS.iter().map(|(word, _)| *word).collect();
        json!({ "enum": words, "description": W::DUE })
    }
}

/// As [`Name::parse`] takes it.
const NAME: &str = "^[a-z][a-z0-9-]*$";

impl Shape for Name {
    fn shape() -> Value {
        text("a name", NAME)
    }
}

impl Shape for String {
    fn shape() -> Value {
        text("a text", r"\S")
    }
}

impl Shape for bool {
    fn shape() -> Value {
        json!({ "type": "boolean" })
    }
}

impl Shape for Count {
    fn shape() -> Value {
        json!({ "type": "integer", "minimum": 1, "maximum": u32::MAX })
    }
}

impl Shape for Version {
    fn shape() -> Value {
        json!({ "const": 1 })
    }
}

impl Shape for Duration {
    fn shape() -> Value {
        let kind = "a duration such as `250ms`, `10s`, `5m`, `72h`, `30d` or `7y`";
        text(kind, "^[1-9][0-9]*(ms|s|m|h|d|y)$")
    }
}

impl Shape for Size {
    fn shape() -> Value {
        text("a size such as `64KiB`", "^[1-9][0-9]*(B|KiB|MiB|GiB|TiB)$")
    }
}

impl Shape for Moment {
    fn shape() -> Value {
        let kind = "a date such as `2020-06-15` or a time such as `2020-06-15T09:00:00+09:00`";
        text(kind, "^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ].+)?$")
    }
}

impl Shape for Host {
    fn shape() -> Value {
        text("a host name", r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?\.?$")
    }
}

impl Shape for Identity {
    fn shape() -> Value {
        text("an identity such as `dns:a.example`", "^(dns|uri|spki-sha256):.+$")
    }
}

impl Shape for Method {
    fn shape() -> Value {
        text("an HTTP method", "^[!#$%&'*+.^_`|~0-9A-Z-]{1,32}$")
    }
}

impl Shape for IpAddr {
    fn shape() -> Value {
        text("an IPv4 or IPv6 address", "^[0-9A-Fa-f:.]+$")
    }
}

impl Shape for IpNet {
    fn shape() -> Value {
        text("an address, or a prefix such as `10.13.10.0/26`", "^[0-9A-Fa-f:.]+(/[0-9]+)?$")
    }
}

impl Shape for SocketAddr {
    fn shape() -> Value {
        text(
            "an address with a port such as `10.200.1.10:443`",
            r"^([0-9.]+|\[[0-9A-Fa-f:.]+\]):[0-9]+$",
        )
    }
}
