//! A signed token of an issuer (a JWT in compact form): read, and held against a public key.
//!
//! Pure. Signatures are ring's; only asymmetric algorithms are known, so a token that names `none`, or takes a public key
//! for a shared secret, is not even looked at. Absent: what the claims mean.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::Value;

/// No token that a header can carry is longer.
const LONGEST: usize = 16 << 10;

/// How a token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
}

/// A token as it says it is; nothing of it is to be believed before [`Jwt::verified`].
#[derive(Debug)]
pub(super) struct Jwt<'a> {
    pub kid: Option<String>,
    pub algorithm: Algorithm,
    signed: &'a str,
    signature: Vec<u8>,
    payload: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: Algorithm,
    kid: Option<String>,
    /// What a reader must understand; nothing of that kind is known here.
    crit: Option<Value>,
}

/// A public key of an issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub kid: Option<String>,
    /// The only algorithm it is for, if it says so.
    algorithm: Option<String>,
    material: Material,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// Uncompressed points.
    P256(Vec<u8>),
    P384(Vec<u8>),
}

impl<'a> Jwt<'a> {
    /// Reads a token; `None` if it is none, or signed in a way that is not taken.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (signed, signature) = Some(text).filter(|text| text.len() <= LONGEST)?.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let header: Header = serde_json::from_slice(&bytes(header)?).ok()?;
        if header.crit.is_some() {
            return None;
        }
        Some(Self {
            kid: header.kid,
            algorithm: header.alg,
            signed,
            signature: bytes(signature)?,
            payload: bytes(payload)?,
        })
    }

    /// Its claims, if this key signed it.
    pub fn verified(&self, key: &Key) -> Option<Value> {
        if !key.fits(self.algorithm) {
            return None;
        }
        let (message, signature) = (self.signed.as_bytes(), self.signature.as_slice());
        let holds = match (&key.material, rsa(self.algorithm)) {
            (Material::Rsa { n, e }, Some(how)) => {
                RsaPublicKeyComponents { n, e }.verify(how, message, signature).is_ok()
            }
            (Material::P256(point), None) => {
                UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point).verify(message, signature).is_ok()
            }
            (Material::P384(point), None) => {
                UnparsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, point).verify(message, signature).is_ok()
            }
            _ => false,
        };
        // Its numbers are small enough for a plain value; a claim that is no object is none.
        holds.then(|| serde_json::from_slice(&self.payload).ok()).flatten().filter(Value::is_object)
    }
}

/// The keys of a key set (JWKS) that are of a kind that is known here.
pub(super) fn keys(set: &Value) -> Vec<Key> {
    set["keys"].as_array().into_iter().flatten().filter_map(Key::of).collect()
}

impl Key {
    /// Reads a key of a key set (JWK); `None` if it is of another kind or for another purpose.
    pub fn of(jwk: &Value) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let bytes = |name: &str| text(name).and_then(|text| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok());
        if text("use").is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let point = |width: usize| {
            let (x, y) = (bytes("x")?, bytes("y")?);
            (x.len() <= width && y.len() <= width).then(|| {
                let mut point = vec![4; 1];
                for part in [x, y] {
                    point.extend(std::iter::repeat_n(0, width - part.len()));
                    point.extend(part);
                }
                point
            })
        };
        let material = match (text("kty")?, text("crv")) {
            ("RSA", _) => Material::Rsa { n: bytes("n")?, e: bytes("e")? },
            ("EC", Some("P-256")) => Material::P256(point(32)?),
            ("EC", Some("P-384")) => Material::P384(point(48)?),
            _ => return None,
        };
        Some(Self { kid: text("kid").map(str::to_owned), algorithm: text("alg").map(str::to_owned), material })
    }

    /// Can it have signed by this algorithm? The key decides, not the token.
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        let kind = match self.material {
            Material::Rsa { .. } => rsa(algorithm).is_some(),
            Material::P256(_) => algorithm == Algorithm::ES256,
            Material::P384(_) => algorithm == Algorithm::ES384,
        };
        kind && self.algorithm.as_deref().is_none_or(|only| only == format!("{algorithm:?}"))
    }
}

fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::RS256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        Algorithm::ES256 | Algorithm::ES384 => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The examples of RFC 7515, A.2 and A.3: tokens and keys that others made.
    const CLAIMS: &str =
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    const BY_RSA: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5\
                          jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07\
                          Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8\
                          np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    const BY_EC: &str = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

    fn rsa_key() -> Value {
        json!({"kty": "RSA", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"})
    }

    fn ec_key() -> Value {
        let (x, y) = ("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
        json!({"kty": "EC", "crv": "P-256", "x": x, "y": y})
    }

    fn token(header: &Value, signature: &str) -> String {
        format!("{}.{CLAIMS}.{signature}", URL_SAFE_NO_PAD.encode(header.to_string()))
    }

    #[test]
    fn tokens_of_the_standard_hold() {
        let rsa = token(&json!({"alg": "RS256"}), BY_RSA);
        let claims = Jwt::parse(&rsa).unwrap().verified(&Key::of(&rsa_key()).unwrap()).unwrap();
        assert_eq!(claims["iss"], "joe");
        let ec = token(&json!({"alg": "ES256"}), BY_EC);
        assert!(Jwt::parse(&ec).unwrap().verified(&Key::of(&ec_key()).unwrap()).is_some());
        // Not with the other one's key, nor with one that is for something else.
        assert!(Jwt::parse(&ec).unwrap().verified(&Key::of(&rsa_key()).unwrap()).is_none());
        let mut other = ec_key();
        other["alg"] = json!("ES384");
        assert!(Jwt::parse(&ec).unwrap().verified(&Key::of(&other).unwrap()).is_none());
        other["use"] = json!("enc");
        assert_eq!(Key::of(&other), None);
    }

    #[test]
    fn whoever_changes_a_token_breaks_it() {
        let token = token(&json!({"alg": "ES256"}), BY_EC);
        let key = Key::of(&ec_key()).unwrap();
        for at in (0..token.len()).step_by(3) {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            let claims = Jwt::parse(&changed).and_then(|jwt| jwt.verified(&key));
            // The last character of a part carries bits that nobody reads.
            assert!(claims.is_none() || at == token.len() - 1, "{at}: {changed}");
        }
    }

    #[test]
    fn no_signature_and_no_shared_secret_is_taken() {
        for alg in ["none", "None", "HS256", "HS512", "RS1", ""] {
            assert!(Jwt::parse(&token(&json!({"alg": alg}), BY_EC)).is_none(), "{alg}");
        }
        assert!(Jwt::parse(&token(&json!({"alg": "ES256", "crit": ["b64"]}), BY_EC)).is_none());
        for text in ["", ".", "..", "a.b", "a.b.c", &"A".repeat(20_000)] {
            assert!(Jwt::parse(text).is_none(), "{text}");
        }
    }
}
