//! Reading masks: any element type and strides in, checked values out.

use crate::element::Element;
use crate::error::{Error, Result};
use crate::view::View;

/// All values as f32.
pub(crate) fn units<T: Element>(mask: View<'_, T, 3>) -> Result<Vec<f32>> {
    let [count, height, width] = mask.shape();
    let mut units = Vec::with_capacity(mask.len());
    for index in 0..count {
        for row in 0..height {
            for column in 0..width {
                let value = mask.get([index, row, column]);
                let unit = value.unit().ok_or(Error::MaskValue { value: value.to_f64(), index, row, column })?;
                units.push(unit);
            }
        }
    }
    Ok(units)
}

/// Whether each pixel is inside.
pub(crate) fn inside<T: Element>(mask: View<'_, T, 3>, level: f64) -> Result<Vec<bool>> {
    if !(0.0..=1.0).contains(&level) {
        return Err(Error::out_of_range("level", level, "0 to 1"));
    }
    units(mask)?;
    let level = T::level_key(level);
    let [count, height, width] = mask.shape();
    let rows = (0..count).flat_map(|index| (0..height).map(move |row| [index, row]));
    Ok(rows
        .flat_map(|[index, row]| (0..width).map(move |column| mask.get([index, row, column]).key() >= level))
        .collect())
}

/// Refuses an `out` of another size.
pub(crate) fn check_out<T: Element, U>(mask: View<'_, T, 3>, out: &[U]) -> Result<()> {
    let [count, height, width] = mask.shape();
    if count.checked_mul(height).and_then(|size| size.checked_mul(width)) == Some(out.len()) {
        return Ok(());
    }
    Err(Error::shape("out", &[out.len()], format!("({count}, {height}, {width}), as the mask")))
}

/// The number of the type for inside and outside.
pub(crate) fn truth<U: Element>(inside: bool) -> U {
    if inside { U::ONE } else { U::ZERO }
}
