//! Results that are stored compressed: zlib (RFC 1950) in base64, which is text as all that we store.
//! What comes out again is bounded by the longest result that is allowed, whatever was stored.

use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::{TINFLStatus, decompress_to_vec_zlib_with_limit};
use serde_json::value::RawValue;

use crate::bytes::{from_base64, to_base64};
use crate::limits::{COMPRESS_ABOVE_BYTES, MAX_RESULT_BYTES};

/// The fastest level: a result is compressed where a task could run.
const LEVEL: u8 = 1;

/// The packed form of a result, if it is long and gets shorter thereby by a quarter at least.
pub(crate) fn pack(json: &RawValue) -> Option<String> {
    let plain = json.get();
    if plain.len() <= COMPRESS_ABOVE_BYTES {
        return None;
    }
    let packed = to_base64(&compress_to_vec_zlib(plain.as_bytes(), LEVEL));
    (packed.len() <= plain.len() / 4 * 3).then_some(packed)
}

/// The result in its plain form, or why it cannot be had.
pub(crate) fn unpack(packed: &str) -> Result<Box<RawValue>, String> {
    unpack_up_to(packed, MAX_RESULT_BYTES)
}

/// The same of what may be longer.
pub(crate) fn unpack_up_to(packed: &str, most: usize) -> Result<Box<RawValue>, String> {
    let bytes = from_base64(packed).ok_or("the compressed result is no base64")?;
    let plain =
        decompress_to_vec_zlib_with_limit(&bytes, most).map_err(|error| match error.status {
            TINFLStatus::HasMoreOutput => {
                format!("the compressed result is longer than {most} bytes")
            }
            _ => "the compressed result is damaged".to_owned(),
        })?;
    let text = String::from_utf8(plain).map_err(|_| "the compressed result is no text")?;
    RawValue::from_string(text)
        .map_err(|error| format!("the compressed result is no JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: String) -> Box<RawValue> {
        RawValue::from_string(text).expect("JSON")
    }

    #[test]
    fn long_results_get_shorter_and_come_back_to_the_byte() {
        let long = json(format!("[{}1]", "1.50, ".repeat(10_000)));
        let packed = pack(&long).expect("it gets shorter");
        assert!(packed.len() * 20 < long.get().len(), "{} bytes", packed.len());
        assert_eq!(unpack(&packed).expect("comes back").get(), long.get());
    }

    #[test]
    fn what_is_short_or_does_not_get_shorter_stays() {
        assert!(pack(&json(format!("\"{}\"", "x".repeat(COMPRESS_ABOVE_BYTES - 2)))).is_none());
        assert!(pack(&json(format!("\"{}\"", "x".repeat(COMPRESS_ABOVE_BYTES - 1)))).is_some());
        // Digits without a pattern, by a linear congruential generator.
        let noise = std::iter::successors(Some(7_u64), |x| {
            Some(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
        });
        let noise: Vec<u8> = noise.take(40_000).map(|x| (x >> 33) as u8).collect();
        assert!(pack(&json(format!("\"{}\"", to_base64(&noise)))).is_none());
    }

    #[test]
    fn what_would_burst_or_is_damaged_is_refused() {
        let bomb = to_base64(&compress_to_vec_zlib(&vec![b' '; 64 << 20], 9));
        assert!(unpack(&bomb).is_err_and(|why| why.contains("longer than 1048576 bytes")));
        assert!(unpack("AAAA").is_err_and(|why| why.contains("damaged")));
        assert!(unpack("?").is_err_and(|why| why.contains("base64")));
        let no_json = to_base64(&compress_to_vec_zlib(b"{", 1));
        assert!(unpack(&no_json).is_err_and(|why| why.contains("no JSON")));
    }
}
