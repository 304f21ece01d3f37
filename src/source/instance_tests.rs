//! Every platform of `reference/jellyfin.md` 1.2, from a map of files.

use std::collections::BTreeMap;

use super::*;

#[derive(Default)]
struct Machine {
    files: BTreeMap<String, String>,
    variables: BTreeMap<String, String>,
    registry: Option<String>,
}

impl Machine {
    fn with(files: &[&str]) -> Machine {
        Machine {
            files: files.iter().map(|path| ((*path).to_owned(), String::new())).collect(),
            ..Machine::default()
        }
    }
    fn file(mut self, path: &str, text: &str) -> Machine {
        self.files.insert(path.to_owned(), text.to_owned());
        self
    }
    fn variable(mut self, name: &str, value: &str) -> Machine {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }
    fn find(&self, platform: Platform) -> Result<Instance, FindError> {
        find(platform, &Named::default(), self)
    }
    fn find_in(&self, dir: &str) -> Result<Instance, FindError> {
        find(Platform::Linux, &Named { data: Some(dir.to_owned()), ..Named::default() }, self)
    }
}

impl Surroundings for Machine {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }
    fn is_dir(&self, path: &str) -> bool {
        self.files
            .keys()
            .any(|file| file.strip_prefix(path).is_some_and(|rest| rest.starts_with(['/', '\\'])))
    }
    fn read(&self, path: &str) -> Option<Vec<u8>> {
        self.files.get(path).map(|text| text.clone().into_bytes())
    }
    fn registry(&self, _: &str, _: &str) -> Option<String> {
        self.registry.clone()
    }
}

fn places(instance: &Instance) -> (&str, Option<&str>, &str, Option<&str>) {
    (
        &instance.program_data,
        instance.config.as_deref(),
        &instance.data,
        instance.database.as_deref(),
    )
}

#[test]
fn official_container() {
    let machine = Machine::with(&[
        "/config/config/system.xml",
        "/config/data/jellyfin.db",
        "/config/log/log_20260101.log",
    ]);
    let found = machine.find(Platform::Linux).unwrap();
    assert_eq!(
        places(&found),
        ("/config", Some("/config/config"), "/config/data", Some("/config/data/jellyfin.db"))
    );
    assert_eq!(found.log, "/config/log");
}

#[test]
fn linuxserver_container_inside_and_its_volume_outside() {
    let machine =
        Machine::with(&["/config/system.xml", "/config/data/data/jellyfin.db", "/config/cache/x"]);
    let found = machine.find(Platform::Linux).unwrap();
    assert_eq!(
        places(&found),
        (
            "/config/data",
            Some("/config"),
            "/config/data/data",
            Some("/config/data/data/jellyfin.db")
        )
    );
    assert!(found.passing.contains(&"/config/cache".to_owned()));
    let machine = Machine::with(&["/srv/jf/system.xml", "/srv/jf/data/data/jellyfin.db"]);
    let found = machine.find_in("/srv/jf").unwrap();
    assert_eq!(
        places(&found),
        (
            "/srv/jf/data",
            Some("/srv/jf"),
            "/srv/jf/data/data",
            Some("/srv/jf/data/data/jellyfin.db")
        )
    );
}

#[test]
fn debian_and_rpmfusion_with_and_without_settings_file() {
    let files = [
        "/var/lib/jellyfin/data/jellyfin.db",
        "/etc/jellyfin/system.xml",
        "/var/log/jellyfin/log_1.log",
    ];
    let found = Machine::with(&files).find(Platform::Linux).unwrap();
    assert_eq!(
        places(&found),
        (
            "/var/lib/jellyfin",
            Some("/etc/jellyfin"),
            "/var/lib/jellyfin/data",
            Some("/var/lib/jellyfin/data/jellyfin.db")
        )
    );
    assert_eq!(found.log, "/var/log/jellyfin");
    for file in ["/etc/default/jellyfin", "/etc/sysconfig/jellyfin"] {
        let moved = Machine::with(&["/srv/jf/data/jellyfin.db", "/srv/conf/system.xml"])
            .file(file, "# x\nJELLYFIN_DATA_DIR=\"/srv/jf\"\nJELLYFIN_CONFIG_DIR='/srv/conf'\n");
        let found = moved.find(Platform::Linux).unwrap();
        assert_eq!(
            (found.program_data.as_str(), found.config.as_deref(), found.how.as_str()),
            ("/srv/jf", Some("/srv/conf"), file)
        );
    }
}

#[test]
fn linux_portable_with_its_configuration_inside_or_beside() {
    let inside = Machine::with(&[
        "/home/a/.local/share/jellyfin/data/jellyfin.db",
        "/home/a/.local/share/jellyfin/config/system.xml",
    ])
    .variable("HOME", "/home/a");
    assert_eq!(
        inside.find(Platform::Linux).unwrap().config.as_deref(),
        Some("/home/a/.local/share/jellyfin/config")
    );
    let beside = Machine::with(&[
        "/home/a/.local/share/jellyfin/data/jellyfin.db",
        "/home/a/.config/jellyfin/system.xml",
    ])
    .variable("HOME", "/home/a");
    assert_eq!(
        beside.find(Platform::Linux).unwrap().config.as_deref(),
        Some("/home/a/.config/jellyfin")
    );
    let xdg = Machine::with(&["/x/data/jellyfin/data/jellyfin.db", "/x/conf/jellyfin/system.xml"])
        .variable("XDG_DATA_HOME", "/x/data")
        .variable("XDG_CONFIG_HOME", "/x/conf");
    assert_eq!(xdg.find(Platform::Linux).unwrap().config.as_deref(), Some("/x/conf/jellyfin"));
}

#[test]
fn macos_new_and_old() {
    let new = Machine::with(&[
        "/Users/a/Library/Application Support/jellyfin/data/jellyfin.db",
        "/Users/a/Library/Application Support/jellyfin/config/system.xml",
    ])
    .variable("HOME", "/Users/a");
    assert_eq!(new.find(Platform::MacOs).unwrap().how, "the macOS layout");
    let old = Machine::with(&[
        "/Users/a/.local/share/jellyfin/data/jellyfin.db",
        "/Users/a/.config/jellyfin/system.xml",
    ])
    .variable("HOME", "/Users/a");
    let found = old.find(Platform::MacOs).unwrap();
    assert_eq!(
        (found.how.as_str(), found.config.as_deref()),
        ("the older macOS layout", Some("/Users/a/.config/jellyfin"))
    );
}

#[test]
fn windows_service_tray_and_user() {
    let service = Machine::with(&[
        r"C:\ProgramData\Jellyfin\Server\data\jellyfin.db",
        r"C:\ProgramData\Jellyfin\Server\config\system.xml",
    ])
    .variable("PROGRAMDATA", r"C:\ProgramData");
    let found = service.find(Platform::Windows).unwrap();
    assert_eq!(found.database.as_deref(), Some(r"C:\ProgramData\Jellyfin\Server\data\jellyfin.db"));
    let tray = Machine {
        registry: Some(r"D:\Jelly".to_owned()),
        ..Machine::with(&[r"D:\Jelly\data\jellyfin.db"])
    };
    assert_eq!(tray.find(Platform::Windows).unwrap().how, "the installer's entry in the registry");
    let user = Machine::with(&[r"C:\Users\a\AppData\Local\jellyfin\data\jellyfin.db"])
        .variable("LOCALAPPDATA", r"C:\Users\a\AppData\Local");
    assert_eq!(user.find(Platform::Windows).unwrap().how, "the Windows user's layout");
}

#[test]
fn several_must_be_named_and_none_says_where_it_looked() {
    let both = Machine::with(&["/config/data/jellyfin.db", "/var/lib/jellyfin/data/jellyfin.db"]);
    assert!(
        matches!(both.find(Platform::Linux), Err(FindError::Several { found }) if found.len() == 2)
    );
    match Machine::default().find(Platform::Linux) {
        Err(FindError::None { looked }) => {
            assert!(looked.iter().any(|place| place.contains("/var/lib/jellyfin")))
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        Machine::with(&["/home/a/photos/1.jpg"]).find_in("/home/a/photos"),
        Err(FindError::NotOne { .. })
    ));
    assert!(matches!(Machine::default().find_in("/nowhere"), Err(FindError::Missing { .. })));
}

#[test]
fn the_environment_names_the_one_that_runs() {
    let machine = Machine::with(&[
        "/config/data/jellyfin.db",
        "/srv/j/data/jellyfin.db",
        "/srv/c/system.xml",
    ])
    .variable("JELLYFIN_DATA_DIR", "/srv/j")
    .variable("JELLYFIN_CONFIG_DIR", "/srv/c");
    let found = machine.find(Platform::Linux).unwrap();
    assert_eq!((found.program_data.as_str(), found.config.as_deref()), ("/srv/j", Some("/srv/c")));
}

#[test]
fn metadata_and_database_are_followed_where_the_configuration_puts_them() {
    let system = "<ServerConfiguration><MetadataPath>/config/big/metadata</MetadataPath><CachePath>/fast/cache</CachePath></ServerConfiguration>";
    let database = "<D><DatabaseType>Jellyfin-SQLite</DatabaseType><CustomProviderOptions><Options><O><Key>path</Key><Value>/ssd/jellyfin.db</Value></O></Options></CustomProviderOptions></D>";
    let machine = Machine::with(&[
        "/config/data/.jellyfin-data",
        "/config/big/metadata/library/x",
        "/ssd/jellyfin.db",
    ])
    .file("/config/config/system.xml", system)
    .file("/config/config/database.xml", database);
    let found = machine.find(Platform::Linux).unwrap();
    assert_eq!(
        (found.metadata.as_str(), found.metadata_default.as_deref(), found.database.as_deref()),
        ("/config/big/metadata", Some("/config/metadata"), Some("/ssd/jellyfin.db"))
    );
    assert!(found.passing.contains(&"/fast/cache".to_owned()));
    // The same volume seen from outside the container.
    let outside = Machine::with(&["/srv/jf/data/jellyfin.db", "/srv/jf/big/metadata/library/x"])
        .file("/srv/jf/config/system.xml", system);
    let found = outside.find_in("/srv/jf").unwrap();
    assert_eq!(found.metadata, "/srv/jf/big/metadata");
    // Nowhere: it is said, never silently the default.
    let lost =
        Machine::with(&["/srv/jf/data/jellyfin.db"]).file("/srv/jf/config/system.xml", system);
    assert_eq!(lost.find_in("/srv/jf").unwrap().missing.len(), 1);
}

#[test]
fn a_database_kept_by_a_plugin_is_said() {
    let database = "<D><DatabaseType>PLUGIN_PROVIDER</DatabaseType><CustomProviderOptions><PluginName>PostgreSQL</PluginName></CustomProviderOptions></D>";
    let machine = Machine::with(&["/config/data/.jellyfin-data"])
        .file("/config/config/database.xml", database);
    let found = machine.find(Platform::Linux).unwrap();
    assert_eq!(
        (found.database.as_deref(), found.database_plugin.as_deref()),
        (None, Some("PostgreSQL"))
    );
}

#[test]
fn the_inner_data_directory_is_taken_for_what_it_is() {
    let machine = Machine::with(&["/srv/jf/data/jellyfin.db", "/srv/jf/config/system.xml"]);
    assert_eq!(machine.find_in("/srv/jf/data/").unwrap().program_data, "/srv/jf");
}
