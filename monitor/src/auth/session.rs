//! Sessions: a signed cookie that says who logged in and until when. Nothing of it is kept here, so
//! monitors with the same key share them. The role is not in it: it is that of the moment.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, header};
use subtle::ConstantTimeEq;

use super::forgery::{from_hex, hex, seal};

/// How long a session lasts.
pub(super) const LIFE: Duration = Duration::from_secs(12 * 60 * 60);

/// What a browser sends only to us, over TLS and over nothing else.
const SECURE_NAME: &str = "__Host-celeriac";
const NAME: &str = "celeriac";

/// The cookie of a text that is shown once, after an action.
pub(crate) const NOTICE: &str = "celeriac-notice";

/// A login that was found good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    /// Tells it from all others.
    pub(super) id: String,
    pub(super) name: String,
    /// When it ends, by the clock of this machine (milliseconds since the Unix epoch): monitors that
    /// share sessions need clocks that agree by minutes, not Redis.
    pub(super) ends: u64,
    /// What it was opened with, so that another password or token ends it.
    pub(super) proof: String,
}

/// The clock of this machine (milliseconds since the Unix epoch).
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// What shows that a session was opened with this hash or token, and does not tell it.
pub(super) fn proof(key: &[u8; 32], secret: &[u8]) -> String {
    hex(&seal(key, "proof", &hex(secret))[..8])
}

impl Session {
    /// A new one.
    pub(super) fn open(name: &str, proof: String) -> Self {
        let id = hex(&rand::random::<[u8; 16]>());
        let ends = now() + u64::try_from(LIFE.as_millis()).unwrap_or(u64::MAX);
        Self { id, name: name.to_owned(), ends, proof }
    }

    /// The value of its cookie.
    pub(super) fn signed(&self, key: &[u8; 32]) -> String {
        let text =
            format!("{}.{}.{}.{}", self.id, self.ends, self.proof, hex(self.name.as_bytes()));
        let seal = hex(&seal(key, "session", &text));
        format!("{text}.{seal}")
    }

    /// Reads the value of a cookie, if it is ours and has not ended.
    pub(super) fn read(key: &[u8; 32], value: &str) -> Option<Self> {
        let (text, given) = value.rsplit_once('.')?;
        let expected = hex(&seal(key, "session", text));
        if !bool::from(expected.as_bytes().ct_eq(given.as_bytes())) {
            return None;
        }
        let mut parts = text.split('.').map(str::to_owned);
        let (id, ends, proof) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
        let name = String::from_utf8(from_hex(&parts.next()?)?).ok()?;
        (now() < ends).then_some(Self { id, name, ends, proof })
    }

    /// The session of a request, if it has one.
    pub(super) fn of(key: &[u8; 32], headers: &HeaderMap, secure: bool) -> Option<Self> {
        Self::read(key, cookie_value(headers, name(secure))?)
    }

    /// `Set-Cookie` for it.
    pub(super) fn cookie(&self, key: &[u8; 32], secure: bool) -> String {
        cookie(name(secure), &self.signed(key), LIFE, secure)
    }
}

/// `Set-Cookie` that ends the session in the browser.
pub(super) fn ended(secure: bool) -> String {
    removed(name(secure), secure)
}

fn name(secure: bool) -> &'static str {
    if secure { SECURE_NAME } else { NAME }
}

/// `Set-Cookie` for what no script may read, and no other site may have sent.
pub(crate) fn cookie(name: &str, value: &str, life: Duration, secure: bool) -> String {
    let (life, secure) = (life.as_secs(), if secure { "; Secure" } else { "" });
    format!("{name}={value}; Path=/; Max-Age={life}; HttpOnly; SameSite=Strict{secure}")
}

/// `Set-Cookie` that takes one away.
pub(super) fn removed(name: &str, secure: bool) -> String {
    cookie(name, "", Duration::ZERO, secure)
}

pub(super) fn cookie_value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.find(|(found, _)| found.trim() == name).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    #[test]
    fn nobody_without_the_key_makes_a_session() {
        let session = Session::open("ada.ö", proof(&KEY, b"hash"));
        let signed = session.signed(&KEY);
        assert_eq!(Session::read(&KEY, &signed), Some(session));
        assert_eq!(Session::read(&[8; 32], &signed), None, "another key");
        for i in 0..signed.len() {
            let mut forged = signed.clone().into_bytes();
            forged[i] ^= 1;
            let forged = String::from_utf8_lossy(&forged);
            assert_eq!(Session::read(&KEY, &forged), None, "{forged}");
        }
        for wrong in ["", ".", "a.b.c.d.e", "....."] {
            assert_eq!(Session::read(&KEY, wrong), None);
        }
    }

    #[test]
    fn a_session_ends() {
        let mut session = Session::open("ada", String::new());
        assert!(session.ends - now() <= 12 * 60 * 60 * 1_000);
        session.ends = now() - 1;
        assert_eq!(Session::read(&KEY, &session.signed(&KEY)), None);
    }

    #[test]
    fn no_script_and_no_other_site_gets_the_cookie() {
        let session = Session::open("ada", String::new());
        let plain = session.cookie(&KEY, false);
        assert!(plain.starts_with("celeriac=") && plain.contains("; Path=/; Max-Age=43200"));
        assert!(plain.ends_with("; HttpOnly; SameSite=Strict"), "{plain}");
        let secure = session.cookie(&KEY, true);
        assert!(secure.starts_with("__Host-celeriac=") && secure.ends_with("; Secure"));
        assert!(ended(false).starts_with("celeriac=; Path=/; Max-Age=0"));
    }
}
