#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/time.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>

#include "ctl/commands/all.h"
#include "ctl/objects/pods.h"
#include "ctl/objects/tar.h"

namespace moth::ctl {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kPiece = 64 * 1024;

struct FileSpec {
  std::string ns, pod, path;  // an empty pod: on this machine
};

// [[NAMESPACE/]POD:]PATH
Outcome<FileSpec> parse_spec(const std::string& text) {
  auto colon = text.find(':');
  if (colon == std::string::npos) return FileSpec{"", "", text};
  std::string pod = text.substr(0, colon);
  FileSpec spec{"", pod, text.substr(colon + 1)};
  // "./a:b" and "/a:b" are files.
  if (pod.empty())
    return refuse("filespec must match the canonical format: [[namespace/]pod:]file/path");
  if (pod[0] == '.' || pod[0] == '/') return FileSpec{"", "", text};
  if (auto slash = pod.find('/'); slash != std::string::npos) {
    spec.ns = pod.substr(0, slash);
    spec.pod = pod.substr(slash + 1);
    if (spec.ns.empty() || spec.pod.empty() || spec.pod.find('/') != std::string::npos)
      return refuse("filespec must match the canonical format: [[namespace/]pod:]file/path");
  }
  return spec;
}

struct Remote {
  Context& context;
  Api& api;
  const ApiResource& pods;
  FileSpec spec;
  std::string container;
};

Outcome<client::ExecEnd> run_remote(const Remote& remote, const std::vector<std::string>& command,
                                    bool with_stdin, ExecOptions options) {
  RestRequest request;
  request.path = remote.pods.path(remote.spec.ns, remote.spec.pod, "exec");
  for (const std::string& word : command) request.query.emplace_back("command", word);
  request.query.emplace_back("container", remote.container);
  if (with_stdin) request.query.emplace_back("stdin", "true");
  request.query.emplace_back("stdout", "true");
  request.query.emplace_back("stderr", "true");
  if (!options.err) options.err = [&](std::string_view bytes) { remote.context.write_err(bytes); };
  return remote.api.exec(std::move(request), std::move(options));
}

Outcome<Remote> make_remote(Context& context, Api& api, FileSpec spec, const Arguments& arguments) {
  MOTH_ASSIGN(const ApiResource* pods, api.resource("pods"));
  if (spec.ns.empty()) {
    MOTH_ASSIGN(spec.ns, context.ns());
  }
  MOTH_ASSIGN(Json pod, api.get(*pods, spec.ns, spec.pod));
  std::string phase = string_or(pod.value("status", Json::object()), "phase");
  if (phase == "Succeeded" || phase == "Failed")
    return refuse(
        fmt::format("cannot exec into a container in a completed pod; current phase is {}", phase));
  MOTH_ASSIGN(std::string container,
              choose_container(context, pod, arguments.text("container"), false));
  return Remote{context, api, *pods, std::move(spec), std::move(container)};
}

// An archive of a file or a folder, made as it is read.
class Packer {
 public:
  Packer(fs::path source, std::string name, bool keep_modes) : keep_modes_(keep_modes) {
    add(std::move(source), std::move(name));
  }

  // Empty at the end.
  std::string next() {
    if (file_.is_open()) return content();
    if (at_ == entries_.size()) {
      bool first = !ended_;
      ended_ = true;
      return first ? tar_end() : "";
    }
    auto& [path, entry] = entries_[at_++];
    if (entry.type != TarEntry::Type::kFile) return tar_header(entry);
    file_.open(path, std::ios::binary);
    if (!file_) {
      problem_ = fmt::format("cannot read {}", path.string());
      file_.clear();
      return next();
    }
    left_ = entry.size;
    padding_ = tar_padding(entry.size);
    return tar_header(entry);
  }
  const std::string& problem() const { return problem_; }

 private:
  void add(fs::path path, std::string name) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) return;
    TarEntry entry;
    entry.name = std::move(name);
    entry.modified = status.st_mtime;
    entry.mode = keep_modes_ ? status.st_mode & 07777 : (S_ISDIR(status.st_mode) ? 0755 : 0644);
    if (S_ISLNK(status.st_mode)) {
      std::error_code ignored;
      entry.type = TarEntry::Type::kLink;
      entry.target = fs::read_symlink(path, ignored).string();
    } else if (S_ISDIR(status.st_mode)) {
      entry.type = TarEntry::Type::kFolder;
    } else if (S_ISREG(status.st_mode)) {
      entry.size = static_cast<std::uint64_t>(status.st_size);
    } else {
      return;  // sockets, pipes and devices stay where they are
    }
    std::string below = entry.name + "/";
    bool folder = entry.type == TarEntry::Type::kFolder;
    entries_.emplace_back(path, std::move(entry));
    if (!folder) return;
    std::error_code ignored;
    std::vector<fs::path> files;
    for (const auto& file : fs::directory_iterator(path, ignored)) files.push_back(file.path());
    std::sort(files.begin(), files.end());
    for (const fs::path& file : files) add(file, below + file.filename().string());
  }

  std::string content() {
    std::string piece(static_cast<std::size_t>(std::min<std::uint64_t>(left_, kPiece)), '\0');
    file_.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    // A file that became shorter while it is read is filled up: the archive says its size already.
    left_ -= piece.size();
    if (left_ > 0) return piece;
    file_.close();
    piece += padding_;
    return piece.empty() ? next() : piece;
  }

  std::vector<std::pair<fs::path, TarEntry>> entries_;
  std::size_t at_ = 0;
  bool keep_modes_, ended_ = false;
  std::ifstream file_;
  std::uint64_t left_ = 0;
  std::string padding_, problem_;
};

std::string base_name(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path.substr(path.rfind('/') + 1);
}

std::string folder_of(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Outcome<int> upload(Remote remote, const std::string& source, const Arguments& arguments) {
  std::error_code error;
  if (!fs::exists(fs::symlink_status(source, error)))
    return refuse(fmt::format("{} doesn't exist in local filesystem", source));
  std::string target = remote.spec.path;
  if (target.empty()) return refuse("filepath can not be empty");
  // Into a folder that is there, under its own name.
  ExecOptions silent;
  silent.out = silent.err = [](std::string_view) {};
  MOTH_ASSIGN(client::ExecEnd is_folder,
              run_remote(remote, {"test", "-d", target}, false, std::move(silent)));
  if (is_folder.exit_code == 0) {
    while (target.ends_with('/')) target.pop_back();
    target += "/" + base_name(fs::absolute(source, error).lexically_normal().string());
  } else if (target.size() > 1 && target.ends_with('/')) {
    target.pop_back();
  }
  auto packer = std::make_shared<Packer>(source, base_name(target), !arguments.flag("no-preserve"));
  ExecOptions options;
  options.source = [packer] { return packer->next(); };
  options.out = [](std::string_view) {};
  std::vector<std::string> command{"tar", "-xmf", "-"};
  if (arguments.flag("no-preserve"))
    command = {"tar", "--no-same-permissions", "--no-same-owner", "-xmf", "-"};
  command.insert(command.end(), {"-C", folder_of(target)});
  MOTH_ASSIGN(client::ExecEnd end, run_remote(remote, command, true, std::move(options)));
  if (!packer->problem().empty()) return refuse(packer->problem());
  if (end.exit_code != 0) return refuse(end.message);
  return 0;
}

// Puts the entries of an archive below one path, and nowhere else.
class Unpacker {
 public:
  Unpacker(Context& context, std::string prefix, fs::path target)
      : context_(context), prefix_(std::move(prefix)), target_(std::move(target)) {}

  Outcome<> entry(const TarEntry& entry) {
    finish();
    std::string name = entry.name;
    while (name.starts_with('/')) name.erase(0, 1);
    while (name.ends_with('/')) name.pop_back();
    bool inside = name == prefix_ || name.starts_with(prefix_ + "/");
    fs::path rest = inside ? name.substr(std::min(prefix_.size() + 1, name.size())) : name;
    for (const fs::path& part : rest)
      if (part == ".." || !inside) {
        context_.warn("warning: file \"{}\" is outside target destination, skipping", entry.name);
        return {};
      }
    fs::path path = rest.empty() ? target_ : target_ / rest;
    if (!within(path.parent_path())) {
      context_.warn("warning: file \"{}\" would be written through a link, skipping", entry.name);
      return {};
    }
    std::error_code error;
    if (entry.type == TarEntry::Type::kFolder) {
      fs::create_directories(path, error);
      ::chmod(path.c_str(), (entry.mode & 0777) | 0700);
      return error ? refuse(fmt::format("cannot make {}: {}", path.string(), error.message()))
                   : Outcome<>();
    }
    if (entry.type == TarEntry::Type::kLink) {
      // A link could lead later files elsewhere.
      context_.warn("warning: skipping symlink: \"{}\" -> \"{}\"", path.string(), entry.target);
      return {};
    }
    if (entry.type != TarEntry::Type::kFile) return {};
    fs::create_directories(path.parent_path(), error);
    if (fs::is_symlink(fs::symlink_status(path, error))) fs::remove(path, error);
    file_.open(path, std::ios::binary | std::ios::trunc);
    if (!file_) return refuse(fmt::format("cannot write {}", path.string()));
    path_ = path;
    mode_ = entry.mode & 0777;
    return {};
  }

  Outcome<> content(std::string_view bytes) {
    if (!file_.is_open()) return {};
    file_.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    if (file_) return {};
    return refuse(fmt::format("cannot write {}: is the disk full?", path_.string()));
  }

  void finish() {
    if (!file_.is_open()) return;
    file_.close();
    ::chmod(path_.c_str(), mode_);
  }

 private:
  // No folder between the target and `path` is a link.
  bool within(const fs::path& path) const {
    std::error_code error;
    for (fs::path at = path; at != target_.parent_path() && at != at.parent_path() && !at.empty();
         at = at.parent_path()) {
      if (at == target_) break;
      if (fs::is_symlink(fs::symlink_status(at, error))) return false;
    }
    return true;
  }

  Context& context_;
  std::string prefix_;
  fs::path target_, path_;
  unsigned mode_ = 0644;
  std::ofstream file_;
};

Outcome<int> download_once(const Remote& remote, const std::string& destination) {
  const std::string& source = remote.spec.path;
  if (source.empty()) return refuse("filepath can not be empty");
  std::error_code error;
  fs::path target = destination;
  // Into a folder that is there, under its own name; "." takes what is inside.
  bool contents = source.ends_with("/.") || source == ".";
  if (fs::is_directory(target, error) && !contents) target /= base_name(source);
  target = fs::absolute(target, error).lexically_normal();
  std::string prefix = fs::path(source).lexically_normal().string();
  while (prefix.starts_with('/')) prefix.erase(0, 1);
  while (prefix.ends_with('/')) prefix.pop_back();
  Unpacker unpacker(remote.context, prefix, target);
  TarReader reader([&](const TarEntry& entry) { return unpacker.entry(entry); },
                   [&](std::string_view bytes) { return unpacker.content(bytes); });
  std::optional<Failure> failure;
  std::string words;
  ExecOptions options;
  options.out = [&](std::string_view bytes) {
    if (failure) return;
    if (auto added = reader.add(bytes); !added) failure = added.error();
  };
  options.err = [&](std::string_view bytes) {
    // tar says that it strips leading slashes, which is what is wanted.
    words += bytes;
  };
  MOTH_ASSIGN(client::ExecEnd end,
              run_remote(remote, {"tar", "cf", "-", source}, false, std::move(options)));
  unpacker.finish();
  if (words.find("Removing leading") == std::string::npos || end.exit_code != 0)
    remote.context.write_err(words);
  if (failure) return fail(*failure);
  if (end.exit_code != 0) return refuse(end.message);
  if (reader.entries() == 0 || !reader.complete()) return refuse("unexpected EOF");
  return 0;
}

Outcome<int> run_cp(Context& context, const Arguments& arguments) {
  if (arguments.words.size() != 2) return refuse("source and destination are required");
  MOTH_ASSIGN(FileSpec from, parse_spec(arguments.words[0]));
  MOTH_ASSIGN(FileSpec to, parse_spec(arguments.words[1]));
  if (!from.pod.empty() && !to.pod.empty())
    return refuse("one of src or dest must be a local file specification");
  if (from.pod.empty() && to.pod.empty())
    return refuse("one of src or dest must be a remote file specification");
  if (from.path.empty() || to.path.empty()) return refuse("filepath can not be empty");
  MOTH_ASSIGN(Api * api, context.api());
  MOTH_ASSIGN(Remote remote, make_remote(context, *api, from.pod.empty() ? to : from, arguments));
  if (from.pod.empty()) return upload(std::move(remote), from.path, arguments);
  std::int64_t retries = arguments.integer("retries");
  for (std::int64_t attempt = 0;; ++attempt) {
    auto done = download_once(remote, to.path);
    if (done || (retries >= 0 && attempt >= retries)) return done;
    context.report(done.error());
  }
}

}  // namespace

Command cp_command() {
  return {
      .name = "cp",
      .group = "Look",
      .summary = "Copy files and directories to and from containers",
      .usage = "<file-spec-src> <file-spec-dest>",
      .details =
          "A file specification is PATH on this machine or [NAMESPACE/]POD:PATH. The "
          "container needs the program tar. Links are not followed out of the "
          "destination.",
      .examples = "moth cp ./site web-0:/srv\nmoth cp demo/web-0:/var/log/app.log ./app.log -c app",
      .flags = {{"container", 'c', FlagKind::kText, "", "This container."},
                {"no-preserve", 0, FlagKind::kBool, "",
                 "Do not keep owners and permissions in the container."},
                {"retries", 0, FlagKind::kInteger, "0",
                 "How often to try again when copying from a container fails; negative: "
                 "for ever."}},
      .words = Words::kFiles,
      .run = run_cp};
}

}  // namespace moth::ctl
