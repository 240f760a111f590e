#pragma once
// What webhooks and policies share: which requests they are about. Defaults and checks. Internal
// to this folder.
#include "api/base/json_fwd.h"
#include "api/machinery/field_error.h"

namespace moth::resources {

// Each rule of `object[key]` applies to objects of any scope unless it says otherwise.
void default_rules(Json& object, const char* key);
// matchPolicy and both selectors.
void default_matching(Json& object);

// The rules of `object[key]`.
void check_rules(FieldErrors& errors, const Json& object, const char* key, const FieldPath& path);
// namespaceSelector and objectSelector.
void check_selectors(FieldErrors& errors, const Json& object, const FieldPath& path);
// A MatchResources at `path`.
void check_match_resources(FieldErrors& errors, const Json& match, const FieldPath& path);
// webhook.clientConfig: where the webhook is.
void check_client(FieldErrors& errors, const Json& webhook, const FieldPath& parent);
// object.matchConditions.
void check_match_conditions(FieldErrors& errors, const Json& object, const FieldPath& path);

}  // namespace moth::resources
