//! The `Authorization` header of a request.

use roomlet_wire::frame::XMatrix;

/// A header that is read and printed reads the same.
///
/// # Panics
/// If not.
pub fn x_matrix(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Ok(header) = XMatrix::parse(text) else { return };
    assert_eq!(XMatrix::parse(&header.to_header()), Ok(header));
}
