//! What can be wrong with a client's HTTP/1 bytes: a closed set, in our own words only. Nothing here
//! holds a byte that a client sent.

use std::fmt;

use crate::verdict::Reason;

/// Where in a request something was wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// In its head: nobody has seen any of this request, the connection's task owes the answer.
    Head,
    /// In its body: the service has the request, sees its body fail and answers.
    Body,
}

/// The first thing that was wrong, and where. After it nothing is let through any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Breach {
    /// What.
    pub violation: Violation,
    /// Where.
    pub place: Place,
}

/// Makes the enum, its list and its texts in one go.
macro_rules! violations {
    ($($name:ident $text:literal)+) => {
        /// How a request leaves the strict subset of RFC 9112 that is let through.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum Violation { $(#[doc = $text] $name,)+ }

        impl Violation {
            /// Every violation.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)+];

            /// What is wrong, for people: never a word of the client's.
            pub(crate) const fn description(self) -> &'static str { match self { $(Self::$name => $text,)+ } }
        }
    };
}

violations! {
    RequestLine "the request line is not `method target version` with single spaces"
    Method "the method is not a token of at most 32 characters"
    Target "the request target has a form or a character that it cannot have"
    TargetTooLong "the request target is too long"
    Version "the version is not `HTTP/1.1`"
    BareLineFeed "a line ends with LF alone"
    BareCarriageReturn "a CR stands alone"
    Control "a field value has a control character"
    FieldName "a header line does not begin with a field name and a colon"
    SpaceBeforeColon "white space stands before the colon of a header line"
    Fold "a header line continues the one before it"
    HostMissing "there is no `Host`"
    HostRepeated "there is more than one `Host`"
    HostForm "`Host` is not one name or address with an optional port"
    HostDiffers "the authority of the request target is not that of `Host`"
    LengthForm "`Content-Length` is not one plain decimal number"
    LengthRepeated "there is more than one `Content-Length`"
    Coding "`Transfer-Encoding` is not `chunked`, once"
    LengthAndCoding "`Content-Length` and `Transfer-Encoding` stand together"
    Expectation "`Expect` is not `100-continue`, once"
    ConnectBody "`CONNECT` has a body"
    HeadTooLarge "the head is larger than this box permits"
    TooManyFields "there are more header lines than this box permits"
    ChunkSize "a chunk does not begin with its size in hexadecimal digits"
    ChunkExtension "a chunk has an extension"
    ChunkEnd "a chunk does not end where its size says"
    TrailerName "a trailer has a field that only a head may have"
    TrailerTooLarge "the trailers are larger than this box permits"
}

impl Violation {
    /// The reason under which it is refused.
    pub(crate) const fn reason(self) -> Reason {
        if self.is_bound() { Reason::Limit } else { Reason::MalformedRequest }
    }

    const fn is_bound(self) -> bool {
        matches!(
            self,
            Self::TargetTooLong | Self::HeadTooLarge | Self::TooManyFields | Self::TrailerTooLarge
        )
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.description())
    }
}

impl std::error::Error for Violation {}

#[cfg(test)]
mod tests {
    use super::Violation;
    use crate::verdict::Reason;

    #[test]
    fn a_bound_is_a_limit_and_everything_else_malformed() {
        let bounds = [
            Violation::TargetTooLong,
            Violation::HeadTooLarge,
            Violation::TooManyFields,
            Violation::TrailerTooLarge,
        ];
        for violation in Violation::ALL {
            let expected =
                if bounds.contains(violation) { Reason::Limit } else { Reason::MalformedRequest };
            assert_eq!(violation.reason(), expected, "{violation}");
        }
    }

    #[test]
    fn descriptions_are_of_the_house_style() {
        for violation in Violation::ALL {
            let text = violation.description();
            assert!(!text.ends_with('.') && text.is_ascii(), "{text}");
            assert!(
                text.starts_with(|c: char| c.is_lowercase() || c == '`')
                    || text.starts_with("a CR")
            );
        }
    }
}
