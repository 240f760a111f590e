// The content of volumes that are made of API objects.
#include <fmt/format.h>

#include "api/base/json.h"
#include "runtime/agent/config/downward.h"
#include "runtime/agent/config/env.h"
#include "runtime/agent/resources/pod_tokens.h"
#include "runtime/agent/resources/pod_volumes.h"

namespace moth::agent {

using resources::ConfigMapVolume;
using resources::DownwardApiVolume;
using resources::DownwardItem;
using resources::ProjectedVolume;
using resources::SecretVolume;
using resources::ServiceAccountTokenSource;
using resources::Volume;

namespace {

Result<std::string> item_value(const PayloadInput& input, const DownwardItem& item) {
  if (!item.field_path.empty()) return field_value(input.pod, item.field_path);
  return resource_value(input.pod.view().spec(), nullptr, item.container_name, item.resource,
                        item.divisor, input.node_allocatable);
}

// The user that all containers run as, if the pod names one for each.
std::optional<std::uint32_t> common_user(const resources::PodSpec& spec) {
  std::optional<std::int64_t> common;
  for (const auto* list : {&spec.init_containers, &spec.containers}) {
    for (const resources::Container& container : *list) {
      auto user = container.security.run_as_user ? container.security.run_as_user
                                                 : spec.security.run_as_user;
      if (!user || (common && *common != *user)) return std::nullopt;
      common = user;
    }
  }
  if (!common) return std::nullopt;
  return static_cast<std::uint32_t>(*common);
}

class PayloadBuilder {
 public:
  explicit PayloadBuilder(const PayloadInput& input, bool without_tokens = false)
      : input_(input), without_tokens_(without_tokens) {}

  Result<> operator()(const ConfigMapVolume& source) {
    return add(source, false, default_mode_.value_or(source.default_mode));
  }
  Result<> operator()(const SecretVolume& source) {
    return add(source, true, default_mode_.value_or(source.default_mode));
  }
  Result<> operator()(const DownwardApiVolume& source) {
    for (const DownwardItem& item : source.items) {
      MOTH_ASSIGN(std::string value, item_value(input_, item));
      const std::uint32_t mode = item.mode.value_or(default_mode_.value_or(source.default_mode));
      payload_.insert_or_assign(item.path, volumes::File{std::move(value), mode});
    }
    return {};
  }
  Result<> operator()(const ServiceAccountTokenSource& source) {
    if (without_tokens_) return {};
    if (!input_.token_texts || next_token_ >= input_.token_texts->size()) {
      return fail(Error::of(
          Reason::kInvalid,
          fmt::format("serviceAccountToken projections (path {}) are not supported by this node",
                      source.path)));
    }
    // A token is for its user alone, where the pod says who that is.
    const resources::PodSpec& spec = input_.pod.view().spec();
    const auto user = common_user(spec);
    std::uint32_t mode = default_mode_.value_or(0644);
    if (user || spec.security.fs_group) mode = 0600;
    payload_.insert_or_assign(source.path,
                              volumes::File{(*input_.token_texts)[next_token_++], mode, user});
    return {};
  }
  Result<> operator()(const ProjectedVolume& source) {
    // The volume's mode counts for all its sources.
    default_mode_ = source.default_mode;
    for (const auto& part : source.sources)
      MOTH_TRY(std::visit([this](const auto& inner) { return (*this)(inner); }, part));
    return {};
  }
  template <class Other>
  Result<> operator()(const Other&) {
    return {};
  }

  volumes::Payload take() { return std::move(payload_); }

 private:
  template <class Source>
  Result<> add(const Source& source, bool secret, std::uint32_t mode) {
    const auto& gvr = secret ? client::gvr::kSecrets : client::gvr::kConfigMaps;
    const ObjectPtr object = input_.reader.get(gvr, input_.pod.ns, source.name);
    if (!object) {
      if (source.optional) return {};
      return fail(Error::of(
          Reason::kNotFound,
          fmt::format("{} \"{}\" not found", secret ? "secret" : "configmap", source.name)));
    }
    volumes::Selection selection;
    for (const auto& item : source.items) {
      selection.items.push_back({item.key, item.path, item.mode});
    }
    selection.default_mode = mode;
    selection.optional = source.optional;
    selection.missing_key_text = secret ? "references non-existent secret key"
                                        : "configmap references non-existent config key";
    return volumes::add_keys(payload_, key_values(*object, secret, true).values, selection);
  }

  const PayloadInput& input_;
  bool without_tokens_;
  std::size_t next_token_ = 0;
  std::optional<std::uint32_t> default_mode_;
  volumes::Payload payload_;
};

class Fingerprint {
 public:
  explicit Fingerprint(const PayloadInput& input) : input_(input) {}

  void operator()(const ConfigMapVolume& source) { add(client::gvr::kConfigMaps, source.name); }
  void operator()(const SecretVolume& source) { add(client::gvr::kSecrets, source.name); }
  void operator()(const DownwardApiVolume& source) {
    for (const DownwardItem& item : source.items) {
      auto value = item_value(input_, item);
      const std::string& text = value ? *value : value.error().message;
      text_ += fmt::format("{}:{};", text.size(), text);
    }
  }
  void operator()(const ServiceAccountTokenSource& source) {
    if (input_.tokens) text_ += input_.tokens->version(input_.pod.uid, source) + ";";
  }
  void operator()(const ProjectedVolume& source) {
    for (const auto& part : source.sources)
      std::visit([this](const auto& inner) { return (*this)(inner); }, part);
  }
  template <class Other>
  void operator()(const Other&) {}

  std::string take() { return std::move(text_); }

 private:
  void add(const Gvr& gvr, const std::string& name) {
    const ObjectPtr object = input_.reader.get(gvr, input_.pod.ns, name);
    text_ += object ? fmt::format("{}/{};", object->uid(), object->meta().resource_version)
                    : std::string("none;");
  }

  const PayloadInput& input_;
  std::string text_;
};

}  // namespace

Result<volumes::Payload> volume_payload(const PayloadInput& input, const Volume& volume) {
  PayloadBuilder builder(input);
  MOTH_TRY(std::visit([&](const auto& source) { return builder(source); }, volume.source));
  return builder.take();
}

Result<> source_problem(const PayloadInput& input, const Volume& volume) {
  PayloadBuilder builder(input, true);
  return std::visit([&](const auto& source) { return builder(source); }, volume.source);
}

std::string payload_fingerprint(const PayloadInput& input, const Volume& volume) {
  Fingerprint fingerprint(input);
  std::visit([&](const auto& source) { fingerprint(source); }, volume.source);
  return fingerprint.take();
}

bool is_payload_volume(const Volume& volume) {
  return std::holds_alternative<ConfigMapVolume>(volume.source) ||
         std::holds_alternative<SecretVolume>(volume.source) ||
         std::holds_alternative<DownwardApiVolume>(volume.source) ||
         std::holds_alternative<ProjectedVolume>(volume.source);
}

}  // namespace moth::agent
