#include "runtime/images/registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "api/base/executors.h"
#include "api/base/log.h"
#include "api/http/url.h"
#include "runtime/images/digest.h"
#include "runtime/images/registry_session.h"

namespace moth::images {
namespace {

constexpr std::size_t kManifestLimit = 4 << 20;
constexpr std::size_t kConfigLimit = 8 << 20;
constexpr std::size_t kPiece = 256 * 1024;
constexpr int kMaxRedirects = 5;
constexpr std::chrono::seconds kLongestRetryAfter{60};
constexpr const char* kAccept =
    "application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json, */*;q=0.1";

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool is_transient(int status) {
  return status == 429 || status == 408 || status >= 500;
}

Duration retry_after(const http::Headers& headers, Duration fallback) {
  std::string_view text = headers.get("Retry-After");
  int seconds = 0;
  auto parsed = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (text.empty() || parsed.ec != std::errc() || seconds < 0) return fallback;
  return std::min<Duration>(std::chrono::seconds(seconds), kLongestRetryAfter);
}

std::string host_of(const std::string& url) {
  auto parsed = http::parse_url(url);
  return parsed ? parsed->authority() : "";
}

std::string join_location(const std::string& url, std::string_view location) {
  if (location.find("://") != std::string_view::npos) return std::string(location);
  auto parsed = http::parse_url(url);
  if (!parsed) return std::string(location);
  return fmt::format("{}://{}{}{}", parsed->scheme, parsed->authority(),
                     location.starts_with('/') ? "" : "/", location);
}

// The body's own reason, with the words that users know from other runtimes.
Error manifest_error(const RegistryClient::Session& session, const std::string& url,
                     const std::string& method, const http::Response& response) {
  std::string own = registry_message(response.whole_body());
  std::string tail = own.empty() ? "" : ": " + own;
  std::string name = session.reference.canonical();
  if (response.status == 404) {
    return Error::of(Reason::kNotFound, fmt::format("{}: not found{}", name, tail));
  }
  if (response.status == 401 || response.status == 403) {
    return Error::of(
        response.status == 401 ? Reason::kUnauthorized : Reason::kForbidden,
        fmt::format("pull access denied, repository does not exist or may require authorization: "
                    "server message{}",
                    own.empty() ? ": " + std::string(http::status_phrase(response.status)) : tail));
  }
  Error error =
      Error::of(response.status == 429 ? Reason::kTooManyRequests : Reason::kServiceUnavailable,
                fmt::format("unexpected status from {} request to {}: {} {}{}", method, url,
                            response.status, http::status_phrase(response.status), tail));
  return error;
}

bool worth_another_credential(const Error& error) {
  return error.reason == Reason::kUnauthorized || error.reason == Reason::kForbidden ||
         error.reason == Reason::kNotFound;
}

}  // namespace

struct RegistryClient::State {
  asio::any_io_executor io;
  asio::any_io_executor blocking;
  std::shared_ptr<Clock> clock;
  RegistryOptions options;
  // Clients live as long as someone uses them: an idle daemon keeps no trust store in memory.
  std::map<std::string, std::weak_ptr<http::Client>> clients;

  const RegistryHost* settings(const std::string& host) const {
    for (const RegistryHost& entry : options.hosts) {
      if (entry.host == host) return &entry;
    }
    return nullptr;
  }

  Task<Result<std::shared_ptr<http::Client>>> client_for(std::string host, bool* has_certificates);
  Task<Result<std::vector<Endpoint>>> endpoints_of(Reference reference);
  Task<Result<http::ResponseStream>> send(Session& session, http::ClientRequest request);
  Task<Result<http::ResponseStream>> send_once(Session& session, http::ClientRequest request);
  Task<Result<http::Response>> manifest_request(Session& session, std::string method,
                                                std::string reference);
  Task<Result<Resolved>> resolve_with(std::shared_ptr<Session> session, Platform platform,
                                      std::vector<std::string> known_digests);
  Task<Result<std::string>> fetch_manifest(Session& session, std::string reference);
  Task<Result<http::ResponseStream>> open_blob(Session& session, const Descriptor& descriptor,
                                               std::uint64_t offset);
  Task<Result<void>> copy_blob(Session& session, const Descriptor& descriptor, BytePipe& pipe,
                               const std::function<void(std::uint64_t)>& progress);
};

RegistryClient::RegistryClient(asio::any_io_executor io, asio::any_io_executor blocking,
                               std::shared_ptr<Clock> clock, RegistryOptions options)
    : state_(std::make_shared<State>(
          State{std::move(io), std::move(blocking), std::move(clock), std::move(options), {}})) {}
RegistryClient::~RegistryClient() = default;

Task<Result<std::shared_ptr<http::Client>>> RegistryClient::State::client_for(
    std::string host, bool* has_certificates) {
  auto certificates = co_await call_on(
      blocking, [&] { return load_certificates(options.certificate_directories, host); });
  if (!certificates) co_return fail(std::move(certificates).error());
  if (has_certificates) *has_certificates = certificates->found;
  const RegistryHost* configured = settings(host);
  bool insecure = configured && configured->insecure;
  bool own = certificates->found || insecure;
  auto& slot = clients[own ? host : ""];
  if (auto client = slot.lock()) co_return client;
  http::ClientOptions client_options;
  if (own) {
    http::ClientTlsConfig tls;
    tls.ca_pem = certificates->ca_pem;
    tls.certificate_pem = certificates->certificate_pem;
    tls.key_pem = certificates->key_pem;
    tls.insecure = insecure;
    auto context = http::TlsContext::client(tls);
    if (!context) {
      co_return fail(std::move(
          context.error().with_context(fmt::format("the certificates of the registry {}", host))));
    }
    client_options.tls = *context;
  }
  auto client = std::make_shared<http::Client>(io, blocking, std::move(client_options));
  clients[own ? host : ""] = client;
  co_return client;
}

Task<Result<std::vector<Endpoint>>> RegistryClient::State::endpoints_of(Reference reference) {
  std::vector<Endpoint> endpoints;
  const RegistryHost* configured = settings(reference.registry);
  if (configured) {
    for (const std::string& mirror : configured->mirrors) {
      auto client = co_await client_for(host_of(mirror), nullptr);
      if (!client) co_return fail(std::move(client).error());
      Endpoint endpoint{mirror, *client, true, false};
      while (endpoint.base.ends_with('/')) endpoint.base.pop_back();
      endpoints.push_back(std::move(endpoint));
    }
  }
  bool has_certificates = false;
  auto client = co_await client_for(reference.registry, &has_certificates);
  if (!client) co_return fail(std::move(client).error());
  bool plain = configured && configured->plain_http;
  std::string host =
      reference.registry == kDefaultRegistry ? "registry-1.docker.io" : reference.registry;
  Endpoint endpoint{fmt::format("{}://{}", plain ? "http" : "https", host), *client, false, false};
  endpoint.may_fall_back = !plain && !has_certificates && is_loopback_registry(host);
  endpoints.push_back(std::move(endpoint));
  co_return endpoints;
}

// One request with its redirects. The registry's authorization goes to the registry alone.
Task<Result<http::ResponseStream>> RegistryClient::State::send_once(Session& session,
                                                                    http::ClientRequest request) {
  const std::string home = host_of(request.url);
  std::shared_ptr<http::Client> client = session.endpoint.client;
  for (int hop = 0;; ++hop) {
    http::ClientRequest copy = request;
    if (host_of(request.url) == home && !session.authorization.empty()) {
      copy.headers.set("Authorization", session.authorization);
    }
    auto response = co_await client->open(std::move(copy));
    if (!response || !is_redirect(response->status())) co_return response;
    std::string_view location = response->headers().get("Location");
    if (location.empty() || hop >= kMaxRedirects) {
      co_return fail(Error::unavailable(
          fmt::format("{} {}: redirected without an end", request.method, request.url)));
    }
    request.url = join_location(request.url, location);
    auto next = co_await client_for(host_of(request.url), nullptr);
    if (!next) co_return fail(std::move(next).error());
    client = *next;
  }
}

// send_once with sign-in, the fallback to plain http, and patience.
Task<Result<http::ResponseStream>> RegistryClient::State::send(Session& session,
                                                               http::ClientRequest request) {
  Duration delay = options.retry_delay;
  bool signed_in = false;
  for (int attempt = 1;; ++attempt) {
    auto response = co_await send_once(session, request);
    if (!response && session.endpoint.may_fall_back && request.url.starts_with("https://")) {
      session.endpoint.may_fall_back = false;
      Endpoint plain = session.endpoint;
      plain.base = "http://" + plain.base.substr(8);
      std::swap(plain, session.endpoint);
      request.url = "http://" + request.url.substr(8);
      auto again = co_await send_once(session, request);
      // 400 is what a TLS server answers to plain http: then the first error is the one to tell.
      if (again && again->status() != 400) {
        response = std::move(again);
      } else {
        session.endpoint = plain;
        request.url = "https://" + request.url.substr(7);
      }
    }
    Duration wait = delay;
    if (response) {
      session.endpoint.may_fall_back = false;
      if (response->status() == 401 && !signed_in) {
        signed_in = true;
        std::string challenge;
        for (std::string_view line : response->headers().all("WWW-Authenticate")) {
          challenge += fmt::format("{}{}", challenge.empty() ? "" : ", ", line);
        }
        auto client = co_await client_for("", nullptr);
        // A token server at the registry's own address has the registry's certificates.
        for (const Challenge& one : parse_challenges(challenge)) {
          if (client && host_of(std::string(one.get("realm"))) == host_of(request.url)) {
            client = session.endpoint.client;
          }
        }
        if (!client) co_return fail(std::move(client).error());
        auto authorized = co_await authorize(session, challenge, *client);
        if (!authorized) co_return fail(std::move(authorized).error());
        continue;
      }
      if (!is_transient(response->status()) || attempt >= options.attempts) co_return response;
      wait = retry_after(response->headers(), delay);
    } else if (attempt >= options.attempts || response.error().reason == Reason::kNotFound ||
               response.error().os_errno == ECONNREFUSED ||
               response.error().message.find("connection refused") != std::string::npos) {
      co_return fail(std::move(response.error().with_context("failed to do request")));
    }
    co_await clock->sleep_for(wait);
    delay *= 2;
  }
}

Task<Result<http::Response>> RegistryClient::State::manifest_request(Session& session,
                                                                     std::string method,
                                                                     std::string reference) {
  http::ClientRequest request;
  request.method = method;
  request.url = fmt::format("{}/v2/{}/manifests/{}", session.endpoint.base,
                            session.reference.repository, reference);
  request.headers.set("Accept", kAccept);
  request.body_limit = kManifestLimit;
  auto stream = co_await send(session, std::move(request));
  if (!stream) co_return fail(std::move(stream).error());
  co_return co_await stream->collect(kManifestLimit);
}

Task<Result<std::string>> RegistryClient::State::fetch_manifest(Session& session,
                                                                std::string reference) {
  auto response = co_await manifest_request(session, "GET", reference);
  if (!response) co_return fail(std::move(response).error());
  if (response->status != 200) {
    std::string url = fmt::format("{}/v2/{}/manifests/{}", session.endpoint.base,
                                  session.reference.repository, reference);
    co_return fail(manifest_error(session, url, "GET", *response));
  }
  std::string text = response->whole_body();
  if (valid_digest(reference) && sha256_digest(text) != reference) {
    co_return fail(Error::bad_request(
        fmt::format("the manifest that came has the digest {}, but {} was asked for: refused",
                    sha256_digest(text), reference)));
  }
  co_return text;
}

Task<Result<RegistryClient::Resolved>> RegistryClient::State::resolve_with(
    std::shared_ptr<Session> session, Platform platform, std::vector<std::string> known_digests) {
  const Reference& reference = session->reference;
  const std::string wanted = reference.digest.empty() ? reference.tag : reference.digest;
  Resolved resolved;
  resolved.session = session;
  resolved.used = session->authorization.empty() ? Credential{} : session->credential;
  if (!known_digests.empty()) {
    auto head = co_await manifest_request(*session, "HEAD", wanted);
    if (!head) co_return fail(std::move(head).error());
    std::string digest(head->headers.get("Docker-Content-Digest"));
    bool known =
        std::find(known_digests.begin(), known_digests.end(), digest) != known_digests.end();
    if (head->status == 200 && known) {
      resolved.unchanged = true;
      resolved.manifest.resolved_digest = digest;
      resolved.used = session->authorization.empty() ? Credential{} : session->credential;
      co_return resolved;
    }
  }
  auto text = co_await fetch_manifest(*session, wanted);
  if (!text) co_return fail(std::move(text).error());
  std::string top_digest = sha256_digest(*text);
  if (is_index(*text)) {
    auto chosen = choose_platform(*text, platform);
    if (!chosen) co_return fail(std::move(chosen).error());
    text = co_await fetch_manifest(*session, chosen->digest);
    if (!text) co_return fail(std::move(text).error());
  }
  auto manifest = parse_manifest(*text);
  if (!manifest) co_return fail(std::move(manifest).error());
  resolved.manifest = std::move(*manifest);
  resolved.manifest.resolved_digest = top_digest;
  resolved.used = session->authorization.empty() ? Credential{} : session->credential;
  co_return resolved;
}

Task<Result<RegistryClient::Resolved>> RegistryClient::resolve(
    Reference reference, std::vector<Credential> credentials, Platform platform,
    std::vector<std::string> known_digests) {
  auto state = state_;
  std::string context = fmt::format("failed to resolve reference \"{}\"", reference.canonical());
  auto endpoints = co_await state->endpoints_of(reference);
  if (!endpoints) co_return fail(std::move(endpoints.error().with_context(context)));
  credentials.push_back({});  // anonymous, last
  std::optional<Error> first_error;
  for (const Endpoint& endpoint : *endpoints) {
    for (const Credential& credential : credentials) {
      if (endpoint.mirror && !credential.anonymous()) continue;
      auto session = std::make_shared<Session>();
      session->reference = reference;
      session->endpoint = endpoint;
      session->credential = credential;
      auto resolved = co_await state->resolve_with(session, platform, known_digests);
      if (resolved) co_return resolved;
      Error error = std::move(resolved).error();
      bool stop = !endpoint.mirror && !worth_another_credential(error);
      // The error of the best credential at the registry itself is the one to tell.
      if (!endpoint.mirror && !first_error) first_error = std::move(error);
      if (stop) break;
    }
  }
  co_return fail(std::move(first_error->with_context(context)));
}

Task<Result<http::ResponseStream>> RegistryClient::State::open_blob(Session& session,
                                                                    const Descriptor& descriptor,
                                                                    std::uint64_t offset) {
  http::ClientRequest request;
  request.url = fmt::format("{}/v2/{}/blobs/{}", session.endpoint.base,
                            session.reference.repository, descriptor.digest);
  request.read_timeout =
      std::chrono::duration_cast<std::chrono::milliseconds>(options.stall_timeout);
  if (offset > 0) request.headers.set("Range", fmt::format("bytes={}-", offset));
  std::string url = request.url;
  auto stream = co_await send(session, std::move(request));
  if (!stream) co_return fail(std::move(stream).error());
  if (stream->status() == 200 || (stream->status() == 206 && offset > 0)) co_return stream;
  auto answer = co_await stream->collect();
  if (!answer) co_return fail(std::move(answer).error());
  std::string own = registry_message(answer->whole_body());
  co_return fail(Error::of(
      answer->status == 404 ? Reason::kNotFound : Reason::kServiceUnavailable,
      fmt::format("unexpected status from GET request to {}: {} {}{}{}", url, answer->status,
                  http::status_phrase(answer->status), own.empty() ? "" : ": ", own)));
}

Task<Result<std::string>> RegistryClient::fetch_blob(std::shared_ptr<Session> session,
                                                     Descriptor descriptor) {
  auto state = state_;
  if (descriptor.size > kConfigLimit) {
    co_return fail(Error::of(Reason::kRequestEntityTooLarge,
                             fmt::format("image configuration of {} bytes", descriptor.size)));
  }
  auto stream = co_await state->open_blob(*session, descriptor, 0);
  if (!stream) co_return fail(std::move(stream).error());
  auto text = co_await stream->read_all(kConfigLimit);
  if (!text) co_return fail(std::move(text).error());
  std::string actual = sha256_digest(*text);
  if (actual != descriptor.digest) {
    co_return fail(Error::bad_request(
        fmt::format("the blob that came has the digest {}, but {} was asked for: refused", actual,
                    descriptor.digest)));
  }
  co_return std::move(*text);
}

Task<Result<void>> RegistryClient::State::copy_blob(
    Session& session, const Descriptor& descriptor, BytePipe& pipe,
    const std::function<void(std::uint64_t)>& progress) {
  std::uint64_t offset = 0;
  Duration delay = options.retry_delay;
  std::vector<char> buffer(kPiece);
  for (int attempt = 1;; ++attempt) {
    const std::uint64_t before = offset;
    Error broken = Error::unavailable("the connection ended early");
    auto stream = co_await open_blob(session, descriptor, offset);
    if (!stream) co_return fail(std::move(stream).error());
    // A registry that ignores Range sends everything again.
    std::uint64_t skip = stream->status() == 206 ? 0 : offset;
    while (true) {
      auto got = co_await stream->read_some(buffer.data(), buffer.size());
      if (!got) {
        broken = std::move(got).error();
        break;
      }
      if (*got == 0) break;
      std::string_view piece(buffer.data(), *got);
      std::uint64_t dropped = std::min<std::uint64_t>(skip, piece.size());
      piece.remove_prefix(dropped);
      skip -= dropped;
      offset += piece.size();
      if (offset > descriptor.size) {
        co_return fail(Error::bad_request(
            fmt::format("blob {} is longer than the {} bytes that the manifest says: refused",
                        descriptor.digest, descriptor.size)));
      }
      if (!piece.empty() && !co_await pipe.write(std::string(piece))) co_return Result<void>();
      if (progress) progress(offset);
    }
    if (offset == descriptor.size) co_return Result<void>();
    if (offset > before) {
      attempt = 0;
      delay = options.retry_delay;
    }
    if (attempt >= options.attempts) {
      co_return fail(std::move(broken.with_context(fmt::format(
          "blob {} broke off at {} of {} bytes", descriptor.digest, offset, descriptor.size))));
    }
    log::debug("a broken download goes on", log::field("digest", descriptor.digest),
               log::field("offset", offset));
    co_await clock->sleep_for(delay);
    delay *= 2;
  }
}

Task<void> RegistryClient::stream_blob(std::shared_ptr<Session> session, Descriptor descriptor,
                                       std::shared_ptr<BytePipe> pipe,
                                       std::function<void(std::uint64_t)> progress) {
  auto state = state_;
  // A cancelled download must not leave the reader waiting for ever.
  struct Ender {
    std::shared_ptr<BytePipe> pipe;
    ~Ender() { pipe->fail(Error::unavailable("the download was cancelled")); }
  } ender{pipe};
  auto copied = co_await state->copy_blob(*session, descriptor, *pipe, progress);
  if (copied) {
    pipe->finish();
  } else {
    pipe->fail(std::move(copied).error());
  }
}

}  // namespace moth::images
