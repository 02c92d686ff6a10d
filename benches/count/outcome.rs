//! What becomes of a count beside the one in the baseline. No file is read here.

/// More than this share worse is a failure; more than this better asks for a new baseline.
pub(crate) const BOUND: f64 = 0.05;

/// What became of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Within 5 %.
    Held,
    /// Worse by more.
    Worse,
    /// Better by more.
    Better,
    /// Not in the baseline.
    New,
}

impl Outcome {
    /// Of a count beside the one in the baseline.
    pub(crate) fn of(now: f64, then: Option<f64>) -> Self {
        match then {
            None => Self::New,
            Some(then) if now > then * (1.0 + BOUND) => Self::Worse,
            Some(then) if now < then * (1.0 - BOUND) => Self::Better,
            Some(_) => Self::Held,
        }
    }

    /// For people.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Worse => "WORSE",
            Self::Better => "better: write the new baseline",
            Self::New => "new: write the baseline",
        }
    }
}
