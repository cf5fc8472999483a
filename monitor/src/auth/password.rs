//! Passwords: only their hashes are stored (argon2id, with the parameters in front of each).

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};

/// Longer ones are not hashed: it would be work for nothing.
pub(super) const LONGEST: usize = 1_024;

/// The hash of a password as [`AccessOptions::users`](crate::AccessOptions::users) wants it, salted,
/// hence another one each time. None if the password is empty or longer than 1,024 bytes.
///
/// ```
/// let hash = celeriac_monitor::hash_password("correct horse").expect("neither empty nor long");
/// assert!(hash.starts_with("$argon2id$v=19$"));
/// ```
pub fn hash_password(password: &str) -> Option<String> {
    let fits = (1..=LONGEST).contains(&password.len());
    let hash: PasswordHash = Argon2::default().hash_password(password.as_bytes()).ok()?;
    fits.then(|| hash.to_string())
}

/// Whether this is a hash with which a password can be compared.
pub(super) fn is_hash(text: &str) -> bool {
    let whole = |hash: &PasswordHash| hash.salt.is_some() && hash.hash.is_some();
    text.starts_with("$argon2") && PasswordHash::new(text).is_ok_and(|hash| whole(&hash))
}

/// Whether this is the password. Takes tens of milliseconds, and the time tells nothing.
pub(super) fn fits(password: &str, hash: &str) -> bool {
    password.len() <= LONGEST
        && Argon2::default().verify_password(password.as_bytes(), hash).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_fits_its_hash() {
        let hash = hash_password("secret").expect("a password");
        assert!(is_hash(&hash) && !hash.contains("secret"));
        assert!(fits("secret", &hash));
        assert!(!fits("Secret", &hash) && !fits("", &hash));
        assert_ne!(hash_password("secret"), Some(hash), "each has its salt");
        assert_eq!((hash_password(""), hash_password(&"x".repeat(1_025))), (None, None));
        for no in ["", "secret", "$argon2id$", "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ"] {
            assert!(!is_hash(no), "{no}");
        }
    }
}
