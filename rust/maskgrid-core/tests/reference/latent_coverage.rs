//! The definitions, block by block of a full-size mask, to compare with.

/// What each coverage makes of a mask of `height` x `width` pixels, both multiples of `stride`: center, nearest, area,
/// max, min.
pub(crate) fn coverages(pixels: &[f32], width: usize, stride: usize) -> [Vec<f32>; 5] {
    let mut results = [const { Vec::new() }; 5];
    let blocks = width / stride;
    for index in 0..pixels.len() / (stride * stride) {
        let (top, left) = (index / blocks * stride, index % blocks * stride);
        let at = |y: usize, x: usize| f64::from(pixels[(top + y) * width + left + x]);
        let block: Vec<f64> = (0..stride * stride).map(|i| at(i / stride, i % stride)).collect();
        let (low, high) = ((stride - 1) / 2, stride / 2);
        let numbers = [
            (at(low, low) + at(low, high) + at(high, low) + at(high, high)) / 4.0,
            at(0, 0),
            block.iter().sum::<f64>() / block.len() as f64,
            block.iter().copied().fold(0.0, f64::max),
            block.iter().copied().fold(1.0, f64::min),
        ];
        results.iter_mut().zip(numbers).for_each(|(result, number)| result.push(number as f32));
    }
    results
}

/// A canvas, 0 but for masks of `height` x `width` pixels with their corners at `places` (rows, columns); a single mask
/// lies at all of them.
pub(crate) fn tiled(canvas: [usize; 2], places: &[[usize; 2]], masks: &[f32], [height, width]: [usize; 2]) -> Vec<f32> {
    let mut pixels = vec![0.0; canvas[0] * canvas[1]];
    for (index, &[top, left]) in places.iter().enumerate() {
        let first = if masks.len() == height * width { 0 } else { index * height * width };
        for row in 0..height {
            let line = &masks[first + row * width..][..width];
            pixels[(top + row) * canvas[1] + left..][..width].copy_from_slice(line);
        }
    }
    pixels
}
