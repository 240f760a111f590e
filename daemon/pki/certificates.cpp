#include "daemon/pki/certificates.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include <array>
#include <ctime>
#include <memory>

namespace moth::pki {
namespace {

struct OpensslFree {
  void operator()(BIO* bio) const { BIO_free_all(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(X509_REQ* request) const { X509_REQ_free(request); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(BIGNUM* number) const { BN_free(number); }
  void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
  void operator()(X509_EXTENSION* extension) const { X509_EXTENSION_free(extension); }
  void operator()(STACK_OF(X509_EXTENSION) * list) const {
    sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
  }
};
template <class T>
using Owned = std::unique_ptr<T, OpensslFree>;

// A clock that is a little behind must not make a fresh certificate invalid.
constexpr std::chrono::minutes kBackdate{5};

Error crypto_error(std::string_view what) {
  unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* text = code ? ERR_reason_error_string(code) : nullptr;
  return Error::internal(fmt::format("{}: {}", what, text ? text : "unknown OpenSSL error"));
}

Owned<BIO> memory_bio(const std::string& text) {
  return Owned<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// Runs `write(bio)` and returns what it wrote.
template <class F>
Result<std::string> to_pem(F write) {
  Owned<BIO> bio(BIO_new(BIO_s_mem()));
  if (!bio || write(bio.get()) != 1) return fail(crypto_error("cannot encode PEM"));
  char* data = nullptr;
  long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<std::size_t>(size));
}

Result<std::string> key_to_pem(EVP_PKEY* key) {
  return to_pem([key](BIO* bio) {
    return PEM_write_bio_PKCS8PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  });
}

Result<Owned<X509>> read_certificate(const std::string& pem) {
  auto bio = memory_bio(pem);
  Owned<X509> certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  if (!certificate) return fail(Error::bad_request("not a PEM certificate"));
  return certificate;
}

Result<Owned<EVP_PKEY>> read_key(const std::string& pem) {
  auto bio = memory_bio(pem);
  Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(
      bio.get(), nullptr, [](char*, int, int, void*) { return 0; }, nullptr));
  ERR_clear_error();
  if (!key) return fail(Error::bad_request("not an unencrypted PEM private key"));
  return key;
}

Result<Owned<EVP_PKEY>> new_key(SigningKeyType type) {
  Owned<EVP_PKEY> key(type == SigningKeyType::kEcP256 ? EVP_EC_gen("P-256") : EVP_RSA_gen(2048U));
  if (!key) return fail(crypto_error("cannot generate a key"));
  return key;
}

bool add_name(X509_NAME* name, const char* field, const std::string& text) {
  return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(text.data()),
                                    static_cast<int>(text.size()), -1, 0) == 1;
}

// Organizations first, as Go orders the subject.
Result<void> set_subject(X509* certificate, const CertificateRequest& request) {
  X509_NAME* name = X509_get_subject_name(certificate);
  bool good = true;
  for (const std::string& organization : request.organizations) {
    good = good && add_name(name, "O", organization);
  }
  if (!good || !add_name(name, "CN", request.common_name)) {
    return fail(Error::bad_request(fmt::format(
        "certificate subject: the common name \"{}\" or an organization is longer than 64 "
        "characters or empty",
        request.common_name)));
  }
  return {};
}

Result<void> set_validity(X509* certificate, WallTime from, WallTime until) {
  bool good = ASN1_TIME_set(X509_getm_notBefore(certificate),
                            std::chrono::system_clock::to_time_t(from)) != nullptr &&
              ASN1_TIME_set(X509_getm_notAfter(certificate),
                            std::chrono::system_clock::to_time_t(until)) != nullptr;
  if (!good) return fail(crypto_error("certificate validity"));
  return {};
}

Result<void> set_serial(X509* certificate) {
  Owned<BIGNUM> number(BN_new());
  if (!number || BN_rand(number.get(), 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) != 1 ||
      !BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate))) {
    return fail(crypto_error("certificate serial number"));
  }
  return {};
}

// `value` in the notation of OpenSSL's configuration files; constant texts only, never user input.
Result<void> add_extension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  Owned<X509_EXTENSION> extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value));
  if (!extension || X509_add_ext(certificate, extension.get(), -1) != 1) {
    return fail(crypto_error(fmt::format("certificate extension {}", OBJ_nid2sn(nid))));
  }
  return {};
}

bool push_name(GENERAL_NAMES* names, int type, ASN1_STRING* value) {
  GENERAL_NAME* name = GENERAL_NAME_new();
  if (!name || !value) {
    ASN1_STRING_free(value);
    GENERAL_NAME_free(name);
    return false;
  }
  GENERAL_NAME_set0_value(name, type, value);
  return sk_GENERAL_NAME_push(names, name) > 0;
}

Result<void> add_alternative_names(X509* certificate, const CertificateRequest& request) {
  if (request.dns_names.empty() && request.ip_addresses.empty()) return {};
  Owned<GENERAL_NAMES> names(sk_GENERAL_NAME_new_null());
  for (const std::string& dns : request.dns_names) {
    ASN1_IA5STRING* value = ASN1_IA5STRING_new();
    if (value) ASN1_STRING_set(value, dns.data(), static_cast<int>(dns.size()));
    if (!push_name(names.get(), GEN_DNS, value)) return fail(crypto_error("subjectAltName"));
  }
  for (const std::string& address : request.ip_addresses) {
    ASN1_OCTET_STRING* value = a2i_IPADDRESS(address.c_str());
    if (!value) {
      ERR_clear_error();
      return fail(
          Error::bad_request(fmt::format("certificate: \"{}\" is not an IP address", address)));
    }
    if (!push_name(names.get(), GEN_IPADD, value)) return fail(crypto_error("subjectAltName"));
  }
  if (X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), 0, X509V3_ADD_DEFAULT) !=
      1) {
    return fail(crypto_error("subjectAltName"));
  }
  return {};
}

// Everything about a leaf but its subject, alternative names and key.
Result<void> finish_leaf(X509* certificate, X509* issuer, EVP_PKEY* issuer_key,
                         const CertificateRequest& request, WallTime now) {
  X509_set_version(certificate, X509_VERSION_3);
  MOTH_TRY(set_serial(certificate));
  MOTH_TRY(set_validity(certificate, now - kBackdate, now + request.lifetime));
  X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
  MOTH_TRY(add_extension(certificate, issuer, NID_basic_constraints, "critical,CA:FALSE"));
  if (request.digital_signature || request.key_encipherment) {
    const char* usages = !request.key_encipherment    ? "critical,digitalSignature"
                         : !request.digital_signature ? "critical,keyEncipherment"
                                                      : "critical,digitalSignature,keyEncipherment";
    MOTH_TRY(add_extension(certificate, issuer, NID_key_usage, usages));
  }
  const char* usage = request.server && request.client ? "serverAuth,clientAuth"
                      : request.server                 ? "serverAuth"
                                                       : "clientAuth";
  if (request.server || request.client) {
    MOTH_TRY(add_extension(certificate, issuer, NID_ext_key_usage, usage));
  }
  MOTH_TRY(add_extension(certificate, issuer, NID_authority_key_identifier, "keyid"));
  if (X509_sign(certificate, issuer_key, EVP_sha256()) == 0) {
    return fail(crypto_error("cannot sign a certificate"));
  }
  return {};
}

Result<std::string> certificate_to_pem(X509* certificate) {
  return to_pem([certificate](BIO* bio) { return PEM_write_bio_X509(bio, certificate); });
}

std::string text_of(const ASN1_STRING* value) {
  unsigned char* bytes = nullptr;
  int size = ASN1_STRING_to_UTF8(&bytes, value);
  if (size < 0) return "";
  std::string text(reinterpret_cast<char*>(bytes), static_cast<std::size_t>(size));
  OPENSSL_free(bytes);
  return text;
}

void read_subject(const X509_NAME* subject, CertificateInfo& info) {
  for (int i = 0; i < X509_NAME_entry_count(subject); ++i) {
    const X509_NAME_ENTRY* entry = X509_NAME_get_entry(subject, i);
    int nid = OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry));
    std::string text = text_of(X509_NAME_ENTRY_get_data(entry));
    if (nid == NID_commonName)
      info.common_name = std::move(text);
    else if (nid == NID_organizationName)
      info.organizations.push_back(std::move(text));
  }
}

void read_names(const GENERAL_NAMES* names, CertificateInfo& info) {
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type == GEN_DNS) info.dns_names.push_back(text_of(name->d.dNSName));
    info.has_other_names =
        info.has_other_names || (name->type != GEN_DNS && name->type != GEN_IPADD);
    if (name->type != GEN_IPADD) continue;
    std::array<char, INET6_ADDRSTRLEN> buffer{};
    int family = ASN1_STRING_length(name->d.iPAddress) == 4 ? AF_INET : AF_INET6;
    if (inet_ntop(family, ASN1_STRING_get0_data(name->d.iPAddress), buffer.data(), buffer.size())) {
      info.ip_addresses.emplace_back(buffer.data());
    }
  }
}

WallTime to_wall(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return std::chrono::system_clock::from_time_t(::timegm(&parts));
}

std::string hex(const unsigned char* bytes, std::size_t size) {
  std::string text;
  for (std::size_t i = 0; i < size; ++i) text += fmt::format("{:02x}", bytes[i]);
  return text;
}

struct Ca {
  Owned<X509> certificate;
  Owned<EVP_PKEY> key;
};

Result<Ca> read_ca(const KeyPair& pair) {
  Ca ca;
  MOTH_ASSIGN(ca.certificate, read_certificate(pair.certificate_pem));
  MOTH_ASSIGN(ca.key, read_key(pair.key_pem));
  return ca;
}

}  // namespace

Result<KeyPair> make_ca(const std::string& common_name, std::chrono::hours lifetime, WallTime now) {
  MOTH_ASSIGN(Owned<EVP_PKEY> key, new_key(SigningKeyType::kEcP256));
  Owned<X509> certificate(X509_new());
  if (!certificate) return fail(crypto_error("cannot make a CA"));
  X509* raw = certificate.get();
  X509_set_version(raw, X509_VERSION_3);
  MOTH_TRY(set_serial(raw));
  MOTH_TRY(set_validity(raw, now - kBackdate, now + lifetime));
  CertificateRequest subject;
  subject.common_name = common_name;
  MOTH_TRY(set_subject(raw, subject));
  X509_set_issuer_name(raw, X509_get_subject_name(raw));
  X509_set_pubkey(raw, key.get());
  MOTH_TRY(add_extension(raw, raw, NID_basic_constraints, "critical,CA:TRUE"));
  MOTH_TRY(add_extension(raw, raw, NID_key_usage,
                         "critical,digitalSignature,keyEncipherment,keyCertSign"));
  MOTH_TRY(add_extension(raw, raw, NID_subject_key_identifier, "hash"));
  if (X509_sign(raw, key.get(), EVP_sha256()) == 0) return fail(crypto_error("cannot sign a CA"));
  KeyPair pair;
  MOTH_ASSIGN(pair.certificate_pem, certificate_to_pem(raw));
  MOTH_ASSIGN(pair.key_pem, key_to_pem(key.get()));
  return pair;
}

Result<KeyPair> sign(const KeyPair& ca_pair, const CertificateRequest& request, WallTime now) {
  MOTH_ASSIGN(Ca ca, read_ca(ca_pair));
  MOTH_ASSIGN(Owned<EVP_PKEY> key, new_key(SigningKeyType::kEcP256));
  Owned<X509> certificate(X509_new());
  if (!certificate) return fail(crypto_error("cannot make a certificate"));
  MOTH_TRY(set_subject(certificate.get(), request));
  X509_set_pubkey(certificate.get(), key.get());
  MOTH_TRY(add_alternative_names(certificate.get(), request));
  MOTH_TRY(finish_leaf(certificate.get(), ca.certificate.get(), ca.key.get(), request, now));
  KeyPair pair;
  MOTH_ASSIGN(pair.certificate_pem, certificate_to_pem(certificate.get()));
  MOTH_ASSIGN(pair.key_pem, key_to_pem(key.get()));
  return pair;
}

namespace {

Result<Owned<X509_REQ>> read_csr(const std::string& pem) {
  auto bio = memory_bio(pem);
  Owned<X509_REQ> request(PEM_read_bio_X509_REQ(bio.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  if (!request) return fail(Error::bad_request("not a PEM certificate request"));
  EVP_PKEY* key = X509_REQ_get0_pubkey(request.get());
  bool holds = key && X509_REQ_verify(request.get(), key) == 1;
  ERR_clear_error();
  if (!holds) {
    return fail(Error::bad_request("the certificate request's own signature does not hold"));
  }
  return request;
}

Owned<GENERAL_NAMES> names_of(X509_REQ* request) {
  Owned<STACK_OF(X509_EXTENSION)> extensions(X509_REQ_get_extensions(request));
  if (!extensions) return nullptr;
  return Owned<GENERAL_NAMES>(static_cast<GENERAL_NAMES*>(
      X509V3_get_d2i(extensions.get(), NID_subject_alt_name, nullptr, nullptr)));
}

}  // namespace

Result<std::string> sign_csr(const KeyPair& ca_pair, const std::string& csr_pem,
                             const CertificateRequest& request, WallTime now) {
  MOTH_ASSIGN(Ca ca, read_ca(ca_pair));
  MOTH_ASSIGN(Owned<X509_REQ> csr, read_csr(csr_pem));
  Owned<X509> certificate(X509_new());
  if (!certificate) return fail(crypto_error("cannot make a certificate"));
  X509_set_subject_name(certificate.get(), X509_REQ_get_subject_name(csr.get()));
  X509_set_pubkey(certificate.get(), X509_REQ_get0_pubkey(csr.get()));
  if (auto names = names_of(csr.get())) {
    X509_add1_ext_i2d(certificate.get(), NID_subject_alt_name, names.get(), 0, X509V3_ADD_DEFAULT);
  }
  MOTH_TRY(finish_leaf(certificate.get(), ca.certificate.get(), ca.key.get(), request, now));
  return certificate_to_pem(certificate.get());
}

Result<CertificateInfo> inspect(const std::string& certificate_pem) {
  MOTH_ASSIGN(Owned<X509> certificate, read_certificate(certificate_pem));
  X509* raw = certificate.get();
  CertificateInfo info;
  read_subject(X509_get_subject_name(raw), info);
  Owned<GENERAL_NAMES> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(raw, NID_subject_alt_name, nullptr, nullptr)));
  read_names(names.get(), info);
  info.not_before = to_wall(X509_get0_notBefore(raw));
  info.not_after = to_wall(X509_get0_notAfter(raw));
  info.is_ca = X509_check_ca(raw) == 1;
  Owned<BIGNUM> serial(ASN1_INTEGER_to_BN(X509_get0_serialNumber(raw), nullptr));
  if (serial) {
    std::string bytes(static_cast<std::size_t>(BN_num_bytes(serial.get())), '\0');
    BN_bn2bin(serial.get(), reinterpret_cast<unsigned char*>(bytes.data()));
    info.serial = hex(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  }
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  unsigned int size = 0;
  X509_digest(raw, EVP_sha256(), digest.data(), &size);
  info.fingerprint = hex(digest.data(), size);
  return info;
}

Result<CertificateInfo> inspect_csr(const std::string& csr_pem) {
  MOTH_ASSIGN(Owned<X509_REQ> csr, read_csr(csr_pem));
  CertificateInfo info;
  read_subject(X509_REQ_get_subject_name(csr.get()), info);
  auto names = names_of(csr.get());
  read_names(names.get(), info);
  return info;
}

bool belongs_together(const std::string& certificate_pem, const std::string& key_pem,
                      const std::string& ca_pem) {
  auto certificate = read_certificate(certificate_pem);
  auto key = read_key(key_pem);
  auto ca = read_certificate(ca_pem);
  if (!certificate || !key || !ca) return false;
  bool good = X509_check_private_key(certificate->get(), key->get()) == 1 &&
              X509_verify(certificate->get(), X509_get0_pubkey(ca->get())) == 1;
  ERR_clear_error();
  return good;
}

Result<std::string> make_signing_key(SigningKeyType type) {
  MOTH_ASSIGN(Owned<EVP_PKEY> key, new_key(type));
  return key_to_pem(key.get());
}

Result<std::string> public_key_of(const std::string& key_pem) {
  MOTH_ASSIGN(Owned<EVP_PKEY> key, read_key(key_pem));
  return to_pem([&key](BIO* bio) { return PEM_write_bio_PUBKEY(bio, key.get()); });
}

std::string random_token(std::size_t bytes) {
  std::string raw(bytes, '\0');
  RAND_bytes(reinterpret_cast<unsigned char*>(raw.data()), static_cast<int>(raw.size()));
  return hex(reinterpret_cast<const unsigned char*>(raw.data()), raw.size());
}

}  // namespace moth::pki
