#include "api/server/auth/jwt.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>

#include "api/base/json.h"

namespace moth::server::jwt {
namespace {

constexpr std::size_t kMaxToken = 16 * 1024;
constexpr int kCoordinate = 32;  // bytes of a P-256 number
constexpr int kLeastRsaBits = 2048;

struct Free {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(BIO* bio) const { BIO_free_all(bio); }
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  void operator()(BIGNUM* number) const { BN_free(number); }
  void operator()(ECDSA_SIG* signature) const { ECDSA_SIG_free(signature); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;
using KeyPtr = std::shared_ptr<EVP_PKEY>;

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

Error refused(std::string why) {
  return Error::of(Reason::kUnauthorized, std::move(why));
}

// RS256 or ES256 by the sort of key; BadRequest for others.
Result<std::string> algorithm_of(EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "RSA")) {
    if (EVP_PKEY_get_bits(key) < kLeastRsaBits)
      return fail(Error::bad_request("an RSA key that signs tokens needs 2048 bits at least"));
    return "RS256";
  }
  if (EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_bits(key) == 256) return "ES256";
  return fail(Error::bad_request("tokens are signed with RSA or EC P-256 keys only"));
}

std::string number_bytes(EVP_PKEY* key, const char* name, int width) {
  BIGNUM* raw = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &raw) != 1) return "";
  Owned<BIGNUM> number(raw);
  int size = std::max(width, BN_num_bytes(raw));
  std::string bytes(static_cast<std::size_t>(size), '\0');
  BN_bn2binpad(raw, reinterpret_cast<unsigned char*>(bytes.data()), size);
  return bytes;
}

// JWS carries r and s side by side, OpenSSL a DER sequence of them.
std::string der_to_pair(const std::string& der) {
  const unsigned char* at = bytes_of(der);
  Owned<ECDSA_SIG> parts(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  if (!parts) return "";
  std::string pair(2 * kCoordinate, '\0');
  auto* out = reinterpret_cast<unsigned char*>(pair.data());
  BN_bn2binpad(ECDSA_SIG_get0_r(parts.get()), out, kCoordinate);
  BN_bn2binpad(ECDSA_SIG_get0_s(parts.get()), out + kCoordinate, kCoordinate);
  return pair;
}

std::string pair_to_der(std::string_view pair) {
  if (pair.size() != 2 * kCoordinate) return "";
  Owned<ECDSA_SIG> parts(ECDSA_SIG_new());
  BIGNUM* r = BN_bin2bn(bytes_of(pair), kCoordinate, nullptr);
  BIGNUM* s = BN_bin2bn(bytes_of(pair) + kCoordinate, kCoordinate, nullptr);
  if (!parts || !r || !s || ECDSA_SIG_set0(parts.get(), r, s) != 1) {
    BN_free(r);
    BN_free(s);
    return "";
  }
  unsigned char* raw = nullptr;
  int size = i2d_ECDSA_SIG(parts.get(), &raw);
  if (size <= 0) return "";
  std::string der(reinterpret_cast<char*>(raw), static_cast<std::size_t>(size));
  OPENSSL_free(raw);
  return der;
}

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

}  // namespace

std::string encode_base64url(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() * 4 + 2) / 3);
  std::uint32_t pending = 0;
  int bits = 0;
  for (unsigned char byte : bytes) {
    pending = (pending << 8) | byte;
    for (bits += 8; bits >= 6;) {
      bits -= 6;
      out += kAlphabet[(pending >> bits) & 63];
    }
  }
  if (bits > 0) out += kAlphabet[(pending << (6 - bits)) & 63];
  return out;
}

Result<std::string> decode_base64url(std::string_view text) {
  static const std::array<std::int8_t, 256> kValues = [] {
    std::array<std::int8_t, 256> values{};
    values.fill(-1);
    for (std::size_t i = 0; i < kAlphabet.size(); ++i)
      values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::int8_t>(i);
    return values;
  }();
  if (text.size() % 4 == 1) return fail(refused("not base64url"));
  std::string out;
  out.reserve(text.size() * 3 / 4);
  std::uint32_t pending = 0;
  int bits = 0;
  for (unsigned char c : text) {
    if (kValues[c] < 0) return fail(refused("not base64url"));
    pending = (pending << 6) | static_cast<std::uint32_t>(kValues[c]);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out += static_cast<char>((pending >> bits) & 255);
  }
  // One text for one value: what is left over must be zero.
  if ((pending & ((1u << bits) - 1)) != 0) return fail(refused("not base64url"));
  return out;
}

struct PublicKey::Impl {
  KeyPtr key;
  std::string id, algorithm;
};

Result<PublicKey> PublicKey::parse(const std::string& pem) {
  Owned<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  KeyPtr key(PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr), Free{});
  ERR_clear_error();
  if (!key) return fail(Error::bad_request("not a PEM public key"));
  Impl impl;
  impl.key = key;
  MOTH_ASSIGN(impl.algorithm, algorithm_of(key.get()));
  unsigned char* der = nullptr;
  int size = i2d_PUBKEY(key.get(), &der);
  if (size <= 0) return fail(Error::internal("cannot encode a public key"));
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(der, static_cast<std::size_t>(size), digest.data());
  OPENSSL_free(der);
  impl.id = encode_base64url({reinterpret_cast<char*>(digest.data()), digest.size()});
  PublicKey out;
  out.impl_ = std::make_shared<const Impl>(std::move(impl));
  return out;
}

const std::string& PublicKey::id() const {
  return impl_->id;
}
const std::string& PublicKey::algorithm() const {
  return impl_->algorithm;
}

bool PublicKey::verify(std::string_view input, std::string_view signature) const {
  std::string der;
  if (impl_->algorithm == "ES256") {
    der = pair_to_der(signature);
    if (der.empty()) return false;
    signature = der;
  }
  Owned<EVP_MD_CTX> context(EVP_MD_CTX_new());
  bool good =
      context &&
      EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, impl_->key.get()) == 1 &&
      EVP_DigestVerify(context.get(), bytes_of(signature), signature.size(), bytes_of(input),
                       input.size()) == 1;
  ERR_clear_error();
  return good;
}

Json PublicKey::jwk() const {
  Json jwk = {{"use", "sig"}, {"kid", id()}, {"alg", algorithm()}};
  EVP_PKEY* key = impl_->key.get();
  auto number = [&](const char* name, int width) {
    return encode_base64url(number_bytes(key, name, width));
  };
  if (algorithm() == "RS256") {
    jwk["kty"] = "RSA";
    jwk["n"] = number(OSSL_PKEY_PARAM_RSA_N, 0);
    jwk["e"] = number(OSSL_PKEY_PARAM_RSA_E, 0);
  } else {
    jwk["kty"] = "EC";
    jwk["crv"] = "P-256";
    jwk["x"] = number(OSSL_PKEY_PARAM_EC_PUB_X, kCoordinate);
    jwk["y"] = number(OSSL_PKEY_PARAM_EC_PUB_Y, kCoordinate);
  }
  return jwk;
}

struct PrivateKey::Impl {
  KeyPtr key;
};

Result<PrivateKey> PrivateKey::parse(const std::string& pem) {
  Owned<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  KeyPtr key(PEM_read_bio_PrivateKey(
                 bio.get(), nullptr, [](char*, int, int, void*) { return 0; }, nullptr),
             Free{});
  ERR_clear_error();
  if (!key) return fail(Error::bad_request("not an unencrypted PEM private key"));
  MOTH_TRY(algorithm_of(key.get()));
  Owned<BIO> out(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PUBKEY(out.get(), key.get()) != 1)
    return fail(Error::internal("cannot encode a public key"));
  char* data = nullptr;
  long size = BIO_get_mem_data(out.get(), &data);
  PrivateKey made;
  MOTH_ASSIGN(made.public_key_,
              PublicKey::parse(std::string(data, static_cast<std::size_t>(size))));
  made.impl_ = std::make_shared<const Impl>(Impl{std::move(key)});
  return made;
}

Result<std::string> PrivateKey::sign(const Json& claims) const {
  const Json header = {{"alg", public_key_.algorithm()}, {"kid", public_key_.id()}};
  std::string input = encode_base64url(header.dump()) + "." +
                      encode_base64url(claims.dump(-1, ' ', false, Json::error_handler_t::replace));
  Owned<EVP_MD_CTX> context(EVP_MD_CTX_new());
  std::size_t size = 0;
  bool good =
      context &&
      EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, impl_->key.get()) == 1 &&
      EVP_DigestSign(context.get(), nullptr, &size, bytes_of(input), input.size()) == 1;
  std::string signature(size, '\0');
  good = good && EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()),
                                &size, bytes_of(input), input.size()) == 1;
  ERR_clear_error();
  if (!good) return fail(Error::internal("cannot sign a token"));
  signature.resize(size);
  if (public_key_.algorithm() == "ES256") signature = der_to_pair(signature);
  return input + "." + encode_base64url(signature);
}

bool looks_like_token(std::string_view text) {
  if (text.size() > kMaxToken) return false;
  int dots = 0;
  for (char c : text) {
    if (c == '.') {
      ++dots;
    } else if (kAlphabet.find(c) == std::string_view::npos) {
      return false;
    }
  }
  return dots == 2;
}

Result<Json> verify(std::string_view token, const std::vector<PublicKey>& keys) {
  if (!looks_like_token(token)) return fail(refused("not a signed token"));
  auto first = token.find('.');
  auto second = token.rfind('.');
  MOTH_ASSIGN(std::string header_text, decode_base64url(token.substr(0, first)));
  MOTH_ASSIGN(std::string payload_text,
              decode_base64url(token.substr(first + 1, second - first - 1)));
  MOTH_ASSIGN(std::string signature, decode_base64url(token.substr(second + 1)));
  const Json header = Json::parse(header_text, nullptr, false);
  if (!header.is_object()) return fail(refused("the token's header is no JSON object"));
  // Extensions that must be understood are not.
  if (header.contains("crit")) return fail(refused("the token asks for unknown extensions"));
  const std::string id = string_or(header, "kid"), algorithm = string_or(header, "alg");
  bool known = false;
  for (const PublicKey& key : keys) {
    // The key says how it is used, not the token.
    if (key.algorithm() != algorithm || (!id.empty() && key.id() != id)) continue;
    known = true;
    if (!key.verify(token.substr(0, second), signature)) continue;
    Json claims = Json::parse(payload_text, nullptr, false);
    if (!claims.is_object()) return fail(refused("the token's claims are no JSON object"));
    return claims;
  }
  return fail(refused(known ? "the token's signature does not hold"
                            : "the token is signed by an unknown key or algorithm"));
}

}  // namespace moth::server::jwt
