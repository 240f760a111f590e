// Against Debian's docker-registry on loopback, and against a small server of our own for what a
// healthy registry never does (broken transfers, throttling).
#include "runtime/images/registry.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "api/base/await_on.h"
#include "api/http/server.h"
#include "runtime/images/digest.h"
#include "runtime/images/service.h"
#include "tests/unit/runtime/images/support.h"

namespace moth::images {
namespace {

using testing::Loop;
using testing::make_docker_archive;
using testing::make_tar;
using testing::TempDir;

std::uint16_t free_port() {
  asio::io_context context;
  asio::ip::tcp::acceptor acceptor(context,
                                   {asio::ip::make_address("127.0.0.1"), std::uint16_t{0}});
  return acceptor.local_endpoint().port();
}

// The registry program with a configuration of its own, ended by pid.
class RegistryProcess {
 public:
  RegistryProcess(const TempDir& dir, const std::string& extra) : port_(free_port()) {
    std::string config = dir / fmt::format("registry-{}.yml", port_);
    testing::write_all(config, fmt::format("version: 0.1\nlog:\n  level: error\nstorage:\n"
                                           "  filesystem:\n    rootdirectory: {}\nhttp:\n"
                                           "  addr: 127.0.0.1:{}\n{}",
                                           dir / "storage", port_, extra));
    pid_ = ::fork();
    if (pid_ == 0) {
      if (!::freopen("/dev/null", "w", stdout) || !::freopen("/dev/null", "w", stderr))
        ::_exit(126);
      ::execlp("docker-registry", "docker-registry", "serve", config.c_str(), nullptr);
      ::_exit(127);
    }
    for (int i = 0; i < 200 && !listening(); ++i) ::usleep(25'000);
  }
  ~RegistryProcess() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  RegistryProcess(const RegistryProcess&) = delete;
  RegistryProcess& operator=(const RegistryProcess&) = delete;
  std::string host() const { return fmt::format("127.0.0.1:{}", port_); }

 private:
  bool listening() const {
    asio::io_context context;
    asio::ip::tcp::socket socket(context);
    boost::system::error_code error;
    socket.connect({asio::ip::make_address("127.0.0.1"), port_}, error);
    return !error;
  }
  std::uint16_t port_;
  pid_t pid_ = -1;
};

class RegistryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::is_root()) GTEST_SKIP() << "unpacking sets owners: needs root";
    for (const char* tool : {"docker-registry", "skopeo"}) {
      if (testing::shell(fmt::format("command -v {} >/dev/null", tool)) != 0) {
        GTEST_SKIP() << tool << " is missing";
      }
    }
    archive_ = make_docker_archive(
        {make_tar({{"bin/sh", 'f', std::string(300'000, 's')}}), make_tar({{"app", 'f', "app"}})},
        {"app:v1"});
    testing::write_all(dir_ / "image.tar", archive_.archive);
  }
  void TearDown() override { close(); }

  void push(const std::string& target, const std::string& flags) {
    ASSERT_EQ(testing::shell(fmt::format(
                  "skopeo --insecure-policy copy -q {} docker-archive:{} docker://{} >{} 2>&1",
                  flags, dir_ / "image.tar", target, dir_ / "skopeo.log")),
              0)
        << testing::read_all(dir_ / "skopeo.log");
  }
  void open(RegistryOptions options = {}) {
    ImageServiceOptions settings;
    settings.data_dir = dir_ / "data";
    options.certificate_directories = {dir_ / "certs.d"};
    options.retry_delay = std::chrono::milliseconds(10);
    settings.registry = std::move(options);
    loop_ = std::make_unique<Loop>();
    auto opened = ImageService::open(settings, loop_->executors(), std::make_shared<RealClock>());
    ASSERT_TRUE(opened) << opened.error().message;
    service_ = std::move(*opened);
  }
  void close() {
    if (service_) loop_->run([this] { return service_->stop(); });
    service_.reset();
    loop_.reset();
  }
  Result<Ensured> ensure(const std::string& reference,
                         PullPolicy policy = PullPolicy::kIfNotPresent, Keyring secrets = {},
                         PullProgress progress = {}) {
    return testing::await_on_loop<Result<Ensured>>(
        *loop_, [&] { return service_->ensure(reference, policy, secrets, progress); });
  }
  std::string error_of(const std::string& reference, PullPolicy policy = PullPolicy::kIfNotPresent,
                       Keyring secrets = {}) {
    auto result = ensure(reference, policy, std::move(secrets));
    return result ? "no error" : result.error().message;
  }
  static Keyring keyring(const std::string& host, const std::string& user,
                         const std::string& password) {
    return {{{host, {user, password, "", ""}}}};
  }
  std::string htpasswd() {
    std::string file = dir_ / "htpasswd";
    // user "joe", password "secret", bcrypt
    testing::write_all(
        file, testing::shell_output("htpasswd -Bbn joe secret 2>/dev/null || python3 -c \"import "
                                    "crypt;print('joe:'+crypt.crypt('secret',crypt.mksalt("
                                    "crypt.METHOD_BLOWFISH,rounds=16)).replace('$2b$','$2y$'))\""));
    return fmt::format("auth:\n  htpasswd:\n    realm: test\n    path: {}\n", file);
  }

  TempDir dir_;
  testing::TestImage archive_;
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<ImageService> service_;
};

TEST_F(RegistryTest, PullsOverPlainHttpFromLoopback) {
  RegistryProcess registry(dir_, "");
  push(registry.host() + "/team/app:v1", "--dest-tls-verify=false");
  open();
  std::vector<LayerProgress> seen;
  auto first = ensure(registry.host() + "/team/app:v1", PullPolicy::kIfNotPresent, {},
                      [&](const LayerProgress& progress) { seen.push_back(progress); });
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_TRUE(first->pulled);
  const Image& image = *first->image;
  EXPECT_EQ(image.id, archive_.id);
  EXPECT_FALSE(image.local);
  EXPECT_EQ(image.names, std::vector<std::string>{registry.host() + "/team/app:v1"});
  ASSERT_EQ(image.digests.size(), 1U);
  EXPECT_TRUE(image.digests[0].starts_with(registry.host() + "/team/app@sha256:"));
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen.back().phase, LayerProgress::Phase::kUnpacked);
  EXPECT_EQ(seen.back().done, seen.back().total);

  auto again = ensure(registry.host() + "/team/app:v1");
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->pulled);
  auto always = ensure(registry.host() + "/team/app:v1", PullPolicy::kAlways);
  ASSERT_TRUE(always) << always.error().message;
  EXPECT_TRUE(always->pulled);
  EXPECT_EQ(always->image->id, image.id);
  auto by_digest = ensure(image.digests[0], PullPolicy::kNever);
  ASSERT_TRUE(by_digest) << by_digest.error().message;
  EXPECT_EQ(by_digest->image->id, image.id);
}

TEST_F(RegistryTest, SaysWhatIsMissing) {
  RegistryProcess registry(dir_, "");
  push(registry.host() + "/app:v1", "--dest-tls-verify=false");
  open();
  std::string name = registry.host() + "/app:v2";
  std::string text = error_of(name);
  EXPECT_TRUE(text.starts_with("failed to pull and unpack image \"" + name +
                               "\": failed to resolve reference \"" + name + "\": " + name +
                               ": not found"))
      << text;
  EXPECT_NE(text.find("manifest unknown"), std::string::npos) << text;
  auto missing = ensure(name);
  EXPECT_EQ(missing.error().reason, Reason::kNotFound);
  EXPECT_EQ(waiting_reason(missing.error()), kErrImagePull);
  auto never = ensure(name, PullPolicy::kNever);
  EXPECT_EQ(never.error().message,
            "Container image \"" + name + "\" is not present with pull policy of Never");
  EXPECT_EQ(waiting_reason(never.error()), kErrImageNeverPull);
  EXPECT_EQ(waiting_reason(ensure("A B").error()), kInvalidImageName);
  // Nobody listens there.
  std::string dead = fmt::format("127.0.0.1:{}/x:y", free_port());
  EXPECT_NE(error_of(dead).find("connection refused"), std::string::npos) << error_of(dead);
}

TEST_F(RegistryTest, SignsIn) {
  RegistryProcess registry(dir_, htpasswd());
  push(registry.host() + "/app:v1", "--dest-tls-verify=false --dest-creds joe:secret");
  open();
  std::string name = registry.host() + "/app:v1";
  EXPECT_NE(error_of(name).find("no basic auth credentials"), std::string::npos) << error_of(name);
  std::string wrong =
      error_of(name, PullPolicy::kIfNotPresent, keyring(registry.host(), "joe", "wrong"));
  EXPECT_NE(
      wrong.find("pull access denied, repository does not exist or may require authorization"),
      std::string::npos)
      << wrong;
  auto right = ensure(name, PullPolicy::kIfNotPresent, keyring(registry.host(), "joe", "secret"));
  ASSERT_TRUE(right) << right.error().message;
  EXPECT_EQ(right->image->pulled_with.size(), 1U);
  // A pod without the secret must not get the image for free.
  EXPECT_NE(error_of(name), "no error");
  auto again = ensure(name, PullPolicy::kIfNotPresent, keyring(registry.host(), "joe", "secret"));
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->pulled);
}

TEST_F(RegistryTest, TrustsTheRegistrysOwnAuthority) {
  ASSERT_EQ(
      testing::shell(fmt::format(
          "cd {} && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
          "-subj /CN=test -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem "
          ">/dev/null 2>&1",
          dir_.path())),
      0);
  RegistryProcess registry(dir_, fmt::format("  tls:\n    certificate: {}\n    key: {}\n",
                                             dir_ / "cert.pem", dir_ / "key.pem"));
  push(registry.host() + "/app:v1", "--dest-tls-verify=false");
  std::string name = registry.host() + "/app:v1";
  open();
  EXPECT_NE(error_of(name).find("certificate"), std::string::npos) << error_of(name);
  std::filesystem::create_directories(dir_ / ("certs.d/" + registry.host()));
  std::filesystem::copy(dir_ / "cert.pem", dir_ / ("certs.d/" + registry.host() + "/ca.crt"));
  auto pulled = ensure(name);
  EXPECT_TRUE(pulled) << pulled.error().message;
}

TEST_F(RegistryTest, ConcurrentPullsShareTheWork) {
  RegistryProcess registry(dir_, "");
  push(registry.host() + "/one:v1", "--dest-tls-verify=false");
  push(registry.host() + "/two:v1", "--dest-tls-verify=false");
  open();
  std::atomic<int> downloads = 0;
  std::vector<std::thread> callers;
  std::atomic<int> good = 0;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&, i] {
      auto result = ensure(registry.host() + (i % 2 == 0 ? "/one:v1" : "/two:v1"),
                           PullPolicy::kIfNotPresent, {}, [&](const LayerProgress& progress) {
                             if (progress.phase == LayerProgress::Phase::kUnpacked) ++downloads;
                           });
      good += result ? 1 : 0;
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(good, 8);
  // Two layers, each unpacked once, told to at most the four callers of the pull that did it.
  EXPECT_LE(downloads, 8);
  EXPECT_GE(downloads, 2);
  EXPECT_EQ(service_->list().size(), 1U);
  EXPECT_EQ(service_->list()[0]->names.size(), 2U);
}

// A registry that misbehaves on purpose.
class FaultyRegistry {
 public:
  explicit FaultyRegistry(Loop& loop) : loop_(loop) {
    layer_ = *compress(make_tar({{"data", 'f', noise(2'000'000)}}), Compression::kGzip);
    auto plain_source = memory_source(layer_);
    auto plain = decompress(*plain_source);
    Sha256 diff;
    for (auto piece = plain->read(); piece && !piece->empty(); piece = plain->read()) {
      diff.update(*piece);
    }
    config_ = R"({"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[")" +
              diff.finish() + R"("]}})";
    manifest_ =
        fmt::format(R"({{"schemaVersion":2,"config":{{"mediaType":"c","digest":"{}","size":{}}},)"
                    R"("layers":[{{"mediaType":"l","digest":"{}","size":{}}}]}})",
                    sha256_digest(config_), config_.size(), sha256_digest(layer_), layer_.size());
    loop.run([this] { return await_on(loop_.executors().io(), start()); });
  }
  ~FaultyRegistry() {
    loop_.run([this] { return await_on(loop_.executors().io(), server_->stop()); });
  }
  std::string host() const { return fmt::format("127.0.0.1:{}", port_); }

  bool honour_range = true;
  bool wrong_bytes = false;
  int throttled = 0;          // manifests answered 429 first
  std::size_t cut_after = 0;  // each blob answer ends after so many bytes; 0: never
  int redirects = 0;          // blob requests answered by a redirect
  std::string redirect_to;    // base URL; empty: itself
  bool wants_token = false;   // signs in by bearer token, for joe:secret alone
  std::atomic<int> tokens = 0;
  std::atomic<bool> saw_authorization = false;  // on a blob request
  std::atomic<int> blob_requests = 0;
  std::atomic<int> ranged = 0;

 private:
  static std::string noise(std::size_t size) {
    std::string bytes(size, '\0');
    std::uint64_t state = 88172645463325252ULL;
    for (char& c : bytes) {
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
      c = static_cast<char>(state);
    }
    return bytes;
  }

  // The server lives on the io executor.
  Task<void> start() {
    server_ = std::make_unique<http::Server>(
        loop_.executors().io(), [this](http::Exchange& exchange) { return answer(exchange); });
    auto listening = server_->listen_tcp("127.0.0.1", 0);
    port_ = listening ? *listening : std::uint16_t{0};
    server_->start();
    co_return;
  }

  Task<void> answer(http::Exchange& exchange) {
    const std::string path = exchange.request().path;
    std::string_view authorization = exchange.request().headers.get("Authorization");
    if (path == "/token") {
      bool known = authorization == "Basic am9lOnNlY3JldA==" &&
                   exchange.request().query.get("scope") == "repository:app:pull" &&
                   exchange.request().query.get("service") == "faulty";
      tokens += known ? 1 : 0;
      co_await exchange.send(http::Response::json(
          known ? 200 : 401, known ? R"({"access_token":"T1"})"
                                   : R"({"errors":[{"code":"X","message":"bad credentials"}]})"));
      co_return;
    }
    if (wants_token && authorization != "Bearer T1") {
      http::Response denied = http::Response::json(401, "{}");
      denied.headers.set("WWW-Authenticate",
                         fmt::format("Bearer realm=\"http://{}/token\",service=\"faulty\","
                                     "scope=\"repository:app:pull\"",
                                     host()));
      co_await exchange.send(std::move(denied));
      co_return;
    }
    if (path.find("/manifests/") != std::string::npos) {
      if (throttled > 0) {
        --throttled;
        http::Response busy = http::Response::text(429, R"({"errors":[{"message":"slow down"}]})");
        busy.headers.set("Retry-After", "0");
        co_await exchange.send(std::move(busy));
        co_return;
      }
      co_await exchange.send(http::Response::json(200, manifest_));
      co_return;
    }
    if (path.ends_with(sha256_digest(config_))) {
      co_await exchange.send(http::Response::json(200, config_));
      co_return;
    }
    co_await blob(exchange);
  }

  Task<void> blob(http::Exchange& exchange) {
    ++blob_requests;
    if (exchange.request().headers.has("Authorization")) saw_authorization = true;
    if (redirects > 0) {
      --redirects;
      http::Response elsewhere = http::Response::text(307, "");
      elsewhere.headers.set("Location", redirect_to + exchange.request().path + "?again=1");
      co_await exchange.send(std::move(elsewhere));
      co_return;
    }
    std::string body = layer_;
    if (wrong_bytes) body[body.size() / 2] = static_cast<char>(body[body.size() / 2] ^ 1);
    int status = 200;
    http::Headers headers;
    std::string_view range = exchange.request().headers.get("Range");
    if (range.starts_with("bytes=") && honour_range) {
      ++ranged;
      status = 206;
      body = body.substr(std::stoul(std::string(range.substr(6))));
    }
    headers.set("Content-Length", std::to_string(body.size()));
    bool cut = cut_after > 0 && body.size() > cut_after;
    if (!cut) {
      http::Response whole = http::Response::text(status, body);
      co_await exchange.send(std::move(whole));
      co_return;
    }
    auto stream = co_await exchange.start_stream(status, {});
    if (!stream) co_return;
    auto written = co_await stream->write(std::string_view(body).substr(0, cut_after));
    static_cast<void>(written);
    stream->abort();
  }

  Loop& loop_;
  std::string layer_, config_, manifest_;
  std::unique_ptr<http::Server> server_;
  std::uint16_t port_ = 0;
};

TEST_F(RegistryTest, BrokenTransfersGoOnWhereTheyStopped) {
  open();
  FaultyRegistry registry(*loop_);
  registry.cut_after = 700'000;
  registry.throttled = 2;
  registry.redirects = 1;
  auto pulled = ensure(registry.host() + "/app:v1");
  ASSERT_TRUE(pulled) << pulled.error().message;
  EXPECT_EQ(registry.ranged, 2);
  EXPECT_EQ(registry.blob_requests, 4);
}

TEST_F(RegistryTest, TokensStayWithTheRegistry) {
  open();
  FaultyRegistry storage(*loop_);
  FaultyRegistry registry(*loop_);
  registry.wants_token = true;
  registry.redirects = 1;
  registry.redirect_to = "http://" + storage.host();
  std::string name = registry.host() + "/app:v1";
  std::string anonymous = error_of(name);
  EXPECT_NE(
      anonymous.find("failed to authorize: failed to fetch anonymous token: unexpected status "
                     "from GET request to http://" +
                     registry.host() + "/token: 401 Unauthorized: bad credentials"),
      std::string::npos)
      << anonymous;
  auto pulled = ensure(name, PullPolicy::kIfNotPresent, keyring(registry.host(), "joe", "secret"));
  ASSERT_TRUE(pulled) << pulled.error().message;
  EXPECT_EQ(registry.tokens, 1);
  EXPECT_TRUE(registry.saw_authorization);
  EXPECT_EQ(storage.blob_requests, 1);
  EXPECT_FALSE(storage.saw_authorization);
}

TEST_F(RegistryTest, RegistriesWithoutRangeSendAllAgain) {
  open();
  FaultyRegistry registry(*loop_);
  registry.honour_range = false;
  registry.cut_after = 1'500'000;
  auto pulled = ensure(registry.host() + "/app:v1");
  // Every answer is cut at the same place, so it can never end.
  ASSERT_FALSE(pulled);
  EXPECT_NE(pulled.error().message.find("broke off at 1500000 of"), std::string::npos)
      << pulled.error().message;
}

TEST_F(RegistryTest, WrongContentIsRefused) {
  open();
  FaultyRegistry registry(*loop_);
  registry.wrong_bytes = true;
  auto pulled = ensure(registry.host() + "/app:v1");
  ASSERT_FALSE(pulled);
  EXPECT_TRUE(service_->list().empty());
  registry.wrong_bytes = false;
  EXPECT_TRUE(ensure(registry.host() + "/app:v1"));
}

TEST_F(RegistryTest, StoppingEndsPulls) {
  open();
  FaultyRegistry registry(*loop_);
  registry.throttled = 1'000'000;
  std::thread caller([&] {
    auto pulled = ensure(registry.host() + "/app:v1");
    EXPECT_FALSE(pulled);
  });
  ::usleep(50'000);
  loop_->run([this] { return service_->stop(); });
  caller.join();
  service_.reset();
}

}  // namespace
}  // namespace moth::images
