#pragma once
// RestClient: requests to one API server as one user, over HTTP. Adds credentials, tells the
// server's errors from the network's, passes warnings on. HttpObjectClient and the command line
// tool are built on it.
#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/base/json_fwd.h"
#include "api/base/result.h"
#include "api/base/task.h"
#include "api/client/kubeconfig/kubeconfig.h"
#include "api/http/client.h"

namespace moth::client {

using QueryList = std::vector<std::pair<std::string, std::string>>;

struct RestRequest {
  std::string method = "GET";
  std::string path;  // "/api/v1/...", percent-encoded
  QueryList query;   // plain, encoded when sent
  std::string accept = "application/json";
  std::string content_type;  // of `body`
  std::string body;
};

struct RestOptions {
  std::string user_agent;
  // For a whole request, and for the header of a stream; 0: none.
  std::chrono::milliseconds request_timeout{0};
  // Each distinct text of a Warning header, once.
  std::function<void(const std::string& text)> warn;
  // One line per request and answer, for -v; may be null.
  std::function<void(const std::string& line)> trace;
};

// An error, and whether the server said so (a Status) or it was never heard.
struct RestError {
  Error error;
  bool from_server = false;
};
template <class T = void>
using RestResult = tl::expected<T, RestError>;

// Used on `io`; outlives its calls and streams.
class RestClient {
 public:
  // Errors: certificates that do not parse, an address that is none.
  static Result<std::unique_ptr<RestClient>> make(asio::any_io_executor io,
                                                  asio::any_io_executor blocking,
                                                  KubeEndpoint endpoint, RestOptions options);

  // Any status below 400; the others become errors.
  Task<RestResult<http::Response>> send(RestRequest request);
  // The body as JSON.
  Task<RestResult<Json>> send_json(RestRequest request);
  // A response that is read piece by piece.
  Task<RestResult<http::ResponseStream>> open(RestRequest request);
  Task<RestResult<http::WebSocket>> websocket(RestRequest request,
                                              std::vector<std::string> subprotocols);

  // Somebody else's request, sent on to this server with our credentials: `request.url` is a path
  // with its query. Answers of any status are passed back.
  Task<Result<http::ResponseStream>> forward(http::ClientRequest request);
  Task<Result<http::Upgraded>> forward_upgrade(http::ClientRequest request);

  const KubeEndpoint& endpoint() const { return endpoint_; }

 private:
  RestClient(asio::any_io_executor io, asio::any_io_executor blocking, KubeEndpoint endpoint,
             RestOptions options, http::TlsContextPtr tls);
  http::ClientRequest prepare(RestRequest& request);
  void add_credentials(http::Headers& headers) const;
  void note_answer(const RestRequest& request, int status, const http::Headers& headers);

  KubeEndpoint endpoint_;
  RestOptions options_;
  http::Client client_;
  std::set<std::string> warned_;
};

// "Warning: 299 - \"text\"" header values to their texts.
std::vector<std::string> parse_warnings(const http::Headers& headers);
// The error of an answer with status >= 400. Bodies that are no Status get the words that kubectl
// has for them.
Error error_of_answer(const http::Response& response);

}  // namespace moth::client
