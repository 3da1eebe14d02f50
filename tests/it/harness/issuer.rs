//! An issuer of access tokens that answers over HTTP and signs with keys of its own.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

/// A key pair with its name.
pub struct SigningKey {
    kid: String,
    pair: EcdsaKeyPair,
}

impl SigningKey {
    /// A new one.
    pub fn new(kid: &str) -> Self {
        let (random, how) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let document = EcdsaKeyPair::generate_pkcs8(how, &random).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(how, document.as_ref(), &random).expect("the key");
        Self { kid: kid.to_owned(), pair }
    }

    /// A token with these claims.
    pub fn sign(&self, claims: &Value) -> String {
        let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": self.kid});
        let signed = format!("{}.{}", encoded(&header), encoded(claims));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).expect("a signature");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn jwk(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": self.kid, "x": part(&point[1..33]), "y": part(&point[33..])})
    }
}

/// Answers discovery and key set until the test program ends.
pub struct Issuer {
    pub url: String,
    keys: Arc<Mutex<Vec<Value>>>,
    away: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    /// One with this key.
    pub fn start(key: &SigningKey) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/realms/costs", listener.local_addr().expect("its address"));
        let keys = Arc::new(Mutex::new(vec![key.jwk()]));
        let (away, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let issuer = Self { url, keys, away, asked };
        let (url, keys) = (issuer.url.clone(), Arc::clone(&issuer.keys));
        let (away, asked) = (Arc::clone(&issuer.away), Arc::clone(&issuer.asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let keys = json!({"keys": *keys.lock().expect("the keys")});
                answer(stream, &url, &keys, away.load(Ordering::SeqCst), &asked);
            }
        });
        issuer
    }

    /// Signs with this key only, from now on.
    pub fn rotate(&self, key: &SigningKey) {
        *self.keys.lock().expect("the keys") = vec![key.jwk()];
    }

    /// Answers nothing of use, or does again.
    pub fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    /// How often its keys were asked for.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn answer(mut stream: TcpStream, url: &str, keys: &Value, away: bool, asked: &AtomicUsize) {
    let mut lines = BufReader::new(stream.try_clone().expect("a second handle")).lines();
    let first = lines.next().and_then(Result::ok).unwrap_or_default();
    while lines.next().and_then(Result::ok).is_some_and(|line| !line.is_empty()) {}
    let body = if first.contains("/realms/costs/.well-known/openid-configuration") {
        json!({"issuer": url, "jwks_uri": format!("{url}/keys")})
    } else {
        asked.fetch_add(1, Ordering::SeqCst);
        keys.clone()
    };
    let (status, body) = if away { ("503 Service Unavailable", String::new()) } else { ("200 OK", body.to_string()) };
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    // Whoever asked may have gone.
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
}
