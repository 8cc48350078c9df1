//! Checked views of matrices: a slice, a shape and strides that cannot leave the slice.

use crate::error::Error;

/// A product of two sizes, as a size; fails where no memory could hold so much.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub fn checked_product(a: usize, b: usize) -> Result<usize, Error> {
    a.checked_mul(b).ok_or(Error::OutOfMemory { elements: usize::MAX })
}

/// A matrix to read: element (i, j) is `data[i * row_stride + j * column_stride]`.
///
/// Every element of the shape lies within the slice: [`MatRef::with_strides`] checks it.
#[derive(Clone, Copy, Debug)]
pub struct MatRef<'a, T> {
    data: &'a [T],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, T> MatRef<'a, T> {
    /// A matrix (rows, columns) whose rows follow each other.
    ///
    /// # Panics
    /// Where the slice is shorter than the matrix.
    #[must_use]
    pub fn new(data: &'a [T], rows: usize, columns: usize) -> Self {
        Self::with_strides(data, rows, columns, columns, 1)
    }

    /// A matrix (rows, columns) of any strides, counted in elements.
    ///
    /// # Panics
    /// Where an element lies outside the slice.
    #[must_use]
    pub fn with_strides(
        data: &'a [T],
        rows: usize,
        columns: usize,
        row_stride: usize,
        column_stride: usize,
    ) -> Self {
        assert!(
            fits(data.len(), rows, columns, row_stride, column_stride),
            "a ({rows}, {columns}) matrix of strides ({row_stride}, {column_stride}) does not fit \
             into {} elements",
            data.len()
        );
        Self { data, rows, columns, row_stride, column_stride }
    }

    /// The same elements with rows and columns exchanged: (columns, rows).
    #[must_use]
    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// The columns `first .. first + count`: (rows, count).
    ///
    /// # Panics
    /// Where there are not so many columns.
    #[must_use]
    pub fn columns_from(self, first: usize, count: usize) -> Self {
        assert!(first <= self.columns && count <= self.columns - first, "no such columns");
        // An empty view may start beyond the slice.
        let start = (first * self.column_stride).min(self.data.len());
        Self { data: &self.data[start..], columns: count, ..self }
    }

    /// The rows `first .. first + count`: (count, columns).
    ///
    /// # Panics
    /// Where there are not so many rows.
    #[must_use]
    pub fn rows_from(self, first: usize, count: usize) -> Self {
        self.transposed().columns_from(first, count).transposed()
    }

    /// The element in row i and column j.
    ///
    /// # Panics
    /// Where there is none.
    #[must_use]
    pub fn at(&self, i: usize, j: usize) -> T
    where
        T: Copy,
    {
        assert!(i < self.rows && j < self.columns, "no element ({i}, {j})");
        self.data[i * self.row_stride + j * self.column_stride]
    }

    /// The slice behind the view, from its element (0, 0) on.
    #[must_use]
    pub fn data(&self) -> &'a [T] {
        self.data
    }

    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The distance of an element from the one below it.
    #[must_use]
    pub fn row_stride(&self) -> usize {
        self.row_stride
    }

    /// The distance of an element from the one to its right.
    #[must_use]
    pub fn column_stride(&self) -> usize {
        self.column_stride
    }
}

/// A matrix to write, its columns side by side: element (i, j) is `data[i * row_stride + j]`.
#[derive(Debug)]
pub struct MatMut<'a, T> {
    data: &'a mut [T],
    rows: usize,
    columns: usize,
    row_stride: usize,
}

impl<'a, T> MatMut<'a, T> {
    /// A matrix (rows, columns) whose rows follow each other.
    ///
    /// # Panics
    /// Where the slice is shorter than the matrix.
    #[must_use]
    pub fn new(data: &'a mut [T], rows: usize, columns: usize) -> Self {
        Self::with_row_stride(data, rows, columns, columns)
    }

    /// A matrix (rows, columns) whose rows start `row_stride` elements apart.
    ///
    /// # Panics
    /// Where an element lies outside the slice, or where rows overlap.
    #[must_use]
    pub fn with_row_stride(
        data: &'a mut [T],
        rows: usize,
        columns: usize,
        row_stride: usize,
    ) -> Self {
        assert!(rows <= 1 || row_stride >= columns, "rows overlap");
        assert!(
            fits(data.len(), rows, columns, row_stride, 1),
            "a ({rows}, {columns}) matrix does not fit into {} elements",
            data.len()
        );
        Self { data, rows, columns, row_stride }
    }

    /// The slice behind the view.
    #[must_use]
    pub fn data(&mut self) -> &mut [T] {
        self.data
    }

    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The distance of an element from the one below it.
    #[must_use]
    pub fn row_stride(&self) -> usize {
        self.row_stride
    }
}

/// Whether the last element of a shape lies within `length` elements; an empty shape always fits.
fn fits(length: usize, rows: usize, columns: usize, row_stride: usize, stride: usize) -> bool {
    if rows == 0 || columns == 0 {
        return true;
    }
    let last = (rows - 1)
        .checked_mul(row_stride)
        .zip((columns - 1).checked_mul(stride))
        .and_then(|(down, right)| down.checked_add(right));
    last.is_some_and(|last| last < length)
}

/// Copies a matrix (rows, columns) whose rows follow each other to its transpose (columns, rows).
///
/// # Panics
/// Where a slice is not of that size.
pub fn transpose<T: Copy>(from: &[T], rows: usize, columns: usize, to: &mut [T]) {
    assert!(from.len() == rows * columns && to.len() == from.len(), "sizes differ");
    for (i, row) in from.chunks_exact(columns.max(1)).enumerate() {
        for (j, &element) in row.iter().enumerate() {
            to[j * rows + i] = element;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, MatMut, MatRef, checked_product, transpose};

    #[test]
    fn elements_are_found_by_strides() {
        let data = [0, 1, 2, 3, 4, 5, 6];
        let m = MatRef::new(&data, 2, 3);
        assert_eq!((m.at(0, 2), m.at(1, 0)), (2, 3));
        let t = m.transposed();
        assert_eq!((t.rows(), t.columns(), t.at(2, 0), t.at(0, 1)), (3, 2, 2, 3));
        let part = t.rows_from(1, 2).columns_from(1, 1);
        assert_eq!((part.rows(), part.columns(), part.at(0, 0), part.at(1, 0)), (2, 1, 4, 5));
        let wide = MatRef::with_strides(&data, 2, 3, 0, 3);
        assert_eq!((wide.at(0, 2), wide.at(1, 2)), (6, 6));
    }

    #[test]
    fn an_empty_matrix_needs_no_elements() {
        assert_eq!(MatRef::<f32>::new(&[], 0, 5).rows(), 0);
        assert_eq!(MatRef::<f32>::new(&[], 5, 0).columns_from(0, 0).columns(), 0);
        assert_eq!(MatMut::<f32>::new(&mut [], 0, 5).rows(), 0);
    }

    #[test]
    #[should_panic(expected = "does not fit")]
    fn a_matrix_may_not_leave_its_slice() {
        let _ = MatRef::with_strides(&[0; 11], 3, 4, 4, 1);
    }

    #[test]
    #[should_panic(expected = "does not fit")]
    fn strides_may_not_overflow() {
        let _ = MatRef::with_strides(&[0; 10], 3, 4, usize::MAX / 2 + 1, 1);
    }

    #[test]
    #[should_panic(expected = "overlap")]
    fn rows_to_write_may_not_overlap() {
        let _ = MatMut::with_row_stride(&mut [0; 10], 2, 4, 3);
    }

    #[test]
    #[should_panic(expected = "no element")]
    fn an_element_outside_the_shape_is_none() {
        let _ = MatRef::new(&[0; 10], 2, 3).at(1, 3);
    }

    #[test]
    fn transpose_exchanges_rows_and_columns() {
        let mut to = [0; 6];
        transpose(&[1, 2, 3, 4, 5, 6], 2, 3, &mut to);
        assert_eq!(to, [1, 4, 2, 5, 3, 6]);
    }

    #[test]
    fn memory_that_is_not_there_is_an_error() {
        assert_eq!(
            checked_product(usize::MAX, 2),
            Err(Error::OutOfMemory { elements: usize::MAX })
        );
    }
}
