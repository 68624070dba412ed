//! API keys: `ord_<env>_<keyid>_<secret><crc>`. The checksum finds a typing error without a look-up and lets scanners find
//! leaked keys; the secret is kept as SHA-256 only, which is enough for a secret that nobody can guess.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// 71 bits: enough that two key ids never meet.
const KEY_ID_CHARS: usize = 12;
/// 190 bits: beyond any guessing, so that one round of SHA-256 is enough.
const SECRET_CHARS: usize = 32;
/// 62^6 > 2^32.
const CRC_CHARS: usize = 6;
/// `live`, `test`, `dev` and the like.
const ENV_CHARS: usize = 16;

/// SHA-256 of a secret.
#[derive(Clone, Copy)]
pub struct SecretHash(pub [u8; 32]);

impl SecretHash {
    /// Whether both are of the same secret, in constant time.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret).into())
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}

/// A key that was just made. Its token is shown once; `Debug` never prints it.
pub struct NewKey {
    /// What the client sends.
    pub token: String,
    /// What names the key in tables and logs.
    pub key_id: String,
    /// What is kept of the secret.
    pub secret_hash: SecretHash,
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewKey")
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// A key that a client presented; whether it is a live one is for a look-up to say.
#[derive(Clone, Debug)]
pub struct Presented {
    /// Which key it claims to be.
    pub key_id: String,
    /// Of the secret it came with; to be compared by [`SecretHash::matches`].
    pub secret_hash: SecretHash,
}

/// The environment part of a key is not 1 to 16 lower case letters and digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an environment is 1 to 16 lower case letters and digits")]
pub struct InvalidEnvironment;

/// The text is not an API key. Never says what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not `ord_<env>_<keyid>_<secret><crc>`.
    #[error("not an API key")]
    Malformed,
    /// The form is right, but a character is not.
    #[error("the API key's checksum does not hold: it was mistyped or cut")]
    Mistyped,
}

/// Makes a key for the environment `env`, as `live` or `dev`.
///
/// # Errors
/// If `env` is not 1 to 16 lower case letters and digits.
///
/// # Panics
/// If the operating system gives no random bytes: nothing can be secret then.
pub fn generate(env: &str) -> Result<NewKey, InvalidEnvironment> {
    if !is_environment(env) {
        return Err(InvalidEnvironment);
    }
    let key_id = random_base62(KEY_ID_CHARS);
    let secret = random_base62(SECRET_CHARS);
    let body = format!("ord_{env}_{key_id}_{secret}");
    let token = format!("{body}{}", checksum(&body));
    Ok(NewKey {
        token,
        key_id,
        secret_hash: SecretHash::of(&secret),
    })
}

/// Takes a presented key apart.
///
/// # Errors
/// If it is no key, or its checksum does not hold.
pub fn parse(token: &str) -> Result<Presented, KeyError> {
    let parts: Vec<&str> = token.splitn(5, '_').collect();
    let ["ord", env, key_id, secret_and_crc] = parts[..] else {
        return Err(KeyError::Malformed);
    };
    let formed = is_environment(env)
        && is_base62(key_id, KEY_ID_CHARS)
        && is_base62(secret_and_crc, SECRET_CHARS + CRC_CHARS);
    if !formed {
        return Err(KeyError::Malformed);
    }
    let (body, crc) = token.split_at(token.len() - CRC_CHARS);
    if checksum(body) != crc {
        return Err(KeyError::Mistyped);
    }
    let secret_hash = SecretHash::of(&secret_and_crc[..SECRET_CHARS]);
    Ok(Presented {
        key_id: key_id.to_owned(),
        secret_hash,
    })
}

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Send commands of orders.
    CommandsWrite,
    /// Read orders and commands.
    OrdersRead,
    /// Read status events.
    EventsRead,
    /// Set and adjust stock.
    StockWrite,
    /// Send `record_payment` and `record_refund`.
    PaymentsWrite,
    /// See shards, lanes, dead letters.
    OpsRead,
    /// Act on them.
    OpsWrite,
    /// Make and revoke keys.
    KeysAdmin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 8] = [
        Self::CommandsWrite,
        Self::OrdersRead,
        Self::EventsRead,
        Self::StockWrite,
        Self::PaymentsWrite,
        Self::OpsRead,
        Self::OpsWrite,
        Self::KeysAdmin,
    ];

    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CommandsWrite => "commands:write",
            Self::OrdersRead => "orders:read",
            Self::EventsRead => "events:read",
            Self::StockWrite => "stock:write",
            Self::PaymentsWrite => "payments:write",
            Self::OpsRead => "ops:read",
            Self::OpsWrite => "ops:write",
            Self::KeysAdmin => "keys:admin",
        }
    }

    /// The scope with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn is_environment(env: &str) -> bool {
    (1..=ENV_CHARS).contains(&env.len())
        && env
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

fn is_base62(text: &str, chars: usize) -> bool {
    text.len() == chars && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn random_base62(chars: usize) -> String {
    let mut text = String::with_capacity(chars);
    while text.len() < chars {
        let mut bytes = [0; 64];
        getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
        // 248 = 4 × 62: what is above would make the first digits likelier.
        let fair = bytes.into_iter().filter(|byte| *byte < 248);
        text.extend(
            fair.map(|byte| char::from(BASE62[usize::from(byte % 62)]))
                .take(chars - text.len()),
        );
    }
    text
}

/// CRC-32 of `body` as six base62 digits, most significant first.
fn checksum(body: &str) -> String {
    let mut rest = crc32(body.as_bytes());
    let mut digits = [b'0'; CRC_CHARS];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    digits.into_iter().map(char::from).collect()
}

/// CRC-32 as in zip and Ethernet (reflected, polynomial 0xEDB88320). Bit by bit: keys are short and checked rarely.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| {
        if crc & 1 == 1 {
            (crc >> 1) ^ 0xEDB8_8320
        } else {
            crc >> 1
        }
    };
    let crc = bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), step)
    });
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_key_is_read_back() {
        let key = generate("dev").unwrap();
        let presented = parse(&key.token).unwrap();
        assert_eq!(presented.key_id, key.key_id);
        assert!(presented.secret_hash.matches(&key.secret_hash));
        assert!(
            !generate("dev")
                .unwrap()
                .secret_hash
                .matches(&key.secret_hash)
        );
    }

    #[test]
    fn any_one_changed_character_is_found_without_a_look_up() {
        let token = generate("live").unwrap().token;
        for place in "ord_live_".len()..token.len() {
            let mut typo = token.clone().into_bytes();
            typo[place] = if typo[place] == b'x' { b'y' } else { b'x' };
            let typo = String::from_utf8(typo).unwrap();
            assert!(parse(&typo).is_err(), "{place}");
        }
        assert_eq!(
            parse(&token[..token.len() - 1]).unwrap_err(),
            KeyError::Malformed
        );
        assert_eq!(
            parse(&token.replace("_live_", "_test_")).unwrap_err(),
            KeyError::Mistyped
        );
    }

    #[test]
    fn other_texts_are_not_keys() {
        let long = format!("ord_dev_{}_{}", "a".repeat(12), "ä".repeat(19));
        for text in ["", "ord", "ord___", "ord_dev_a_b_c", "Bearer x", &long] {
            assert_eq!(parse(text).unwrap_err(), KeyError::Malformed, "{text}");
        }
        assert_eq!(generate("Live").unwrap_err(), InvalidEnvironment);
        assert_eq!(generate("").unwrap_err(), InvalidEnvironment);
    }

    #[test]
    fn secrets_are_never_printed() {
        let key = generate("dev").unwrap();
        let secret = &key.token[key.token.rfind('_').unwrap() + 1..];
        let printed = format!("{key:?} {:?}", parse(&key.token).unwrap());
        assert!(
            !printed.contains(secret) && !printed.contains(&secret[..8]),
            "{printed}"
        );
        assert!(printed.contains(&key.key_id));
    }

    #[test]
    fn the_checksum_is_the_common_crc_32() {
        // The check value of CRC-32/ISO-HDLC.
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(checksum("123456789"), "3jZRME");
    }
}
