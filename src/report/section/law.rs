//! What is written: the interconnection record, rules and their approvals, clause by clause, documents, and what lies
//! outside of all this.

use maud::{Markup, html};

use crate::policy::model::{Approval, IndividualNumber, Interconnection, Rule};
use crate::report::Council;
use crate::report::clause::{CLAUSES, Clause, OUTSIDE};
use crate::report::standing::{Speaker, Standing};

use super::facts;

pub(in crate::report) fn interconnection(council: &Council<'_>) -> Markup {
    let lang = council.lang;
    let model = council.law.engine.model();
    let Interconnection {
        business_number,
        section,
        name,
        purpose,
        counterparties,
        categories,
        connection_date,
        place: _,
    } = &model.interconnection;
    let number = business_number.as_deref().unwrap_or_else(|| lang.of("記載なし", "blank"));
    let separator = lang.of("、", ", ");
    let categories: Vec<_> = categories.iter().map(|code| category(lang, code)).collect();
    html! {
        h2 { "2. " (lang.of("電算結合記録票と規則", "The interconnection record and the rules")) }
        (facts(&[
            (lang.of("業務登録番号", "business number"), html! { (number) }),
            (lang.of("所管", "section"), html! { (section) }),
            (lang.of("名称", "name"), html! { (name) }),
            (lang.of("目的", "purpose"), html! { (purpose) }),
            (lang.of("結合年月日", "connection date"), html! { (council.clock().date(*connection_date)) }),
            (lang.of("相手方", "counterparties"), html! { (counterparties.join(separator)) }),
            (lang.of("データの種類", "categories of data"), html! { (categories.join(separator)) }),
        ]))
        h3 { (lang.of("規則と、その根拠となる諮問", "Each rule and the consultation it stands on")) }
        table {
            thead { tr {
                th style="width:24%" { (lang.of("規則", "rule")) }
                th style="width:30%" { (lang.of("通信元 → 宛先", "from → to")) }
                th { (lang.of("内容", "what")) }
                th style="width:26%" { (lang.of("諮問・答申", "consultation, opinion")) }
            } }
            @for (name, rule) in &model.rules { (rule_row(council, name.as_str(), rule)) }
        }
    }
}

fn category(lang: crate::report::lang::Lang, code: &str) -> String {
    match code {
        "basic" => lang.of("基本情報", "basic").to_owned(),
        "economic" => lang.of("経済情報", "economic").to_owned(),
        "health" => lang.of("健康情報", "health").to_owned(),
        "individual_number" => lang.of("個人番号", "individual number").to_owned(),
        other => other.to_owned(),
    }
}

fn rule_row(council: &Council<'_>, name: &str, rule: &Rule) -> Markup {
    let lang = council.lang;
    let from: Vec<_> = rule.from.iter().map(|name| council.system(name)).collect();
    let approval = council.law.engine.model().approvals.get(&rule.approval);
    html! {
        tr {
            td { (council.rule(name)) }
            td { (from.join(lang.of("、", ", "))) " → " (council.system(&rule.to)) }
            td { (content(council, rule)) }
            td { @if let Some(approval) = approval { (approved(council, approval)) } }
        }
    }
}

fn content(council: &Council<'_>, rule: &Rule) -> Markup {
    let lang = council.lang;
    let protocol = rule.protocol.as_str();
    let methods = rule.http.iter().flat_map(|http| &http.methods);
    let methods: Vec<_> = methods.map(crate::flow::Method::as_str).collect();
    let numbers = match rule.individual_number {
        IndividualNumber::Permitted => lang.of("個人番号：可", "individual numbers: permitted"),
        IndividualNumber::Forbidden => lang.of("個人番号：不可", "individual numbers: forbidden"),
        IndividualNumber::Unseen => {
            lang.of("個人番号：検査しない", "individual numbers: not looked at")
        }
    };
    html! { p { (protocol) " " (methods.join(" ")) } p { (numbers) } }
}

fn approved(council: &Council<'_>, approval: &Approval) -> Markup {
    let lang = council.lang;
    let since = approval.period.since.map(|since| council.clock().date(since));
    let opinion = approval.opinion.as_deref();
    html! {
        p { (approval.consultation) }
        p { (opinion.unwrap_or_else(|| lang.of("答申の記録なし", "no opinion is recorded"))) }
        @if let Some(since) = since { p class="small" { (since) (lang.of("から", " on")) } }
        @if let Some(until) = approval.period.until { p class="small" { (council.until(until)) } }
    }
}

pub(in crate::report) fn clauses(council: &Council<'_>) -> Markup {
    let lang = council.lang;
    let speaker = Speaker::new(council);
    html! {
        h2 { "4. " (lang.of("条項ごとの状況", "Clause by clause")) }
        p { (lang.of(
            "4(1)はクラウドサービスについての条項です。本装置にできるのは、自区間でその趣旨に準じた措置をとることまでで、クラウドが条項のとおりであるかどうかは、この報告書では分かりません。",
            "Section 4(1) speaks of the cloud service. This box can take measures in line with it on its own segment; whether the cloud is as the clause says, this report cannot tell.",
        )) }
        table class="clause" {
            thead { tr {
                th style="width:11%" { (lang.of("条項", "clause")) }
                th style="width:20%" { (lang.of("求めていること", "what it asks")) }
                th style="width:13%" { (lang.of("責任", "whose duty")) }
                th style="width:22%" { (lang.of("措置（規則で強制）", "measure, enforced")) }
                th style="width:19%" { (lang.of("期間中の実績", "operated in the period")) }
                th { (lang.of("証跡", "evidence")) }
            } }
            @for clause in CLAUSES { (clause_row(council, clause, &speaker.standing(clause))) }
        }
    }
}

fn clause_row(council: &Council<'_>, clause: &Clause, standing: &Standing) -> Markup {
    let lang = council.lang;
    let in_line = clause.duty.is_anothers() && !standing.enforced.is_empty();
    html! {
        tr {
            td { (clause.number) }
            td { (clause.asks.of(lang)) }
            td { p { (clause.duty.text(lang)) } p { span class="mark" { (clause.reach.text(lang)) } } }
            td {
                @if in_line { p { span class="mark" { (lang.of("準じた措置", "in line with it")) } } }
                p { (clause.how.of(lang)) }
                @for text in &standing.enforced { p { (text) } }
            }
            td { (lines(&standing.operated)) }
            td { (lines(&standing.evidence)) }
        }
    }
}

fn lines(texts: &[String]) -> Markup {
    html! {
        @if texts.is_empty() { "—" }
        @for text in texts { p { (text) } }
    }
}

pub(in crate::report) fn documents(council: &Council<'_>) -> Markup {
    let lang = council.lang;
    let documents = &council.law.engine.model().documents;
    html! {
        h2 { "10. " (lang.of("登録された文書", "Registered documents")) }
        @if documents.is_empty() { p { (lang.of("登録された文書はありません。", "No document is registered.")) } }
        @else {
            table {
                thead { tr {
                    th { (lang.of("文書", "document")) }
                    th style="width:18%" { (lang.of("条項", "clause")) }
                    th style="width:32%" { (lang.of("保管", "kept")) }
                    th style="width:20%" { (lang.of("期限", "until")) }
                } }
                @for (name, document) in documents {
                    tr {
                        td { (document.title.as_deref().unwrap_or_else(|| name.as_str())) }
                        td { (document.clause) }
                        td { (document.reference) }
                        td { @match document.until {
                            Some(until) => (council.until(until)),
                            None => (lang.of("期限の登録なし", "none registered")),
                        } }
                    }
                }
            }
        }
        p class="small" { (lang.of(
            "文書の内容は、この報告書では確かめていません。",
            "What the documents say was not examined for this report.",
        )) }
    }
}

pub(in crate::report) fn outside(council: &Council<'_>) -> Markup {
    let lang = council.lang;
    html! {
        h2 { "11. " (lang.of("本装置では分からないこと", "What this box cannot tell")) }
        ul { @for text in OUTSIDE { li { (text.of(lang)) } } }
    }
}
