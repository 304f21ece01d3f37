//! Texts with a planted secret, of any shape around it: behind a name that says so, the secret
//! never comes out, and lines keep their numbers.
#![no_main]

use jellyvault::ops::lines_without_secrets;
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "S3CRETw0rd";

fuzz_target!(|parts: (u8, String, String)| {
    let (shape, before, after) = parts;
    if before.contains(SECRET) || after.contains(SECRET) {
        return;
    }
    let plain = |text: &str| text.replace(['<', '>', '&', '"', '\\', '\0'], "").chars().filter(|c| !c.is_control()).collect::<String>();
    let (name, text) = match shape % 5 {
        0 => ("config/a.xml", format!("<C><A>{}</A><ApiKey>{SECRET}</ApiKey><B>{}</B></C>", plain(&before), plain(&after))),
        1 => ("config/a.json", format!("{{\"a\":\"{}\",\"password\":\"{SECRET}\",\"b\":\"{}\"}}", plain(&before), plain(&after))),
        2 => ("config/a.conf", format!("{before}\npassword = {SECRET}\n{after}")),
        3 => ("plugins/configurations/a.xml", format!("<C><{0}x>{SECRET}</{0}x></C>", plain(&before).chars().filter(char::is_ascii_alphabetic).collect::<String>())),
        _ => ("plugins/configurations/a.ini", format!("{before}\nname = {SECRET}\n{after}")),
    };
    let lines = lines_without_secrets(name, &text);
    assert_eq!(lines.len(), text.split('\n').count());
    assert!(!lines.join("\n").contains(SECRET), "{text:?}");
});
