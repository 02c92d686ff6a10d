//! What a client sends upstream is counted while it goes: for the connection and for its rule.

use std::rc::Rc;
use std::sync::Arc;

use super::body::Count;
use super::connection::Connection;
use crate::metrics::RuleMetrics;

/// Counts the request bytes of a connection under a rule.
#[derive(Debug)]
pub(super) struct Upward {
    connection: Rc<Connection>,
    metrics: Arc<RuleMetrics>,
}

impl Upward {
    pub(super) fn new(connection: &Rc<Connection>, metrics: &Arc<RuleMetrics>) -> Self {
        Self { connection: Rc::clone(connection), metrics: Arc::clone(metrics) }
    }
}

impl Count for Upward {
    fn count(&self, bytes: u64) {
        if bytes > 0 {
            self.connection.count_to_upstream(bytes);
            self.metrics.to_upstream(bytes);
        }
    }
}
