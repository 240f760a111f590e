#include "api/http/tls.h"

#include <arpa/inet.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include <array>
#include <ctime>

#include "api/http/tls_native.h"

namespace moth::http {
namespace {

struct OpensslFree {
  void operator()(BIO* bio) const { BIO_free_all(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
};
template <class T>
using Owned = std::unique_ptr<T, OpensslFree>;

constexpr std::array<unsigned char, 9> kAlpn = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

Owned<BIO> memory_bio(std::string_view text) {
  return Owned<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::vector<Owned<X509>> read_certificates(std::string_view pem) {
  std::vector<Owned<X509>> certificates;
  auto bio = memory_bio(pem);
  while (X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    certificates.emplace_back(certificate);
  }
  ERR_clear_error();  // the last read always fails
  return certificates;
}

Error tls_error(std::string_view what) {
  return Error::of(Reason::kInternalError, fmt::format("tls: {}", openssl_error(what)));
}

Result<void> use_key_pair(SSL_CTX* context, const std::string& certificate_pem,
                          const std::string& key_pem) {
  auto chain = read_certificates(certificate_pem);
  if (chain.empty()) {
    return fail(Error::bad_request(
        "tls: failed to find any PEM data in certificate input: expected a CERTIFICATE block"));
  }
  auto bio = memory_bio(key_pem);
  Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(
      bio.get(), nullptr, [](char*, int, int, void*) { return 0; }, nullptr));
  if (!key) {
    ERR_clear_error();
    return fail(Error::bad_request(
        "tls: failed to find any PEM data in key input: expected an unencrypted private key"));
  }
  if (SSL_CTX_use_certificate(context, chain[0].get()) != 1) {
    return fail(tls_error("the certificate cannot be used"));
  }
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
    ERR_clear_error();
    return fail(Error::bad_request("tls: private key does not match public key"));
  }
  for (std::size_t i = 1; i < chain.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context, chain[i].get()) != 1) {
      return fail(tls_error("the certificate chain cannot be used"));
    }
  }
  return {};
}

Result<void> trust(SSL_CTX* context, const std::string& ca_pem, bool announce) {
  auto certificates = read_certificates(ca_pem);
  if (certificates.empty()) {
    return fail(Error::bad_request("tls: the CA bundle holds no PEM certificate"));
  }
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  for (const auto& certificate : certificates) {
    X509_STORE_add_cert(store, certificate.get());
    if (announce) SSL_CTX_add_client_CA(context, certificate.get());
  }
  return {};
}

int select_alpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                unsigned int in_size, void*) {
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, kAlpn.data(), kAlpn.size(), in, in_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_NOACK;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

int select_by_name(SSL* ssl, int*, void* argument) {
  auto* native = static_cast<TlsContext::Native*>(argument);
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (!native->select || !name) return SSL_TLSEXT_ERR_OK;
  if (auto other = native->select(name)) {
    SSL_set_SSL_CTX(ssl, other->native().context.get());  // takes its own reference
  }
  return SSL_TLSEXT_ERR_OK;
}

std::unique_ptr<SSL_CTX, SslFree> new_context(const SSL_METHOD* method) {
  std::unique_ptr<SSL_CTX, SslFree> context(SSL_CTX_new(method));
  if (!context) return context;
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
                                         SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_num_tickets(context.get(), 0);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  // Idle connections give their buffers back; writes may resume from another address.
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return context;
}

std::string text_of(const ASN1_STRING* value) {
  unsigned char* bytes = nullptr;
  int size = ASN1_STRING_to_UTF8(&bytes, value);
  if (size < 0) return "";
  std::string text(reinterpret_cast<char*>(bytes), static_cast<std::size_t>(size));
  OPENSSL_free(bytes);
  return text;
}

bool is_address(const std::string& host) {
  std::array<unsigned char, 16> bytes{};
  return inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 ||
         inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

// Where a client session keeps the certificate that it refused: OpenSSL forgets it.
int refused_index() {
  static const int index =
      SSL_get_ex_new_index(0, nullptr, nullptr, nullptr,
                           [](void*, void* certificate, CRYPTO_EX_DATA*, int, long, void*) {
                             X509_free(static_cast<X509*>(certificate));
                           });
  return index;
}

X509* refused_certificate(SSL* ssl) {
  return static_cast<X509*>(SSL_get_ex_data(ssl, refused_index()));
}

int remember_refused(int good, X509_STORE_CTX* context) {
  auto* ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx()));
  X509* leaf = X509_STORE_CTX_get0_cert(context);
  if (!good && ssl && leaf && !refused_certificate(ssl)) {
    X509_up_ref(leaf);
    SSL_set_ex_data(ssl, refused_index(), leaf);
  }
  return good;
}

std::string valid_names(const X509* certificate) {
  std::string list;
  if (!certificate) return list;
  Owned<GENERAL_NAMES> names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    std::string text;
    if (name->type == GEN_DNS) text = text_of(name->d.dNSName);
    if (name->type == GEN_IPADD) {
      std::array<char, INET6_ADDRSTRLEN> buffer{};
      int family = ASN1_STRING_length(name->d.iPAddress) == 4 ? AF_INET : AF_INET6;
      if (inet_ntop(family, ASN1_STRING_get0_data(name->d.iPAddress), buffer.data(),
                    buffer.size())) {
        text = buffer.data();
      }
    }
    if (text.empty()) continue;
    if (!list.empty()) list += ", ";
    list += text;
  }
  return list;
}

std::string time_text(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return "an unknown time";
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", parts);
}

std::string validity_error(const X509* certificate) {
  std::string now = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
  bool early = certificate && X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0;
  std::string limit = !certificate ? "unknown"
                      : early      ? time_text(X509_get0_notBefore(certificate))
                                   : time_text(X509_get0_notAfter(certificate));
  return fmt::format("certificate has expired or is not yet valid: current time {} is {} {}", now,
                     early ? "before" : "after", limit);
}

}  // namespace

TlsContext::TlsContext() : native_(std::make_unique<Native>()) {}
TlsContext::~TlsContext() = default;

Result<TlsContextPtr> TlsContext::server(const ServerTlsConfig& config) {
  std::shared_ptr<TlsContext> made(new TlsContext);
  Native& native = *made->native_;
  native.context = new_context(TLS_server_method());
  if (!native.context) return fail(tls_error("cannot create a server context"));
  native.select = config.select;
  SSL_CTX* context = native.context.get();
  MOTH_TRY(use_key_pair(context, config.certificate_pem, config.key_pem));
  SSL_CTX_set_alpn_select_cb(context, select_alpn, nullptr);
  if (config.select) {
    SSL_CTX_set_tlsext_servername_callback(context, select_by_name);
    SSL_CTX_set_tlsext_servername_arg(context, &native);
  }
  if (!config.client_ca_pem.empty()) {
    MOTH_TRY(trust(context, config.client_ca_pem, true));
    // Every certificate is let through here; the verdict is read after the handshake, so that a bad
    // one leads to 401 with a body and not to a broken handshake.
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, [](int, X509_STORE_CTX*) { return 1; });
  }
  return made;
}

Result<TlsContextPtr> TlsContext::client(const ClientTlsConfig& config) {
  std::shared_ptr<TlsContext> made(new TlsContext);
  Native& native = *made->native_;
  native.context = new_context(TLS_client_method());
  if (!native.context) return fail(tls_error("cannot create a client context"));
  native.is_client = true;
  native.insecure = config.insecure;
  made->server_name_ = config.server_name;
  SSL_CTX* context = native.context.get();
  if (!config.certificate_pem.empty() || !config.key_pem.empty()) {
    MOTH_TRY(use_key_pair(context, config.certificate_pem, config.key_pem));
  }
  if (!config.ca_pem.empty()) {
    MOTH_TRY(trust(context, config.ca_pem, false));
    // Any certificate of the bundle is an anchor, not only self-signed ones.
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
  } else if (!config.insecure) {
    SSL_CTX_set_default_verify_paths(context);
  }
  SSL_CTX_set_verify(context, config.insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER,
                     remember_refused);
  SSL_CTX_set_alpn_protos(context, kAlpn.data(), kAlpn.size());
  return made;
}

Result<SslPtr> new_client_session(const TlsContext& context, const std::string& host) {
  SslPtr ssl(SSL_new(context.native().context.get()));
  if (!ssl) return fail(tls_error("cannot create a session"));
  const std::string& name = context.server_name().empty() ? host : context.server_name();
  if (is_address(name)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), name.c_str());
  } else {
    SSL_set1_host(ssl.get(), name.c_str());
    SSL_set_hostflags(ssl.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    SSL_set_tlsext_host_name(ssl.get(), name.c_str());
  }
  SSL_set_connect_state(ssl.get());
  return ssl;
}

Result<SslPtr> new_server_session(const TlsContext& context) {
  SslPtr ssl(SSL_new(context.native().context.get()));
  if (!ssl) return fail(tls_error("cannot create a session"));
  SSL_set_accept_state(ssl.get());
  return ssl;
}

std::string openssl_error(std::string_view fallback) {
  unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* text = code ? ERR_reason_error_string(code) : nullptr;
  return text ? fmt::format("{}: {}", fallback, text) : std::string(fallback);
}

std::string handshake_error(SSL* ssl, const std::string& host) {
  long verdict = SSL_get_verify_result(ssl);
  unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  if (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED && verdict != X509_V_OK) {
    std::string why;
    switch (verdict) {
      case X509_V_ERR_CERT_HAS_EXPIRED:
      case X509_V_ERR_CERT_NOT_YET_VALID:
        why = validity_error(refused_certificate(ssl));
        break;
      case X509_V_ERR_HOSTNAME_MISMATCH:
      case X509_V_ERR_IP_ADDRESS_MISMATCH:
        why = fmt::format("certificate is valid for {}, not {}",
                          valid_names(refused_certificate(ssl)), host);
        break;
      case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
      case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
      case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        why = "certificate signed by unknown authority";
        break;
      default:
        why = X509_verify_cert_error_string(verdict);
    }
    return "tls: failed to verify certificate: x509: " + why;
  }
  if (ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER) {
    return "http: server gave HTTP response to HTTPS client";
  }
  const char* text = code ? ERR_reason_error_string(code) : nullptr;
  return fmt::format("tls: {}", text ? text : "handshake failure");
}

std::shared_ptr<const PeerCertificate> peer_certificate(SSL* ssl, std::string& error) {
  Owned<X509> certificate(SSL_get1_peer_certificate(ssl));
  if (!certificate) return nullptr;
  if (long verdict = SSL_get_verify_result(ssl); verdict != X509_V_OK) {
    error = fmt::format("x509: {}", X509_verify_cert_error_string(verdict));
    return nullptr;
  }
  auto peer = std::make_shared<PeerCertificate>();
  const X509_NAME* subject = X509_get_subject_name(certificate.get());
  for (int i = 0; i < X509_NAME_entry_count(subject); ++i) {
    const X509_NAME_ENTRY* entry = X509_NAME_get_entry(subject, i);
    int nid = OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry));
    std::string text = text_of(X509_NAME_ENTRY_get_data(entry));
    if (nid == NID_commonName)
      peer->common_name = std::move(text);
    else if (nid == NID_organizationName)
      peer->organizations.push_back(std::move(text));
  }
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  unsigned int size = 0;
  X509_digest(certificate.get(), EVP_sha256(), digest.data(), &size);
  for (unsigned char byte : digest) peer->fingerprint += fmt::format("{:02x}", byte);
  return peer;
}

}  // namespace moth::http
