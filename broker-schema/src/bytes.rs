//! Binary data in JSON: [`Bytes`], and base64 (RFC 4648, with padding) for it and for what is stored
//! compressed.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes as an argument or a result. In JSON they are `{"$bytes":"<base64>"}`, so that people and other
/// programs can tell them from text.
///
/// ```
/// use celeriac_broker_schema::Bytes;
/// let json = serde_json::to_string(&Bytes(vec![0, 255]))?;
/// assert_eq!(json, r#"{"$bytes":"AP8="}"#);
/// assert_eq!(serde_json::from_str::<Bytes>(&json)?.0, [0, 255]);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub Vec<u8>);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Marked {
    #[serde(rename = "$bytes")]
    base64: String,
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Marked { base64: to_base64(&self.0) }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Marked { base64 } = Marked::deserialize(deserializer)?;
        from_base64(&base64).map(Self).ok_or_else(|| D::Error::custom("$bytes is no base64"))
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<Bytes> for Vec<u8> {
    fn from(bytes: Bytes) -> Self {
        bytes.0
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(crate) fn to_base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place > group.len() { '=' } else { char::from(digit) });
        }
    }
    text
}

/// None if it is no base64 with its padding.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.as_bytes();
    let digits = text.strip_suffix(b"==").or(text.strip_suffix(b"=")).unwrap_or(text);
    if !text.len().is_multiple_of(4) || text.len() - digits.len() != digits.len().wrapping_neg() % 4
    {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.chunks(4) {
        let mut bits = 0;
        for place in 0..4 {
            let value = group.get(place).map_or(Some(0), |digit| value_of(*digit))?;
            bits = bits << 6 | u32::from(value);
        }
        bytes.extend(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(bytes)
}

fn value_of(digit: u8) -> Option<u8> {
    Some(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_4648() {
        let examples = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
        for (length, encoded) in examples.into_iter().enumerate() {
            let bytes = &b"foobar"[..length];
            assert_eq!(to_base64(bytes), encoded);
            assert_eq!(from_base64(encoded).as_deref(), Some(bytes));
        }
    }

    #[test]
    fn every_byte_survives_and_noise_does_not() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(from_base64(&to_base64(&all)), Some(all));
        for noise in ["Z", "Zg", "Zg=", "Zg=a", "====", "Zm9=v", "Zm 9", "Zgäg", "Z==="] {
            assert_eq!(from_base64(noise), None, "{noise}");
        }
        for json in [r#"{"$bytes":"?"}"#, r#""AA==""#, r#"{"$bytes":"","more":1}"#] {
            assert!(serde_json::from_str::<Bytes>(json).is_err(), "{json}");
        }
    }
}
