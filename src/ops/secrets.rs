//! What is never shown: whoever has it can sign in.

/// Parts of names that say so.
const WORDS: [&str; 36] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "token",
    "secret",
    "apikey",
    "accesskey",
    "privatekey",
    "sharedkey",
    "credential",
    "pincode",
    "authkey",
    "cookie",
    "bearer",
    "sessionid",
    "sessionkey",
    "authorization",
    "pwhash",
    "webhook",
    "presharedkey",
    "encryptionkey",
    "signingkey",
    // The same in other languages that servers are set up in.
    "passwort",
    "kennwort",
    "motdepasse",
    "contraseña",
    "contrasena",
    "senha",
    "wachtwoord",
    "lösenord",
    "hasło",
    "heslo",
    "пароль",
    "密码",
    "パスワード",
];
/// Names that say so as a whole, being part of harmless ones (`Blurhash`, `Compass`).
const NAMES: [&str; 14] = [
    "pass",
    "pwd",
    "pw",
    "pin",
    "hash",
    "salt",
    "auth",
    "otp",
    "totp",
    "sig",
    "signature",
    "refresh",
    "hashpw",
    "jwt",
];
/// Last words of names in one piece that say so: `LdapBindPw`, `SmtpPass`, `AdminPin`.
const LAST_WORDS: [&str; 9] = ["Pass", "Pwd", "Pw", "Pin", "Otp", "Psk", "Pat", "PW", "PIN"];
/// Names with such parts that say which provider or whether, not what.
const HARMLESS: [&str; 4] =
    ["passwordresetproviderid", "mustupdatepassword", "enablelocalpassword", "haspassword"];

/// What stands in place of a secret.
pub const HIDDEN: &str = "(secret)";

/// Whether values of a column, an element or a key are secret by its name.
pub fn is_secret(name: &str) -> bool {
    let plain: String =
        name.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    // `db.pass`, `ldap_pw`: the last part of a name counts as a name.
    let last = name.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or(name);
    let ends_in_word = LAST_WORDS.iter().any(|word| {
        last.strip_suffix(word).is_some_and(|before| {
            before.ends_with(|c: char| c.is_lowercase() || c.is_ascii_digit())
        })
    });
    let last = last.to_lowercase();
    let says_so = WORDS.iter().any(|word| plain.contains(word))
        || NAMES.contains(&plain.as_str())
        || NAMES.contains(&last.as_str())
        || ends_in_word;
    says_so && !HARMLESS.contains(&plain.as_str())
}

/// Whether a value of a file that nobody knows is plainly harmless: a switch, a small number, a
/// date, a choice.
pub fn is_plain(name: &str, value: &str) -> bool {
    let value = value.trim();
    if value.is_empty()
        || ["true", "false", "null"].iter().any(|word| value.eq_ignore_ascii_case(word))
    {
        return true;
    }
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let plain = name.to_ascii_lowercase();
    // Four digits and more may be the number that opens a door.
    let is_amount = digits <= 3 || AMOUNTS.iter().any(|part| plain.contains(part));
    let is_number = value.len() <= 6
        && is_amount
        && value.bytes().all(|byte| byte.is_ascii_digit() || b".-".contains(&byte));
    let begins_like_a_date = value.len() >= 10
        && value
            .bytes()
            .zip("0000-00-00".bytes())
            .all(|(byte, form)| if form == b'0' { byte.is_ascii_digit() } else { byte == form });
    let is_date = begins_like_a_date
        && value.len() <= 40
        && value.bytes().all(|byte| byte.is_ascii_digit() || b"-:.+TZ ".contains(&byte));
    let is_choice = CHOICES.iter().any(|end| plain.ends_with(end))
        && value.len() <= 24
        && value.bytes().all(|byte| byte.is_ascii_alphabetic());
    let names_none = !is_secret(name) || is_harmless(name, value);
    names_none && (is_number || is_date || is_choice)
}

/// Whether a key of an object that nobody knows may be a secret itself, as where tokens are mapped
/// to their users: long, and of letters and digits.
pub fn is_like_a_token(key: &str) -> bool {
    let has = |is_so: fn(&u8) -> bool| key.bytes().any(|byte| is_so(&byte));
    key.len() >= 16 && has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic)
}

/// Parts of names whose values are amounts.
const AMOUNTS: [&str; 26] = [
    "port",
    "timeout",
    "interval",
    "second",
    "minute",
    "hour",
    "day",
    "width",
    "height",
    "size",
    "count",
    "limit",
    "max",
    "min",
    "quality",
    "bitrate",
    "year",
    "delay",
    "retr",
    "length",
    "duration",
    "index",
    "threshold",
    "ticks",
    "rate",
    "bytes",
];
/// Ends of names whose values are choices from a list.
const CHOICES: [&str; 20] = [
    "mode",
    "type",
    "policy",
    "level",
    "kind",
    "provider",
    "method",
    "algorithm",
    "scheme",
    "strength",
    "state",
    "status",
    "format",
    "version",
    "scope",
    "strategy",
    "behavior",
    "behaviour",
    "requirement",
    "option",
];

/// Whether a value is no secret though its name sounds so: a switch lets nobody in, nor does a
/// number or a choice whose name only begins like that (`PasswordMinLength`, `TokenType`). Why
/// clients cannot log in may be just such a one.
pub fn is_harmless(name: &str, value: &str) -> bool {
    let value = value.trim();
    if value.is_empty() || ["true", "false"].iter().any(|word| value.eq_ignore_ascii_case(word)) {
        return true;
    }
    let plain = name.to_ascii_lowercase();
    let names_it = WORDS.iter().chain(&NAMES).any(|word| plain.ends_with(word));
    // With a sign (-1 for "no limit"), a fraction, or as a time span (00:30:00).
    let is_number = value.len() <= 12
        && value
            .strip_prefix('-')
            .unwrap_or(value)
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b".:".contains(&byte));
    let is_choice = CHOICES.iter().any(|end| plain.ends_with(end))
        && value.len() <= 40
        && value.bytes().all(|byte| byte.is_ascii_alphabetic());
    !names_it && (is_number || is_choice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_numbers_and_choices_are_shown_and_pins_are_not() {
        for (name, value) in [
            ("EnableLegacyAuthorization", "false"),
            ("RequirePassword", "True"),
            ("PasswordMinLength", "8"),
            ("TokenLifetime", "3600"),
            ("TokenType", "Opaque"),
            ("PasswordStrength", "Medium"),
            ("TokenLimit", "-1"),
            ("TokenLifetime", "00:30:00"),
            ("Password", ""),
        ] {
            assert!(is_harmless(name, value), "{name}");
        }
        for (name, value) in [
            ("Pin", "1234"),
            ("Password", "1234"),
            ("EasyPassword", "0000"),
            ("TokenType", "eyJhb.x1"),
            ("ApiKey", "12"),
            ("Secret", "word"),
        ] {
            assert!(!is_harmless(name, value), "{name}");
        }
    }

    #[test]
    fn of_a_plugins_settings_numbers_and_choices_that_only_sound_secret_are_shown() {
        for (name, value) in
            [("TokenExpiryHours", "24"), ("PasswordResetMode", "Pin"), ("PasswordMinLength", "8")]
        {
            assert!(is_plain(name, value), "{name}");
        }
        for (name, value) in [
            ("Pin", "1234"),
            ("LdapPassword", "2024"),
            ("TokenMode", "eyJhb.x1"),
            ("ServerName", "attic"),
        ] {
            assert!(!is_plain(name, value), "{name}");
        }
    }

    #[test]
    fn what_lets_one_sign_in_is_secret_and_the_rest_is_not() {
        for name in [
            "Password",
            "EasyPassword",
            "AccessToken",
            "CertificatePassword",
            "TmdbApiKey",
            "api_key",
            "client-secret",
            "RefreshToken",
            "pwd",
            "db.pass",
            "Set-Cookie",
            "hash",
            "session_key",
            "salt",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in [
            "LdapBindPw",
            "SmtpPass",
            "AdminPin",
            "Passwort",
            "motDePasse",
            "contraseña",
            "Пароль",
            "DiscordWebhookUrl",
            "wifiPsk",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in [
            "PasswordResetProviderId",
            "MustUpdatePassword",
            "Name",
            "CustomDataKey",
            "Key",
            "PresentationUniqueKey",
            "Blurhash",
            "Compass",
            "Passage",
            "DateLastRefreshed",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
