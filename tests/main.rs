//! The one integration binary: a real service, real sockets, stand-ins around it. What it knows it has from outside:
//! answers, the ledger's files, the metrics, what the upstreams saw.
#![cfg(test)]

mod capture;
mod decision;
mod fixture;
mod flood;
mod http;
mod life;
mod limit;
mod observe;
mod relay;
mod reload;
mod silence;
mod switch;
mod upstream;
mod wire;
