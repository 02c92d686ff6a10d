//! x
use crate::flow::Request;
use http::request::Parts;
use std::net::IpAddr;
pub(super) fn request(_p: &mut Parts, _r: &Request, _c: IpAddr, _n: &str) {}
pub(super) fn response<B>(_r: &mut http::Response<B>, _n: &str, _h1: bool) {}
pub(super) fn target(_p: &mut Parts, _r: &Request, _h2: bool) {}
