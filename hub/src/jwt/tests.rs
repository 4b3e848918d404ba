//! Tokens good and bad, and what is known of their users.

use jsonwebtoken::{
    Algorithm, EncodingKey, Header, encode, get_current_timestamp,
    jwk::{Jwk, PublicKeyUse},
};
use serde_json::json;

use super::*;

fn signed(claims: &Value, header: &Header, secret: &[u8]) -> String {
    encode(header, claims, &EncodingKey::from_secret(secret)).unwrap()
}

fn in_an_hour() -> u64 {
    get_current_timestamp() + 3600
}

fn bearer() -> Bearer {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.leeway = 0;
    Bearer::new(validation, DecodingKey::from_secret(b"secret"))
}

#[test]
fn a_token_in_the_query_may_be_escaped_and_its_name_in_any_case() {
    for (query, expected) in [
        ("access_token=a.b-c_d", Some("a.b-c_d")),
        ("id=1&access_token=a%2Eb%2dc%5Fd", Some("a.b-c_d")),
        ("ACCESS_Token=a.b-c_d&id=1", Some("a.b-c_d")),
        ("access%5Ftoken=a.b-c_d", Some("a.b-c_d")),
        ("access_token=", None),
        ("access_tokens=a", None),
        ("id=1", None),
    ] {
        let request = Request::get(format!("/hub?{query}")).body(()).unwrap();
        assert_eq!(token(&request).as_deref(), expected, "{query}");
    }
    for (header, expected) in [
        ("Bearer a", Some("a")),
        ("bEARER  a ", Some("a")),
        ("Basic a", Some("q")),
        ("Bearer", Some("q")),
    ] {
        let request = Request::get("/hub?access_token=q").header(AUTHORIZATION, header);
        let request = request.body(()).unwrap();
        assert_eq!(token(&request).as_deref(), expected, "{header}");
    }
}

#[test]
fn claims_of_each_kind_are_kept() {
    let claims = json!({
        "sub": "ann", "exp": in_an_hour(), "tenant": "acme", "level": 7, "is_new": true,
        "group": ["a", "b"], "address": { "city": "X" }, "none": null,
        "role": "admin", "roles": ["writer", "reader"],
    });
    let token = signed(&claims, &Header::default(), b"secret");
    let user = bearer().user(&token).unwrap();
    assert_eq!(user.identifier(), "ann");
    for (name, expected) in [
        ("sub", &["ann"][..]),
        ("tenant", &["acme"]),
        ("level", &["7"]),
        ("is_new", &["true"]),
        ("group", &["a", "b"]),
        ("address", &[r#"{"city":"X"}"#]),
        ("none", &[]),
        ("roles", &["writer", "reader"]),
    ] {
        let claims: Vec<&str> = user.claims(name).collect();
        assert_eq!(claims, expected, "{name}");
    }
    for role in ["admin", "writer", "reader"] {
        assert!(user.is_in_role(role), "{role}");
    }
    assert!(!user.is_in_role("owner"));
    let lifetime = user.lifetime().unwrap();
    assert!(lifetime <= Duration::from_secs(3600) && lifetime > Duration::from_secs(3000));
}

#[test]
fn au_01_what_is_wrong_with_a_token() {
    let expired_at = get_current_timestamp() - 10;
    let of = |claims: Value, secret: &[u8]| signed(&claims, &Header::default(), secret);
    let invalid = Challenge::invalid_token();
    let ended = SystemTime::UNIX_EPOCH + Duration::from_secs(expired_at);
    for (token, expected) in [
        ("no token".to_owned(), &invalid),
        (
            of(json!({"sub": "ann", "exp": in_an_hour()}), b"other"),
            &invalid,
        ),
        (of(json!({"exp": in_an_hour()}), b"secret"), &invalid), // whose?
        (of(json!({"sub": "ann"}), b"secret"), &invalid),        // for ever?
        (
            of(json!({"sub": "ann", "exp": expired_at}), b"other"),
            &invalid,
        ),
        (
            of(json!({"sub": "ann", "exp": expired_at}), b"secret"),
            &Challenge::expired(ended),
        ),
    ] {
        assert_eq!(
            bearer().user(&token).err().as_ref(),
            Some(expected),
            "{token}"
        );
    }
}

#[test]
fn a_leeway_is_the_users_too() {
    let validation = Validation::new(Algorithm::HS256);
    let bearer = Bearer::new(validation, DecodingKey::from_secret(b"secret"));
    let claims = json!({"sub": "ann", "exp": get_current_timestamp() - 10});
    let user = bearer.user(&signed(&claims, &Header::default(), b"secret"));
    let lifetime = user.unwrap().lifetime().unwrap();
    assert!(lifetime > Duration::from_secs(30), "{lifetime:?}");
}

fn jwk(name: Option<&str>, secret: &[u8], is_for: Option<PublicKeyUse>) -> Jwk {
    let key = EncodingKey::from_secret(secret);
    let mut jwk = Jwk::from_encoding_key(&key, Algorithm::HS256).unwrap();
    jwk.common.key_id = name.map(str::to_owned);
    jwk.common.public_key_use = is_for;
    jwk
}

#[test]
fn a_token_is_checked_with_the_key_that_it_names() {
    let claims = json!({"sub": "ann", "exp": in_an_hour()});
    let by = |name: Option<&str>, secret: &[u8]| {
        let header = Header {
            kid: name.map(str::to_owned),
            ..Header::default()
        };
        signed(&claims, &header, secret)
    };
    let set = |keys| Keys::try_from(&JwkSet { keys });
    let two = set(vec![
        jwk(Some("a"), b"first", Some(PublicKeyUse::Signature)),
        jwk(Some("b"), b"second", None),
        jwk(Some("c"), b"third", Some(PublicKeyUse::Encryption)),
    ]);
    let bearer = bearer();
    bearer.replace_keys(two.unwrap());
    for (name, secret, is_good) in [
        (Some("a"), &b"first"[..], true),
        (Some("b"), b"second", true),
        (Some("a"), b"second", false),
        (Some("c"), b"third", false),
        (Some("d"), b"first", false),
        (None, b"first", false),
    ] {
        let user = bearer.user(&by(name, secret));
        assert_eq!(user.is_ok(), is_good, "{name:?} {secret:?}");
    }
    bearer
        .clone()
        .replace_keys(set(vec![jwk(None, b"first", None)]).unwrap());
    assert!(bearer.user(&by(None, b"first")).is_ok());
    assert!(bearer.user(&by(Some("z"), b"first")).is_ok());
    // One that has a name is for tokens that name it or none, and for no other's.
    bearer.replace_keys(set(vec![jwk(Some("a"), b"first", None)]).unwrap());
    assert!(bearer.user(&by(Some("a"), b"first")).is_ok());
    assert!(bearer.user(&by(None, b"first")).is_ok());
    assert!(bearer.user(&by(Some("z"), b"first")).is_err());
    assert!(set(Vec::new()).is_err());
}

/// A public key is no secret: who knows it must not sign with it.
#[test]
fn a_token_signed_with_a_public_key_as_a_secret_is_no_good() {
    let claims = json!({"sub": "eve", "exp": in_an_hour()});
    let forged = signed(&claims, &Header::default(), b"the public key's bytes");
    let mut validation = Validation::new(Algorithm::RS256);
    validation.algorithms.push(Algorithm::HS256); // an app that takes too much
    let public = DecodingKey::from_rsa_raw_components(b"the public key's bytes", b"\x01\0\x01");
    let user = Bearer::new(validation, public).user(&forged);
    assert_eq!(user.err(), Some(Challenge::invalid_token()));
}

/// As an identity provider publishes its keys, one of them of a kind that nobody here knows, and a token
/// by each of the others; signed with OpenSSL.
#[test]
fn tokens_by_public_keys_of_a_published_set() {
    let set: JwkSet = serde_json::from_str(include_str!("tests/jwks.json")).unwrap();
    let tokens: Vec<&str> = include_str!("tests/tokens.txt").lines().collect();
    for (algorithm, good, bad) in [
        (Algorithm::RS256, tokens[0], tokens[1]),
        (Algorithm::ES256, tokens[1], tokens[0]),
    ] {
        let bearer = Bearer::new(Validation::new(algorithm), Keys::try_from(&set).unwrap());
        assert_eq!(bearer.user(good).unwrap().identifier(), "ann");
        assert_eq!(bearer.user(bad).err(), Some(Challenge::invalid_token()));
        let (head, rest) = good.split_once('.').unwrap();
        let (_, signature) = rest.split_once('.').unwrap();
        let eves = signed(
            &json!({"sub": "eve", "exp": in_an_hour()}),
            &Header::default(),
            b"x",
        );
        let claims = eves.split('.').nth(1).unwrap();
        let forged = format!("{head}.{claims}.{signature}");
        assert_eq!(bearer.user(&forged).err(), Some(Challenge::invalid_token()));
    }
}

#[test]
fn the_end_of_a_token_may_have_a_fraction() {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    for (exp, is_good) in [(now + 0.9, true), (now + 10.5, true), (now - 0.1, false)] {
        let token = signed(
            &json!({"sub": "ann", "exp": exp}),
            &Header::default(),
            b"secret",
        );
        let user = bearer().user(&token);
        assert_eq!(user.is_ok(), is_good, "{}", exp - now);
        if let Ok(user) = user {
            let lifetime = user.lifetime().unwrap().as_secs_f64();
            assert!(lifetime <= exp - now, "{lifetime}");
        }
    }
}
