#include "ctl/cli/plugins.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <map>

namespace moth::ctl {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kPrefixes[] = {"moth-", "kubectl-"};

std::vector<std::string> folders_of(std::string_view path_variable) {
  std::vector<std::string> folders;
  for (std::size_t from = 0; from <= path_variable.size();) {
    auto end = std::min(path_variable.find(':', from), path_variable.size());
    std::string folder(path_variable.substr(from, end - from));
    if (!folder.empty() && std::find(folders.begin(), folders.end(), folder) == folders.end())
      folders.push_back(std::move(folder));
    from = end + 1;
  }
  return folders;
}

bool runnable(const std::string& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored) && ::access(path.c_str(), X_OK) == 0;
}

std::string prefix_of(std::string_view file) {
  for (std::string_view prefix : kPrefixes)
    if (file.starts_with(prefix) && file.size() > prefix.size()) return std::string(prefix);
  return "";
}

}  // namespace

std::optional<PluginCall> find_plugin(const std::vector<std::string>& words,
                                      std::string_view path_variable) {
  std::vector<std::string> parts;
  for (const std::string& word : words) {
    if (word.empty() || word.starts_with('-') || word.find('/') != std::string::npos) break;
    std::string part = word;
    std::replace(part.begin(), part.end(), '-', '_');
    parts.push_back(std::move(part));
  }
  std::vector<std::string> folders = folders_of(path_variable);
  for (std::size_t count = parts.size(); count > 0; --count) {
    std::string name;
    for (std::size_t i = 0; i < count; ++i) name += (i ? "-" : "") + parts[i];
    for (std::string_view prefix : kPrefixes) {
      for (const std::string& folder : folders) {
        std::string path = folder + "/" + std::string(prefix) + name;
        if (runnable(path)) {
          return PluginCall{path,
                            {words.begin() + static_cast<std::ptrdiff_t>(count), words.end()}};
        }
      }
    }
  }
  return std::nullopt;
}

std::vector<Plugin> list_plugins(std::string_view path_variable,
                                 const std::vector<std::string>& commands) {
  std::vector<Plugin> found;
  std::map<std::string, std::string> names;
  for (const std::string& folder : folders_of(path_variable)) {
    std::error_code ignored;
    std::vector<std::string> files;
    for (const auto& entry : fs::directory_iterator(folder, ignored))
      files.push_back(entry.path().filename().string());
    std::sort(files.begin(), files.end());
    for (const std::string& file : files) {
      std::string prefix = prefix_of(file);
      std::string path = folder + "/" + file;
      if (prefix.empty() || fs::is_directory(path, ignored)) continue;
      Plugin plugin{path, file, {}};
      std::string command = file.substr(prefix.size());
      if (!runnable(path))
        plugin.warnings.push_back(
            fmt::format("{} identified as a plugin, but it is not executable", path));
      if (std::find(commands.begin(), commands.end(), command) != commands.end())
        plugin.warnings.push_back(
            fmt::format("{} overwrites existing command: \"moth {}\"", file, command));
      if (auto first = names.emplace(command, path); !first.second)
        plugin.warnings.push_back(fmt::format("{} is overshadowed by a similarly named plugin: {}",
                                              path, first.first->second));
      found.push_back(std::move(plugin));
    }
  }
  return found;
}

Failure run_plugin(const PluginCall& call, const std::string& kubeconfig) {
  std::vector<std::string> words{call.path};
  words.insert(words.end(), call.arguments.begin(), call.arguments.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  if (!kubeconfig.empty()) ::setenv("KUBECONFIG", kubeconfig.c_str(), 0);
  std::error_code ignored;
  ::setenv("KUBECTL_PLUGINS_CALLER", fs::read_symlink("/proc/self/exe", ignored).c_str(), 1);
  ::execv(call.path.c_str(), arguments.data());
  return Failure(Error::from_errno(errno, fmt::format("cannot run the plugin {}", call.path)));
}

}  // namespace moth::ctl
