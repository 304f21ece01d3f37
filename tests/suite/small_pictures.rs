//! Pictures on cards: small, kept by the browser from one snapshot to the next, and whole where they
//! cannot be made small.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

use super::http::{Answer, Service};
use super::support::*;
use super::web::{FOLDER, PASSWORD, home};

fn poster() -> Vec<u8> {
    let noise = |x: u32, y: u32| (x.wrapping_mul(97) ^ y.wrapping_mul(61)) as u8;
    let picture = RgbImage::from_fn(1000, 1500, |x, y| Rgb([noise(x, y), 40, noise(y, x)]));
    let mut out = Cursor::new(Vec::new());
    DynamicImage::from(picture).write_to(&mut out, ImageFormat::Jpeg).unwrap();
    out.into_inner()
}

/// The addresses of small pictures on a page.
fn addresses(page: &Answer) -> Vec<String> {
    let text = page.text();
    let mut found: Vec<String> = text
        .split(['"', ' ', ','])
        .filter(|word| word.starts_with("/pictures/"))
        .map(str::to_owned)
        .collect();
    found.sort();
    found.dedup();
    found
}

#[test]
fn cards_load_small_pictures_that_stay_the_same_from_snapshot_to_snapshot() {
    let home = home("");
    let whole = poster();
    write(home.data.join(FOLDER).join("poster.jpg"), &whole);
    let_settle();
    home.program.ok(&["snapshot"]);
    let service = Service::start(&home.program);
    let cookie = service.sign_in(PASSWORD);
    let search = "/library?q=crimson%20signal%204";
    let of_card = addresses(&service.get(&cookie, search));
    let widths: Vec<&str> =
        of_card.iter().map(|address| address.split('/').nth(2).unwrap()).collect();
    assert_eq!(widths, ["160", "320", "640"], "{of_card:?}");
    for (address, width) in of_card.iter().zip([160, 320, 640]) {
        for _ in 0..2 {
            let answer = service.get(&cookie, address);
            assert_eq!((answer.status, answer.header("content-type")), (200, Some("image/jpeg")));
            assert!(answer.header("cache-control").unwrap().contains("immutable"));
            assert!(answer.header("content-security-policy").unwrap().contains("sandbox"));
            let small = image::load_from_memory(&answer.body).unwrap();
            assert_eq!((small.width(), small.height()), (width, width * 3 / 2));
            assert!(answer.body.len() < whole.len());
        }
    }
    // The next snapshot has the same picture: the browser has it already.
    write(home.data.join("config/another.xml"), "<a/>");
    let_settle();
    home.program.ok(&["snapshot"]);
    let page = service.wait_for(&cookie, search, |text| text.contains("/pictures/"));
    assert!(of_card.iter().all(|address| page.contains(address.as_str())), "{page}");
    // Each of these pages has small pictures, too.
    for page in [
        "/library/11faabb81f9dcd6ad0913dc529c1f927",
        "/compare/latest~2/latest",
        &format!("/snapshots/latest/browse/{FOLDER}"),
    ] {
        let found = addresses(&service.get(&cookie, page));
        assert!(found.iter().any(|address| of_card.contains(address)), "{page}: {found:?}");
    }
}

#[test]
fn what_cannot_be_made_small_is_sent_whole_or_refused() {
    let home = home("");
    let folder = home.data.join(FOLDER);
    // It begins as a picture, and nothing more; another is no picture at all.
    let odd = [b"\xff\xd8\xff\xe0".as_slice(), &[9; 900]].concat();
    write(folder.join("poster.jpg"), &odd);
    write(folder.join("backdrop.jpg"), "<svg onload='x'/>");
    let_settle();
    home.program.ok(&["snapshot"]);
    let service = Service::start(&home.program);
    let cookie = service.sign_in(PASSWORD);
    let page = service.get(&cookie, &format!("/snapshots/latest/browse/{FOLDER}"));
    let answers: Vec<Answer> =
        addresses(&page).iter().map(|address| service.get(&cookie, address)).collect();
    assert!(answers.iter().any(|answer| answer.status == 200 && answer.body == odd));
    assert!(answers.iter().any(|answer| answer.status == 415));
    let known = addresses(&page).remove(0);
    let other = known.replace("/160/", "/161/");
    let gone = format!("/pictures/160/{}", "ab".repeat(32));
    for address in [other.as_str(), &gone, "/pictures/160/x", "/pictures/160/..%2f..%2fetc"] {
        assert_eq!(service.get(&cookie, address).status, 404, "{address}");
    }
    assert_eq!(service.get("", &known).status, 303, "behind the log-in");
}
