// JSON bodies: what is read prints and reads back as the same.
#include <string>
#include <vector>

#include "api/base/json.h"
#include "api/machinery/json_text.h"
#include "api/schema/decode.h"
#include "tests/fuzz/fuzz.h"

using namespace moth;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::string> duplicates;
  auto value = parse_json(fuzz::text_of(data, size), duplicates);
  if (!value) return 0;
  std::string text = dump_json(*value);
  auto again = parse_json(text);
  fuzz::check(again.has_value(), "printed JSON is read back");
  // -0e0 prints as -0, which is an integer without sign: stable from then on.
  std::string second = dump_json(*again);
  auto third = parse_json(second);
  fuzz::check(third && dump_json(*third) == second, "printed JSON says the same");
  for (const char* name : {"core.v1.Pod", "apps.v1.Deployment"}) {
    Json object = *value;
    if (!object.is_object()) break;
    if (!schema::decode(schema::find_type(name), object)) continue;
    // Once brought into shape, it stays so.
    Json twice = object;
    auto report = schema::decode(schema::find_type(name), twice);
    fuzz::check(report.has_value(), "a decoded object is decoded again");
    fuzz::check(report->unknown_fields.empty(), "unknown fields are gone");
    fuzz::check(dump_json(twice) == dump_json(object), "decoding is idempotent");
  }
  return 0;
}
