//! People: who keep cookies, send forms from pages, and say where these come from, as browsers do.

use celeriac_broker_schema::Broker;
use celeriac_monitor::{Access, AccessOptions, MonitorConfig, hash_password};

use super::http::{Answer, request, with_body};
use super::site::Site;

pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const OPERATOR_TOKEN: &str = "operator-token-0123456789";
pub(crate) const VIEWER_TOKEN: &str = "viewer-token-0123456789";
pub(crate) const KEY: &str = "a key of sessions of 32 characters and more";

/// Ada may act, Bob may look; both have the same password. Two programs have tokens.
pub(crate) fn options() -> AccessOptions {
    let hash = hash_password(PASSWORD).expect("a password");
    AccessOptions {
        users: format!("ada:operator:{hash}\nbob:viewer:{hash}\n"),
        tokens: format!("deploy:operator:{OPERATOR_TOKEN}\ngrafana:viewer:{VIEWER_TOKEN}\n"),
        session_key: Some(KEY.to_owned()),
        ..AccessOptions::default()
    }
}

pub(crate) async fn site_of(broker: &Broker, options: &AccessOptions) -> Site {
    let access = Access::new(options).expect("it is clear");
    let config = MonitorConfig { access, ..MonitorConfig::default() };
    Site::configured(broker.clone(), config).await
}

/// The header of a program.
pub(crate) fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}

/// Somebody at a browser.
pub(crate) struct Person<'a> {
    pub(crate) site: &'a Site,
    /// `Cookie`, as it would be sent.
    pub(crate) cookies: Vec<(String, String)>,
}

impl<'a> Person<'a> {
    pub(crate) fn at(site: &'a Site) -> Self {
        Self { site, cookies: Vec::new() }
    }

    /// Somebody who has logged in.
    pub(crate) async fn logged_in(site: &'a Site, name: &str) -> Self {
        let mut person = Self::at(site);
        let answer = person.log_in(name, PASSWORD).await;
        assert_eq!((answer.status, answer.header("location")), (303, "/"), "{answer:?}");
        person
    }

    pub(crate) async fn log_in(&mut self, name: &str, password: &str) -> Answer {
        let page = self.get("/login").await;
        let form = [("csrf", token(&page.body)), ("name", name), ("password", password)];
        self.send("/login", &form).await
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        let headers = format!("accept: text/html\r\n{}", self.headers());
        self.keep(request(self.site.address, "GET", path, &headers).await)
    }

    /// Sends a form from one of our pages.
    pub(crate) async fn send(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.send_from("sec-fetch-site: same-origin\r\n", path, fields).await
    }

    /// Sends a form from somewhere.
    pub(crate) async fn send_from(
        &mut self,
        origin: &str,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Answer {
        let kind = "content-type: application/x-www-form-urlencoded\r\n";
        let headers = format!("accept: text/html\r\n{kind}{origin}{}", self.headers());
        let body = encoded(fields);
        self.keep(with_body(self.site.address, "POST", path, &headers, body.as_bytes()).await)
    }

    pub(crate) fn headers(&self) -> String {
        if self.cookies.is_empty() {
            return String::new();
        }
        let pairs: Vec<String> = self.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
        format!("cookie: {}\r\n", pairs.join("; "))
    }

    fn keep(&mut self, answer: Answer) -> Answer {
        for cookie in answer.all("set-cookie") {
            let (name, rest) = cookie.split_once('=').expect("a name and a value");
            let value = rest.split(';').next().unwrap_or_default();
            self.cookies.retain(|(known, _)| known != name);
            if !rest.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        answer
    }
}

/// The token of the forms of a page.
pub(crate) fn token(page: &str) -> &str {
    let begin = "name=\"csrf\" value=\"";
    let at = page.find(begin).unwrap_or_else(|| panic!("no form in {page}")) + begin.len();
    page[at..].split('"').next().expect("a value")
}

fn encoded(fields: &[(&str, &str)]) -> String {
    let escaped = |text: &str| -> String {
        text.bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
                _ => format!("%{byte:02X}"),
            })
            .collect()
    };
    let pairs: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)))
        .collect();
    pairs.join("&")
}
