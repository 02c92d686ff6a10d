//! sekisho (関所): a checkpoint for the line between a Japanese public medical-insurance union and the national
//! intermediate server. One written law answers every flow; nothing passes unjudged, nothing passes unrecorded.
//!
//! # The life of a connection
//!
//! ```text
//! accept ─ bounds ─ arrival judged ─ TLS, ClientHello judged ─ certificate judged ─ *opened* on disk
//!   └─ request judged with each candidate address ─ *dialled* on disk ─ connect, TLS, peer judged
//!        └─ *request* recorded ─ permit ─ sent ─ counted while it lives ─ *closed*
//! ```
//!
//! # The layers, from the floor up; imports go downward only (`tests/architecture.rs`)
//!
//! | layer | modules |
//! |---|---|
//! | 0 | [`flow`] what happened; [`yaml`] texts with places, faults |
//! | 1 | [`verdict`] answers and reasons; [`appliance`] the box |
//! | 2 | [`policy`] written → meant → runs, explained, compared, its schema, its kernel ruleset; [`ledger`]; [`metrics`] |
//! | 3 | [`tls`] both legs; [`source`] the only reader of laws and certificates; [`capture`] recorded traffic; [`report`] the council's; [`standin`] peers for the lab and the self-test |
//! | 4 | [`proxy`] the life of a connection |
//! | 5 | [`service`] the life of the process |
//! | 6 | [`lab`] drives the service from outside |
//! | 7 | [`cli`] one file a sub-command; the only place that prints |
//!
//! # Invariants, said by what is absent
//!
//! - One judge: nothing but [`policy::Engine::decide`] makes an allow.
//! - No byte goes upstream without a [`proxy::RequestPermit`] or [`proxy::DialPermit`]; no permit comes but from a
//!   [`ledger::Receipt`]; no receipt but from the ledger.
//! - No clock, runtime, socket or file in `flow yaml verdict appliance policy`.
//! - No TLS session is resumed, on either leg.
//! - No text that a client sent enters ledger, log, metrics or refusals but as [`policy::Masked`].

pub mod appliance;
pub mod capture;
pub mod cli;
pub mod flow;
pub mod lab;
pub mod ledger;
pub mod metrics;
pub mod policy;
pub mod proxy;
pub mod report;
pub mod service;
pub mod source;
pub mod standin;
pub mod tls;
pub mod verdict;
pub mod yaml;
