#pragma once
// HTTP messages as values: what the server hands to its handler and what clients send and receive.
// Free of threads and of sockets.
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/base/result.h"

namespace moth::http {

// Immutable text that several responses and streams share without copying.
using SharedText = std::shared_ptr<const std::string>;

struct Header {
  std::string name;
  std::string value;
};

// Header lines in order; names compare without case.
class Headers {
 public:
  Headers() = default;
  Headers(std::initializer_list<Header> lines) : lines_(lines) {}

  // First value of `name`, or null.
  const std::string* find(std::string_view name) const;
  // First value of `name`, or "".
  std::string_view get(std::string_view name) const;
  bool has(std::string_view name) const { return find(name) != nullptr; }
  std::vector<std::string_view> all(std::string_view name) const;
  // True when a comma-separated list in any line of `name` holds `token` (without case), as in
  // "Connection: keep-alive, Upgrade".
  bool has_token(std::string_view name, std::string_view token) const;

  // Replaces every line of that name.
  void set(std::string_view name, std::string value);
  void add(std::string name, std::string value);
  void remove(std::string_view name);
  void clear() { lines_.clear(); }

  bool empty() const { return lines_.empty(); }
  std::size_t size() const { return lines_.size(); }
  auto begin() const { return lines_.begin(); }
  auto end() const { return lines_.end(); }

 private:
  std::vector<Header> lines_;
};

// Decoded query parameters in order; a name may occur several times.
class Query {
 public:
  Query() = default;
  static Query parse(std::string_view raw);

  const std::string* find(std::string_view name) const;
  // First value of `name`, or "".
  std::string_view get(std::string_view name) const;
  bool has(std::string_view name) const { return find(name) != nullptr; }
  std::vector<std::string> all(std::string_view name) const;
  // As the API server reads booleans: absent, "false" and "0" are false, anything else (also an
  // empty value) is true.
  bool flag(std::string_view name) const;
  // Nothing when absent or empty; BadRequest naming the parameter when it is no integer.
  Result<std::optional<std::int64_t>> integer(std::string_view name) const;

  void add(std::string name, std::string value);
  bool empty() const { return parameters_.empty(); }
  std::size_t size() const { return parameters_.size(); }
  auto begin() const { return parameters_.begin(); }
  auto end() const { return parameters_.end(); }

 private:
  std::vector<std::pair<std::string, std::string>> parameters_;
};

// A client certificate that was verified against the listener's client CA.
struct PeerCertificate {
  std::string common_name;
  std::vector<std::string> organizations;
  std::string fingerprint;  // SHA-256 of the DER form, lower-case hex
};

// Who sits at the other end of a unix socket (SO_PEERCRED).
struct UnixPeer {
  std::uint32_t uid = 0, gid = 0;
  std::int32_t pid = 0;
};

struct Request {
  std::string method = "GET";
  std::string target = "/";           // as on the request line
  std::string path = "/";             // target without the query, still encoded
  std::vector<std::string> segments;  // decoded; empty ones (as of "//") are left out
  Query query;
  Headers headers;
  std::string body;

  // Filled by the server.
  std::string remote_address;  // "127.0.0.1:4711", "[::1]:4711" or "@" for unix
  std::string listener;        // name of the listener it came in by
  bool tls = false;
  bool http_1_0 = false;
  std::shared_ptr<const PeerCertificate> peer;  // null without a valid client certificate
  std::string peer_error;  // why a certificate that was sent is not valid, else empty
  std::optional<UnixPeer> unix_peer;

  // Sets target, path, segments and query from a request line's target.
  void set_target(std::string text);
  // Client address without the port, "" for unix sockets.
  std::string_view remote_host() const;
  bool from_loopback() const;  // 127.0.0.0/8, ::1 or a unix socket
};

struct Response {
  int status = 200;
  Headers headers;
  std::string body;
  std::vector<SharedText> chunks;  // sent after `body`, without copying

  std::size_t body_size() const;
  // body and chunks in one string (copies when there are chunks).
  std::string whole_body() const;

  static Response json(int status, std::string body);
  static Response text(int status, std::string body);
  // The Status object of `error`, with Retry-After when it says so.
  static Response from_error(const Error& error);
};

// The standard phrase of a status code, "" when unknown.
std::string_view status_phrase(int status);

// The error that a response means (client's view): the Status object in its body when there is one,
// else made from the status code and text. Call only for status >= 400.
Error error_from_response(const Response& response);

// Without-case comparison of ASCII text.
bool iequals(std::string_view a, std::string_view b);

}  // namespace moth::http
