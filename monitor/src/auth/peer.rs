//! From where a request comes. What a proxy tells of that counts only if the proxy is one of ours.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::{Extensions, HeaderMap, header};

use super::networks::Network;

/// From where a request comes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Who asks; None if the server that the routes are in does not tell.
    pub(crate) address: Option<IpAddr>,
    /// Whether a proxy that is believed handed it on.
    pub(super) by_proxy: bool,
    /// Whether the browser reached that proxy over TLS.
    pub(crate) secure: bool,
    /// Under which name (and port) we were asked.
    pub(super) host: Option<String>,
}

impl Peer {
    pub(super) fn of(extensions: &Extensions, headers: &HeaderMap, proxies: &[Network]) -> Self {
        let connected = extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let believed = |address: IpAddr| proxies.iter().any(|proxy| proxy.contains(address));
        let by_proxy = connected.is_some_and(believed);
        let host = last(headers, header::HOST.as_str());
        if !by_proxy {
            return Self { address: connected, by_proxy, secure: false, host };
        }
        // Each proxy appends whom it was asked by; what stands further left anybody may have written.
        let all = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        let all: Vec<&str> = all.flat_map(|value| value.split(',')).collect();
        let known = all.iter().rev().map_while(|text| text.trim().parse::<IpAddr>().ok());
        let address = known.clone().find(|address| !believed(*address)).or(known.last());
        Self {
            address: address.or(connected),
            by_proxy,
            secure: last(headers, "x-forwarded-proto").is_some_and(|proto| proto == "https"),
            host: last(headers, "x-forwarded-host").or(host),
        }
    }

    /// Whether it comes from this machine, and was meant for it: a page elsewhere may have its own name
    /// lead here (DNS rebinding), but not an address.
    pub(super) fn is_here(&self) -> bool {
        let named = |host: &String| {
            let name = host.rsplit_once(':').filter(|(name, _)| !name.ends_with(':'));
            let name = name.map_or(host.as_str(), |(name, _)| name);
            let address = name.trim_start_matches('[').trim_end_matches(']');
            address == "localhost"
                || address.ends_with(".localhost")
                || address.parse::<IpAddr>().is_ok()
        };
        let here = |address: IpAddr| address.to_canonical().is_loopback();
        // Without a host it is no browser.
        self.address.is_some_and(here) && self.host.as_ref().is_none_or(named)
    }
}

/// The last value of a header: the nearest proxy's.
fn last(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    value.rsplit(',').next().map(|value| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(from: &str, headers: &[(&'static str, &str)]) -> Peer {
        let mut extensions = Extensions::new();
        let from: IpAddr = from.parse().expect("an address");
        extensions.insert(ConnectInfo(SocketAddr::new(from, 1)));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().expect("a value"));
        }
        Peer::of(&extensions, &map, &["10.0.0.0/8".parse().expect("a network")])
    }

    #[test]
    fn only_a_proxy_of_ours_is_believed() {
        let headers = [
            ("host", "inner"),
            ("x-forwarded-for", "6.6.6.6, 1.2.3.4, 10.0.0.9"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "monitor.example"),
        ];
        let told = peer("10.0.0.1", &headers);
        let address = Some("1.2.3.4".parse().expect("an address"));
        let host = Some("monitor.example".to_owned());
        assert_eq!(told, Peer { address, by_proxy: true, secure: true, host });
        let lied = peer("1.2.3.4", &headers);
        let host = Some("inner".to_owned());
        assert_eq!(lied, Peer { address, by_proxy: false, secure: false, host });
        assert_eq!(peer("10.0.0.1", &[]).address, Some("10.0.0.1".parse().expect("an address")));
    }

    #[test]
    fn a_foreign_name_is_not_here() {
        let here = |from: &str, host: &str| peer(from, &[("host", host)]).is_here();
        for host in ["127.0.0.1:5555", "localhost", "localhost:1", "[::1]:5555", "a.localhost:1"] {
            assert!(here("127.0.0.1", host) && here("::1", host), "{host}");
        }
        assert!(here("::ffff:127.0.0.1", "127.0.0.1"));
        for host in ["evil.example", "evil.example:5555", "localhost.evil.example", ""] {
            assert!(!here("127.0.0.1", host), "{host}");
        }
        assert!(!here("192.168.0.7", "127.0.0.1"));
    }
}
