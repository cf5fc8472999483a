//! [`Guard`]: finds out who asks, and logs people in. It holds what it counts in memory, and nothing
//! that must outlive it.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

use axum::http::{Extensions, HeaderMap, header};
use subtle::{Choice, ConstantTimeEq, ConstantTimeLess};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::access::{Access, Token, digest};
use super::forgery::token as form_token;
use super::limiter::Limiter;
use super::networks::one_client;
use super::peer::Peer;
use super::refusal::Refusal;
use super::session::{self, Session, proof};
use super::viewer::Role;
use super::{forgery, password};

/// Failed attempts to log in, in a minute, from one address.
const FROM_ADDRESS: u32 = 5;

/// The same for one name, from wherever. More, so that others cannot keep somebody out so easily.
const FOR_NAME: u32 = 30;

/// Wrong tokens in a minute from one address: programs are stubborn when they are configured wrong.
const TOKENS: u32 = 60;

/// Passwords that are hashed at a time: each takes 19 MiB and a core.
const AT_ONCE: usize = 2;

/// Sessions that were ended here before their time. More are not remembered.
const ENDED: usize = 10_000;

/// Decides who somebody is.
pub(crate) struct Guard {
    access: Access,
    key: [u8; 32],
    by_address: Limiter<Option<IpAddr>>,
    by_name: Limiter<String>,
    by_token: Limiter<Option<IpAddr>>,
    hashing: Semaphore,
    /// Sessions that were ended by hand, and when they would have ended by themselves.
    ended: Mutex<HashMap<String, u64>>,
}

/// Somebody who proved who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) how: How,
}

/// How they did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum How {
    /// By a token in the request.
    Token,
    /// By a session.
    Session(Session),
    /// A proxy says so.
    Proxy,
}

/// Why somebody could not log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoginFailed {
    /// Name and password do not fit.
    Wrong,
    /// There were too many attempts; for how long to wait.
    Wait(Duration),
}

impl Guard {
    pub(crate) fn new(access: Access) -> Self {
        let key = access.session_key.unwrap_or_else(rand::random);
        Self {
            access,
            key,
            by_address: Limiter::new(FROM_ADDRESS),
            by_name: Limiter::new(FOR_NAME),
            by_token: Limiter::new(TOKENS),
            hashing: Semaphore::new(AT_ONCE),
            ended: Mutex::default(),
        }
    }

    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    pub(super) fn peer(&self, extensions: &Extensions, headers: &HeaderMap) -> Peer {
        Peer::of(extensions, headers, &self.access.proxies)
    }

    /// Who it is; None: nobody known.
    ///
    /// # Errors
    /// What they say of themselves is wrong.
    pub(super) fn who(&self, headers: &HeaderMap, peer: &Peer) -> Result<Option<Known>, Refusal> {
        if let Some(token) = bearer(headers) {
            return self.by_token(token, peer).map(Some);
        }
        if let Some(known) = self.by_proxy(headers, peer)? {
            return Ok(Some(known));
        }
        Ok(Session::of(&self.key, headers, peer.secure)
            .and_then(|session| self.by_session(session)))
    }

    fn by_token(&self, token: &str, peer: &Peer) -> Result<Known, Refusal> {
        match self.token(token) {
            Some(Token { name, role, .. }) => {
                Ok(Known { name: name.clone(), role: *role, how: How::Token })
            }
            // A right one is not held up by others from the same address.
            None => Err(match self.by_token.begin(peer.address.map(one_client)) {
                Ok(()) => Refusal::WrongToken,
                Err(wait) => Refusal::Wait(wait),
            }),
        }
    }

    /// Compares with all tokens, each as a whole: the time tells neither which one it is nor how much of
    /// it is right.
    fn token(&self, given: &str) -> Option<&Token> {
        let given = digest(given);
        let mut found = u64::MAX;
        for (i, token) in (0_u64..).zip(&self.access.tokens) {
            let same: Choice = token.digest.ct_eq(&given);
            let first = same & i.ct_lt(&found);
            found = subtle::ConditionallySelectable::conditional_select(&found, &i, first);
        }
        self.access.tokens.get(usize::try_from(found).ok()?)
    }

    fn by_proxy(&self, headers: &HeaderMap, peer: &Peer) -> Result<Option<Known>, Refusal> {
        let Some(header) = self.access.header.as_ref().filter(|_| peer.by_proxy) else {
            return Ok(None);
        };
        let mut values = headers.get_all(&header.name).iter();
        let (Some(value), more) = (values.next(), values.next()) else { return Ok(None) };
        let name = value.to_str().map(str::trim).unwrap_or_default();
        // Two may be one of the proxy and one of somebody else.
        if more.is_some() || name.is_empty() || name.len() > 200 {
            return Err(Refusal::NoRole);
        }
        let role = header.role(name).ok_or(Refusal::NoRole)?;
        Ok(Some(Known { name: name.to_owned(), role, how: How::Proxy }))
    }

    /// A session counts as long as there is such a user or token, with the same secret.
    fn by_session(&self, session: Session) -> Option<Known> {
        let ended = self.ended.lock().expect("no panic while the lock is held");
        if ended.contains_key(&session.id) {
            return None;
        }
        let is_it = |secret: &[u8]| proof(&self.key, secret) == session.proof;
        let user = self.access.users.iter().find(|user| user.name == session.name);
        let token = self.access.tokens.iter().find(|token| token.name == session.name);
        let user = user.filter(|user| is_it(user.hash.as_bytes())).map(|user| user.role);
        let role = user.or(token.filter(|token| is_it(&token.digest)).map(|token| token.role))?;
        Some(Known { name: session.name.clone(), role, how: How::Session(session) })
    }

    /// What proves that a form was made for them; for somebody unknown it proves only that it is ours.
    pub(super) fn form_token(&self, known: Option<&Known>) -> String {
        let who = known.map_or_else(
            || "nobody".to_owned(),
            |known| match &known.how {
                How::Session(session) => format!("session {}", session.id),
                How::Proxy | How::Token => format!("name {}", known.name),
            },
        );
        form_token(&self.key, &who)
    }

    /// Logs somebody in by name and password, or by a token in its place. Returns the cookie.
    ///
    /// # Errors
    /// It does not fit, or there were too many attempts.
    pub(crate) async fn log_in(
        &self,
        name: &str,
        secret: &str,
        peer: &Peer,
    ) -> Result<String, LoginFailed> {
        let address = peer.address.map(one_client);
        let counted: String = name.chars().take(100).collect();
        self.by_address.begin(address).map_err(LoginFailed::Wait)?;
        self.by_name.begin(counted.clone()).map_err(LoginFailed::Wait)?;
        let session = match self.token(secret).filter(|token| name.is_empty() || token.name == name)
        {
            Some(token) => Session::open(&token.name, proof(&self.key, &token.digest)),
            None => self.by_password(name, secret).await.ok_or(LoginFailed::Wrong)?,
        };
        self.by_address.forgive(&address);
        self.by_name.forgive(&counted);
        Ok(session.cookie(&self.key, peer.secure))
    }

    /// Takes as long for somebody unknown as for a wrong password.
    async fn by_password(&self, name: &str, password: &str) -> Option<Session> {
        let users = &self.access.users;
        let user = users.iter().find(|user| user.name == name);
        let hash = user.or(users.first())?.hash.clone();
        let (shown, password) = (hash.clone(), password.to_owned());
        let _turn = self.hashing.acquire().await.ok()?;
        let fits = spawn_blocking(move || password::fits(&password, &hash)).await.unwrap_or(false);
        let user = user.filter(|_| fits)?;
        Some(Session::open(&user.name, proof(&self.key, shown.as_bytes())))
    }

    /// Ends the session of a request. Returns the cookie that says so. Other monitors with the same key
    /// do not hear of it: there it goes on until its end, if somebody has kept its cookie.
    pub(crate) fn log_out(&self, headers: &HeaderMap, peer: &Peer) -> String {
        if let Some(session) = Session::of(&self.key, headers, peer.secure) {
            let mut ended = self.ended.lock().expect("no panic while the lock is held");
            let now = session::now();
            ended.retain(|_, ends| *ends > now);
            if ended.len() < ENDED {
                ended.insert(session.id, session.ends);
            }
        }
        session::ended(peer.secure)
    }

    pub(super) fn is_same_origin(headers: &HeaderMap, peer: &Peer) -> bool {
        forgery::is_same_origin(headers, peer)
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// No secret.
impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("access", &self.access).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::AccessOptions;

    fn guard(tokens: &str) -> Guard {
        let options = AccessOptions { tokens: tokens.to_owned(), ..AccessOptions::default() };
        Guard::new(Access::new(&options).expect("right"))
    }

    #[test]
    fn every_token_is_found_and_nothing_else() {
        let guard = guard("a:viewer:aaaaaaaaaaaaaaaa\nb:operator:bbbbbbbbbbbbbbbb");
        let name = |token: &str| guard.token(token).map(|token| token.name.as_str());
        assert_eq!(name("aaaaaaaaaaaaaaaa"), Some("a"));
        assert_eq!(name("bbbbbbbbbbbbbbbb"), Some("b"));
        for wrong in ["", "aaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaab"] {
            assert_eq!(name(wrong), None, "{wrong}");
        }
        assert!(!format!("{guard:?}").contains("aaaaaaaa"));
    }

    #[test]
    fn a_session_ends_with_what_opened_it() {
        let before = guard("a:viewer:aaaaaaaaaaaaaaaa");
        let token = before.token("aaaaaaaaaaaaaaaa").expect("there");
        let session = Session::open("a", proof(&before.key, &token.digest));
        let known = |tokens: &str| {
            let after = Guard { key: before.key, ..guard(tokens) };
            after.by_session(session.clone()).map(|known| known.role)
        };
        assert_eq!(known("a:viewer:aaaaaaaaaaaaaaaa"), Some(Role::Viewer));
        assert_eq!(known("a:operator:aaaaaaaaaaaaaaaa"), Some(Role::Operator));
        assert_eq!(known("a:viewer:aaaaaaaaaaaaaaab"), None);
        assert_eq!(known("b:viewer:aaaaaaaaaaaaaaaa"), None);
    }
}
