//! What was configured about who may do what: read once, and refused with all that is wrong with it.
//! Nothing here is ever shown: neither [`Debug`](std::fmt::Debug) nor an error tells a secret.

use std::fmt;

use sha2::{Digest, Sha256};

use super::networks::Network;
use super::password::is_hash;
use super::viewer::Role;

/// A token that is shorter can be guessed.
const SHORTEST_TOKEN: usize = 16;

/// A key of sessions that is shorter can be guessed.
const SHORTEST_KEY: usize = 32;

/// Who may look and who may act, as texts. Nothing is set by default: then whoever is on this machine
/// may look, and nobody may act.
#[derive(Clone, Default)]
pub struct AccessOptions {
    /// Lines `NAME:ROLE:HASH`, the hash as [`hash_password`](crate::hash_password) makes it; the role
    /// is `viewer` or `operator`. A line that begins with `#` is a comment.
    pub users: String,
    /// Lines `NAME:ROLE:TOKEN`, the token at least 16 characters.
    pub tokens: String,
    /// Signs sessions, at least 32 characters: monitors with the same one share them, and a restart
    /// keeps them. None: a random one, so that a restart ends them.
    pub session_key: Option<String>,
    /// Addresses (`10.0.0.7`) and networks (`10.0.0.0/8`) of proxies whose headers are believed.
    pub proxies: Vec<String>,
    /// The header in which those proxies tell who it is.
    pub header: Option<String>,
    /// `NAME=ROLE` for those whom that header names, `*` for all others. Without: all may look.
    pub header_roles: Vec<String>,
    /// Whoever reaches the monitor may look, without a login.
    pub public_view: bool,
}

/// Who may look and who may act. Made of [`AccessOptions`].
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Access {
    pub(super) users: Vec<User>,
    pub(super) tokens: Vec<Token>,
    pub(super) session_key: Option<[u8; 32]>,
    pub(super) proxies: Vec<Network>,
    pub(super) header: Option<TrustedHeader>,
    pub(super) public_view: bool,
}

/// All that is wrong with what was configured. It repeats no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("who may use the monitor is not clear: {}", .0.join("; "))]
pub struct InvalidAccess(pub Vec<String>);

#[derive(Clone, PartialEq, Eq)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) role: Role,
    /// In PHC form.
    pub(super) hash: String,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) name: String,
    pub(super) role: Role,
    /// Of the same length for all, so that they can be compared in the same time.
    pub(super) digest: [u8; 32],
}

#[derive(Clone, PartialEq, Eq)]
pub(super) struct TrustedHeader {
    pub(super) name: String,
    roles: Vec<(String, Role)>,
    others: Option<Role>,
}

impl TrustedHeader {
    /// What somebody of this name may do; None: nothing at all.
    pub(super) fn role(&self, name: &str) -> Option<Role> {
        let named = self.roles.iter().find(|(known, _)| known == name);
        named.map(|(_, role)| *role).or(self.others)
    }
}

pub(super) fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

impl Access {
    /// Reads what was configured.
    ///
    /// ```
    /// use celeriac_monitor::{Access, AccessOptions};
    /// let tokens = "grafana:viewer:8c1f04b2e9d6477a".to_owned();
    /// assert!(Access::new(&AccessOptions { tokens, ..AccessOptions::default() }).is_ok());
    ///
    /// let tokens = "grafana:admin:short".to_owned();
    /// let error = Access::new(&AccessOptions { tokens, ..AccessOptions::default() }).unwrap_err();
    /// assert_eq!(error.0.len(), 2); // the role, and the token
    /// ```
    ///
    /// # Errors
    /// [`InvalidAccess`] with all that is wrong.
    pub fn new(options: &AccessOptions) -> Result<Self, InvalidAccess> {
        let mut wrong = Vec::new();
        let users = users(&options.users, &mut wrong);
        let tokens = tokens(&options.tokens, &mut wrong);
        let session_key = options.session_key.as_deref().map(str::trim);
        if session_key.is_some_and(|key| key.len() < SHORTEST_KEY) {
            wrong.push(format!("the session key has less than {SHORTEST_KEY} characters"));
        }
        let proxies = options.proxies.iter().filter_map(|text| match text.parse() {
            Ok(network) => Some(network),
            Err(()) => {
                wrong
                    .push(format!("{text:?} is no address of a proxy: use 10.0.0.7 or 10.0.0.0/8"));
                None
            }
        });
        let proxies: Vec<Network> = proxies.collect();
        let header = header(options, &proxies, &mut wrong);
        if !wrong.is_empty() {
            return Err(InvalidAccess(wrong));
        }
        let (session_key, public_view) = (session_key.map(digest), options.public_view);
        Ok(Self { users, tokens, session_key, proxies, header, public_view })
    }

    /// Whether anybody can prove who they are.
    pub fn knows_anybody(&self) -> bool {
        self.can_log_in() || self.header.is_some()
    }

    /// Whether it has been said who may look: without, only this machine may.
    pub(crate) fn is_set(&self) -> bool {
        self.public_view || self.knows_anybody()
    }

    /// Whether everybody may look.
    pub(crate) fn is_public(&self) -> bool {
        self.public_view
    }

    /// Whether there is something to log in with.
    pub(super) fn can_log_in(&self) -> bool {
        !self.users.is_empty() || !self.tokens.is_empty()
    }
}

fn users(text: &str, wrong: &mut Vec<String>) -> Vec<User> {
    let read = |name: &str, role, hash: &str, wrong: &mut Vec<String>| {
        if !is_hash(hash) {
            wrong.push(format!(
                "the password of user {name} is no argon2 hash: make one with --hash-password"
            ));
        }
        User { name: name.to_owned(), role, hash: hash.to_owned() }
    };
    entries("user", text, wrong, read, |user| &user.name)
}

fn tokens(text: &str, wrong: &mut Vec<String>) -> Vec<Token> {
    let read = |name: &str, role, token: &str, wrong: &mut Vec<String>| {
        if token.len() < SHORTEST_TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            wrong.push(format!(
                "token {name} must have at least {SHORTEST_TOKEN} characters, of ASCII alone"
            ));
        }
        Token { name: name.to_owned(), role, digest: digest(token) }
    };
    entries("token", text, wrong, read, |token| &token.name)
}

/// Reads lines `NAME:ROLE:SECRET`.
fn entries<T>(
    what: &str,
    text: &str,
    wrong: &mut Vec<String>,
    read: impl Fn(&str, Role, &str, &mut Vec<String>) -> T,
    name_of: impl Fn(&T) -> &str,
) -> Vec<T> {
    let mut found: Vec<T> = Vec::new();
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut parts = line.splitn(3, ':');
        let (Some(name), Some(role), Some(secret)) = (parts.next(), parts.next(), parts.next())
        else {
            // The line may be a secret, whatever else it is.
            wrong.push(format!("line {number} of the {what}s is not NAME:ROLE:SECRET"));
            continue;
        };
        if !is_name(name) || found.iter().any(|other| name_of(other) == name) {
            wrong.push(format!("line {number} of the {what}s has no name of its own"));
        }
        let role = Role::of(role).unwrap_or_else(|| {
            wrong.push(format!("the role of {what} {name} must be viewer or operator"));
            Role::Viewer
        });
        found.push(read(name, role, secret, wrong));
    }
    found
}

fn is_name(name: &str) -> bool {
    (1..=100).contains(&name.len()) && !name.chars().any(|c| c.is_control() || c.is_whitespace())
}

fn header(
    options: &AccessOptions,
    proxies: &[Network],
    wrong: &mut Vec<String>,
) -> Option<TrustedHeader> {
    let Some(name) = &options.header else {
        if !options.header_roles.is_empty() {
            wrong.push("roles are given for a header that is not".to_owned());
        }
        return None;
    };
    if proxies.is_empty() && options.proxies.is_empty() {
        wrong.push(format!("header {name} is believed from proxies only, and none is named"));
    }
    if axum::http::HeaderName::try_from(name.as_str()).is_err() {
        wrong.push(format!("{name:?} is no name of a header"));
    }
    let mut header = TrustedHeader { name: name.clone(), roles: Vec::new(), others: None };
    for text in &options.header_roles {
        let parts = text.split_once('=');
        match parts.and_then(|(name, role)| Some((name, Role::of(role)?))) {
            Some(("*", role)) => header.others = Some(role),
            Some((name, role)) => header.roles.push((name.to_owned(), role)),
            None => wrong.push(format!("{text:?} is not NAME=viewer or NAME=operator")),
        }
    }
    if options.header_roles.is_empty() {
        header.others = Some(Role::Viewer);
    }
    Some(header)
}

/// How many of each, and no secret.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("users", &self.users.len())
            .field("tokens", &self.tokens.len())
            .field("header", &self.header.as_ref().map(|header| &header.name))
            .field("proxies", &self.proxies)
            .field("public_view", &self.public_view)
            .finish_non_exhaustive()
    }
}

/// No secret.
impl fmt::Debug for AccessOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessOptions")
            .field("proxies", &self.proxies)
            .field("header", &self.header)
            .field("header_roles", &self.header_roles)
            .field("public_view", &self.public_view)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789-secret";

    #[test]
    fn all_that_is_wrong_is_told_at_once_and_no_secret() {
        let options = AccessOptions {
            users: format!("ada:operator:{SECRET}\n{SECRET}\n"),
            tokens: format!("a:boss:{SECRET}\na:viewer:short\n# a comment\n\n"),
            session_key: Some("too short".to_owned()),
            proxies: vec!["10.0.0.0/40".to_owned()],
            header: Some("X Y".to_owned()),
            header_roles: vec!["ada".to_owned(), "*=viewer".to_owned()],
            public_view: false,
        };
        let error = Access::new(&options).expect_err("nearly all of it is wrong");
        assert_eq!(error.0.len(), 9, "{error}");
        let access = Access::new(&AccessOptions {
            tokens: format!("a:viewer:{SECRET}"),
            ..AccessOptions::default()
        });
        for text in [format!("{error}"), format!("{error:?}{options:?}{access:?}")] {
            assert!(!text.contains(SECRET) && !text.contains("too short"), "{text}");
        }
    }

    #[test]
    fn a_header_needs_proxies_and_gives_roles() {
        let mut options =
            AccessOptions { header: Some("X-User".to_owned()), ..AccessOptions::default() };
        assert!(Access::new(&options).is_err());
        options.proxies = vec!["127.0.0.1".to_owned()];
        let role = |options: &AccessOptions, name: &str| {
            let header = Access::new(options).expect("it is right").header;
            header.expect("a header").role(name)
        };
        assert_eq!(role(&options, "ada"), Some(Role::Viewer));
        options.header_roles = vec!["ada=operator".to_owned()];
        assert_eq!((role(&options, "ada"), role(&options, "bob")), (Some(Role::Operator), None));
        options.header_roles.push("*=viewer".to_owned());
        assert_eq!(role(&options, "bob"), Some(Role::Viewer));
    }
}
