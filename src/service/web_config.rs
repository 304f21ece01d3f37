//! Where the page is reached, and by whom.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where it listens where nothing is said: this machine alone can reach it.
const LISTEN: &str = "127.0.0.1:8788";

/// The page.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebConfig {
    /// `enabled = false`.
    pub enabled: Option<bool>,
    /// Address and port.
    pub listen: Option<String>,
    /// What stands before each path, behind a proxy: `/backup`.
    pub base_path: Option<String>,
    /// Names by which it may be opened, beside this machine's.
    pub allowed_hosts: Vec<String>,
    /// Addresses or nets of proxies whose headers are believed.
    pub trusted_proxies: Vec<String>,
    /// A file with the password, for containers.
    pub password_file: Option<PathBuf>,
}

impl WebConfig {
    /// Whether there is a page.
    pub fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    /// Whether anything is said of it: then it is missed where it cannot be served.
    pub fn is_wanted(&self) -> bool {
        self.enabled == Some(true) || self.listen.is_some() || self.base_path.is_some()
    }

    /// Where it listens.
    ///
    /// # Errors
    /// An address that is none.
    pub fn address(&self) -> Result<SocketAddr, String> {
        let text = self.listen.as_deref().unwrap_or(LISTEN);
        text.parse().map_err(|_| {
            format!(
                "listen: {text:?} is not an address with a port such as {LISTEN} or 0.0.0.0:8788"
            )
        })
    }

    /// What stands before each path: empty, or with a slash in front and none behind.
    ///
    /// # Errors
    /// A path that is none.
    pub fn base(&self) -> Result<String, String> {
        let text = self.base_path.as_deref().unwrap_or_default().trim_end_matches('/');
        let is_path = text.starts_with('/')
            && !text.contains("//")
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte));
        if text.is_empty() || is_path {
            Ok(text.to_owned())
        } else {
            Err(format!("base_path: {text:?} is not a path such as /backup"))
        }
    }

    /// Whether every value makes sense.
    ///
    /// # Errors
    /// The first that does not.
    pub fn check(&self) -> Result<(), String> {
        self.address()?;
        self.base()?;
        let is_net = |net: &&String| {
            let (address, bits) = net.split_once('/').unwrap_or((net, "0"));
            address.parse::<IpAddr>().is_ok_and(|address| {
                bits.parse::<u8>()
                    .is_ok_and(|bits| bits <= if address.is_ipv4() { 32 } else { 128 })
            })
        };
        if let Some(wrong) = self.trusted_proxies.iter().find(|net| !is_net(net)) {
            return Err(format!(
                "trusted_proxies: {wrong:?} is not an address or a net such as 172.16.0.0/12"
            ));
        }
        if let Some(wrong) = self
            .allowed_hosts
            .iter()
            .find(|host| host.is_empty() || host.contains(['/', ':', '*', ' ']))
        {
            return Err(format!(
                "allowed_hosts: {wrong:?} is not a host name such as backup.example.org"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_paths_and_nets_are_looked_at() {
        let usual = WebConfig::default();
        assert_eq!(
            (usual.address().unwrap().to_string(), usual.base().unwrap(), usual.check()),
            (LISTEN.to_owned(), String::new(), Ok(()))
        );
        let base = |text: &str| {
            WebConfig { base_path: Some(text.to_owned()), ..WebConfig::default() }.base()
        };
        assert_eq!((base("/backup/"), base("/")), (Ok("/backup".to_owned()), Ok(String::new())));
        assert!(base("backup").is_err() && base("//evil").is_err() && base("/a b").is_err());
        let wrong = |config: WebConfig| config.check().unwrap_err();
        assert!(
            wrong(WebConfig { listen: Some("8788".to_owned()), ..usual.clone() })
                .contains("0.0.0.0:8788")
        );
        assert!(
            wrong(WebConfig { trusted_proxies: vec!["10.0.0.0/40".to_owned()], ..usual.clone() })
                .contains("trusted_proxies")
        );
        assert!(
            wrong(WebConfig { allowed_hosts: vec!["https://x".to_owned()], ..usual })
                .contains("allowed_hosts")
        );
    }
}
