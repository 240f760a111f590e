#include "runtime/images/build.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/system/system_error.hpp>
#include <cerrno>
#include <deque>

#include "api/base/json.h"
#include "api/base/log.h"
#include "api/base/notifier.h"
#include "runtime/images/archive.h"
#include "runtime/os/fs.h"
#include "runtime/os/pidfd.h"
#include "runtime/os/subprocess.h"

namespace moth::images {
namespace {

constexpr std::size_t kKeptLines = 20;
constexpr std::size_t kLongestLine = 16 * 1024;

// Everything that buildah would otherwise read from the machine's own configuration.
constexpr const char* kPolicy = R"({"default":[{"type":"insecureAcceptAnything"}]})";
constexpr const char* kRegistries =
    "unqualified-search-registries = [\"docker.io\"]\nshort-name-mode = \"disabled\"\n";

std::string storage_conf(const std::string& root) {
  return fmt::format(
      "[storage]\ndriver = \"overlay\"\ngraphroot = \"{0}/storage\"\nrunroot = \"{0}/run\"\n",
      root);
}

// Splits what comes into lines; keeps the last ones for error messages.
class LineReader {
 public:
  explicit LineReader(LineSink sink) : sink_(std::move(sink)) {}
  void feed(std::string_view bytes) {
    for (char c : bytes) {
      if (c == '\n' || c == '\r' || partial_.size() >= kLongestLine) flush();
      if (c != '\n' && c != '\r') partial_ += c;
    }
  }
  void flush() {
    if (partial_.empty()) return;
    if (sink_) sink_(partial_);
    last_.push_back(std::move(partial_));
    if (last_.size() > kKeptLines) last_.pop_front();
    partial_.clear();
  }
  // The line that says what went wrong, and failing that the last one.
  std::string reason() const {
    for (auto it = last_.rbegin(); it != last_.rend(); ++it) {
      if (it->starts_with("Error: ") || it->starts_with("error ")) return *it;
    }
    return last_.empty() ? "no output" : last_.back();
  }

 private:
  LineSink sink_;
  std::string partial_;
  std::deque<std::string> last_;
};

// Ends a whole session of processes when the build is cancelled.
struct SessionGuard {
  pid_t leader;
  bool armed = true;
  ~SessionGuard() {
    if (armed && leader > 0) ::kill(-leader, SIGKILL);
  }
};

}  // namespace

struct Builder::State {
  Store& store;
  std::string root;
  asio::any_io_executor home;
  asio::any_io_executor blocking;
  Notifier turn;
  bool busy = false;
  std::string program;

  State(Store& images, std::string folder, asio::any_io_executor home_executor,
        asio::any_io_executor blocking_executor)
      : store(images),
        root(std::move(folder)),
        home(home_executor),
        blocking(std::move(blocking_executor)),
        turn(home_executor) {}

  std::string path(std::string_view tail) const { return fmt::format("{}/{}", root, tail); }
  Result<void> prepare();
  Result<std::string> find_dockerfile(const BuildRequest& request) const;
  std::vector<std::string> command(std::vector<std::string> rest) const;
  std::vector<std::string> environment() const;
  Task<Result<std::string>> run(std::vector<std::string> arguments);
  Task<Result<void>> run_streaming(std::vector<std::string> arguments, std::string cwd,
                                   LineSink lines);
  Task<Result<void>> import_base(std::string reference, ImagePtr image, LineSink lines);
  Task<Result<void>> import_image(ImagePtr image, LineSink lines);
  Result<ImagePtr> tag_all(const std::string& id, const std::vector<std::string>& tags);
  Task<Result<ImagePtr>> collect(std::string built_id, const BuildRequest& request);
  Task<Result<ImagePtr>> build(BuildRequest request, LineSink lines, EnsureBase ensure);
  Json read_json(const std::string& name) const;
  Result<void> write_json(const std::string& name, const Json& document) const;
};

Builder::Builder(Store& store, std::string root, asio::any_io_executor home,
                 asio::any_io_executor blocking)
    : state_(
          std::make_shared<State>(store, std::move(root), std::move(home), std::move(blocking))) {}
Builder::~Builder() = default;

Result<void> Builder::State::prepare() {
  auto found = os::find_program("buildah");
  if (!found) {
    return fail(Error::of(Reason::kNotFound,
                          "building images needs buildah, which is not installed: apt-get install "
                          "buildah (or dnf install buildah)"));
  }
  program = *found;
  for (const char* folder : {"storage", "run", "tmp", "home"}) {
    MOTH_TRY(os::make_dirs(path(folder), 0700));
  }
  MOTH_TRY(os::write_file(path("policy.json"), kPolicy));
  MOTH_TRY(os::write_file(path("registries.conf"), kRegistries));
  MOTH_TRY(os::write_file(path("storage.conf"), storage_conf(root)));
  MOTH_ASSIGN(auto leftovers, os::list_dir(path("tmp")));
  for (const auto& entry : leftovers) MOTH_TRY(os::remove_tree(path("tmp/" + entry.name)));
  return {};
}

Result<std::string> Builder::State::find_dockerfile(const BuildRequest& request) const {
  if (!os::is_directory(request.context)) {
    return fail(Error::bad_request(
        fmt::format("the build context {} is not a directory", request.context)));
  }
  if (!request.dockerfile.empty()) {
    std::string file = request.dockerfile.starts_with('/')
                           ? request.dockerfile
                           : request.context + "/" + request.dockerfile;
    if (os::exists(file)) return file;
    return fail(Error::bad_request(fmt::format("there is no Dockerfile at {}", file)));
  }
  for (const char* name : {"Dockerfile", "Containerfile"}) {
    std::string file = request.context + "/" + name;
    if (os::exists(file)) return file;
  }
  return fail(Error::bad_request(fmt::format(
      "{} has neither a Dockerfile nor a Containerfile: name one with -f", request.context)));
}

std::vector<std::string> Builder::State::command(std::vector<std::string> rest) const {
  std::vector<std::string> argv = {program,     "--root",      path("storage"),
                                   "--runroot", path("run"),   "--storage-driver",
                                   "overlay",   "--log-level", "error"};
  argv.insert(argv.end(), rest.begin(), rest.end());
  return argv;
}

std::vector<std::string> Builder::State::environment() const {
  std::vector<std::string> list = {"HOME=" + path("home"), "TMPDIR=" + path("tmp"),
                                   "CONTAINERS_STORAGE_CONF=" + path("storage.conf"),
                                   "CONTAINERS_REGISTRIES_CONF=" + path("registries.conf"),
                                   "BUILDAH_ISOLATION=chroot"};
  const char* search = ::getenv("PATH");
  list.push_back(fmt::format(
      "PATH={}", search ? search : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
  for (const char* name : {"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY",
                           "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"}) {
    if (const char* value = ::getenv(name)) list.push_back(fmt::format("{}={}", name, value));
  }
  return list;
}

// A short command; its output.
Task<Result<std::string>> Builder::State::run(std::vector<std::string> arguments) {
  os::SpawnOptions options;
  options.argv = command(arguments);
  options.env = environment();
  options.cwd = path("tmp");
  os::RunLimits limits;
  limits.max_output = 4 << 20;
  limits.timeout = std::chrono::minutes(10);
  auto result = co_await os::run(std::move(options), limits);
  if (!result) co_return fail(std::move(result).error());
  if (result->status.success()) co_return std::move(result->out);
  LineReader lines({});
  lines.feed(result->err);
  lines.flush();
  co_return fail(Error::of(
      Reason::kInternalError,
      fmt::format("buildah {}: {}: {}", arguments.empty() ? "" : arguments.front(),
                  result->timed_out ? "timed out" : result->status.describe(), lines.reason())));
}

Task<Result<void>> Builder::State::run_streaming(std::vector<std::string> arguments,
                                                 std::string cwd, LineSink sink) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) co_return fail(Error::from_errno(errno, "pipe"));
  os::UniqueFd output(ends[0]);
  os::UniqueFd input(ends[1]);
  ::fcntl(output.get(), F_SETFL, O_NONBLOCK);
  os::SpawnOptions options;
  options.argv = command(arguments);
  options.env = environment();
  options.cwd = std::move(cwd);
  options.stdout_to = os::Stdio::of_fd(input.get());
  options.stderr_to = os::Stdio::of_fd(input.get());
  options.new_session = true;
  auto process = os::Process::spawn(options);
  if (!process) co_return fail(std::move(process).error());
  input.reset();
  SessionGuard guard{process->pid()};
  LineReader lines(std::move(sink));
  std::array<char, 16 * 1024> buffer{};
  while (true) {
    ssize_t got = ::read(output.get(), buffer.data(), buffer.size());
    if (got == 0) break;
    if (got > 0) {
      lines.feed(std::string_view(buffer.data(), static_cast<std::size_t>(got)));
    } else if (errno == EAGAIN) {
      co_await os::wait_readable(output.get());
    } else if (errno != EINTR) {
      break;
    }
  }
  lines.flush();
  auto status = co_await process->wait();
  guard.armed = false;
  if (!status) co_return fail(std::move(status).error());
  if (status->success()) co_return Result<void>();
  co_return fail(Error::of(Reason::kInvalid, fmt::format("the build failed ({}): {}",
                                                         status->describe(), lines.reason())));
}

Json Builder::State::read_json(const std::string& name) const {
  auto text = os::read_file(path(name));
  Json document = text ? Json::parse(*text, nullptr, false) : Json();
  return document.is_object() ? document : Json::object();
}

Result<void> Builder::State::write_json(const std::string& name, const Json& document) const {
  return os::write_file_atomic(path(name), document.dump(1), 0600);
}

// Packs our image into an OCI layout and lets buildah copy it into its storage. Remembers which
// layers of ours the packed ones are.
Task<Result<void>> Builder::State::import_image(ImagePtr image, LineSink lines) {
  std::string layout = path("tmp/moth-import");
  if (lines) lines(fmt::format("preparing {}", image->image_id()));
  auto pin = store.pin(image->layers);
  auto packed = co_await call_on(blocking, [&]() -> Result<std::vector<std::string>> {
    MOTH_TRY(os::remove_tree(layout));
    Image nameless = *image;
    nameless.names.clear();
    return save_layout(store, std::make_shared<Image>(std::move(nameless)), layout);
  });
  if (!packed) co_return fail(std::move(packed).error());
  // buildah names the image after the path as it is given, and refuses capitals in it.
  auto output = co_await run(
      {"pull", "--signature-policy", path("policy.json"), "--quiet", "oci:moth-import"});
  if (!output) co_return fail(std::move(output).error());
  std::string id = output->substr(0, output->find_first_of(" \n"));
  co_return co_await call_on(blocking, [&]() -> Result<void> {
    MOTH_TRY(os::remove_tree(layout));
    Json aliases = read_json("aliases.json");
    std::vector<std::string> chain = chain_ids(*packed);
    for (std::size_t i = 0; i < chain.size(); ++i) aliases[chain[i]] = image->layers[i];
    MOTH_TRY(write_json("aliases.json", aliases));
    Json imports = read_json("imports.json");
    imports[image->id] = id;
    return write_json("imports.json", imports);
  });
}

Task<Result<void>> Builder::State::import_base(std::string reference, ImagePtr image,
                                               LineSink lines) {
  auto parsed = parse_reference(reference);
  if (!parsed) co_return fail(std::move(parsed).error());
  for (int attempt = 0; attempt < 2; ++attempt) {
    Json imports = co_await call_on(blocking, [&] { return read_json("imports.json"); });
    std::string id = string_or(imports, image->id);
    if (id.empty()) {
      MOTH_CO_TRY(co_await import_image(image, lines));
      imports = co_await call_on(blocking, [&] { return read_json("imports.json"); });
      id = string_or(imports, image->id);
    }
    // A digest cannot be a tag: buildah finds what it names by itself, or pulls it.
    if (!parsed->digest.empty()) co_return Result<void>();
    auto tagged = co_await run({"tag", id, parsed->canonical()});
    if (tagged) co_return Result<void>();
    if (attempt == 1) co_return fail(std::move(tagged).error());
    // Its storage no longer has what the list says.
    imports.erase(image->id);
    MOTH_CO_TRY(co_await call_on(blocking, [&] { return write_json("imports.json", imports); }));
  }
  co_return Result<void>();
}

// All names on one image.
Result<ImagePtr> Builder::State::tag_all(const std::string& id,
                                         const std::vector<std::string>& tags) {
  ImagePtr image;
  for (const std::string& tag : tags) {
    MOTH_ASSIGN(Reference reference, parse_reference(tag));
    MOTH_ASSIGN(image, store.tag(id, reference.canonical()));
  }
  return image;
}

// Takes the built image over. Layers that our store has need not be written out again: an empty
// file in their place makes buildah skip them, and the loader never opens them.
Task<Result<ImagePtr>> Builder::State::collect(std::string built_id, const BuildRequest& request) {
  // The same steps gave the same image as before: nothing is to be copied.
  if (ImagePtr known = store.find(built_id); known && known->id == built_id) {
    co_return co_await call_on(blocking, [&] { return tag_all(built_id, request.tags); });
  }
  std::string layout = path("tmp/moth-export");
  auto inspected = co_await run({"inspect", "--type", "image", built_id});
  if (!inspected) co_return fail(std::move(inspected).error());
  std::vector<std::string> diff_ids;
  Json document = Json::parse(*inspected, nullptr, false);
  if (const Json* list = find_path(document, "OCIv1", "rootfs", "diff_ids")) {
    for (const Json& diff_id : *list) {
      if (diff_id.is_string()) diff_ids.push_back(diff_id.get<std::string>());
    }
  }
  LoadOptions load;
  std::vector<std::string> chain = chain_ids(diff_ids);
  std::vector<std::string> wanted = chain;
  auto prepared = co_await call_on(blocking, [&]() -> Result<void> {
    MOTH_TRY(os::remove_tree(layout));
    MOTH_TRY(os::make_dirs(layout + "/blobs/sha256", 0700));
    Json aliases = read_json("aliases.json");
    for (std::size_t i = 0; i < chain.size(); ++i) {
      std::string alias = string_or(aliases, chain[i]);
      if (!alias.empty() && store.layer(alias)) {
        load.layer_aliases[chain[i]] = alias;
        wanted.push_back(alias);
      } else if (!store.layer(chain[i])) {
        continue;
      }
      MOTH_TRY(
          os::write_file(fmt::format("{}/blobs/sha256/{}", layout, digest_hex(diff_ids[i])), ""));
    }
    return {};
  });
  if (!prepared) co_return fail(std::move(prepared).error());
  LayerPin pin = store.pin(wanted);
  MOTH_CO_TRY(co_await run({"push", "--signature-policy", path("policy.json"), "--quiet",
                            "--disable-compression", built_id, "oci:moth-export"}));
  load.name = request.tags.front();
  load.keep_digest = false;  // the stand-ins' sizes are in the manifest
  auto loaded = co_await call_on(blocking, [&]() -> Result<ImagePtr> {
    MOTH_ASSIGN(std::vector<Loaded> images, load_layout(store, layout, load));
    MOTH_TRY(os::remove_tree(layout));
    if (images.size() != 1) return fail(Error::internal("buildah exported no image"));
    return tag_all(images.front().image->id, request.tags);
  });
  co_return loaded;
}

Task<Result<ImagePtr>> Builder::State::build(BuildRequest request, LineSink lines,
                                             EnsureBase ensure) {
  if (request.tags.empty()) {
    co_return fail(Error::bad_request("a build needs a name for its image (-t NAME)"));
  }
  for (const std::string& tag : request.tags) MOTH_CO_TRY(parse_reference(tag));
  MOTH_CO_ASSIGN(std::string dockerfile, co_await call_on(blocking, [&]() -> Result<std::string> {
                   MOTH_TRY(prepare());
                   return find_dockerfile(request);
                 }));
  auto text = co_await call_on(blocking, [&] { return os::read_file(dockerfile); });
  if (!text) co_return fail(std::move(text).error());
  auto bases = base_images(*text, request.build_args, request.target);
  if (!bases) co_return fail(std::move(bases).error());
  if (co_await call_on(blocking, [&] { return os::exists(path("unfinished")); })) {
    // An earlier build was cut off: its working containers hold mounts.
    MOTH_CO_TRY(co_await run({"rm", "--all"}));
  }
  for (const std::string& base : *bases) {
    auto image = co_await ensure(base, request.pull);
    if (!image) co_return fail(std::move(image).error());
    MOTH_CO_TRY(co_await import_base(base, *image, lines));
  }
  std::string id_file = path("tmp/image-id");
  std::vector<std::string> arguments = {
      "build",    "--signature-policy", path("policy.json"), "--isolation", "chroot", "--force-rm",
      "--layers", "--pull=false",       "--iidfile",         id_file,       "--file", dockerfile};
  auto add = [&](const char* flag, const std::string& value) {
    arguments.emplace_back(flag);
    arguments.push_back(value);
  };
  for (const auto& [name, value] : request.build_args) add("--build-arg", name + "=" + value);
  for (const auto& [name, value] : request.labels) add("--label", name + "=" + value);
  for (const auto& [id, file] : request.secrets) add("--secret", "id=" + id + ",src=" + file);
  for (const auto& [host, inside] : request.volumes) add("--volume", host + ":" + inside);
  if (!request.target.empty()) add("--target", request.target);
  if (request.no_cache) arguments.emplace_back("--no-cache");
  arguments.push_back(request.context);
  MOTH_CO_TRY(co_await call_on(blocking, [&] { return os::write_file(path("unfinished"), ""); }));
  auto built = co_await run_streaming(std::move(arguments), request.context, lines);
  if (!built) co_return fail(std::move(built).error());
  auto id = co_await call_on(blocking, [&]() -> Result<std::string> {
    MOTH_TRY(os::remove_file(path("unfinished")));
    return os::read_file(id_file);
  });
  if (!id) co_return fail(std::move(id).error());
  while (!id->empty() && (id->back() == '\n' || id->back() == ' ')) id->pop_back();
  co_return co_await collect(std::move(*id), request);
}

Task<Result<ImagePtr>> Builder::build(BuildRequest request, LineSink lines, EnsureBase ensure) {
  auto state = state_;
  while (state->busy) co_await state->turn.wait();
  state->busy = true;
  struct Release {
    std::shared_ptr<State> state;
    ~Release() {
      state->busy = false;
      state->turn.notify();
    }
  } release{state};
  co_return co_await state->build(std::move(request), std::move(lines), std::move(ensure));
}

Task<Result<void>> Builder::clear_cache() {
  auto state = state_;
  if (state->busy) {
    co_return fail(Error::of(Reason::kConflict, "a build is running: try again when it has ended"));
  }
  auto prepared = co_await call_on(state->blocking, [&] { return state->prepare(); });
  if (!prepared) co_return fail(std::move(prepared).error());
  MOTH_CO_TRY(co_await state->run({"rm", "--all"}));
  MOTH_CO_TRY(co_await state->run({"rmi", "--all", "--force"}));
  co_return co_await call_on(state->blocking, [&]() -> Result<void> {
    for (const char* name : {"imports.json", "aliases.json", "unfinished"}) {
      MOTH_TRY(os::remove_file(state->path(name)));
    }
    return {};
  });
}

}  // namespace moth::images
