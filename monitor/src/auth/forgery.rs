//! Requests that a page elsewhere made a browser send. What changes something must come from one of
//! our own pages: the browser says where it comes from, and the form has a token that no other page
//! can read. Both must be right.

use axum::http::{HeaderMap, header};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::peer::Peer;

/// Whether the browser says that the request comes from one of our pages. A browser that says nothing
/// is not believed.
pub(super) fn is_same_origin(headers: &HeaderMap, peer: &Peer) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    match (text("sec-fetch-site"), text(header::ORIGIN.as_str())) {
        (Some(site), _) => site == "same-origin",
        // Older ones, and all of them where there is no TLS.
        (None, Some(origin)) => {
            let host = origin.split_once("://").map(|(_, host)| host);
            host.is_some_and(|host| peer.host.as_deref() == Some(host))
        }
        (None, None) => false,
    }
}

/// The token of the forms of whoever this names.
pub(super) fn token(key: &[u8; 32], who: &str) -> String {
    hex(&seal(key, "form", who))
}

/// Whether a token that came with a form is the one that was expected.
pub(crate) fn is_ours(expected: &str, given: &str) -> bool {
    !expected.is_empty() && expected.as_bytes().ct_eq(given.as_bytes()).into()
}

/// What nobody without the key can make. `purpose`: so that one sort is none of another.
pub(super) fn seal(key: &[u8; 32], purpose: &str, text: &str) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length will do");
    mac.update(purpose.as_bytes());
    mac.update(&[0]);
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The reverse of [`hex`].
pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pages_are_believed() {
        let peer = Peer { host: Some("127.0.0.1:5555".to_owned()), ..Peer::default() };
        let ours = |site: Option<&'static str>, origin: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            for (name, value) in [("sec-fetch-site", site), ("origin", origin)] {
                value.map(|value| headers.insert(name, value.parse().expect("a value")));
            }
            is_same_origin(&headers, &peer)
        };
        assert!(ours(Some("same-origin"), None));
        assert!(ours(None, Some("http://127.0.0.1:5555")));
        for (site, origin) in [
            (None, None),
            (Some("cross-site"), None),
            (Some("same-site"), None),
            (Some("none"), None),
            (Some("cross-site"), Some("http://127.0.0.1:5555")),
            (None, Some("null")),
            (None, Some("http://evil.example")),
            (None, Some("http://127.0.0.1:55555")),
            (None, Some("http://127.0.0.1:5555.evil.example")),
        ] {
            assert!(!ours(site, origin), "{site:?} {origin:?}");
        }
    }

    #[test]
    fn a_token_is_of_one_key_and_one_person() {
        let (one, other) = ([1; 32], [2; 32]);
        let ada = token(&one, "ada");
        assert!(is_ours(&ada, &token(&one, "ada")));
        for wrong in [token(&one, "bob"), token(&other, "ada"), String::new(), ada[1..].to_owned()]
        {
            assert!(!is_ours(&ada, &wrong), "{wrong}");
        }
        assert!(!is_ours("", ""));
    }

    #[test]
    fn hex_is_read_as_it_is_written() {
        assert_eq!(from_hex(&hex(&[0, 0x7f, 0xff])), Some(vec![0, 0x7f, 0xff]));
        assert_eq!((from_hex("0"), from_hex("0g"), from_hex("ää")), (None, None, None));
    }
}
