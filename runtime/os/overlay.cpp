// Overlay mounts. mount(2) takes one page of options, which thirty absolute paths fill; the new
// mount API takes each lower layer by itself (kernel 6.5), and older kernels get short paths.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <thread>

#include "runtime/os/mounts.h"
#include "runtime/os/unique_fd.h"

namespace moth::os {

namespace {

// FSCONFIG_SET_STRING takes 255 characters; a longer path goes by its descriptor.
constexpr std::size_t kMaxParameter = 255;
constexpr std::size_t kOptionPage = 4095;

// What the kernel has to say about a context, for the error ("overlay: ...").
std::string kernel_words(int context) {
  char buffer[512];
  std::string words;
  ssize_t n;
  while ((n = ::read(context, buffer, sizeof buffer)) > 0) {
    std::string_view line(buffer, static_cast<std::size_t>(n));
    if (line.size() > 2 && line[1] == ' ') line.remove_prefix(2);
    while (!line.empty() && line.back() == '\n') line.remove_suffix(1);
    if (!words.empty()) words += "; ";
    words += line;
    if (words.size() > 1000) break;
  }
  return words;
}

class OverlayContext {
 public:
  explicit OverlayContext(const std::string& target) : target_(target) {}

  bool open() {
    context_.reset(::fsopen("overlay", FSOPEN_CLOEXEC));
    return static_cast<bool>(context_);
  }
  Result<void> flag(const char* key) {
    if (::fsconfig(context_.get(), FSCONFIG_SET_FLAG, key, nullptr, 0) != 0) return failed(key);
    return {};
  }
  Result<void> text(const char* key, const char* value) {
    if (::fsconfig(context_.get(), FSCONFIG_SET_STRING, key, value, 0) != 0) return failed(key);
    return {};
  }
  Result<void> path(const char* key, const std::string& value) {
    if (value.size() <= kMaxParameter) return text(key, value.c_str());
    UniqueFd fd(::open(value.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return fail(Error::from_errno(errno, value));
    const std::string by_fd = fmt::format("/proc/self/fd/{}", fd.get());
    kept_.push_back(std::move(fd));
    return text(key, by_fd.c_str());
  }
  Result<void> attach() {
    if (::fsconfig(context_.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
      return failed("create");
    }
    UniqueFd mounted(::fsmount(context_.get(), FSMOUNT_CLOEXEC, 0));
    if (!mounted) return failed("mount");
    if (::move_mount(mounted.get(), "", AT_FDCWD, target_.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) {
      return failed("attach");
    }
    return {};
  }

 private:
  Result<void> failed(std::string_view what) {
    Error error = Error::from_errno(errno, fmt::format("mount overlay on {}: {}", target_, what));
    if (const std::string words = kernel_words(context_.get()); !words.empty()) {
      error.message += " (" + words + ")";
    }
    return fail(std::move(error));
  }

  const std::string& target_;
  UniqueFd context_;
  std::vector<UniqueFd> kept_;
};

// nullopt: this kernel cannot, use the old way.
std::optional<Result<void>> mount_new_api(const std::string& target,
                                          const OverlayOptions& options) {
  OverlayContext context(target);
  if (!context.open()) return std::nullopt;
  auto apply = [&]() -> Result<void> {
    MOTH_TRY(context.text("source", "overlay"));
    for (const std::string& lower : options.lowers) MOTH_TRY(context.path("lowerdir+", lower));
    if (!options.upper.empty()) {
      MOTH_TRY(context.path("upperdir", options.upper));
      MOTH_TRY(context.path("workdir", options.work));
    }
    if (options.volatile_upper && !options.upper.empty()) MOTH_TRY(context.flag("volatile"));
    if (options.user_xattr) MOTH_TRY(context.flag("userxattr"));
    return context.attach();
  };
  Result<void> result = apply();
  if (!result && result.error().os_errno == EINVAL) return std::nullopt;
  return result;
}

std::string escape(std::string_view path) {
  std::string result;
  for (char c : path) {
    if (c == '\\' || c == ':' || c == ',') result += '\\';
    result += c;
  }
  return result;
}

// The longest folder that all lowers are in, with its slash.
std::string common_folder(const std::vector<std::string>& paths) {
  std::string common = paths.front();
  for (const std::string& path : paths) {
    std::size_t same = 0;
    while (same < std::min(common.size(), path.size()) && common[same] == path[same]) ++same;
    common.resize(same);
  }
  return common.substr(0, common.find_last_of('/') + 1);
}

Result<void> mount_with_options(const std::string& target, const OverlayOptions& options) {
  const std::string common = common_folder(options.lowers);
  std::string data = "lowerdir=";
  for (const std::string& lower : options.lowers) {
    if (data.back() != '=') data += ':';
    data += escape(std::string_view(lower).substr(common.size()));
  }
  if (!options.upper.empty()) {
    data += ",upperdir=" + escape(options.upper) + ",workdir=" + escape(options.work);
    if (options.volatile_upper) data += ",volatile";
  }
  if (options.user_xattr) data += ",userxattr";
  if (data.size() > kOptionPage) {
    return fail(Error::of(Reason::kInvalid,
                          fmt::format("mount overlay on {}: {} layers do not fit into the options "
                                      "of this kernel (6.5 and later have no such bound)",
                                      target, options.lowers.size())));
  }
  // A working directory of its own belongs to the thread after unshare(CLONE_FS).
  Result<void> result;
  std::thread([&] {
    if (::unshare(CLONE_FS) != 0 || (!common.empty() && ::chdir(common.c_str()) != 0)) {
      result = fail(Error::from_errno(errno, fmt::format("mount overlay: enter {}", common)));
      return;
    }
    result = mount("overlay", target, "overlay", 0, data);
  }).join();
  return result;
}

}  // namespace

Result<void> mount_overlay(const std::string& target, const OverlayOptions& options) {
  if (options.lowers.empty()) return fail(Error::bad_request("mount overlay: no lower layer"));
  if (options.upper.empty() != options.work.empty()) {
    return fail(Error::bad_request("mount overlay: upper and work come together"));
  }
  // An overlay without an upper needs two lowers; an empty one cannot be made up, so it is bound.
  if (options.upper.empty() && options.lowers.size() == 1) {
    BindOptions bind;
    bind.recursive = false;
    bind.read_only = true;
    return bind_mount(options.lowers.front(), target, bind);
  }
  if (auto done = mount_new_api(target, options)) return *done;
  return mount_with_options(target, options);
}

}  // namespace moth::os
