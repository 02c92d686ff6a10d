//! The control socket: one line of JSON asks, one line answers. What a call does is `running`'s affair; who may
//! call is the file system's (mode 0660). Every call is an entry of the ledger, with the caller's user.

mod server;
mod wire;

pub(super) use server::{Callee, Caller, Door, serve};
pub use wire::{Answer, NotReachable, Outcome, call};
