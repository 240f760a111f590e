#pragma once
// Which objects of a list or watch a client wants: label and field selectors. Any thread.
#include <optional>
#include <string>

#include "api/base/result.h"
#include "api/http/message.h"
#include "api/machinery/object.h"
#include "api/machinery/selectors.h"
#include "api/resources/registry.h"

namespace moth::server {

class Selection {
 public:
  Selection() = default;
  // From the query parameters labelSelector and fieldSelector. BadRequest for an unknown field.
  static Result<Selection> parse(const resources::ResourceDef& def, std::string_view labels,
                                 std::string_view fields);
  // `name`, when not empty, adds metadata.name=name.
  void require_name(const std::string& name);

  // What metadata.name must be, when the selection says so.
  std::optional<std::string> required_name() const {
    return fields_.required_value("metadata.name");
  }

  bool everything() const;
  // `object` in the stored version.
  bool matches(const Object& object) const;

 private:
  const resources::ResourceDef* def_ = nullptr;
  LabelSelector labels_;
  FieldSelector fields_;
};

}  // namespace moth::server
