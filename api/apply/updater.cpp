#include "api/apply/updater.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>
#include <vector>

#include "api/apply/typed.h"
#include "api/base/json.h"
#include "api/machinery/json_text.h"

namespace moth::apply {
namespace {

constexpr const char* kBeforeFirstApply = "before-first-apply";
constexpr const char* kLastApplied = "kubectl.kubernetes.io/last-applied-configuration";

// What no manager owns, in field sets of applied configurations.
const Json& never_owned() {
  static const Json kSet = [] {
    Json set = {{"f:apiVersion", Json::object()}, {"f:kind", Json::object()}};
    Json metadata = {{".", Json::object()}};
    for (const char* name : {"name", "namespace", "creationTimestamp", "selfLink", "uid",
                             "clusterName", "generation", "managedFields", "resourceVersion"}) {
      metadata["f:" + std::string(name)] = Json::object();
    }
    set["f:metadata"] = std::move(metadata);
    return set;
  }();
  return kSet;
}

// How two objects differ in each version that some entry speaks.
class Differences {
 public:
  Differences(const Job& job, const Json& before, const Json& after)
      : job_(job), before_(before), after_(after) {
    made_.emplace(job.writer.api_version, compare(job.type, before, after, job.ignored));
  }

  const Comparison& here() const { return made_.at(job_.writer.api_version); }

  // Null when the version is served no more.
  const Comparison* in(const std::string& version) {
    if (auto found = made_.find(version); found != made_.end()) return &found->second;
    schema::Type type = job_.versions ? job_.versions->type(version) : schema::Type();
    if (!type) return nullptr;
    auto convert = [&](const Json& object) {
      return object.empty() ? object
                            : job_.versions->convert(object, job_.writer.api_version, version);
    };
    Comparison made = compare(type, convert(before_), convert(after_), job_.ignored);
    return &made_.emplace(version, std::move(made)).first->second;
  }

 private:
  const Job& job_;
  const Json& before_;
  const Json& after_;
  std::map<std::string, Comparison> made_;
};

void drop_empty(Json& managed) {
  for (auto entry = managed.begin(); entry != managed.end();) {
    // Text that nobody has looked at was not empty and still is not.
    bool untouched = entry->contains("fieldsV1") && (*entry)["fieldsV1"].is_binary();
    bool empty = !untouched && fields_of(*entry).empty();
    entry = empty ? managed.erase(entry) : std::next(entry);
  }
}

// Takes what has changed or gone from every entry but `self`'s; entries of versions that are served
// no more go.
void take_from_others(Json& managed, const Json* self, Differences& differences) {
  std::vector<bool> lost(managed.size(), false);
  for (std::size_t i = 0; i < managed.size(); ++i) {
    Json& entry = managed[i];
    if (&entry == self) continue;
    const Comparison* different = differences.in(entry_text(entry, "apiVersion"));
    if (!different) {
      lost[i] = true;
      continue;
    }
    for (const Json* taken :
         {different->modified.get(), different->added.get(), different->removed.get()}) {
      if (!taken->empty() && may_have(entry, *taken)) subtract(fields_of(entry), *taken);
    }
  }
  for (std::size_t i = managed.size(); i-- > 0;) {
    if (lost[i]) managed.erase(i);
  }
}

Json new_entry(const Writer& writer, Json fields) {
  Json entry = {{"manager", writer.manager},
                {"operation", writer.operation == Operation::kApply ? "Apply" : "Update"},
                {"apiVersion", writer.api_version},
                {"time", writer.time},
                {"fieldsType", "FieldsV1"},
                {"fieldsV1", std::move(fields)}};
  if (!writer.subresource.empty()) entry["subresource"] = writer.subresource;
  return entry;
}

// One field of somebody else that an apply would change.
struct Clash {
  std::string manager, operation, version, subresource;  // of the other
  std::string path;

  auto who() const { return std::tie(manager, operation, version, subresource); }
  std::string owner() const {
    std::string text = Json(manager).dump(-1, ' ', false, Json::error_handler_t::replace);
    if (!subresource.empty()) text += fmt::format(" with subresource \"{}\"", subresource);
    if (operation == "Update") text += fmt::format(" using {}", version);
    return text;
  }
};

Error conflict_error(const std::vector<Clash>& clashes) {
  Error error = Error::of(Reason::kConflict, "");
  for (const Clash& clash : clashes) {
    error.causes.push_back({"FieldManagerConflict", "conflict with " + clash.owner(), clash.path});
  }
  if (clashes.size() == 1) {
    error.message = fmt::format("Apply failed with 1 conflict: conflict with {}: {}",
                                clashes[0].owner(), clashes[0].path);
    return error;
  }
  error.message = fmt::format("Apply failed with {} conflicts: ", clashes.size());
  for (std::size_t i = 0; i < clashes.size(); ++i) {
    if (i > 0) error.message += '\n';
    if (i == 0 || clashes[i].who() != clashes[i - 1].who())
      error.message += fmt::format("conflicts with {}:\n", clashes[i].owner());
    error.message += "- " + clashes[i].path;
  }
  return error;
}

// One apply, on copies until it has succeeded.
class Apply {
 public:
  Apply(const Job& job, const Json& live, const Json& config, Json managed)
      : job_(job), live_(live), config_(config), managed_(std::move(managed)) {}

  // Nothing is left of what it was called on.
  std::vector<Clash> run(bool force, const Json* allowed) {
    if (managed_.empty() && !live_.empty()) own_what_was_there();
    set_ = field_set(job_.type, config_);
    subtract(set_, never_owned());
    if (job_.ignored) subtract_trees(set_, *job_.ignored);
    Json* entry = find_entry(managed_, job_.writer);
    Json last = entry ? fields_of(*entry) : Json::object();
    std::string last_version = entry ? entry_text(*entry, "apiVersion") : "";
    if (entry) managed_.erase(static_cast<std::size_t>(entry - &managed_[0]));
    merged_ = merge(job_.type, live_, config_);
    if (!is_subset(last, set_) || last_version != job_.writer.api_version)
      prune(last, last_version);
    Differences differences(job_, live_, merged_);
    if (!force) {
      if (auto clashes = find_clashes(differences, allowed); !clashes.empty()) return clashes;
    }
    take_from_others(managed_, nullptr, differences);
    drop_empty(managed_);
    if (!set_.empty()) managed_.push_back(new_entry(job_.writer, std::move(set_)));
    sort_entries(managed_);
    return {};
  }

  Json& merged() { return merged_; }
  Json& managed() { return managed_; }

 private:
  // Objects that nobody tracked so far.
  void own_what_was_there() {
    Writer before = job_.writer;
    before.manager = kBeforeFirstApply;
    before.operation = Operation::kUpdate;
    Json fields = compare(job_.type, Json::object(), live_, job_.ignored).changed();
    if (!fields.empty()) managed_.push_back(new_entry(before, std::move(fields)));
  }

  std::vector<Clash> find_clashes(Differences& differences, const Json* allowed) {
    std::vector<Clash> clashes;
    for (Json& entry : managed_) {
      const Comparison* different = differences.in(entry_text(entry, "apiVersion"));
      if (!different) continue;
      Json taken = intersect(fields_of(entry), different->changed());
      if (allowed) subtract(taken, *allowed);
      for_each_path(taken, [&](const std::string& path) {
        clashes.push_back({entry_text(entry, "manager"), entry_text(entry, "operation"),
                           entry_text(entry, "apiVersion"), entry_text(entry, "subresource"),
                           path});
      });
    }
    std::stable_sort(clashes.begin(), clashes.end(),
                     [](const Clash& a, const Clash& b) { return a.who() < b.who(); });
    return clashes;
  }

  Json convert(const Json& object, std::string_view from, std::string_view to) const {
    return from == to || object.empty() ? object : job_.versions->convert(object, from, to);
  }
  schema::Type type_in(std::string_view version) const {
    if (version == job_.writer.api_version) return job_.type;
    return job_.versions ? job_.versions->type(version) : schema::Type();
  }

  // Removes what the manager applied before and applies no more, unless others own it.
  void prune(const Json& last, const std::string& version) {
    schema::Type type = type_in(version);
    if (last.empty() || !type) return;
    const std::string& here = job_.writer.api_version;
    Json merged = convert(merged_, here, version);
    Json named_last = with_named_fields(type, last);
    Json pruned = remove_items(type, merged, named_last);
    pruned = add_back_owned(merged, std::move(pruned), version);
    // What nobody owns, or a member of something removed that the manager never owned, stays.
    Json before = with_named_fields(type, field_set(type, merged));
    subtract(before, with_named_fields(type, field_set(type, pruned)));
    merged_ = convert(remove_items(type, merged, intersect(before, named_last)), version, here);
  }

  // Gives back what other entries, and the new configuration, own.
  Json add_back_owned(const Json& merged, Json pruned, const std::string& pruned_version) {
    std::map<std::string, Json> owned;
    for (Json& entry : managed_)
      unite(owned.emplace(entry_text(entry, "apiVersion"), Json::object()).first->second,
            fields_of(entry));
    unite(owned.emplace(job_.writer.api_version, Json::object()).first->second, set_);
    auto give_back = [&](const std::string& version, const Json& fields) {
      schema::Type type = type_in(version);
      if (!type) return;
      Json whole = convert(merged, pruned_version, version);
      Json part = convert(pruned, pruned_version, version);
      Json without = with_named_fields(type, field_set(type, whole));
      subtract(without, with_named_fields(type, field_set(type, part)));
      subtract(without, with_named_fields(type, fields));
      pruned = convert(remove_items(type, whole, without), version, pruned_version);
    };
    // First in the version of what was pruned: conversions may need fields that it lacks.
    if (auto first = owned.find(pruned_version); first != owned.end()) {
      give_back(pruned_version, first->second);
      owned.erase(first);
    }
    for (const auto& [version, fields] : owned) give_back(version, fields);
    return pruned;
  }

  const Job& job_;
  const Json& live_;
  const Json& config_;
  Json managed_;
  Json set_, merged_;
};

const Json* last_applied(const Json& object) {
  const Json* text = find_path(object, "metadata", "annotations", kLastApplied);
  return text && text->is_string() && !text->get_ref<const std::string&>().empty() ? text : nullptr;
}

// The fields that kubectl's client-side apply has set and that still hold what it set: taking them
// over is no conflict.
std::optional<Json> allowed_by_last_applied(const Job& job, const Json& live) {
  const Json* text = last_applied(live);
  if (!text) return std::nullopt;
  auto applied = parse_json(text->get_ref<const std::string&>());
  if (!applied || !applied->is_object()) return std::nullopt;
  if (string_or(*applied, "apiVersion") != job.writer.api_version) return std::nullopt;
  Json fields = field_set(job.type, *applied);
  Comparison different = compare(job.type, *applied, live);
  subtract(fields, *different.modified);
  subtract(fields, *different.added);
  subtract(fields, *different.removed);
  return fields;
}

// An object that client-side apply has annotated keeps telling it what was applied last.
void renew_last_applied(const Json& config, Json& object) {
  constexpr std::size_t kMaxAnnotationBytes = 256u << 10;
  if (!last_applied(object)) return;
  Json applied = config;
  if (Json* metadata = applied.contains("metadata") ? &applied["metadata"] : nullptr) {
    metadata->erase("managedFields");
    if (metadata->contains("annotations") && (*metadata)["annotations"].is_object())
      (*metadata)["annotations"].erase(kLastApplied);
  }
  std::string text = dump_json(applied) + "\n";
  Json& annotations = object["metadata"]["annotations"];
  std::size_t total = text.size();
  for (const auto& [key, value] : annotations.items()) {
    total += key.size();
    if (key != kLastApplied && value.is_string())
      total += value.get_ref<const std::string&>().size();
  }
  if (total > kMaxAnnotationBytes) {
    annotations.erase(kLastApplied);
  } else {
    annotations[kLastApplied] = std::move(text);
  }
}

Error fault_error(const Job& job, const Json& config, const std::vector<std::string>& faults) {
  std::string all = faults[0];
  if (faults.size() > 1) {
    all = "errors:";
    for (const std::string& fault : faults) all += "\n  " + fault;
  }
  auto text = [&](const char* field) {
    const Json* value = find_path(config, "metadata", field);
    return value && value->is_string() ? value->get<std::string>() : std::string();
  };
  // As Go prints a GroupVersionKind: the core group leaves an empty name before the slash.
  std::string version = job.writer.api_version;
  if (version.find('/') == std::string::npos) version = "/" + version;
  return Error::of(
      Reason::kInternalError,
      fmt::format("failed to create typed patch object ({}/{}; {}, Kind={}): {}", text("namespace"),
                  text("name"), version, job.type.short_name(), all));
}

}  // namespace

bool track_update(const Job& job, const Json& before, const Json& after, Json& managed) {
  Differences differences(job, before, after);
  const Comparison& here = differences.here();
  if (here.same()) return false;
  Json* self = find_entry(managed, job.writer);
  // Only take_from_others() moves entries, so the writer's own is dealt with first.
  if (self) {
    Json& fields = fields_of(*self);
    subtract(fields, *here.removed);
    unite(fields, *here.modified);
    unite(fields, *here.added);
  }
  bool takes = !here.added->empty() || !here.modified->empty();
  if (self && takes) (*self)["time"] = job.writer.time;
  bool fresh = !self && takes;
  take_from_others(managed, self, differences);
  drop_empty(managed);
  if (fresh) managed.push_back(new_entry(job.writer, here.changed()));
  cap_updates(managed);
  sort_entries(managed);
  return true;
}

Result<> check_config(const Job& job, const Json& config) {
  if (auto faults = find_faults(job.type, config); !faults.empty())
    return fail(fault_error(job, config, faults));
  return {};
}

Result<Json> apply_config(const Job& job, const Json& live, const Json& config, bool force,
                          Json& managed) {
  bool kubectl = job.writer.manager == "kubectl";
  std::optional<Apply> apply(std::in_place, job, live, config, managed);
  std::vector<Clash> clashes = apply->run(force, nullptr);
  if (!clashes.empty()) {
    auto allowed = kubectl ? allowed_by_last_applied(job, live) : std::nullopt;
    if (!allowed) return fail(conflict_error(clashes));
    apply.emplace(job, live, config, managed);
    clashes = apply->run(false, &*allowed);
    if (!clashes.empty()) return fail(conflict_error(clashes));
  }
  managed = std::move(apply->managed());
  Json merged = std::move(apply->merged());
  if (kubectl) renew_last_applied(config, merged);
  return merged;
}

}  // namespace moth::apply
