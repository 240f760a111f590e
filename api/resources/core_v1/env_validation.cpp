#include <array>

#include "api/base/json.h"
#include "api/machinery/names.h"
#include "api/machinery/quantity.h"
#include "api/resources/check.h"
#include "api/resources/core_v1/pod_checks.h"
#include "api/resources/edit.h"

namespace moth::resources {
namespace {

const std::vector<std::string>& env_field_paths() {
  static const std::vector<std::string> kPaths = {"metadata.name",
                                                  "metadata.namespace",
                                                  "metadata.uid",
                                                  "spec.nodeName",
                                                  "spec.serviceAccountName",
                                                  "status.hostIP",
                                                  "status.hostIPs",
                                                  "status.podIP",
                                                  "status.podIPs"};
  return kPaths;
}

const std::vector<std::string>& volume_field_paths() {
  static const std::vector<std::string> kPaths = {"metadata.annotations", "metadata.labels",
                                                  "metadata.name", "metadata.namespace",
                                                  "metadata.uid"};
  return kPaths;
}

// Every path that the downward API knows anywhere.
bool is_known_path(std::string_view path) {
  static constexpr std::array<std::string_view, 4> kOthers = {
      "spec.restartPolicy", "spec.schedulerName", "status.phase", "spec.host"};
  auto in = [&](const auto& list) {
    return std::find(list.begin(), list.end(), path) != list.end();
  };
  return in(env_field_paths()) || in(volume_field_paths()) || in(kOthers);
}

const std::vector<std::string>& resource_paths() {
  static const std::vector<std::string> kPaths = {
      "limits.cpu",   "limits.ephemeral-storage",   "limits.memory",
      "requests.cpu", "requests.ephemeral-storage", "requests.memory"};
  return kPaths;
}

void check_subscript(FieldErrors& errors, const std::string& text, const FieldPath& path) {
  auto open = text.find("['");
  std::string base = text.substr(0, open);
  std::string subscript = text.substr(open + 2, text.size() - open - 4);
  if (base == "metadata.annotations") {
    std::string lower = subscript;
    for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    add_invalid(errors, path, subscript, check_qualified_name(lower));
  } else if (base == "metadata.labels") {
    add_invalid(errors, path, subscript, check_qualified_name(subscript));
  } else {
    errors.push_back(FieldError::invalid(path, base, "does not support subscript"));
  }
}

void check_divisor(FieldErrors& errors, const std::string& resource, const std::string& divisor,
                   const FieldPath& path) {
  Quantity amount = Quantity::parse_or_zero(divisor);
  if (amount.is_zero()) return;
  bool cpu = resource.ends_with(".cpu");
  auto one_of = [&](std::initializer_list<const char*> texts) {
    return std::any_of(texts.begin(), texts.end(),
                       [&](const char* text) { return Quantity::parse_or_zero(text) == amount; });
  };
  if (cpu) {
    if (one_of({"1m", "1"})) return;
    errors.push_back(
        FieldError::invalid(path.child("divisor"), resource,
                            "only divisor's values 1m and 1 are supported with the cpu resource"));
    return;
  }
  if (one_of({"1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"})) {
    return;
  }
  std::string what = resource.ends_with(".memory")              ? "memory"
                     : resource.ends_with(".ephemeral-storage") ? "local ephemeral storage"
                                                                : "hugepages";
  errors.push_back(FieldError::invalid(
      path.child("divisor"), resource,
      "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are "
      "supported with the " +
          what + " resource"));
}

void check_key_ref(FieldErrors& errors, const Json& ref, const FieldPath& path) {
  check_required(errors, ref, "name", path);
  if (check_required(errors, ref, "key", path)) {
    check_name(errors, ref, "key", path, check_config_map_key);
  }
}

void check_file_key_ref(FieldErrors& errors, const Json& ref, const FieldPath& path) {
  if (check_required(errors, ref, "key", path)) {
    check_name(errors, ref, "key", path, check_env_var_name);
  }
  if (check_required(errors, ref, "volumeName", path)) {
    check_name(errors, ref, "volumeName", path, check_dns1123_label);
  }
  if (check_required(errors, ref, "path", path)) {
    check_non_reserved_path(errors, string_or(ref, "path"), path.child("path"));
  }
}

void check_value_from(FieldErrors& errors, const Json& env, const FieldPath& path) {
  const Json* from = member(env, "valueFrom");
  if (!from) return;
  int sources = 0;
  auto each = [&](std::string_view key, auto check) {
    if (const Json* ref = member(*from, key)) {
      ++sources;
      check(*ref, path.child(key));
    }
  };
  each("fieldRef",
       [&](const Json& ref, const FieldPath& at) { check_field_ref(errors, ref, at, false); });
  each("resourceFieldRef", [&](const Json& ref, const FieldPath& at) {
    check_resource_field_ref(errors, ref, at, false);
  });
  auto key_ref = [&](const Json& ref, const FieldPath& at) { check_key_ref(errors, ref, at); };
  each("configMapKeyRef", key_ref);
  each("secretKeyRef", key_ref);
  each("fileKeyRef",
       [&](const Json& ref, const FieldPath& at) { check_file_key_ref(errors, ref, at); });
  if (sources == 0) {
    errors.push_back(FieldError::invalid(
        path, "",
        "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or "
        "`fileKeyRef`"));
  } else if (!string_or(env, "value").empty()) {
    errors.push_back(
        FieldError::invalid(path, "", "may not be specified when `value` is not empty"));
  } else if (sources > 1) {
    errors.push_back(
        FieldError::invalid(path, "", "may not have more than one field specified at a time"));
  }
}

void check_env_from(FieldErrors& errors, const Json& container, const FieldPath& path) {
  std::size_t i = 0;
  for (const Json& entry : items(container, "envFrom")) {
    FieldPath at = path.index(i++);
    check_name(errors, entry, "prefix", at, check_env_var_name);
    int sources = 0;
    for (std::string_view key : {"configMapRef", "secretRef"}) {
      if (const Json* ref = member(entry, key)) {
        ++sources;
        check_required(errors, *ref, "name", at.child(key));
      }
    }
    // Upstream reports these two at the list, not at the element.
    if (sources == 0) {
      errors.push_back(
          FieldError::invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"));
    } else if (sources > 1) {
      errors.push_back(
          FieldError::invalid(path, "", "may not have more than one field specified at a time"));
    }
  }
}

}  // namespace

void check_field_ref(FieldErrors& errors, const Json& ref, const FieldPath& path, bool volume) {
  if (!check_required(errors, ref, "apiVersion", path)) return;
  if (!check_required(errors, ref, "fieldPath", path)) return;
  std::string version = string_or(ref, "apiVersion");
  std::string text = string_or(ref, "fieldPath");
  bool subscripted = text.ends_with("']") && text.find("['") != std::string::npos;
  std::string base = subscripted ? text.substr(0, text.find("['")) : text;
  std::string problem;
  if (version != "v1") problem = "unsupported pod version: " + version;
  if (problem.empty() && !is_known_path(base)) problem = "field label not supported: " + text;
  if (!problem.empty()) {
    errors.push_back(FieldError::invalid(path.child("fieldPath"), text,
                                         "error converting fieldPath: " + problem));
    return;
  }
  if (subscripted) return check_subscript(errors, text, path);
  const auto& allowed = volume ? volume_field_paths() : env_field_paths();
  if (std::find(allowed.begin(), allowed.end(), text) == allowed.end()) {
    errors.push_back(FieldError::not_supported(path.child("fieldPath"), text, allowed));
  }
}

void check_resource_field_ref(FieldErrors& errors, const Json& ref, const FieldPath& path,
                              bool volume) {
  std::string resource = string_or(ref, "resource");
  if (volume && string_or(ref, "containerName").empty()) {
    errors.push_back(FieldError::required(path.child("containerName"), ""));
  } else if (resource.empty()) {
    errors.push_back(FieldError::required(path.child("resource"), ""));
  } else {
    const auto& allowed = resource_paths();
    bool huge =
        resource.starts_with("limits.hugepages-") || resource.starts_with("requests.hugepages-");
    if (!huge && std::find(allowed.begin(), allowed.end(), resource) == allowed.end()) {
      errors.push_back(FieldError::not_supported(path.child("resource"), resource, allowed));
    }
  }
  check_divisor(errors, resource, string_or(ref, "divisor", "0"), path);
}

void check_env(FieldErrors& errors, const Json& container, const FieldPath& path) {
  std::size_t i = 0;
  for (const Json& entry : items(container, "env")) {
    FieldPath at = path.child("env").index(i++);
    if (check_required(errors, entry, "name", at)) {
      check_name(errors, entry, "name", at, check_env_var_name);
    }
    check_value_from(errors, entry, at.child("valueFrom"));
  }
  check_env_from(errors, container, path.child("envFrom"));
}

}  // namespace moth::resources
