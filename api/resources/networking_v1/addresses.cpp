// IPAddress and ServiceCIDR: which addresses Services have, and of which ranges.
#include "api/base/json.h"
#include "api/machinery/names.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/check_text.h"
#include "api/resources/edit.h"
#include "api/resources/networking_v1/rows.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

FieldErrors validate_address(const Json& object) {
  FieldErrors errors;
  FieldPath path = FieldPath("spec").child("parentRef");
  const Json* parent = member(object_of(object, "spec"), "parentRef");
  if (!parent) {
    errors.push_back(FieldError::required(path, ""));
    return errors;
  }
  check_name(errors, *parent, "group", path, check_dns1123_subdomain);
  for (const char* key : {"resource", "name"}) {
    if (check_required(errors, *parent, key, path)) {
      check_name(errors, *parent, key, path, check_path_segment_name);
    }
  }
  check_name(errors, *parent, "namespace", path, check_path_segment_name);
  return errors;
}

FieldErrors validate_address_update(const Json& object, const Json& old) {
  FieldErrors errors;
  check_immutable(errors, object_of(object, "spec"), object_of(old, "spec"), "parentRef",
                  FieldPath("spec"));
  return errors;
}

// `services/default/web`
std::string parent_cell(const Json& spec) {
  const Json* parent = member(spec, "parentRef");
  if (!parent) return "<none>";
  std::string group = string_or(*parent, "group"), ns = string_or(*parent, "namespace");
  return string_or(*parent, "resource") + (group.empty() ? "" : "." + group) + "/" +
         (ns.empty() ? "" : ns + "/") + string_or(*parent, "name");
}

FieldErrors validate_ranges(const Json& object) {
  FieldErrors errors;
  FieldPath path = FieldPath("spec").child("cidrs");
  const Json& spec = object_of(object, "spec");
  std::vector<std::string> ranges = strings(spec, "cidrs");
  if (ranges.empty()) {
    errors.push_back(FieldError::required(path, "at least one CIDR required"));
    return errors;
  }
  if (ranges.size() > 2) {
    errors.push_back(FieldError::invalid(path, spec, "may only hold up to 2 values"));
    return errors;
  }
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    check_canonical_cidr(errors, ranges[i], path.index(i));
  }
  if (ranges.size() < 2) return errors;
  auto first = parse_cidr(ranges[0]), second = parse_cidr(ranges[1]);
  if (first && second && first->is_v6 == second->is_v6) {
    errors.push_back(FieldError::invalid(path, items(spec, "cidrs"),
                                         "may specify no more than one IP for each IP family, i.e "
                                         "192.168.0.0/24 and 2001:db8::/64"));
  }
  return errors;
}

// Only a range of the other family may be added.
FieldErrors validate_ranges_update(const Json& object, const Json& old) {
  FieldErrors errors;
  FieldPath path = FieldPath("spec").child("cidrs");
  std::vector<std::string> now = strings(object_of(object, "spec"), "cidrs");
  std::vector<std::string> before = strings(object_of(old, "spec"), "cidrs");
  bool grows = before.size() == 1 && now.size() == 2;
  if (now.size() != before.size() && !grows) {
    errors.push_back(
        FieldError::invalid(path, items(object_of(object, "spec"), "cidrs"), "field is immutable"));
    return errors;
  }
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (now[i] == before[i]) continue;
    errors.push_back(FieldError::invalid(path.index(i), now[i], "field is immutable"));
  }
  if (grows) append(errors, validate_ranges(object));
  return errors;
}

}  // namespace

ResourceDef ip_addresses() {
  ResourceDef row = row_of("networking.k8s.io", "v1", "ipaddresses", "ipaddress", "IPAddress",
                           "networking.v1.IPAddress");
  row.namespaced = false;
  row.short_names = {"ip"};
  row.validate = validate_address;
  row.validate_update = validate_address_update;
  row.validate_name = check_canonical_ip;
  row.selectable_fields = {"spec.parentRef.name", "spec.parentRef.namespace",
                           "spec.parentRef.group", "spec.parentRef.resource"};
  row.field = [](const Json& object, std::string_view path) {
    const Json& parent = object_of(object_of(object, "spec"), "parentRef");
    return string_or(parent, path.substr(path.rfind('.') + 1));
  };
  row.columns = columns({column("Name", "The address"), column("ParentRef", "Object that has it"),
                         column("Age", "Time since creation")});
  row.row = [](const Json& object, const RowContext& context) {
    return Json::array(
        {name_cell(object), parent_cell(object_of(object, "spec")), age_cell(object, context)});
  };
  return row;
}

ResourceDef service_cidrs() {
  ResourceDef row = row_of("networking.k8s.io", "v1", "servicecidrs", "servicecidr", "ServiceCIDR",
                           "networking.v1.ServiceCIDR");
  row.namespaced = false;
  row.subresources = {own_subresource(row, "status")};
  row.prepare_create = [](Json& object) { object["status"] = Json::object(); };
  row.validate = validate_ranges;
  row.validate_update = validate_ranges_update;
  row.columns = columns({column("Name", "Name of the range"),
                         column("CIDRs", "Addresses that Services may get"),
                         column("Age", "Time since creation")});
  row.row = [](const Json& object, const RowContext& context) {
    return Json::array({name_cell(object), join(strings(object_of(object, "spec"), "cidrs"), ","),
                        age_cell(object, context)});
  };
  return row;
}

}  // namespace moth::resources
