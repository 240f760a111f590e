// JSON, merge and strategic patches: KIND byte, document, 0xff, patch.
#include "api/base/json.h"
#include "api/machinery/json_text.h"
#include "api/machinery/patch_json.h"
#include "api/machinery/patch_merge.h"
#include "api/machinery/patch_strategic.h"
#include "api/schema/patch_schema.h"
#include "tests/fuzz/fuzz.h"

using namespace moth;

namespace {

bool has_null(const Json& value) {
  if (value.is_null()) return true;
  if (!value.is_structured()) return false;
  for (const Json& child : value) {
    if (has_null(child)) return true;
  }
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  static const schema::PatchSchemas schemas;
  std::string_view rest = fuzz::text_of(data + 1, size - 1);
  auto document = parse_json(fuzz::next_part(rest));
  auto patch = parse_json(rest);
  if (!document || !patch) return 0;
  switch (data[0] % 3) {
    case 0:
      (void)apply_json_patch(*document, *patch, 1 << 16);
      break;
    case 1: {
      (void)apply_merge_patch(*document, *patch);
      if (!document->is_object() || !patch->is_object() || has_null(*document) || has_null(*patch))
        break;
      Json difference = create_merge_patch(*document, *patch);
      fuzz::check(apply_merge_patch(*document, difference) == *patch,
                  "the difference leads from one to the other");
      break;
    }
    default:
      for (const char* name : {"core.v1.Pod", "apps.v1.Deployment"}) {
        const PatchSchema* type = schemas.of(schema::find_type(name));
        if (document->is_object()) (void)apply_strategic_patch(*document, *patch, *type);
      }
  }
  return 0;
}
