// The pure parts of registry.h: manifests, indexes, challenges.
#include <fmt/format.h>

#include <algorithm>

#include "api/base/json.h"
#include "runtime/images/digest.h"
#include "runtime/images/image.h"
#include "runtime/images/registry.h"

namespace moth::images {
namespace {

constexpr std::size_t kMaxLayers = 500;  // what overlayfs can stack

Result<Descriptor> read_descriptor(const Json& object, std::string_view where) {
  Descriptor descriptor;
  descriptor.media_type = string_or(object, "mediaType");
  descriptor.digest = string_or(object, "digest");
  std::int64_t size = int_or(object, "size", -1);
  if (!valid_digest(descriptor.digest)) {
    return fail(Error::bad_request(fmt::format(
        "manifest: {}.digest: invalid or unsupported digest \"{}\"", where, descriptor.digest)));
  }
  if (size < 0) return fail(Error::bad_request(fmt::format("manifest: {}.size is missing", where)));
  descriptor.size = static_cast<std::uint64_t>(size);
  if (const Json* platform = find_member(object, "platform")) {
    descriptor.platform.os = string_or(*platform, "os");
    descriptor.platform.architecture = string_or(*platform, "architecture");
    descriptor.platform.variant = string_or(*platform, "variant");
  }
  return descriptor;
}

// How well an entry fits: 0 not at all, more is better.
int fitness(const Platform& have, const Platform& want, std::string_view architecture) {
  if (have.os != want.os || have.architecture != architecture) return 0;
  if (have.variant == want.variant) return 3;
  if (!want.variant.empty()) return have.variant.empty() ? 1 : 0;
  // Without a wish: what every machine of the architecture runs.
  bool baseline = have.variant == "v8" || have.variant == "v1" || have.variant == "v7";
  if (baseline) return 2;
  return architecture == "arm" && have.variant == "v6" ? 1 : 0;
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return result;
}

}  // namespace

Result<Manifest> parse_manifest(std::string_view text) {
  Json document = Json::parse(text, nullptr, false);
  if (!document.is_object()) return fail(Error::bad_request("manifest: not a JSON object"));
  if (int_or(document, "schemaVersion") == 1) {
    return fail(Error::bad_request(
        "manifest: schema version 1 is not supported any more: push the image again with a tool of "
        "today"));
  }
  const Json* config = find_member(document, "config");
  const Json* layers = find_member(document, "layers");
  if (!config || !config->is_object() || !layers || !layers->is_array()) {
    return fail(Error::bad_request("manifest: config and layers are required"));
  }
  if (layers->size() > kMaxLayers) {
    return fail(Error::bad_request(fmt::format("manifest: more than {} layers", kMaxLayers)));
  }
  Manifest manifest;
  manifest.text = text;
  manifest.digest = sha256_digest(text);
  manifest.resolved_digest = manifest.digest;
  MOTH_ASSIGN(manifest.config, read_descriptor(*config, "config"));
  for (std::size_t i = 0; i < layers->size(); ++i) {
    MOTH_ASSIGN(Descriptor layer, read_descriptor((*layers)[i], fmt::format("layers[{}]", i)));
    manifest.layers.push_back(std::move(layer));
  }
  return manifest;
}

bool is_index(std::string_view text) {
  Json document = Json::parse(text, nullptr, false);
  return document.is_object() && document.contains("manifests") && !document.contains("layers");
}

Result<Descriptor> choose_platform(std::string_view index_text, const Platform& platform) {
  Json document = Json::parse(index_text, nullptr, false);
  const Json* list = find_member(document, "manifests");
  if (!list || !list->is_array()) return fail(Error::bad_request("index: manifests is missing"));
  std::string architecture =
      platform.architecture.empty() ? std::string(host_architecture()) : platform.architecture;
  std::optional<Descriptor> best;
  int best_fitness = 0;
  for (std::size_t i = 0; i < list->size(); ++i) {
    MOTH_ASSIGN(Descriptor entry, read_descriptor((*list)[i], fmt::format("manifests[{}]", i)));
    int fit = fitness(entry.platform, platform, architecture);
    // A lone entry without a platform is meant for whoever asks.
    if (entry.platform.os.empty() && entry.platform.architecture.empty() && list->size() == 1)
      fit = 1;
    if (fit > best_fitness) {
      best_fitness = fit;
      best = std::move(entry);
    }
  }
  if (!best) {
    return fail(Error::of(
        Reason::kNotFound,
        fmt::format("no match for platform in manifest: not found ({}/{}{}{})", platform.os,
                    architecture, platform.variant.empty() ? "" : "/", platform.variant)));
  }
  return *best;
}

std::string_view Challenge::get(std::string_view name) const {
  for (const auto& [key, value] : parameters) {
    if (key == name) return value;
  }
  return {};
}

std::vector<Challenge> parse_challenges(std::string_view header) {
  std::vector<Challenge> challenges;
  std::size_t i = 0;
  auto is_token = [](char c) {
    return c > ' ' && c < 127 &&
           std::string_view("()<>@,;:\\\"/[]?={}").find(c) == std::string_view::npos;
  };
  auto skip = [&](std::string_view what) {
    while (i < header.size() && what.find(header[i]) != std::string_view::npos) ++i;
  };
  auto token = [&] {
    std::size_t start = i;
    while (i < header.size() && is_token(header[i])) ++i;
    return header.substr(start, i - start);
  };
  while (true) {
    skip(" ,\t");
    std::string_view word = token();
    if (word.empty()) return challenges;
    std::size_t after_word = i;
    skip(" \t");
    if (i >= header.size() || header[i] != '=' || challenges.empty()) {
      i = after_word;
      challenges.push_back({lower(word), {}});
      continue;
    }
    ++i;
    skip(" \t");
    std::string value;
    if (i < header.size() && header[i] == '"') {
      for (++i; i < header.size() && header[i] != '"'; ++i) {
        if (header[i] == '\\' && i + 1 < header.size()) ++i;
        value += header[i];
      }
      if (i < header.size()) ++i;
    } else {
      value = token();
    }
    challenges.back().parameters.emplace_back(lower(word), std::move(value));
  }
}

}  // namespace moth::images
