//! Who may look and who may act: what is refused, what is believed, and what is never told.

use celeriac_monitor::{Access, AccessOptions, MonitorConfig, MonitorError};

use crate::support::browser_like::{
    KEY, OPERATOR_TOKEN, PASSWORD, Person, VIEWER_TOKEN, bearer, options, site_of, token,
};
use crate::support::http::{Answer, request, with_body};
use crate::support::seed::Producer;
use crate::support::site::{Site, broker_at, fresh_broker};

/// What shows something.
const SHOWN: [&str; 8] = [
    "/",
    "/nowhere",
    "/audit",
    "/events",
    "/metrics",
    "/api/v1/overview",
    "/api/v1/audit",
    "/actions/pause-queue",
];

/// What everybody may ask for.
const OPEN: [&str; 4] = ["/healthz", "/readyz", "/login", "/assets/x/monitor.css"];

async fn pause(site: &Site, headers: &str) -> Answer {
    let headers = format!("content-type: application/json\r\n{headers}");
    let path = "/api/v1/actions/pause-queue";
    with_body(site.address, "POST", path, &headers, br#"{"queue":"mail"}"#).await
}

#[tokio::test]
async fn nothing_configured_shows_all_to_this_machine_and_lets_nobody_act() {
    let site = Site::start(fresh_broker().await).await;
    assert_eq!(site.get("/").await.status, 200);
    for headers in ["", "sec-fetch-site: same-origin\r\n", &bearer("x")] {
        let status = pause(&site, headers).await.status;
        assert!([401, 403].contains(&status), "{status} for {headers:?}");
    }
    assert!(!site.get("/").await.body.contains("<form method=\"post\""), "nothing to act with");
    // A page elsewhere that has its own name lead to this machine.
    for host in ["evil.example", "evil.example:5555"] {
        let stream = format!("GET / HTTP/1.0\r\nhost: {host}\r\n\r\n");
        assert!(raw(&site, &stream).await.starts_with("HTTP/1.0 403"), "{host}");
    }
}

/// The answer to these very bytes.
async fn raw(site: &Site, text: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(site.address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let reading = stream.read_to_string(&mut answer);
    tokio::time::timeout(crate::support::SOON, reading).await.unwrap().unwrap();
    answer
}

#[tokio::test]
async fn an_address_that_others_reach_needs_a_word() {
    let listen = "0.0.0.0:0".parse().unwrap();
    let config = MonitorConfig { listen, ..MonitorConfig::default() };
    let refused = config.bind().await.unwrap_err();
    assert!(matches!(refused, MonitorError::Open { .. }), "{refused}");
    for told in [options(), AccessOptions { public_view: true, ..AccessOptions::default() }] {
        let access = Access::new(&told).unwrap();
        assert!(MonitorConfig { access, ..config.clone() }.bind().await.is_ok());
    }
}

#[tokio::test]
async fn without_a_token_everything_is_refused() {
    let site = site_of(&fresh_broker().await, &options()).await;
    for path in SHOWN {
        let refused = site.get(path).await;
        assert_eq!(refused.header("www-authenticate"), "Bearer realm=\"celeriac\"", "{path}");
        refused.problem(401, "unauthenticated");
        for wrong in ["x", "", &OPERATOR_TOKEN[1..], &format!("{OPERATOR_TOKEN}x"), "ada"] {
            let answer = request(site.address, "GET", path, &bearer(wrong)).await;
            assert_eq!(answer.status, 401, "{path} {wrong}: {answer:?}");
        }
    }
    for path in OPEN {
        assert_eq!(site.get(path).await.status, 200, "{path}");
    }
    let mut person = Person::at(&site);
    let led = person.get("/jobs/1?x=%26").await;
    assert_eq!((led.status, led.header("location")), (303, "/login?back=%2Fjobs%2F1%3Fx%3D%2526"));
    pause(&site, "").await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_viewer_looks_and_an_operator_acts() {
    let site = site_of(&fresh_broker().await, &options()).await;
    let viewer = bearer(VIEWER_TOKEN);
    for path in ["/", "/audit", "/metrics", "/api/v1/overview", "/api/v1/audit"] {
        assert_eq!(request(site.address, "GET", path, &viewer).await.status, 200, "{path}");
    }
    pause(&site, &viewer).await.problem(403, "forbidden");
    let page = request(site.address, "GET", "/actions/pause-queue", &viewer).await;
    assert_eq!(page.status, 403, "{page:?}");
    for path in ["/", "/audit", "/api/v1/jobs", "/nowhere"] {
        request(site.address, "POST", path, &viewer).await.problem(403, "forbidden");
    }
    assert_eq!(pause(&site, &bearer(OPERATOR_TOKEN)).await.json()["changed"], 1);
    let elsewhere = request(site.address, "DELETE", "/audit", &bearer(OPERATOR_TOKEN)).await;
    elsewhere.problem(405, "method-not-allowed");

    let mut bob = Person::logged_in(&site, "bob").await;
    let page = bob.get("/").await.ok();
    assert!(page.contains("bob") && !page.contains("id=\"act\""), "{page}");
    let fields = [("csrf", token(&page)), ("queue", "mail")];
    assert_eq!(bob.send("/actions/resume-queue", &fields).await.status, 403);
    assert_eq!(bob.get("/actions/resume-queue?queue=mail").await.status, 403);
}

#[tokio::test]
async fn a_public_monitor_lets_all_look_and_operators_act() {
    let told = AccessOptions { public_view: true, ..options() };
    let site = site_of(&fresh_broker().await, &told).await;
    assert_eq!(site.get("/").await.status, 200);
    pause(&site, "").await.problem(401, "unauthenticated");
    pause(&site, &bearer(VIEWER_TOKEN)).await.problem(403, "forbidden");
    assert_eq!(pause(&site, &bearer(OPERATOR_TOKEN)).await.status, 200);
}

#[tokio::test]
async fn people_log_in_and_out() {
    let site = site_of(&fresh_broker().await, &options()).await;
    let mut ada = Person::at(&site);
    let refused = ada.log_in("ada", "wrong").await;
    assert_eq!(refused.status, 401);
    assert!(refused.body.contains("do not fit") && ada.cookies.is_empty(), "{refused:?}");

    let answer = ada.log_in("ada", PASSWORD).await;
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("celeriac=") && !cookie.contains("Secure"), "{cookie}");
    assert!(
        cookie.contains("; HttpOnly; SameSite=Strict") && cookie.contains("Path=/;"),
        "{cookie}"
    );
    let page = ada.get("/").await.ok();
    assert!(page.contains("ada") && page.contains("Log out") && page.contains("id=\"act\""));
    assert_eq!(ada.get("/login").await.header("location"), "/", "no need to");

    let stolen = ada.cookies.clone();
    let fields = [("csrf", token(&page))];
    assert_eq!(ada.send("/logout", &[("csrf", "x")]).await.header("location"), "/");
    assert_eq!(ada.get("/").await.status, 200, "nobody else logs her out");
    assert_eq!(ada.send("/logout", &fields).await.header("location"), "/login");
    assert!(ada.cookies.is_empty());
    assert_eq!(ada.get("/").await.status, 303);
    ada.cookies = stolen;
    assert_eq!(ada.get("/").await.status, 303, "the session has ended, not the cookie alone");
}

#[tokio::test]
async fn a_token_logs_a_person_in_and_the_way_back_is_ours() {
    let site = site_of(&fresh_broker().await, &options()).await;
    for (back, location) in [
        ("/audit?x=1", "/audit?x=1"),
        ("//evil.example/", "/"),
        ("https://evil.example/", "/"),
        ("/\\evil.example", "/"),
    ] {
        let mut person = Person::at(&site);
        let page = person.get("/login").await.ok();
        let fields = [("csrf", token(&page)), ("password", VIEWER_TOKEN), ("back", back)];
        let answer = person.send("/login", &fields).await;
        assert_eq!((answer.status, answer.header("location")), (303, location), "{back}");
        assert!(person.get("/").await.ok().contains("grafana"));
    }
}

#[tokio::test]
async fn sessions_are_shared_and_outlive_a_restart() {
    let broker = fresh_broker().await;
    let first = site_of(&broker, &options()).await;
    let cookies = Person::logged_in(&first, "ada").await.cookies;
    // The same hashes: another salt would be another password.
    let mut told = options();
    first.stop().await;
    let other = site_of(&broker, &told).await;
    let mut ada = Person { site: &other, cookies: cookies.clone() };
    assert_eq!(ada.get("/").await.status, 303, "the password was set anew, which ends the login");

    let second = site_of(&broker, &told).await;
    let mut here = Person::logged_in(&other, "ada").await;
    let mut there = Person { site: &second, cookies: here.cookies.clone() };
    assert_eq!((here.get("/").await.status, there.get("/").await.status), (200, 200));
    told.session_key = Some(KEY.to_uppercase());
    let third = site_of(&broker, &told).await;
    let mut elsewhere = Person { site: &third, cookies: here.cookies.clone() };
    assert_eq!(elsewhere.get("/").await.status, 303, "another key");
}

#[tokio::test]
async fn guessing_is_slow() {
    let site = site_of(&fresh_broker().await, &options()).await;
    let mut person = Person::at(&site);
    for _ in 0..5 {
        assert_eq!(person.log_in("ada", "wrong").await.status, 401);
    }
    let limited = person.log_in("ada", PASSWORD).await;
    assert_eq!(limited.status, 429, "not even with the right one");
    let wait: u64 = limited.header("retry-after").parse().unwrap();
    assert!((1..=61).contains(&wait), "{wait}");
    // Programs are not held up by that.
    assert_eq!(pause(&site, &bearer(OPERATOR_TOKEN)).await.status, 200);
    let mut limited = 0;
    for _ in 0..70 {
        limited += u32::from(pause(&site, &bearer("wrong")).await.status == 429);
    }
    assert_eq!(limited, 10);
    assert_eq!(pause(&site, &bearer(OPERATOR_TOKEN)).await.status, 200);
}

#[tokio::test]
async fn attempts_made_at_once_count_all() {
    let site = site_of(&fresh_broker().await, &options()).await;
    let page = Person::at(&site).get("/login").await.ok();
    let attempts = (0..12).map(|_| async {
        let mut person = Person::at(&site);
        let fields = [("csrf", token(&page)), ("name", "ada"), ("password", "wrong")];
        person.send("/login", &fields).await.status
    });
    let statuses = futures_util::future::join_all(attempts).await;
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 5, "{statuses:?}");
}

#[tokio::test]
async fn a_page_elsewhere_cannot_act() {
    let broker = fresh_broker().await;
    let site = site_of(&broker, &options()).await;
    let mut ada = Person::logged_in(&site, "ada").await;
    let page = ada.get("/").await.ok();
    let good = [("csrf", token(&page)), ("queue", "mail"), ("back", "/")];
    let bad = [("queue", "mail"), ("back", "/")];
    let path = "/actions/pause-queue";
    let here = format!("origin: http://{}\r\n", site.address);
    for origin in [
        "",
        "sec-fetch-site: cross-site\r\n",
        "sec-fetch-site: same-site\r\n",
        "origin: null\r\n",
        "origin: http://evil.example\r\n",
        &format!("sec-fetch-site: cross-site\r\n{here}"),
    ] {
        let answer = ada.send_from(origin, path, &good).await;
        assert_eq!(answer.status, 403, "{origin}");
        assert!(answer.body.contains("Not from a page of this monitor"), "{origin}");
    }
    let answer = ada.send(path, &bad).await;
    assert!(answer.status == 403 && answer.body.contains("too old"), "{answer:?}");
    let foreign = token(&Person::at(&site).get("/login").await.ok()).to_owned();
    for other in ["", "x", &foreign] {
        let fields = [("csrf", other), ("queue", "mail")];
        assert_eq!(ada.send(path, &fields).await.status, 403, "{other}");
    }
    // Nor does it count where it could be part of a link.
    let linked = format!("{path}?csrf={}", token(&page));
    assert_eq!(ada.send(&linked, &bad).await.status, 403);
    // The API with a cookie: a script of ours has the token, no other page has.
    let cookie = ada.headers();
    let scripted = |more: &str| format!("{cookie}sec-fetch-site: same-origin\r\n{more}");
    pause(&site, &cookie).await.problem(403, "cross-site");
    pause(&site, &scripted("")).await.problem(403, "form-token");
    assert_eq!(broker.audit(None, 10).await.unwrap().lines, [], "nothing was done");
    assert_eq!(
        pause(&site, &scripted(&format!("x-csrf-token: {}\r\n", token(&page)))).await.status,
        200
    );
    // Where there is no TLS, browsers say only this.
    assert_eq!(ada.send_from(&here, path, &good).await.status, 303);
    // And the login itself.
    let mut person = Person::at(&site);
    let page = person.get("/login").await.ok();
    let fields = [("csrf", token(&page)), ("name", "ada"), ("password", PASSWORD)];
    assert_eq!(
        person.send_from("origin: http://evil.example\r\n", "/login", &fields).await.status,
        403
    );
    assert_eq!(person.send("/login", &fields[1..]).await.status, 403);
}

#[tokio::test]
async fn only_the_proxy_says_who_it_is() {
    let header = "x-forwarded-user: ada\r\n";
    let trusting = |proxy: &str| AccessOptions {
        proxies: vec![proxy.to_owned()],
        header: Some("X-Forwarded-User".to_owned()),
        header_roles: vec!["ada=operator".to_owned(), "bob=viewer".to_owned()],
        ..AccessOptions::default()
    };
    let broker = fresh_broker().await;
    let site = site_of(&broker, &trusting("10.0.0.1")).await;
    request(site.address, "GET", "/api/v1/overview", header).await.problem(401, "unauthenticated");
    pause(&site, header).await.problem(401, "unauthenticated");

    let site = site_of(&broker, &trusting("127.0.0.0/8")).await;
    let ask = async |headers: &str| request(site.address, "GET", "/api/v1/overview", headers).await;
    assert_eq!(ask(header).await.status, 200);
    assert_eq!(ask("x-forwarded-user: bob\r\n").await.status, 200);
    ask("").await.problem(401, "unauthenticated");
    ask("x-forwarded-user: eve\r\n").await.problem(403, "forbidden");
    ask(&format!("x-forwarded-user: eve\r\n{header}")).await.problem(403, "forbidden");
    pause(&site, "x-forwarded-user: bob\r\n").await.problem(403, "forbidden");
    // A browser sends what the proxy adds to everything: pages elsewhere must be kept out.
    pause(&site, header).await.problem(403, "cross-site");
    let page = request(site.address, "GET", "/", header).await.ok();
    let from = "x-forwarded-for: 6.6.6.6, 192.0.2.7\r\nx-forwarded-host: monitor.example\r\n";
    let ours = format!("origin: https://monitor.example\r\nx-csrf-token: {}\r\n", token(&page));
    assert_eq!(pause(&site, &format!("{header}{from}{ours}")).await.status, 200);
    let line = &broker.audit(None, 1).await.unwrap().lines[0];
    assert_eq!(line.deed.who.by.as_deref(), Some("ada"));
    assert_eq!(line.deed.from.as_deref(), Some("192.0.2.7"), "of what the proxy has added itself");
}

#[tokio::test]
async fn behind_tls_cookies_are_for_tls_only() {
    let told = AccessOptions { proxies: vec!["127.0.0.1".to_owned()], ..options() };
    let site = site_of(&fresh_broker().await, &told).await;
    let tls = "x-forwarded-proto: https\r\n";
    let page = request(site.address, "GET", "/login", tls).await.ok();
    let body = format!("csrf={}&name=bob&password={}", token(&page), PASSWORD.replace(' ', "+"));
    let headers = format!("{tls}sec-fetch-site: same-origin\r\n");
    let answer = with_body(site.address, "POST", "/login", &headers, body.as_bytes()).await;
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("__Host-celeriac=") && cookie.ends_with("; Secure"), "{cookie}");
    let cookie = format!("cookie: {}\r\n", cookie.split(';').next().unwrap());
    let ask = async |more: &str| {
        request(site.address, "GET", "/", &format!("{cookie}{more}")).await.status
    };
    assert_eq!((ask(tls).await, ask("").await), (200, 401));
}

#[tokio::test]
async fn no_secret_is_ever_told() {
    let secret = "hunter2-of-redis";
    // One that is away, and one that knows of no such password.
    nothing_tells(secret, &format!("redis://:{secret}@127.0.0.1:1/")).await;
    let there = celeriac_testkit::TestRedis::shared().await.url();
    nothing_tells(secret, &format!("{there}?pass={secret}")).await;
}

/// Asks for everything, rightly and wrongly, and looks for secrets in the answers.
async fn nothing_tells(secret: &str, url: &str) {
    let mut told = options();
    told.public_view = true;
    let hash = told.users.split(':').nth(2).unwrap().lines().next().unwrap().to_owned();
    let site = site_of(&broker_at(url), &told).await;
    let (right, wrong) = (bearer(OPERATOR_TOKEN), bearer("wrong-token-0123456789"));
    let mut answers = Vec::new();
    for path in SHOWN.into_iter().filter(|path| *path != "/events").chain(OPEN) {
        for headers in ["", &right, &wrong, "accept: text/html\r\n"] {
            answers.push(request(site.address, "GET", path, headers).await);
        }
    }
    answers.push(pause(&site, &right).await);
    let mut ada = Person::at(&site);
    answers.push(ada.log_in("ada", "a-wrong-password-of-hers").await);
    answers.push(ada.log_in("ada", PASSWORD).await);
    answers.push(ada.get("/").await);
    assert!(answers.iter().any(|answer| answer.status >= 500), "no error was looked at");
    for answer in answers {
        let text = format!("{answer:?}");
        let secrets = [
            secret,
            PASSWORD,
            OPERATOR_TOKEN,
            VIEWER_TOKEN,
            KEY,
            &hash,
            "a-wrong-password-of-hers",
        ];
        for secret in secrets {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

#[tokio::test]
async fn what_is_redacted_is_in_no_page_and_no_answer() {
    let broker = fresh_broker().await;
    let mut producer = Producer::new(&broker);
    let record = r#"{"v":1,"task":"mail.send","args":{"to":"open-part","key":"hidden-part"}}"#;
    let id = producer.record(record.to_owned(), "mail", None).await;
    let rules = ["mail.*:args.key"].map(|rule| rule.parse().unwrap()).to_vec();
    let redaction = celeriac_monitor::Redaction(rules);
    let config = MonitorConfig { redaction, ..MonitorConfig::default() };
    let site = Site::configured(broker, config).await;
    crate::support::http::json_when(site.address, "/api/v1/overview", |_| true).await;
    for path in [format!("/tasks/{id}"), format!("/api/v1/tasks/{id}")] {
        let answer = site.get(&path).await.ok();
        assert!(answer.contains("open-part") && answer.contains("redacted"), "{answer}");
        assert!(!answer.contains("hidden-part"), "{answer}");
    }
    let mut events = site.events(&format!("/tasks/{id}/events")).await;
    let event = events.fragment_when("detail", |_| true).await;
    assert!(!event.data.contains("hidden-part") && event.data.contains("redacted"));
}

#[tokio::test]
async fn every_answer_has_the_policy_whoever_asks() {
    let site = site_of(&fresh_broker().await, &options()).await;
    let operator = bearer(OPERATOR_TOKEN);
    let more = ["/logout", "/api/v1/actions", "/actions/no-such", "/login?back=/x"];
    for path in SHOWN.into_iter().filter(|path| *path != "/events").chain(OPEN).chain(more) {
        for method in ["GET", "POST"] {
            for headers in ["", &operator, "accept: text/html\r\n", "cookie: celeriac=x\r\n"] {
                let answer = request(site.address, method, path, headers).await;
                let policy = answer.header("content-security-policy");
                let strict = policy.starts_with("default-src 'none'; script-src 'self'");
                assert!(strict && !policy.contains("unsafe"), "{method} {path}: {answer:?}");
                assert!(policy.contains("form-action 'self'"), "{method} {path}: {policy}");
                assert_eq!(answer.header("x-frame-options"), "DENY", "{method} {path}");
                assert_eq!(answer.header("access-control-allow-origin"), "", "{method} {path}");
                assert_ne!(answer.header("cache-control"), "", "{method} {path}");
                assert!(!answer.body.contains("<style") && !answer.body.contains(" style="));
            }
        }
    }
}
