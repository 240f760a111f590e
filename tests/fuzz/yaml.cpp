// YAML documents, within small limits, and their printed form.
#include <string>

#include "api/machinery/json_text.h"
#include "api/machinery/yaml.h"
#include "tests/fuzz/fuzz.h"

using namespace moth;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  YamlLimits limits;
  limits.max_nodes = 10'000;
  limits.max_depth = 64;
  limits.max_documents = 100;
  auto documents = parse_yaml_documents(fuzz::text_of(data, size), limits);
  if (!documents) return 0;
  for (const YamlDocument& document : *documents) {
    std::string text = to_yaml(document.value);
    auto again = parse_yaml(text, false, limits);
    fuzz::check(again.has_value(), "printed YAML is read back");
    fuzz::check(dump_json(*again) == dump_json(document.value), "printed YAML says the same");
  }
  return 0;
}
