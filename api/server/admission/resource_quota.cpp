// ResourceQuota. Counting is exact: what was admitted counts from that moment, since nothing
// suspends between this step and the staging of the object, and what is not stored after all is
// given back by release(). Only objects that were staged before a quota of their namespace was
// committed, and are committed after it, are seen late.
#include <fmt/format.h>

#include "api/resources/quota/ledger.h"
#include "api/server/admission/builtin.h"
#include "api/server/admission/step.h"

namespace moth::server {
namespace {

namespace quota = resources::quota;
using resources::ResourceList;
using resources::ResourceQuotaView;

class ResourceQuota final : public Admission {
 public:
  ResourceQuota(Storage& storage, const resources::Registry& registry, const Clock& clock)
      : storage_(storage),
        registry_(registry),
        clock_(clock),
        ledger_([this](const auto& resource, const auto& ns) { return list(resource, ns); },
                [this](const auto& resource) { return watch(resource); }) {
    const auto* quotas = registry.find("", "v1", "resourcequotas");
    for (const ObjectPtr& object : storage.list(*quotas, "").objects)
      ledger_.set_quota(object->ns(), object->name(), object);
    storage.subscribe(*quotas, [this](const StoreEvent& event) {
      bool gone = event.type == EventType::kDeleted;
      ledger_.set_quota(event.object->ns(), event.object->name(), gone ? nullptr : event.object);
    });
  }
  std::string_view name() const override { return "ResourceQuota"; }
  bool reserves() const override { return true; }

  Result<> mutate(const AdmissionRequest&, Json&) override {
    charged_.clear();
    return {};
  }

  Result<> validate(const AdmissionRequest& request, const Json& object) override {
    charged_.clear();
    if (!request.def.namespaced || !ledger_.has_quota(request.ns) || !charges(request)) return {};
    std::string qualified = request.def.qualified();
    const Json* uid = find_path(object, "metadata", "uid");
    if (!uid || !uid->is_string()) return {};
    if (seen_generation_ != registry_.generation()) {
      seen_generation_ = registry_.generation();
      ledger_.resources_changed();
    }
    if (!ledger_.counts(request.ns, qualified)) return {};
    quota::Usage usage = quota::usage_of(request.def.group, request.def.resource, object);
    const quota::Usage* before = ledger_.entry(request.ns, uid->get_ref<const std::string&>());
    for (const ObjectPtr& one : ledger_.quotas(request.ns)) {
      MOTH_TRY(check(request, object, *one, usage, before));
    }
    charged_ = uid->get<std::string>();
    charged_ns_ = request.ns;
    ledger_.charge(qualified, request.ns, charged_, std::move(usage));
    return {};
  }

  void release(const AdmissionRequest&, const Json&) override {
    if (charged_.empty()) return;
    ledger_.undo(charged_ns_, charged_);
    charged_.clear();
  }

 private:
  // What can use more: objects that come, and those whose size may change.
  static bool charges(const AdmissionRequest& request) {
    if (request.operation == Operation::kCreate) return request.subresource.empty();
    if (request.operation != Operation::kUpdate || !request.def.group.empty()) return false;
    if (request.def.resource == "pods") return request.subresource == "resize";
    return request.subresource.empty() &&
           (request.def.resource == "services" || request.def.resource == "persistentvolumeclaims");
  }

  Result<> check(const AdmissionRequest& request, const Json& object, const Object& one,
                 const quota::Usage& usage, const quota::Usage* before) {
    const auto& view = one.view<ResourceQuotaView>();
    if (!quota::matches_scopes(view.scopes, usage.traits)) return {};
    const ResourceList* used = ledger_.used(request.ns, one.name(), clock_.wall());
    if (!used) return {};
    std::vector<std::string> names, exceeded;
    ResourceList requested;
    bool counted_before = before && quota::matches_scopes(view.scopes, before->traits);
    for (const auto& [name, limit] : view.hard) {
      if (quota::counted_resource(name) != request.def.qualified()) continue;
      names.push_back(name);
      auto wanted = usage.amounts.find(name);
      if (wanted == usage.amounts.end()) continue;
      Quantity more = wanted->second;
      if (counted_before) more -= resources::amount(before->amounts, name);
      if (more.sign() <= 0) continue;
      requested[name] = more;
      if (resources::amount(*used, name) + more > limit) exceeded.push_back(name);
    }
    if (usage.traits.is_pod && request.operation == Operation::kCreate) {
      std::string missing = quota::missing_in_pod(names, object);
      if (!missing.empty())
        return refuse(request, fmt::format("failed quota: {}: {}", one.name(), missing));
    }
    if (exceeded.empty()) return {};
    return refuse(
        request, fmt::format("exceeded quota: {}, requested: {}, used: {}, limited: {}", one.name(),
                             quota::printed(requested, exceeded), quota::printed(*used, exceeded),
                             quota::printed(view.hard, exceeded)));
  }

  std::vector<ObjectPtr> list(const std::string& qualified, const std::string& ns) {
    const resources::ResourceDef* def = registry_.find_stored(qualified);
    return def ? storage_.list(*def, ns).objects : std::vector<ObjectPtr>();
  }

  bool watch(const std::string& qualified) {
    const resources::ResourceDef* def = registry_.find_stored(qualified);
    if (!def || !def->namespaced) return false;
    storage_.subscribe(*def, [this, qualified](const StoreEvent& event) {
      const Object& object = *event.object;
      bool gone = event.type == EventType::kDeleted;
      ledger_.change(qualified, object.ns(), object.uid(), gone ? nullptr : &object);
    });
    return true;
  }

  Storage& storage_;
  const resources::Registry& registry_;
  const Clock& clock_;
  quota::Ledger ledger_;
  std::uint64_t seen_generation_ = 0;
  // What the request that is being admitted has charged.
  std::string charged_, charged_ns_;
};

}  // namespace

std::unique_ptr<Admission> make_resource_quota(Storage& storage,
                                               const resources::Registry& registry,
                                               const Clock& clock) {
  return std::make_unique<ResourceQuota>(storage, registry, clock);
}

}  // namespace moth::server
