//! How one subject stands beside others, round by round, and what is asked of it. Figures in, figures out.

use crate::figure::median;

/// What the ratio to the best of the others should come to: at least where more is better, else at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bar {
    /// What it must come to.
    pub(crate) first: f64,
    /// What it should come to.
    pub(crate) goal: f64,
}

impl Bar {
    /// How far a ratio comes.
    pub(crate) fn reached(self, ratio: f64, is_more_better: bool) -> &'static str {
        let holds = |asked: f64| if is_more_better { ratio >= asked } else { ratio <= asked };
        match (holds(self.goal), holds(self.first)) {
            (true, _) => "goal",
            (false, true) => "first bar",
            (false, false) => "missed",
        }
    }
}

/// Round by round.
pub(crate) fn ratios(ours: &[f64], theirs: &[f64]) -> Vec<f64> {
    ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect()
}

/// The one with the best median.
pub(crate) fn best(all: &[Vec<f64>], is_more_better: bool) -> Option<&[f64]> {
    let sign = if is_more_better { 1.0 } else { -1.0 };
    let worth = |figures: &&Vec<f64>| sign * median((*figures).clone());
    all.iter().max_by(|one, other| worth(one).total_cmp(&worth(other))).map(Vec::as_slice)
}
