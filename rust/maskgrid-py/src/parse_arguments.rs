//! Numbers, names and sequences as Python gives them; refusals say which argument, its value, and what is allowed.

use std::fmt;
use std::ops::RangeInclusive;

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyIterator};

use crate::errors::{InvalidTypeError, InvalidValueError};

/// The type's name, for messages.
fn kind(object: &Bound<'_, PyAny>) -> String {
    object.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string())
}

/// `<name> is <value>; allowed: <range>`, in the core's words.
fn outside(name: impl fmt::Display, value: impl fmt::Display, allowed: impl fmt::Display) -> PyErr {
    InvalidValueError::new_err(format!("{name} is {value}; allowed: {allowed}"))
}

/// A Python integer from `__index__`: ints and numpy's integers; not bools, floats or strings.
fn index<'py>(object: &Bound<'py, PyAny>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    let whole = if object.is_instance_of::<PyBool>() { None } else { object.call_method0("__index__").ok() };
    whole.ok_or_else(|| InvalidTypeError::new_err(format!("{name} is a {}; allowed: a whole number", kind(object))))
}

/// A whole number of 32 bits. The core checks its range; `allowed` is what is said of one that can't get that far.
pub(crate) fn whole(object: &Bound<'_, PyAny>, name: &str, allowed: RangeInclusive<u32>) -> PyResult<u32> {
    let whole = index(object, name)?;
    whole.extract().map_err(|_| outside(name, whole, format_args!("{} to {}", allowed.start(), allowed.end())))
}

/// A number that counts places, from the end where it is negative; what is outside stays outside.
pub(crate) fn place(object: &Bound<'_, PyAny>, name: &str, count: usize) -> PyResult<usize> {
    let whole = index(object, name)?;
    let missing =
        || InvalidValueError::new_err(format!("{name} {whole} does not exist; there are {count}, numbered from 0"));
    let number: i64 = whole.extract().map_err(|_| missing())?;
    let wrapped = if number < 0 { number + count as i64 } else { number };
    usize::try_from(wrapped).ok().filter(|&place| place < count).ok_or_else(missing)
}

/// One whole number for both axes, or (vertical, horizontal).
pub(crate) fn pair(object: &Bound<'_, PyAny>, name: &str, allowed: RangeInclusive<u32>) -> PyResult<(u32, u32)> {
    if !object.hasattr("__len__")? {
        let both = whole(object, name, allowed)?;
        return Ok((both, both));
    }
    let wrong = |count: &str| {
        InvalidValueError::new_err(format!("{name} has {count} numbers; allowed: one, or (height, width)"))
    };
    let sides = take(object.try_iter()?, 8, || wrong("more than 8"), |side| Ok(side.clone()))?;
    match sides.as_slice() {
        [height, width] => Ok((whole(height, name, allowed.clone())?, whole(width, name, allowed)?)),
        sides => Err(wrong(&sides.len().to_string())),
    }
}

/// Parses an argument that is a number with a fraction.
pub(crate) fn number(object: &Bound<'_, PyAny>, name: &str) -> PyResult<f64> {
    let number = if object.is_instance_of::<PyBool>() { None } else { object.extract().ok() };
    number.ok_or_else(|| InvalidTypeError::new_err(format!("{name} is a {}; allowed: a number", kind(object))))
}

/// Parses an argument that is one of a few names.
pub(crate) fn choice<T: Copy>(object: &Bound<'_, PyAny>, name: &str, choices: &[(&str, T)]) -> PyResult<T> {
    let text: Option<String> = object.extract().ok();
    let found = choices.iter().find(|(choice, _)| text.as_deref() == Some(choice));
    found.map(|&(_, value)| value).ok_or_else(|| {
        let names = choices.iter().map(|(choice, _)| format!("'{choice}'")).collect::<Vec<_>>().join(", ");
        let given = object.repr().map_or_else(|_| kind(object), |text| text.to_string());
        InvalidValueError::new_err(format!("{name} is {given}; allowed: {names}"))
    })
}

/// Numbers of cells, not more than `most`; that they exist is for the core to say, of those that fit.
pub(crate) fn cells(object: &Bound<'_, PyAny>, count: usize, most: usize) -> PyResult<Vec<u32>> {
    cells_or(object, count, most, || {
        InvalidValueError::new_err(format!("cells has more than {most} numbers; allowed: {most} at most"))
    })
}

/// [`cells`] with another error for more than `most`.
pub(crate) fn cells_or(
    object: &Bound<'_, PyAny>,
    count: usize,
    most: usize,
    too_many: impl FnOnce() -> PyErr,
) -> PyResult<Vec<u32>> {
    let items = object.try_iter().map_err(|_| {
        InvalidTypeError::new_err(format!("cells is a {}; allowed: a sequence of whole numbers", kind(object)))
    })?;
    take(items, most, too_many, |item| {
        let whole = index(item, "a cell")?;
        whole.extract().map_err(|_| {
            InvalidValueError::new_err(format!("cell {whole} does not exist; there are {count}, numbered from 0"))
        })
    })
}

/// What an iterator gives, once it is known to end: it may go on for ever.
///
/// # Errors
/// `too_many` after `most` items, and what the iterator raises.
pub(crate) fn take<'py, T>(
    items: Bound<'py, PyIterator>,
    most: usize,
    too_many: impl FnOnce() -> PyErr,
    mut parse: impl FnMut(&Bound<'py, PyAny>) -> PyResult<T>,
) -> PyResult<Vec<T>> {
    let mut taken = Vec::new();
    for item in items {
        if taken.len() == most {
            return Err(too_many());
        }
        taken.push(parse(&item?)?);
    }
    Ok(taken)
}
