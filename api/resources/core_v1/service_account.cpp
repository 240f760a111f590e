#include "api/base/json.h"
#include "api/resources/cells.h"
#include "api/resources/core_v1/rows.h"
#include "api/resources/row_base.h"

namespace moth::resources {

ResourceDef service_accounts() {
  ResourceDef row = row_of("", "v1", "serviceaccounts", "serviceaccount", "ServiceAccount",
                           "core.v1.ServiceAccount");
  row.short_names = {"sa"};
  row.subresources = {{"token", {"authentication.k8s.io", "v1", "TokenRequest"}, kCreate}};
  row.columns = columns({column("Name", "Name of the account, unique in its namespace"),
                         column("Age", "Time since creation")});
  row.row = [](const Json& object, const RowContext& context) {
    return Json::array({name_cell(object), age_cell(object, context)});
  };
  return row;
}

}  // namespace moth::resources
