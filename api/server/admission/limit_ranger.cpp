// LimitRanger (k8s-behaviours 16.2). All LimitRanges of the namespace apply, each by itself.
#include <fmt/format.h>

#include <algorithm>

#include "api/resources/core_v1/limit_range_view.h"
#include "api/resources/core_v1/resource_list.h"
#include "api/resources/edit.h"
#include "api/server/admission/builtin.h"
#include "api/server/admission/step.h"

namespace moth::server {
namespace {

using resources::LimitItem;
using resources::LimitRangeView;
using resources::ResourceList;

constexpr const char* kAnnotation = "kubernetes.io/limit-ranger";

struct Amounts {
  ResourceList requests, limits;
};

Amounts amounts_of(const Json& owner) {
  return {resources::parse_resource_list(find_path(owner, "resources", "requests")),
          resources::parse_resource_list(find_path(owner, "resources", "limits"))};
}

const Quantity* find(const ResourceList& list, const std::string& name) {
  auto it = list.find(name);
  return it == list.end() ? nullptr : &it->second;
}

// The violations of one request, in upstream's words.
class Violations {
 public:
  explicit Violations(const char* type) : type_(type) {}

  void at_least(const ResourceList& minimum, const Amounts& given) {
    for (const auto& [name, bound] : minimum) {
      const Quantity* request = find(given.requests, name);
      const Quantity* limit = find(given.limits, name);
      std::string head =
          fmt::format("minimum {} usage per {} is {}", name, type_, bound.to_string());
      if (!request) {
        add(head + ".  No request is specified");
      } else if (*request < bound) {
        add(fmt::format("{}, but request is {}", head, request->to_string()));
      } else if (limit && *limit < bound) {
        add(fmt::format("{}, but limit is {}", head, limit->to_string()));
      }
    }
  }

  void at_most(const ResourceList& maximum, const Amounts& given) {
    for (const auto& [name, bound] : maximum) {
      const Quantity* request = find(given.requests, name);
      const Quantity* limit = find(given.limits, name);
      std::string head =
          fmt::format("maximum {} usage per {} is {}", name, type_, bound.to_string());
      if (!limit) {
        add(head + ".  No limit is specified");
      } else if (*limit > bound) {
        add(fmt::format("{}, but limit is {}", head, limit->to_string()));
      } else if (request && *request > bound) {
        add(fmt::format("{}, but request is {}", head, request->to_string()));
      }
    }
  }

  // Claims have requests alone.
  void request_at_most(const ResourceList& maximum, const Amounts& given) {
    for (const auto& [name, bound] : maximum) {
      const Quantity* request = find(given.requests, name);
      std::string head =
          fmt::format("maximum {} usage per {} is {}", name, type_, bound.to_string());
      if (!request) {
        add(head + ".  No request is specified");
      } else if (*request > bound) {
        add(fmt::format("{}, but request is {}", head, request->to_string()));
      }
    }
  }

  void ratio_at_most(const ResourceList& ratios, const Amounts& given) {
    for (const auto& [name, bound] : ratios) {
      const Quantity* request = find(given.requests, name);
      const Quantity* limit = find(given.limits, name);
      std::string head =
          fmt::format("{} max limit to request ratio per {} is {}", name, type_, bound.to_string());
      if (!request || request->is_zero()) {
        add(head + ", but no request is specified or request is 0");
      } else if (!limit || limit->is_zero()) {
        add(head + ", but no limit is specified or limit is 0");
      } else if (double ratio = limit->as_double() / request->as_double();
                 ratio > bound.as_double()) {
        add(fmt::format("{}, but provided ratio is {:.6f}", head, ratio));
      }
    }
  }

  const std::vector<std::string>& texts() const { return texts_; }

 private:
  void add(std::string text) { texts_.push_back(std::move(text)); }
  const char* type_;
  std::vector<std::string> texts_;
};

void append(std::vector<std::string>& all, const Violations& more) {
  for (const std::string& text : more.texts()) {
    if (std::find(all.begin(), all.end(), text) == all.end()) all.push_back(text);
  }
}

// Puts in what `defaults` has and `given` has not; the names, for the annotation.
std::string put_in(Json& container, const char* which, const ResourceList& defaults) {
  std::string names;
  if (defaults.empty()) return names;
  Json& given = resources::object_at(resources::object_at(container, "resources"), which);
  for (const auto& [name, quantity] : defaults) {
    if (given.contains(name)) continue;
    given[name] = quantity.to_string();
    names += (names.empty() ? "" : ", ") + name;
  }
  return names;
}

void set_container_defaults(Json& pod, const LimitItem& item, std::vector<std::string>& notes) {
  for (const auto& [list, word] :
       {std::pair{"containers", "container"}, std::pair{"initContainers", "init container"}}) {
    resources::edit_items(pod["spec"], list, [&](Json& container) {
      std::string name = string_or(container, "name");
      std::string requests = put_in(container, "requests", item.default_request);
      std::string limits = put_in(container, "limits", item.default_limit);
      if (!requests.empty())
        notes.push_back(fmt::format("{} request for {} {}", requests, word, name));
      if (!limits.empty()) notes.push_back(fmt::format("{} limit for {} {}", limits, word, name));
    });
  }
}

void check_pod(const Json& pod, const LimitItem& item, std::vector<std::string>& all) {
  const Json& spec = resources::object_of(pod, "spec");
  auto check = [&](const char* type, const Amounts& given) {
    Violations found(type);
    found.at_least(item.min, given);
    found.at_most(item.max, given);
    found.ratio_at_most(item.max_ratio, given);
    append(all, found);
  };
  if (item.type == LimitItem::Type::kContainer) {
    for (const char* list : {"containers", "initContainers"}) {
      for (const Json& container : resources::items(spec, list))
        check("Container", amounts_of(container));
    }
  } else if (item.type == LimitItem::Type::kPod) {
    check("Pod", {resources::pod_requests(spec), resources::pod_limits(spec)});
  }
}

void check_claim(const Json& claim, const LimitItem& item, std::vector<std::string>& all) {
  if (item.type != LimitItem::Type::kClaim) return;
  Amounts given{resources::parse_resource_list(find_path(claim, "spec", "resources", "requests")),
                {}};
  Violations found("PersistentVolumeClaim");
  found.at_least(item.min, given);
  found.request_at_most(item.max, given);
  append(all, found);
}

class LimitRanger final : public Admission {
 public:
  LimitRanger(Storage& storage, const resources::Registry& registry)
      : storage_(storage), ranges_(registry.find("", "v1", "limitranges")) {}
  std::string_view name() const override { return "LimitRanger"; }

  Result<> mutate(const AdmissionRequest& request, Json& pod) override {
    if (!is_pod_create(request)) return {};
    std::vector<std::string> notes;
    for (const ObjectPtr& range : storage_.list(*ranges_, request.ns).objects) {
      for (const LimitItem& item : range->view<LimitRangeView>().limits) {
        if (item.type == LimitItem::Type::kContainer) set_container_defaults(pod, item, notes);
      }
    }
    if (!notes.empty()) {
      resources::object_at(pod["metadata"], "annotations")[kAnnotation] =
          "LimitRanger plugin set: " + resources::join(notes, "; ");
    }
    return {};
  }

  Result<> validate(const AdmissionRequest& request, const Json& object) override {
    bool pod = is_pod_create(request) ||
               (request.operation == Operation::kUpdate && request.subresource == "resize" &&
                is_resource(request, "", "pods"));
    bool claim = is_resource(request, "", "persistentvolumeclaims") &&
                 request.operation != Operation::kDelete && request.subresource.empty();
    if (!pod && !claim) return {};
    std::vector<std::string> all;
    for (const ObjectPtr& range : storage_.list(*ranges_, request.ns).objects) {
      for (const LimitItem& item : range->view<LimitRangeView>().limits) {
        if (pod) check_pod(object, item, all);
        if (claim) check_claim(object, item, all);
      }
    }
    if (all.empty()) return {};
    if (all.size() == 1) return refuse(request, all.front());
    return refuse(request, "[" + resources::join(all, ", ") + "]");
  }

 private:
  Storage& storage_;
  const resources::ResourceDef* ranges_;
};

}  // namespace

std::unique_ptr<Admission> make_limit_ranger(Storage& storage,
                                             const resources::Registry& registry) {
  return std::make_unique<LimitRanger>(storage, registry);
}

}  // namespace moth::server
