#include "api/client/http/rest_client.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <fstream>
#include <sstream>

#include "api/base/json.h"

namespace moth::client {
namespace {

std::string basic_credentials(const std::string& user, const std::string& password) {
  std::string plain = user + ":" + password;
  std::string encoded(4 * ((plain.size() + 2) / 3) + 1, '\0');
  int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()),
                             reinterpret_cast<const unsigned char*>(plain.data()),
                             static_cast<int>(plain.size()));
  encoded.resize(static_cast<std::size_t>(size));
  return encoded;
}

// The token as it is now: a file may have been renewed.
std::string current_token(const KubeEndpoint& endpoint) {
  if (endpoint.token_file.empty()) return endpoint.token;
  std::ifstream file(endpoint.token_file);
  if (!file) return endpoint.token;
  std::stringstream text;
  text << file.rdbuf();
  std::string token = text.str();
  while (!token.empty() && std::isspace(static_cast<unsigned char>(token.back()))) token.pop_back();
  return token;
}

RestError network_error(Error error) {
  return {std::move(error), false};
}
RestError server_error(Error error) {
  return {std::move(error), true};
}

}  // namespace

std::vector<std::string> parse_warnings(const http::Headers& headers) {
  std::vector<std::string> texts;
  for (std::string_view line : headers.all("Warning")) {
    // 299 <agent> "<text>", with \" and \\ escaped.
    auto open = line.find('"');
    if (open == std::string_view::npos) continue;
    std::string text;
    for (std::size_t i = open + 1; i < line.size() && line[i] != '"'; ++i) {
      if (line[i] == '\\' && i + 1 < line.size()) ++i;
      text.push_back(line[i]);
    }
    texts.push_back(std::move(text));
  }
  return texts;
}

Error error_of_answer(const http::Response& response) {
  std::string body = response.whole_body();
  bool is_status = false;
  if (body.starts_with('{')) {
    Json document = Json::parse(body, nullptr, false);
    is_status = !document.is_discarded() && string_or(document, "kind") == "Status";
  }
  Error error = http::error_from_response(response);
  if (is_status) return error;
  if (response.status == 404) error.message = "the server could not find the requested resource";
  if (response.status == 405)
    error.message = "the server does not allow this method on the requested resource";
  if (response.status == 401) error.message = "Unauthorized";
  return error;
}

Result<std::unique_ptr<RestClient>> RestClient::make(asio::any_io_executor io,
                                                     asio::any_io_executor blocking,
                                                     KubeEndpoint endpoint, RestOptions options) {
  MOTH_TRY(http::parse_url(endpoint.server));
  http::TlsContextPtr tls;
  if (endpoint.server.starts_with("https:")) {
    http::ClientTlsConfig config;
    config.ca_pem = endpoint.ca_pem;
    config.certificate_pem = endpoint.certificate_pem;
    config.key_pem = endpoint.key_pem;
    config.insecure = endpoint.insecure_skip_tls_verify;
    config.server_name = endpoint.tls_server_name;
    MOTH_ASSIGN(tls, http::TlsContext::client(config));
  }
  return std::unique_ptr<RestClient>(new RestClient(
      std::move(io), std::move(blocking), std::move(endpoint), std::move(options), std::move(tls)));
}

RestClient::RestClient(asio::any_io_executor io, asio::any_io_executor blocking,
                       KubeEndpoint endpoint, RestOptions options, http::TlsContextPtr tls)
    : endpoint_(std::move(endpoint)),
      options_(std::move(options)),
      client_(std::move(io), std::move(blocking), [&] {
        http::ClientOptions client;
        client.tls = std::move(tls);
        client.user_agent = options_.user_agent;
        return client;
      }()) {}

void RestClient::add_credentials(http::Headers& headers) const {
  if (std::string token = current_token(endpoint_); !token.empty()) {
    headers.set("Authorization", "Bearer " + token);
  } else if (!endpoint_.username.empty()) {
    headers.set("Authorization",
                "Basic " + basic_credentials(endpoint_.username, endpoint_.password));
  }
  if (!endpoint_.impersonate.empty()) headers.set("Impersonate-User", endpoint_.impersonate);
  if (!endpoint_.impersonate_uid.empty()) headers.set("Impersonate-Uid", endpoint_.impersonate_uid);
  for (const std::string& group : endpoint_.impersonate_groups)
    headers.add("Impersonate-Group", group);
  for (const auto& [key, value] : endpoint_.impersonate_extra)
    headers.add("Impersonate-Extra-" + http::percent_encode(key), value);
}

http::ClientRequest RestClient::prepare(RestRequest& request) {
  http::ClientRequest out;
  out.method = request.method;
  out.url = endpoint_.server + request.path;
  if (!request.query.empty()) out.url += "?" + http::encode_query(request.query);
  out.headers.set("Accept", request.accept);
  if (!request.body.empty() && !request.content_type.empty())
    out.headers.set("Content-Type", request.content_type);
  add_credentials(out.headers);
  out.timeout = options_.request_timeout;
  if (options_.trace) {
    options_.trace(fmt::format("{} {}", out.method, out.url));
    if (!request.body.empty()) options_.trace("Request Body: " + request.body);
  }
  out.body = std::move(request.body);
  return out;
}

void RestClient::note_answer(const RestRequest& request, int status, const http::Headers& headers) {
  if (options_.trace) {
    options_.trace(fmt::format("{} {}: {} {}", request.method, request.path, status,
                               http::status_phrase(status)));
  }
  if (!options_.warn) return;
  for (const std::string& text : parse_warnings(headers)) {
    if (warned_.insert(text).second) options_.warn(text);
  }
}

Task<RestResult<http::Response>> RestClient::send(RestRequest request) {
  http::ClientRequest prepared = prepare(request);
  auto response = co_await client_.request(std::move(prepared));
  if (!response) co_return tl::unexpected(network_error(std::move(response).error()));
  note_answer(request, response->status, response->headers);
  if (response->status >= 400) co_return tl::unexpected(server_error(error_of_answer(*response)));
  co_return *std::move(response);
}

Task<RestResult<Json>> RestClient::send_json(RestRequest request) {
  std::string what = request.method + " " + request.path;
  auto response = co_await send(std::move(request));
  if (!response) co_return tl::unexpected(std::move(response).error());
  Json value = Json::parse(response->whole_body(), nullptr, false);
  if (value.is_discarded()) {
    co_return tl::unexpected(network_error(
        Error::of(Reason::kInternalError,
                  what + ": the server's answer is no JSON: is this an API server?")));
  }
  co_return value;
}

Task<RestResult<http::ResponseStream>> RestClient::open(RestRequest request) {
  http::ClientRequest prepared = prepare(request);
  auto stream = co_await client_.open(std::move(prepared));
  if (!stream) co_return tl::unexpected(network_error(std::move(stream).error()));
  note_answer(request, stream->status(), stream->headers());
  if (stream->status() >= 400) {
    auto refusal = co_await stream->collect();
    if (!refusal) co_return tl::unexpected(network_error(std::move(refusal).error()));
    co_return tl::unexpected(server_error(error_of_answer(*refusal)));
  }
  co_return *std::move(stream);
}

Task<RestResult<http::WebSocket>> RestClient::websocket(RestRequest request,
                                                        std::vector<std::string> subprotocols) {
  http::ClientRequest prepared = prepare(request);
  prepared.headers.remove("Accept");
  http::WebSocketOptions options;
  options.max_message = 32u << 20;
  auto socket = co_await client_.websocket(std::move(prepared), std::move(subprotocols), options);
  // The client's own failures name the request first, a server's Status does not.
  if (!socket) {
    bool own = socket.error().message.starts_with("Get \"") ||
               socket.error().message.starts_with("websocket: ");
    co_return tl::unexpected(RestError{std::move(socket).error(), !own});
  }
  co_return *std::move(socket);
}

Task<Result<http::ResponseStream>> RestClient::forward(http::ClientRequest request) {
  request.url = endpoint_.server + request.url;
  add_credentials(request.headers);
  request.timeout = std::chrono::milliseconds(0);
  co_return co_await client_.open(std::move(request));
}

Task<Result<http::Upgraded>> RestClient::forward_upgrade(http::ClientRequest request) {
  request.url = endpoint_.server + request.url;
  add_credentials(request.headers);
  co_return co_await client_.upgrade(std::move(request));
}

}  // namespace moth::client
