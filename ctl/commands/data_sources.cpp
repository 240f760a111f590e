#include <fmt/format.h>
#include <openssl/sha.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "api/schema/base64.h"
#include "ctl/commands/generators.h"
#include "ctl/printers/output_format.h"

namespace moth::ctl {
namespace {

namespace fs = std::filesystem;
using Data = std::map<std::string, std::string>;

bool valid_key(std::string_view key) {
  if (key.empty() || key.size() > 253 || key == "." || key.starts_with("..")) return false;
  return std::all_of(key.begin(), key.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '-' || c == '_' || c == '.';
  });
}

struct DataReader {
  std::string_view kind;
  std::string name;
  Data data;

  Outcome<> add(const std::string& key, std::string value) {
    if (!valid_key(key)) {
      return refuse(
          fmt::format("\"{}\" is not a valid key name for a {}: a valid config key must consist of "
                      "alphanumeric characters, '-', '_' or '.'",
                      key, kind));
    }
    if (!data.emplace(key, std::move(value)).second) {
      return refuse(fmt::format(
          "cannot add key \"{}\", another key by that name already exists in Data for {} \"{}\"",
          key, kind, name));
    }
    return {};
  }

  Outcome<> add_file(const std::string& key, const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file)
      return refuse(fmt::format("error reading {}: no such file or directory", path.string()));
    return add(key, std::string(std::istreambuf_iterator<char>(file), {}));
  }

  // PATH, KEY=PATH, or a directory whose files are keys.
  Outcome<> add_file_source(const std::string& source) {
    auto equals = source.find('=');
    if (equals != std::string::npos) {
      if (equals == 0)
        return refuse(fmt::format("key name for file path {} missing", source.substr(1)));
      fs::path path = source.substr(equals + 1);
      std::error_code ignored;
      if (fs::is_directory(path, ignored))
        return refuse("cannot give a key name for a directory path");
      return add_file(source.substr(0, equals), path);
    }
    fs::path path = source;
    std::error_code error;
    if (!fs::is_directory(path, error)) return add_file(path.filename().string(), path);
    for (const auto& entry : fs::directory_iterator(path, error)) {
      std::string key = entry.path().filename().string();
      if (entry.is_regular_file(error) && valid_key(key)) MOTH_TRY(add_file(key, entry.path()));
    }
    return {};
  }

  Outcome<> add_literal(const std::string& source) {
    auto equals = source.find('=');
    if (equals == std::string::npos || equals == 0)
      return refuse(fmt::format("invalid literal source {}, expected key=value", source));
    std::string value = source.substr(equals + 1);
    bool quoted = value.size() >= 2 && (value.front() == '"' || value.front() == '\'') &&
                  value.front() == value.back();
    if (quoted) value = value.substr(1, value.size() - 2);
    return add(source.substr(0, equals), std::move(value));
  }

  Outcome<> add_env_file(const std::string& path) {
    std::ifstream file(path);
    if (!file) return refuse(fmt::format("error reading {}: no such file or directory", path));
    for (std::string line; std::getline(file, line);) {
      if (line.ends_with('\r')) line.pop_back();
      auto start = line.find_first_not_of(" \t");
      if (start == std::string::npos || line[start] == '#') continue;
      line.erase(0, start);
      auto equals = line.find('=');
      std::string key = line.substr(0, equals);
      if (equals != std::string::npos) {
        MOTH_TRY(add(key, line.substr(equals + 1)));
      } else if (const char* value = std::getenv(key.c_str())) {
        MOTH_TRY(add(key, value));
      }
    }
    return {};
  }
};

bool is_utf8(std::string_view text) {
  try {
    (void)Json(std::string(text)).dump();
    return true;
  } catch (const Json::exception&) {
    return false;
  }
}

// The name with kubectl's hash of an object's content behind it: ten hex digits of the SHA-256 of
// its JSON, with the digits that could spell words replaced.
void append_hash(Json& object, const Arguments& arguments) {
  if (!arguments.flag("append-hash")) return;
  Json content{{"kind", object["kind"]},
               {"name", object["metadata"]["name"]},
               {"data", object.value("data", Json::object())}};
  if (object["kind"] == "Secret") content["type"] = object.value("type", Json(""));
  if (object.contains("binaryData")) content["binaryData"] = object["binaryData"];
  std::string text = compact_json(content);
  unsigned char digest[SHA256_DIGEST_LENGTH];
  ::SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  std::string hash;
  for (int i = 0; i < 5; ++i) hash += fmt::format("{:02x}", digest[i]);
  constexpr std::string_view kFrom = "013ae", kTo = "ghkmt";
  for (char& c : hash) {
    if (auto at = kFrom.find(c); at != std::string_view::npos) c = kTo[at];
  }
  object["metadata"]["name"] = object["metadata"]["name"].get<std::string>() + "-" + hash;
}

Json secret(const Arguments& arguments, const std::string& name, const std::string& type,
            const Data& data) {
  Json object{{"apiVersion", "v1"}, {"kind", "Secret"}, {"metadata", {{"name", name}}}};
  if (!type.empty()) object["type"] = type;
  if (!data.empty()) object["data"] = Json::object();
  for (const auto& [key, value] : data) object["data"][key] = schema::encode_base64(value);
  append_hash(object, arguments);
  return object;
}

}  // namespace

FlagSpec append_hash_flag() {
  return {"append-hash", 0, FlagKind::kBool, "", "Put a hash of the content behind the name."};
}

std::vector<FlagSpec> data_source_flags() {
  return {{"from-env-file", 0, FlagKind::kTexts, "", "A file of lines KEY=VALUE."},
          {"from-file", 0, FlagKind::kTexts, "", "PATH or KEY=PATH; of a directory, its files."},
          {"from-literal", 0, FlagKind::kTexts, "", "KEY=VALUE."}};
}

Outcome<Data> read_data_sources(const Arguments& arguments, std::string_view kind,
                                const std::string& name) {
  DataReader reader{kind, name, {}};
  for (const std::string& source : arguments.texts("from-file"))
    MOTH_TRY(reader.add_file_source(source));
  for (const std::string& source : arguments.texts("from-literal"))
    MOTH_TRY(reader.add_literal(source));
  for (const std::string& source : arguments.texts("from-env-file"))
    MOTH_TRY(reader.add_env_file(source));
  return std::move(reader.data);
}

Outcome<Json> make_configmap(const Arguments& arguments, const std::string& name) {
  MOTH_ASSIGN(Data data, read_data_sources(arguments, "ConfigMap", name));
  Json object{{"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"metadata", {{"name", name}}}};
  for (auto& [key, value] : data) {
    if (is_utf8(value))
      object["data"][key] = value;
    else
      object["binaryData"][key] = schema::encode_base64(value);
  }
  append_hash(object, arguments);
  return object;
}

Outcome<Json> make_generic_secret(const Arguments& arguments, const std::string& name) {
  MOTH_ASSIGN(Data data, read_data_sources(arguments, "Secret", name));
  return secret(arguments, name, arguments.text("type"), data);
}

Outcome<Json> make_registry_secret(const Arguments& arguments, const std::string& name) {
  constexpr const char* kType = "kubernetes.io/dockerconfigjson";
  constexpr const char* kKey = ".dockerconfigjson";
  if (!arguments.texts("from-file").empty()) {
    MOTH_ASSIGN(Data data, read_data_sources(arguments, "Secret", name));
    if (!data.contains(kKey))
      return refuse(
          fmt::format("--from-file must give the key {}: --from-file={}=PATH", kKey, kKey));
    return secret(arguments, name, kType, data);
  }
  const std::string& user = arguments.text("docker-username");
  const std::string& password = arguments.text("docker-password");
  if (user.empty() || password.empty())
    return refuse(
        "either --from-file or the combination of --docker-username, --docker-password "
        "and --docker-server is required");
  // In the order in which kubectl writes it: the text itself is stored.
  auto text = [](const std::string& value) { return Json(value).dump(); };
  std::string entry = fmt::format("{{\"username\":{},\"password\":{},", text(user), text(password));
  if (arguments.given("docker-email"))
    entry += fmt::format("\"email\":{},", text(arguments.text("docker-email")));
  entry += fmt::format("\"auth\":{}}}", text(schema::encode_base64(user + ":" + password)));
  std::string config =
      fmt::format("{{\"auths\":{{{}:{}}}}}", text(arguments.text("docker-server")), entry);
  return secret(arguments, name, kType, {{kKey, std::move(config)}});
}

Outcome<Json> make_tls_secret(const Arguments& arguments, const std::string& name) {
  DataReader reader{"Secret", name, {}};
  if (arguments.text("cert").empty() || arguments.text("key").empty())
    return refuse("key and cert must be specified");
  MOTH_TRY(reader.add_file("tls.crt", arguments.text("cert")));
  MOTH_TRY(reader.add_file("tls.key", arguments.text("key")));
  return secret(arguments, name, "kubernetes.io/tls", reader.data);
}

}  // namespace moth::ctl
