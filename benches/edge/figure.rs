//! Figures as people read them: medians, percentiles, one plain table. No measuring.

use std::fmt;
use std::time::Duration;

/// The value that the share `part` of the samples does not exceed (nearest rank); 0 of none.
pub(crate) fn percentile(sorted: &[Duration], part: f64) -> Duration {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rank among samples in memory"
    )]
    let rank = (part * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).or_else(|| sorted.last()).copied().unwrap_or_default()
}

/// The middle one, of an even number the mean of the middle two; 0 of none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let upper = values.get(values.len() / 2).copied().unwrap_or_default();
    let lower = values.get((values.len().saturating_sub(1)) / 2).copied().unwrap_or_default();
    f64::midpoint(lower, upper)
}

/// Microseconds.
pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// A count as a figure to divide.
#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark stay far below 2^52")]
pub(crate) const fn float(count: u64) -> f64 {
    count as f64
}

/// `median (least to most)`; alone where there is one.
pub(crate) fn range(values: &[f64], digits: usize) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    let middle = median(values.to_vec());
    if values.len() < 2 {
        format!("{middle:.digits$}")
    } else {
        format!("{middle:.digits$} ({least:.digits$} to {most:.digits$})")
    }
}

/// Rows under a head, the first column to the left, the others to the right.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with only its head.
    pub(crate) fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(|cell| (*cell).to_owned()).collect()] }
    }

    /// One more row.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The same as Markdown.
    pub(crate) fn markdown(&self) -> String {
        let line = |row: &Vec<String>| format!("| {} |\n", row.join(" | "));
        let mut text: String = self.rows.iter().map(line).collect();
        let columns = self.rows.first().map_or(0, Vec::len);
        let head = text.find('\n').map_or(0, |end| end + 1);
        text.insert_str(head, &format!("|---|{}\n", "---:|".repeat(columns.saturating_sub(1))));
        text
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.rows {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let width = self.width(column);
                line += if column == 0 { "" } else { "   " };
                let space = " ".repeat(width - cell.chars().count());
                let (before, after) =
                    if column == 0 { ("", space.as_str()) } else { (space.as_str(), "") };
                line.extend([before, cell, after]);
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}
