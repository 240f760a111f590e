#pragma once
// Internal: what the socket code needs to know of a TlsContext.
#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "api/http/message.h"
#include "api/http/tls.h"

namespace moth::http {

struct SslFree {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using SslPtr = std::unique_ptr<SSL, SslFree>;

struct TlsContext::Native {
  std::unique_ptr<SSL_CTX, SslFree> context;
  bool is_client = false;
  bool insecure = false;
  std::function<TlsContextPtr(std::string_view)> select;
};

// A client session that verifies `host` (a name or an address).
Result<SslPtr> new_client_session(const TlsContext& context, const std::string& host);
Result<SslPtr> new_server_session(const TlsContext& context);

// The error queue's newest entry, or `fallback`; clears the queue.
std::string openssl_error(std::string_view fallback);

// Text of a failed client handshake as Go's client words it.
std::string handshake_error(SSL* ssl, const std::string& host);

// After a server handshake: the verified client certificate, or why it is not valid, or neither.
std::shared_ptr<const PeerCertificate> peer_certificate(SSL* ssl, std::string& error);

}  // namespace moth::http
