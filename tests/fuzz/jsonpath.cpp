// JSONPath templates on a fixed document.
#include "api/machinery/jsonpath.h"
#include "api/base/json.h"
#include "tests/fuzz/fuzz.h"

using namespace moth;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Json document = Json::parse(R"({"kind":"List","items":[
    {"metadata":{"name":"a","labels":{"x.y/z":"1"}},"spec":{"replicas":3,"list":[1,2,3]}},
    {"metadata":{"name":"b"},"spec":{"replicas":0.5,"on":true,"none":null}}]})");
  std::string_view text = fuzz::text_of(data, size);
  for (bool relaxed : {false, true}) {
    auto path = relaxed ? JsonPath::parse_relaxed(text) : JsonPath::parse(text);
    if (!path) continue;
    for (bool allow : {true, false}) {
      path->allow_missing_keys(allow);
      (void)path->render(document);
      (void)path->find(document);
    }
  }
  return 0;
}
