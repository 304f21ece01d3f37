//! Where an instance may be, by what the environment, the service's settings and each platform's
//! packages say.

use super::surroundings::{Finder, Platform};

/// A place where an instance may be: data, configuration, how it was found.
pub(super) struct Candidate {
    pub(super) program_data: String,
    pub(super) config: Option<String>,
    pub(super) cache: Option<String>,
    pub(super) log: Option<String>,
    pub(super) how: String,
}

impl Candidate {
    pub(super) fn at(program_data: String, config: Option<String>, how: &str) -> Candidate {
        Candidate { program_data, config, cache: None, log: None, how: how.to_owned() }
    }
}

impl Finder<'_> {
    /// The places where an instance may be: first what the environment names.
    pub(super) fn candidates(&self) -> Vec<Candidate> {
        let mut list = Vec::new();
        if let Some(data) = self.variable("JELLYFIN_DATA_DIR") {
            let config =
                self.variable("JELLYFIN_CONFIG_DIR").or_else(|| self.default_config(&data));
            list.push(Candidate::at(data, config, "JELLYFIN_DATA_DIR in the environment"));
        }
        match self.platform {
            Platform::Linux => self.on_linux(&mut list),
            Platform::MacOs => self.on_macos(&mut list),
            Platform::Windows => self.on_windows(&mut list),
        }
        list
    }

    fn on_linux(&self, list: &mut Vec<Candidate>) {
        for file in ["/etc/default/jellyfin", "/etc/sysconfig/jellyfin"] {
            if let Some(settings) =
                self.at.read(file).and_then(|bytes| String::from_utf8(bytes).ok())
            {
                let data = setting(&settings, "JELLYFIN_DATA_DIR")
                    .unwrap_or_else(|| "/var/lib/jellyfin".to_owned());
                let config = setting(&settings, "JELLYFIN_CONFIG_DIR")
                    .unwrap_or_else(|| "/etc/jellyfin".to_owned());
                list.push(Candidate::at(data, Some(config), file));
            }
        }
        for (data, config, how) in [
            ("/config", "/config/config", "the official container's layout"),
            ("/config/data", "/config", "linuxserver.io's container layout"),
            ("/var/lib/jellyfin", "/etc/jellyfin", "the distribution packages' layout"),
        ] {
            list.push(Candidate::at(data.to_owned(), Some(config.to_owned()), how));
        }
        let home = self.variable("HOME");
        let share = self
            .variable("XDG_DATA_HOME")
            .or_else(|| home.as_ref().map(|home| format!("{home}/.local/share")));
        if let Some(data) = share.map(|share| format!("{share}/jellyfin")) {
            let config = self.default_config(&data);
            list.push(Candidate::at(data, config, "the portable server's layout"));
        }
    }

    fn on_macos(&self, list: &mut Vec<Candidate>) {
        let Some(home) = self.variable("HOME") else { return };
        let data = format!("{home}/Library/Application Support/jellyfin");
        let config = self.join(&data, "config");
        list.push(Candidate::at(data, Some(config), "the macOS layout"));
        let old = format!("{home}/.local/share/jellyfin");
        let config = self.join(&old, "config");
        let config =
            if self.at.is_dir(&config) { config } else { format!("{home}/.config/jellyfin") };
        list.push(Candidate::at(old, Some(config), "the older macOS layout"));
    }

    fn on_windows(&self, list: &mut Vec<Candidate>) {
        let of_installer =
            self.at.registry(r"HKLM\SOFTWARE\WOW6432Node\Jellyfin\Server", "DataFolder");
        let of_service =
            self.variable("PROGRAMDATA").map(|base| format!(r"{base}\Jellyfin\Server"));
        let of_user = self.variable("LOCALAPPDATA").map(|base| format!(r"{base}\jellyfin"));
        for (data, how) in [
            (of_installer, "the installer's entry in the registry"),
            (of_service, "the Windows service's layout"),
            (of_user, "the Windows user's layout"),
        ] {
            if let Some(data) = data {
                let config = self.join(&data, "config");
                list.push(Candidate::at(data, Some(config), how));
            }
        }
    }

    /// Where a server started with this data directory and nothing else keeps its configuration.
    fn default_config(&self, data: &str) -> Option<String> {
        let inside = self.join(data, "config");
        if self.platform != Platform::Linux || self.at.is_dir(&inside) {
            return Some(inside);
        }
        let base = self
            .variable("XDG_CONFIG_HOME")
            .or_else(|| self.variable("HOME").map(|home| format!("{home}/.config")));
        base.map(|base| format!("{base}/jellyfin")).filter(|config| self.at.is_dir(config))
    }
}

/// A value of a service's settings file (`NAME="value"`).
fn setting(text: &str, name: &str) -> Option<String> {
    text.lines().rev().find_map(|line| {
        let value = line.trim().strip_prefix(name)?.trim_start().strip_prefix('=')?.trim();
        let value = value.trim_matches(['"', '\'']);
        (!value.is_empty()).then(|| value.to_owned())
    })
}
