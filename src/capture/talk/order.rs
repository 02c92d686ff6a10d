//! The order of TCP sequence numbers, which run in a circle.

/// Order of sequence numbers (RFC 9293 §3.4).
pub(super) const fn is_before(one: u32, other: u32) -> bool {
    one.wrapping_sub(other).cast_signed() < 0
}

/// The later of two.
pub(super) const fn later(one: u32, other: u32) -> u32 {
    if is_before(one, other) { other } else { one }
}

/// The earlier of two.
pub(super) const fn earlier(one: u32, other: u32) -> u32 {
    if is_before(one, other) { one } else { other }
}
