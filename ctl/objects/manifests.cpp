#include "ctl/objects/manifests.h"

#include <fmt/format.h>
#include <glob.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>

#include "api/machinery/yaml.h"
#include "ctl/cli/fetch.h"

namespace moth::ctl {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kMaxFile = 64u << 20;

bool is_manifest(const fs::path& path) {
  std::string extension = path.extension().string();
  return extension == ".json" || extension == ".yaml" || extension == ".yml";
}

void add_object(Json object, const std::string& source, Manifests& into) {
  if (!object.is_object()) {
    into.failures.push_back(Failure(Error::bad_request(
        fmt::format("unable to decode \"{}\": the document is no object", source))));
    return;
  }
  for (const char* member : {"kind", "apiVersion"}) {
    if (!string_or(object, member).empty()) continue;
    std::string text = object.dump(-1, ' ', false, Json::error_handler_t::replace);
    if (text.size() > 512) text = text.substr(0, 512) + "...";
    into.failures.push_back(Failure(
        Error::bad_request(fmt::format("unable to decode \"{}\": Object '{}' is missing in '{}'",
                                       source, member[0] == 'k' ? "Kind" : "apiVersion", text))));
    return;
  }
  const Json* items = find_member(object, "items");
  if (string_or(object, "kind").ends_with("List") && items && items->is_array()) {
    Json list = *items;
    for (Json& item : list) add_object(std::move(item), source, into);
    return;
  }
  into.objects.push_back({std::move(object), source});
}

void read_stream(std::istream& in, const std::string& source, Manifests& into) {
  std::string text(std::istreambuf_iterator<char>(in), {});
  if (text.size() > kMaxFile) {
    into.failures.push_back(Failure(
        Error::bad_request(fmt::format("{} is larger than {} MiB", source, kMaxFile >> 20))));
    return;
  }
  read_manifest_text(text, source, into);
}

void read_file(const std::string& path, Manifests& into) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    into.failures.push_back(
        Failure(Error::from_errno(errno, fmt::format("error reading \"{}\"", path))));
    return;
  }
  read_stream(file, path, into);
}

// The manifest files of a directory by name.
std::vector<std::string> files_of(const fs::path& directory, bool recursive) {
  std::vector<std::string> files;
  std::error_code ignored;
  auto add = [&](const fs::directory_entry& entry) {
    if (!entry.is_directory(ignored) && is_manifest(entry.path()))
      files.push_back(entry.path().string());
  };
  if (recursive) {
    for (const auto& entry : fs::recursive_directory_iterator(
             directory, fs::directory_options::skip_permission_denied, ignored))
      add(entry);
  } else {
    for (const auto& entry : fs::directory_iterator(directory, ignored)) add(entry);
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<std::string> expand(const std::string& path) {
  if (path.find_first_of("*?[") == std::string::npos || fs::exists(path)) return {path};
  glob_t found{};
  std::vector<std::string> paths;
  if (::glob(path.c_str(), 0, nullptr, &found) == 0)
    paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  return paths.empty() ? std::vector<std::string>{path} : paths;
}

}  // namespace

std::vector<FlagSpec> filename_flags(std::string_view what) {
  return {{"filename", 'f', FlagKind::kList, "", what},
          {"kustomize", 'k', FlagKind::kText, "",
           "A kustomization directory; built by kustomize or kubectl, which must be on the PATH."},
          {"recursive", 'R', FlagKind::kBool, "",
           "Also read the directories below the one named with -f."}};
}

void read_manifest_text(std::string_view text, const std::string& source, Manifests& into) {
  auto documents = parse_yaml_documents(text);
  if (!documents) {
    into.failures.push_back(Failure(Error::bad_request(
        fmt::format("error parsing {}: {}", source, documents.error().message))));
    return;
  }
  for (YamlDocument& document : *documents) {
    if (document.value.is_null()) continue;
    if (!document.duplicates.empty()) {
      const YamlDuplicate& first = document.duplicates.front();
      into.failures.push_back(Failure(Error::bad_request(
          fmt::format("error parsing {}: error converting YAML to JSON: yaml: line {}: key \"{}\" "
                      "already set in map",
                      source, first.line, first.key))));
      continue;
    }
    add_object(std::move(document.value), source, into);
  }
}

Outcome<Manifests> read_manifests(std::istream& in, const std::vector<std::string>& paths,
                                  bool recursive) {
  Manifests all;
  for (const std::string& named : paths) {
    if (named == "-") {
      read_stream(in, "STDIN", all);
      continue;
    }
    if (named.starts_with("http://") || named.starts_with("https://")) {
      MOTH_ASSIGN(std::string text, fetch_url(named));
      read_manifest_text(text, named, all);
      continue;
    }
    for (const std::string& path : expand(named)) {
      std::error_code error;
      if (!fs::exists(path, error))
        return refuse(fmt::format("the path \"{}\" does not exist", path));
      if (!fs::is_directory(path, error)) {
        read_file(path, all);
        continue;
      }
      std::vector<std::string> files = files_of(path, recursive);
      if (files.empty()) {
        return refuse(fmt::format(
            "error reading [{}]: recognized file extensions are [.json .yaml .yml]", path));
      }
      for (const std::string& file : files) read_file(file, all);
    }
  }
  return all;
}

Outcome<Manifests> manifests_of(Context& context, const Arguments& arguments) {
  const auto& files = arguments.texts("filename");
  if (!arguments.given("kustomize"))
    return read_manifests(context.in(), files, arguments.flag("recursive"));
  if (!files.empty()) return refuse("only one of -f or -k can be specified");
  const std::string& folder = arguments.text("kustomize");
  MOTH_ASSIGN(std::string text, kustomize_build(folder));
  Manifests all;
  read_manifest_text(text, folder, all);
  return all;
}

}  // namespace moth::ctl
