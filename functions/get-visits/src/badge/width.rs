//! The width of a text in Verdana at 11 pixels.

/// Widths of the characters from space to `~`, in hundredths of a pixel.
const ASCII: [u16; 95] = [
    387, 433, 505, 900, 699, 1184, 799, 295, 500, 500, 699, 900, 400, 500, 400, 500, // space to /
    699, 699, 699, 699, 699, 699, 699, 699, 699, 699, 500, 500, 900, 900, 900, 600, // 0 to ?
    1100, 752, 754, 768, 848, 696, 632, 853, 827, 463, 500, 762, 612, 927, 823, 866, // @ to O
    663, 866, 765, 752, 678, 805, 752, 1088, 754, 677, 754, 500, 500, 500, 900, 699, // P to _
    699, 661, 685, 573, 685, 655, 387, 685, 696, 302, 379, 651, 302, 1070, 696, 668, // ` to o
    685, 685, 469, 573, 433, 696, 651, 900, 651, 651, 578, 698, 500, 698, 900, // p to ~
];

/// Width of all other characters: letters of about the width of an `m`, signs of scripts that have wide ones.
const OTHER: u16 = 750;
const WIDE: u16 = 1_100;

/// The first character of the scripts that have wide signs: Hangul's, followed by those of China and Japan.
const WIDE_FROM: char = '\u{1100}';

/// A text's width in whole pixels, rounded up.
pub(super) fn width(text: &str) -> u32 {
    let hundredths: u32 = text.chars().map(|character| u32::from(of(character))).sum();
    hundredths.div_ceil(100)
}

fn of(character: char) -> u16 {
    match u32::from(character).checked_sub(u32::from(' ')) {
        Some(n) if n < 95 => ASCII[n as usize],
        _ if character >= WIDE_FROM => WIDE,
        _ => OTHER,
    }
}
