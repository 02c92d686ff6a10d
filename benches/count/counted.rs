//! Which instructions are counted: this program's own, its libraries' and the C library's. Left out is what depends on
//! the processor: cryptography, and whatever is chosen by the processor's features when the program starts.

/// How the C library and libraries in Rust name what they have for one kind of processor.
const CHOSEN: [&str; 10] =
    ["_avx", "_sse", "_ssse", "_evex", "_erms", "avx2", "sse2", "sse42", "ssse3", "::simd::"];

/// What an instruction belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// It is counted.
    Counted,
    /// AWS-LC: all that is in the program and not Rust.
    Cryptography,
    /// Code for one kind of processor: copies, comparisons, searches.
    Chosen,
    /// The dynamic linker and what has no name.
    Loader,
}

impl Kind {
    /// What the instructions of `function` in the file `object` belong to.
    pub(crate) fn of(object: &str, function: &str) -> Self {
        if CHOSEN.iter().any(|mark| function.contains(mark)) {
            Self::Chosen
        } else if object.contains("/ld-linux") || object.contains("vgpreload") || object.is_empty()
        {
            Self::Loader
        } else if object.contains(".so") || is_rust(function) {
            Self::Counted
        } else {
            Self::Cryptography
        }
    }

    /// For people.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Counted => "counted",
            Self::Cryptography => "left out: cryptography (C and assembly)",
            Self::Chosen => "left out: chosen by the processor's features",
            Self::Loader => "left out: loader and unnamed",
        }
    }
}

/// A name in Rust has a path; one in C has none.
fn is_rust(function: &str) -> bool {
    function.contains("::")
}
