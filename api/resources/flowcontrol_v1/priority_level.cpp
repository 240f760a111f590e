#include <fmt/format.h>

#include <cmath>

#include "api/base/json.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/edit.h"
#include "api/resources/flowcontrol_v1/rows.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

constexpr std::int64_t kMaxQueues = 10'000'000;
constexpr int kMaxEntropyBits = 60;

void default_shares(Json& level, std::int64_t shares) {
  default_to(level, "nominalConcurrencyShares", shares);
  default_to(level, "lendablePercent", 0);
}

void set_defaults(Json& object) {
  Json& spec = object_at(object, "spec");
  if (string_or(spec, "type") == "Exempt") default_shares(object_at(spec, "exempt"), 0);
  Json* limited = member(spec, "limited");
  if (!limited) return;
  default_shares(*limited, 30);
  Json* response = member(*limited, "limitResponse");
  Json* queuing = response ? member(*response, "queuing") : nullptr;
  if (!queuing) return;
  default_number(*queuing, "handSize", 8);
  default_number(*queuing, "queues", 64);
  default_number(*queuing, "queueLengthLimit", 50);
}

void check_queuing(FieldErrors& errors, const Json& queuing, const FieldPath& path) {
  std::int64_t queues = int_or(queuing, "queues");
  std::int64_t hand = int_or(queuing, "handSize");
  std::int64_t length = int_or(queuing, "queueLengthLimit");
  if (length <= 0) {
    errors.push_back(
        FieldError::invalid(path.child("queueLengthLimit"), length, "must be positive"));
  }
  if (queues <= 0) {
    errors.push_back(FieldError::invalid(path.child("queues"), queues, "must be positive"));
  } else if (queues > kMaxQueues) {
    errors.push_back(FieldError::invalid(path.child("queues"), queues,
                                         fmt::format("must not be greater than {}", kMaxQueues)));
  }
  FieldPath at = path.child("handSize");
  if (hand <= 0) {
    errors.push_back(FieldError::invalid(at, hand, "must be positive"));
  } else if (hand > queues) {
    errors.push_back(FieldError::invalid(
        at, hand, fmt::format("should not be greater than queues ({})", queues)));
  } else if (std::ceil(std::log2(static_cast<double>(queues)) * static_cast<double>(hand)) >
             kMaxEntropyBits) {
    errors.push_back(FieldError::invalid(
        at, hand,
        fmt::format("required entropy bits of deckSize {} and handSize {} should not be greater "
                    "than {}",
                    queues, hand, kMaxEntropyBits)));
  }
}

void check_response(FieldErrors& errors, const Json& response, const FieldPath& path) {
  std::string type = string_or(response, "type");
  const Json* queuing = member(response, "queuing");
  if (type == "Reject") {
    if (queuing) {
      errors.push_back(FieldError::forbidden(
          path.child("queuing"), "must be nil if limited.limitResponse.type is not Limited"));
    }
  } else if (type == "Queue") {
    if (queuing) {
      check_queuing(errors, *queuing, path.child("queuing"));
    } else {
      errors.push_back(FieldError::required(
          path.child("queuing"), "must not be empty if limited.limitResponse.type is Limited"));
    }
  } else {
    errors.push_back(FieldError::not_supported(path.child("type"), type, {"Queue", "Reject"}));
  }
}

void check_shares(FieldErrors& errors, const Json& level, const FieldPath& path) {
  std::int64_t shares = int_or(level, "nominalConcurrencyShares");
  if (shares < 0) {
    errors.push_back(FieldError::invalid(path.child("nominalConcurrencyShares"), shares,
                                         "must be a non-negative integer"));
  }
  check_range(errors, level, "lendablePercent", path, 0, 100);
}

void check_limited(FieldErrors& errors, const Json& level, const FieldPath& path) {
  check_shares(errors, level, path);
  check_response(errors, object_of(level, "limitResponse"), path.child("limitResponse"));
  const Json* borrowing = member(level, "borrowingLimitPercent");
  if (borrowing && borrowing->is_number_integer() && *borrowing < 0) {
    errors.push_back(FieldError::invalid(path.child("borrowingLimitPercent"), *borrowing,
                                         "if specified, must be a non-negative integer"));
  }
}

FieldErrors validate(const Json& object) {
  FieldErrors errors;
  const Json& spec = object_of(object, "spec");
  FieldPath path("spec");
  std::string type = string_or(spec, "type");
  if ((name_cell(object) == "exempt") != (type == "Exempt")) {
    errors.push_back(FieldError::invalid(path.child("type"), type,
                                         "type must be 'Exempt' if and only if name is 'exempt'"));
  }
  const Json* limited = member(spec, "limited");
  const Json* exempt = member(spec, "exempt");
  if (type == "Exempt") {
    if (limited) {
      errors.push_back(
          FieldError::forbidden(path.child("limited"), "must be nil if the type is not Limited"));
    }
    if (exempt) check_shares(errors, *exempt, path.child("exempt"));
  } else if (type == "Limited") {
    if (exempt) {
      errors.push_back(
          FieldError::forbidden(path.child("exempt"), "must be nil if the type is Limited"));
    }
    if (limited) {
      check_limited(errors, *limited, path.child("limited"));
    } else {
      errors.push_back(
          FieldError::required(path.child("limited"), "must not be empty when type is Limited"));
    }
  } else {
    errors.push_back(FieldError::not_supported(path.child("type"), type, {"Exempt", "Limited"}));
  }
  return errors;
}

std::string number_cell(const Json& object, const char* key) {
  return has(object, key) ? std::to_string(int_or(object, key)) : "<none>";
}

Json cells(const Json& object, const RowContext& context) {
  const Json& spec = object_of(object, "spec");
  const Json& limited = object_of(spec, "limited");
  const Json& level = limited.empty() ? object_of(spec, "exempt") : limited;
  const Json& queuing = object_of(object_of(limited, "limitResponse"), "queuing");
  return Json::array({name_cell(object), string_or(spec, "type"),
                      number_cell(level, "nominalConcurrencyShares"),
                      number_cell(queuing, "queues"), number_cell(queuing, "handSize"),
                      number_cell(queuing, "queueLengthLimit"), age_cell(object, context)});
}

}  // namespace

ResourceDef priority_level_configurations() {
  ResourceDef row = row_of("flowcontrol.apiserver.k8s.io", "v1", "prioritylevelconfigurations",
                           "prioritylevelconfiguration", "PriorityLevelConfiguration",
                           "flowcontrol.v1.PriorityLevelConfiguration");
  row.namespaced = false;
  row.subresources = {own_subresource(row, "status")};
  row.allow_unconditional_update = false;
  row.has_generation = true;
  row.set_defaults = set_defaults;
  row.prepare_create = [](Json& object) { object["status"] = Json::object(); };
  row.validate = validate;
  row.columns =
      columns({column("Name", "Name of the level"), column("Type", "Limited or Exempt"),
               column("NominalConcurrencyShares", "Its share of the requests served at a time"),
               column("Queues", "Queues of waiting requests"),
               column("HandSize", "Queues that one flow is dealt"),
               column("QueueLengthLimit", "Requests that may wait in a queue"),
               column("Age", "Time since creation")});
  row.row = cells;
  return row;
}

}  // namespace moth::resources
