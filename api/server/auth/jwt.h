#pragma once
// Signed JSON Web Tokens: RS256 and ES256, nothing else (never "none", never a shared secret).
// Keys are immutable after parsing; any thread. Signing takes about 1 ms with RSA, checking 50 us.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/json_fwd.h"
#include "api/base/result.h"

namespace moth::server::jwt {

// The part of a key pair that may be known.
class PublicKey {
 public:
  // SubjectPublicKeyInfo PEM of an RSA key of 2048 bits or more, or of an EC P-256 key.
  static Result<PublicKey> parse(const std::string& pem);
  // Of the key itself: base64url of the SHA-256 of its DER form, as upstream names keys.
  const std::string& id() const;
  const std::string& algorithm() const;  // RS256 or ES256
  bool verify(std::string_view input, std::string_view signature) const;
  // An entry of a JWK set.
  Json jwk() const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

class PrivateKey {
 public:
  static Result<PrivateKey> parse(const std::string& pem);  // PKCS#8
  const PublicKey& public_key() const { return public_key_; }
  // header.payload.signature
  Result<std::string> sign(const Json& claims) const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
  PublicKey public_key_;
};

// The claims of a token that one of `keys` has signed. Unauthorized, with the reason as message,
// for everything else: malformed or oversized texts, other algorithms, unknown keys.
Result<Json> verify(std::string_view token, const std::vector<PublicKey>& keys);

// Whether a text has the form of a signed token: three base64url parts.
bool looks_like_token(std::string_view text);

std::string encode_base64url(std::string_view bytes);
// Nothing when it is no base64url without padding.
Result<std::string> decode_base64url(std::string_view text);

}  // namespace moth::server::jwt
