//! By which names may this page be called? A stranger's page whose name leads here (DNS rebinding)
//! must not be answered.

use std::net::IpAddr;

/// A host as a browser sends it, without its port.
pub fn host_of(header: &str) -> &str {
    if let Some(rest) = header.strip_prefix('[') {
        // Behind the bracket comes a port or nothing.
        return rest
            .split_once(']')
            .filter(|(_, port)| port.is_empty() || port.starts_with(':'))
            .map_or("", |(host, _)| host);
    }
    header.rsplit_once(':').map_or(header, |(host, _)| host)
}

/// Whether a name is ours: this machine's, an address (which no stranger's page can have), or one
/// that the user allows.
pub fn is_ours(host: &str, machine: &str, allowed: &[String]) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let machine = machine.to_ascii_lowercase();
    let is_machine = !machine.is_empty() && (host == machine || host == format!("{machine}.local"));
    host == "localhost"
        || host.parse::<IpAddr>().is_ok()
        || is_machine
        || allowed.iter().any(|name| name.eq_ignore_ascii_case(&host))
}

/// Where a request comes from, for one that changes something.
#[derive(Clone, Copy, Debug, Default)]
pub struct Origin<'a> {
    /// `Sec-Fetch-Site`, which browsers send to addresses that they trust.
    pub site: Option<&'a str>,
    /// `Origin`.
    pub origin: Option<&'a str>,
    /// `Host`, or what a trusted proxy says that it was.
    pub host: &'a str,
}

impl Origin<'_> {
    /// Whether a page of ours sent it. A program sends neither header.
    pub fn is_own(&self) -> bool {
        match (self.site, self.origin) {
            (Some(site), _) => site == "same-origin" || site == "none",
            (None, Some(origin)) => origin
                .split_once("://")
                .is_some_and(|(_, host)| host.eq_ignore_ascii_case(self.host)),
            (None, None) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_ours_and_of_strangers() {
        let allowed = ["backup.example.org".to_owned()];
        for host in [
            "localhost",
            "127.0.0.1",
            "192.168.1.9",
            "::1",
            "nas",
            "NAS.local",
            "Backup.Example.org",
            "nas.",
        ] {
            assert!(is_ours(host, "nas", &allowed), "{host}");
        }
        for host in [
            "evil.example",
            "nas.evil.example",
            "127.0.0.1.evil.example",
            "",
            "localhost.evil.example",
        ] {
            assert!(!is_ours(host, "nas", &allowed), "{host}");
        }
        assert!(!is_ours("", "", &[]));
        assert_eq!(
            ["nas:8788", "nas", "[::1]:8788", "127.0.0.1:1"].map(host_of),
            ["nas", "nas", "::1", "127.0.0.1"]
        );
        assert_eq!(host_of("[::1]evil"), "");
    }

    #[test]
    fn only_our_own_pages_change_something() {
        let own = |site, origin| Origin { site, origin, host: "nas:8788" }.is_own();
        assert!(
            own(Some("same-origin"), None)
                && own(Some("none"), None)
                && own(None, Some("http://nas:8788"))
                && own(None, None)
        );
        assert!(!own(Some("cross-site"), Some("http://nas:8788")) && !own(Some("same-site"), None));
        assert!(
            !own(None, Some("http://nas:9999"))
                && !own(None, Some("null"))
                && !own(None, Some("http://evil.example"))
        );
    }
}
