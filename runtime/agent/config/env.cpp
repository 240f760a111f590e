#include "runtime/agent/config/env.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>

#include "api/base/json.h"
#include "api/machinery/names.h"
#include "api/schema/base64.h"
#include "runtime/agent/config/downward.h"

namespace moth::agent {

using resources::EnvFrom;
using resources::EnvVar;
using resources::ServiceView;
using schema::decode_base64;

namespace {

constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::string variable_name(std::string_view name) {
  std::string out(name);
  for (char& c : out) {
    c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return out;
}

void add_service(EnvMap& out, const ServiceView& service) {
  const std::string prefix = variable_name(service.name());
  const std::string& ip = service.cluster_ip;
  const std::string host = ip.find(':') == std::string::npos ? ip : "[" + ip + "]";
  out[prefix + "_SERVICE_HOST"] = ip;
  if (service.ports.empty()) return;
  out[prefix + "_SERVICE_PORT"] = std::to_string(service.ports.front().port);
  bool first = true;
  for (const auto& port : service.ports) {
    const std::string number = std::to_string(port.port);
    if (!port.name.empty()) out[prefix + "_SERVICE_PORT_" + variable_name(port.name)] = number;
    const std::string_view protocol = resources::to_string(port.protocol);
    const std::string url = fmt::format("{}://{}:{}", lower(protocol), host, number);
    if (std::exchange(first, false)) out[prefix + "_PORT"] = url;
    const std::string link = fmt::format("{}_PORT_{}_{}", prefix, number, protocol);
    out[link] = url;
    out[link + "_PROTO"] = lower(protocol);
    out[link + "_PORT"] = number;
    out[link + "_ADDR"] = ip;
  }
}

Error missing_object(bool secret, std::string_view name) {
  return Error::of(Reason::kNotFound,
                   fmt::format("{} \"{}\" not found", secret ? "secret" : "configmap", name));
}

class Environment {
 public:
  explicit Environment(const EnvInput& input) : input_(input) {}

  Result<EnvOutput> make() {
    for (const EnvFrom& source : input_.container.env_from) MOTH_TRY(add_from(source));
    for (const EnvVar& variable : input_.container.env) MOTH_TRY(add(variable));
    for (const auto& [name, value] : input_.services) {
      if (!output_.env.find(name)) output_.env.set(name, value);
    }
    return std::move(output_);
  }

 private:
  const std::string* find(std::string_view name) const {
    if (const std::string* own = output_.env.find(name)) return own;
    auto service = input_.services.find(name);
    return service == input_.services.end() ? nullptr : &service->second;
  }

  Result<> add_from(const EnvFrom& source) {
    const KeyValues* object = input_.lookup(source.secret, source.ref_name);
    if (!object) {
      if (source.optional) return {};
      return fail(missing_object(source.secret, source.ref_name));
    }
    std::vector<std::string> illegal;
    for (const auto& [key, value] : object->values) {
      const std::string name = source.prefix + key;
      if (!check_env_var_name(name).empty()) {
        illegal.push_back(name);
      } else {
        output_.env.set(name, value);
      }
    }
    if (!illegal.empty()) {
      output_.skipped.push_back(fmt::format(
          "Keys [{}] from the EnvFrom {} {}/{} were skipped since they are considered invalid "
          "environment variable names.",
          fmt::join(illegal, ", "), source.secret ? "secret" : "configMap", input_.pod.ns,
          source.ref_name));
    }
    return {};
  }

  Result<> add(const EnvVar& variable) {
    switch (variable.source) {
      case EnvVar::Source::kValue:
        set(variable,
            expand_variables(variable.value, [this](std::string_view name) { return find(name); }));
        return {};
      case EnvVar::Source::kConfigMapKey:
      case EnvVar::Source::kSecretKey:
        return add_key(variable);
      case EnvVar::Source::kField: {
        MOTH_ASSIGN(std::string value, field_value(input_.pod, variable.field_path));
        set(variable, std::move(value));
        return {};
      }
      case EnvVar::Source::kResourceField: {
        MOTH_ASSIGN(std::string value, resource_value(input_.pod.view().spec(), &input_.container,
                                                      variable.container_name, variable.resource,
                                                      variable.divisor, input_.node_allocatable));
        set(variable, std::move(value));
        return {};
      }
      case EnvVar::Source::kFileKey:
        if (variable.optional) return {};
        return fail(Error::of(
            Reason::kInvalid,
            fmt::format("environment variable {}: fileKeyRef is not supported by this node; use a "
                        "ConfigMap or Secret key instead",
                        variable.name)));
    }
    return {};
  }

  Result<> add_key(const EnvVar& variable) {
    const bool secret = variable.source == EnvVar::Source::kSecretKey;
    const KeyValues* object = input_.lookup(secret, variable.ref_name);
    if (!object) {
      if (variable.optional) return {};
      return fail(missing_object(secret, variable.ref_name));
    }
    auto value = object->values.find(variable.key);
    if (value == object->values.end()) {
      if (variable.optional) return {};
      return fail(Error::of(
          Reason::kNotFound,
          fmt::format("couldn't find key {} in {} {}/{}", variable.key,
                      secret ? "Secret" : "ConfigMap", input_.pod.ns, variable.ref_name)));
    }
    set(variable, value->second);
    return {};
  }

  void set(const EnvVar& variable, std::string value) {
    output_.env.set(variable.name, std::move(value));
  }

  const EnvInput& input_;
  EnvOutput output_;
};

// What stands behind a '$'.
struct Expression {
  bool variable = false;
  std::string_view text;     // the name, or what it stands for
  std::size_t consumed = 0;  // characters behind the '$'
  bool keep_dollar = false;
};

Expression read_expression(std::string_view rest) {
  if (rest.front() == '$') return {false, rest.substr(0, 1), 1, false};
  if (rest.front() != '(') return {false, rest.substr(0, 1), 1, true};
  const std::size_t end = rest.find(')');
  if (end == std::string_view::npos) return {false, "$(", 1, false};
  return {true, rest.substr(1, end - 1), end + 1, false};
}

std::string expand(std::string_view text,
                   const std::function<const std::string*(std::string_view)>& lookup,
                   std::string* missing) {
  std::string out;
  while (!text.empty()) {
    const std::size_t dollar = text.find('$');
    if (dollar == std::string_view::npos || dollar + 1 == text.size()) break;
    out += text.substr(0, dollar);
    const Expression found = read_expression(text.substr(dollar + 1));
    text.remove_prefix(dollar + 1 + found.consumed);
    if (!found.variable) {
      if (found.keep_dollar) out += '$';
      out += found.text;
    } else if (const std::string* value = lookup(found.text)) {
      out += *value;
    } else {
      if (missing && missing->empty()) *missing = found.text;
      out += fmt::format("$({})", found.text);
    }
  }
  return out += text;
}

std::vector<std::string> expand_all(const std::vector<std::string>& texts, const EnvList& env) {
  std::vector<std::string> out;
  out.reserve(texts.size());
  for (const std::string& text : texts) {
    out.push_back(expand_variables(text, [&env](std::string_view name) { return env.find(name); }));
  }
  return out;
}

}  // namespace

void EnvList::set(std::string name, std::string value) {
  auto [at, added] = index_.try_emplace(name, items_.size());
  if (added) {
    items_.emplace_back(std::move(name), std::move(value));
  } else {
    items_[at->second].second = std::move(value);
  }
}

const std::string* EnvList::find(std::string_view name) const {
  auto at = index_.find(name);
  return at == index_.end() ? nullptr : &items_[at->second].second;
}

std::vector<std::string> EnvList::lines() const {
  std::vector<std::string> out;
  out.reserve(items_.size());
  for (const auto& [name, value] : items_) out.push_back(name + "=" + value);
  return out;
}

std::string expand_variables(std::string_view text,
                             const std::function<const std::string*(std::string_view)>& lookup) {
  return expand(text, lookup, nullptr);
}

Result<std::string> expand_strictly(
    std::string_view text, const std::function<const std::string*(std::string_view)>& lookup) {
  std::string missing;
  std::string out = expand(text, lookup, &missing);
  if (missing.empty()) return out;
  return fail(Error::of(Reason::kInvalid, fmt::format("missing value for \"{}\"", missing)));
}

EnvMap service_variables(const std::vector<const ServiceView*>& services,
                         std::string_view pod_namespace, bool enable_service_links) {
  EnvMap out;
  // The pod's own namespace last: it may have a Service of that name too.
  for (const ServiceView* service : services) {
    const bool master = service->ns() == "default" && service->name() == "kubernetes";
    if (master && service->has_cluster_ip()) add_service(out, *service);
  }
  if (!enable_service_links) return out;
  for (const ServiceView* service : services) {
    if (service->ns() == pod_namespace && service->has_cluster_ip()) add_service(out, *service);
  }
  return out;
}

Result<EnvOutput> make_environment(const EnvInput& input) {
  return Environment(input).make();
}

std::vector<std::string> process_environment(const std::vector<std::string>& image_env,
                                             const EnvList& env, std::string_view hostname,
                                             bool tty) {
  EnvList all;
  all.set("PATH", kDefaultPath);
  all.set("HOSTNAME", std::string(hostname));
  if (tty) all.set("TERM", "xterm");
  for (const std::string& line : image_env) {
    const std::size_t equals = line.find('=');
    if (equals == 0) continue;
    const std::string value = equals == std::string::npos ? "" : line.substr(equals + 1);
    all.set(line.substr(0, equals), value);
  }
  for (const auto& [name, value] : env.items()) all.set(name, value);
  return all.lines();
}

std::vector<std::string> process_arguments(const resources::Container& container,
                                           const std::vector<std::string>& image_entrypoint,
                                           const std::vector<std::string>& image_cmd,
                                           const EnvList& env) {
  std::vector<std::string> command = expand_all(container.command, env);
  std::vector<std::string> args = expand_all(container.args, env);
  if (command.empty()) {
    command = image_entrypoint;
    if (args.empty()) args = image_cmd;
  }
  command.insert(command.end(), args.begin(), args.end());
  return command;
}

KeyValues key_values(const Object& object, bool secret, bool with_binary) {
  KeyValues out;
  const auto dom = object.dom();
  auto add = [&](std::string_view member, bool encoded) {
    const Json* data = find_member(*dom, member);
    if (!data || !data->is_object()) return;
    for (const auto& [key, value] : data->items()) {
      if (!value.is_string()) continue;
      const auto& text = value.get_ref<const std::string&>();
      if (!encoded) {
        out.values[key] = text;
      } else if (auto bytes = decode_base64(text)) {
        out.values[key] = std::move(*bytes);
      }
    }
  };
  add("data", secret);
  if (with_binary && !secret) add("binaryData", true);
  return out;
}

}  // namespace moth::agent
