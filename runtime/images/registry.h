#pragma once
// RegistryClient: reads images from registries (OCI distribution API, Docker registry v2).
//
// All methods run on one executor (control): a Session's state is not locked. The HTTP client does
// the socket work on `io`.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/base/clock.h"
#include "api/base/result.h"
#include "api/base/task.h"
#include "runtime/images/bytes.h"
#include "runtime/images/credentials.h"
#include "runtime/images/reference.h"

namespace moth::images {

struct Platform {
  std::string os = "linux";
  std::string architecture;  // empty: this machine's
  std::string variant;
};

struct Descriptor {
  std::string media_type;
  std::string digest;
  std::uint64_t size = 0;
  Platform platform;  // entries of an index only
};

struct Manifest {
  std::string digest;  // of this platform's manifest
  // What the reference itself resolved to: an index's digest, or the manifest's. Shown as the
  // repository digest, as docker does.
  std::string resolved_digest;
  std::string text;
  Descriptor config;
  std::vector<Descriptor> layers;  // bottom first
};

// Pure parts, shared with archives.
Result<Manifest> parse_manifest(std::string_view text);
bool is_index(std::string_view text);
// The entry that fits `platform` best; NotFound `no match for platform linux/arm64 in manifest`.
Result<Descriptor> choose_platform(std::string_view index_text, const Platform& platform);

// One challenge of WWW-Authenticate: scheme in lower case, parameters by name.
struct Challenge {
  std::string scheme;
  std::vector<std::pair<std::string, std::string>> parameters;
  std::string_view get(std::string_view name) const;
};
std::vector<Challenge> parse_challenges(std::string_view header);

// How to reach a registry. Mirrors are tried first, in order, without credentials of the registry.
struct RegistryHost {
  std::string host;                  // as in references: docker.io, localhost:5000
  std::vector<std::string> mirrors;  // base URLs
  bool plain_http = false;
  bool insecure = false;  // TLS without verification
};

struct RegistryOptions {
  std::vector<RegistryHost> hosts;  // those with settings of their own
  // <dir>/<host[:port]>/{*.crt (CA), *.cert + *.key (client)}, first match wins.
  std::vector<std::string> certificate_directories = {
      "/etc/moth/certs.d", "/etc/containers/certs.d", "/etc/docker/certs.d"};
  int attempts = 5;  // of each request, on broken connections, 429 and 5xx
  Duration retry_delay = std::chrono::milliseconds(500);  // doubles
  Duration stall_timeout = std::chrono::seconds(60);      // a transfer without any byte
};

class RegistryClient {
 public:
  RegistryClient(asio::any_io_executor io, asio::any_io_executor blocking,
                 std::shared_ptr<Clock> clock, RegistryOptions options);
  ~RegistryClient();

  // One image at one registry, with the credentials that worked and the tokens got so far. Shared
  // by the concurrent downloads of its layers.
  class Session;
  // Finds the manifest, trying each credential, then none. The errors read as containerd's:
  // `failed to resolve reference "docker.io/library/x:y": docker.io/library/x:y: not found`.
  struct Resolved {
    std::shared_ptr<Session> session;
    Manifest manifest;  // only resolved_digest when unchanged
    bool unchanged = false;
    Credential used;  // anonymous() when none was needed
  };
  // `known_digests`: when the registry says (without counting it as a pull) that the reference is
  // at one of these, nothing more is fetched.
  Task<Result<Resolved>> resolve(Reference reference, std::vector<Credential> credentials,
                                 Platform platform, std::vector<std::string> known_digests = {});
  // A small blob (an image configuration), verified.
  Task<Result<std::string>> fetch_blob(std::shared_ptr<Session> session, Descriptor descriptor);
  // Streams a blob into `pipe`; a broken transfer goes on where it stopped (Range). The pipe gets
  // finish() or fail(). `progress` gets the bytes so far.
  Task<void> stream_blob(std::shared_ptr<Session> session, Descriptor descriptor,
                         std::shared_ptr<BytePipe> pipe,
                         std::function<void(std::uint64_t)> progress);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace moth::images
