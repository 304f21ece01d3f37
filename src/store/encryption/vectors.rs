//! What encryption gives, held against values that were computed from `docs/format.md` by another
//! program.

use serde_json::Value;
use zeroize::Zeroizing;

use super::super::seal::Binding;
use super::{Algorithm, Keys, Secret, Slot, sealer};

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../tests/fixtures/encryption-vectors.json")).unwrap()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("{name}"))
}

fn bytes(value: &Value, name: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(text(value, name).as_bytes()).unwrap()
}

fn keys(vectors: &Value, algorithm: Algorithm) -> Keys {
    let master = Zeroizing::new(bytes(vectors, "master").try_into().unwrap());
    Keys { algorithm, repository: text(vectors, "repository").to_owned(), master }
}

#[test]
fn keys_names_and_tags_are_those_of_the_document() {
    let vectors = vectors();
    let keys = keys(&vectors, Algorithm::Aes256Gcm);
    let purposes = vectors["keys"].as_object().unwrap();
    assert_eq!(purposes.len(), 6);
    for purpose in purposes.keys() {
        assert_eq!(keys.derive(purpose).to_vec(), bytes(&vectors["keys"], purpose), "{purpose}");
    }
    let sealer = sealer(&keys);
    let hashing = sealer.hashing();
    assert_eq!(hashing.cut_seed.to_string(), text(&vectors, "cut_seed"));
    assert_eq!(
        hashing.id(&bytes(&vectors["chunk"], "plain")).to_hex(),
        text(&vectors["chunk"], "id")
    );
    let page = bytes(&vectors["database"], "page");
    assert_eq!(
        hashing.database(page.len() as u32, &[hashing.page(&page)]).to_hex(),
        text(&vectors["database"], "identity")
    );
    let salt = bytes(&vectors, "repository").try_into().unwrap();
    let name = hashing.groups(&salt).hash(&bytes(&vectors["database"], "group"));
    assert_eq!(name[..8], bytes(&vectors["database"], "group_name"));
    assert_eq!(
        sealer.tag(text(&vectors["settings"], "text").as_bytes()).unwrap().to_vec(),
        bytes(&vectors["settings"], "tag")
    );
}

#[test]
fn pieces_are_sealed_and_opened_as_the_document_says() {
    let vectors = vectors();
    let pieces = vectors["pieces"].as_array().unwrap();
    assert_eq!(pieces.len(), 16);
    for piece in pieces {
        let sealer = sealer(&keys(&vectors, Algorithm::named(text(piece, "cipher")).unwrap()));
        let id = bytes(piece, "id");
        let kind = ["extent", "head", "trailer", "snapshot", "link"]
            .into_iter()
            .find(|kind| *kind == text(piece, "kind"))
            .unwrap();
        let position = u32::try_from(piece["position"].as_u64().unwrap()).unwrap();
        let (place, plain, sealed) =
            (Binding { kind, id: &id, position }, bytes(piece, "plain"), bytes(piece, "sealed"));
        assert_eq!(sealer.seal(place, plain.clone()), sealed, "{kind}");
        assert_eq!(sealer.open(place, sealed), Some(plain), "{kind}");
    }
}

#[test]
fn slots_and_settings_of_the_document_open() {
    let vectors = vectors();
    let slots = vectors["slots"].as_array().unwrap();
    assert_eq!(slots.len(), 2);
    for slot in slots {
        let decoded = Slot::decode(text(slot, "file").as_bytes()).unwrap();
        let opened =
            decoded.open(&Secret::new(text(slot, "secret").as_bytes().to_vec())).unwrap().unwrap();
        assert_eq!(opened.master.to_vec(), bytes(&vectors, "master"), "{}", text(slot, "kind"));
        assert_eq!(
            decoded.encode().unwrap(),
            text(slot, "file").as_bytes(),
            "the layout of slots is part of the format"
        );
    }
    let file = text(&vectors["settings"], "file").as_bytes();
    let config = super::super::RepoConfig::decode(file).unwrap();
    let sealer = sealer(&keys(&vectors, Algorithm::Aes256Gcm));
    config.is_proved(file, &sealer).unwrap();
    assert_eq!(
        String::from_utf8(config.encode(&sealer).unwrap()).unwrap(),
        text(&vectors["settings"], "file")
    );
}
