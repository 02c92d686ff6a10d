//! How the lab's findings look: one row a line, wide text last, so that columns align.

use std::io::{self, Write};

use super::row::{Found, Row};

/// Writes the rows and counts them.
pub(super) struct Sheet<'a> {
    out: &'a mut dyn Write,
    rows: usize,
    fitting: usize,
}

impl std::fmt::Debug for Sheet<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sheet").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl<'a> Sheet<'a> {
    /// An empty sheet.
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self { out, rows: 0, fitting: 0 }
    }

    /// A line of its own.
    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")?;
        self.out.flush()
    }

    /// The head of the table.
    pub(super) fn head(&mut self) -> io::Result<()> {
        self.cells("#", ["tried", "expected", "happened"], "ledger", "")
    }

    /// One row.
    pub(super) fn row(&mut self, row: &Row, found: &Found) -> io::Result<()> {
        self.rows += 1;
        self.fitting += usize::from(found.fits);
        let ledger = found.seq.map_or_else(|| "-".to_owned(), |seq| format!("#{seq}"));
        let note = if found.fits { row.note } else { "NOT AS EXPECTED" };
        let cells = [row.tried, row.due.word(), &found.happened];
        self.cells(&self.rows.to_string(), cells, &ledger, note)
    }

    /// How many were as expected.
    pub(super) fn sum(&mut self) -> io::Result<bool> {
        let text = format!("{} of {} as expected.", self.fitting, self.rows);
        self.line(&text)?;
        Ok(self.fitting == self.rows)
    }

    fn cells(
        &mut self,
        number: &str,
        cells: [&str; 3],
        ledger: &str,
        note: &str,
    ) -> io::Result<()> {
        let [tried, due, happened] = cells;
        let line =
            format!("{number:>2}  {tried:<29}  {due:<8}  {happened:<22}  {ledger:>6}   {note}");
        self.line(line.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::Sheet;
    use crate::lab::row::{Found, ROWS};

    #[test]
    fn columns_align_and_a_row_that_differs_is_said_and_counted() {
        let mut out = Vec::new();
        let mut sheet = Sheet::new(&mut out);
        sheet.head().unwrap();
        let found = |fits| Found { happened: "allow Tokyo".to_owned(), seq: Some(4), fits };
        sheet.row(&ROWS[0], &found(true)).unwrap();
        sheet.row(&ROWS[1], &Found { seq: None, ..found(false) }).unwrap();
        assert!(!sheet.sum().unwrap());
        let expected = " \
#  tried                          expected  happened                ledger
 1  upload 8 MiB, digest equal     allow     allow Tokyo                 #4   既存システム→中間サーバー
 2  download 8 MiB, digest equal   allow     allow Tokyo                  -   NOT AS EXPECTED
1 of 2 as expected.
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn every_row_fits_its_columns() {
        for row in ROWS {
            assert!(row.tried.chars().count() <= 29, "{}", row.tried);
        }
    }
}
