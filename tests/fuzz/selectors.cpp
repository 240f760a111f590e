// Label and field selectors: their printed form reads back as the same.
#include "api/machinery/selectors.h"
#include "api/base/json.h"
#include "api/machinery/json_text.h"
#include "tests/fuzz/fuzz.h"

using namespace moth;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text = fuzz::text_of(data, size);
  if (auto labels = LabelSelector::parse(text)) {
    auto again = LabelSelector::parse(labels->to_string());
    fuzz::check(again.has_value(), "a printed label selector is read back");
    fuzz::check(again->to_string() == labels->to_string(), "a label selector says the same");
    const Labels some{{"app", "web"}, {"tier", "7"}};
    fuzz::check(labels->matches(some) == again->matches(some), "both match the same");
  }
  if (auto fields = FieldSelector::parse(text)) {
    auto again = FieldSelector::parse(fields->to_string());
    fuzz::check(again && *again == *fields, "a printed field selector says the same");
  }
  if (auto json = parse_json(text)) {
    (void)validate_label_selector(*json, FieldPath("spec"));
    (void)LabelSelector::from_json(*json);
    (void)format_label_selector(*json);
  }
  return 0;
}
