#pragma once
// Columns and cells that many kinds print. Pure functions.
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/json_fwd.h"
#include "api/resources/registry.h"

namespace moth::resources {

// One column; `name` gets format "name" when it is the first of the list.
Column column(std::string name, std::string description, std::string type = "string",
              int priority = 0);
std::vector<Column> columns(std::initializer_list<Column> list);

std::string name_cell(const Json& object);
// Time since creation, `<unknown>` without a creation time.
std::string age_cell(const Json& object, const RowContext& context);
// The age of a time given as text; "" and what is no time are `<unknown>`.
std::string since_cell(std::string_view rfc3339, const RowContext& context);
// `text`, or `<none>` when it is empty.
std::string or_none(std::string text);
// Names (`name`) or images (`image`) of the containers of a pod template, comma-joined.
std::string container_cell(const Json& pod_template, std::string_view key);
// `a=b,c=d` of a map of labels, or `<none>`.
std::string labels_cell(const Json& labels);
// At most `max` of the parts joined with `separator`, then ` + N more...`; `none` when empty.
std::string limited_list(const std::vector<std::string>& parts, std::size_t max,
                         std::string_view separator, std::string_view none);

}  // namespace moth::resources
