//! `sekisho reason CODE`: what a reason means, in both languages.

use std::process::ExitCode;

use clap::Args;

use super::{NOT_RUN, complain, show};
use crate::verdict::Reason;
use crate::yaml::suggest;

/// Which reason.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A code as it stands in the ledger, the metrics and refusals, e.g. `reverse_access`
    code: String,
}

/// Prints it; exit code 2 where there is no such code.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match explain(&arguments.code) {
        Ok(text) => {
            show(&text);
            ExitCode::SUCCESS
        }
        Err(text) => {
            complain(&text);
            ExitCode::from(NOT_RUN)
        }
    }
}

fn explain(code: &str) -> Result<String, String> {
    let reason = Reason::from_code(code).ok_or_else(|| unknown(code))?;
    let (japanese, english) = (reason.japanese(), reason.english());
    Ok(format!("{reason}  {}\n{japanese}\n{english}", status(reason)))
}

/// Most reasons have one status; for two it depends on where the bound was hit.
fn status(reason: Reason) -> String {
    let others = [(reason.header_status(), "head of a request too large"), (reason.upstream_status(), "upstream")];
    let differing = others.into_iter().filter(|(status, _)| *status != reason.status());
    differing.fold(format!("HTTP {}", reason.status()), |text, (status, when)| format!("{text}, {status} ({when})"))
}

fn unknown(code: &str) -> String {
    let codes = || Reason::ALL.iter().map(|reason| reason.code());
    match suggest(code, codes()) {
        Some(near) => format!("no reason `{code}`; did you mean `{near}`?"),
        None => format!("no reason `{code}`; there are {}", codes().collect::<Vec<_>>().join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::explain;
    use crate::verdict::Reason;

    #[test]
    fn a_reason_is_explained_in_both_languages() {
        assert_eq!(
            explain("method").unwrap(),
            "method  HTTP 403\nこの規則では認められていないHTTPメソッドです\nthe method is not in the rule"
        );
        assert!(explain("timeout").unwrap().starts_with("timeout  HTTP 408, 504 (upstream)\n"));
        assert!(explain("limit").unwrap().starts_with("limit  HTTP 503, 431 (head of a request too large)\n"));
        for reason in Reason::ALL {
            assert!(explain(reason.code()).is_ok());
        }
    }

    #[test]
    fn an_unknown_code_is_met_with_the_nearest() {
        assert_eq!(explain("methode").unwrap_err(), "no reason `methode`; did you mean `method`?");
        assert!(explain("弁当").unwrap_err().ends_with("upstream_failed draining"));
    }
}
