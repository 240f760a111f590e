#include "api/server/webhooks/conversion.h"

#include <fmt/format.h>

#include "api/base/json.h"
#include "api/machinery/json_text.h"
#include "api/resources/apiextensions_v1/conversion.h"
#include "api/resources/edit.h"
#include "api/server/webhooks/caller.h"

namespace moth::server {
namespace {

// [apiextensions: the timeout of conversion webhooks]
constexpr std::chrono::seconds kTimeout{30};
// What one call converts; a list of more takes several.
constexpr std::size_t kMaxObjects = 500;
constexpr std::size_t kMaxAnswer = 64u << 20, kMaxClients = 64;

tl::unexpected<Error> wrong(std::string what) {
  return fail(Error::of(Reason::kInternalError, std::move(what)));
}

std::string kind_of(const Json& object) {
  return fmt::format("{}, Kind={}", string_or(object, "apiVersion"), string_or(object, "kind"));
}

// Everything but labels and annotations is the original's.
Result<> restore_metadata(Json& converted, const Json& original) {
  const Json& before = resources::object_of(original, "metadata");
  const Json& after = resources::object_of(converted, "metadata");
  for (auto [field, name] :
       {std::pair{"name", "name"}, std::pair{"namespace", "namespace"}, std::pair{"uid", "UID"}}) {
    if (string_or(after, field) != string_or(before, field)) {
      return wrong(fmt::format("must have the same {}: {} != {}", name, string_or(after, field),
                               string_or(before, field)));
    }
  }
  Json metadata = before;
  for (const char* field : {"labels", "annotations"}) {
    const Json* given = find_member(after, field);
    if (given && !given->is_null()) {
      metadata[field] = *given;
    } else {
      metadata.erase(field);
    }
  }
  converted["metadata"] = std::move(metadata);
  return {};
}

std::string review_version(const Json& webhook) {
  for (const std::string& version : resources::strings(webhook, "conversionReviewVersions")) {
    if (version == "v1" || version == "v1beta1") return version;
  }
  return "v1";
}

class Converter {
 public:
  Converter(asio::any_io_executor io, asio::any_io_executor blocking, Storage& storage,
            const resources::Registry& registry, RandomSource random)
      : caller_(std::move(io), std::move(blocking), storage, registry, kMaxAnswer, kMaxClients),
        random_(std::move(random)) {}

  Task<Result<std::vector<Json>>> convert(const resources::ResourceDef& to,
                                          std::vector<Json> objects) {
    const Json* webhook = resources::conversion_webhook(to);
    if (!webhook) co_return objects;
    std::string desired = to.api_version();
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < objects.size(); ++i) {
      if (string_or(objects[i], "apiVersion") != desired) places.push_back(i);
    }
    for (std::size_t start = 0; start < places.size(); start += kMaxObjects) {
      std::vector<Json> batch;
      std::size_t end = std::min(places.size(), start + kMaxObjects);
      for (std::size_t i = start; i < end; ++i) batch.push_back(objects[places[i]]);
      MOTH_CO_ASSIGN(auto done, co_await ask(*webhook, desired, std::move(batch)));
      for (std::size_t i = start; i < end; ++i) objects[places[i]] = std::move(done[i - start]);
    }
    co_return objects;
  }

 private:
  Task<Result<std::vector<Json>>> ask(const Json& webhook, std::string desired,
                                      std::vector<Json> objects) {
    Webhook place;
    place.name = "conversion";
    place.timeout = kTimeout;
    parse_client(place, resources::object_of(webhook, "clientConfig"));
    std::string uid = uuid_v4(random_);
    std::string version = "apiextensions.k8s.io/" + review_version(webhook);
    std::string review = dump_json(conversion_review(version, uid, desired, objects));
    auto answer = co_await caller_.call(std::move(place), std::move(review));
    std::string of = kind_of(objects.front());
    if (!answer) {
      co_return wrong(
          fmt::format("conversion webhook for {} failed: {}", of, answer.error().message));
    }
    auto converted = read_conversion(*answer, uid, desired, objects);
    if (!converted) {
      co_return wrong(fmt::format("conversion webhook for {} {}", of, converted.error().message));
    }
    co_return converted;
  }

  WebhookCaller caller_;
  RandomSource random_;
};

}  // namespace

Json conversion_review(const std::string& api_version, const std::string& uid,
                       const std::string& desired, const std::vector<Json>& objects) {
  return {{"apiVersion", api_version},
          {"kind", "ConversionReview"},
          {"request", {{"uid", uid}, {"desiredAPIVersion", desired}, {"objects", objects}}}};
}

Result<std::vector<Json>> read_conversion(const std::string& answer, const std::string& uid,
                                          const std::string& desired,
                                          const std::vector<Json>& objects) {
  auto review = parse_json(answer);
  if (!review || !review->is_object()) return wrong("failed: the answer is no JSON object");
  if (string_or(*review, "kind") != "ConversionReview") {
    return wrong(fmt::format("failed: expected webhook response of kind ConversionReview, got {}",
                             string_or(*review, "kind")));
  }
  const Json* response = find_member(*review, "response");
  if (!response || !response->is_object()) return wrong("failed: no response provided");
  if (std::string got = string_or(*response, "uid"); got != uid)
    return wrong(fmt::format("failed: expected response.uid=\"{}\", got \"{}\"", uid, got));
  const Json& result = resources::object_of(*response, "result");
  if (std::string status = string_or(result, "status"); status != "Success") {
    std::string message = string_or(result, "message");
    return wrong("failed: " + (message.empty() ? fmt::format("response.result.status was '{}', not "
                                                             "'Success'",
                                                             status)
                                               : message));
  }
  const Json& list = resources::items(*response, "convertedObjects");
  if (list.size() != objects.size()) {
    return wrong(fmt::format("returned {} objects, expected {}", list.size(), objects.size()));
  }
  std::vector<Json> converted;
  for (std::size_t i = 0; i < list.size(); ++i) {
    auto invalid = [&](const std::string& why) {
      return wrong(fmt::format("returned invalid converted object at index {}: {}", i, why));
    };
    Json object = list[i];
    if (!object.is_object()) return invalid("not an object");
    if (std::string got = string_or(object, "apiVersion"); got != desired)
      return invalid(fmt::format("invalid groupVersion (expected {}, received {})", desired, got));
    std::string kind = string_or(objects[i], "kind");
    if (std::string got = string_or(object, "kind"); got != kind)
      return invalid(fmt::format("invalid kind (expected {}, received {})", kind, got));
    if (auto restored = restore_metadata(object, objects[i]); !restored)
      return wrong("returned invalid metadata: " + restored.error().message);
    converted.push_back(std::move(object));
  }
  return converted;
}

ConvertObjects make_converter(asio::any_io_executor io, asio::any_io_executor blocking,
                              Storage& storage, const resources::Registry& registry,
                              RandomSource random) {
  auto converter = std::make_shared<Converter>(std::move(io), std::move(blocking), storage,
                                               registry, std::move(random));
  return [converter](const resources::ResourceDef& to, std::vector<Json> objects) {
    return converter->convert(to, std::move(objects));
  };
}

}  // namespace moth::server
