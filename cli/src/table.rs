//! Columns of text.

use crate::output::printable;

/// How a column is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows below a heading.
pub(crate) struct Table {
    columns: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub(crate) fn new(columns: &[(&str, Align)]) -> Self {
        let heading = columns.iter().map(|(heading, _)| (*heading).to_owned()).collect();
        Self { columns: columns.iter().map(|(_, align)| *align).collect(), rows: vec![heading] }
    }

    /// A table without headings.
    pub(crate) fn bare(columns: &[Align]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row, with a cell for each column, made [`printable`].
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| printable(&cell)).collect());
    }

    /// The rows with their cells under each other, two spaces between columns and none at a row's end.
    pub(crate) fn render(&self) -> String {
        let widths: Vec<usize> = (0..self.columns.len()).map(|column| self.width(column)).collect();
        let mut text = String::new();
        for row in &self.rows {
            let cells = row.iter().zip(&self.columns).zip(&widths).map(|((cell, align), &width)| match align {
                Align::Left => format!("{cell:<width$}"),
                Align::Right => format!("{cell:>width$}"),
            });
            text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
        }
        text
    }

    fn width(&self, column: usize) -> usize {
        self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Align, Table};

    #[test]
    fn words_stand_left_and_numbers_right_without_spaces_at_the_end() {
        let mut table = Table::new(&[("SHARD", Align::Left), ("PAGES", Align::Right), ("STATE", Align::Left)]);
        table.row(["a", "12", "ok"].map(str::to_owned));
        table.row(["redis_7070", "123456", "refuses"].map(str::to_owned));
        let expected = "SHARD        PAGES  STATE\na               12  ok\nredis_7070  123456  refuses\n";
        assert_eq!(table.render(), expected);
    }

    #[test]
    fn without_rows_there_is_only_the_heading() {
        assert_eq!(Table::bare(&[Align::Left]).render(), "");
        assert_eq!(Table::new(&[("A", Align::Left), ("B", Align::Right)]).render(), "A  B\n");
    }
}
