//! What the operator typed, with its places: bytes → [`Node`] → typed values, and the faults that teach. Nothing
//! here knows what a key means.
//!
//! `parse` is the only file that knows the YAML crate. It is used at the level of events: a `serde` reader ends at the
//! first mistake of a file, forgets whether a value was quoted and names one place of a duplicate; here all mistakes
//! of all files are found in one go, each at its place.

mod address;
mod compare;
mod fault;
mod node;
mod parse;
mod place;
mod read;
mod render;
mod shape;
mod value;

pub use compare::{folded, suggest};
pub use fault::{Fault, Faults, Severity};
pub use place::{Place, SourceFile};

pub(crate) use fault::{duplicate, unknown_name};
pub(crate) use node::{Kind, Node};
pub(crate) use parse::parse;
pub(crate) use place::joined;
pub(crate) use read::{At, Keys, Mapped, Named, Nullable, Read, mapping};
pub(crate) use shape::{KeyShape, Shape, document as schema, mapping_shape, text as text_shape};
pub(crate) use value::{
    Count, Moment, Scalar, Size, Version, Word, Written, Wrong, quoted, unknown_word,
};
