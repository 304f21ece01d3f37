//! Numbers, strings, dates and ids, as .NET writes and reads them.

use super::*;

fn double(value: f64) -> String {
    let mut out = Vec::new();
    push_double(&mut out, value);
    String::from_utf8(out).unwrap()
}

fn float(value: f32) -> String {
    let mut out = Vec::new();
    push_float(&mut out, value);
    String::from_utf8(out).unwrap()
}

#[test]
fn numbers_stand_as_dotnet_writes_them() {
    // reference/jellyfin.md 3.2 names each of these.
    assert_eq!(float(123_456_792.0), "123456790");
    assert_eq!(float(1e15), "1E+15");
    assert_eq!(float(23.976_025), "23.976025");
    assert_eq!(double(1e16), "10000000000000000");
    assert_eq!(double(1e-5), "1E-05");
    assert_eq!(double(0.0001), "0.0001");
    assert_eq!(double(1.5e20), "1.5E+20");
    assert_eq!(double(5e-324), "5E-324");
    assert_eq!(double(-0.0), "-0");
    assert_eq!(double(7.25), "7.25");
    assert_eq!(double(-120.5), "-120.5");
}

#[test]
fn every_number_leads_back_to_itself() {
    let mut seed = blake3::Hasher::new_derive_key("numbers").finalize_xof();
    for _ in 0..200_000 {
        let mut bits = [0; 8];
        seed.fill(&mut bits);
        let wide = f64::from_bits(u64::from_le_bytes(bits));
        let narrow = f32::from_bits(u32::from_le_bytes([bits[0], bits[1], bits[2], bits[3]]));
        if wide.is_finite() {
            assert_eq!(
                serde_json::from_str::<f64>(&double(wide)).unwrap().to_bits(),
                wide.to_bits(),
                "{wide}"
            );
        }
        if narrow.is_finite() {
            assert_eq!(
                (serde_json::from_str::<f64>(&float(narrow)).unwrap() as f32).to_bits(),
                narrow.to_bits(),
                "{narrow}"
            );
        }
    }
}

#[test]
fn strings_are_escaped_as_dotnet_does_it() {
    let mut out = Vec::new();
    push_string(&mut out, "a/b\\ \"'<>&+`\u{7f} é 😀 \t\u{1}");
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "\"a/b\\\\ \\u0022\\u0027\\u003C\\u003E\\u0026\\u002B\\u0060\\u007F \\u00E9 \\uD83D\\uDE00 \\t\\u0001\""
    );
}

#[test]
fn dates_are_read_in_every_form_and_written_in_one() {
    let read = |text: &str| match read_date(text) {
        Some(ReadDate::Usual(date)) => format!("= {}", date.stored()),
        Some(ReadDate::Unusual(date)) => format!("~ {}", date.stored()),
        None => "none".to_owned(),
    };
    for (text, meant) in [
        ("2026-01-02 03:04:05.1234567", "= 2026-01-02 03:04:05.1234567"),
        ("2026-01-02 03:04:05.1200000", "= 2026-01-02 03:04:05.12"),
        ("2026-01-02 03:04:05", "= 2026-01-02 03:04:05"),
        ("0001-01-01 00:00:00", "= 0001-01-01 00:00:00"),
        ("9999-12-31 23:59:59.9999999", "= 9999-12-31 23:59:59.9999999"),
        ("2026-01-02T03:04:05Z", "~ 2026-01-02 03:04:05"),
        ("2026-01-02T03:04:05.123456789+02:00", "~ 2026-01-02 01:04:05.1234567"),
        ("2026-01-02", "~ 2026-01-02 00:00:00"),
        ("06/10/2026 12:34:56", "~ 2026-06-10 12:34:56"),
        ("Wed, 10 Jun 2026 12:34:56 GMT", "~ 2026-06-10 12:34:56"),
        ("2026-02-30 00:00:00", "none"),
        ("2026-01-02 25:00:00", "none"),
        ("0000-01-01 00:00:00", "none"),
        ("yesterday", "none"),
        ("", "none"),
    ] {
        assert_eq!(read(text), meant, "{text}");
    }
    assert_eq!(julian(2_461_042.5).unwrap().stored(), "2026-01-02 00:00:00");
    assert_eq!(julian(f64::NAN), None);
    let date = date_of_json("2026-01-02T03:04:05.5Z").unwrap();
    assert_eq!((date.json(), Date::of_ns(date.ns())), ("2026-01-02T03:04:05.5Z".to_owned(), date));
    assert_eq!(Date::MIN.json(), "0001-01-01T00:00:00Z");
}

#[test]
fn guids_are_read_in_every_form_of_dotnet() {
    let guid = read_guid("0F0E0D0C-0B0A-0908-0706-050403020100").unwrap();
    for text in [
        "0f0e0d0c0b0a09080706050403020100",
        "{0f0e0d0c-0b0a-0908-0706-050403020100}",
        "(0F0E0D0C-0b0a-0908-0706-050403020100)",
    ] {
        assert_eq!(read_guid(text), Some(guid), "{text}");
    }
    assert_eq!(stored_guid(&guid), "0F0E0D0C-0B0A-0908-0706-050403020100");
    assert_eq!(
        guid_of_bytes(&[0xc, 0xd, 0xe, 0xf, 0xa, 0xb, 8, 9, 7, 6, 5, 4, 3, 2, 1, 0]),
        Some(guid)
    );
    for text in [
        "",
        "0f0e0d0c",
        "0f0e0d0c-0b0a-0908-0706-05040302010g",
        "0f0e0d0c0-b0a-0908-0706-050403020100",
        "0f0e0d0c0b0a0908070605040302010000",
    ] {
        assert_eq!(read_guid(text), None, "{text}");
    }
}
