//! sekisho (関所): a checkpoint for the line between a public insurance union and the national intermediate server.

pub mod appliance;
pub mod cli;
pub mod flow;
pub mod lab;
pub mod ledger;
pub mod metrics;
pub mod policy;
pub mod proxy;
pub mod service;
pub mod source;
pub mod standin;
pub mod tls;
pub mod verdict;
pub mod yaml;
