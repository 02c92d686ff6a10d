//! x
use crate::verdict::Reason;
use bytes::Bytes;
pub(super) struct Refusal {
    pub reason: Reason,
    pub status: u16,
    pub reference: Option<String>,
}
impl Refusal {
    pub fn response(&self, _h1: bool) -> http::Response<Bytes> {
        todo!()
    }
    pub fn bytes(&self) -> Vec<u8> {
        todo!()
    }
}
