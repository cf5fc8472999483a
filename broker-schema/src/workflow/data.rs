//! Data that the tasks of a job share: what it is named by, and how it is stored.

use serde_json::value::RawValue;

use super::Edit;
use crate::error::InvalidInput;
use crate::packed::{pack, unpack_up_to};

/// Largest shared data, in bytes of JSON.
pub const MAX_DATA_BYTES: usize = 16 << 20;
/// It is stored and read in pieces of so many bytes, so that no call takes long.
const PIECE_BYTES: usize = 256 << 10;

/// Data that is put with a job.
#[derive(Debug, Clone)]
pub struct Data {
    /// Its name: [`digest`] of its JSON.
    pub digest: String,
    /// What it is.
    pub json: Box<RawValue>,
}

/// The name of data: the SHA-1 of its bytes, in hex.
pub fn digest(bytes: &[u8]) -> String {
    sha1_smol::Sha1::from(bytes).digest().to_string()
}

impl Data {
    /// The pieces in which it is put, compressed if it is long.
    ///
    /// # Errors
    /// [`InvalidInput::TooLarge`].
    pub fn edits(&self) -> Result<Vec<Edit>, InvalidInput> {
        let bytes = self.json.get().len();
        if bytes > MAX_DATA_BYTES {
            return Err(InvalidInput::TooLarge { what: "shared data", bytes, max: MAX_DATA_BYTES });
        }
        let stored = match pack(&self.json) {
            Some(packed) => format!("z{packed}"),
            None => format!("={}", self.json.get()),
        };
        let mut pieces = Vec::new();
        let mut rest = stored.as_str();
        while !rest.is_empty() {
            let mut end = rest.len().min(PIECE_BYTES);
            while !rest.is_char_boundary(end) {
                end -= 1;
            }
            let (piece, behind) = rest.split_at(end);
            pieces.push(piece.to_owned());
            rest = behind;
        }
        let of = pieces.len() as u64;
        let edit = |(piece, text)| Edit::Data { digest: self.digest.clone(), piece, of, text };
        Ok((0..).zip(pieces).map(edit).collect())
    }

    /// What was put, from all of its pieces.
    ///
    /// # Errors
    /// A text that says what is wrong with it.
    pub fn read(digest: &str, stored: &str) -> Result<Self, String> {
        let json = match stored.split_at_checked(1) {
            Some(("z", packed)) => unpack_up_to(packed, MAX_DATA_BYTES)?,
            Some(("=", json)) => {
                RawValue::from_string(json.to_owned()).map_err(|error| error.to_string())?
            }
            _ => return Err("it is stored in a form that is not known here".to_owned()),
        };
        if self::digest(json.get().as_bytes()) != digest {
            return Err("its content is not what its name says".to_owned());
        }
        Ok(Self { digest: digest.to_owned(), json })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: String) -> (Data, Vec<String>) {
        let json = RawValue::from_string(text).expect("JSON");
        let data = Data { digest: digest(json.get().as_bytes()), json };
        let text = |edit| match edit {
            Edit::Data { text, .. } => text,
            other => panic!("{other:?}"),
        };
        let pieces = data.edits().expect("small enough").into_iter().map(text).collect();
        (data, pieces)
    }

    #[test]
    fn data_comes_back_to_the_byte() {
        let hard: Vec<u32> = (0..200_000_u32).map(|n| n.wrapping_mul(2_654_435_761)).collect();
        for text in ["1.50".to_owned(), format!("[{}0]", "7,".repeat(500_000)), format!("{hard:?}")]
        {
            let (data, pieces) = pieces(text);
            assert!(pieces.iter().all(|piece| piece.len() <= PIECE_BYTES));
            let read = Data::read(&data.digest, &pieces.concat()).expect("comes back");
            assert_eq!(read.json.get(), data.json.get());
        }
    }

    #[test]
    fn what_was_changed_is_noticed() {
        let (data, _) = pieces("[1]".to_owned());
        assert!(Data::read(&data.digest, "=[2]").is_err());
        assert!(Data::read(&data.digest, "").is_err());
    }
}
