//! Tests of the whole way from bytes to connections, over captures written here.

mod bound;
mod connection;
mod damage;
mod decoding;
mod packet;
mod reading;
mod store;
mod talk;
mod truth;
