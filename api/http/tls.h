#pragma once
// TLS contexts from PEM text. TLS 1.2 or later, ALPN http/1.1, no session tickets. Immutable once
// made, shared by any number of connections and threads. OpenSSL stays behind this header.
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/result.h"

namespace moth::http {

class TlsContext;
using TlsContextPtr = std::shared_ptr<const TlsContext>;

struct ServerTlsConfig {
  std::string certificate_pem;  // the leaf first, then intermediates
  std::string key_pem;
  // When set, client certificates are asked for (never required) and checked against these. A
  // client with an invalid one is let in without Request::peer, but with Request::peer_error.
  std::string client_ca_pem;
  // Chooses another context by the name that the client asks for (SNI); null: this one. Any thread.
  std::function<TlsContextPtr(std::string_view name)> select;
};

struct ClientTlsConfig {
  std::string ca_pem;           // empty: the system's trust store
  std::string certificate_pem;  // client certificate and key, both or none
  std::string key_pem;
  bool insecure = false;    // accepts any certificate
  std::string server_name;  // for SNI and verification; empty: the URL's host
};

class TlsContext {
 public:
  // Errors: PEM that does not parse, a key that does not belong to the certificate.
  static Result<TlsContextPtr> server(const ServerTlsConfig& config);
  static Result<TlsContextPtr> client(const ClientTlsConfig& config);
  ~TlsContext();

  const std::string& server_name() const { return server_name_; }

  struct Native;
  const Native& native() const { return *native_; }

 private:
  TlsContext();
  std::unique_ptr<Native> native_;
  std::string server_name_;
};

}  // namespace moth::http
