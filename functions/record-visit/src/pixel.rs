//! The answer of `GET /pixel/{page_id}`.

use visits_core::http::Response;

/// One transparent pixel, as small as a GIF can be that every browser takes.
const GIF: [u8; 43] = [
    b'G', b'I', b'F', b'8', b'9', b'a', // signature and version
    1, 0, 1, 0, 0x80, 0, 0, // a screen of one pixel, with a table of two colours:
    0, 0, 0, 0xff, 0xff, 0xff, // black and white
    0x21, 0xf9, 4, 1, 0, 0, 0, 0, // the colour 0 is transparent
    0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, // an image of one pixel:
    2, 2, 0x44, 1, 0,    // the colour 0
    0x3b, // the end
];

/// Never cached: each time it is shown is a visit.
pub(crate) fn response() -> Response {
    Response::binary("image/gif", "no-store", &GIF)
}
