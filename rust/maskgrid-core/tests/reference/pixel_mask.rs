//! The definitions, pixel by pixel, to compare with. A mask is (height, width) in row-major order.

/// Squared distance of each pixel to the nearest one that is `inside`; None if there is none.
pub(crate) fn squared(mask: &[bool], width: usize, inside: bool) -> Vec<Option<u64>> {
    let others: Vec<usize> = (0..mask.len()).filter(|&other| mask[other] == inside).collect();
    (0..mask.len()).map(|place| others.iter().map(|&other| between(width, place, other)).min()).collect()
}

fn between(width: usize, a: usize, b: usize) -> u64 {
    let (dy, dx) = ((a / width).abs_diff(b / width), (a % width).abs_diff(b % width));
    (dy * dy + dx * dx) as u64
}

/// Whether each squared distance is within a radius.
pub(crate) fn within(squared: &[Option<u64>], radius: f64) -> Vec<bool> {
    squared.iter().map(|squared| squared.is_some_and(|squared| squared as f64 <= radius * radius)).collect()
}

/// The ramp from the squared distances to outside and to inside; `base` is 0 for a ramp inside, 1 outside, 1/2 centred.
pub(crate) fn feather(to_outside: &[Option<u64>], to_inside: &[Option<u64>], ramp: f64, base: f64) -> Vec<f64> {
    let value = |(outside, inside): (&Option<u64>, &Option<u64>)| {
        let (is_inside, other) = if *inside == Some(0) { (true, outside) } else { (false, inside) };
        match other {
            Some(squared) if ramp > 0.0 => {
                let depth = (*squared as f64).sqrt() - 0.5;
                (base + if is_inside { depth } else { -depth } / ramp).clamp(0.0, 1.0)
            }
            _ => f64::from(u8::from(is_inside)),
        }
    };
    to_outside.iter().zip(to_inside).map(value).collect()
}

/// Lets what is open spread until nothing changes.
pub(crate) fn fill_holes(mask: &[bool], width: usize) -> Vec<bool> {
    let mut open = vec![false; mask.len()];
    loop {
        let before = open.clone();
        for place in (0..mask.len()).filter(|&place| !mask[place]) {
            let (x, last) = (place % width, place / width + 1 == mask.len() / width);
            let beside = [
                (x > 0).then(|| place - 1),
                (x + 1 < width).then_some(place + 1),
                place.checked_sub(width),
                (!last).then_some(place + width),
            ];
            open[place] |= beside.iter().any(|beside| beside.is_none_or(|other| open[other]));
        }
        if before == open {
            return open.iter().map(|open| !open).collect();
        }
    }
}

/// Top, left, bottom, right.
pub(crate) fn bounding_box(mask: &[bool], width: usize) -> [u32; 4] {
    let places: Vec<usize> = (0..mask.len()).filter(|&place| mask[place]).collect();
    let rows = places.iter().map(|place| (place / width) as u32);
    let columns = places.iter().map(|place| (place % width) as u32);
    let low = |values: &mut dyn Iterator<Item = u32>| values.min().unwrap_or(0);
    let high = |values: &mut dyn Iterator<Item = u32>| values.max().map_or(0, |value| value + 1);
    [low(&mut rows.clone()), low(&mut columns.clone()), high(&mut rows.clone()), high(&mut columns.clone())]
}
