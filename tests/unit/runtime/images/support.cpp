#include "tests/unit/runtime/images/support.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <cstdio>
#include <fstream>
#include <future>
#include <iterator>

#include "api/base/json.h"
#include "runtime/images/digest.h"
#include "runtime/images/image.h"
#include "runtime/images/reference.h"

namespace moth::images::testing {

TempDir::TempDir() {
  std::string pattern = "/tmp/moth-images-test-XXXXXX";
  if (!::mkdtemp(pattern.data())) std::abort();
  path_ = pattern;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string make_tar(const std::vector<TarEntry>& entries) {
  std::string out;
  archive* tar = archive_write_new();
  archive_write_set_format_pax_restricted(tar);
  archive_write_set_bytes_in_last_block(tar, 1);
  archive_write_open(
      tar, &out, nullptr,
      [](archive*, void* data, const void* bytes, std::size_t size) {
        static_cast<std::string*>(data)->append(static_cast<const char*>(bytes), size);
        return static_cast<la_ssize_t>(size);
      },
      nullptr);
  for (const TarEntry& item : entries) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, item.path.c_str());
    archive_entry_set_mtime(entry, item.mtime, 0);
    archive_entry_set_uid(entry, item.uid);
    archive_entry_set_gid(entry, item.gid);
    mode_t type = item.type == 'd'   ? S_IFDIR
                  : item.type == 'l' ? S_IFLNK
                  : item.type == 'c' ? S_IFCHR
                  : item.type == 'b' ? S_IFBLK
                  : item.type == 'p' ? S_IFIFO
                                     : S_IFREG;
    archive_entry_set_mode(entry, type | item.mode);
    if (item.type == 'l') archive_entry_set_symlink(entry, item.content.c_str());
    if (item.type == 'h') archive_entry_set_hardlink(entry, item.content.c_str());
    if (item.type == 'c' || item.type == 'b') {
      archive_entry_set_rdev(entry, makedev(item.major, item.minor));
    }
    bool has_content = item.type == 'f';
    archive_entry_set_size(entry,
                           item.declared_size >= 0
                               ? item.declared_size
                               : static_cast<std::int64_t>(has_content ? item.content.size() : 0));
    for (const auto& [name, value] : item.xattrs) {
      archive_entry_xattr_add_entry(entry, name.c_str(), value.data(), value.size());
    }
    archive_write_header(tar, entry);
    if (has_content) archive_write_data(tar, item.content.data(), item.content.size());
    archive_entry_free(entry);
  }
  archive_write_close(tar);
  archive_write_free(tar);
  return out;
}

Result<UnpackResult> unpack(const std::string& bytes, const std::string& directory,
                            const UnpackOptions& options) {
  std::filesystem::create_directories(directory);
  auto source = memory_source(bytes);
  return unpack_layer(*source, directory, options);
}

std::string read_all(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void write_all(const std::string& path, std::string_view content) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << content;
}

TestImage make_docker_archive(const std::vector<std::string>& layers,
                              const std::vector<std::string>& tags) {
  TestImage image;
  std::vector<TarEntry> entries;
  Json history = Json::array();
  Json names = Json::array();
  for (std::size_t i = 0; i < layers.size(); ++i) {
    auto source = memory_source(layers[i]);
    auto plain = decompress(*source);
    Sha256 hash;
    for (auto piece = plain->read(); piece && !piece->empty(); piece = plain->read()) {
      hash.update(*piece);
    }
    image.diff_ids.push_back(hash.finish());
    entries.push_back({fmt::format("layer{}.tar", i), 'f', layers[i]});
    names.push_back(fmt::format("layer{}.tar", i));
    history.push_back({{"created_by", "test"}});
  }
  Json config = {{"architecture", std::string(host_architecture())},
                 {"os", "linux"},
                 {"config",
                  {{"Env", {"PATH=/bin", "X=1"}},
                   {"Cmd", {"serve"}},
                   {"Entrypoint", {"/app"}},
                   {"User", "1000:1000"},
                   {"WorkingDir", "/srv"},
                   {"ExposedPorts", {{"8080/tcp", Json::object()}}},
                   {"Volumes", {{"/data", Json::object()}}},
                   {"Labels", {{"a", "b"}}},
                   {"StopSignal", "SIGINT"}}},
                 {"rootfs", {{"type", "layers"}, {"diff_ids", image.diff_ids}}},
                 {"history", history}};
  std::string text = config.dump();
  image.id = sha256_digest(text);
  entries.push_back({"config.json", 'f', text});
  Json manifest = Json::array();
  manifest.push_back({{"Config", "config.json"}, {"RepoTags", tags}, {"Layers", names}});
  entries.push_back({"manifest.json", 'f', manifest.dump()});
  image.archive = make_tar(entries);
  return image;
}

bool is_root() {
  return ::geteuid() == 0;
}

int shell(const std::string& command) {
  return std::system(command.c_str());
}

std::string shell_output(const std::string& command) {
  std::string out;
  FILE* pipe = ::popen(command.c_str(), "r");
  if (!pipe) return out;
  std::array<char, 4096> buffer{};
  while (std::size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    out.append(buffer.data(), got);
  }
  ::pclose(pipe);
  return out;
}

Loop::Loop() : executors_(4), thread_([this] { executors_.run(); }) {}

Loop::~Loop() {
  executors_.stop();
  thread_.join();
}

void Loop::run(std::function<Task<void>()> body) {
  asio::co_spawn(executors_.control(), body(), asio::use_future).get();
}

}  // namespace moth::images::testing
