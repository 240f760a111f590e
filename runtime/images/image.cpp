#include "runtime/images/image.h"

#include <fmt/format.h>

#include "api/base/json.h"
#include "runtime/images/digest.h"
#include "runtime/images/reference.h"

namespace moth::images {
namespace {

Result<std::vector<std::string>> string_list(const Json& object, std::string_view key) {
  std::vector<std::string> list;
  const Json* member = find_member(object, key);
  if (!member || member->is_null()) return list;
  if (member->is_string()) {  // the old shell form of Entrypoint
    list.push_back(member->get<std::string>());
    return list;
  }
  if (!member->is_array()) {
    return fail(Error::bad_request(fmt::format("image configuration: {} must be a list", key)));
  }
  for (const Json& item : *member) {
    if (!item.is_string()) {
      return fail(
          Error::bad_request(fmt::format("image configuration: {} must hold strings only", key)));
    }
    list.push_back(item.get<std::string>());
  }
  return list;
}

std::vector<std::string> key_list(const Json& object, std::string_view key) {
  std::vector<std::string> list;
  const Json* member = find_member(object, key);
  if (!member || !member->is_object()) return list;
  for (const auto& [name, ignored] : member->items()) list.push_back(name);
  return list;
}

}  // namespace

Result<ImageConfig> parse_image_config(std::string_view text) {
  Json document = Json::parse(text, nullptr, false);
  if (!document.is_object()) return fail(Error::bad_request("image configuration: not an object"));
  ImageConfig config;
  config.architecture = string_or(document, "architecture");
  config.os = string_or(document, "os");
  config.variant = string_or(document, "variant");
  config.created = string_or(document, "created");
  const Json* rootfs = find_member(document, "rootfs");
  if (!rootfs) return fail(Error::bad_request("image configuration: rootfs is missing"));
  MOTH_ASSIGN(config.diff_ids, string_list(*rootfs, "diff_ids"));
  for (const std::string& diff_id : config.diff_ids) {
    if (!valid_digest(diff_id)) {
      return fail(Error::bad_request(
          fmt::format("image configuration: rootfs.diff_ids: invalid digest \"{}\"", diff_id)));
    }
  }
  const Json* settings = find_member(document, "config");
  if (!settings || !settings->is_object()) return config;
  MOTH_ASSIGN(config.env, string_list(*settings, "Env"));
  MOTH_ASSIGN(config.entrypoint, string_list(*settings, "Entrypoint"));
  MOTH_ASSIGN(config.cmd, string_list(*settings, "Cmd"));
  config.user = string_or(*settings, "User");
  config.working_dir = string_or(*settings, "WorkingDir");
  config.stop_signal = string_or(*settings, "StopSignal");
  config.exposed_ports = key_list(*settings, "ExposedPorts");
  config.volumes = key_list(*settings, "Volumes");
  if (const Json* labels = find_member(*settings, "Labels"); labels && labels->is_object()) {
    for (const auto& [key, value] : labels->items()) {
      if (value.is_string()) config.labels[key] = value.get<std::string>();
    }
  }
  return config;
}

std::string Image::image_id() const {
  return digests.empty() ? id : digests.front();
}

std::vector<std::string> chain_ids(const std::vector<std::string>& diff_ids) {
  std::vector<std::string> chain;
  for (const std::string& diff_id : diff_ids) {
    chain.push_back(chain.empty() ? diff_id : sha256_digest(chain.back() + " " + diff_id));
  }
  return chain;
}

std::string_view host_architecture() {
#if defined(__x86_64__)
  return "amd64";
#elif defined(__aarch64__)
  return "arm64";
#elif defined(__arm__)
  return "arm";
#elif defined(__riscv)
  return "riscv64";
#elif defined(__powerpc64__)
  return "ppc64le";
#elif defined(__s390x__)
  return "s390x";
#else
  return "386";
#endif
}

}  // namespace moth::images
