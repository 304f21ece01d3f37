//! Places of an instance that are not what the server takes them for.

use std::path::Path;

use crate::limits::XML_BYTES_MAX;
use crate::progress::Problem;
use crate::source::Instance;

/// Settings that are too large to be any: what they name is not known.
pub(super) fn huge_settings(instance: &Instance) -> impl Iterator<Item = Problem> {
    let is_huge = |name: &&str| {
        let file = instance.config.as_ref().map(|config| Path::new(config).join(name));
        file.and_then(|file| std::fs::metadata(file).ok())
            .is_some_and(|file| file.is_file() && file.len() > XML_BYTES_MAX)
    };
    ["system.xml", "database.xml", "encoding.xml", "network.xml"].into_iter().filter(is_huge).map(
        |name| Problem {
            path: format!("config/{name}"),
            what: format!(
                "it is larger than {} MiB, which no settings file is, so the server's paths in it are unknown. Restore it from an earlier snapshot",
                XML_BYTES_MAX >> 20
            ),
        },
    )
}

/// What is called a cache, and leads through a link to one of the server's own directories: that
/// takes it out of every snapshot.
pub(super) fn linked_caches(instance: &Instance) -> impl Iterator<Item = Problem> {
    instance.passing.iter().filter_map(|path| linked_cache(instance, path))
}

fn linked_cache(instance: &Instance, path: &str) -> Option<Problem> {
    let is_told = instance.strange_caches.iter().any(|(_, told)| told == path);
    let real = std::fs::canonicalize(path).ok().filter(|_| !is_told)?;
    let own = [&instance.data, &instance.metadata, &instance.plugins, &instance.root];
    let is_own = |own: &String| std::fs::canonicalize(own).is_ok_and(|own| real.starts_with(own));
    own.into_iter().any(is_own).then(|| Problem {
        path: "config".to_owned(),
        what: format!(
            "{path} counts as a cache, but it leads to {}, which is among the server's own directories; because it is a cache, it is not in this snapshot. \
             Remove the link, or correct the setting in the dashboard",
            real.display()
        ),
    })
}

/// Pictures that a dashboard's restore by 10.11.0 to 10.11.6 put where the server does not look
/// (`docs/zip.md`, "Pictures").
pub(super) fn misplaced_pictures(instance: &Instance) -> Option<Problem> {
    let wrong = Path::new(&instance.data).join("metadata");
    let has_pictures = ["library", "People"].iter().any(|name| wrong.join(name).is_dir());
    let is_used = std::fs::canonicalize(&wrong).is_ok_and(|wrong| {
        std::fs::canonicalize(&instance.metadata).is_ok_and(|metadata| metadata == wrong)
    });
    (has_pictures && !is_used).then(|| Problem {
        path: "data/metadata".to_owned(),
        what: format!(
            "there are pictures in {}, where the server does not look for them: a restore from the dashboard of Jellyfin 10.11.0 to 10.11.6 put them there. \
             jellyvault restore SNAPSHOT --in-place --only metadata restores them to the right place. Then you can delete this directory",
            wrong.display()
        ),
    })
}
