// Admission by webhooks. They suspend, while a write must not between reading and staging. So they
// are asked first, about the object as it would be written now; then everything is done again from
// the newest version without a suspension, and if that is not what they were asked about, they are
// asked again. Built-in steps that take something (addresses, quota) run the second time only.
#include <fmt/format.h>

#include <algorithm>

#include "api/base/json.h"
#include "api/schema/decode.h"
#include "api/server/pipeline.h"
#include "api/server/pipeline_approval.h"

namespace moth::server {
namespace {

// The world changed so often while webhooks thought [upstream's update retries alike].
constexpr int kTries = 5;

const resources::ResourceDef& row_of(const resources::ResourceDef& def) {
  return def.custom ? def : *def.storage_def;
}

std::string name_in(const Json& object, const std::string& otherwise) {
  const Json* name = find_path(object, "metadata", "name");
  return name && name->is_string() ? name->get<std::string>() : otherwise;
}

Error changed_too_often(const Target& target) {
  return Error::conflict(target.def->qualified(), target.name,
                         "it was changed again and again while webhooks were asked; please try "
                         "again");
}

// Steps run more than once and would repeat their warnings.
void drop_repeated(std::vector<std::string>& warnings) {
  std::vector<std::string> kept;
  for (std::string& text : warnings) {
    if (std::find(kept.begin(), kept.end(), text) == kept.end()) kept.push_back(std::move(text));
  }
  warnings = std::move(kept);
}

}  // namespace

bool Pipeline::concerns_remote(const Target& target, Operation operation,
                               RequestContext& context) const {
  if (!remote_) return false;
  AdmissionRequest request{row_of(*target.def), operation, target.ns, target.name,
                           target.subresource,  nullptr,   context,   target.def};
  return remote_->concerns(request);
}

Result<> Pipeline::rehearse(const AdmissionRequest& request, Json& object, bool mutate) {
  for (auto& step : admission_) {
    if (step->reserves()) continue;
    auto verdict = mutate ? step->mutate(request, object) : step->validate(request, object);
    if (!verdict) return verdict;
  }
  return {};
}

// What a webhook answered, as if a client had sent it: pruned, defaulted, and without changes of
// what this request may not change.
Result<Json> Pipeline::normalise(const Target& target, Json object, const Json* old,
                                 RequestContext& context) const {
  const resources::ResourceDef& def = *target.def;
  Json wanted = def.is_storage() ? std::move(object) : def.from_storage(object);
  std::string validation = std::exchange(context.field_validation, "Ignore");
  auto done = [&]() -> Result<Json> {
    if (old) return merge_for_update(target, *old, std::move(wanted), context);
    MOTH_ASSIGN(Json decoded, decode(def, std::move(wanted), context));
    if (def.set_defaults) def.set_defaults(decoded);
    if (!def.is_storage()) decoded = def.to_storage(decoded);
    if (row_of(def).prepare_create) row_of(def).prepare_create(decoded);
    return decoded;
  }();
  context.field_validation = std::move(validation);
  return done;
}

Task<Result<Json>> Pipeline::ask_remote(const Target& target, Operation operation, Json object,
                                        const Json* old, RequestContext& context) {
  const resources::ResourceDef& row = row_of(*target.def);
  std::string name = name_in(object, target.name);
  AdmissionRequest request{row, operation, target.ns, name, target.subresource,
                           old, context,   target.def};
  RemoteRun run;
  for (int round = 0; round < 2; ++round) {
    MOTH_CO_TRY(rehearse(request, object, true));
    run.second = round == 1;
    MOTH_CO_ASSIGN(bool changed, co_await remote_->mutate(request, object, run));
    if (!changed) break;
    MOTH_CO_ASSIGN(object, normalise(target, std::move(object), old, context));
    // The built-in steps are done with what the webhooks made; those then see it, too.
    if (round == 1) MOTH_CO_TRY(rehearse(request, object, true));
  }
  if (row.set_defaults) row.set_defaults(object);
  if (old) {
    MOTH_CO_TRY(validate_change(row, target.subresource, object, *old));
  } else {
    MOTH_CO_TRY(validate(row, object, nullptr));
  }
  MOTH_CO_TRY(rehearse(request, object, false));
  MOTH_CO_TRY(co_await remote_->validate(request, object));
  co_return object;
}

Task<Result<StagedWritePtr>> Pipeline::stage_new_remotely(const Target& target, Json object,
                                                          RequestContext& context) {
  const resources::ResourceDef& def = *target.def;
  const resources::ResourceDef& row = row_of(def);
  if (def.set_defaults) def.set_defaults(object);
  if (!def.is_storage()) object = def.to_storage(object);
  if (row.prepare_create) row.prepare_create(object);
  for (int attempt = 0; attempt < kTries; ++attempt) {
    MOTH_CO_ASSIGN(Json agreed,
                   co_await ask_remote(target, Operation::kCreate, object, nullptr, context));
    Approval approval{agreed};
    auto staged = stage_new(target, std::move(agreed), context, &approval);
    drop_repeated(context.warnings);
    if (!approval.stale) co_return staged;
  }
  co_return fail(changed_too_often(target));
}

Task<Result<WriteResult>> Pipeline::change_remotely(
    Target target, std::function<Result<Json>(const Json& current)> edit, RequestContext& context) {
  const resources::ResourceDef& def = *target.def;
  for (int attempt = 0; attempt < kTries; ++attempt) {
    ObjectPtr current = storage_.latest(def, target.ns, target.name);
    if (!current) co_return fail(Error::not_found(def.qualified(), target.name));
    const Json old = current->parse();
    MOTH_CO_ASSIGN(Json wanted, edit(to_version(def, current)->parse()));
    MOTH_CO_ASSIGN(Json merged, merge_for_update(target, old, std::move(wanted), context));
    MOTH_CO_ASSIGN(Json agreed, co_await ask_remote(target, Operation::kUpdate, std::move(merged),
                                                    &old, context));
    ObjectPtr newest = storage_.latest(def, target.ns, target.name);
    bool same = newest && newest->uid() == current->uid() &&
                newest->meta().resource_version == current->meta().resource_version;
    if (!same) continue;
    Approval approval{agreed};
    bool removed = false;
    auto staged = stage_changed(target, newest, std::move(agreed), context, removed, &approval);
    drop_repeated(context.warnings);
    if (approval.stale) continue;
    if (!staged) co_return fail(staged.error());
    ObjectPtr written = (*staged)->object();
    MOTH_CO_TRY(co_await (*staged)->committed());
    co_return WriteResult{to_version(def, written), false};
  }
  co_return fail(changed_too_often(target));
}

// The object may change meanwhile, but not become another.
Task<Result<>> Pipeline::ask_about_delete(const Target& target, RequestContext& context) {
  const resources::ResourceDef& def = *target.def;
  for (int attempt = 0; attempt < kTries; ++attempt) {
    ObjectPtr current = storage_.latest(def, target.ns, target.name);
    if (!current) co_return fail(Error::not_found(def.qualified(), target.name));
    const Json old = current->parse();
    Json none = Json::object();
    AdmissionRequest request{
        row_of(def), Operation::kDelete, target.ns, target.name, target.subresource, &old, context,
        &def};
    MOTH_CO_TRY(rehearse(request, none, false));
    RemoteRun run;
    MOTH_CO_TRY(co_await remote_->mutate(request, none, run));
    MOTH_CO_TRY(co_await remote_->validate(request, none));
    ObjectPtr newest = storage_.latest(def, target.ns, target.name);
    if (!newest || newest->uid() == current->uid()) co_return Result<>{};
  }
  co_return fail(changed_too_often(target));
}

Task<Result<>> Pipeline::admit_connect(Target target, Json options, RequestContext& context) {
  if (!concerns_remote(target, Operation::kConnect, context)) co_return Result<>{};
  auto rows = registry_.snapshot();
  AdmissionRequest request{row_of(*target.def),
                           Operation::kConnect,
                           target.ns,
                           target.name,
                           target.subresource,
                           nullptr,
                           context,
                           target.def};
  RemoteRun run;
  MOTH_CO_TRY(co_await remote_->mutate(request, options, run));
  co_return co_await remote_->validate(request, options);
}

}  // namespace moth::server
