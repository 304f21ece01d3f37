//! What is never shown: whoever has it can sign in.

/// Whether values of a column, or of a setting, are secret by its name.
pub fn is_secret(name: &str) -> bool {
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    ["password", "passwd", "token", "secret", "apikey", "accesskey", "privatekey", "credential", "pincode", "authkey"].iter().any(|word| name.contains(word))
        // These say which provider or whether, not what.
        && !["passwordresetproviderid", "mustupdatepassword", "enablelocalpassword", "haspassword"].contains(&name.as_str())
}

/// What stands in place of a secret.
pub const HIDDEN: &str = "(secret)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lets_one_sign_in_is_secret_and_the_rest_is_not() {
        for name in ["Password", "EasyPassword", "AccessToken", "CertificatePassword", "TmdbApiKey", "api_key", "client-secret", "RefreshToken"] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["PasswordResetProviderId", "MustUpdatePassword", "Name", "CustomDataKey", "Key", "PresentationUniqueKey"] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
